"""The page of subgroups: the best experiment of each kind by groups of patients, and what metadata adds."""

from functools import partial
from typing import Any

import pandas as pd

from skinlesion.evaluation.registry import title_of
from skinlesion.numbers import MISSING, row_interval
from skinlesion.report import curves
from skinlesion.report.embedded import embedded_csv
from skinlesion.report.figures import groups
from skinlesion.report.forest import both_widths
from skinlesion.report.templates import render
from skinlesion.results.reader import Results
from skinlesion.vocabulary import CLASSES

#: Metrics that have a figure, by groups: name in subgroups.csv → title.
_GROUP_TITLES = {
    "balanced_accuracy": title_of("balanced_accuracy"),
    "malignant_sensitivity": "sensitivity to malignancy at the operating point",
    "malignant_auc": title_of("malignant_auc"),
    "confidence_minus_accuracy": "confidence minus accuracy, calibrated",
}
#: Metrics whose Shapley values are drawn.
_SHAPLEY = ("balanced_accuracy", "macro_auc", "sensitivity_mel")


def subgroup_page(results: Results) -> str:
    """Return the page of subgroups and metadata curves.

    Raises:
        UserError: a system was not assessed, or the value of metadata not computed.
    """
    missing, shapley, classes = (results.metadata_table(table) for table in ("missing", "shapley", "shapley_classes"))
    names = list(dict.fromkeys(missing["experiment"]))
    detailed = results.best.get("multimodal", names[0] if names else "")
    rows = shapley[shapley["experiment"] == detailed]
    return render(
        "subgroups.html.j2",
        title=results.params.report.title,
        synthetic=results.synthetic,
        systems=[_system(results, kind, name) for kind, name in results.best.items()],
        metadata=[_missing(missing[missing["experiment"] == name]) for name in names],
        shapley_svg=curves.shares(rows.to_dict("records"), {name: title_of(name) for name in _SHAPLEY})
        if len(rows)
        else "",
        detailed=detailed,
        shapley_csv=embedded_csv("shapley_classes", classes),
        classes=CLASSES,
        by_class=_by_class(classes[(classes["experiment"] == detailed) & (classes["figure"] == "own")])
        if len(classes)
        else [],
    )


def _system(results: Results, kind: str, name: str) -> dict[str, Any]:
    """Return one system's figures by group, the gaps that are significant, and the groups without figures."""
    table = results.subgroups(name)
    figures = []
    for metric, title in _GROUP_TITLES.items():
        rows = table[(table["metric"] == metric) & table["value"].notna()].to_dict("records")
        if rows:
            drawn = both_widths(partial(groups, rows, title), f"{title}, by group, of {name}")[1]
            caption = (
                f"{title[0].upper()}{title[1:]}, by group. Tick: the other images, on the classes that both show; "
                "diamond: worst of its column."
            )
            figures.append((drawn, caption))
    significant = table[table["p_adjusted"] < 1 - results.params.evaluate.confidence]
    return {
        "kind": kind,
        "name": name,
        "figures": figures,
        "gaps": [
            row | {"title": _GROUP_TITLES[row["metric"]]}
            for row in significant[significant["metric"].isin(_GROUP_TITLES)].to_dict("records")
        ],
        "csv": embedded_csv("subgroups", table),
        "conformal_csv": embedded_csv("conformal", results.assessment_table(name, "conformal")),
        "small": table[table["note"].str.startswith("too small")].to_dict("records"),
        "absent": results.assessment_notes(name)["subgroup_columns_not_in_the_data"],
    }


def _missing(rows: pd.DataFrame) -> dict[str, Any]:
    twin = rows["twin"].iloc[0]
    return {
        "name": rows["experiment"].iloc[0],
        "twin": "" if pd.isna(twin) else twin,
        "svg": curves.missing(rows, "balanced_accuracy", title_of("balanced_accuracy")),
    }


def _by_class(table: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """Return one line per field: what it adds to the probability of the truth, per class."""
    lines = []
    for field, rows in table.groupby("field", sort=False):
        by_dx = rows.set_index("dx").to_dict("index")
        cells = [row_interval(by_dx[dx], signed=True) if dx in by_dx else MISSING for dx in CLASSES]
        lines.append((str(field), cells))
    return lines
