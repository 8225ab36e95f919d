"""examples/analysis.ipynb runs from its first cell to its last, and the outputs that it keeps are those it gives."""

import asyncio
import warnings

import pytest

from tests.conftest import ROOT

nbformat = pytest.importorskip("nbformat")


def texts(notebook):
    """Return what each cell prints or shows, as text; not the figures, which matplotlib's version may change."""
    return [
        [output.get("text") or output.get("data", {}).get("text/plain") for output in cell.get("outputs", [])]
        for cell in notebook.cells
    ]


@pytest.mark.filterwarnings("ignore")
def test_the_notebook_gives_the_outputs_that_it_keeps(monkeypatch):
    from nbclient import NotebookClient

    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel chooses its own, whatever a test before has set
    notebook = nbformat.read(ROOT / "examples/analysis.ipynb", as_version=4)
    expected = texts(notebook)
    assert (
        sum(line.startswith(("import ", "from ")) for cell in notebook.cells for line in cell.source.split("\n")) <= 2
    )
    assert any("image + metadata is better than image" in str(cell_outputs) for cell_outputs in expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        resources = {"metadata": {"path": str(ROOT / "examples")}}
        NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
        loop.close()
    assert texts(notebook) == expected
