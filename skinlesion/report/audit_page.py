"""The page of the audit: duplicates side by side, the rule that found them, and shortcuts to the diagnosis."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.numbers import count, number
from skinlesion.report.embedded import embedded_csv
from skinlesion.report.templates import render, thumbnail

_SIDE = 180  # pixels of a photograph on the page

Pixels = Callable[[str], np.ndarray]


def audit_page(
    title: str,
    prepared: Mapping[str, Any],
    audit: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    pixels: Pixels | None,
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
        pixels: image id → (S, S, 3) uint8; None makes the page without photographs.
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
        public=pixels is None,
        csvs=[embedded_csv(name, table) for name, table in tables.items()] if pixels is None else [],
        shortcuts=tables["shortcuts"].to_dict("records"),
        exact=cards(pairs[pairs["kind"].isin(["bytes", "pixels"])]),
        near=cards(near),
        more=max(0, len(near) - shown),
        known=cards(pairs[pairs["kind"].str.startswith("known")]),
        overlap=[
            _overlap(row, pixels, outside.get(row["external"]))
            for row in tables["overlap"].head(shown).to_dict("records")
        ],
    )


def _pair(row: Mapping[Any, Any], pixels: Pixels | None) -> dict[str, Any]:
    sides = {
        f"{side}_about": f"{row[f'{side}_dx']}, {row[f'{side}_lesion']}, part {row[f'{side}_part']}"
        for side in ("first", "second")
    }
    images = {f"{side}_image": _thumbnail(pixels, row[side]) for side in ("first", "second")}
    equal = {"bytes": "equal files", "pixels": "equal pixels"}
    reason = equal.get(row["kind"]) or _alike(row)
    if row["kind"].startswith("known"):
        reason = f"{row['kind'].partition(', ')[2]}: {reason}"
    return {"first": row["first"], "second": row["second"], "reason": reason} | sides | images


def _overlap(row: Mapping[Any, Any], pixels: Pixels | None, outside: Pixels | None) -> dict[str, Any]:
    reason = _alike(row) if row["reason"] == "near-duplicate" else f"equal {row['reason']}"
    return {
        "first": row["image_id"],
        "first_about": row["external"],
        "first_image": _thumbnail(outside, row["image_id"]),
        "second": row["training_image_id"],
        "second_about": "",
        "second_image": _thumbnail(pixels, row["training_image_id"]),
        "reason": reason,
    }


def _thumbnail(pixels: Pixels | None, image_id: str) -> str:
    """Return a picture as a data URI, empty on a page without photographs."""
    return "" if pixels is None else thumbnail(pixels(image_id), _SIDE)


def _alike(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["cosine"]):
        return "not alike enough to be a candidate"
    return f"hash distance {count(row['hash_distance'])} of 64, cosine {number(row['cosine'])}"
