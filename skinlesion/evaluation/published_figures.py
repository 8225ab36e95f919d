"""Reading the figures that a group published beside its predictions: a table with one row for each model."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from skinlesion.errors import UserError, name_some
from skinlesion.reading import read_csv

#: How published tables call a metric, letters alone in lower case → ours; a mean over classes has the prefix macro_.
_METRICS = {
    "accuracy": "accuracy", "acc": "accuracy", "balancedaccuracy": "balanced_accuracy", "bacc": "balanced_accuracy",
    "macrof": "macro_f1", "macrofscore": "macro_f1", "weightedf": "weighted_f1", "sensitivity": "balanced_accuracy",
    "recall": "balanced_accuracy", "specificity": "macro_specificity", "auroc": "macro_auc", "auc": "macro_auc",
    "macroauc": "macro_auc", "brier": "brier", "ece": "ece", "nll": "nll", "logloss": "nll",
}  # fmt: skip
_P_VALUE = re.compile(r"[_ ]p(?:[_ -]?value)?$", re.IGNORECASE)
_NUMBER = r"\s*(?P<{}>\d*\.?\d+)\s*"
_CELL = re.compile(rf"{_NUMBER.format('value')}(?:[(\[]{_NUMBER.format('low')}[-–,]{_NUMBER.format('high')}[)\]]\s*)?")


@dataclass(frozen=True)
class PublishedFigure:
    """One published value with its interval and p-value, None where the table has none."""

    model: str
    column: str
    metric: str
    value: float
    low: float | None
    high: float | None
    p: float | None


def read_figures(path: Path, dataset: str = "ham") -> list[PublishedFigure]:
    """Return the figures of a published table, row by row.

    Args:
        path: a CSV with a column `Model`, columns named after metrics whose cells are `0.8932` or
            `0.8932 (0.8769-0.9095)`, and maybe columns `<metric>_p_value` and `Dataset`.
        dataset: which rows count where there is a column `Dataset`: those whose entry contains this, in any case.

    Raises:
        UserError: it has no such columns, or a cell is no figure.
    """
    remedy = "give a table with a column Model and columns such as ACCURACY"
    table = read_csv(path, (), remedy, dtype=str, keep_default_na=False)
    names = {str(name).strip().lower(): name for name in table.columns}
    if "model" not in names:
        raise UserError(f"{path}: no column Model; {remedy}")
    if "dataset" in names:
        table = table[table[names["dataset"]].str.lower().str.contains(dataset, regex=False)]
    columns = {name: metric for name in table.columns if (metric := _metric_of(str(name))) is not None}
    if table.empty or not columns:
        raise UserError(f"{path}: no figures on HAM10000; {remedy}")
    figures = []
    for row in table.to_dict("records"):
        model = str(row[names["model"]]).strip()
        for column, metric in columns.items():
            cell = str(row[column]).strip()
            if not cell:
                continue
            match = _CELL.fullmatch(cell)
            if match is None:
                problem = f"{column} of {name_some([model])} is {name_some([cell])}"
                raise UserError(f"{path}: {problem}, not a number; correct it")
            low, high = (None if match[side] is None else float(match[side]) for side in ("low", "high"))
            p = _p_value(path, table, row, column)
            figures.append(PublishedFigure(model, str(column), metric, float(match["value"]), low, high, p))
    return figures


def _metric_of(column: str) -> str | None:
    return None if _P_VALUE.search(column) else _METRICS.get(re.sub(r"[^a-z]", "", column.lower()))


def _p_value(path: Path, table: pd.DataFrame, row: dict[Any, Any], column: str) -> float | None:
    p_column = next(
        (name for name in table.columns if _P_VALUE.search(name) and _P_VALUE.sub("", name) == column), None
    )
    if p_column is None or not str(row[p_column]).strip():
        return None
    try:
        return float(row[p_column])
    except ValueError:
        raise UserError(f"{path}: {p_column} is {name_some([row[p_column]])}, not a p-value; correct it") from None
