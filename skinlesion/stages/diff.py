"""diff: experiments and ensembles of two revisions compared, with intervals, verdicts and flips."""

import tempfile
from pathlib import Path

import numpy as np
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.repo.brancher import switch
from scmrepo.exceptions import SCMError

from skinlesion.analysis.pair_report import ComparisonReport, report_pairs
from skinlesion.analysis.plan import Plan
from skinlesion.errors import UserError, shown
from skinlesion.evaluation.predictions import Predictions, read_predictions
from skinlesion.reading import shown_problem

WORKSPACE = "workspace"
_FOLDERS = ("runs", "ensembles")  # of reports/


def diff(root: Path, first: str, second: str, plan: Plan) -> tuple[dict[str, ComparisonReport], list[str]]:
    """Compare the predictions of every experiment that two revisions have, and that differ.

    Args:
        root: the folder of params.yaml, inside a DVC repository.
        first, second: revisions as git names them; "workspace" is what lies there now.

    Returns:
        experiment → its report (a is `first`, b is `second`), and a line for each experiment that is not compared.

    Raises:
        UserError: no DVC repository, or no such revision.
    """
    for revision in (first, second):
        if not revision.strip() or not revision.isprintable():
            raise UserError(f"diff: {shown(revision)} is not a revision; see `git log --oneline`")
    try:
        repo = Repo(str(root))
    except DvcException as error:
        raise UserError(
            f"diff: {root.absolute().name} is not in a DVC repository ({error}); run it beside dvc.yaml"
        ) from None
    with repo:
        first_predictions, missing_first = _predictions(repo, root, first)
        second_predictions, missing_second = _predictions(repo, root, second)
    reports: dict[str, ComparisonReport] = {}
    lines = [*missing_first, *missing_second]
    for name in sorted(set(first_predictions) | set(second_predictions)):
        if name not in first_predictions or name not in second_predictions:
            if not any(f" {name}:" in line for line in lines):
                lines.append(f"{first if name in first_predictions else second} {name}: only this revision has it")
            continue
        a, b = first_predictions[name], second_predictions[name]
        if _same(a, b):
            lines.append(f"{name}: unchanged")
            continue
        try:
            reports[name] = report_pairs({first: a, second: b}, "lesion_id", plan, [])
        except UserError as error:
            lines.append(f"{name}: {error}")
    return reports, lines


def _same(a: Predictions, b: Predictions) -> bool:
    """Return whether two sets of predictions say the same: of which images, with which truth, and what."""
    arrays = ("image_ids", "lesions", "labels", "folds", "probabilities")
    return a.layers == b.layers and all(np.array_equal(getattr(a, name), getattr(b, name)) for name in arrays)


def _predictions(repo: Repo, root: Path, revision: str) -> tuple[dict[str, Predictions], list[str]]:
    """Return the predictions of every experiment of a revision, and a line for each that is not available."""
    if revision == WORKSPACE:
        paths = sorted(path for folder in _FOLDERS for path in root.glob(f"reports/{folder}/*/predictions.csv"))
        return {path.parent.name: read_predictions(path)[0] for path in paths}, []
    predictions: dict[str, Predictions] = {}
    missing: list[str] = []
    here = root.absolute().relative_to(repo.root_dir)
    try:
        with switch(repo, repo.scm.resolve_rev(revision)), tempfile.TemporaryDirectory() as folder:
            for out in repo.index.outs:
                path = Path(out.fs_path).relative_to(repo.root_dir)  # both are paths in the revision's tree here
                homes = [here / "reports" / folder for folder in _FOLDERS]
                if path.name != "predictions.csv" or path.parent.parent not in homes:
                    continue
                name = path.parent.name
                copy = Path(folder) / f"{name}.csv"
                try:
                    # Read, never get_file: that links the copy to the cache, and what is written to it later
                    # would be written into the cache.
                    with repo.dvcfs.open(path.as_posix(), "rb") as stream:
                        copy.write_bytes(stream.read())
                except (DvcException, OSError):
                    missing.append(
                        f"{revision} {name}: its predictions are neither in the DVC cache nor in a remote; "
                        f"get them with `dvc fetch`, or `git switch --detach {revision} && dvc repro`"
                    )
                    continue
                try:
                    predictions[name] = read_predictions(copy)[0]
                except UserError as error:  # it names the copy, which nobody has seen
                    missing.append(f"{revision} {name}: {str(error).replace(str(copy), 'predictions.csv')}")
    except SCMError:
        raise UserError(f"diff: {revision} is not a revision of this repository; see `git log --oneline`") from None
    except (DvcException, OSError) as error:
        reason = shown_problem(error)
        raise UserError(
            f"diff: {revision} has no DVC pipeline here that can be read ({reason}); take a later revision"
        ) from None
    return predictions, missing
