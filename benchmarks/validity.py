"""Do the tests keep their level and the intervals their coverage when images share lesions? By simulation.

    python benchmarks/validity.py [--simulations 1000] [--out benchmarks/validity.md]

Two classifiers that are equally good, on lesions with one to four images. A score is the class's shift plus noise,
half of it common to both classifiers; a share ρ of each noise belongs to the lesion, the rest to the image. At
ρ = 1 images of one lesion are copies. True values are known: sensitivity = specificity = Φ(shift / 2), and
AUC = Φ(shift / √2).
A test that rejects more than 7 % at the 5 % level, or a 95 % interval that covers less than 92.5 %, must not be a
default.
"""

import argparse
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from scipy.special import ndtr

from skinlesion.stats.bootstrap import bootstrap
from skinlesion.stats.clustered_mcnemar import METHODS as CLUSTERED_MCNEMAR
from skinlesion.stats.clustered_mcnemar import clustered_mcnemar
from skinlesion.stats.delong import auc_covariance, auc_difference, macro_auc_difference
from skinlesion.stats.mcnemar import METHODS as MCNEMAR
from skinlesion.stats.mcnemar import mcnemar
from skinlesion.stats.permutation import permutation_test
from skinlesion.stats.resampling import Schema

LESIONS, SHIFT, PREVALENCE = 200, 1.4, 0.35
SIZES, SIZE_SHARES = np.arange(1, 5), (0.35, 0.30, 0.20, 0.15)
CORRELATIONS = (0.0, 0.5, 1.0)
REPLICATES, PERMUTATIONS = 499, 199
SCHEMA = Schema(("benign", "malignant"))
METRICS = ("balanced_accuracy", "macro_f1", "macro_auc")
MOST_REJECTED, LEAST_COVERED = 0.07, 0.925


