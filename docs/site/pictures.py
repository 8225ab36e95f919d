"""Draw the pictures of the concepts' pages: python docs/site/pictures.py

They are committed, so that the pages have them in the repository too. Drawn numbers are read or computed, never typed.
"""

from collections.abc import Callable
from pathlib import Path

import figures
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from skinlesion.evaluation.decision_rules import OBJECTIVES, fit_decision_rule
from skinlesion.evaluation.registry import METRICS
from skinlesion.report.svg import BLUE, GREY, INK, LIGHT, ORANGE, to_svg
from skinlesion.stats.counts import count_answers
from skinlesion.stats.verdict import verdict

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "concepts" / "pictures"


def lesions() -> str:
    """Return eight lesions of one to three images, split by image and by lesion; lesions on both sides are orange."""
    images = [1, 3, 1, 2, 1, 2, 3, 1]
    by_image = [[0], [0, 1, 0], [1], [0, 1], [0], [0, 0], [1, 0, 0], [0]]  # 1: tested
    by_lesion = [[0] * images[0], [0] * 3, [1], [0] * 2, [0], [1] * 2, [0] * 3, [1]]
    figure = Figure(figsize=(7.6, 3.1), layout="constrained")
    for axes, tested, title in zip(
        figure.subplots(1, 2), (by_image, by_lesion), ("split by image", "split by lesion"), strict=True
    ):
        _split(axes, tested)
        shared = sum(len(set(marks)) > 1 for marks in tested)
        axes.set_title(f"{title}: {shared} lesions on both sides", fontsize=10)
    return to_svg(figure)


def _split(axes: Axes, tested: list[list[int]]) -> None:
    for column, side in enumerate(("training", "test")):
        axes.add_patch(Rectangle((column * 4 - 0.2, -0.7), 3.6, len(tested) + 0.4, facecolor="#f2f2f2", lw=0))
        axes.text(column * 4 + 1.6, len(tested) - 0.05, side, ha="center", va="bottom", fontsize=9, color=INK)
    for row, marks in enumerate(tested):
        colour = ORANGE if len(set(marks)) > 1 else BLUE
        height = len(tested) - 1 - row
        for column in (0, 1):
            for place in range(marks.count(column)):
                axes.add_patch(
                    FancyBboxPatch(
                        (column * 4 + 0.2 + place, height - 0.25), 0.6, 0.5,
                        boxstyle="round,pad=0.06", facecolor=colour, lw=0,
                    )
                )  # fmt: skip
        axes.text(-0.5, height, f"lesion {row + 1}", ha="right", va="center", fontsize=8, color=INK)
    axes.set_xlim(-2.1, 7.6)
    axes.set_ylim(-0.9, len(tested) + 0.7)
    axes.axis("off")


