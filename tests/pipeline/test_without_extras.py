"""What works without any extra: every command on predictions; the others say in one line which extra they lack."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from skinlesion.extras import EXTRAS
from tests.conftest import ROOT

# As if none of the extras' packages were installed.
_WITHOUT_EXTRAS = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
sys.argv = ["skinlesion", *sys.argv[1:]]
from skinlesion import cli

cli.main()
"""


def run_without_extras(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line where no package of an extra can be imported."""
    code = _WITHOUT_EXTRAS.format(names=sorted(EXTRAS))
    return subprocess.run([sys.executable, "-c", code, *args], cwd=cwd, capture_output=True, text=True)


@pytest.fixture
def workspace(reported, tmp_path) -> Path:
    return Path(shutil.copytree(reported, tmp_path / "workspace"))


@pytest.mark.parametrize(
    "command",
    [
        "compare reports/runs/image/predictions.csv reports/runs/concat/predictions.csv",
        "score reports/runs/image/predictions.csv --validation reports/runs/image/validation.csv",
        "assess image",
        "stats",
        "report",
        "verify --quick",
        "effect",
        "metadata",
        "ensemble both",
        "split",
        "experiments",
        "registry",
    ],
)
def test_what_predictions_need_is_in_the_base(command, workspace):
    completed = run_without_extras(*command.split(), cwd=workspace)
    assert completed.returncode == 0, completed.stderr


@pytest.mark.parametrize(
    ("command", "module", "extra"),
    [
        ("train", "torch", "train"),
        ("train image", "torch", "train"),
        ("prepare", "cv2", "train"),
        ("diff", "dvc", "train"),
        ("predict photo.jpg", "cv2", "train"),
        ("export image --out model.onnx", "torch", "train"),
        ("pretrain --out w.safetensors", "torch", "train"),
        ("dashboard", "streamlit", "dashboard"),
        ("track mlflow", "mlflow", "mlflow"),
    ],
)
def test_a_command_names_the_extra_that_it_lacks(command, module, extra, workspace):
    (workspace / "photo.jpg").write_bytes(b"")
    completed = run_without_extras(*command.split(), cwd=workspace)
    name = command.partition(" ")[0]
    assert completed.returncode == 2
    assert completed.stderr.splitlines()[-1] == (
        f"error: {name}: {module} is not installed; pip install 'skinlesion[{extra}]'"
    )
    assert "Traceback" not in completed.stderr


def test_every_module_of_an_extra_is_listed():
    """The table of modules and pyproject.toml say the same of what each extra installs."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    listed = {
        extra: {re.split(r"[\[<>=!]", requirement)[0] for requirement in required} for extra, required in extras.items()
    }
    named = {"cv2": "opencv-python-headless", "pytorch_grad_cam": "grad-cam", "mlflow": "mlflow-skinny"}
    installed_by = {"scmrepo": "dvc"}  # installed by another
    for module, extra in EXTRAS.items():
        assert installed_by.get(module, named.get(module, module.replace("_", "-"))) in listed[extra], module
