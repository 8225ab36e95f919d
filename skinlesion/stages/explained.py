"""What the report shows of explanations: figures against lesion masks, and pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from skinlesion.files import read_csv, read_json
from skinlesion.params import Params
from skinlesion.report.html import thumbnail
from skinlesion.stages.contracts import EXPLANATION_NAME
from skinlesion.stages.workspace import Workspace

_METRICS = ("energy_inside", "pointing_hit", "mask_area")
_METHODS = {"gradcam": "Grad-CAM", "gradcam++": "Grad-CAM++", "rollout": "Attention-rollout"}
_KINDS = ("right", "wrong", "confidently_wrong")
_WIDTH = 300  # pixels of a picture on the page: photograph and map


def explained(params: Params, workspace: Workspace) -> dict[str, Any]:
    """Return figures, sanity checks and pictures of the experiments that `explain` looked at.

    Raises:
        UserError: `skinlesion explain` was not run.
    """
    folder, remedy = workspace.reports / "explanations", "run `skinlesion explain` first"
    figures = read_json(folder / EXPLANATION_NAME, remedy)
    rows: list[dict[str, Any]] = []
    for name in figures:
        table = read_csv(folder / "maps" / name / "summary.csv", ("part", "group"), remedy)
        for group in dict.fromkeys(table.loc[table["part"].isin(["all", "answer"]), "group"]):
            rows.append(_row(name, str(group), table[table["group"] == group]))
    return {
        "method": _METHODS[params.explain.method],
        "fold": params.explain.fold,
        "rows": rows,
        "sanity": [
            (name, *(_number(one, f"rank_correlation_with_random_{what}") for what in ("head", "weights")))
            for name, one in figures.items()
        ],
        "pictures": {name: _pictures(folder / "maps" / name) for name in figures},
    }


def _row(name: str, group: str, table: pd.DataFrame) -> dict[str, Any]:
    found = {row["metric"]: row for row in table.to_dict("records")}
    chosen = [found[metric] for metric in _METRICS]
    cells = [f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})" for one in chosen]
    return {"name": name, "group": group, "images": found[_METRICS[0]]["images"], "cells": cells}


def _number(figures: dict[str, float], name: str) -> str:
    return f"{figures[name]:+.2f}" if name in figures else "undefined"


def _pictures(folder: Path) -> dict[str, list[dict[str, str]]]:
    about = pd.read_csv(folder / "pointing.csv", dtype={"image_id": str}).set_index("image_id")
    found: dict[str, list[dict[str, str]]] = {}
    for kind in _KINDS:
        pictures = []
        for path in sorted((folder / kind).glob("*.png")):
            row = about.loc[path.stem]
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
            said = f"{path.stem}: {row['dx']}, answered {row['answer']} with {row['probability']:.0%}"
            pictures.append({"image": thumbnail(pixels, _WIDTH), "said": said})
        if pictures:
            found[kind] = pictures
    return found
