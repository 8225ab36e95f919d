"""Do calibration errors' intervals cover, and does the test keep its level, where images share lesions? By simulation.

    OMP_NUM_THREADS=1 python benchmarks/calibration_validity.py [--simulations 1000] [--out calibration_validity.md]

An image has a true probability c of its event, that of the likeliest answer (1/7 to 1) or of malignancy (mean 0.2), and
the event occurs with it; a share ρ of the noise behind both belongs to the lesion. The model says
expit(a · logit c + b): calibrated where a = 1 and b = 0. The true error over bins is that of 600,000 images. Every
regime that is done is kept in a CSV beside the page, so that a run that was ended goes on where it was.

The second table is exact but for 20,000 resamples: the percentile interval of a class's sensitivity, by its lesions.
"""

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.special import expit, logit
from scipy.stats import beta, binom, norm

from skinlesion.evaluation.reliability import calibration_error, equal_mass, equal_width
from skinlesion.evaluation.rms_calibration import rms_calibration_error

BINS, CONFIDENCE = 15, 0.95
SIZES, HAM10000, MANY = np.arange(1, 5), (0.75, 0.18, 0.05, 0.02), (0.35, 0.30, 0.20, 0.15)
#: Event, a and b of the model's log-odds.
MODELS = {
    "likeliest answer, calibrated": ("top", 1.0, 0.0),
    "likeliest answer, off by little": ("top", 1.1, 0.0),
    "likeliest answer, overconfident": ("top", 1.3, 0.1),
    "likeliest answer, badly so": ("top", 1.5, 0.8),
    "malignancy, calibrated": ("risk", 1.0, 0.0),
    "malignancy, overstated by little": ("risk", 1.0, 0.2),
    "malignancy, overstated": ("risk", 1.0, 0.7),
}
#: Lesions → the models, and (ρ, shares of lesions with 1 to 4 images, trainings).
REGIMES = {
    600: (tuple(MODELS), ((0.0, HAM10000, 1), (0.6, MANY, 1), (1.0, MANY, 1), (0.6, HAM10000, 3))),
    7470: (
        ("likeliest answer, calibrated", "likeliest answer, overconfident", "malignancy, overstated by little"),
        ((0.0, HAM10000, 1), (0.6, HAM10000, 1), (1.0, HAM10000, 1)),
    ),
}
#: Smaller files have fewer bins; one regime for each size.
SMALL = {20: "malignancy, calibrated", 60: "likeliest answer, calibrated", 150: "likeliest answer, overconfident",
         300: "malignancy, overstated"}  # fmt: skip
RESAMPLED, REPLICATES = 200, 399  # data sets and resamples behind the figures of the plug-in ECE
FIELDS = (
    "simulations", "lesions", "model", "rho", "images", "trainings",
    "error", "covered", "rejected", "outside", "width", "ece_covered", "ece_outside",
)  # fmt: skip
LEAST, MOST = 0.93, 0.97
CLASS_LESIONS, SENSITIVITIES, RESAMPLES = (3, 4, 5, 8, 10, 15, 20, 30, 73), (0.5, 0.6, 0.7, 0.8, 0.9), 20_000

_GRID = (np.arange(20_001)) / 20_000
_QUANTILES = {"top": 1 / 7 + 6 / 7 * beta.ppf(_GRID, 2.2, 0.8), "risk": beta.ppf(_GRID, 0.35, 1.4)}


