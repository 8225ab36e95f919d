"""verify: every figure again from the predictions, compared with what is written."""

import json
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skinlesion.errors import UserError
from skinlesion.evaluation.predictions import read_predictions
from skinlesion.files import read_json, write_json
from skinlesion.params import Params
from skinlesion.progress import progress
from skinlesion.stages.assess import assess
from skinlesion.stages.contracts import (
    ASSESSMENT_NAME,
    METADATA_VALUE_NAME,
    METRICS_NAME,
    PREDICTIONS_NAME,
    VALIDATION_NAME,
)
from skinlesion.stages.metadata import metadata
from skinlesion.stages.report import BEGIN, END, report
from skinlesion.stages.results import mean_temperature, summarise
from skinlesion.stages.stats import stats
from skinlesion.stages.workspace import Workspace

_TOLERANCE = 1e-9
_PAGES = ("results.md", "results.csv", "results.tex", "report.html", "subgroups.html")
_STATS = ("stats.json", "comparisons.csv", "claims.csv")


def verify(params: Params, workspace: Workspace, readme: Path | None, *, quick: bool) -> list[str]:
    """Return every difference between what is written and what comes out again, in words; none when all is well.

    The metrics of every system, and with `quick=False` assessments, the value of metadata and the statistics too, are
    computed anew from predictions into a folder of their own; pages and cards are made from those and must be the
    same text. `readme`, where given, must hold the results table.

    Raises:
        UserError: predictions or another file of an earlier stage are missing.
    """
    with tempfile.TemporaryDirectory(prefix="skinlesion-verify-") as name:
        again = _copy(params, workspace, Path(name), quick=quick)
        problems = list(_metrics(params, workspace, again))
        if not quick:
            problems += _rest(params, workspace, again)
        report(params, again)
        problems += _pages(params, workspace, again)
        if readme is not None:
            problems += _readme(readme, again)
    return problems


def _copy(params: Params, workspace: Workspace, folder: Path, *, quick: bool) -> Workspace:
    """Return a workspace with links to all inputs, and to what `quick` takes as given."""
    again = Workspace(folder)
    root, out = workspace.root.resolve(), again.reports
    out.mkdir()
    (folder / "data").symlink_to(root / "data")
    given = ["split.json", "audit", "explanations", "dataset", *(["assessments", "metadata", "stats"] if quick else [])]
    for name in given:
        if (root / "reports" / name).exists():
            (out / name).symlink_to(root / "reports" / name)
    for name in params.systems:
        source, target = workspace.system(params, name), again.system(params, name)
        target.mkdir(parents=True)
        if not source.is_dir():
            raise UserError(f"{source}: no such folder; run `dvc repro`, or `dvc pull`")
        for path in source.iterdir():
            if path.name != METRICS_NAME:
                os.symlink(path.resolve(), target / path.name)
    return again


def _metrics(params: Params, workspace: Workspace, again: Workspace) -> Iterator[str]:
    with progress("metrics from predictions", len(params.systems), unit="systems") as advance:
        for name in params.systems:
            folder = again.system(params, name)
            tested, _ = read_predictions(folder / PREDICTIONS_NAME)
            validation, _ = read_predictions(folder / VALIDATION_NAME)
            values, _ = summarise(tested, params.evaluate)
            values["temperature"] = mean_temperature(tested, validation)
            write_json(folder / METRICS_NAME, values)
            yield from _same(workspace.system(params, name) / METRICS_NAME, folder / METRICS_NAME)
            advance()


def _rest(params: Params, workspace: Workspace, again: Workspace) -> Iterator[str]:
    with progress("assessments from predictions", len(params.systems), unit="systems") as advance:
        for name in params.systems:
            assess(params, again, name)
            yield from _same(workspace.assessment(name) / ASSESSMENT_NAME, again.assessment(name) / ASSESSMENT_NAME)
            advance()
    with progress("metadata and statistics from predictions", 2, unit="stages") as advance:
        metadata(params, again)
        advance()
        stats(params, again)
        advance()
    yield from _same(workspace.metadata_value / METADATA_VALUE_NAME, again.metadata_value / METADATA_VALUE_NAME)
    for name in _STATS:
        yield from _same(workspace.reports / "stats" / name, again.reports / "stats" / name)


def _pages(params: Params, workspace: Workspace, again: Workspace) -> Iterator[str]:
    names = [*_PAGES, *(f"cards/{name}.md" for name in params.experiments)]
    for name in names:
        yield from _same(workspace.reports / name, again.reports / name)


def _readme(readme: Path, again: Workspace) -> Iterator[str]:
    text = readme.read_text(encoding="utf-8")
    written = text.partition(BEGIN)[2].partition(END)[0].strip()
    found = (again.reports / "results.md").read_text(encoding="utf-8").strip()
    yield from _lines(str(readme), written, found)


def _same(written: Path, found: Path) -> Iterator[str]:
    """Yield how two files differ: JSON beyond 1e-9, other text in any sign."""
    if not written.exists():
        yield f"{written}: missing; run `dvc repro`"
    elif written.suffix == ".json":
        one, other = (_flat(read_json(path, "run `dvc repro`")) for path in (written, found))
        for key in sorted(set(one) | set(other)):
            if not _equal(one.get(key), other.get(key)):
                yield f"{written}: {key} is {one.get(key)}, recomputed {other.get(key)}"
    else:
        yield from _lines(str(written), written.read_text(encoding="utf-8"), found.read_text(encoding="utf-8"))


def _lines(name: str, written: str, found: str) -> Iterator[str]:
    one, other = written.splitlines(), found.splitlines()
    for number, (a, b) in enumerate(zip(one, other, strict=False), start=1):
        if a != b:
            place = next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
            around = slice(max(0, place - 30), place + 30)
            yield f"{name}, line {number}: “{a[around]}”, recomputed “{b[around]}”"
    if len(one) != len(other):
        yield f"{name}: {len(one)} lines, recomputed {len(other)}"


def _flat(content: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(content, dict):
        return {prefix: json.dumps(content) if isinstance(content, list) else content}
    found: dict[str, Any] = {}
    for key, value in content.items():
        found |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
    return found


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float | int) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    return bool(one == other)
