"""The paired cluster bootstrap, McNemar and Holm against scikit-learn, statsmodels and scipy."""

import numpy as np
import pytest
from sklearn import metrics as sk
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from statsmodels.stats.multitest import multipletests

from skinlesion.stats.bootstrap import bootstrap, draw_weights
from skinlesion.stats.mcnemar import mcnemar
from skinlesion.stats.multiplicity import holm
from skinlesion.stats.resampling import Schema
from skinlesion.vocabulary import CLASSES, MALIGNANT

SCHEMA = Schema(CLASSES, MALIGNANT)


def clustered(count=500, lesions=300, models=2, seeds=2, seed=0):
    """Return labels, probabilities of each model, and the lesion of each image; scores have ties."""
    rng = np.random.default_rng(seed)
    lesion = np.concatenate([np.arange(lesions), rng.integers(0, lesions, count - lesions)])
    labels = rng.choice(7, lesions, p=[0.1, 0.1, 0.2, 0.1, 0.15, 0.25, 0.1])[lesion]
    probabilities = []
    for _ in range(models):
        logits = rng.normal(size=(seeds, count, 7)) + 1.5 * np.eye(7)[labels]
        p = np.exp(logits)
        probabilities.append(np.round(p / p.sum(axis=2, keepdims=True), 2))
    return labels, probabilities, lesion


def test_bootstrap_equals_a_plain_loop_over_scikit_learn_on_the_same_resamples():
    labels, models, lesion = clustered()
    names = SCHEMA.metrics()
    result = bootstrap(labels, models, lesion, names, SCHEMA, replicates=12, seed=5)
    child = np.random.SeedSequence(5).spawn(1)[0]
    weights = draw_weights(np.random.default_rng(child), [300])
    malignant = np.isin(labels, [0, 1, 4])
    for replicate in range(12):
        rows = np.concatenate(
            [
                np.flatnonzero(lesion == drawn_lesion)
                for drawn_lesion in np.repeat(np.arange(300), weights[:, replicate].astype(int))
            ]
        )
        assert len(rows) == weights[lesion, replicate].sum()
        for position, model in enumerate(models):
            expected = {name: [] for name in names}
            for layer in model:
                y, p, predicted = labels[rows], layer[rows], layer[rows].argmax(axis=1)
                expected["accuracy"].append(sk.accuracy_score(y, predicted))
                expected["balanced_accuracy"].append(sk.balanced_accuracy_score(y, predicted))
                expected["macro_f1"].append(sk.f1_score(y, predicted, average="macro"))
                expected["weighted_f1"].append(sk.f1_score(y, predicted, average="weighted"))
                aucs = [sk.roc_auc_score(y == c, p[:, c]) for c in range(7)]
                expected["macro_auc"].append(np.mean(aucs))
                expected["malignant_auc"].append(sk.roc_auc_score(malignant[rows], p[:, [0, 1, 4]].sum(axis=1)))
                for c, name in enumerate(CLASSES):
                    expected[f"auc_{name}"].append(aucs[c])
                    expected[f"sensitivity_{name}"].append(sk.recall_score(y == c, predicted == c))
                    expected[f"specificity_{name}"].append(sk.recall_score(y != c, predicted != c))
                    expected[f"precision_{name}"].append(sk.precision_score(y == c, predicted == c))
                    expected[f"f1_{name}"].append(sk.f1_score(y == c, predicted == c))
            for name in names:
                draw = result.draws(position, name)[replicate]
                assert draw == pytest.approx(np.mean(expected[name]), abs=1e-12), name


def test_the_seed_alone_decides_a_bootstrap():
    labels, models, lesion = clustered()
    metrics = ["balanced_accuracy", "macro_auc"]

    def replicates(count, seed=0, threads=1):
        return bootstrap(
            labels, models, lesion, metrics, schema=SCHEMA, replicates=count, seed=seed, threads=threads
        ).replicates[1]

    np.testing.assert_array_equal(replicates(150), replicates(150, threads=3))
    np.testing.assert_array_equal(replicates(150)[:70], replicates(70))
    assert (replicates(70) != replicates(70, seed=1)).any()


