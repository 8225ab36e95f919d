"""`skinlesion score` of few lesions: values, no interval, and the reason, in the terminal and as JSON."""

import json

import numpy as np
import pandas as pd
import pytest

from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS
from tests.simulated import simulated


def table_of(predictions):
    columns = dict(zip(PROBABILITY_COLUMNS, predictions.probabilities[0].T, strict=True))
    return pd.DataFrame({
        "image_id": predictions.image_ids,
        "lesion_id": predictions.lesions,
        "fold": 0,
        "seed": 0,
        "dx": np.array(CLASSES)[predictions.labels],
        **columns,
    })  # fmt: skip


@pytest.fixture
def scored(tmp_path, run):
    """Return a function that scores some rows of a file, with validation predictions, as text and as JSON."""
    whole = table_of(simulated(400))
    table_of(simulated(300, seed=1)).to_csv(tmp_path / "validation.csv", index=False)

    def score(select_rows):
        select_rows(whole).to_csv(tmp_path / "predictions.csv", index=False)
        command = ["score", "predictions.csv", "--validation", "validation.csv", "--replicates", "200"]
        text, content = run(*command, cwd=tmp_path), run(*command, "--json", cwd=tmp_path)
        assert text.code == content.code == 0, text.err + content.err
        return text, json.loads(content.out)

    return score


def limits_of(content):
    return {
        name: (figures[name], figures[name.replace("_low", "_high")])
        for figures in (content["metrics"], content["assessment"])
        for name in figures
        if name.endswith("_low")
    }


@pytest.mark.parametrize(
    ("select_rows", "reason"),
    [
        (lambda table: table[table["lesion_id"] == table["lesion_id"].iloc[0]], "1 lesion: fewer than the 20"),
        (lambda table: table.iloc[[3, 90]], "2 lesions: fewer than the 20"),
        (lambda table: table.iloc[[3]], "1 lesion: fewer than the 20"),
    ],
)
def test_one_lesion_or_two_images_get_no_interval_and_the_reason(scored, select_rows, reason):
    text, content = scored(select_rows)
    assert limits_of(content) == {}
    assert content["metrics"]["accuracy"] in (0, 0.5, 1)
    assert content["without_interval"]["accuracy"].startswith(reason)
    assert content["without_interval"]["aurc"].startswith(reason)
    assert reason in text.err


def test_a_class_of_one_lesion_keeps_the_intervals_that_do_not_rest_on_it(scored):
    def select_rows(table):
        first = table.loc[table["dx"] == "df", "lesion_id"].iloc[0]
        return table[(table["dx"] != "df") | (table["lesion_id"] == first)]

    text, content = scored(select_rows)
    limits = limits_of(content)
    assert all(low < high for low, high in limits.values())
    assert {"accuracy_low", "sensitivity_mel_low", "rms_calibration_error_calibrated_low"} <= set(limits)
    assert not {"balanced_accuracy_low", "sensitivity_df_low", "by_lesion_macro_auc_low"} & set(limits)
    assert content["without_interval"]["balanced_accuracy"].startswith("1 df lesion: fewer than the 5")
    assert content["without_interval"]["sensitivity_df"].startswith("1 df lesion: fewer than the 5")
    assert "1 df lesion: fewer than the 5 that an interval needs; no interval of balanced_accuracy" in text.err
