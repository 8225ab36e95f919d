"""Do the tests that published comparisons on HAM10000 use keep their level? By simulation, beside those used here.

    python benchmarks/published_tests.py [--simulations 1000] [--metadata data/raw/ham10000/HAM10000_metadata.csv]

Data sets are those of validity_data.py: two models that are equally good, so that a 5 % test rejects 5 %. Bootstrap
replicates of an accuracy over images are drawn from its distribution, which is binomial.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.stats import mannwhitneyu, norm, ttest_ind, ttest_rel
from validity_data import Lesions, Regime, simulate

from skinlesion.evaluation.registry import SCHEMA
from skinlesion.stats.clustered_mcnemar import clustered_mcnemar
from skinlesion.stats.influence import influences
from skinlesion.stats.linear_estimate import contrast
from skinlesion.stats.mcnemar import mcnemar

PAGE = Path(__file__).with_suffix(".md")
REPLICATES = (100, 1000)
REGIMES = tuple(
    Regime(f"{lesions:,} lesions, ρ = {rho:g}", lesions=lesions, rho=rho)
    for lesions in (1000, 7470)
    for rho in (0.0, 0.6, 1.0)
)


def p_values(right: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Yield the name and the p-value of each published test of two accuracies.

    Args:
        right: (2, N) whether each model is right on each image.
    """
    images, shares = right.shape[1], right.mean(axis=1)
    for count in REPLICATES:
        first, second = (rng.binomial(images, share, count) / images for share in shares)
        yield f"Mann–Whitney between {count:,} bootstrap replicates each", mannwhitneyu(first, second).pvalue
        yield f"t test between {count:,} bootstrap replicates each", ttest_ind(first, second).pvalue
    pooled = right.mean()
    z = (shares[0] - shares[1]) / np.sqrt(2 * pooled * (1 - pooled) / images)
    yield "z test of two shares, unpaired", float(2 * norm.sf(abs(z)))
    yield "t test on 0 and 1, paired by image", ttest_rel(*right.astype(float)).pvalue
    yield "McNemar, by image", mcnemar(*right).pvalue


def rejections(regime: Regime, lesions: Lesions, simulations: int) -> dict[str, float]:
    """Return what share of data sets each test calls different at 5 %."""
    counts: dict[str, int] = {}
    for seed in range(simulations):
        rng = np.random.default_rng([seed, REGIMES.index(regime)])
        data = simulate(regime, lesions, rng)
        right = data.probabilities.argmax(axis=2) == data.labels
        pvalues = dict(p_values(right, rng))
        pvalues["McNemar, by lesion (here)"] = clustered_mcnemar(right[0], right[1], data.lesions, "yang").pvalue
        models = [influences(data.labels, p[None], data.lesions, ["accuracy"], SCHEMA) for p in data.probabilities]
        pvalues["t test, by lesion (here)"] = contrast([-1, 1], [model["accuracy"] for model in models]).pvalue()
        for name, p in pvalues.items():
            counts[name] = counts.get(name, 0) + bool(p <= 0.05)
    return {name: count / simulations for name, count in counts.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--metadata", type=Path, default=Path("data/raw/ham10000/HAM10000_metadata.csv"))
    options = parser.parse_args()
    lesions = Lesions.read(options.metadata)
    columns = [rejections(regime, lesions, options.simulations) for regime in REGIMES]
    lines = [
        "# The tests of published comparisons, where nothing is to be found",
        "",
        f"`python benchmarks/published_tests.py --simulations {options.simulations}`: how often a test at 5 % calls "
        f"two equally good models different in accuracy, on {options.simulations:,} data sets of each regime. Lesions "
        "are drawn from HAM10000's; ρ is the share of the noise that images of one lesion have in common; "
        "half of the noise is common to both models.",
        "",
        f"| test | {' | '.join(regime.name for regime in REGIMES)} |",
        "|" + "---|" * (len(REGIMES) + 1),
        *(f"| {name} | {' | '.join(f'{column[name]:.1%}' for column in columns)} |" for name in columns[0]),
        "",
        "Tests between bootstrap replicates take their number for that of patients: more replicates, smaller p. An "
        "unpaired test ignores that both models saw the same images, which hides differences, and that images of a "
        "lesion move together, which makes some up. Tests paired by image are right where images of a lesion are "
        "independent, and wrong otherwise.",
    ]
    PAGE.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
