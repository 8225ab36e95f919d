"""Tables of pairs of experiments beside their comparison: flips, variance budget, detectable differences."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from skinlesion.analysis.comparison import pair_flips, paired_folds
from skinlesion.analysis.plan import Plan
from skinlesion.errors import UserError
from skinlesion.evaluation.predictions import Predictions
from skinlesion.evaluation.registry import SCHEMA
from skinlesion.stats.influence import influences
from skinlesion.stats.linear_estimate import LinearEstimate, paired_contrast
from skinlesion.stats.mcnemar import clustered_cochran_q
from skinlesion.stats.power import minimum_detectable_difference
from skinlesion.stats.recipe import Training
from skinlesion.stats.variance import variance_budget
from skinlesion.vocabulary import CLASSES

#: Two experiments, a and b; differences are b − a.
Pair = tuple[str, str]

_POWER_SIMULATIONS = 300


def shared_images(
    predictions: Mapping[str, Predictions], pairs: list[Pair]
) -> tuple[list[tuple[np.ndarray, list[Pair]]], list[str]]:
    """Return the pairs grouped by the images both models were tested on, and in words the pairs not compared.

    A model tested on one fold is compared on that fold with a model tested on all of them.

    Raises:
        UserError: diagnoses of the same images differ between models.
    """
    groups: dict[tuple[str, ...], tuple[np.ndarray, list[Pair]]] = {}
    skipped = []
    for a, b in pairs:
        first, second = predictions[a], predictions[b]
        common, rows, other_rows = np.intersect1d(first.image_ids, second.image_ids, return_indices=True)
        if not len(common):
            skipped.append(f"{a} and {b} were tested on different images")
            continue
        if not (first.labels[rows] == second.labels[other_rows]).all():
            raise UserError(f"{a} and {b}: diagnoses of the same images differ in their predictions; run `dvc repro`")
        groups.setdefault(tuple(common), (common, []))[1].append((a, b))
    return list(groups.values()), skipped


def cochran(members: Mapping[str, Predictions]) -> dict[str, float]:
    """Return the clustered Cochran's Q of all systems on the same images, for stats.json: whether any two differ.

    It is about the accuracy, the mean over trainings; nothing is returned for fewer than three systems.
    """
    if len(members) < 3:
        return {}
    first = next(iter(members.values()))
    answers = np.stack([1 - _missed(predictions) for predictions in members.values()], axis=1)  # (N, M)
    test = clustered_cochran_q(answers, first.lesions)
    figures = {"cochran_q": test.statistic, "cochran_p": test.pvalue, "cochran_lesions": float(test.clusters)}
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def flips_table(members: Mapping[str, Predictions], pairs: Sequence[Pair]) -> pd.DataFrame:
    """Return per pair and class how many images b loses and gains against a; of melanomas also which."""
    rows = []
    for a, b in pairs:
        for flips in pair_flips(members[a], members[b]):
            named = flips.class_name == "mel"
            rows.append({
                "a": a, "b": b, "dx": flips.class_name, "cases": flips.cases, "lost": len(flips.lost),
                "gained": len(flips.gained), "lost_ids": " ".join(flips.lost) if named else "",
                "gained_ids": " ".join(flips.gained) if named else "",
            })  # fmt: skip
    return pd.DataFrame(rows)


def variance_table(members: Mapping[str, Predictions], pairs: Sequence[Pair], plan: Plan) -> pd.DataFrame:
    """Return the variance budget of each pair's primary difference; layers are paired where both models have them."""
    rows = []
    for a, b in pairs:
        shared = [layer for layer in members[a].layers if layer in members[b].layers]
        if not shared:
            continue
        estimates = [_primary(members[name], shared, plan.primary) for name in (a, b)]
        folds = paired_folds(members[a], members[b], plan.primary)
        budget = variance_budget(
            paired_contrast([-1, 1], estimates), shared, folds[1] - folds[0], confidence=plan.confidence
        )
        rows.append({"a": a, "b": b, "metric": plan.primary} | vars(budget))
    return pd.DataFrame(rows)


def _primary(predictions: Predictions, trainings: Sequence[Training], metric: str) -> LinearEstimate:
    """Return a metric of these trainings, with the influences on each."""
    layers = predictions.probabilities[[predictions.layers.index(training) for training in trainings]]
    return influences(predictions.labels, layers, predictions.lesions, [metric], SCHEMA, by_layer=True)[metric]


def detectable_table(members: Mapping[str, Predictions], pairs: Sequence[Pair], plan: Plan) -> pd.DataFrame:
    """Return per pair and class the gain in sensitivity that these images would show with 80 % power."""
    rows = []
    for a, b in pairs:
        first = members[a]
        missed = [_missed(members[name]) for name in (a, b)]
        for position, name in enumerate(CLASSES):
            cases = first.labels == position
            if not cases.any():
                continue
            ids, lesion = np.unique(first.lesions[cases], return_inverse=True)
            misses = [np.bincount(lesion, weights=share[cases], minlength=len(ids)) for share in missed]
            sizes = np.bincount(lesion, minlength=len(ids))
            smallest = minimum_detectable_difference(
                misses[0] - misses[1], misses[0], misses[1], sizes, simulations=_POWER_SIMULATIONS, seed=plan.seed
            )
            rows.append(
                {"a": a, "b": b, "dx": name, "images": int(cases.sum()), "lesions": len(ids), "detectable": smallest}
            )
    return pd.DataFrame(rows)


def _missed(predictions: Predictions) -> np.ndarray:
    """Return the share of trainings whose answer is wrong (N,)."""
    return np.asarray((predictions.probabilities.argmax(axis=2) != predictions.labels).mean(axis=0))
