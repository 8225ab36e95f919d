"""The reference of metrics, from `skinlesion/evaluation/registry.py` and the docstrings of what defines them."""

import inspect
import re
import sys
from collections.abc import Callable
from typing import Any

from marked import anchor

from skinlesion.evaluation import auc, registry, reliability
from skinlesion.evaluation.registry import CARD, METRICS, MONITORED, SUMMARY, TABLE, Metric
from skinlesion.params import StatsParams

Function = Callable[..., Any]

#: Metric that is no function of counts → the words before its definition, the function whose docstring defines it, and
#: the function whose docstring cites the source.
SCORED: dict[str, tuple[str, Function, Function]] = {
    "macro_auc": ("The mean over the classes of", auc.class_aucs, auc.class_aucs),
    "auc": ("", auc.class_aucs, auc.class_aucs),
    "malignant_auc": ("", registry._malignant_auc, auc.auc),
    "ece": ("", registry._ece, reliability.calibration_error),
    "brier": ("The mean over the images of", reliability.squared_errors, reliability.squared_errors),
    "nll": ("The mean over the images of", reliability.log_losses, reliability.log_losses),
}

_SHAPE = re.compile(r" ?\([A-Z](?:, ?[A-Z])*,?\)")
_NUMBERS = re.compile(r" ?\[([\d, ]+)\]")


def metrics_table() -> str:
    """Return one section for each metric, and a table of all before them."""
    lines = ["| name | title | better | 95% interval | shown in |", "|---|---|---|---|---|"]
    for metric in METRICS.values():
        name = f"{metric.name}_CLASS" if metric.per_class else metric.name
        better = "higher" if metric.higher_is_better else "lower"
        interval = "yes" if metric.counts is not None or metric.name.endswith("auc") else "no"
        lines.append(
            f"| [`{name}`](#{anchor(metric.title)}) | {metric.title} | {better} | {interval} | {_listed_in(metric)} |"
        )
    sections = [_section(metric) for metric in METRICS.values()]
    return "\n" + "\n".join(lines) + "\n\n" + "\n".join(sections)


def definition(metric: Metric) -> str:
    """Return what a metric is, in the words of the docstring of the function that computes it."""
    before, function, _ = _defined_by(metric)
    text = _NUMBERS.sub("", _SHAPE.sub("", _first_sentence(function))).removeprefix("Return ").rstrip(".")
    text = text.replace(" of each image", "") if before else text
    return f"{before} {text}." if before else f"{text[0].upper()}{text[1:]}."


def sources(metric: Metric) -> list[str]:
    """Return the references that the docstring of its definition cites; those of the module say what they are."""
    function = _defined_by(metric)[2]
    cited = {number for group in _NUMBERS.findall(_first_sentence(function)) for number in group.split(", ")}
    listed = inspect.getdoc(sys.modules[function.__module__]) or ""
    references = re.findall(r"^ *\[(\d+)\] (.+(?:\n {8,}.+)*)", listed, re.MULTILINE)
    return [re.sub(r"\s+", " ", text) for number, text in references if number in cited]


def _defined_by(metric: Metric) -> tuple[str, Function, Function]:
    return SCORED[metric.name] if metric.counts is None else ("", metric.counts, metric.counts)


def _first_sentence(function: Function) -> str:
    """Return the first paragraph of a function's docstring on one line."""
    return re.sub(r"\s+", " ", (inspect.getdoc(function) or "").partition("\n\n")[0])


def _section(metric: Metric) -> str:
    rows = [f"### {metric.title}", "", definition(metric), ""]
    rows += [f"- Source: {source}" for source in sources(metric)]
    if metric.undefined:
        reason = metric.undefined.format(dx="df", no_auc="df")
        rows.append(f"- Where it has no value, `notes.json` says why, such as: {reason}.")
    if metric.name in StatsParams().metrics:
        rows.append("- `compare` and `stats` compare models by it, unless told otherwise.")
    if metric.name in MONITORED:
        rows.append("- `train.monitor` can stop training on it.")
    return "\n".join([*rows, ""])


def _listed_in(metric: Metric) -> str:
    places = {"results table": TABLE, "model cards": CARD, "terminal": SUMMARY}
    names = set(metric.names())
    return ", ".join([place for place, listed in places.items() if names & set(listed)] or ["`metrics.json`"])
