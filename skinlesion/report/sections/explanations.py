"""Where models look: maps against lesion masks, sanity checks, and pictures."""

from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from skinlesion.numbers import number, percent, row_interval
from skinlesion.report.section import Section
from skinlesion.report.templates import render, thumbnail
from skinlesion.results.reader import Results

_METRICS = ("energy_inside", "pointing_hit", "mask_area")
_METHODS = {"gradcam": "Grad-CAM", "gradcam++": "Grad-CAM++", "rollout": "Attention-rollout"}
_KINDS = ("right", "wrong", "confidently_wrong")
#: What has random weights in the sanity check: the classifying head alone, or all of the model.
_RANDOM = ("head", "weights")
_WIDTH = 300  # pixels of a picture on the page: photograph and map


def explanations(results: Results) -> Section | None:
    """Return what `explain` found of each experiment that it looked at; None where there was none."""
    figures = results.explanations
    if not figures:
        return None
    html = render(
        "explanations.html.j2",
        method=_METHODS[results.params.explain.method],
        folds=sorted({results.params.explained_fold(name) for name in figures if name in results.params.experiments}),
        rows=[row for name in figures for row in _rows(name, results.map_summary(name))],
        sanity=[
            (name, *(number(values.get(f"rank_correlation_with_random_{what}"), 2, signed=True) for what in _RANDOM))
            for name, values in figures.items()
        ],
        pictures={name: _pictures(results, name) for name in figures},
    )
    return Section("Where the models look", html)


def _rows(name: str, summary: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one row per group of images: all of them, and those by the answer being right or wrong."""
    rows = []
    for group in dict.fromkeys(summary.loc[summary["part"].isin(["all", "answer"]), "group"]):
        values = {row["metric"]: row for row in summary[summary["group"] == group].to_dict("records")}
        rows.append({
            "name": name,
            "group": group,
            "images": values[_METRICS[0]]["images"],
            "cells": [row_interval(values[metric]) for metric in _METRICS],
        })  # fmt: skip
    return rows


def _pictures(results: Results, name: str) -> dict[str, list[dict[str, str]]]:
    """Return pictures with captions by kind; a kind without pictures is left out."""
    answers = results.map_answers(name).to_dict("index")
    by_kind = {}
    for kind in _KINDS:
        pictures = []
        for path in results.map_pictures(name, kind):
            row = answers[path.stem]
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
            caption = f"{path.stem}: {row['dx']}, answered {row['answer']} with {percent(row['probability'])}"
            pictures.append({"image": thumbnail(pixels, _WIDTH), "caption": caption})
        if pictures:
            by_kind[kind] = pictures
    return by_kind
