"""What commands print on the terminal: results for people, and predictions as text, CSV or JSON lines."""

import csv
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from skinlesion.errors import one_line, printable
from skinlesion.numbers import (
    count,
    figure,
    interval,
    interval_note,
    number,
    percent,
    scientific,
)
from skinlesion.progress import progress
from skinlesion.report import prediction_words as words
from skinlesion.table_files import without_formula
from skinlesion.vocabulary import PROBABILITY_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

    from skinlesion.analysis.pair_report import ComparisonReport
    from skinlesion.experiment.answering import AnsweringModel
    from skinlesion.experiment.training_runs import RunSummary
    from skinlesion.params import TrainParams

_NOTICE = "research software, not for diagnosis"
_PLACES = 4  # after the point of a metric

#: Columns of predictions as CSV: what must be known first stands before the answer.
_PREDICTION_COLUMNS = (
    "file", "experiment", "sees", "record", "trained_on", "synthetic", "unlike", "unlike_training", "warnings",
    "answer", *PROBABILITY_COLUMNS, "malignant", "malignant_prevalence", "remarks", "set", "called", "error",
)  # fmt: skip


def say(text: str, file: TextIO | None = None) -> None:
    """Print lines, in which characters that a terminal would act upon are escaped: ids and names are of the user."""
    print("\n".join(printable(line) for line in text.split("\n")), file=file, flush=True)


def json_text(content: Any, indent: int | None = None) -> str:
    """Return JSON that every reader knows: ASCII, and null for what is no finite number."""
    return json.dumps(_finite(content), indent=indent, sort_keys=indent is not None, allow_nan=False)


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def warn(warnings: Iterable[str]) -> None:
    """Print warnings to standard error, one line each."""
    for warning in warnings:
        say(printable(f"warning: {warning}"), file=sys.stderr)


def show_prepared(summary: Mapping[str, Any], folder: Path) -> None:
    """Print what `prepare` stored in `folder`; `summary` is the content of prepared.json."""
    classes = ", ".join(f"{dx} {number(images, 0)}" for dx, images in summary["images_by_class"].items())
    say(summary["attribution"])
    images, lesions = count(summary["images"], "image"), count(summary["lesions"], "lesion")
    say(f"{images} of {lesions} at {summary['image_size']} px: {classes}")
    for word, dropped in summary.get("dropped", {}).items():
        say(f"excluded, no matching class: {word} {number(dropped, 0)}")
    for problem, ids in summary["rejected"].items():
        say(f"left out, {problem}: {', '.join(ids)}")
    left_out = sum(len(ids) for ids in summary["rejected"].values())
    if left_out:
        say(f"{count(left_out, 'finding')} left out; listed in {folder}")


def show_splits(certificate: Mapping[str, Any]) -> None:
    """Print how much each protocol leaks, on the first partition; `certificate` is the content of split.json."""
    for protocol in ("lesion", "image"):
        shares = certificate[protocol]["test_images_with_lesion_in_training"].values()
        crossing = count(certificate[protocol]["lesions_across_parts"], "lesion")
        leak = percent(sum(shares) / len(shares), 1)
        say(f"{protocol} protocol: {crossing} across parts, {leak} of test images leak")
    for name, published in certificate.get("published", {}).items():
        leak = percent(published["test_images_with_lesion_in_training"], 1)
        whose = "the published images" if published["is_the_published_one"] else "the same rule on these images"
        say(f"{name} ({whose}): {leak} of {count(published['test_images'], 'test image')} leak")
    if "repeats" in certificate:
        say(f"{count(1 + len(certificate['repeats']), 'partition')} drawn")


def show_audit(audit: Mapping[str, Any]) -> None:
    """Print the duplicates and overlaps that `audit` found."""
    rule = audit["calibration"]
    say(f"exact duplicates: {count(audit['exact_duplicates'], 'pair')}")
    say(
        f"near-duplicates under different lesion ids: {count(audit['near_duplicates'], 'pair')}, "
        f"{number(audit['near_duplicates_across_parts'], 0)} across parts "
        f"(cosine ≥ {number(rule['cosine_threshold'], 3)}, {scientific(rule['false_positive_rate'])} of "
        f"{count(rule['different_lesion_pairs'], 'pair')} of different lesions)"
    )
    if audit["known_pairs"]:
        say(
            f"known pairs of one lesion under two ids: {number(audit['known_pairs_found'], 0)} of "
            f"{number(audit['known_pairs'], 0)} detected"
        )
    for name, images in audit["overlap"].items():
        verb = "is" if images == 1 else "are"
        say(f"{name}: {count(images, 'image')} {verb} also in the data set and left out")


