"""Statistics against independent implementations."""

import numpy as np
import pytest
from sklearn import metrics as sk
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from statsmodels.stats.multitest import multipletests

from skinlesion.stats.bootstrap import bootstrap, draw_weights, metric_names
from skinlesion.stats.mcnemar import mcnemar
from skinlesion.stats.multiplicity import holm
from skinlesion.vocabulary import CLASSES, MALIGNANT


def clustered(count=500, lesions=300, models=2, seeds=2, seed=0):
    """Return labels, probabilities of each model, and the lesion of each image; scores have ties."""
    rng = np.random.default_rng(seed)
    lesion = np.concatenate([np.arange(lesions), rng.integers(0, lesions, count - lesions)])
    labels = rng.choice(7, lesions, p=[0.1, 0.1, 0.2, 0.1, 0.15, 0.25, 0.1])[lesion]
    made = []
    for _ in range(models):
        logits = rng.normal(size=(seeds, count, 7)) + 1.5 * np.eye(7)[labels]
        p = np.exp(logits)
        made.append(np.round(p / p.sum(axis=2, keepdims=True), 2))
    return labels, made, lesion


def test_bootstrap_equals_a_plain_loop_over_scikit_learn_on_the_same_resamples():
    labels, models, lesion = clustered()
    names = metric_names(CLASSES, MALIGNANT)
    found = bootstrap(labels, models, lesion, names, class_names=CLASSES, malignant=MALIGNANT, replicates=12, seed=5)
    child = np.random.SeedSequence(5).spawn(1)[0]
    weights = draw_weights(np.random.default_rng(child), 300)
    malignant = np.isin(labels, [0, 1, 4])
    for replicate in range(12):
        rows = np.concatenate(
            [np.flatnonzero(lesion == one) for one in np.repeat(np.arange(300), weights[:, replicate].astype(int))]
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
            for k, name in enumerate(names):
                assert found.replicates[replicate, position, k] == pytest.approx(np.mean(expected[name]), abs=1e-12), (
                    name
                )


def test_the_seed_alone_decides_a_bootstrap():
    labels, models, lesion = clustered()
    metrics = ["balanced_accuracy", "macro_auc"]

    def replicates(count, seed=0, threads=1):
        return bootstrap(
            labels, models, lesion, metrics, class_names=CLASSES, replicates=count, seed=seed, threads=threads
        ).replicates

    np.testing.assert_array_equal(replicates(150), replicates(150, threads=3))
    np.testing.assert_array_equal(replicates(150)[:70], replicates(70))
    assert (replicates(70) != replicates(70, seed=1)).any()


def test_intervals_and_p_values_follow_from_the_replicates():
    labels, models, lesion = clustered()
    found = bootstrap(labels, models, lesion, ["accuracy"], class_names=CLASSES, replicates=999)
    draws = found.replicates[:, 1, 0] - found.replicates[:, 0, 0]
    difference = found.difference(0, 1, "accuracy", 0.9)
    assert (difference.low, difference.high) == pytest.approx(tuple(np.quantile(draws, [0.05, 0.95])))
    assert difference.pvalue == pytest.approx(2 * (1 + min((draws <= 0).sum(), (draws >= 0).sum())) / 1000)
    assert found.difference(0, 0, "accuracy").pvalue == 1  # identical: no evidence at all
    better = bootstrap(
        labels, [models[0], np.eye(7)[labels][None]], lesion, ["accuracy"], class_names=CLASSES, replicates=99
    )
    assert better.difference(0, 1, "accuracy").pvalue == pytest.approx(2 / 100)  # the least there can be, never 0


def test_clusters_of_one_give_the_bootstrap_of_images_and_doubling_images_leaves_intervals_alone():
    labels, models, lesion = clustered(seeds=1)
    twice = np.r_[0 : len(labels), 0 : len(labels)]
    kwargs = {"class_names": CLASSES, "replicates": 300}
    once = bootstrap(labels, models, lesion, ["balanced_accuracy"], **kwargs)
    doubled = bootstrap(labels[twice], [m[:, twice] for m in models], lesion[twice], ["balanced_accuracy"], **kwargs)
    np.testing.assert_allclose(once.replicates, doubled.replicates, atol=1e-12)
    naive = bootstrap(
        labels[twice], [m[:, twice] for m in models], np.arange(len(twice)), ["balanced_accuracy"], **kwargs
    )
    width = np.ptp(np.quantile(once.replicates[:, 0, 0], [0.025, 0.975]))
    assert np.ptp(np.quantile(naive.replicates[:, 0, 0], [0.025, 0.975])) < 0.85 * width


def test_a_replicate_without_a_class_is_left_out_and_counted():
    labels = np.array([0, 1, 1, 1, 1, 1])
    p = np.random.default_rng(0).dirichlet(np.ones(7), size=(1, 6))
    found = bootstrap(labels, [p], np.arange(6), ["auc_akiec"], class_names=CLASSES, replicates=200)
    interval = found.interval(0, "auc_akiec")
    assert 30 < interval.undefined < 120  # (5/6)^6 of 200 draw no akiec at all
    assert np.isfinite([interval.low, interval.high]).all()


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (5, 0), (3, 9), (10, 10), (121, 59), (1, 2)])
def test_mcnemar_against_statsmodels_and_the_binomial(only_a, only_b):
    a = np.r_[np.ones(only_a), np.zeros(only_b), np.ones(4), np.zeros(3)].astype(bool)
    b = np.r_[np.zeros(only_a), np.ones(only_b), np.ones(4), np.zeros(3)].astype(bool)
    exact = mcnemar(a, b, "exact")
    assert (exact.only_a, exact.only_b) == (only_a, only_b)
    assert exact.pvalue == pytest.approx(sm_mcnemar([[4, only_a], [only_b, 3]], exact=True).pvalue)
    # Fagerland et al. 2013, eq. 4: mid-p is the exact p less the probability of the outcome itself.
    from scipy.stats import binom

    own = binom.pmf(only_a, only_a + only_b, 0.5)
    expected = 1.0 if only_a == only_b else exact.pvalue - own
    assert mcnemar(a, b, "mid-p").pvalue == pytest.approx(expected if only_a + only_b else 1.0)
    assert mcnemar(b, a, "mid-p").pvalue == mcnemar(a, b, "mid-p").pvalue


def test_holm_against_statsmodels():
    p = np.random.default_rng(0).random(20) ** 3
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    with pytest.raises(ValueError, match="0 to 1"):
        holm(np.array([0.1, np.nan]))
