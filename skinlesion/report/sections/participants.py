"""Participants: a flow from images read to folds, and a table of who they are."""

from typing import Any

import pandas as pd

from skinlesion.data.participants import ROLES, images_by_role, participant_flow, participants_table
from skinlesion.numbers import count, number, percent
from skinlesion.report.embedded import embedded_csv
from skinlesion.report.section import Section
from skinlesion.report.templates import render
from skinlesion.results.further import first_partition
from skinlesion.results.reader import Results

_TITLES = {
    "images": "images", "lesions": "lesions", "age": "age in years", "sex": "sex", "localization": "localization",
    "dx": "diagnosis", "dx_type": "diagnosis made by", "dataset": "source of the image",
}  # fmt: skip


def participants(results: Results) -> Section:
    """Return the flow of images, what each fold trains, validates and tests on, and the table of participants."""
    metadata, split = results.metadata, first_partition(results, "lesion")
    table = participants_table(metadata, split)
    folds = images_by_role(split)
    html = render(
        "participants.html.j2",
        flow=participant_flow(results.prepared),
        prepared=results.prepared,
        folds=folds.to_dict("records"),
        roles=ROLES,
        columns=["all", *(f"fold {fold}" for fold in folds["fold"])],
        rows=_rows(table, [name for name in table.columns if name == "all" or name.startswith("fold")]),
        repeats=results.params.split.repeats,
        csv=embedded_csv("participants", table),
    )
    return Section("Participants", html)


def _rows(table: pd.DataFrame, names: list[str]) -> list[tuple[str, str, list[str]]]:
    """Return group, value and cells as text; the quartiles of age stand in one row with its median."""
    columns = [name for name in names if not name.endswith("_share")]
    ages = table[table["group"] == "age"].set_index("value")
    rows = []
    for row in table.to_dict("records"):
        if row["group"] == "age" and row["value"] in ("25%", "75%"):
            continue
        if row["group"] == "age" and row["value"] == "median":
            ends = ages.loc[["25%", "75%"]]
            cells = [
                f"{number(row[name], 0)} ({number(ends[name].iloc[0], 0)} to {number(ends[name].iloc[1], 0)})"
                for name in columns
            ]
            rows.append((_TITLES["age"], "median (quartiles)", cells))
            continue
        rows.append((_TITLES[row["group"]], row["value"], [_cell(row, name) for name in columns]))
    return rows


def _cell(row: dict[Any, Any], name: str) -> str:
    share = row[f"{name}_share"]
    return count(row[name]) if pd.isna(share) else f"{count(row[name])} ({percent(share, 1)})"
