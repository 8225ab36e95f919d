"""The minimum detectable difference: images stay images, and the power is what the test has."""

import numpy as np
import pytest

from skinlesion.stats import power
from skinlesion.stats.clustered_mcnemar import clustered_mcnemar
from skinlesion.stats.power import minimum_detectable_difference


def lesions_of(count, seed=0):
    """Return misses of both models, and sizes of lesions, with each image missed by a model half of the time."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, count)
    return rng.binomial(sizes, 0.5), rng.binomial(sizes, 0.5), sizes


def test_an_image_never_differs_by_two(monkeypatch):
    """An image that only a has right, exchanged, is one that only b has right: b cannot gain it once more."""
    excesses = []

    def recording_statistic(difference, sizes, method="yang"):
        excesses.append((np.abs(difference) - sizes).max())
        return original_statistic(difference, sizes, method)

    original_statistic = power.clustered_statistic
    monkeypatch.setattr(power, "clustered_statistic", recording_statistic)
    misses_a = np.tile([0, 1, 1, 0], 20)
    misses_b = np.tile([1, 0, 1, 0], 20)
    smallest = minimum_detectable_difference(misses_a - misses_b, misses_a, misses_b, np.ones(80), simulations=100)
    assert max(excesses) == 0  # reached, and never exceeded
    assert 0 < smallest < 0.5  # half of the images are missed: more cannot be gained


def test_73_lesions_of_a_rare_class():
    """It was 0.221 where 0.174 is right: exchanged disagreements kept b's misses, so that images differed by two."""
    rng = np.random.default_rng(0)
    sizes = rng.choice([1, 2, 3], 73, p=[0.72, 0.2, 0.08])
    lesion = np.repeat(np.arange(73), sizes)
    common, specific = rng.normal(size=73)[lesion], rng.normal(size=(2, 73))[:, lesion]
    hits = np.sqrt(0.2) * common + np.sqrt(0.4) * specific + np.sqrt(0.4) * rng.normal(size=(2, len(lesion))) < 0
    misses = [np.bincount(lesion, weights=~row, minlength=73) for row in hits]
    difference = misses[0] - misses[1]
    assert 0.16 < minimum_detectable_difference(difference, *misses, sizes, simulations=400) < 0.19


def test_the_detectable_difference_is_detected_that_often_and_shrinks_with_lesions():
    def detectable(lesions):
        misses_a, misses_b, sizes = lesions_of(lesions)
        return minimum_detectable_difference(misses_a - misses_b, misses_a, misses_b, sizes, simulations=400)

    few_lesions, many_lesions = detectable(73), detectable(600)
    assert 0.03 < many_lesions < few_lesions / 2 < 0.2
    # By the normal approximation: (1.96 + 0.84) standard errors of the mean difference, of variance n / 2 a lesion.
    assert many_lesions == pytest.approx(2.8 * np.sqrt(600 * 2 / 2) / (600 * 2), rel=0.25)

    # Independently: images drawn anew, b's misses made right with the probability that gives this gain.
    rng = np.random.default_rng(1)
    rejected = 0
    for _ in range(300):
        sizes = rng.integers(1, 4, 600)
        lesion = np.repeat(np.arange(600), sizes)
        right_a = rng.random(len(lesion)) < 0.5
        right_b = rng.random(len(lesion)) < 0.5 + many_lesions
        result = clustered_mcnemar(right_a, right_b, lesion)
        rejected += result.pvalue <= 0.05 and right_b.mean() > right_a.mean()
    assert rejected / 300 == pytest.approx(0.8, abs=0.09)


def test_misses_as_a_mean_over_trainings_and_exchanged_models():
    misses_a, misses_b, sizes = lesions_of(150)
    third_a, third_b, _ = lesions_of(150, seed=0)
    whole = minimum_detectable_difference(misses_a - misses_b, misses_a, misses_b, sizes, simulations=200)
    same = (misses_a + third_a) / 2, (misses_b + third_b) / 2
    assert minimum_detectable_difference(same[0] - same[1], *same, sizes, simulations=200) == whole
    rng = np.random.default_rng(7)
    other_a, other_b = rng.binomial(sizes, 0.5), rng.binomial(sizes, 0.5)
    mean = (misses_a + other_a) / 2, (misses_b + other_b) / 2
    averaged = minimum_detectable_difference(mean[0] - mean[1], *mean, sizes, simulations=200)
    assert averaged < whole  # the mean over independent trainings varies less
    swapped = minimum_detectable_difference(misses_b - misses_a, misses_b, misses_a, sizes, simulations=1000)
    expected = minimum_detectable_difference(misses_a - misses_b, misses_a, misses_b, sizes, simulations=1000)
    assert swapped == pytest.approx(expected, rel=0.1)  # under the null hypothesis neither is the better one


def test_what_cannot_be_detected_and_what_does_not_fit():
    assert np.isnan(minimum_detectable_difference(*np.zeros((3, 5)), np.ones(5), simulations=50))
    with pytest.raises(ValueError, match="leaning"):
        minimum_detectable_difference(np.ones(5), np.zeros(5), np.ones(5), np.ones(5))
    with pytest.raises(ValueError, match="more misses"):
        minimum_detectable_difference(np.zeros(5), 2 * np.ones(5), 2 * np.ones(5), np.ones(5))
