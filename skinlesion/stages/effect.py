"""effect: does metadata help? The gain of one multimodal experiment beside its controls."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.analysis.effect import questions
from skinlesion.analysis.effect.contrasts import EFFECT_COLUMNS
from skinlesion.analysis.effect.label_noise import COLUMNS, label_noise_table
from skinlesion.evaluation.predictions import Predictions
from skinlesion.files import write_csv, write_json
from skinlesion.params import Params
from skinlesion.results.controls import Controls, controls_of, placebo_of
from skinlesion.results.names import EFFECT_NAME, LABEL_NOISE_NAME
from skinlesion.results.reader import Results
from skinlesion.results.selection import twin_of
from skinlesion.results.workspace import Workspace

_NOISE_METRICS = ("balanced_accuracy", "accuracy")

#: Rows of effect.csv that stand in effect.json, so that `dvc metrics diff` shows them.
_HEADLINES = {
    "gain": ("gain", "all images"),
    "leak_difference": ("leak", "difference"),
    "tuned_gain": ("effort", "tuned"),
}

_ENDINGS = {"": "value", "_low": "low", "_high": "high"}


def effect(params: Params, workspace: Workspace) -> Path:
    """Write reports/effect/: whether metadata helps, in effect.csv, label_noise.csv and effect.json.

    The experiment is `effect.multimodal` of params.yaml; a question whose controls were not trained is left out.

    Returns:
        The path of effect.csv; `report` makes sentences of it.

    Raises:
        UserError: an experiment that is needed was not evaluated.
    """
    results, out = Results(params, workspace), workspace.effect
    name = params.effect.multimodal
    controls = None if name is None else controls_of(params, name)
    answers, noise = pd.DataFrame(columns=list(EFFECT_COLUMNS)), pd.DataFrame(columns=list(COLUMNS))
    if controls is not None:
        systems = {name: results.predictions(name) for name in _needed(params, controls)}
        answers = pd.DataFrame(_rows(params, results, controls, systems), columns=list(EFFECT_COLUMNS))
    if controls is not None and "dx_type" in results.metadata:
        noise = label_noise_table(
            questions.common_images({name: systems[name] for name in controls.arms}), _confirmed(results),
            _NOISE_METRICS, [controls.arms], draws=params.effect.label_draws, seed=params.effect.seed,
        )  # fmt: skip
    write_csv(out / f"{EFFECT_NAME}.csv", answers, float_format="%.9g")
    write_csv(out / LABEL_NOISE_NAME, noise, float_format="%.9g")
    write_json(out / f"{EFFECT_NAME}.json", _headline(answers))
    return out / f"{EFFECT_NAME}.csv"


def _needed(params: Params, controls: Controls) -> list[str]:
    """Return every experiment that some question reads."""
    pairs = [controls.arms, controls.leaky, controls.tuned, *controls.injected.values(), *_fusions(params)]
    return list(dict.fromkeys(name for pair in pairs if pair is not None for name in pair if name is not None))


def _fusions(params: Params) -> list[tuple[str, str | None, str]]:
    """Return each experiment that has a placebo, its image-only twin, and the placebo."""
    names = [name for name in params.experiments if params.experiment(name).records == "own"]
    placebos = {name: placebo_of(params, name) for name in names if params.experiment(name).fusion != "none"}
    return [(name, twin_of(params, name), placebo) for name, placebo in placebos.items() if placebo is not None]


def _rows(
    params: Params, results: Results, controls: Controls, systems: Mapping[str, Predictions]
) -> Iterator[dict[str, Any]]:
    confidence, arms = params.stats.confidence, controls.arms
    yield from questions.of_gain(systems, arms, confidence)
    yield from questions.of_placebo(systems, _fusions(params), confidence)
    if controls.leaky is not None:
        yield from questions.of_leak(systems, arms, controls.leaky, confidence)
    if controls.injected:
        yield from questions.of_injection(systems, controls.injected, confidence)
    if controls.tuned is not None:
        yield from questions.of_effort(systems, arms, controls.tuned, confidence)
    if "dataset" in results.metadata:
        sources = dict(zip(results.metadata["image_id"], results.metadata["dataset"].astype(str), strict=True))
        yield from questions.of_sources(systems, arms, sources, _confirmed(results), confidence)


def _confirmed(results: Results) -> list[str]:
    """Return the ids of the images whose diagnosis histology confirmed, none where the table does not say."""
    if "dx_type" not in results.metadata:
        return []
    return list(results.metadata.loc[results.metadata["dx_type"] == "histo", "image_id"])


def _headline(answers: pd.DataFrame) -> dict[str, float]:
    """Return effect.json: the balanced accuracy of _HEADLINES, with `_low` and `_high`."""
    rows = answers[answers["metric"] == "balanced_accuracy"]
    figures: dict[str, float] = {}
    for name, (question, group) in _HEADLINES.items():
        for _, row in rows[(rows["question"] == question) & (rows["group"] == group)].iterrows():
            figures |= {f"{name}{end}": float(row[column]) for end, column in _ENDINGS.items()}
    return {name: value for name, value in figures.items() if not np.isnan(value)}
