"""examples/analysis.ipynb runs from its first cell to its last."""

import asyncio
import warnings

import pytest

from tests.conftest import ROOT

nbformat = pytest.importorskip("nbformat")


@pytest.mark.filterwarnings("ignore")
def test_the_notebook_runs(finished, monkeypatch):
    from nbclient import NotebookClient

    monkeypatch.setenv("SKINLESION_WORKSPACE", str(finished))
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel chooses its own, whatever a test before has set
    notebook = nbformat.read(ROOT / "examples/analysis.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)  # committed without results
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
        loop.close()
    printed = " ".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "balanced_accuracy" in printed
    assert any("image/png" in output.get("data", {}) for output in notebook.cells[-1]["outputs"])
