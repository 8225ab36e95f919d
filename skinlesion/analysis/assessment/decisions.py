"""Tables of binary decisions: operating points set on validation, rankings, net benefit, cost, missed melanomas."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.analysis.assessment.inputs import AssessmentInputs
from skinlesion.analysis.estimates import estimate_sums
from skinlesion.costs import cost_matrix
from skinlesion.evaluation import decisions
from skinlesion.evaluation.decisions import TARGETS, THRESHOLDS, cases_of, risk_of
from skinlesion.evaluation.figure_names import rule_name
from skinlesion.evaluation.predictions import Run, by_lesion
from skinlesion.evaluation.ranking import precision_and_partial_auc, rank
from skinlesion.evaluation.sums import SumStatistic, mean, ratio
from skinlesion.stats.lesion_bootstrap import LesionBootstrap
from skinlesion.vocabulary import CLASSES, MALIGNANT

_RECALLS = np.arange(1, 101) / 100
_PER = 1000  # lesions, for melanomas missed


def thresholds(inputs: AssessmentInputs, target: str, side: str, level: float) -> np.ndarray:
    """Return the threshold of each tested image (S, N): that of its run, set on the run's validation part.

    Args:
        side: "specificity" or "sensitivity", which of them is to reach `level` on validation.
    """
    limits = np.empty(inputs.calibrated.shape[:2])
    for run in inputs.runs():
        limits[run.layer, run.tested] = _run_threshold(inputs, run, target, side, level)
    return limits


_CHOOSE = {
    "specificity": decisions.threshold_at_specificity,
    "sensitivity": decisions.threshold_at_sensitivity,
}


def _run_threshold(inputs: AssessmentInputs, run: Run, target: str, side: str, level: float) -> float:
    cases = cases_of(target, inputs.validation.labels[run.validation])
    risks = risk_of(target, inputs.validation_calibrated[run.layer, run.validation])
    return _CHOOSE[side](cases, risks, level)


def run_thresholds(inputs: AssessmentInputs, run: Run) -> dict[str, dict[str, float | None]]:
    """Return a run's thresholds by target and rule ("90% specificity"); null where every image is called."""
    rules = [(side, level) for side in _CHOOSE for level in inputs.assess.operating_points]
    limits: dict[str, dict[str, float | None]] = {}
    for target in TARGETS:
        values = {rule_name(level, side): _run_threshold(inputs, run, target, side, level) for side, level in rules}
        limits[target] = {rule: value if np.isfinite(value) else None for rule, value in values.items()}
    return limits


def decision_table(inputs: AssessmentInputs) -> pd.DataFrame:
    """Return `target, rule, metric, value, low, high, undefined, note`: each rule's performance on the test parts.

    Rules: "at 90% specificity" and the like (thresholds from validation), "ranking" (average precision, partial AUC).
    """
    figures: dict[tuple[str, str, str], list[SumStatistic]] = {}
    for target in TARGETS:
        cases = cases_of(target, inputs.labels)
        risks = risk_of(target, inputs.calibrated)
        for side in _CHOOSE:
            for level in inputs.assess.operating_points:
                called = risks >= thresholds(inputs, target, side, level)
                for metric, statistics in _two_by_two(cases, called).items():
                    figures[target, f"at {rule_name(level, side)}", metric] = statistics
    rows = [
        {"target": target, "rule": rule, "metric": metric} | inputs.row(estimate, inputs.lacking_for(target))
        for (target, rule, metric), estimate in inputs.estimates(figures).items()
    ]
    for target in TARGETS:
        cases = cases_of(target, inputs.labels)
        rankings = [rank(cases, layer, inputs.bootstrap.unit) for layer in risk_of(target, inputs.calibrated)]
        highest = inputs.assess.partial_auc
        by_seed = [partial(precision_and_partial_auc, ranking, highest=highest) for ranking in rankings]
        ranked = inputs.estimate_weighted(by_seed, ["average_precision", "partial_auc"])
        rows += [
            {"target": target, "rule": "ranking", "metric": metric} | inputs.row(estimate, inputs.lacking_for(target))
            for metric, estimate in ranked.items()
        ]
    return pd.DataFrame(rows)


def _two_by_two(cases: np.ndarray, called: np.ndarray) -> dict[str, list[SumStatistic]]:
    """Return the figures of calls (S, N) bool for cases (N,) bool, one statistic per seed."""
    return {
        "sensitivity": [ratio(layer & cases, cases) for layer in called],
        "specificity": [ratio(~layer & ~cases, ~cases) for layer in called],
        "precision": [ratio(layer & cases, layer) for layer in called],
        "negative_predictive_value": [ratio(~layer & ~cases, ~layer) for layer in called],
        "called": [mean(layer) for layer in called],
    }


