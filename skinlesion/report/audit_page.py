"""The page of the audit: duplicates side by side, the rule that found them, and shortcuts to the diagnosis."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.numbers import count, number
from skinlesion.report.templates import render, thumbnail

_SIDE = 180  # pixels of a photograph on the page

Pixels = Callable[[str], np.ndarray]


def audit_page(
    title: str,
    prepared: Mapping[str, Any],
    audit: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    pixels: Pixels,
    outside: Mapping[str, Pixels],
    *,
    shown: int,
    chance: float,
) -> str:
    """Return the audit's page.

    Args:
        prepared: content of prepared.json.
        audit: content of audit.json.
        tables: "pairs", "overlap" and "shortcuts", as in the CSV files.
        pixels: image id → (S, S, 3) uint8.
        outside: the same for each external data set.
        shown: most pairs of each kind on the page.
        chance: balanced accuracy of guessing.
    """
    pairs = tables["pairs"]
    near = pairs[pairs["kind"] == "near"]

    def cards(rows: pd.DataFrame) -> list[dict[str, Any]]:
        return [_pair(row, pixels) for row in rows.head(shown).to_dict("records")]

    return render(
        "audit.html.j2",
        title=title,
        synthetic=prepared["synthetic"],
        attribution=prepared["attribution"],
        audit=audit,
        chance=chance,
        shortcuts=tables["shortcuts"].to_dict("records"),
        exact=cards(pairs[pairs["kind"].isin(["bytes", "pixels"])]),
        near=cards(near),
        more=max(0, len(near) - shown),
        known=cards(pairs[pairs["kind"].str.startswith("known")]),
        overlap=[
            _overlap(row, pixels, outside[row["external"]]) for row in tables["overlap"].head(shown).to_dict("records")
        ],
    )


def _pair(row: Mapping[Any, Any], pixels: Pixels) -> dict[str, Any]:
    sides = {
        f"{side}_about": f"{row[f'{side}_dx']}, {row[f'{side}_lesion']}, part {row[f'{side}_part']}"
        for side in ("first", "second")
    }
    images = {f"{side}_image": thumbnail(pixels(row[side]), _SIDE) for side in ("first", "second")}
    equal = {"bytes": "equal files", "pixels": "equal pixels"}
    reason = equal.get(row["kind"]) or _alike(row)
    if row["kind"].startswith("known"):
        reason = f"{row['kind'].partition(', ')[2]}: {reason}"
    return {"first": row["first"], "second": row["second"], "reason": reason} | sides | images


def _overlap(row: Mapping[Any, Any], pixels: Pixels, outside: Pixels) -> dict[str, Any]:
    reason = _alike(row) if row["reason"] == "near-duplicate" else f"equal {row['reason']}"
    return {
        "first": row["image_id"],
        "first_about": row["external"],
        "first_image": thumbnail(outside(row["image_id"]), _SIDE),
        "second": row["training_image_id"],
        "second_about": "",
        "second_image": thumbnail(pixels(row["training_image_id"]), _SIDE),
        "reason": reason,
    }


def _alike(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["cosine"]):
        return "not alike enough to be a candidate"
    return f"hash distance {count(row['hash_distance'])} of 64, cosine {number(row['cosine'])}"
