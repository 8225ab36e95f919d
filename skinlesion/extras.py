"""Which extra of the package installs what a command lacks: `pip install skinlesion` is without torch and DVC."""

from skinlesion.errors import UserError

#: Top-level module → the extra of pyproject.toml that installs it.
EXTRAS = {
    "cv2": "train",
    "dvc": "train",
    "dvclive": "dvclive",
    "filelock": "train",
    "huggingface_hub": "train",
    "lightly": "pretrain",
    "mlflow": "mlflow",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "onnxscript": "onnx",
    "pytorch_grad_cam": "train",
    "safetensors": "train",
    "scmrepo": "train",
    "simplejpeg": "train",
    "streamlit": "dashboard",
    "timm": "train",
    "torch": "train",
    "torchvision": "train",
    "wandb": "wandb",
}


def not_installed(module: str, asked: str) -> UserError:
    """Return the error of a module that is missing: it names the extra that installs it.

    Args:
        module: a dotted name; its first part is a key of EXTRAS.
        asked: the command or setting that needs it.
    """
    top = module.partition(".")[0]
    return UserError(f"{asked}: {top} is not installed; pip install 'skinlesion[{EXTRAS[top]}]'")
