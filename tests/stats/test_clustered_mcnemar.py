"""Clustered McNemar tests against published values, tables worked by hand and the formulas as published."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats as sps
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar

from skinlesion.stats.clustered_mcnemar import METHODS, clustered_mcnemar
from skinlesion.stats.mcnemar import mcnemar

# Discordant pairs and pairs of 29 psychiatrists (Petryshen 1989): only the first positive, only the second, all.
# Published: Obuchowski 7.19 and Durkalski 7.542 (Durkalski et al. 2003), Yang 8.43 (Yang et al. 2010), McNemar 11.85;
# R's clust.bin.pair 0.1.2 has them in its tests.
PSYCHIATRY = (
    [0, 1, 1, 1, 0, 3, 3, 3, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 1, 1, 2, 0, 0, 0, 0, 0, 0, 0],
    [4, 2, 3, 2, 1, 3, 0, 2, 2, 4, 2, 4, 3, 2, 1, 3, 1, 2, 0, 0, 0, 2, 1, 2, 2, 0, 0, 1, 1],
    [7, 6, 7, 6, 4, 6, 5, 8, 4, 7, 3, 6, 7, 6, 5, 4, 6, 5, 4, 3, 5, 4, 4, 2, 3, 2, 2, 3, 1],
)

# PET and SPECT of the parathyroid glands of 21 patients (Obuchowski 1998), one string of glands per patient.
# Published: Obuchowski 2.86 and Durkalski 2.32 (Durkalski et al. 2003), Yang 3.13 (Yang et al. 2010), McNemar 4.5.
PET = "000 110 111 1 110 1111 111 11 11 1 110 11 111 11 00 110 110 110 11 1 11"
SPECT = "011 111 111 1 111 1111 111 11 10 1 110 11 111 11 11 110 110 111 11 1 11"


def images_of(only_a, only_b, sizes):
    """Return correct_a, correct_b and lesions of images with these counts per lesion."""
    a, b, lesion = [], [], []
    for number, (first, second, size) in enumerate(zip(only_a, only_b, sizes, strict=True)):
        a += [True] * first + [False] * second + [True] * (size - first - second)
        b += [False] * first + [True] * second + [True] * (size - first - second)
        lesion += [number] * size
    return np.array(a), np.array(b), np.array(lesion)


def glands():
    a, b = (np.array([gland == "1" for patient in text.split() for gland in patient]) for text in (PET, SPECT))
    return a, b, np.repeat(np.arange(21), [len(patient) for patient in PET.split()])


@pytest.mark.parametrize(
    ("data", "published"),
    [
        (images_of(*PSYCHIATRY), {"yang": 8.43, "obuchowski": 7.19, "durkalski": 7.54}),
        (glands(), {"yang": 3.13, "obuchowski": 2.86, "durkalski": 2.32}),
    ],
)
def test_published_statistics(data, published):
    for method, value in published.items():
        result = clustered_mcnemar(*data, method)
        assert round(result.statistic, 2) == value
        assert result.pvalue == pytest.approx(sps.chi2.sf(result.statistic, 1), rel=1e-12)
    plain = mcnemar(data[0], data[1], "asymptotic")
    assert sps.chi2.isf(plain.pvalue, 1) == pytest.approx(11.845 if published["yang"] > 5 else 4.5, abs=1e-3)


def test_a_table_worked_by_hand():
    # Three lesions of 2, 1 and 4 images: only a is right on (2, 0, 1), only b on (0, 1, 0), so d = 2, −1, 1.
    # Σd = 2, Σd² = 6, d̄ = 2/7; d − n·d̄ = 10/7, −9/7, −1/7, whose squares sum to 182/49 = 26/7.
    a, b, lesion = images_of([2, 0, 1], [0, 1, 0], [2, 1, 4])
    expected = {
        "yang": Fraction(2, 3) * 4 / (Fraction(26, 7) / 2 + 3),  # 28/51
        "obuchowski": Fraction(2, 3) * Fraction(4, 6),  # 4/9
        "durkalski": Fraction(1, 4) ** 2 / (1 + 1 + Fraction(1, 16)),  # 1/33
    }
    assert expected == {"yang": Fraction(28, 51), "obuchowski": Fraction(4, 9), "durkalski": Fraction(1, 33)}
    for method, value in expected.items():
        result = clustered_mcnemar(a, b, lesion, method)
        assert result.statistic == pytest.approx(float(value), rel=1e-14)
        assert (result.clusters, result.discordant_clusters) == (3, 3)


def test_a_table_of_two_trainings_worked_by_hand():
    # The table above, and a second training that a wins on lesion 2 only, by 2 of its 4 images: d = 0, 0, 2.
    # Mean over trainings: d = 1, −1/2, 3/2, Σd = 2, Σd² = 7/2; d − n·2/7 = 3/7, −11/14, 5/14, squares sum to 182/196.
    first = images_of([2, 0, 1], [0, 1, 0], [2, 1, 4])
    second = images_of([0, 0, 2], [0, 0, 0], [2, 1, 4])
    a, b = np.stack([first[0], second[0]]), np.stack([first[1], second[1]])
    spread = Fraction(3, 7) ** 2 + Fraction(11, 14) ** 2 + Fraction(5, 14) ** 2
    assert spread == Fraction(182, 196)
    yang = Fraction(2, 3) * 4 / ((spread + Fraction(7, 2)) / 2)
    assert clustered_mcnemar(a, b, first[2], "yang").statistic == pytest.approx(float(yang), rel=1e-14)
    assert clustered_mcnemar(a, b, first[2], "obuchowski").statistic == pytest.approx(16 / 21, rel=1e-14)
    # One training of b against two of a: b's answers count once, with all their weight.
    assert clustered_mcnemar(a, b[:1], first[2]).statistic == clustered_mcnemar(a, b[[0, 0]], first[2]).statistic


def clustered_hits(seed=0, lesions=120):
    rng = np.random.default_rng(seed)
    lesion = np.repeat(np.arange(lesions), rng.integers(1, 5, lesions))
    lesion_effect = rng.normal(size=(2, lesions))[:, lesion]
    a, b = lesion_effect + 0.7 * rng.normal(size=(2, len(lesion))) > -0.8
    return a, b, lesion


def published_variance(a, b, lesion, pooled):
    """Obuchowski 1998, eqs 2 to 5: variance of p1 − p2, residuals around the pooled proportion or around each one's."""
    x = np.array([[m[lesion == k].sum() for k in np.unique(lesion)] for m in (a, b)], dtype=float)
    n = np.bincount(lesion).astype(float)
    clusters, total = len(n), n.sum()
    centre = x.sum(axis=1) / total
    residual = x - n * (np.full(2, centre.mean()) if pooled else centre)[:, None]
    factor = clusters / (clusters - 1) / total**2
    return factor * ((residual[0] ** 2).sum() + (residual[1] ** 2).sum() - 2 * (residual[0] * residual[1]).sum())


