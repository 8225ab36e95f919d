"""How much of what p3 lost with metadata is the rate, the scaling, the coding, the leak, and metadata itself.

    cd examples/p3 && skinlesion prepare && skinlesion split && python parts.py

It reads the predictions of `train` and `evaluate` where they were run here, else the committed ones.

The fair comparison has both models fine-tuned at 1e-4 on inputs scaled for their weights, metadata one-hot, on tested
images whose lesions were never trained on. p3's own differs in four things. Each thing's part is the mean, over all
orders in which the four can be changed, of what changing it does (Shapley's value): the parts add up to the whole.
Writes docs/p3.md and docs/p3.svg.
"""

from itertools import combinations
from math import factorial
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

from skinlesion.analysis.published_results import FOLDER, read_entry
from skinlesion.evaluation.predictions import Predictions, read_predictions
from skinlesion.experiment.inputs import Inputs
from skinlesion.numbers import count, interval, number
from skinlesion.params_file import load_params
from skinlesion.results.names import PREDICTIONS_NAME
from skinlesion.results.workspace import Workspace
from skinlesion.stats.lesion_bootstrap import Estimate, LesionBootstrap
from skinlesion.vocabulary import CLASSES

HERE = Path(__file__).parent
PAGE, FIGURE = HERE.parents[1] / "docs" / "p3.md", HERE.parents[1] / "docs" / "p3.svg"
FACTORS = {
    "rate": "the rate: 1e-5 with metadata, 1e-4 without",
    "scaling": "the scaling of the inputs",
    "coding": "metadata coded as integers",
    "leak": "lesions on both sides",
}
REPLICATES, PLACES = 2000, 4


def experiments(changed: frozenset[str]) -> tuple[str, str]:
    """Return the names of the image-only and the multimodal experiment, given what is as p3 had it."""
    scaling = "theirs" if "scaling" in changed else "right"
    coding, rate = "integer" if "coding" in changed else "onehot", "slow" if "rate" in changed else "fast"
    return f"image_fast_{scaling}", f"{coding}_{rate}_{scaling}"


class Gains:
    """The gain in accuracy with metadata under each set of changes, over resamples of lesions."""

    def __init__(self, predictions: dict[str, Predictions], leaks: np.ndarray) -> None:
        """Take predictions by experiment, of the same images, and which of these have a lesion in training (N,)."""
        first = next(iter(predictions.values()))
        self.bootstrap = LesionBootstrap(first.lesion_numbers, replicates=REPLICATES, seed=0)
        self.leaks = leaks
        self.right = {
            name: (tested.probabilities.argmax(axis=2) == tested.labels).mean(axis=0)
            for name, tested in predictions.items()
        }

    def __call__(self, changed: frozenset[str]) -> Estimate:
        image, multimodal = experiments(changed)
        counted = np.ones(len(self.leaks)) if "leak" in changed else (~self.leaks).astype(float)
        columns = np.stack([counted * (self.right[multimodal] - self.right[image]), counted], axis=1)
        totals = self.bootstrap.totals(columns)
        whole = columns.sum(axis=0)
        return Estimate(float(whole[0] / whole[1]), totals[:, 0] / totals[:, 1])


def parts(gains: Gains) -> dict[str, Estimate]:
    """Return Shapley's value of each factor: they add up to the gain with all changed less that with none."""
    estimates = {}
    for factor in FACTORS:
        others = [other for other in FACTORS if other != factor]
        value, draws = 0.0, np.zeros(gains.bootstrap.replicates)
        for size in range(len(others) + 1):
            weight = factorial(size) * factorial(len(others) - size) / factorial(len(FACTORS))
            for chosen in combinations(others, size):
                change = gains(frozenset({*chosen, factor})) - gains(frozenset(chosen))
                value, draws = value + weight * change.value, draws + weight * change.draws
        estimates[factor] = Estimate(value, draws)
    return estimates


def estimate_text(estimate: Estimate) -> str:
    low, high = np.quantile(estimate.draws, [0.025, 0.975])
    return interval(estimate.value, low, high, PLACES, signed=True)