def test_intervals_and_p_values_follow_from_the_replicates():
    labels, models, lesion = clustered()
    result = bootstrap(labels, models, lesion, ["accuracy"], schema=SCHEMA, replicates=999)
    draws = result.draws(1, "accuracy") - result.draws(0, "accuracy")
    difference = result.difference(0, 1, "accuracy", 0.9)
    assert (difference.low, difference.high) == pytest.approx(tuple(np.quantile(draws, [0.05, 0.95])))
    assert difference.pvalue == pytest.approx(2 * (1 + min((draws <= 0).sum(), (draws >= 0).sum())) / 1000)
    assert result.difference(0, 0, "accuracy").pvalue == 1  # identical: no evidence at all
    better = bootstrap(labels, [models[0], np.eye(7)[labels][None]], lesion, ["accuracy"], schema=SCHEMA, replicates=99)
    assert better.difference(0, 1, "accuracy").pvalue == pytest.approx(2 / 100)  # the least there can be, never 0


def test_clusters_of_one_give_the_bootstrap_of_images_and_doubling_images_leaves_intervals_alone():
    labels, models, lesion = clustered(seeds=1)
    doubled_rows = np.r_[0 : len(labels), 0 : len(labels)]
    kwargs = {"schema": SCHEMA, "replicates": 300}
    single = bootstrap(labels, models, lesion, ["balanced_accuracy"], **kwargs)
    doubled = bootstrap(
        labels[doubled_rows],
        [m[:, doubled_rows] for m in models],
        lesion[doubled_rows],
        ["balanced_accuracy"],
        **kwargs,
    )
    np.testing.assert_allclose(single.replicates, doubled.replicates, atol=1e-12)
    naive = bootstrap(
        labels[doubled_rows],
        [m[:, doubled_rows] for m in models],
        np.arange(len(doubled_rows)),
        ["balanced_accuracy"],
        **kwargs,
    )
    width = np.ptp(np.quantile(single.draws(0, "balanced_accuracy"), [0.025, 0.975]))
    assert np.ptp(np.quantile(naive.draws(0, "balanced_accuracy"), [0.025, 0.975])) < 0.85 * width


def test_a_replicate_without_a_class_is_left_out_and_counted():
    labels = np.array([0, 1, 1, 1, 1, 1])
    p = np.random.default_rng(0).dirichlet(np.ones(7), size=(1, 6))
    result = bootstrap(labels, [p], np.arange(6), ["auc_akiec"], schema=SCHEMA, replicates=200)
    interval = result.interval(0, "auc_akiec")
    draws = result.draws(0, "auc_akiec")
    assert interval.undefined == np.isnan(draws).sum()
    assert interval.undefined == pytest.approx(200 * (5 / 6) ** 6, abs=27)  # the only akiec is not drawn; 4 σ
    assert (interval.low, interval.high) == pytest.approx(tuple(np.nanquantile(draws, [0.025, 0.975])))


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (5, 0), (3, 9), (10, 10), (121, 59), (1, 2)])
def test_mcnemar_against_statsmodels_and_the_binomial(only_a, only_b):
    a = np.r_[np.ones(only_a), np.zeros(only_b), np.ones(4), np.zeros(3)].astype(bool)
    b = np.r_[np.zeros(only_a), np.ones(only_b), np.ones(4), np.zeros(3)].astype(bool)
    exact = mcnemar(a, b, "exact")
    assert (exact.only_a, exact.only_b) == (only_a, only_b)
    assert exact.pvalue == pytest.approx(sm_mcnemar([[4, only_a], [only_b, 3]], exact=True).pvalue)
    # Fagerland et al. 2013, eq. 4: mid-p is the exact p less the probability of the outcome itself.
    from scipy.stats import binom

    point_probability = binom.pmf(only_a, only_a + only_b, 0.5)
    expected = 1.0 if only_a == only_b else exact.pvalue - point_probability
    assert mcnemar(a, b, "mid-p").pvalue == pytest.approx(expected if only_a + only_b else 1.0)
    assert mcnemar(b, a, "mid-p").pvalue == mcnemar(a, b, "mid-p").pvalue