def intervals() -> str:
    """Return how often two equally good models are called different, by how alike the images of a lesion are."""
    text = (ROOT / "benchmarks" / "validity.md").read_text(encoding="utf-8")
    columns = {0.0: "1,500, ρ = 0", 0.6: "1,500", 1.0: "1,500, ρ = 1"}
    curves = (
        ("balanced_accuracy, t, images taken as independent", ORANGE, "images taken as independent", "o-"),
        ("balanced_accuracy, t", BLUE, "clustered by lesion", "s-"),
    )
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(5, color=GREY, lw=1, ls="--")
    axes.text(1.5, 4.6, "as it should be", fontsize=8, color=GREY, ha="right", va="top")
    for row, colour, label, style in curves:
        values = [float(figures.cell(text, "Type I error", row, column).rstrip("%")) for column in columns.values()]
        axes.plot(list(columns), values, style, color=colour, lw=2, ms=7)
        axes.annotate(
            label, (1.0, values[-1]), (8, 0), textcoords="offset points", va="center", color=colour, fontsize=9
        )
    axes.set(xlim=(-0.04, 1.5), ylim=(0, 17), xticks=list(columns), yticks=[0, 5, 10, 15])
    axes.set_yticklabels([f"{tick}%" for tick in (0, 5, 10, 15)])
    axes.set_xlabel("share of the noise that images of a lesion have in common", loc="left")
    axes.set_title("Equally good models called different, test at 5%, 1,500 lesions", fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return to_svg(figure)


def verdicts() -> str:
    """Return intervals of differences in every place that they can have, with the verdict on each."""
    margin = 0.02
    limits = [(0.025, 0.065), (0.004, 0.036), (0.003, 0.017), (-0.013, 0.012), (-0.012, 0.034), (-0.035, 0.041)]
    limits += [(-high, -low) for low, high in limits[:3][::-1]]
    limits.insert(6, (-0.034, 0.012))
    figure = Figure(figsize=(7.6, 3.8), layout="constrained")
    axes = figure.add_subplot()
    axes.axvspan(-margin, margin, color="#eeeeee", lw=0)
    axes.axvline(0, color=INK, lw=0.8)
    for place, (low, high) in enumerate(limits):
        words = verdict((low, high), (low, high), margin)
        colour = BLUE if words.startswith("higher") else ORANGE if words.startswith("lower") else INK
        axes.plot([low, high], [-place, -place], color=colour, lw=2.4, solid_capstyle="butt")
        axes.plot((low + high) / 2, -place, "o", color=colour, ms=6)
        axes.text(0.075, -place, words, va="center", fontsize=9, color=colour)
    axes.text(0.001, 0.75, "margin", ha="left", va="bottom", fontsize=8, color=GREY)
    axes.set(xlim=(-0.07, 0.14), ylim=(-len(limits) + 0.3, 1.3), yticks=[], xticks=[-margin, 0, margin])
    axes.set_xticklabels(["−margin", "0", "margin"])
    axes.set_xlabel("difference b − a, with interval")
    axes.xaxis.set_label_coords(1 / 3, -0.09)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return to_svg(figure)


def decision_rules() -> str:
    """Return two models that know the same, one trained with class weights, before and after rules of their own."""
    (labels, plain), (tested_labels, tested) = _simulated(1), _simulated(2)
    shares = np.bincount(labels, minlength=7) / len(labels)
    models = {"trained without class weights": lambda p: p, "trained with class weights": lambda p: _divided(p, shares)}
    figure = Figure(figsize=(7.6, 2.9), layout="constrained")
    for axes, objective in zip(figure.subplots(1, 2, sharey=True), OBJECTIVES, strict=True):
        for row, changed in enumerate(models.values()):
            rule = fit_decision_rule(objective, labels, changed(plain))
            fitted = _metric(objective, tested_labels, rule.answers(changed(tested)))
            highest = _metric(objective, tested_labels, changed(tested).argmax(axis=1))
            axes.plot([highest, fitted], [row, row], color=LIGHT, lw=2, zorder=0)
            axes.plot(highest, row, "o", color=GREY, ms=8, label="highest probability" if row == 0 else None)
            axes.plot(fitted, row, "D", color=BLUE, ms=7, label="rule of its own" if row == 0 else None)
        axes.set_yticks(range(len(models)), list(models))
        axes.set_ylim(-0.6, 1.6)
        axes.set_xlabel(METRICS[objective].title)
        axes.margins(x=0.15)
        axes.grid(axis="x", color="#dddddd", lw=0.6)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    return to_svg(figure)


def _simulated(seed: int, images: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (N,) of HAM10000's shares and calibrated probabilities (N, 7)."""
    rng = np.random.default_rng(seed)
    shares = np.array([0.033, 0.051, 0.110, 0.012, 0.111, 0.669, 0.014])
    labels = rng.choice(7, images, p=shares)
    evidence = 1.7 * (rng.normal(size=(images, 7)) + 1.7 * np.eye(7)[labels])
    return labels, _divided(np.exp(evidence) * shares, np.ones(7))


def _divided(probabilities: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Return probabilities (N, 7) over `by` (7,), rows that sum to one: what balanced class weights come to."""
    changed: np.ndarray = probabilities / by
    return changed / changed.sum(axis=1, keepdims=True)


def _metric(name: str, labels: np.ndarray, answers: np.ndarray) -> float:
    counts = METRICS[name].counts
    assert counts is not None
    return float(counts(count_answers(labels, answers, 7))[0])


PICTURES: dict[str, Callable[[], str]] = {
    "lesions": lesions,
    "intervals": intervals,
    "verdicts": verdicts,
    "decision_rules": decision_rules,
}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(draw(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
