"""Do the tests keep their level and the intervals their coverage in the regimes people have? By simulation.

    python benchmarks/validity.py [--simulations 1000] [--metadata data/raw/ham10000/HAM10000_metadata.csv]
    python benchmarks/validity.py --intervals auc_df auc_mel macro_auc    # only these rows of the t method, in place

Data sets are those of validity_data.py and validity_trainings.py. Every batch is appended to a file (`--partial`); a
run that was cut off goes on there. Defaults that are outside the limits need a warning where they are shown:
skinlesion/evaluation/minimum_sizes.py.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from validity_data import REGIMES, DataSet, Lesions, Regime, simulate, truth
from validity_trainings import covered, settings

from skinlesion.evaluation.minimum_sizes import LesionNumbers, too_few_lesions
from skinlesion.evaluation.registry import SCHEMA
from skinlesion.stats.bootstrap import bootstrap
from skinlesion.stats.clustered_mcnemar import METHODS as CLUSTERED_MCNEMAR
from skinlesion.stats.clustered_mcnemar import clustered_mcnemar
from skinlesion.stats.influence import influences
from skinlesion.stats.linear_estimate import contrast
from skinlesion.stats.mcnemar import mcnemar
from skinlesion.stats.permutation import permutation_test
from skinlesion.vocabulary import CLASSES

METRICS = (
    "balanced_accuracy", "macro_f1", "accuracy", "macro_auc", "sensitivity_df", "sensitivity_mel", "auc_df", "auc_mel",
)  # fmt: skip
RESAMPLED = ("balanced_accuracy", "macro_f1", "macro_auc")
REPLICATES, PERMUTATIONS = 199, 199
RESAMPLED_SETS = 1000  # of a regime, at most, on which the bootstrap runs: it is slow, and no default
LEVEL, COVERAGE = (0.035, 0.065), (0.93, 0.97)
BATCH = 20
TRAINING_BATCH = 10_000
KINDS = {
    "type I error": "Type I error",
    "coverage, difference": "Coverage, difference of two models",
    "coverage, one model": "Coverage, one model",
}

Outcomes = Iterator[tuple[str, str, bool | None]]


def t_outcomes(data: DataSet, numbers: LesionNumbers, true: dict[str, float], metrics: Sequence[str]) -> Outcomes:
    """Yield the outcomes of the intervals and tests by influence functions."""
    labels, lesions = data.labels, data.lesions
    models = [influences(labels, p[None], lesions, metrics, SCHEMA) for p in data.probabilities]
    for metric in metrics:
        few = bool(too_few_lesions(numbers, metric))
        low, high = models[0][metric].interval()
        none = few or np.isnan(low)
        yield "coverage, one model", f"{metric}, t", None if none else low <= true[metric] <= high
        difference = contrast([-1, 1], [model[metric] for model in models])
        p = difference.pvalue()
        yield "type I error", f"{metric}, t", None if few or np.isnan(p) else p <= 0.05
        low, high = difference.interval()
        yield "coverage, difference", f"{metric}, t", None if few or np.isnan(low) else low <= 0 <= high


def outcomes(data: DataSet, numbers: LesionNumbers, true: dict[str, float], naive: bool, seed: int) -> Outcomes:
    """Yield (kind, method, rejected at 5 % or covered at 95 %) of one data set; None where the tool gives nothing."""
    labels, lesions = data.labels, data.lesions
    yield from t_outcomes(data, numbers, true, METRICS)
    first, second = data.probabilities
    right = [model.argmax(axis=1) == labels for model in (first, second)]
    for method in CLUSTERED_MCNEMAR:
        yield (
            "type I error",
            f"McNemar, {method}",
            clustered_mcnemar(right[0], right[1], lesions, method).pvalue <= 0.05,
        )
    swapped = permutation_test(
        labels, first, second, lesions, ["balanced_accuracy"], SCHEMA,
        permutations=PERMUTATIONS, seed=seed, threads=1,
    )  # fmt: skip
    yield "type I error", "balanced_accuracy, permutation", swapped["balanced_accuracy"].pvalue <= 0.05
    if seed >= RESAMPLED_SETS:
        return
    resampled = bootstrap(
        labels, [p[None] for p in data.probabilities], lesions, RESAMPLED, SCHEMA,
        replicates=REPLICATES, seed=seed, threads=1,
    )  # fmt: skip
    for metric in RESAMPLED:
        single, pair = resampled.interval(0, metric), resampled.difference(0, 1, metric)
        yield "coverage, one model", f"{metric}, bootstrap", single.low <= true[metric] <= single.high
        yield "coverage, difference", f"{metric}, bootstrap", pair.low <= 0 <= pair.high
    if naive:
        images = np.arange(len(labels))
        apart = [influences(labels, p[None], images, RESAMPLED, SCHEMA) for p in data.probabilities]
        for metric in RESAMPLED:
            low, high = apart[0][metric].interval()
            yield "coverage, one model", f"{metric}, t, images taken as independent", low <= true[metric] <= high
            p = contrast([-1, 1], [model[metric] for model in apart]).pvalue()
            yield "type I error", f"{metric}, t, images taken as independent", p <= 0.05
        yield "type I error", "McNemar, images taken as independent", mcnemar(*right).pvalue <= 0.05


@cache
def _read_lesions(path: Path) -> Lesions:
    return Lesions.read(path)


@cache
def _true(regime: Regime, path: Path) -> dict[str, float]:
    return truth(regime, _read_lesions(path), METRICS)


def batch(task: dict[str, Any]) -> dict[str, Any]:
    """Return a task with its counts: kind → method → [happened, answered, asked]."""
    counts: dict[str, dict[str, list[int]]] = {}

    def count(kind: str, method: str, happened: bool | None) -> None:
        cell = counts.setdefault(kind, {}).setdefault(method, [0, 0, 0])
        cell[2] += 1
        if happened is not None:
            cell[0] += bool(happened)
            cell[1] += 1

    if "design" in task:
        rng = np.random.default_rng(list(settings()).index((task["design"], task["ratio"], task["interaction"])))
        for _ in range(TRAINING_BATCH):
            recipe, trained = covered(task["design"], task["ratio"], task["interaction"], rng)
            count("trainings", "again", recipe)
            count("trainings", "trained", trained)
        return task | {"counts": counts}
    regime, path = REGIMES[task["regime"]], Path(task["metadata"])
    for seed in range(task["first"], task["first"] + BATCH):
        data = simulate(regime, _read_lesions(path), np.random.default_rng([task["regime"], seed]))
        numbers = LesionNumbers.of(data.labels, data.lesions, CLASSES)
        naive = regime.lesions == 1500 and regime.rare is None and regime.nevi is None
        true, chosen = _true(regime, path), task.get("intervals")
        each = t_outcomes(data, numbers, true, chosen) if chosen else outcomes(data, numbers, true, naive, seed)
        for kind, method, happened in each:
            count(kind, method, happened)
    return task | {"counts": counts}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=None)
    parser.add_argument("--metadata", type=Path, default=Path("data/raw/ham10000/HAM10000_metadata.csv"))
    parser.add_argument("--partial", type=Path, default=Path(__file__).with_suffix(".jsonl.partial"))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    parser.add_argument("--intervals", nargs="+", choices=METRICS, help="Rewrite only the rows of these, t method.")
    options = parser.parse_args()
    Lesions.read(options.metadata)  # early: fails with one line
    tasks: list[dict[str, Any]] = [
        {"regime": place, "first": first, "metadata": str(options.metadata)}
        for place, regime in enumerate(REGIMES)
        for first in range(0, options.simulations * regime.times, BATCH)
    ]
    if options.intervals:
        tasks = [task | {"intervals": options.intervals} for task in tasks]
    else:
        tasks += [{"design": design, "ratio": ratio, "interaction": share} for design, ratio, share in settings()]
    done = {_name(task): task for task in _read(options.partial)}
    todo = [task for task in tasks if _name(task) not in done]
    with ProcessPoolExecutor(options.processes) as pool, options.partial.open("a") as partial_file:
        for number, finished in enumerate(pool.map(batch, todo), start=1):
            done[_name(finished)] = finished
            partial_file.write(json.dumps(finished) + "\n")
            partial_file.flush()
            print(f"{number} of {len(todo)} batches", file=sys.stderr, flush=True)
    text = page([done[_name(task)] for task in tasks], options.simulations)
    if options.intervals:
        text = with_rows(options.out.read_text(), text, {f"{metric}, t" for metric in options.intervals})
    options.out.write_text(text)
    print(text)


def _name(task: dict[str, Any]) -> tuple[Any, ...]:
    key = tuple(task.get(key) for key in ("regime", "first", "design", "ratio", "interaction"))
    return *key, tuple(task.get("intervals", ()))


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the finished batches of an earlier run; a last line that was cut off is none."""
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def with_rows(text: str, new: str, methods: set[str]) -> str:
    """Return a page with the rows of some methods as another page has them in the same section."""
    rows = {place: line for place, line in _rows(new) if place and place[1] in methods}
    return "".join(f"{rows.get(place, line)}\n" if place else f"{line}\n" for place, line in _rows(text))