def test_holm_against_statsmodels():
    p = np.random.default_rng(0).random(20) ** 3
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    with pytest.raises(ValueError, match="0 to 1"):
        holm(np.array([0.1, np.nan]))


def test_bca_agrees_with_scipy():
    """scipy.stats.bootstrap, method BCa, on the mean of lesion values: the same estimator from another library."""
    from scipy.stats import bootstrap as scipy_bootstrap

    rng = np.random.default_rng(0)
    right = rng.random(60) < 0.85
    labels = np.zeros(60, dtype=int)
    p = np.full((60, 7), 0.05)
    p[np.arange(60), np.where(right, 0, 1)] = 0.7
    result = bootstrap(labels, [p[None]], np.arange(60), ["accuracy"], SCHEMA, replicates=20_000, jackknife=True)
    interval = result.interval(0, "accuracy", method="bca")
    expected = scipy_bootstrap((right.astype(float),), np.mean, n_resamples=20_000, method="BCa", rng=1)
    low, high = expected.confidence_interval
    assert interval.low == pytest.approx(low, abs=0.018)  # one image is 1/60
    assert interval.high == pytest.approx(high, abs=0.018)
    percentile = result.interval(0, "accuracy")
    assert interval.low < percentile.low  # skewed to the left: BCa moves that way
    with pytest.raises(ValueError, match="jackknife"):
        bootstrap(labels, [p[None]], np.arange(60), ["accuracy"], SCHEMA, replicates=10).interval(
            0, "accuracy", method="bca"
        )


def test_stratified_draws_keep_the_number_of_lesions_of_each_class():
    # One image per lesion, and a model that calls everything nv: its accuracy is the share of nv in the resample.
    labels = np.repeat([5, 0, 4], [30, 20, 10])
    always_nv = np.tile(np.eye(7)[5], (1, 60, 1))
    result = bootstrap(labels, [always_nv], np.arange(60), ["accuracy"], SCHEMA, replicates=200, stratified=True)
    assert (result.draws(0, "accuracy") == 0.5).all()
    plain = bootstrap(labels, [always_nv], np.arange(60), ["accuracy"], SCHEMA, replicates=200)
    assert plain.draws(0, "accuracy").std() == pytest.approx(np.sqrt(0.25 / 60), rel=0.2)
    weights = draw_weights(np.random.default_rng(0), [3, 5])
    assert (weights[:3].sum(axis=0) == 3).all()
    assert (weights[3:].sum(axis=0) == 5).all()


@pytest.mark.parametrize(
    ("corrupt", "message"),
    [
        (lambda p: p.__setitem__((0, 3, 1), np.nan), "NaN"),
        (lambda p: p.__setitem__((0, 3, 1), 3.0), "outside 0 to 1"),
        (lambda p: p.__imul__(0.5), "sum to one"),
    ],
)
def test_values_that_are_no_probabilities_are_refused(corrupt, message):
    labels, models, lesion = clustered(seeds=1)
    corrupt(models[1])
    with pytest.raises(ValueError, match=f"model 1: .*{message}"):
        bootstrap(labels, models, lesion, ["accuracy"], SCHEMA, replicates=10)


def test_one_lesion_gives_no_spread_and_no_evidence():
    labels, models, _ = clustered(seeds=1)
    result = bootstrap(labels, models, np.zeros(len(labels)), ["accuracy"], SCHEMA, replicates=50)
    difference = result.difference(0, 1, "accuracy")
    assert difference.low == difference.high == difference.difference


def test_a_class_may_be_called_anything():
    """Names of classes are the user's: one called like a metric must not be taken for it."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 80)
    p = rng.dirichlet(np.ones(2), size=(1, 80))
    schema = Schema(("auc", "malignant"), ("malignant",))
    result = bootstrap(labels, [p], np.arange(80), schema.metrics(), schema, replicates=20)
    auc = sk.roc_auc_score(labels, p[0, :, 1])
    for name in ("macro_auc", "auc_malignant", "auc_auc", "malignant_auc"):
        assert result.estimate(0, name) == pytest.approx(auc)
    assert result.estimate(0, "sensitivity_malignant") == sk.recall_score(labels, p[0].argmax(1))
