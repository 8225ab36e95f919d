"""The architecture holds: imports go one way, rooms and modules stay small, some rooms install without torch.

`docs/ARCHITECTURE.md` draws what the table below states.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from skinlesion.code_version import PACKAGE, imported_modules

MOST_LINES = 400  # of a module
LARGEST_SHARE = 0.2  # of the package's lines in one room

#: Room or single module → what it may import besides itself and BASE. A new one needs an entry.
MAY_IMPORT: dict[str, set[str]] = {
    "stats": set(),
    "data": set(),
    "evaluation": {"stats"},
    "models": set(),
    "tracking": set(),
    "training": {"data", "evaluation", "models", "stats"},
    "interpret": {"models"},
    "analysis": {"evaluation", "stats"},
    "results": {"analysis", "data", "evaluation"},
    "experiment": {"data", "evaluation", "interpret", "models", "results", "tracking", "training"},
    "report": {"analysis", "data", "evaluation", "results"},
    "console": {"evaluation", "report"},
    "stages": {
        "analysis", "data", "evaluation", "experiment", "interpret", "report", "results", "tracking",
        "training",
    },
    "api": {"analysis", "evaluation", "report", "stages", "stats"},
    "dashboard": {"analysis", "data", "evaluation", "experiment", "interpret", "report", "results", "training"},
    "cli": {"analysis", "console", "data", "experiment", "report", "results", "stages", "training"},
    "__main__": {"cli"},
}  # fmt: skip

#: Small modules that any room may import, in the order in which they may import each other.
BASE = (
    "__init__", "errors", "extras", "vocabulary", "choices", "folds", "costs", "table_files", "atomic", "files",
    "reading", "numbers", "progress", "params", "params_file", "code_version", "transfer", "outputs",
)  # fmt: skip

#: Rooms that work on predictions alone and install without torch.
TORCH_FREE = ("stats", "evaluation", "analysis", "results", "report", "api")


def room_of(path: Path) -> str:
    """Return the room (or the name of a module of the top level) that holds a file of the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported_files(path: Path) -> set[Path]:
    """Return the files of the package that importing `path` runs through directly, packages' __init__ included."""
    files = set()
    for name in imported_modules(path):
        assert not name.startswith("."), f"{path}: imports in this package are absolute"
        parts = name.split(".")
        if parts[0] == "skinlesion":
            for length in range(1, len(parts) + 1):
                base = PACKAGE.joinpath(*parts[1:length])
                files |= {file for file in (base / "__init__.py", base.with_suffix(".py")) if file.is_file()}
    return files - {path}


@pytest.mark.parametrize("room", sorted({room_of(path) for path in modules()} - set(BASE)))
def test_a_room_imports_only_what_the_table_allows(room):
    assert room in MAY_IMPORT, f"add {room} to MAY_IMPORT and to docs/ARCHITECTURE.md"
    allowed = {room, *BASE, *MAY_IMPORT[room]}
    for path in modules():
        if room_of(path) == room:
            targets = {room_of(target) for target in imported_files(path)}
            assert targets <= allowed, f"{path.relative_to(PACKAGE)} imports {', '.join(sorted(targets - allowed))}"


def test_the_base_modules_import_only_those_before_them():
    for path in modules():
        if room_of(path) in BASE:
            targets = {room_of(target) for target in imported_files(path)} - {room_of(path)}
            assert targets <= set(BASE[: BASE.index(room_of(path))]), path.relative_to(PACKAGE)


def test_the_table_has_no_circle_and_no_room_that_is_gone():
    assert set(MAY_IMPORT) <= {room_of(path) for path in modules()}
    below: set[str] = set()
    while len(below) < len(MAY_IMPORT):
        free = {room for room in MAY_IMPORT if room not in below and MAY_IMPORT[room] <= below}
        assert free, f"a circle among {', '.join(sorted(set(MAY_IMPORT) - below))}"
        below |= free


def test_no_module_is_long_and_no_room_is_large():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    long = {path.relative_to(PACKAGE).as_posix(): count for path, count in lines.items() if count > MOST_LINES}
    assert not long, f"modules of more than {MOST_LINES} lines"
    shares: dict[str, float] = {}
    for path, count in lines.items():
        shares[room_of(path)] = shares.get(room_of(path), 0.0) + count / sum(lines.values())
    assert max(shares.values()) <= LARGEST_SHARE, shares


@pytest.mark.parametrize("room", TORCH_FREE)
def test_rooms_on_predictions_alone_never_import_torch(room):
    """Nor through other modules, nor inside a function."""
    heavy = {"torch", "timm", "torchvision", "safetensors", "pytorch_grad_cam"} | (
        {"pandas", "sklearn"} if room == "stats" else set()
    )
    reached = {path for path in modules() if room_of(path) == room}
    pending = sorted(reached)
    while pending:
        path = pending.pop()
        outside = {name.split(".")[0] for name in imported_modules(path)}
        assert not outside & heavy, f"{path.relative_to(PACKAGE)} imports {', '.join(sorted(outside & heavy))}"
        new = imported_files(path) - reached
        reached |= new
        pending += sorted(new)


def test_help_imports_neither_torch_nor_pandas_nor_pydantic():
    code = (
        "import sys; sys.argv = ['skinlesion', '--help']\n"
        "from skinlesion import cli\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'pandas', 'numpy', 'pydantic', 'timm') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip().endswith("[]")
    for command in ("prepare", "split", "train", "evaluate", "stats", "report"):
        assert command in ended.stdout
