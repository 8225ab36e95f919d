"""What the pages share: the workspace, kept open between clicks, and the list to choose a system from."""

from pathlib import Path

import streamlit as st

from skinlesion.results.reader import Results


def open_results(path: Path) -> Results:
    """Return the results of a workspace; opened again where its params.yaml has changed.

    Raises:
        UserError: params.yaml is missing or wrong.
    """
    return _open(str(path.resolve()), path.stat().st_mtime if path.exists() else 0.0)


@st.cache_resource(show_spinner="Reading results", max_entries=4)
def _open(path: str, changed: float) -> Results:
    return Results.open(Path(path))


def choose(label: str, results: Results, key: str, index: int = 0) -> str | None:
    """Show a list of the systems that have results and return the one chosen; say what to run where there is none."""
    names = results.evaluated()
    if not names:
        st.info("No results yet: run `dvc repro`.")
        return None
    chosen: str | None = st.selectbox(label, names, index=min(index, len(names) - 1), key=key)
    return chosen
