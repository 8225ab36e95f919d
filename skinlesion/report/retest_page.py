"""The page of `retest`: a reanalysis of published predictions."""

import re
from typing import Any

import pandas as pd

from skinlesion.analysis.plan import Plan
from skinlesion.analysis.retest import LEVEL, METRICS, Retest
from skinlesion.evaluation.registry import title_of
from skinlesion.numbers import interval, number
from skinlesion.report.forest import WIDE, Line, Row, both_widths, forest, linear
from skinlesion.report.svg import BLUE
from skinlesion.report.templates import render, render_text
from skinlesion.vocabulary import CLASS_NAMES

#: In every page of this kind: only such a page is written over.
PAGE_MARK = "<!-- skinlesion retest -->"

_SHOWN_IDS = 20
_OPPOSITE = {"higher": "lower", "lower": "higher"}
_TURNED = re.compile("|".join(_OPPOSITE))
_GROUP_WORDS = {"age_band": "age", "confirmed": "diagnosis by"}


def retest_pages(result: Retest, plan: Plan, confidence: float) -> dict[str, str]:
    """Return the page as HTML, complete in itself, and as Markdown with the figure it shows: by ending of the file."""
    models = result.models.sort_values(plan.primary, ascending=False)
    figures = result.figures.to_dict("records")
    svg, drawn = both_widths(
        lambda width: models_forest(models, result.figures, plan.primary, width),
        "Every model with its interval, and what was published",
    )
    values = {
        "mark": PAGE_MARK,
        "certificate": result.certificate,
        "class_names": CLASS_NAMES,
        "confidence": confidence,
        "metrics": {name: title_of(name) for name in dict.fromkeys([*METRICS, plan.primary])},
        "models": models.to_dict("records"),
        "title": title_of(plan.primary),
        "forest": drawn,
        "figures": figures,
        "columns": list(dict.fromkeys(result.figures.get("column", []))),
        "by_model": _by_model(result.figures),
        "unequal": [row for row in figures if not row["equal"]],
        "means": [row for row in figures if row["is_bootstrap_mean"]],
        "pairs": _primary(result.pairs, plan),
        "counts": _counts(result.pairs, plan),
        "margin": plan.margins.get(plan.primary),
        "groups": _groups(result.groups, models["model"].iloc[0]),
        "best": models["model"].iloc[0],
        "shown_ids": _SHOWN_IDS,
    }
    return {"html": render("retest.html.j2", **values), "md": render_text("retest.md.j2", **values), "svg": svg}


def retest_summary(result: Retest) -> dict[str, Any]:
    """Return everything on the page as JSON-able values, None where there is no value."""
    tables = {name: getattr(result, name) for name in ("models", "figures", "pairs", "groups")}
    return {"certificate": result.certificate} | {
        name: table.astype(object).where(table.notna(), None).to_dict("records") for name, table in tables.items()
    }


def _primary(pairs: pd.DataFrame, plan: Plan) -> list[dict[Any, Any]]:
    """Return the pairs of the primary metric, the better model as b, the largest difference first."""
    if pairs.empty:
        return []
    rows = []
    for row in pairs[pairs["metric"] == plan.primary].to_dict("records"):
        if row["difference"] < 0:
            row |= {"a": row["b"], "b": row["a"], "a_value": row["b_value"], "b_value": row["a_value"]}
            row |= {"difference": -row["difference"], "low": -row["high"], "high": -row["low"]}
            row["verdict"] = _TURNED.sub(lambda word: _OPPOSITE[word[0]], row["verdict"])
        rows.append(row)
    return sorted(rows, key=lambda row: -row["difference"])


def _counts(pairs: pd.DataFrame, plan: Plan) -> dict[str, int]:
    """Return how many pairs there are, differ, and were published as different, of the primary metric."""
    if pairs.empty:
        return {}
    rows = pairs[pairs["metric"] == plan.primary]
    stated = rows[rows["published_p"].notna()]
    return {
        "pairs": len(rows),
        "differ": int((rows["p_holm"] < LEVEL).sum()),
        "published": len(stated),
        "published_significant": int((stated["published_p"].astype(float) < LEVEL).sum()),
        "published_kept": int(((stated["published_p"].astype(float) < LEVEL) & (stated["p_holm"] < LEVEL)).sum()),
    }


def _by_model(figures: pd.DataFrame) -> dict[str, dict[str, dict[Any, Any]]]:
    rows: dict[str, dict[str, dict[Any, Any]]] = {}
    for row in figures.to_dict("records"):
        rows.setdefault(row["model"], {})[row["column"]] = row
    return rows


def _groups(groups: pd.DataFrame, best: str) -> list[dict[Any, Any]]:
    """Return the groups of the best model."""
    if groups.empty:
        return []
    rows = groups[groups["model"] == best]
    return [row | {"column": _GROUP_WORDS.get(row["column"], row["column"])} for row in rows.to_dict("records")]


def models_forest(models: pd.DataFrame, figures: pd.DataFrame, primary: str, width: int = WIDE) -> str:
    """Return the primary metric of every model with its interval, and the published value and its own below."""
    published = published_values(figures, primary)
    rows = []
    for row in models.to_dict("records"):
        value, low, high = (row[f"{primary}{part}"] for part in ("", "_low", "_high"))
        stated = published.get(row["model"])
        rows.append(
            Row(
                row["model"], value, low, high, interval(value, low, high), colour=BLUE,
                words="" if stated is None else f"published: {number(stated['published'])}",
                thin=() if stated is None else (Line(stated["published_low"], stated["published_high"]),),
            )
        )  # fmt: skip
    ends = [end for row in rows for end in (row.low, row.value, row.high)]
    return forest(rows, linear(ends), title_of(primary), lambda tick: f"{tick:.2f}", width, zero=False)


def published_values(figures: pd.DataFrame, primary: str) -> dict[str, dict[Any, Any]]:
    """Return the published primary metric by model, with its limits where they were published."""
    if not len(figures):
        return {}
    rows = figures[figures["metric"] == primary].drop_duplicates("model")
    return {row["model"]: row for row in rows.to_dict("records")}
