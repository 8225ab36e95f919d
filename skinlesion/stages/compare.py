"""compare, score: the same statistics as the `stats` stage, on prediction files from anywhere."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from skinlesion.analysis.pair_report import ComparisonReport, report_pairs
from skinlesion.analysis.plan import Plan, plan_from
from skinlesion.errors import UserError, choices, name_some, printable
from skinlesion.evaluation.predictions import Predictions, read_predictions
from skinlesion.evaluation.registry import SCHEMA
from skinlesion.files import write_text
from skinlesion.outputs import check_outputs, first_bytes
from skinlesion.params import StatsParams

#: In every page that is written: only such a page is written over.
PAGE_MARK = "<!-- skinlesion compare -->"

_MOST_HEAD = 2**16  # bytes of a page up to its mark: the style


def default_plan(
    metrics: Sequence[str] | None = None,
    *,
    cluster: str = "lesion_id",
    margin: float | None = None,
    replicates: int | None = None,
    permutations: int = 10_000,
    seed: int = 0,
) -> Plan:
    """Return the plan of a comparison outside a workspace: the defaults of `stats`, but for what is given.

    Args:
        metrics: the first is the primary one.
        cluster: "lesion_id", or "none" to take images as independent.
        margin: the smallest difference of the primary metric that matters.

    Raises:
        UserError: an unknown metric or cluster.
    """
    if cluster not in ("lesion_id", "none"):
        raise UserError(f"--cluster {name_some([cluster])}: {choices(('lesion_id', 'none'), cluster)}")
    defaults = StatsParams()
    wanted = tuple(dict.fromkeys(metrics or defaults.metrics))
    for metric in wanted:
        if metric not in SCHEMA.metrics():
            raise UserError(f"--metric {name_some([metric])}: unknown; {choices(SCHEMA.metrics(), metric)}")
    plan = plan_from(
        defaults,
        metrics=wanted,
        primary=wanted[0],
        replicates=replicates,
        seed=seed,
        permutations=permutations,
        naive=cluster != "none",
    )
    return plan if margin is None else replace(plan, margins={**plan.margins, wanted[0]: margin})


def compare_files(
    files: Sequence[Path], truth: Path | None, cluster: str, plan: Plan, names: Sequence[str] | None = None
) -> ComparisonReport:
    """Compare every pair of prediction files.

    Args:
        files: two or more files with our columns or the ISIC challenge's.
        truth: a metadata table with `image_id, dx` and maybe `lesion_id`, for files that lack them.
        cluster: "lesion_id", or "none" to take images as independent.
        names: what to call them; otherwise file names, or as much of the paths as tells them apart.

    Raises:
        UserError: a file is wrong, or files hold different images (ids are named).
    """
    if len(files) < 2:
        raise UserError("compare: give two or more prediction files")
    predictions: dict[str, Predictions] = {}
    warnings: list[str] = []
    for name, path in zip(names or _names(files), files, strict=True):
        predictions[name], messages = read_predictions(path, truth)
        warnings += messages
    return report_pairs(predictions, cluster, plan, warnings)


def check_page(path: Path) -> None:
    """Check that the page of a comparison can be written, before anything is computed.

    Raises:
        UserError: a file lies there that is no such page, or the folder cannot be written to.
    """
    check_outputs([path], "--html", lambda file: PAGE_MARK.encode() in first_bytes(file, _MOST_HEAD))


def write_page(path: Path, report: ComparisonReport) -> None:
    """Write a comparison as one HTML page, complete in itself."""
    from skinlesion.report.compare_page import compare_page  # here: matplotlib takes longer than most comparisons

    write_text(path, compare_page(report, PAGE_MARK))


def model_name(path: Path) -> str:
    """Return the name of a predictions file without its ending, `.csv.gz` included."""
    return re.sub(r"(\.csv)?(\.[^.]*)?$", "", path.name) or path.name


def _names(files: Sequence[Path]) -> list[str]:
    """Return the shortest ends of the paths that tell the files apart, without `predictions.csv`."""
    parts = [
        (path.parent if path.name == "predictions.csv" else path.parent / model_name(path)).absolute().parts
        for path in files
    ]
    for length in range(1, max(map(len, parts)) + 1):
        names = [printable("/".join(path[-length:])) for path in parts]
        if len(set(names)) == len(names):
            return names
    raise UserError(f"compare: {files[0]} is given twice; give different files")