def test_the_formulas_as_published():
    a, b, lesion = clustered_hits()
    squared = (a.mean() - b.mean()) ** 2
    null, alternative = published_variance(a, b, lesion, True), published_variance(a, b, lesion, False)
    assert clustered_mcnemar(a, b, lesion, "obuchowski").statistic == pytest.approx(squared / null, rel=1e-12)
    yang = squared / ((null + alternative) / 2)  # Yang et al. 2010: the mean of both variances
    assert clustered_mcnemar(a, b, lesion, "yang").statistic == pytest.approx(yang, rel=1e-12)


def test_lesions_of_one_image_give_mcnemars_statistic():
    a, b, _ = clustered_hits()
    only_a, only_b = (a & ~b).sum(), (b & ~a).sum()
    expected = sm_mcnemar([[0, only_a], [only_b, 0]], exact=False, correction=False)
    images = np.arange(len(a))
    durkalski, obuchowski = (clustered_mcnemar(a, b, images, method) for method in ("durkalski", "obuchowski"))
    assert durkalski.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert durkalski.pvalue == pytest.approx(expected.pvalue, rel=1e-10)
    assert obuchowski.statistic == pytest.approx(expected.statistic * (len(a) - 1) / len(a), rel=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_clustered_mcnemar_ignores_doubled_images_and_the_order_of_models(method):
    a, b, lesion = clustered_hits()
    single = clustered_mcnemar(a, b, lesion, method)
    doubled = clustered_mcnemar(np.r_[a, a], np.r_[b, b], np.r_[lesion, lesion], method)
    assert doubled.pvalue == pytest.approx(single.pvalue)
    assert clustered_mcnemar(b, a, lesion, method).pvalue == single.pvalue
    three_trainings = clustered_mcnemar(np.stack([a] * 3), np.stack([b] * 3), lesion, method)
    assert three_trainings.pvalue == pytest.approx(single.pvalue)
    assert three_trainings.discordant_clusters == single.discordant_clusters
    assert mcnemar(np.r_[a, a], np.r_[b, b]).pvalue < mcnemar(a, b).pvalue  # the naive test counts the copies
    no_difference = clustered_mcnemar(np.stack([a, b, b]), np.stack([b, a, b]), lesion, method)
    assert (no_difference.statistic, no_difference.pvalue) == (0, 1)
    with pytest.raises(ValueError, match="yang"):
        clustered_mcnemar(a, b, lesion, "durkalsky")
    with pytest.raises(ValueError, match="length"):
        clustered_mcnemar(a, b[1:], lesion, method)
