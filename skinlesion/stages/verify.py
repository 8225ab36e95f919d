"""verify: recompute every figure from the predictions and compare it with the files."""

import json
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skinlesion.analysis.summary import mean_temperature, summarise
from skinlesion.errors import UserError
from skinlesion.files import write_json
from skinlesion.numbers import count
from skinlesion.params import Params
from skinlesion.progress import progress
from skinlesion.reading import read_json, read_text
from skinlesion.results.names import (
    ASSESSMENT_NAME,
    EFFECT_NAME,
    HEADLINE_NAME,
    LABEL_NOISE_NAME,
    METADATA_VALUE_NAME,
    METRICS_NAME,
    REPORT_PAGE_NAME,
    SPLIT_NAME,
    STATISTICS_NAME,
    SUBGROUP_PAGE_NAME,
    TABLE_NAME,
)
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace
from skinlesion.stages.assess import assess
from skinlesion.stages.effect import effect
from skinlesion.stages.metadata import metadata
from skinlesion.stages.report import BEGIN, END, check_readme, report
from skinlesion.stages.stats import stats

_TOLERANCE = 1e-9
_TABLES = tuple(f"{TABLE_NAME}.{ending}" for ending in ("md", "csv", "tex"))
_PAGES = (*_TABLES, HEADLINE_NAME, REPORT_PAGE_NAME, SUBGROUP_PAGE_NAME)
_SLOW = ("assessments", "metadata", "effect", "stats")
_STATS = (STATISTICS_NAME, "comparisons.csv", "own_rules.csv", "claims.csv")


def verify(params: Params, workspace: Workspace, readme: Path | None, *, quick: bool) -> list[str]:
    """Return every difference between what is written and what comes out again, in words; none when all is well.

    The metrics of every system, and with `quick=False` assessments, the value of metadata and the statistics too, are
    computed anew from predictions into a folder of their own; pages and cards are made from those and must be the
    same text. `readme`, where given, must hold the results table.

    Raises:
        UserError: predictions or another file of an earlier stage are missing.
    """
    if readme is not None:
        check_readme(readme)  # what is wrong with it is said before the work
    with tempfile.TemporaryDirectory(prefix="skinlesion-verify-") as name:
        copy = _copy(params, workspace, Path(name), quick=quick)
        problems = list(_metrics(params, workspace, copy))
        if not quick:
            problems += _rest(params, workspace, copy)
        report(params, copy)
        problems += _pages(params, workspace, copy)
        if readme is not None:
            problems += _readme(readme, copy)
    return problems


def _copy(params: Params, workspace: Workspace, folder: Path, *, quick: bool) -> Workspace:
    """Return a workspace with links to all inputs, and to what `quick` takes as given."""
    copy = Workspace(folder)
    root, out = workspace.root.resolve(), copy.reports
    out.mkdir()
    (folder / "data").symlink_to(root / "data")
    if (root / "models").is_dir():
        (folder / "models").symlink_to(root / "models")  # training curves of single runs
    linked = [
        SPLIT_NAME,
        "audit",
        "explanations",
        "dataset",
        *(_SLOW if quick else ()),
    ]
    for name in linked:
        if (root / "reports" / name).exists():
            (out / name).symlink_to(root / "reports" / name)
    for name in params.systems:
        source, target = workspace.system(params, name), copy.system(params, name)
        target.mkdir(parents=True)
        if not source.is_dir():
            raise UserError(f"{source}: no such folder; run `dvc repro`, or `dvc pull`")
        for path in source.iterdir():
            if path.name != METRICS_NAME:
                os.symlink(path.resolve(), target / path.name)
    return copy


def _metrics(params: Params, workspace: Workspace, copy: Workspace) -> Iterator[str]:
    results = Results(params, copy)
    with progress("metrics from predictions", len(params.systems), unit="systems") as advance:
        for name in params.systems:
            tested = results.predictions(name)
            values, _ = summarise(tested, params.evaluate)
            values["temperature"] = mean_temperature(tested, results.validation(name))
            recomputed = results.folder(name) / METRICS_NAME
            write_json(recomputed, values)
            yield from _differences(workspace.system(params, name) / METRICS_NAME, recomputed)
            advance()


