"""Memory and time of `dvc repro` on a phantom of 100,000 images, stage by stage.

    python benchmarks/large_pipeline.py [--images 100000] [--folder DIR] [--write]      # --write: large_pipeline.md

The workspace is that of `skinlesion init`, with images of 64 px: every stage of the pipeline, three experiments of five
folds, an ensemble. Memory is that of all processes together, sampled ten times a second, without the pages of mapped
files, which the kernel takes back when it wants to. Limit: 8 GB.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from ruamel.yaml import YAML

BIN = Path(sys.executable).parent
PAGE = Path(__file__).with_suffix(".md")
LIMIT = 8.0  # GB
SIDE = 64


@dataclass
class Stage:
    """What a stage used."""

    name: str
    began: float
    seconds: float = 0.0
    peak: float = 0.0  # GB


def make_workspace(folder: Path, images: int) -> None:
    """Write the workspace of `skinlesion init`, with so many images."""
    run("skinlesion", "init", str(folder), "--git")
    path, yaml = folder / "params.yaml", YAML()
    content = yaml.load(path)
    content["data"]["phantom"] = {"images": images}
    content["prepare"]["image_size"] = content["train"]["input_size"] = SIDE
    with path.open("w") as file:
        yaml.dump(content, file)


def run(*command: str) -> None:
    subprocess.run(command, env=environment(), check=True)


def environment() -> dict[str, str]:
    return os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def reproduce(folder: Path) -> list[Stage]:
    """Run `dvc repro` and return its stages, with the time and the memory that each took.

    Raises:
        SystemExit: the pipeline failed.
    """
    process = subprocess.Popen(
        ["dvc", "repro"], cwd=folder, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    stages = [Stage("dvc", time.perf_counter())]
    watch = threading.Thread(target=_watch_memory, args=(process, stages))
    watch.start()
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Running stage '"):
            stages[-1].seconds = time.perf_counter() - stages[-1].began
            stages.append(Stage(line.split("'")[1], time.perf_counter()))
            print(stages[-1].name, file=sys.stderr)
        elif line.startswith(("error:", "ERROR:")):
            print(line, end="", file=sys.stderr)
    stages[-1].seconds = time.perf_counter() - stages[-1].began
    watch.join()
    if process.wait():
        raise SystemExit(f"`dvc repro` ended with exit code {process.returncode} in stage {stages[-1].name}")
    return stages[1:]


def _watch_memory(process: subprocess.Popen, stages: list[Stage]) -> None:
    """Keep the peak memory of a process and of all that it started in the stage that runs, while it runs."""
    parent = psutil.Process(process.pid)
    while process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            used = sum(_anonymous(child.pid) for child in [parent, *parent.children(recursive=True)])
            stages[-1].peak = max(stages[-1].peak, used / 1e9)
        time.sleep(0.1)


def _anonymous(pid: int) -> int:
    """Return the bytes of a process that belong to no file; 0 where it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    size = status.partition("RssAnon:")[2].split()
    return int(size[0]) * 1024 if size else 0


def table(stages: list[Stage]) -> str:
    rows = [f"| `{stage.name}` | {stage.seconds:,.0f} s | {stage.peak:.2f} GB |" for stage in stages]
    whole = f"| all | {sum(stage.seconds for stage in stages) / 60:,.0f} min | "
    whole += f"{max(stage.peak for stage in stages):.2f} GB, limit {LIMIT:g} GB |"
    return "\n".join(["| stage | time | peak memory |", "|---|---|---|", *rows, whole])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="The new workspace, which is kept. Default: a temporary folder.")
    parser.add_argument("--write", action="store_true", help="Write large_pipeline.md.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "workspace"
        make_workspace(folder, options.images)  # `init` refuses one that is there
        stages = reproduce(folder)
    text = table(stages)
    print(text)
    if options.write:
        PAGE.write_text(
            f"# The pipeline on {options.images:,} images\n\nWritten by `python benchmarks/large_pipeline.py --images "
            f"{options.images} --write` on {os.cpu_count()} cores, {SIDE} px. Memory is that of all processes "
            f"together, without mapped files.\n\n{text}\n"
        )


if __name__ == "__main__":
    main()