def decision_curve(inputs: AssessmentInputs) -> pd.DataFrame:
    """Return `threshold`, then for each target the net benefit of the model (with limits) and of treating all.

    In cases found per image; treating none has 0 everywhere. Thresholds are 0, 0.01 … 0.99 and
    `assess.decision_threshold`.
    """
    risks = np.union1d(THRESHOLDS, inputs.assess.decision_threshold)

    def figures() -> Iterator[tuple[tuple[str, float], list[SumStatistic]]]:
        for target in TARGETS:
            cases = cases_of(target, inputs.labels)
            for threshold in risks:
                yield (
                    (target, threshold),
                    [decisions.net_benefit(cases, layer, threshold) for layer in risk_of(target, inputs.calibrated)],
                )

    estimates = inputs.estimates(figures())
    columns: dict[str, Any] = {"threshold": risks}
    for target in TARGETS:
        rows = [inputs.row(estimates[target, threshold], inputs.lacking_for(target)) for threshold in risks]
        for column, name in (("value", target), ("low", f"{target}_low"), ("high", f"{target}_high")):
            columns[name] = [row[column] for row in rows]
        cases = cases_of(target, inputs.labels)
        columns[f"{target}_treat_all"] = [decisions.treat_all(cases, threshold).value for threshold in risks]
    return pd.DataFrame(columns | {"treat_none": 0.0})


def precision_recall(inputs: AssessmentInputs) -> pd.DataFrame:
    """Return `recall` and the precision where each class, malignant or melanoma reaches it, mean over seeds."""
    columns: dict[str, np.ndarray] = {}
    targets = {"malignant": TARGETS["malignant"], **{name: (place,) for place, name in enumerate(CLASSES)}}
    for name, positions in targets.items():
        cases = np.isin(inputs.labels, positions)
        if cases.any() and not cases.all():
            risks = inputs.calibrated[..., list(positions)].sum(axis=-1)
            columns[name] = np.mean([_precisions(cases, layer) for layer in risks], axis=0)
    return pd.DataFrame({"recall": _RECALLS, **columns})


def _precisions(cases: np.ndarray, scores: np.ndarray) -> np.ndarray:
    hits, false = (sums[:, 0] for sums in rank(cases, scores).steps(np.ones((len(cases), 1))))
    first = np.searchsorted(hits / hits[-1], _RECALLS - 1e-9)
    return np.asarray((hits / (hits + false))[first])


def cost_table(inputs: AssessmentInputs) -> pd.DataFrame:
    """Return `answer, metric, value, low, high, undefined, note`: the expected cost per image, by kind of answer."""
    costs = cost_matrix(inputs.assess.costs)
    answers = {
        "likeliest": [layer.argmax(axis=1) for layer in inputs.calibrated],
        "least expected cost": [decisions.least_cost_answer(layer, costs) for layer in inputs.calibrated],
        "always nv": [np.full(len(inputs.labels), CLASSES.index("nv"))] * len(inputs.calibrated),
    }
    figures = {
        name: [decisions.expected_cost(inputs.labels, layer, costs) for layer in layers]
        for name, layers in answers.items()
    }
    return pd.DataFrame([
        {"answer": name, "metric": "expected_cost"} | inputs.row(estimate)
        for name, estimate in inputs.estimates(figures).items()
    ])  # fmt: skip


def missed_melanomas(inputs: AssessmentInputs) -> pd.DataFrame:
    """Return `rule, metric, value, low, high, undefined, note`: melanomas missed per 1,000 lesions, and as a share.

    Lesions, not images: probabilities are averaged over a lesion's images. "not called melanoma": the likeliest class
    is another; "called benign": it is a benign one; "below ...": the melanoma risk is below the threshold that had
    that specificity on validation. `melanomas_per_1000_lesions` is their prevalence in these data.
    """
    calibrated = by_lesion(replace(inputs.tested, probabilities=inputs.calibrated))
    melanoma = calibrated.labels == CLASSES.index("mel")
    answers = calibrated.probabilities.argmax(axis=2)
    benign = [place for place, name in enumerate(CLASSES) if name not in MALIGNANT]
    missed = {"not called melanoma": answers != CLASSES.index("mel"), "called benign": np.isin(answers, benign)}
    risks = risk_of("melanoma", calibrated.probabilities)
    first = np.unique(inputs.tested.lesions, return_index=True)[1]
    for level in inputs.assess.operating_points:
        limits = thresholds(inputs, "melanoma", "specificity", level)[:, first]
        missed[f"below the threshold at {rule_name(level, 'specificity')}"] = risks < limits
    figures = {("all", "melanomas_per_1000_lesions"): [mean(_PER * melanoma)]}
    for rule, layers in missed.items():
        figures[rule, "missed_per_1000_lesions"] = [mean(_PER * (layer & melanoma)) for layer in layers]
        figures[rule, "missed_share"] = [ratio(layer & melanoma, melanoma) for layer in layers]
    resamples = LesionBootstrap(calibrated.lesions, replicates=inputs.evaluate.replicates, seed=inputs.evaluate.seed)
    lacking = inputs.lacking_for("melanoma")
    return pd.DataFrame([
        {"rule": rule, "metric": metric} | inputs.row(estimate, lacking)
        for (rule, metric), estimate in estimate_sums(resamples, figures).items()
    ])  # fmt: skip
