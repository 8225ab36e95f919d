"""Conformal sets against MAPIE, by hand, and by simulation of exchangeable lesions."""

import numpy as np
import pytest
from scipy.stats import binom

from skinlesion.errors import UserError
from skinlesion.evaluation.conformal import METHODS, conformal_quantile, fit_conformal, nonconformity, one_per_lesion
from tests.simulated import simulated

P = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]])


def test_the_quantile_is_the_right_order_statistic():
    scores = np.arange(1, 20) / 20  # 19 of them
    assert conformal_quantile(scores, 0.9) == pytest.approx(18 / 20)  # ⌈20 · 0.9⌉ = 18th
    assert conformal_quantile(scores[:9], 0.9) == pytest.approx(9 / 20)
    assert conformal_quantile(scores[:8], 0.9) == np.inf  # eight scores have no 90% quantile
    assert conformal_quantile(np.array([]), 0.9) == np.inf


def test_scores_by_hand():
    np.testing.assert_allclose(nonconformity("lac", P), 1 - P)
    np.testing.assert_allclose(nonconformity("aps", P), [[0.5, 0.8, 1.0], [0.9, 0.8, 1.0]])
    np.testing.assert_allclose(nonconformity("raps", P, penalty=0.1, free_ranks=1), [[0.5, 0.9, 1.2], [1.0, 0.8, 1.2]])
    with pytest.raises(UserError, match="lac, aps, raps"):
        nonconformity("topk", P)


def test_lac_agrees_with_mapie():
    from mapie.classification import SplitConformalClassifier
    from sklearn.base import BaseEstimator, ClassifierMixin

    class PrecomputedClassifier(ClassifierMixin, BaseEstimator):
        """Its features are its probabilities."""

        def fit(self, X, y):
            self.classes_ = np.arange(7)
            self.is_fitted_ = True
            return self

        def predict_proba(self, X):
            return X

        def predict(self, X):
            return X.argmax(axis=1)

    predictions = simulated(600)
    p, labels = predictions.probabilities[0], predictions.labels
    fitted = fit_conformal("lac", labels[:300], p[:300], 0.9)
    model = PrecomputedClassifier().fit(p, labels)
    mapie = SplitConformalClassifier(model, confidence_level=0.9, conformity_score="lac", prefit=True)
    mapie.conformalize(p[:300], labels[:300])
    expected = mapie.predict_set(p[300:])[1][..., 0]
    prediction_sets = fitted.sets(p[300:])
    # MAPIE never leaves a set empty; where ours holds something, both are the same.
    not_empty = prediction_sets.any(axis=1)
    assert not_empty.mean() > 0.9
    np.testing.assert_array_equal(prediction_sets[not_empty], expected[not_empty])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("by_class", [False, True])
def test_coverage_of_exchangeable_lesions_is_nominal(method, by_class):
    """1,000 times: calibrate on half of the lesions, look at one image of another lesion."""
    predictions = simulated(700, strength=1.2, seed=3)
    p, labels = predictions.probabilities[0], predictions.labels
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        rows = one_per_lesion(predictions.lesions, rng)
        rng.shuffle(rows)
        fitted = fit_conformal(
            method, labels[rows[:349]], p[rows[:349]], 0.9, by_class=by_class, penalty=0.05, free_ranks=2
        )
        tested = rows[349]
        covered += bool(fitted.sets(p[tested : tested + 1])[0, labels[tested]])
    # At least 0.9; with 349 scores at most 1/350 above it marginally, by class up to one over each class's size.
    assert covered >= binom.ppf(0.001, 1000, 0.9)
    assert covered <= binom.ppf(0.999, 1000, 0.9 + (0.05 if by_class else 1 / 350))


def test_a_rare_class_is_covered_by_its_own_threshold_and_not_by_the_common_one():
    predictions = simulated(6000, strength=1.0, seed=5)
    p, labels = predictions.probabilities[0], predictions.labels
    half = np.arange(len(labels)) % 2 == 0
    rare = ~half & (labels == 0)
    share = {}
    for by_class in (False, True):
        sets = fit_conformal("lac", labels[half], p[half], 0.9, by_class=by_class).sets(p[rare])
        share[by_class] = sets[:, 0].mean()
    assert share[False] < 0.8
    assert share[True] > 0.85


def test_classes_too_small_take_the_threshold_of_all_and_are_named():
    predictions = simulated(300)
    whole = fit_conformal("aps", predictions.labels, predictions.probabilities[0], 0.9)
    fitted = fit_conformal(
        "aps", predictions.labels, predictions.probabilities[0], 0.9, by_class=True, smallest_class=50
    )
    counts = np.bincount(predictions.labels, minlength=7)
    assert fitted.pooled == tuple(np.flatnonzero(counts < 50))
    assert 0 < len(fitted.pooled) < 7
    np.testing.assert_array_equal(fitted.thresholds[list(fitted.pooled)], whole.thresholds[list(fitted.pooled)])


def test_one_image_of_each_lesion_is_drawn_and_not_always_the_same():
    lesions = np.array(["a", "a", "b", "c", "c", "c"])
    drawn = {tuple(one_per_lesion(lesions, np.random.default_rng(seed))) for seed in range(50)}
    assert {tuple(lesions[list(rows)]) for rows in drawn} == {("a", "b", "c")}
    assert len(drawn) == 6


def test_repeated_images_do_not_change_the_threshold():
    """Twenty copies of every calibration lesion leave the threshold as it was when lesions are counted once."""
    predictions = simulated(200)
    rng = np.random.default_rng(0)
    first = one_per_lesion(predictions.lesions, rng)
    p, labels, lesions = predictions.probabilities[0][first], predictions.labels[first], predictions.lesions[first]
    expected = fit_conformal("lac", labels, p, 0.9).thresholds
    rows = one_per_lesion(np.repeat(lesions, 20), rng)
    repeated = fit_conformal("lac", np.repeat(labels, 20)[rows], np.repeat(p, 20, axis=0)[rows], 0.9).thresholds
    np.testing.assert_allclose(repeated, expected)