def _rows(text: str) -> Iterator[tuple[tuple[str, str] | None, str]]:
    """Yield each line of a page with its section and method, None where it is no row of a method."""
    section = ""
    for line in text.splitlines():
        section = line if line.startswith("## ") else section
        method = line.split("|")[1].strip() if line.startswith("| ") else ""
        yield ((section, method) if method else None), line


def page(finished: Iterable[dict[str, Any]], simulations: int) -> str:
    """Return the Markdown page; figures outside the limits are marked."""
    totals: dict[tuple[str, str, Any], np.ndarray] = {}
    for task in finished:
        column = task["regime"] if "regime" in task else (task["design"], task["ratio"], task["interaction"])
        for kind, methods in task["counts"].items():
            for method, cell in methods.items():
                key = kind, method, column
                totals[key] = totals.get(key, np.zeros(3)) + cell
    more = [f"{regime.name} {simulations * regime.times:,}" for regime in REGIMES if regime.times > 1]
    error = np.sqrt(0.05 * 0.95 / simulations)
    lines = [
        "# Validity of the tests and intervals, by simulation",
        "",
        f"`python benchmarks/validity.py --simulations {simulations}`: {simulations:,} data sets of each regime "
        f"(more where lesions of a class are often too few: {', '.join(more)}), two "
        f"models that are equally good, seven classes, lesions drawn from HAM10000's diagnoses and numbers of images; "
        f"{REPLICATES} bootstrap replicates, {PERMUTATIONS} permutations. ρ, 0.6 where nothing else is said, is the "
        "share of the noise that images of one lesion have in common; models alike share 98 % of it, others half.",
        "",
        f"**!** marks a 5 % test that rejects more than {LEVEL[1]:.1%} and a 95 % interval that covers less than "
        f"{COVERAGE[0]:.0%}; (c), conservative, one that rejects less than {LEVEL[0]:.1%} or covers more than "
        f"{COVERAGE[1]:.0%}. The standard error of a figure near 5 % is {error:.1%}. In brackets: the number of "
        "data sets in which lesions are enough for an answer, where they are not in more than 1 %. Rows with a "
        "bootstrap, and those that take images as independent, are no default: they stand beside.",
    ]
    for kind, title in KINDS.items():
        lines += ["", f"## {title}", "", f"| | {' | '.join(regime.name for regime in REGIMES)} |"]
        lines.append("|" + "---|" * (len(REGIMES) + 1))
        for method in dict.fromkeys(key[1] for key in totals if key[0] == kind):
            cells = [_cell(kind, totals.get((kind, method, place))) for place in range(len(REGIMES))]
            lines.append(f"| {method} | {' | '.join(cells)} |")
    lines += [
        "", "## Coverage, training the recipe again", "",
        f"Normal effects, {TRAINING_BATCH:,} data sets each: the standard deviation of the trainings and that of their "
        "interaction with the lesions are multiples of what the lesions add to the mean. In brackets: the interval for "
        "these trained models alone, which does not allow for trainings.", "",
        "| design | interaction | " + " | ".join(f"trainings × {ratio:g}" for ratio in _ratios(totals)) + " |",
        "|" + "---|" * (len(_ratios(totals)) + 2),
    ]  # fmt: skip
    for design, interaction in dict.fromkeys((key[2][0], key[2][2]) for key in totals if key[0] == "trainings"):
        cells = []
        for ratio in _ratios(totals):
            recipe, trained = (totals["trainings", name, (design, ratio, interaction)] for name in ("again", "trained"))
            cells.append(f"{_cell('coverage', recipe)} ({100 * trained[0] / trained[1]:.1f} %)")
        lines.append(f"| {design} | × {interaction:g} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _ratios(totals: Iterable[tuple[str, str, Any]]) -> list[float]:
    return sorted({key[2][1] for key in totals if key[0] == "trainings"})


def _cell(kind: str, cell: np.ndarray | None) -> str:
    if cell is None:
        return ""
    if cell[1] == 0:
        return "none"
    share, answered = cell[0] / cell[1], cell[1] / cell[2]
    low, high = LEVEL if kind == "type I error" else COVERAGE
    worse, milder = (share > high, share < low) if kind == "type I error" else (share < low, share > high)
    mark = " **!**" if worse else " (c)" if milder else ""
    return f"{100 * share:.1f} %{mark}" + (f" [{int(cell[1])}]" if answered < 0.99 else "")


if __name__ == "__main__":
    main()