def show_settings(settings: "TrainParams", folder: Path) -> None:
    """Print the folder that a training writes to, and the fields in which it differs from the schema's defaults."""
    fields, defaults = settings.model_dump(mode="json"), type(settings)().model_dump(mode="json")
    differing = {name: _differing(value, defaults[name]) for name, value in fields.items() if value != defaults[name]}
    width = max((len(name) for name in differing), default=0)
    say(f"training into {folder}; all settings: `run.json` of each run; other than by default:")
    for name, value in differing.items():
        say(f"  {name:<{width}}  {value}")


def _differing(value: Any, default: Any) -> str:
    """Return a setting in words; of a mapping only what differs from the default."""
    if not isinstance(value, dict) or not isinstance(default, dict):
        return "none" if value is None else str(value)
    return ", ".join(f"{name} {setting}" for name, setting in value.items() if setting != default.get(name))


def show_runs(summaries: Sequence["RunSummary"], folder: Path) -> None:
    """Print one line per training run."""
    for run in summaries:
        state = "already complete" if run.skipped else "trained"
        say(
            f"{run.run}: {state}, best epoch {run.best_epoch}, "
            f"validation balanced accuracy {number(run.validation_balanced_accuracy, _PLACES)}"
        )
    say(f"{count(len(summaries), 'run')} in {folder}; next: `skinlesion evaluate`")


def show_metrics(metrics: Mapping[str, float], folder: Path) -> None:
    """Print the main metrics of metrics.json with their intervals."""
    from skinlesion.evaluation.registry import SUMMARY

    for name in SUMMARY:
        if name in metrics:
            say(f"{name:>18} {figure(metrics, name, _PLACES)}")
    say(f"written to {folder}")


def show_figures(figures: Mapping[str, float]) -> None:
    """Print flat figures, one line each, with their intervals."""
    names = [name for name in figures if not name.endswith(("_low", "_high"))]
    width = max((len(name) for name in names), default=0)
    for name in names:
        say(f"  {name:>{width}}  {figure(figures, name, _PLACES)}")


def show_figures_of(systems: Mapping[str, Mapping[str, float]], folder: Path) -> None:
    """Print flat figures under the name of the experiment or ensemble they belong to."""
    for name, figures in systems.items():
        say(name)
        show_figures(figures)
    say(f"written to {folder}")


def show_verdicts(comparisons: "pd.DataFrame") -> None:
    """Print one line per row of comparisons.csv: difference, the interval that allows for its family, and verdict."""
    for row in comparisons.to_dict("records"):
        difference = interval(row["difference"], row["low_adjusted"], row["high_adjusted"], _PLACES, signed=True)
        say(f"{row['b']} − {row['a']}: {row['metric']} {difference}, {row['verdict']} ({row['family']})")


def show_comparison(report: "ComparisonReport") -> None:
    """Print the answer of a comparison, then every pair: metrics, tests, design effect, answers lost and gained."""
    from skinlesion.report.comparison_words import comparison_lines

    for line in comparison_lines(report):
        say(line)
    warn(report.warnings)


def show_scores(metrics: Mapping[str, float], notes: Mapping[str, Any], assessment: Mapping[str, float]) -> None:
    """Print every metric of a prediction file, what is undefined and why, and the assessment if there is one."""
    say(f"{count(notes['images'], 'image')} of {count(notes['lesions'], 'lesion')}; {interval_note(notes)}")
    show_figures(metrics)
    for name, reason in notes["undefined"].items():
        say(f"  {name}  undefined: {reason}")
    if assessment:
        say("fitted on validation:")
        show_figures(assessment)
    warn(notes["warnings"])


