"""The permutation test against a plain loop over scikit-learn, and its properties."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, precision_score, roc_auc_score

from skinlesion.stats.permutation import BLOCK, draw_swaps, permutation_test
from skinlesion.stats.resampling import Schema
from skinlesion.vocabulary import CLASSES

SCHEMA = Schema(CLASSES)


def predictions(seed=0, lesions=40, strength=(1.0, 1.0), trainings=1):
    """Return labels, probabilities (S, N, 7) of two models, and lesions."""
    rng = np.random.default_rng(seed)
    lesion = np.repeat(np.arange(lesions), rng.integers(1, 3, lesions))
    labels = rng.integers(0, 7, lesions)[lesion]
    models = []
    for model_strength in strength:
        p = np.exp(rng.normal(size=(trainings, len(labels), 7)) + model_strength * np.eye(7)[labels])
        models.append(p / p.sum(axis=2, keepdims=True))
    return labels, models[0], models[1], lesion


@pytest.mark.parametrize(("trainings", "count"), [(1, BLOCK + 4), (2, 30)])
def test_permutation_agrees_with_swapping_in_a_loop(trainings, count):
    labels, a, b, lesion = predictions(trainings=trainings)
    metrics = ["balanced_accuracy", "auc_mel"]
    result = permutation_test(labels, a, b, lesion, metrics, SCHEMA, permutations=count, seed=3)
    keep = np.concatenate([draw_swaps(child, 40) for child in np.random.SeedSequence(3).spawn(2)])[:count]
    mel = labels == 4

    def both(x, y):
        scores = [
            [balanced_accuracy_score(labels, layer.argmax(1)), roc_auc_score(mel, layer[:, 4])] for layer in (*x, *y)
        ]
        return np.mean(scores[trainings:], axis=0) - np.mean(scores[:trainings], axis=0)

    observed = both(a, b)
    swapped = []
    for draw in keep:
        stay = draw[lesion][:, None] == 1
        swapped.append(both(np.where(stay, a, b), np.where(stay, b, a)))
    expected = (1 + (np.abs(swapped) >= np.abs(observed) - 1e-12).sum(axis=0)) / (count + 1)
    assert [result[m].difference for m in metrics] == pytest.approx(list(observed))
    assert [result[m].pvalue for m in metrics] == pytest.approx(list(expected))


def test_swaps_are_independent_with_probability_one_half():
    keep = np.concatenate([draw_swaps(child, 203) for child in np.random.SeedSequence(0).spawn(20)])
    assert set(np.unique(keep)) == {0.0, 1.0}
    assert keep.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(keep.size))
    assert np.abs(keep.mean(axis=0) - 0.5).max() < 4.5 * 0.5 / np.sqrt(len(keep))  # every lesion, the last ones too
    assert np.abs(np.corrcoef(keep.T) - np.eye(203)).max() < 5 / np.sqrt(len(keep))


def test_the_seed_alone_decides():
    labels, a, b, lesion = predictions()

    def pvalue(**settings):
        return permutation_test(labels, a, b, lesion, ["macro_f1"], SCHEMA, permutations=300, **settings)[
            "macro_f1"
        ].pvalue

    assert pvalue(threads=1) == pvalue(threads=3)
    assert len({pvalue(seed=seed) for seed in range(5)}) > 1


def test_permutation_detects_a_difference_and_not_equal_models():
    labels, a, b, lesion = predictions(strength=(0.5, 2.5), lesions=120)
    assert permutation_test(labels, a, b, lesion, ["accuracy"], SCHEMA)["accuracy"].pvalue < 0.01
    assert permutation_test(labels, a, a, lesion, ["accuracy"], SCHEMA)["accuracy"].pvalue == 1


def test_one_training_may_come_without_its_axis_and_copies_of_a_training_change_nothing():
    labels, a, b, lesion = predictions()
    with_axis = permutation_test(labels, a, b, lesion, ["accuracy"], SCHEMA)
    assert permutation_test(labels, a[0], b[0], lesion, ["accuracy"], SCHEMA) == with_axis
    repeated = [np.concatenate([model] * 3) for model in (a, b)]
    assert (
        permutation_test(labels, *repeated, lesion, ["accuracy"], SCHEMA)["accuracy"].pvalue
        == with_axis["accuracy"].pvalue
    )
    with pytest.raises(ValueError, match="3 trainings and b 1"):
        permutation_test(labels, repeated[0], b, lesion, ["accuracy"], SCHEMA)


def test_swapping_models_negates_the_difference_and_keeps_p():
    labels, a, b, lesion = predictions(trainings=2)
    metrics = ["balanced_accuracy", "macro_auc"]
    forward = permutation_test(labels, a, b, lesion, metrics, SCHEMA, permutations=300)
    backward = permutation_test(labels, b, a, lesion, metrics, SCHEMA, permutations=300)
    for metric in metrics:
        assert forward[metric].difference == pytest.approx(-backward[metric].difference)
        assert forward[metric].pvalue == backward[metric].pvalue


def test_a_permutation_without_value_is_no_evidence():
    # Both call image 0 mel, rightly, and a image 1 as well: a's precision is one half, b's is 1.
    labels = np.array([4, 5, 5, 5])
    a, b = np.eye(7)[[4, 4, 5, 5]], np.eye(7)[[4, 5, 5, 5]]
    result = permutation_test(labels, a, b, np.arange(4), ["precision_mel"], SCHEMA, permutations=400)["precision_mel"]
    assert result.difference == precision_score(labels, [4, 5, 5, 5], labels=[4], average="macro") - 0.5
    assert result.pvalue == 1  # ±0.5 whatever is swapped
    no_positive = np.eye(7)[[5, 5, 5, 5]]
    with pytest.raises(ValueError, match="undefined"):
        permutation_test(labels, a, no_positive, np.arange(4), ["precision_mel"], SCHEMA)
    halves = permutation_test(
        labels,
        np.eye(7)[[4, 5, 5, 5]],
        np.eye(7)[[5, 4, 5, 5]],
        np.arange(4),
        ["precision_mel"],
        SCHEMA,
        permutations=999,
    )["precision_mel"]
    assert halves.difference == -1
    assert halves.pvalue == 1  # ±1 in half of them, undefined in the other half: one model then calls nothing mel