def _rest(params: Params, workspace: Workspace, copy: Workspace) -> Iterator[str]:
    """Compute assessments, the value of metadata and the statistics; yield how their figures differ."""
    with progress("assessments from predictions", len(params.systems), unit="systems") as advance:
        for name in params.systems:
            assess(params, copy, name)
            written, recomputed = (folder.assessment(name) / ASSESSMENT_NAME for folder in (workspace, copy))
            yield from _differences(written, recomputed)
            advance()
    with progress("metadata and statistics from predictions", 3, unit="stages") as advance:
        metadata(params, copy)
        advance()
        effect(params, copy)
        advance()
        stats(params, copy)
        _take_claims_record(workspace, copy)
        advance()
    yield from _differences(workspace.metadata_value / METADATA_VALUE_NAME, copy.metadata_value / METADATA_VALUE_NAME)
    for name in (f"{EFFECT_NAME}.csv", LABEL_NOISE_NAME):
        yield from _differences(workspace.effect / name, copy.effect / name)
    for name in _STATS:
        yield from _differences(workspace.statistics / name, copy.statistics / name)


def _take_claims_record(workspace: Workspace, copy: Workspace) -> None:
    """Take what git knows of the claims as it is written: of params.yaml's history, no prediction says anything."""
    written, recomputed = (folder.statistics / STATISTICS_NAME for folder in (workspace, copy))
    if written.exists():
        content = {name: value for name, value in read_json(recomputed, "").items() if not name.startswith("claims_")}
        record = {name: value for name, value in read_json(written, "").items() if name.startswith("claims_")}
        write_json(recomputed, content | record)


def _pages(params: Params, workspace: Workspace, copy: Workspace) -> Iterator[str]:
    figures = sorted(path.name for path in copy.figures.glob("*.svg"))
    names = [*_PAGES, *(f"cards/{name}.md" for name in params.experiments), *(f"figures/{name}" for name in figures)]
    for name in names:
        yield from _differences(workspace.reports / name, copy.reports / name)


def _readme(readme: Path, copy: Workspace) -> Iterator[str]:
    written = readme.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()
    recomputed = (copy.reports / HEADLINE_NAME).read_text(encoding="utf-8").strip()
    yield from _line_differences(str(readme), written, recomputed)


def _differences(written: Path, recomputed: Path) -> Iterator[str]:
    """Yield how two files differ: JSON beyond 1e-9, other text in any character."""
    if not written.exists():
        yield f"{written}: missing; run `dvc repro`"
    elif written.suffix == ".json":
        before, after = (_flat(read_json(path, "run `dvc repro`")) for path in (written, recomputed))
        for key in sorted(set(before) | set(after)):
            if not _equal(before.get(key), after.get(key)):
                yield f"{written}: {key} is {before.get(key)}, recomputed {after.get(key)}"
    else:
        texts = (read_text(path, "run `dvc repro`") for path in (written, recomputed))
        yield from _line_differences(str(written), *texts)


def _line_differences(name: str, written: str, recomputed: str) -> Iterator[str]:
    before, after = written.splitlines(), recomputed.splitlines()
    for number, (a, b) in enumerate(zip(before, after, strict=False), start=1):
        if a != b:
            place = next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
            around = slice(max(0, place - 30), place + 30)
            yield f"{name}, line {number}: “{a[around]}”, recomputed “{b[around]}”"
    if len(before) != len(after):
        yield f"{name}: {count(len(before), 'line')}, recomputed {len(after)}"


def _flat(content: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested content by dotted keys; lists as JSON text."""
    if not isinstance(content, dict):
        return {prefix: json.dumps(content) if isinstance(content, list) else content}
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
    return flat


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, float | int) and isinstance(b, float | int):
        return math.isclose(a, b, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    return bool(a == b)