class PredictionPrinter:
    """Prints one row per photograph; what could not be read goes to standard error and is counted in `failed`."""

    def __init__(self, form: str, models: Iterable["AnsweringModel"], photographs: int) -> None:
        self.form, self.failed = form, 0
        self._writer: Any = None
        for model in models:
            say(f"{_model_text(model)}; {_NOTICE}", file=sys.stderr)
        show_progress = form != "text" and photographs > 1
        self._progress = progress("photographs", photographs, unit="images") if show_progress else None
        self._advance = self._progress.__enter__() if self._progress else None

    def show(self, row: Mapping[str, Any]) -> None:
        """Print one row of `predict`."""
        if self._advance:
            self._advance()
        if row["error"]:
            self.failed += 1
            say(f"error: {one_line(row['error'])}", file=sys.stderr)
        if self.form == "json":
            print(json_text(_with_words(row)), flush=True)
        elif self.form == "csv":
            self._show_csv(row)
        elif not row["error"]:
            say(_prediction_text(row))

    def end(self) -> None:
        """Close the progress bar and print how many photographs could not be read."""
        if self._progress:
            self._progress.__exit__(None, None, None)
        if self.failed:
            say(f"{self.failed} could not be read", file=sys.stderr)

    def _show_csv(self, row: Mapping[str, Any]) -> None:
        extended = _with_words(row)
        flat = {name: "" if extended.get(name) is None else extended[name] for name in _PREDICTION_COLUMNS}
        for name in ("warnings", "remarks"):
            flat[name] = "; ".join(extended.get(name) or [])
        flat["set"] = " ".join(row.get("set") or [])
        flat["called"] = "; ".join(rule for rule, called in row.get("called", {}).items() if called)
        if self._writer is None:
            self._writer = csv.DictWriter(sys.stdout, list(flat), lineterminator="\n")
            self._writer.writeheader()
        self._writer.writerow(
            {name: without_formula(printable(cell)) if isinstance(cell, str) else cell for name, cell in flat.items()}
        )


def _model_text(model: "AnsweringModel") -> str:
    predictor = model.predictor
    parts = [f"{model.name}, {count(len(predictor.runs), 'model')}"]
    if predictor.synthetic:
        parts.append(words.SYNTHETIC)
    if predictor.prevalence is None:
        parts.append(f"risks not calibrated: run `skinlesion evaluate {model.name}`")
    else:
        share, source = predictor.prevalence.malignant, words.source_name(predictor.source)
        parts.append(
            f"risks hold where {percent(share, 1)} of images are malignant, as in {source}, and not where fewer or "
            "more are"
        )
    if not predictor.calibrated:
        parts.append(f"no sets, no thresholds: run `skinlesion assess {model.name}`")
    return "; ".join(parts)


def _with_words(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its warnings before the answer and its remarks after the probabilities."""
    if row["error"]:
        return dict(row)
    extended: dict[str, Any] = {}
    for name, value in row.items():
        if name == "answer":
            extended["warnings"] = words.warnings_of(row)
        extended[name] = value
        if name == "malignant_prevalence":
            extended["remarks"] = words.remarks_of(row)
    return extended


def _prediction_text(row: Mapping[str, Any]) -> str:
    warnings = words.warnings_of(row)
    others = [name for name in words.ranked(row) if name != row["answer"]][:2]
    shares = ", ".join(f"{name} {percent(row[f'p_{name}'], 1)}" for name in others)
    lines = [
        ": ".join([printable(row["file"]), *warnings[:1]]),
        *(f"  {warning}" for warning in warnings[1:]),
        f"  {words.answered_by(row)}",
        f"  {words.answer_text(row)}; others: {shares}",
        f"  malignant (akiec, bcc, mel): {percent(row['malignant'], 1)}, {words.risk_basis(row)}"
        + _thresholds_text(row["called"]),
        *(f"  note: {remark}" for remark in words.remarks_of(row)),
    ]
    if row["set"] is not None:
        lines.append(f"  cannot be ruled out: {', '.join(row['set']) or 'none of the seven fits well'}")
    if not row["unlike_training"]:  # else it was the first thing said
        lines.append(f"  {words.likeness_text(row)}")
    return "\n".join(lines)


def _thresholds_text(calls: Mapping[str, bool]) -> str:
    if not calls:
        return ""
    above = [rule for rule, called in calls.items() if called]
    below = [rule for rule, called in calls.items() if not called]
    parts = [f"above the threshold at {', '.join(above)}"] if above else []
    parts += [f"below the threshold at {', '.join(below)}"] if below else []
    return "; " + "; ".join(parts)