def stated(event: str, a: float, b: float, rank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the true probabilities at ranks in 0..1, and what the model says."""
    true = np.interp(rank, _GRID, _QUANTILES[event])
    return true, expit(a * logit(np.clip(true, 1e-9, 1 - 1e-9)) + b)


def true_error(event: str, a: float, b: float, bins: int) -> tuple[float, float]:
    """Return the root mean squared error over bins of equal mass, and the ECE over bins of equal width."""
    true, predicted = stated(event, a, b, (np.arange(600_000) + 0.5) / 600_000)
    mass, width = equal_mass(predicted, bins), equal_width(predicted, bins)
    gap = np.bincount(mass, true - predicted, bins) / np.bincount(mass, minlength=bins)
    return float(np.sqrt((gap**2).mean())), float(np.abs(np.bincount(width, true - predicted, bins)).sum() / len(true))


def simulate(
    rng: np.random.Generator, lesions: int, model: str, rho: float, shares: tuple[float, ...], trainings: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the stated probabilities (S, N), whether the event occurred (S, N), and lesions (N,)."""
    lesion = np.repeat(np.arange(lesions), rng.choice(SIZES, lesions, p=shares))

    def noise() -> np.ndarray:
        lesion_effect = rng.normal(size=lesions)[lesion]
        return np.sqrt(rho) * lesion_effect + np.sqrt(1 - rho) * rng.normal(size=len(lesion))

    def layered() -> list[np.ndarray]:
        common, shared = noise(), 1.0 if trainings == 1 else 0.8
        return [np.sqrt(shared) * common + np.sqrt(1 - shared) * noise() for _ in range(trainings)]

    predicted, hits = [], []
    for rank, chance in zip(layered(), layered(), strict=True):
        true, probability = stated(*MODELS[model], norm.cdf(rank))
        predicted.append(probability)
        hits.append(norm.cdf(chance) < true)
    return np.array(predicted), np.array(hits), lesion


def resampled_ece(
    rng: np.random.Generator, predicted: np.ndarray, hit: np.ndarray, lesion: np.ndarray
) -> tuple[float, float, float]:
    """Return the plug-in ECE of one training and its basic bootstrap interval over lesions: what was shown before."""
    statistic = calibration_error(predicted, hit, equal_width(predicted, BINS), BINS)
    lesions = int(lesion.max()) + 1
    sums = np.stack([np.bincount(lesion, column, lesions) for column in statistic.columns.T], axis=1)
    weights = rng.multinomial(lesions, np.full(lesions, 1 / lesions), REPLICATES)
    low, high = np.quantile(statistic.function(weights @ sums), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return statistic.value, max(0.0, 2 * statistic.value - high), max(0.0, 2 * statistic.value - low)


def regimes() -> Iterator[tuple[int, str, float, tuple[float, ...], int]]:
    for lesions, (models, kinds) in REGIMES.items():
        yield from ((lesions, model, *kind) for model in models for kind in kinds)
    yield from ((lesions, model, 0.6, HAM10000, 1) for lesions, model in SMALL.items())


def measure(
    simulations: int, lesions: int, model: str, rho: float, shares: tuple[float, ...], trainings: int
) -> dict[str, float]:
    """Return shares of data sets: covered, rejected, and the same of the plug-in ECE."""
    bins = max(1, min(BINS, lesions // 20))
    truth, plain = true_error(*MODELS[model], bins)[0], true_error(*MODELS[model], BINS)[1]
    covered, rejected, outside, widths = 0, 0, 0, 0.0
    plug_covered, plug_outside, resampled = 0, 0, 0
    for number in range(simulations):
        rng = np.random.default_rng([lesions, list(MODELS).index(model), int(10 * rho), trainings, number])
        predicted, hit, lesion = simulate(rng, lesions, model, rho, shares, trainings)
        error = rms_calibration_error(predicted, hit, lesion, BINS)
        low, high = error.confidence_interval(CONFIDENCE)
        # An error of 0 that rounding makes 1e-8 is 0.
        covered += low <= truth + 1e-7 and truth <= high
        rejected += error.pvalue <= 1 - CONFIDENCE
        outside += not low <= error.value <= high
        widths += high - low
        if number < RESAMPLED and trainings == 1:
            value, low, high = resampled_ece(rng, predicted[0], hit[0], lesion)
            plug_covered += low <= plain <= high
            plug_outside += not low <= value <= high
            resampled += 1
    return {
        "error": truth, "covered": covered / simulations, "rejected": rejected / simulations,
        "outside": outside / simulations, "width": widths / simulations,
        "ece_covered": plug_covered / resampled if resampled else np.nan,
        "ece_outside": plug_outside / resampled if resampled else np.nan,
    }  # fmt: skip


def sensitivity_coverage(lesions: int, sensitivity: float, total: int = 600) -> tuple[float, float, float]:
    """Return the coverage of the percentile interval for a class of single-image lesions among `total`.

    Over all data sets, over those whose resamples vary (some right, some wrong), and the share of resamples without
    the class.
    """
    rng = np.random.default_rng(lesions)
    drawn = rng.binomial(total, lesions / total, RESAMPLES)
    nonzero = drawn[drawn > 0]
    right = np.arange(lesions + 1)
    covers = []
    for count in right:
        low, high = np.quantile(rng.binomial(nonzero, count / lesions) / nonzero, [0.025, 0.975])
        covers.append(low <= sensitivity <= high)
    weight = binom.pmf(right, lesions, sensitivity)
    varying = (right > 0) & (right < lesions)
    inside = np.array(covers) * weight
    return float(inside.sum()), float(inside[varying].sum() / weight[varying].sum()), float((drawn == 0).mean())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    csv_path = options.out.with_suffix(".csv")
    rows = list(csv.DictReader(csv_path.open())) if csv_path.exists() else []
    done = {tuple(row[name] for name in FIELDS[:6]) for row in rows}
    with csv_path.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if not rows:
            writer.writeheader()
        for lesions, model, rho, shares, trainings in regimes():
            images = f"{np.dot(SIZES, shares):.2f}"
            key = (str(options.simulations), str(lesions), model, str(rho), images, str(trainings))
            if key in done:
                continue
            measured = measure(options.simulations, lesions, model, rho, shares, trainings)
            row = dict(zip(FIELDS, key, strict=False)) | {name: f"{value:.4f}" for name, value in measured.items()}
            writer.writerow(row)
            file.flush()
            rows.append(row)
            print(row, file=sys.stderr, flush=True)
    rows = [row for row in rows if row["simulations"] == str(options.simulations)]
    options.out.write_text(page(rows, options.simulations))
    print(options.out.read_text())


def page(rows: list[dict[str, str]], simulations: int) -> str:
    """Return the Markdown page; figures outside the limits carry an exclamation mark."""

    def share(text: str, least: float = 0.0, most: float = 1.0) -> str:
        value = float(text)
        mark = "" if least <= value <= most else " **!**"
        return "" if value != value else f"{100 * value:.1f} %{mark}"

    lines = [
        "# Validity of the calibration error's interval and test, by simulation",
        "",
        f"`python benchmarks/calibration_validity.py --simulations {simulations}`: {simulations} data sets for each "
        f"row, at most {BINS} bins. ρ: the share of the noise that images of one lesion have in common. Error: the "
        "true root mean squared calibration error over the bins. Covered: how often the 95 % interval of the RMS "
        "calibration error holds it. Rejected: how often the test has p ≤ 0.05, which is its level where the error is "
        "0. Outside: how often an interval excludes its own value.",
        "",
        "The last two columns are of what was shown before, the plug-in ECE with its basic bootstrap interval "
        f"({RESAMPLED} data sets, {REPLICATES} resamples of lesions): coverage of the true ECE, and how often the "
        "interval excludes its own value.",
        "",
        f"**!** marks a 95 % interval that covers less than {LEAST:.0%} or more than {MOST:.0%}, or one that can "
        f"exclude its value. The standard error of a figure near 95 % is "
        f"{100 * np.sqrt(0.05 * 0.95 / simulations):.1f} %; of the ECE's near 60 % "
        f"{100 * np.sqrt(0.24 / RESAMPLED):.1f} %.",
        "",
        "| lesions | model | ρ | images per lesion | trainings | error | covered | rejected | outside | mean width "
        "| ECE: covered | ECE: outside |",
        "|" + "---|" * 12,
    ]
    for row in rows:
        cells = [
            f"{int(row['lesions']):,}", row["model"], f"{float(row['rho']):g}", row["images"], row["trainings"],
            f"{float(row['error']):.3f}", share(row["covered"], LEAST, MOST), share(row["rejected"]),
            share(row["outside"], most=0), f"{float(row['width']):.3f}", share(row["ece_covered"], LEAST, MOST),
            share(row["ece_outside"], most=0),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "## How many lesions of a class the bootstrap needs",
        "",
        "The 95 % percentile interval of a class's sensitivity, one image a lesion, among 600 lesions: its coverage "
        "where the resamples vary, in brackets over all data sets. Where every lesion is right, or none, all resamples "
        "agree and the interval has no width; no interval is shown there, which is why "
        "`skinlesion/evaluation/minimum_sizes.py` asks for 5 lesions and for resamples that vary.",
        "",
        "| lesions | resamples without the class | " + " | ".join(f"sensitivity {s:g}" for s in SENSITIVITIES) + " |",
        "|" + "---|" * (2 + len(SENSITIVITIES)),
    ]
    for lesions in CLASS_LESIONS:
        figures = [sensitivity_coverage(lesions, sensitivity) for sensitivity in SENSITIVITIES]
        cells = [f"{100 * varying:.0f} % ({100 * overall:.0f} %)" for overall, varying, _ in figures]
        lines.append(f"| {lesions} | {100 * figures[0][2]:.1f} % | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