def draw(rows: list[tuple[str, Estimate]]) -> None:
    mpl.use("svg")
    from matplotlib import pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "p3"
    figure, axes = plt.subplots(figsize=(8, 0.5 * len(rows) + 1.2), layout="constrained")
    for place, (_, estimate) in enumerate(rows):
        low, high = 100 * np.quantile(estimate.draws, [0.025, 0.975])
        axes.plot([low, high], [place, place], color="0.35")
        axes.plot(100 * estimate.value, place, "o", color="C0" if place in (0, len(rows) - 1) else "C1")
    axes.axvline(0, color="0.7", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.invert_yaxis()
    axes.set_xlabel("points of accuracy, with metadata minus without; 95% over lesions")
    figure.savefig(FIGURE, metadata={"Date": None})


def predictions_of(name: str, workspace: Workspace) -> Predictions:
    """Return the predictions of an experiment that was evaluated here, else the committed ones."""
    evaluated = workspace.results(name) / PREDICTIONS_NAME
    return read_predictions(evaluated if evaluated.exists() else HERE / "predictions" / f"{name}.csv.gz")[0]


def accuracies_of_p3() -> str:
    """Return the accuracies that p3 published, as the registry has them."""
    without, with_metadata = (
        read_entry(FOLDER / f"{name}.yaml").figures["accuracy"] for name in ("p3_image", "p3_multimodal")
    )
    return f"{without} without and {with_metadata} with metadata"


def main() -> None:
    params, workspace = load_params(HERE / "params.yaml"), Workspace(HERE)
    sets = [frozenset(chosen) for size in range(len(FACTORS) + 1) for chosen in combinations(FACTORS, size)]
    names = sorted({name for changed in sets for name in experiments(changed)})
    predictions = {name: predictions_of(name, workspace) for name in names}
    first = predictions[names[0]]
    inputs = Inputs(workspace, params.experiment(names[0]), params.split)
    trained = set(inputs.table["lesion_id"].to_numpy()[inputs.rows(0, "train")])
    trained |= set(inputs.table["lesion_id"].to_numpy()[inputs.rows(0, "validation")])
    gains = Gains(predictions, np.isin(first.lesions, list(trained)))
    fair, published, by_factor = gains(frozenset()), gains(frozenset(FACTORS)), parts(gains)
    assert np.isclose(fair.value + sum(part.value for part in by_factor.values()), published.value)
    rows = [("metadata itself", fair), *((FACTORS[name], part) for name, part in by_factor.items())]
    rows.append(("all as p3 had it", published))
    draw(rows)
    accuracies = pd.DataFrame({
        "experiment": names,
        "accuracy": [gains.right[name].mean() for name in names],
        "by seed": [
            ", ".join(number(float((layer.argmax(axis=1) == first.labels).mean()), PLACES) for layer in tested)
            for tested in (predictions[name].probabilities for name in names)
        ],
    })  # fmt: skip
    settings, several = params.experiment(names[0]), len(first.layers) > 1
    lines = [
        "# Why a rebuild of p3 loses accuracy with metadata",
        "",
        f"Written by `python examples/p3/parts.py` from the runs of [examples/p3](../examples/p3/params.yaml): "
        f"{settings.backbone} at {settings.input_size} px in the place of ResNet50 at 224, all layers trained, "
        f"{count(len(first.layers), 'training')} of each, p3's own split. Differences are in accuracy, with "
        "metadata minus without; brackets are 95% intervals over lesions, for these trained models. p3 itself reported "
        f"{accuracies_of_p3()}; this rebuild is smaller. It says what p3's settings do here, not what p3 would have "
        "reported without them.",
        "",
        "![Parts of the difference](p3.svg)",
        "",
        "| part | difference |",
        "|---|---|",
        *(f"| {name} | {estimate_text(estimate)} |" for name, estimate in rows),
        "",
        f"{int(gains.leaks.sum()):,} of {len(gains.leaks):,} tested images show a lesion that is also trained or "
        "validated on. `metadata itself` is the gain where nothing is as p3 had it; each part is the mean over all "
        "orders of changing the four things, so that the parts and metadata itself add up to the last row. The part "
        "of `lesions on both sides` is that of counting these images or leaving them out: it needs no other model.",
        "",
        *(
            ["With one training of each, the intervals do not say how far another training would differ.", ""]
            if not several
            else []
        ),
        f"Always answering nv would have an accuracy of {(first.labels == CLASSES.index('nv')).mean():.4f}.",
        "",
        "| experiment | accuracy |" + (" by seed |" if several else ""),
        "|---|---|" + ("---|" if several else ""),
        *(
            f"| `{row.experiment}` | {row.accuracy:.4f} |" + (f" {row[3]} |" if several else "")
            for row in accuracies.itertuples()
        ),
    ]
    PAGE.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
