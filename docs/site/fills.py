"""Texts of the documentation that are made from the code or from results.

`<!-- fill: NAME -->` is filled in when the site is built, `<!-- table: NAME -->` by `outputs.py` in the page.
"""

import importlib
from collections.abc import Callable
from pathlib import Path

import commands_page
import metrics_page
import parameters_page

ROOT = Path(__file__).parents[2]

#: The package whose members the API page shows first.
API = "skinlesion.api"

#: Modules of statistics that it shows after them.
STATISTICS = (
    "bootstrap",
    "clustered_mcnemar",
    "delong",
    "influence",
    "linear_estimate",
    "mcnemar",
    "multiplicity",
    "permutation",
    "power",
    "recipe",
    "resampled",
    "simultaneous",
    "variance",
    "verdict",
)


def fill(name: str) -> str:
    """Return one of `FILLS`.

    Raises:
        KeyError: there is none of that name.
    """
    return FILLS[name]()


def table(name: str) -> str:
    """Return one of `TABLES`.

    Raises:
        KeyError: there is none of that name.
    """
    return TABLES[name]()


def answer() -> str:
    """Return what the README says between its markers of results: `report --readme` writes it from the results."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return readme.partition("<!-- results:begin -->")[2].partition("<!-- results:end -->")[0]


def cards() -> str:
    """Return a list of the committed model cards and figures."""
    folder = ROOT / "docs" / "offline"
    figures = [
        f"![{path.stem.replace('_', ' ')}](offline/figures/{path.name})"
        for path in sorted(folder.glob("figures/*.svg"))
    ]
    listed = [f"- [{path.stem}](offline/cards/{path.name})" for path in sorted(folder.glob("cards/*.md"))]
    return "\n".join(["", "## Cards", "", *listed, "", "## Figures", "", "\n\n".join(figures), ""])


def api() -> str:
    """Return mkdocstrings' directives for the Python interface: its functions, then what they return."""
    members = importlib.import_module(API).__all__
    ordered = sorted(members, key=lambda name: (name[0].isupper(), members.index(name)))
    return "\n" + "\n".join(f"::: {API}.{name}" for name in ordered) + "\n"


def statistics() -> str:
    """Return mkdocstrings' directives for the modules of `skinlesion.stats`."""
    return "\n" + "\n".join(f"::: skinlesion.stats.{name}" for name in STATISTICS) + "\n"


FILLS: dict[str, Callable[[], str]] = {
    "answer": answer,
    "api": api,
    "cards": cards,
    "statistics": statistics,
}
TABLES: dict[str, Callable[[], str]] = {
    "commands": commands_page.commands_table,
    "metrics": metrics_page.metrics_table,
    "parameters": parameters_page.parameters_table,
}