def simulate(rng: np.random.Generator, correlation: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels (N,), probabilities (2, N, 2) of two equally good classifiers, and lesions (N,)."""
    lesion = np.repeat(np.arange(LESIONS), rng.choice(SIZES, LESIONS, p=SIZE_SHARES))
    labels = (rng.random(LESIONS) < PREVALENCE).astype(int)[lesion]

    def noise() -> np.ndarray:
        own = rng.normal(size=len(lesion))
        return np.sqrt(correlation) * rng.normal(size=LESIONS)[lesion] + np.sqrt(1 - correlation) * own

    common = noise()
    scores = np.stack([SHIFT * (labels - 0.5) + np.sqrt(0.5) * common + np.sqrt(0.5) * noise() for _ in range(2)])
    malignant = 1 / (1 + np.exp(-scores))
    return labels, np.stack([1 - malignant, malignant], axis=2), lesion


def one(seed: int, correlation: float) -> dict[tuple[str, str, str], bool]:
    """Return for one data set (kind, method, clustering) → rejected at 5 %, or covered at 95 %."""
    labels, p, lesion = simulate(np.random.default_rng(seed), correlation)
    images = np.arange(len(labels))
    right = p.argmax(axis=2) == labels
    positive = labels == 1
    found: dict[tuple[str, str, str], bool] = {}

    def test(method: str, clustering: str, pvalue: float) -> None:
        found["type I error", method, clustering] = pvalue <= 0.05

    for method in MCNEMAR:
        test(f"McNemar, {method}", "images", mcnemar(right[0], right[1], method).pvalue)
    for method in CLUSTERED_MCNEMAR:
        test(f"McNemar, {method}", "lesions", clustered_mcnemar(right[0], right[1], lesion, method).pvalue)
    for clustering, units in (("images", images), ("lesions", lesion)):
        auc = auc_covariance(positive, p[:, :, 1], None if clustering == "images" else lesion)
        difference = auc_difference(auc, 0, 1)
        test("DeLong, AUC", clustering, difference.pvalue)
        found["coverage, difference", "DeLong, AUC", clustering] = difference.low <= 0 <= difference.high
        half = 1.959964 * np.sqrt(auc.covariance[0, 0])
        found["coverage, one model", "DeLong, AUC", clustering] = bool(
            abs(auc.auc[0] - ndtr(SHIFT / np.sqrt(2))) <= half
        )
        macro = macro_auc_difference(labels, p[0], p[1], units)
        test("DeLong, macro AUC by influence", clustering, macro.pvalue)
        swapped = permutation_test(labels, p[0], p[1], units, METRICS, SCHEMA, permutations=PERMUTATIONS, seed=seed)
        resampled = bootstrap(
            labels, [p[:1], p[1:]], units, METRICS, SCHEMA,
            replicates=REPLICATES, seed=seed, threads=1, jackknife=True,
        )  # fmt: skip
        truth = {"balanced_accuracy": ndtr(SHIFT / 2), "macro_auc": ndtr(SHIFT / np.sqrt(2))}
        for metric in METRICS:
            test(f"permutation, {metric}", clustering, swapped[metric].pvalue)
            test(f"bootstrap, {metric}", clustering, resampled.difference(0, 1, metric).pvalue)
            for method in ("percentile", "bca"):
                pair = resampled.difference(0, 1, metric, method=method)
                name = f"bootstrap {method}, {metric}"
                found["coverage, difference", name, clustering] = pair.low <= 0 <= pair.high
                if metric in truth:
                    single = resampled.interval(0, metric, method=method)
                    found["coverage, one model", name, clustering] = single.low <= truth[metric] <= single.high
    return found


def run(task: tuple[float, int, int]) -> tuple[float, dict[tuple[str, str, str], int]]:
    correlation, first, count = task
    totals: dict[tuple[str, str, str], int] = defaultdict(int)
    for seed in range(first, first + count):
        for key, value in one(seed, correlation).items():
            totals[key] += bool(value)
    return correlation, dict(totals)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    step = 25
    tasks = [
        (correlation, first, min(step, options.simulations - first))
        for first in range(0, options.simulations, step)
        for correlation in CORRELATIONS
    ]
    totals: dict[tuple[str, str, str], dict[float, int]] = defaultdict(lambda: defaultdict(int))
    with ProcessPoolExecutor() as pool:
        for number, (correlation, part) in enumerate(pool.map(run, tasks), start=1):
            for key, count in part.items():
                totals[key][correlation] += count
            print(f"{number} of {len(tasks)} batches", file=sys.stderr, flush=True)
    text = table(totals, options.simulations)
    options.out.write_text(text)
    print(text)


def table(totals: dict[tuple[str, str, str], dict[float, int]], simulations: int) -> str:
    """Return the Markdown page; figures outside the limits carry an exclamation mark."""
    lines = [
        "# Validity of the tests and intervals, by simulation",
        "",
        f"`python benchmarks/validity.py --simulations {simulations}`: {simulations} data sets for each ρ, {LESIONS} "
        f"lesions with one to four images, two equally good classifiers, {REPLICATES} replicates, {PERMUTATIONS} "
        "permutations. ρ is the share of the noise that images of one lesion have in common.",
        "",
        f"**!** marks a 5 % test that rejects more than {MOST_REJECTED:.0%}, or a 95 % interval that covers less than "
        f"{LEAST_COVERED:.1%}: not fit to be a default. The standard error of a figure near 5 % is "
        f"{np.sqrt(0.05 * 0.95 / simulations):.1%}.",
    ]
    for kind in ("type I error", "coverage, difference", "coverage, one model"):
        heads = " | ".join(f"{units}, ρ = {rho:g}" for units in ("images", "lesions") for rho in CORRELATIONS)
        lines += ["", f"## {kind[0].upper()}{kind[1:]}", "", f"| method | {heads} |", "|" + "---|" * 7]
        for method in dict.fromkeys(key[1] for key in totals if key[0] == kind):
            cells = []
            for units in ("images", "lesions"):
                counts = totals.get((kind, method, units))
                for rho in CORRELATIONS:
                    cells.append("" if counts is None else cell(kind, counts[rho] / simulations))
            lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def cell(kind: str, share: float) -> str:
    bad = share > MOST_REJECTED if kind == "type I error" else share < LEAST_COVERED
    return f"{100 * share:.1f} %{' **!**' if bad else ''}"


if __name__ == "__main__":
    main()
