"""Influence functions against scikit-learn's derivatives, the jackknife, the bootstrap, DeLong and Obuchowski."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as sps
from scipy.special import expit, logit
from sklearn import metrics as sk
from statsmodels.stats.proportion import proportion_confint

from skinlesion.stats.bootstrap import bootstrap
from skinlesion.stats.counts import BY_CLASS, WHOLE
from skinlesion.stats.delong import auc_covariance, macro_auc_difference
from skinlesion.stats.influence import contrast, correlation, influences
from skinlesion.stats.linear_estimate import LinearEstimate, satterthwaite
from skinlesion.stats.resampling import Schema
from skinlesion.vocabulary import CLASSES, MALIGNANT
from tests.stats.test_bootstrap import clustered
from tests.stats.test_delong import session

SCHEMA = Schema(CLASSES, MALIGNANT)
TWO_CLASSES = Schema(("benign", "malignant"))


def two_columns(scores):
    """Return probabilities (1, N, 2) that rank images as `scores` (N,) do."""
    share = (1 + np.argsort(np.argsort(scores, kind="stable"))) / (len(scores) + 1)
    share = np.array([share[scores == value].mean() for value in scores])  # ties stay ties
    return np.stack([1 - share, share], axis=1)[None]


@pytest.mark.parametrize(
    ("metric", "slow"),
    [
        ("accuracy", sk.accuracy_score),
        ("balanced_accuracy", sk.balanced_accuracy_score),
        ("macro_f1", lambda y, p, sample_weight: sk.f1_score(y, p, average="macro", sample_weight=sample_weight)),
        ("weighted_f1", lambda y, p, sample_weight: sk.f1_score(y, p, average="weighted", sample_weight=sample_weight)),
        (
            "precision_nv",
            lambda y, p, sample_weight: sk.precision_score(y == 5, p == 5, sample_weight=sample_weight),
        ),
        ("specificity_mel", lambda y, p, sample_weight: sk.recall_score(y != 4, p != 4, sample_weight=sample_weight)),
    ],
)
def test_an_influence_is_the_derivative_of_scikit_learns_metric_by_a_lesions_weight(metric, slow):
    labels, models, lesion = clustered(seeds=1)
    weights = np.random.default_rng(1).random(len(labels)) + 0.5
    estimate = influences(labels, models[0], lesion, [metric], SCHEMA, weights=weights)[metric]
    predicted = models[0][0].argmax(axis=1)

    def value(lesion_weights):
        return slow(labels, predicted, sample_weight=weights * lesion_weights[lesion])

    assert estimate.value == pytest.approx(value(np.ones(300)), rel=1e-12)
    for number in (0, 17, 250):
        step = np.zeros(300)
        step[number] = 1e-4
        derivative = (value(1 + step) - value(1 - step)) / 2e-4
        assert estimate.influence[number] == pytest.approx(derivative, abs=1e-8)


@pytest.mark.parametrize("metric", ["auc_mel", "macro_auc", "malignant_auc"])
def test_an_influence_on_an_auc_is_the_derivative_of_scikit_learns(metric):
    labels, models, lesion = clustered(seeds=1)
    weights = np.random.default_rng(1).random(len(labels)) + 0.5
    estimate = influences(labels, models[0], lesion, [metric], SCHEMA, weights=weights)[metric]
    columns = {"auc_mel": [[4]], "macro_auc": [[c] for c in range(7)], "malignant_auc": [[0, 1, 4]]}[metric]

    def value(lesion_weights):
        w = weights * lesion_weights[lesion]
        aucs = [sk.roc_auc_score(np.isin(labels, c), models[0][0][:, c].sum(axis=1), sample_weight=w) for c in columns]
        return np.mean(aucs)

    assert estimate.value == pytest.approx(value(np.ones(300)), abs=1e-12)
    for number in (0, 17, 250):
        step = np.zeros(300)
        step[number] = 1e-4
        assert estimate.influence[number] == pytest.approx((value(1 + step) - value(1 - step)) / 2e-4, abs=1e-8)


def test_values_and_variances_are_those_of_the_bootstrap_and_the_jackknife():
    labels, models, lesion = clustered(1500, 1000, seeds=2)
    names = SCHEMA.metrics()
    a, b = (influences(labels, model, lesion, names, SCHEMA) for model in models)
    resampled = bootstrap(labels, models, lesion, names, SCHEMA, replicates=2000, jackknife=True)
    lesions = len(np.unique(lesion))
    for metric in names:
        estimate = a[metric]
        place = names.index(metric)
        assert estimate.value == pytest.approx(resampled.estimate(0, metric), abs=1e-12)
        np.testing.assert_allclose(estimate.by_layer, resampled.point[0][:, place])
        assert estimate.influence.sum() == pytest.approx(0, abs=1e-9)
        jackknife = (lesions - 1) * resampled.jackknife[0][:, :, place].mean(axis=1).var()
        assert estimate.variance == pytest.approx(jackknife, rel=0.03)
        assert estimate.standard_error == pytest.approx(resampled.draws(0, metric).std(), rel=0.06)
        difference = contrast([-1, 1], [a[metric], b[metric]])
        draws = resampled.draws(1, metric) - resampled.draws(0, metric)
        assert difference.value == pytest.approx(draws.mean(), abs=0.2 * draws.std())
        assert difference.standard_error == pytest.approx(draws.std(), rel=0.06)


def test_the_variance_of_an_auc_is_proc_s():
    """R 4.2.2, pROC 1.18.0: var(ra), var(rb), cov(ra, rb) of the session in test_delong.

    pROC divides placements' squares by m (m − 1) and n (n − 1), as the strata here do, so the agreement is exact.
    """
    y, scores = session()
    labels, images = y.astype(int), np.arange(80)
    a, b = (
        influences(labels, two_columns(row), images, ["auc_malignant"], TWO_CLASSES)["auc_malignant"] for row in scores
    )
    assert (a.value, b.value) == (pytest.approx(0.636067708333333), pytest.approx(0.794270833333333))
    assert a.variance == pytest.approx(0.00430002345615545, rel=1e-12)
    assert b.variance == pytest.approx(0.00236442924900385, rel=1e-12)
    difference = contrast([-1, 1], [a, b])
    spread = 0.00430002345615545 + 0.00236442924900385 - 2 * 0.000412405050838147
    assert difference.variance == pytest.approx(spread, rel=1e-12)
    assert correlation([a, b])[0, 1] == pytest.approx(
        0.000412405050838147 / np.sqrt(0.00430002345615545 * 0.00236442924900385)
    )


def test_the_variance_of_a_clustered_auc_is_obuchowskis_but_for_factors():
    labels, models, lesion = clustered(1200, 700, seeds=1)
    scores = np.stack([model[0][:, 5] for model in models])
    expected = auc_covariance(labels == 5, scores, lesion)
    estimates = [influences(labels, model, lesion, ["auc_nv", "macro_auc"], SCHEMA) for model in models]
    for number, estimate in enumerate(estimates):
        assert estimate["auc_nv"].variance == pytest.approx(expected.covariance[number, number], rel=0.02)
    macro = contrast([-1, 1], [estimate["macro_auc"] for estimate in estimates])
    delong = macro_auc_difference(labels, models[0][0], models[1][0], lesion)
    assert macro.value == pytest.approx(delong.difference)
    assert macro.standard_error == pytest.approx(delong.standard_error, rel=0.02)


def test_the_interval_of_an_auc_uses_newcombes_variance_where_lesions_are_few():
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1], [60, 8])  # benign, malignant: one image each
    scores = rng.normal(size=68) + 1.5 * labels
    estimate = influences(labels, two_columns(scores), np.arange(68), ["auc_malignant"], TWO_CLASSES)["auc_malignant"]
    a, m, n = estimate.value, 8, 60
    assert 0.5 < a < 1
    newcombe = a * (1 - a) / (m * n) * (1 + ((m + n) / 2 - 1) * ((1 - a) / (2 - a) + a / (1 + a)))
    variance = (8 * estimate.variance + 2 * newcombe) / 10
    half = sps.t.ppf(0.975, estimate.degrees) * np.sqrt(variance) / (a * (1 - a))
    low, high = estimate.interval()
    assert (low, high) == (pytest.approx(expit(logit(a) - half)), pytest.approx(expit(logit(a) + half)))
    assert estimate.pvalue(low) == pytest.approx(0.05)


def test_the_interval_of_an_auc_of_eight_lesions_covers():
    rng, covered, uncorrected = np.random.default_rng(0), 0, 0
    labels, truth = np.repeat([0, 1], [150, 8]), sps.norm.cdf(2 / np.sqrt(2))
    for _ in range(400):
        scores = rng.normal(size=158) + 2 * labels
        corrected = influences(labels, two_columns(scores), np.arange(158), ["auc_malignant"], TWO_CLASSES)[
            "auc_malignant"
        ]
        for estimate in (corrected, replace(corrected, correction=0.0)):
            low, high = estimate.interval()
            covered += estimate is corrected and low <= truth <= high
            uncorrected += estimate is not corrected and low <= truth <= high
    assert covered >= 0.93 * 400  # 0.95 less two standard errors
    assert uncorrected < 0.93 * 400


def test_sensitivity_of_one_image_a_lesion_is_the_textbook_proportion():
    # 20 of 25 right: variance p q / (n − 1), Wilson's interval of statsmodels with t in place of z.
    labels = np.repeat([0, 1], [25, 40])
    answers = np.where((np.arange(65) < 20) | (np.arange(65) >= 30), labels, 1 - labels)
    p = np.eye(2)[answers][None]
    estimate = influences(labels, p, np.arange(65), ["sensitivity_benign"], TWO_CLASSES)["sensitivity_benign"]
    assert estimate.value == 0.8
    assert estimate.variance == pytest.approx(0.8 * 0.2 / 24)
    assert estimate.degrees == pytest.approx(24)
    confidence = 2 * sps.norm.cdf(sps.t.ppf(0.975, 24)) - 1  # so that its z is our t
    low, high = proportion_confint(0.8 * 24, 24, alpha=1 - confidence, method="wilson")
    assert estimate.interval(0.95) == (pytest.approx(low), pytest.approx(high))
    assert estimate.pvalue(low) == pytest.approx(0.05)


def test_all_right_has_wilsons_interval_of_lesions_not_of_copies():
    labels = np.repeat([0, 1], [30, 20])
    p = np.eye(2)[labels][None]
    lesion = np.r_[np.repeat(np.arange(10), 3), 10:30]  # ten lesions of three images
    estimates = influences(labels, p, lesion, ["sensitivity_benign", "auc_benign", "balanced_accuracy"], TWO_CLASSES)
    t = sps.t.ppf(0.975, 9)
    assert estimates["sensitivity_benign"].interval() == (pytest.approx(10 / (10 + t**2)), 1.0)
    assert estimates["auc_benign"].interval() == (pytest.approx(10 / (10 + t**2)), 1.0)
    assert np.isnan(estimates["balanced_accuracy"].interval()).all()  # no spread, no scale: it does not say ±0


def test_copies_of_images_and_of_trainings_add_nothing():
    labels, models, lesion = clustered(seeds=1)
    names = ["accuracy", "balanced_accuracy", "macro_auc"]
    plain = influences(labels, models[0], lesion, names, SCHEMA)
    doubled_images = influences(
        np.r_[labels, labels], np.concatenate([models[0]] * 2, axis=1), np.r_[lesion, lesion], names, SCHEMA
    )
    doubled_trainings = influences(labels, np.concatenate([models[0]] * 2), lesion, names, SCHEMA, by_layer=True)
    order = np.random.default_rng(0).permutation(len(labels))
    shuffled = influences(labels[order], models[0][:, order], lesion[order], names, SCHEMA)
    for metric in names:
        for other in (doubled_images, doubled_trainings, shuffled):
            assert other[metric].variance == pytest.approx(plain[metric].variance, rel=1e-6)
            # An effective number of answers is at most their number, which copies raise.
            assert other[metric].interval() == pytest.approx(plain[metric].interval(), rel=2e-3)
        assert plain[metric].layer_influence is None
        np.testing.assert_allclose(doubled_trainings[metric].layer_influence[1], plain[metric].influence)


def test_weights_of_whole_numbers_are_copies_and_weights_of_zero_leave_out():
    labels, models, lesion = clustered(seeds=2)
    names = ["balanced_accuracy", "sensitivity_nv", "macro_f1", "auc_mel"]
    weights = np.random.default_rng(2).integers(0, 3, 300)[lesion]
    rows = np.repeat(np.arange(len(labels)), weights)
    weighted = influences(labels, models[0], lesion, names, SCHEMA, weights=weights)
    copied = influences(labels[rows], models[0][:, rows], lesion[rows], names, SCHEMA)
    for metric in names:
        assert weighted[metric].value == pytest.approx(copied[metric].value)
        assert weighted[metric].variance == pytest.approx(copied[metric].variance)
        assert weighted[metric].degrees == pytest.approx(copied[metric].degrees)
    assert len(weighted["macro_f1"].influence) == 300  # still aligned with other estimates on these lesions
    with pytest.raises(ValueError, match="weights"):
        influences(labels, models[0], lesion, names, SCHEMA, weights=-np.ones(len(labels)))


def test_degrees_of_freedom_by_hand():
    # Variances 4 and 1 with 4 and 9 degrees: (4 + 1)² / (16 / 4 + 1 / 9) = 25 · 9 / 37.
    assert satterthwaite(np.array([4.0, 1.0]), np.array([4, 9])) == pytest.approx(225 / 37)
    # Strata of 3, 2 and 1 lesions: 3/2 · (1 + 0 + 1), 2/1 · (4 + 0), and 2 · 9 with one degree for the single lesion.
    influence, stratum = np.array([1.0, 0, -1, 2, 0, 3]), np.array([0, 0, 0, 1, 1, 2])
    estimate = LinearEstimate(0.5, influence, stratum)
    assert estimate.variance == pytest.approx(3 + 8 + 18)
    assert estimate.degrees == pytest.approx(29**2 / (9 / 2 + 64 + 324))
    half = sps.t.ppf(0.975, estimate.degrees) * np.sqrt(29)
    assert estimate.interval() == (pytest.approx(0.5 - half), pytest.approx(0.5 + half))
    assert estimate.pvalue() == pytest.approx(2 * sps.t.sf(0.5 / np.sqrt(29), estimate.degrees))


def test_intervals_and_p_values_agree_on_every_scale():
    labels, models, lesion = clustered(seeds=2)
    estimates = influences(labels, models[0], lesion, ["accuracy", "macro_f1", "auc_mel"], SCHEMA)
    for metric, scale in {"accuracy": "proportion", "macro_f1": "linear", "auc_mel": "logit"}.items():
        assert estimates[metric].scale == scale
        for limit in estimates[metric].interval(0.9):
            assert estimates[metric].pvalue(limit) == pytest.approx(0.1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        estimates["auc_mel"].pvalue()


def test_what_needs_a_class_of_one_lesion_has_no_interval_and_says_so():
    rng = np.random.default_rng(0)
    labels = np.r_[[0, 0], rng.integers(1, 7, 98)]  # one akiec lesion of two images
    lesion = np.r_[[0, 0], 1:99]
    p = rng.dirichlet(np.ones(7), size=(1, 100)) * 0.75 + 0.25 * np.eye(7)[labels]
    p[:, :2] = 0.1 + 0.3 * np.eye(7)[3]
    estimates = influences(labels, p, lesion, SCHEMA.metrics(), SCHEMA)
    for metric in ("sensitivity_akiec", "balanced_accuracy", "auc_akiec", "macro_auc"):
        assert "one lesion" in estimates[metric].undefined, metric
        assert np.isnan([*estimates[metric].interval(), estimates[metric].variance]).all()
        assert not np.isnan(estimates[metric].value)
        assert "one lesion" in contrast([1, -1], [estimates[metric], estimates[metric]]).undefined
    for metric in ("accuracy", "sensitivity_mel", "specificity_mel", "auc_nv"):
        assert estimates[metric].undefined == "", metric
        assert estimates[metric].variance > 0
    # Accuracy does without the class: its lesion counts twice, as in a stratum of two.
    accuracy = estimates["accuracy"]
    sizes = np.bincount(accuracy.stratum)
    factors = np.where(sizes == 1, 2, sizes / np.maximum(sizes - 1, 1))[accuracy.stratum]
    assert accuracy.variance == pytest.approx((factors * accuracy.influence**2).sum())


def test_absent_classes_have_no_influence_and_undefined_metrics_say_so():
    rng = np.random.default_rng(1)
    labels = rng.integers(4, 7, 60)
    p = rng.dirichlet(np.ones(3), size=(2, 60)) * 0.6 + 0.4 * np.eye(3)[labels - 4]
    p = np.concatenate([np.zeros((2, 60, 4)), p], axis=2)
    p[:, 0] = np.eye(7)[0]  # one image is called akiec, which nobody has
    estimates = influences(labels, p, np.arange(60), SCHEMA.metrics(), SCHEMA)
    assert estimates["balanced_accuracy"].value == pytest.approx(
        np.mean([sk.recall_score(labels, layer.argmax(1), average="macro", labels=[4, 5, 6]) for layer in p])
    )
    for metric in ("balanced_accuracy", "macro_f1", "precision_akiec", "specificity_akiec"):
        assert np.isfinite(estimates[metric].influence).all()
    for metric in ("sensitivity_df", "auc_df", "macro_auc", "precision_df"):
        assert np.isnan(estimates[metric].value)
        assert estimates[metric].undefined != ""
        assert np.isnan(estimates[metric].interval()).all()


def test_a_single_lesion_and_equal_models_give_no_interval_instead_of_a_narrow_one():
    labels, models, _ = clustered(count=20, lesions=10, seeds=1)
    single = influences(labels, models[0], np.zeros(20), ["accuracy", "balanced_accuracy"], SCHEMA)
    assert single["accuracy"].undefined == "one lesion: no variance"
    labels, models, lesion = clustered(seeds=1)
    a = influences(labels, models[0], lesion, ["accuracy"], SCHEMA)["accuracy"]
    same = contrast([-1, 1], [a, a])
    assert (same.value, same.variance, same.pvalue()) == (0, 0, 1)
    assert np.isnan(same.interval()).all()
    shifted = LinearEstimate(0.1, np.zeros(5), np.zeros(5, dtype=int))
    assert np.isnan(shifted.pvalue())


def test_a_contrast_of_contrasts_is_linear_and_refuses_other_lesions():
    labels, models, lesion = clustered(models=4, seeds=1)
    a, b, c, d = (influences(labels, m, lesion, ["macro_f1"], SCHEMA)["macro_f1"] for m in models)
    nested = contrast([1, -1], [contrast([-1, 1], [a, b]), contrast([-1, 1], [c, d])])
    flat = contrast([-1, 1, 1, -1], [a, b, c, d])
    assert nested.value == pytest.approx(flat.value)
    assert nested.variance == pytest.approx(flat.variance)
    fewer_lesions = influences(labels[:99], models[0][:, :99], lesion[:99], ["macro_f1"], SCHEMA)["macro_f1"]
    with pytest.raises(ValueError, match="different lesions"):
        contrast([-1, 1], [a, fewer_lesions])


def test_a_metric_registered_later_works():
    def informedness(counts):
        with np.errstate(divide="ignore", invalid="ignore"):
            below = counts.support.sum(axis=-1, keepdims=True) - counts.support
            return np.nanmean(counts.hits / counts.support - (counts.calls - counts.hits) / below, axis=-1)

    schema = Schema(CLASSES, MALIGNANT, {**WHOLE, "informedness": informedness}, BY_CLASS)
    labels, models, lesion = clustered(1500, 1000, seeds=1)
    estimate = influences(labels, models[0], lesion, ["informedness"], schema)["informedness"]
    draws = bootstrap(labels, models, lesion, ["informedness"], schema, replicates=2000).draws(0, "informedness")
    assert estimate.standard_error == pytest.approx(draws.std(), rel=0.06)
