"""Two-way decisions: operating points chosen on validation, rankings, net benefit, cost, melanomas missed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.evaluation import decisions
from skinlesion.evaluation.decisions import TARGETS, THRESHOLDS, cases_of, risk_of
from skinlesion.evaluation.lesions import by_lesion
from skinlesion.evaluation.predictions import Predictions
from skinlesion.evaluation.ranking import Ranking, average_precision, partial_auc, rank
from skinlesion.evaluation.runs import Run
from skinlesion.evaluation.sums import SumStatistic, mean, ratio
from skinlesion.stages.assessment.material import Material, estimate_sums
from skinlesion.stats.lesion_bootstrap import LesionBootstrap
from skinlesion.vocabulary import CLASSES, MALIGNANT

_RECALLS = np.arange(1, 101) / 100
_PER = 1000  # lesions, for melanomas missed


def thresholds(material: Material, target: str, side: str, level: float) -> np.ndarray:
    """Return the threshold of each tested image (S, N): that of its run, set on the run's validation part.

    Args:
        side: "specificity" or "sensitivity", which of them is to reach `level` on validation.
    """
    found = np.empty(material.calibrated.shape[:2])
    for run in material.runs():
        found[run.layer, run.tested] = _run_threshold(material, run, target, side, level)
    return found


_CHOOSE = {
    "specificity": decisions.threshold_at_specificity,
    "sensitivity": decisions.threshold_at_sensitivity,
}


def _run_threshold(material: Material, run: Run, target: str, side: str, level: float) -> float:
    cases = cases_of(target, material.validation.labels[run.validation])
    risks = risk_of(target, material.validation_calibrated[run.layer, run.validation])
    return _CHOOSE[side](cases, risks, level)


def run_thresholds(material: Material, run: Run) -> dict[str, dict[str, float | None]]:
    """Return a run's thresholds by target and rule ("90% specificity"); null where any risk is called."""
    found: dict[str, dict[str, float | None]] = {}
    for target in TARGETS:
        rules = [(side, level) for side in _CHOOSE for level in material.assess.operating_points]
        values = {f"{level:.0%} {side}": _run_threshold(material, run, target, side, level) for side, level in rules}
        found[target] = {rule: value if np.isfinite(value) else None for rule, value in values.items()}
    return found


def decision_table(material: Material) -> pd.DataFrame:
    """Return `target, rule, metric, value, low, high`: what each rule comes to on the test parts.

    Rules: "at 90% specificity" and the like (thresholds from validation), "ranking" (average precision, partial AUC).
    """
    figures: dict[str, list[SumStatistic]] = {}
    for target in TARGETS:
        cases = cases_of(target, material.labels)
        risks = risk_of(target, material.calibrated)
        for side in ("specificity", "sensitivity"):
            for level in material.assess.operating_points:
                called = risks >= thresholds(material, target, side, level)
                key = f"{target}\nat {level:.0%} {side}\n"
                figures |= {key + name: made for name, made in _two_by_two(cases, called).items()}
    rows = [_named(key) | material.row(one) for key, one in material.estimates(figures).items()]
    for target in TARGETS:
        cases = cases_of(target, material.labels)
        rankings = [rank(cases, layer) for layer in risk_of(target, material.calibrated)]
        statistics = [_ranking_figures(one, material.assess.partial_auc) for one in rankings]
        found = material.estimate_weighted(statistics, ["average_precision", "partial_auc"])
        rows += [
            {"target": target, "rule": "ranking", "metric": name} | material.row(one) for name, one in found.items()
        ]
    return pd.DataFrame(rows)


def _ranking_figures(ranking: Ranking, highest: float) -> Callable[[np.ndarray], np.ndarray]:
    def figures(weights: np.ndarray) -> np.ndarray:
        return np.stack([average_precision(ranking, weights), partial_auc(ranking, weights, highest)], axis=1)

    return figures


def _two_by_two(cases: np.ndarray, called: np.ndarray) -> dict[str, list[SumStatistic]]:
    """Return the figures of calls (S, N) bool for cases (N,) bool, one statistic a seed."""
    return {
        "sensitivity": [ratio(one & cases, cases) for one in called],
        "specificity": [ratio(~one & ~cases, ~cases) for one in called],
        "precision": [ratio(one & cases, one) for one in called],
        "negative_predictive_value": [ratio(~one & ~cases, ~one) for one in called],
        "called": [mean(one) for one in called],
    }


def _named(key: str) -> dict[str, str]:
    target, rule, metric = key.split("\n")
    return {"target": target, "rule": rule, "metric": metric}


