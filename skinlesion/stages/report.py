"""report: one self-contained page and the results table, from what the other stages wrote."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.data.store import PREPARED_NAME
from skinlesion.errors import UserError
from skinlesion.evaluation.metrics import confusion_matrix
from skinlesion.evaluation.predictions import read_predictions
from skinlesion.files import read_csv, read_json, write_csv, write_text
from skinlesion.params import Params
from skinlesion.report import figures, tables
from skinlesion.report.html import render
from skinlesion.report.tables import Result
from skinlesion.report.text import latex_table
from skinlesion.stages.assessed import assessed, subgroup_page
from skinlesion.stages.cards import card
from skinlesion.stages.contracts import (
    AUDIT_NAME,
    BOOTSTRAP_METHOD,
    COMPARISON_COLUMNS,
    EXTERNAL_FOLDER,
    EXTERNAL_NAME,
    EXTERNAL_NOTES_NAME,
    HISTORY_NAME,
    METRICS_NAME,
    NAIVE_METHOD,
    NOTES_NAME,
    PREDICTIONS_NAME,
    SHORTCUTS_NAME,
)
from skinlesion.stages.explained import explained
from skinlesion.stages.workspace import Workspace
from skinlesion.vocabulary import CLASSES

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"

_TITLES = {"balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1", "macro_auc": "macro AUC"}


def report(params: Params, workspace: Workspace) -> Path:
    """Write report.html, subgroups.html, cards/, figures/ and results.{md,csv,tex} to reports/; return the page's path.

    Raises:
        UserError: a file of an earlier stage is missing.
    """
    results = [_result(params, workspace, name) for name in params.systems]
    prepared = read_json(workspace.prepared / PREPARED_NAME, "run `skinlesion prepare` first")
    page, drawn = _page(params, workspace, results, prepared)
    shutil.rmtree(workspace.figures, ignore_errors=True)
    for name, svg in drawn.items():
        write_text(workspace.figures / f"{name}.svg", svg)
    described = tables.describe(results, prepared)
    write_text(workspace.reports / "results.md", tables.markdown(results, described))
    write_text(workspace.reports / "results.tex", latex_table(tables.header(), tables.rows(results), described))
    write_csv(workspace.reports / "results.csv", pd.DataFrame(tables.rows(results), columns=tables.header()))
    write_text(workspace.reports / "report.html", page)
    shutil.rmtree(workspace.cards, ignore_errors=True)  # the cards of experiments that are no more
    for result in results:
        if result.name in params.experiments:
            write_text(workspace.cards / f"{result.name}.md", card(params, workspace, result, prepared))
    write_text(workspace.reports / "subgroups.html", subgroup_page(params, workspace, prepared["synthetic"]))
    return workspace.reports / "report.html"


def write_readme_table(workspace: Workspace, readme: Path) -> None:
    """Put reports/results.md between the markers in `readme`.

    Raises:
        UserError: the markers are not there.
    """
    text = readme.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise UserError(f"{readme}: the lines {BEGIN} and {END} are missing; add them where the table belongs")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    table = (workspace.reports / "results.md").read_text(encoding="utf-8")
    write_text(readme, f"{before}{BEGIN}\n{table}{END}{after}")


def _result(params: Params, workspace: Workspace, name: str) -> Result:
    folder = workspace.system(params, name)
    command = "ensemble --name" if name in params.ensembles else "evaluate --experiment"
    remedy = f"run `skinlesion {command} {name}`"
    return Result(name, read_json(folder / METRICS_NAME, remedy), read_json(folder / NOTES_NAME, remedy))


def _page(
    params: Params, workspace: Workspace, results: list[Result], prepared: dict[str, Any]
) -> tuple[str, dict[str, str]]:
    """Return the page, and its figures by name."""
    remedy = "run `skinlesion stats` first"
    folder = workspace.reports / "stats"
    comparisons = read_csv(folder / "comparisons.csv", COMPARISON_COLUMNS, remedy)
    comparisons["verdict"] = comparisons["verdict"].fillna("")
    others = {
        name: read_csv(folder / f"{name}.csv", ("a", "b"), remedy)
        for name in ("claims", "external", "flips", "variance", "detectable")
    }
    metric, title = params.stats.primary, _TITLES[params.stats.primary]
    primary = comparisons[comparisons["metric"] == metric]
    pairs = side_by_side(primary)
    detectable = others["detectable"]
    claims = others["claims"].to_dict("records")
    assessment = assessed(params, workspace)
    drawn = {
        "claims": figures.claims(claims, title, params.stats.margin) if claims else "",
        "differences": figures.differences(pairs, title, params.stats.margin),
        "leader_board": figures.leader_board(results, metric, title),
        **{f"assessment_{place}": svg for place, (svg, _) in enumerate(assessment["figures"], start=1)},
        **{f"confusion_{name}": _confusion(workspace.system(params, name)) for name in params.systems},
    }
    page = render(
        "page.html.j2",
        counted=_counted(others["claims"]),
        claims_svg=drawn["claims"],
        explained=explained(params, workspace),
        training=[(name, _training(workspace, name)) for name in assessment["shown"].values()],
        title=params.report.title,
        prepared=prepared,
        split=read_json(workspace.reports / "split.json", "run `skinlesion split` first"),
        classes=CLASSES,
        margin=params.stats.margin,
        claims=claims,
        pairs=pairs,
        primary_title=title,
        confidence=f"{params.stats.confidence:.0%}",
        differences_svg=drawn["differences"],
        board_svg=drawn["leader_board"],
        header=tables.header(),
        rows=tables.rows(results),
        described=tables.describe(results, prepared),
        comparisons=comparisons.to_dict("records"),
        flips=_by_class(others["flips"], lambda row: f"−{row['lost']} +{row['gained']}"),
        variance=others["variance"].to_dict("records"),
        detectable=_by_class(
            detectable, lambda row: "none" if pd.isna(row["detectable"]) else f"{row['detectable']:.3f}"
        ),
        lesions=dict(zip(detectable["dx"], detectable["lesions"], strict=True)),
        skipped=read_json(folder / "stats.json", remedy)["skipped"],
        confusions=[(result.name, _confusion(workspace.system(params, result.name))) for result in results],
        folders={
            result.name: workspace.system(params, result.name).relative_to(workspace.reports).as_posix()
            for result in results
        },
        published=tables.published(
            [row.model_dump() for row in params.published], {result.name: result for result in results}
        ),
        assessed=assessment,
        external=_external(params, workspace, others["external"], metric),
        audit=read_json(workspace.audit / AUDIT_NAME, "run `skinlesion audit` first"),
        shortcuts=read_csv(workspace.audit / SHORTCUTS_NAME, ("predictor",), "run `skinlesion audit` first").to_dict(
            "records"
        ),
        provenance=_provenance(params, results, prepared),
    )
    return page, {name: svg for name, svg in drawn.items() if svg}


def _counted(claims: pd.DataFrame) -> str:
    """Return how many claims got which answer, in words."""
    counts = claims["answer"].value_counts()
    return ", ".join(f"{count} {answer}" for answer, count in counts.items())


def _training(workspace: Workspace, name: str) -> str:
    history = read_csv(
        workspace.results(name) / HISTORY_NAME, ("step",), f"run `skinlesion evaluate --experiment {name}`"
    )
    return figures.training(history)


def side_by_side(primary: pd.DataFrame) -> list[dict[Any, Any]]:
    """Return the clustered rows of one metric, each with its naive twin and the design effect (squared width ratio)."""
    rows = primary[primary["method"] == BOOTSTRAP_METHOD].to_dict("records")
    twins = {(row["a"], row["b"]): row for row in primary[primary["method"] == NAIVE_METHOD].to_dict("records")}
    for row in rows:
        twin = twins[row["a"], row["b"]]
        width = twin["high"] - twin["low"]
        row["naive"] = twin
        row["design_effect"] = ((row["high"] - row["low"]) / width) ** 2 if width else float("nan")
    return rows


def _by_class(table: pd.DataFrame, cell: Callable[[dict[Any, Any]], str]) -> list[tuple[str, list[str]]]:
    """Return one line a pair: its name and a cell for each class, empty where the class is absent."""
    lines = []
    for (a, b), rows in table.groupby(["a", "b"], sort=False):
        cells = {row["dx"]: cell(row) for row in rows.to_dict("records")}
        lines.append((f"{b} against {a}", [cells.get(dx, "") for dx in CLASSES]))
    return lines


def _confusion(folder: Path) -> str:
    predictions, _ = read_predictions(folder / PREDICTIONS_NAME)
    answers = predictions.probabilities.argmax(axis=2)  # (S, N)
    return figures.confusion(
        np.sum([confusion_matrix(predictions.labels, layer) for layer in answers], axis=0), CLASSES
    )


def _external(params: Params, workspace: Workspace, differences: pd.DataFrame, metric: str) -> list[dict[str, Any]]:
    """Return what the page says of each external data set: what it is, every experiment's figures, and pairs."""
    sets = []
    for one in params.external:
        rows, notes = [], {}
        for name in params.experiments:
            folder, remedy = workspace.results(name), f"run `skinlesion evaluate --experiment {name}`"
            rows.append({"name": name} | read_json(folder / EXTERNAL_NAME, remedy)[one.name])
            notes[name] = read_json(folder / EXTERNAL_FOLDER / EXTERNAL_NOTES_NAME, remedy)[one.name]
            rows[-1]["folds"] = notes[name]["folds"]
        mine = differences[(differences["external"] == one.name) & (differences["metric"] == metric)]
        sets.append({"name": one.name, "rows": rows, "about": notes[rows[0]["name"]], "pairs": mine.to_dict("records")})
    return sets


def _provenance(params: Params, results: list[Result], prepared: dict[str, Any]) -> list[tuple[str, str]]:
    notes = results[0].notes
    facts = [(f"{name} version", str(value)) for name, value in notes["versions"].items()]
    facts.append(("device", ", ".join(f"{name} {value}" for name, value in notes["device"].items())))
    facts += [(f"SHA-256 of {name}", value) for name, value in prepared["checksums"].items()]
    facts.append(("SHA-256 of the prepared pixels", prepared["images_sha256"]))
    facts.append(("split seed", str(params.split.seed)))
    facts.append(("bootstrap", f"{params.stats.replicates} replicates, seed {params.stats.seed}"))
    for result in results:
        made = result.notes
        if "ensemble" in made:
            facts.append((result.name, f"{result.system['training']}; weights: weights.csv"))
            continue
        config = made["config"]
        facts.append(
            (
                result.name,
                f"{config['backbone']}, weights {config['weights']}, {result.system['training']}, "
                f"folds {config['folds']}, seeds {config['seeds']}, best epochs {made['best_epochs']}, "
                f"on {made['device']['name']} ({made['device']['type']})",
            )
        )
    return facts
