"""What the terminal shows of results: one form of numbers, true minus signs, plurals that are right."""

from pathlib import Path

import pandas as pd

from skinlesion import console

AUDIT = {
    "calibration": {"cosine_threshold": 0.98765, "false_positive_rate": 1e-6, "different_lesion_pairs": 12345},
    "exact_duplicates": 1,
    "near_duplicates": 2,
    "near_duplicates_across_parts": 0,
    "known_pairs": 0,
    "overlap": {"other": 1},
}


def test_metrics_have_four_places_and_their_interval(capsys):
    metrics = {"balanced_accuracy": 0.642, "balanced_accuracy_low": 0.62, "balanced_accuracy_high": 0.664}
    console.show_metrics({**metrics, "accuracy": 0.7}, Path("out"))
    output = capsys.readouterr().out.splitlines()
    assert output[0].strip() == "balanced_accuracy 0.6420 (0.6200 to 0.6640)"
    assert output[1].strip() == "accuracy 0.7000"


def test_negative_figures_have_a_minus_sign(capsys):
    console.show_figures({"gain": -0.5, "gain_low": -0.75, "gain_high": 0.25})
    assert capsys.readouterr().out == "  gain  −0.5000 (−0.7500 to 0.2500)\n"


def test_verdicts_are_signed(capsys):
    row = {"a": "x", "b": "y", "metric": "macro_f1", "difference": -0.01, "low_adjusted": -0.02}
    row |= {"high_adjusted": 0.0, "verdict": "?", "family": "exploratory"}
    console.show_verdicts(pd.DataFrame([row]))
    assert capsys.readouterr().out == "y − x: macro_f1 −0.0100 (−0.0200 to +0.0000), ? (exploratory)\n"


def test_one_pair_is_no_pairs(capsys):
    console.show_audit(AUDIT)
    output = capsys.readouterr().out
    assert "exact duplicates: 1 pair\n" in output
    assert "different lesion ids: 2 pairs, 0 across parts (cosine ≥ 0.988, 1.0e−06 of 12,345 pairs" in output
    assert "other: 1 image is also in the data set" in output


def test_one_run_is_no_runs(capsys):
    console.show_runs([], Path("models/x"))
    assert capsys.readouterr().out == "0 runs in models/x; next: `skinlesion evaluate`\n"