def decision_curve(material: Material) -> pd.DataFrame:
    """Return `threshold`, then for each target the net benefit of the model (with limits) and of treating all.

    In cases found for each image; treating none has 0 everywhere.
    """
    figures: dict[str, list[SumStatistic]] = {}
    for target in TARGETS:
        cases = cases_of(target, material.labels)
        for threshold in THRESHOLDS:
            figures[f"{target}\n{threshold}"] = [
                decisions.net_benefit(cases, layer, threshold) for layer in risk_of(target, material.calibrated)
            ]
    found = material.estimates(figures)
    columns: dict[str, Any] = {"threshold": THRESHOLDS}
    for target in TARGETS:
        made = [material.row(found[f"{target}\n{threshold}"]) for threshold in THRESHOLDS]
        for column, name in (("value", target), ("low", f"{target}_low"), ("high", f"{target}_high")):
            columns[name] = [row[column] for row in made]
        cases = cases_of(target, material.labels)
        columns[f"{target}_treat_all"] = [decisions.treat_all(cases, threshold).value for threshold in THRESHOLDS]
    return pd.DataFrame(columns | {"treat_none": 0.0})


def precision_recall(material: Material) -> pd.DataFrame:
    """Return `recall` and the precision where each class, malignant or melanoma reaches it, mean over seeds."""
    columns: dict[str, np.ndarray] = {}
    targets = {"malignant": TARGETS["malignant"], **{name: (place,) for place, name in enumerate(CLASSES)}}
    for name, positions in targets.items():
        cases = np.isin(material.labels, positions)
        if cases.any() and not cases.all():
            risks = material.calibrated[..., list(positions)].sum(axis=-1)
            columns[name] = np.mean([_precisions(cases, layer) for layer in risks], axis=0)
    return pd.DataFrame({"recall": _RECALLS, **columns})


def _precisions(cases: np.ndarray, scores: np.ndarray) -> np.ndarray:
    hits, false = (one[:, 0] for one in rank(cases, scores).steps(np.ones((len(cases), 1))))
    first = np.searchsorted(hits / hits[-1], _RECALLS - 1e-9)
    return np.asarray((hits / (hits + false))[first])


def cost_table(material: Material) -> pd.DataFrame:
    """Return `answer, metric, value, low, high`: the expected cost of an image, by how the answer is chosen."""
    costs = decisions.cost_matrix(material.assess.costs)
    answers = {
        "likeliest": [layer.argmax(axis=1) for layer in material.calibrated],
        "least expected cost": [decisions.least_cost_answer(layer, costs) for layer in material.calibrated],
        "always nv": [np.full(len(material.labels), CLASSES.index("nv"))] * len(material.calibrated),
    }
    figures = {
        name: [decisions.expected_cost(material.labels, one, costs) for one in layers]
        for name, layers in answers.items()
    }
    found = material.estimates(figures)
    return pd.DataFrame(
        [{"answer": name, "metric": "expected_cost"} | material.row(one) for name, one in found.items()]
    )


def missed_melanomas(material: Material) -> pd.DataFrame:
    """Return `rule, metric, value, low, high`: melanomas missed in a thousand lesions and as a share of melanomas.

    Lesions, not images: probabilities are averaged over a lesion's images. "not called melanoma": the likeliest answer
    is another; "called benign": it is a benign one; "below ...": the melanoma risk is under the threshold that had
    that specificity on validation. A thousand lesions of these data hold as many melanomas as `melanomas` says.
    """
    calibrated = by_lesion(_with(material, material.calibrated))
    melanoma = calibrated.labels == CLASSES.index("mel")
    answers = calibrated.probabilities.argmax(axis=2)
    benign = [place for place, name in enumerate(CLASSES) if name not in MALIGNANT]
    missed = {"not called melanoma": answers != CLASSES.index("mel"), "called benign": np.isin(answers, benign)}
    risks = risk_of("melanoma", calibrated.probabilities)
    first = np.unique(material.tested.lesions, return_index=True)[1]
    for level in material.assess.operating_points:
        limits = thresholds(material, "melanoma", "specificity", level)[:, first]
        missed[f"below the threshold at {level:.0%} specificity"] = risks < limits
    figures = {"all\nmelanomas_per_1000_lesions": [mean(_PER * melanoma)]}
    for rule, layers in missed.items():
        figures[f"{rule}\nmissed_per_1000_lesions"] = [mean(_PER * (one & melanoma)) for one in layers]
        figures[f"{rule}\nmissed_share"] = [ratio(one & melanoma, melanoma) for one in layers]
    resamples = LesionBootstrap(
        calibrated.lesions, replicates=material.evaluate.replicates, seed=material.evaluate.seed
    )
    rows = []
    for key, one in estimate_sums(resamples, figures).items():
        rule, metric = key.split("\n")
        rows.append({"rule": rule, "metric": metric} | material.row(one))
    return pd.DataFrame(rows)


def _with(material: Material, probabilities: np.ndarray) -> Predictions:
    one = material.tested
    return Predictions(one.image_ids, one.lesions, one.labels, one.folds, one.seeds, probabilities)
