"""The results table, as Markdown for the README and as rows for the page."""

from dataclasses import dataclass
from typing import Any

_SHOWN = (
    ("balanced_accuracy", "balanced accuracy"),
    ("macro_f1", "macro F1"),
    ("macro_auc", "macro AUC"),
    ("sensitivity_mel", "melanoma sensitivity"),
    ("accuracy", "accuracy"),
)


@dataclass(frozen=True)
class Result:
    """What is known of one experiment: its metrics.json and notes.json."""

    name: str
    metrics: dict[str, float]
    notes: dict[str, Any]

    @property
    def system(self) -> dict[str, str]:
        """Return backbone, input, protocol and training in words."""
        system: dict[str, str] = self.notes["system"]
        return system

    @property
    def folds(self) -> list[int]:
        folds: list[int] = self.notes["folds"]
        return folds


def header() -> list[str]:
    """Return the column titles of `rows`."""
    return ["experiment", "backbone", "input", "training", "split by", *(title for _, title in _SHOWN)]


def rows(results: list[Result]) -> list[list[str]]:
    """Return one row of text an experiment: value and interval of each shown metric."""
    table = []
    for result in results:
        figures = [_figure(result.metrics, name) for name, _ in _SHOWN]
        system = result.system
        protocol = system["protocol"] + ("" if len(result.folds) > 1 else f", fold {result.folds[0]} only")
        table.append([result.name, system["backbone"], system["input"], system["training"], protocol, *figures])
    return table


def markdown(results: list[Result], described: str) -> str:
    """Return the table with the line that says where its figures come from."""
    titles = header()
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    lines += ["| " + " | ".join([f"`{row[0]}`", *row[1:]]) + " |" for row in rows(results)]
    return "\n".join([*lines, "", described]) + "\n"


def count_runs(folds: int, seeds: int) -> str:
    """Return how many models there are, as text."""
    return f"{folds} fold{'s' if folds > 1 else ''} × {seeds} seed{'s' if seeds > 1 else ''}"


def describe(results: list[Result], prepared: dict[str, Any]) -> str:
    """Return one sentence on data, folds, seeds, intervals and the machine behind the table."""
    notes = results[0].notes
    kind = "SYNTHETIC data, no finding about patients" if prepared["synthetic"] else "HAM10000"
    runs = sorted({(len(one.notes["folds"]), len(one.notes["seeds"])) for one in results})
    plan = "; ".join(count_runs(folds, seeds) for folds, seeds in runs)
    versions, device = notes["versions"], notes["device"]
    return (
        f"{kind}: {prepared['images']:,} images of {prepared['lesions']:,} lesions at {prepared['image_size']} px; "
        f"{plan}, "
        f"mean over seeds of pooled out-of-fold predictions; in brackets: {notes['interval']}. "
        f"Made by skinlesion {versions['skinlesion']}, torch {versions['torch']}, timm {versions['timm']} "
        f"on {device['type']} ({device['threads']} threads), images {notes['data']['images_sha256'][:12]}."
    )


def _figure(metrics: dict[str, float], name: str) -> str:
    if name not in metrics:
        return "undefined"
    if f"{name}_low" not in metrics:
        return f"{metrics[name]:.3f}"
    return f"{metrics[name]:.3f} ({metrics[f'{name}_low']:.3f}–{metrics[f'{name}_high']:.3f})"


def published(rows: list[dict[str, Any]], results: dict[str, Result]) -> list[dict[str, Any]]:
    """Return one row a published system: its figures, reproduced (split by image) and honest (split by lesion).

    The metrics are those that were published, and balanced accuracy where it was not among them.
    """
    table = []
    for row in rows:
        metrics = list(dict.fromkeys([*row["published"], "balanced_accuracy"]))
        table.append({
            "system": row["system"],
            "setting": row["setting"],
            "note": row["note"],
            "published": [f"{_words(name)} {value:.3f}" for name, value in row["published"].items()],
            "reproduced": _cell(row["reproduced"], metrics, results),
            "honest": _cell(row["honest"], metrics, results),
        })  # fmt: skip
    return table


def _cell(name: str | None, metrics: list[str], results: dict[str, Result]) -> dict[str, Any]:
    if name is None:
        return {"experiment": "", "figures": ["not yet run"]}
    result = results[name]
    figures = [f"{_words(metric)} {_figure(result.metrics, metric)}" for metric in metrics]
    if len(result.folds) == 1:
        figures.append(f"fold {result.folds[0]} only")
    return {"experiment": name, "figures": figures}


def _words(metric: str) -> str:
    return metric.replace("_", " ")
