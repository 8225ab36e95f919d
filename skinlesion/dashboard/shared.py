"""What the pages share: the workspace, kept open between clicks, lists to choose a system from, parts of a page."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import streamlit as st

from skinlesion.dashboard import address
from skinlesion.errors import UserError
from skinlesion.results.reader import Results

#: Largest upload, in bytes; the server refuses larger ones too.
MOST_BYTES = 20_000_000

#: Pixels of a figure: two of them beside each other on a telephone, all of many on a screen.
_WIDE, _NARROW, _MANY = 160, 120, 4


def open_results(path: Path) -> Results:
    """Return the results of a workspace; opened again where its params.yaml has changed.

    Raises:
        UserError: params.yaml is missing or wrong.
    """
    return _open(str(path.resolve()), path.stat().st_mtime if path.exists() else 0.0)


@st.cache_resource(show_spinner="Reading results", max_entries=4)
def _open(path: str, changed: float) -> Results:
    return Results.open(Path(path))


def choose(
    label: str, results: Results, name: str = "experiment", place: int = 0, among: Sequence[str] | None = None
) -> str | None:
    """Show a list of the systems that have results and return the one chosen; say what to run where there is none.

    Args:
        name: of the choice in the address.
        place: of the default in the list.
        among: the systems that can be chosen; all by default.
    """
    names = [system for system in results.evaluated() if among is None or system in among]
    if not names:
        st.info("No results yet: run `dvc repro`.")
        return None
    return address.select(name, label, names, names[min(place, len(names) - 1)])


@contextmanager
def part(results: Results, title: str) -> Iterator[None]:
    """Head a part of a page; where what it shows was not made yet, say what to run instead."""
    st.subheader(title)
    try:
        yield
    except UserError as error:
        say_missing(results, error)


def say_missing(results: Results, error: UserError) -> None:
    """Say what is not there and what makes it; paths are those in the workspace."""
    st.info(str(error).replace(f"{results.workspace.root}/", ""))


def show_figures(figures: Sequence[tuple[str, str, str]]) -> None:
    """Show figures beside each other, as many as fit: title, value, and what stands below it."""
    width = _NARROW if len(figures) > _MANY else _WIDE
    with st.container(horizontal=True, gap="small"):
        for title, value, below in figures:
            st.metric(title, value, below or None, delta_color="off", delta_arrow="off", width=width)


def show_table(table: pd.DataFrame) -> None:
    """Show a table of words and written numbers over the width of the page, without its index."""
    st.dataframe(table, hide_index=True, width="stretch")
