"""`skinlesion compare` on two files of predictions gives the figures that the stage `stats` wrote."""

import json

import numpy as np
import pandas as pd
import pytest


def test_compare_gives_the_figures_of_the_stats_stage(finished, run):
    files = [f"reports/runs/{name}/predictions.csv" for name in ("concat", "image")]
    outcome = run("compare", *files, "--replicates", "200", "--permutations", "1000", "--json", cwd=finished)
    assert outcome.code == 0, outcome.err
    compared = json.loads(outcome.out)["comparisons"]
    table = pd.read_csv(finished / "reports/stats/comparisons.csv")
    table = table[(table["a"] == "concat") & (table["b"] == "image")].set_index(["metric", "method"])
    assert {row["metric"] for row in compared} >= {"accuracy", "balanced_accuracy", "macro_f1", "macro_auc"}
    for row in compared:
        expected = table.loc[(row["metric"], row["method"])]
        for name in ("difference", "low", "high", "p"):
            value = np.nan if row[name] is None else row[name]
            assert value == pytest.approx(expected[name], rel=1e-7, nan_ok=True), (row["metric"], row["method"], name)
