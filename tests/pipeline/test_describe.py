"""describe writes one page that stands alone."""

import re

import pandas as pd


def test_describe_writes_a_page_that_stands_alone(workspace_folder, run):
    outcome = run("describe", cwd=workspace_folder)
    assert outcome.code == 0, outcome.err
    folder = workspace_folder / "reports/dataset"
    page = (folder / "dataset.html").read_text()
    assert "SYNTHETIC" in page
    assert not re.search(r'(?:src|href)="(?!data:)[^"]*//', page)  # nothing is fetched from anywhere
    counts = pd.read_csv(folder / "classes.csv")
    assert counts["images"].sum() == 200
    assert "dx_type" not in page
    before = page
    assert run("describe", cwd=workspace_folder).code == 0
    assert (folder / "dataset.html").read_text() == before
