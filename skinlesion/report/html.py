"""Pages: one jinja environment, what its templates can do to a value, and photographs inside the page."""

import base64
import io
import re
from collections.abc import Mapping
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from PIL import Image

_QUALITY = 82  # of the JPEGs inside pages


def render(template: str, **values: Any) -> str:
    """Return a page from a template of this folder; a name the template uses and is not given raises an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("skinlesion.report", "."), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "pvalue": _pvalue, "signed": _signed, "interval": _interval, "deviation": _deviation, "count_of": _count,
        "share": _share, "figure": _figure, "anchor": _anchor,
    }  # fmt: skip
    return environment.get_template(template).render(**values)


def thumbnail(pixels: np.ndarray, side: int) -> str:
    """Return an image (S, S, 3) uint8 as a data URI of a JPEG of at most `side` pixels."""
    image = Image.fromarray(np.asarray(pixels))
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _pvalue(value: float) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


def _count(value: float) -> str:
    return "" if pd.isna(value) else f"{value:,.0f}"


def _signed(value: float) -> str:
    return "" if pd.isna(value) else f"{value:+.3f}"


def _interval(row: Mapping[str, Any]) -> str:
    return "" if pd.isna(row["low"]) else f"{row['low']:+.3f} to {row['high']:+.3f}"


def _deviation(variance: float) -> str:
    return "unknown" if pd.isna(variance) else f"{variance**0.5:.3f}"


def _share(value: float) -> str:
    return "" if pd.isna(value) else f"{100 * value:.1f}\u00a0%"


def _figure(row: Mapping[str, Any], metric: str) -> str:
    """Return a metric with its interval, empty where it has no value."""
    if pd.isna(row.get(metric, float("nan"))):
        return ""
    low, high = row.get(f"{metric}_low", float("nan")), row.get(f"{metric}_high", float("nan"))
    return f"{row[metric]:.3f}" + ("" if pd.isna(low) else f" ({low:.3f} to {high:.3f})")


def _anchor(title: str) -> str:
    """Return a heading as the id that a link can name."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
