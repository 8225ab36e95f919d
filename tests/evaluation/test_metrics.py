"""Metrics against scikit-learn, by hand and at their edges; prediction files read and refused."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from skinlesion.errors import UserError
from skinlesion.evaluation.metrics import metric_value, score
from skinlesion.evaluation.prediction_rows import COLUMNS
from skinlesion.evaluation.predictions import read_predictions
from skinlesion.evaluation.recalibration import fit_temperature
from skinlesion.vocabulary import CLASSES


def simulated(count=400, seed=0, strength=1.5):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(7), rng.choice(7, count - 7, p=[0.05, 0.1, 0.15, 0.05, 0.15, 0.45, 0.05])])
    logits = rng.normal(size=(count, 7)) + strength * np.eye(7)[labels]
    p = np.exp(logits)
    return labels, p / p.sum(axis=1, keepdims=True)


def test_every_metric_agrees_with_scikit_learn():
    labels, p = simulated()
    predicted = p.argmax(axis=1)
    scores = score(labels, p, ece_bins=15)
    assert scores.undefined == {}
    expected = {
        "accuracy": sk.accuracy_score(labels, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
        "macro_f1": sk.f1_score(labels, predicted, average="macro"),
        "weighted_f1": sk.f1_score(labels, predicted, average="weighted"),
        "macro_auc": sk.roc_auc_score(labels, p, multi_class="ovr"),
        "malignant_auc": sk.roc_auc_score(np.isin(labels, [0, 1, 4]), p[:, [0, 1, 4]].sum(axis=1)),
        "nll": sk.log_loss(labels, p),
        "brier": sk.brier_score_loss(labels, p, scale_by_half=False),
    }
    for position, name in enumerate(CLASSES):
        expected[f"sensitivity_{name}"] = sk.recall_score(labels == position, predicted == position)
        expected[f"specificity_{name}"] = sk.recall_score(labels != position, predicted != position)
        expected[f"precision_{name}"] = sk.precision_score(labels == position, predicted == position)
        expected[f"f1_{name}"] = sk.f1_score(labels == position, predicted == position)
        expected[f"auc_{name}"] = sk.roc_auc_score(labels == position, p[:, position])
    assert set(scores.values) == {*expected, "ece"}
    for name, value in expected.items():
        assert scores.values[name] == pytest.approx(value, abs=1e-12), name


def test_calibration_error_by_hand_and_at_confidence_one():
    p = np.zeros((4, 7))
    p[:, 0] = [1.0, 1.0, 0.6, 0.6]
    p[:, 1] = [0.0, 0.0, 0.4, 0.4]
    labels = np.array([0, 1, 0, 0])
    # Last bin: confidence 1.0, half right. Bin of 0.6: all right.
    assert score(labels, p, 10).values["ece"] == pytest.approx(0.5 * 0.5 + 0.5 * 0.4)
    assert metric_value("ece", np.array([0, 0, 0, 0]), np.eye(7)[[0, 0, 0, 0]]) == 0


def test_what_is_undefined_is_left_out_with_its_reason():
    labels, p = simulated()
    keep = labels != CLASSES.index("df")
    scores = score(labels[keep], p[keep], 15)
    assert "sensitivity_df" in scores.undefined
    assert "auc_df" in scores.undefined
    assert "macro_auc" in scores.undefined
    assert "df" in scores.undefined["macro_auc"]
    assert not set(scores.values) & set(scores.undefined)
    assert all(np.isfinite(list(scores.values.values())))


def test_temperature_undoes_overconfidence_and_one_is_neutral():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 7)) * 1.5
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (p.cumsum(axis=1) > rng.random((len(p), 1))).argmax(axis=1)  # drawn from p: calibrated
    assert fit_temperature(labels, p) == pytest.approx(1, abs=0.03)
    sharp = p**2 / (p**2).sum(axis=1, keepdims=True)
    assert fit_temperature(labels, sharp) == pytest.approx(2, abs=0.06)


def frame(count=20, seeds=(0,)):
    labels, p = simulated(count)
    tables = []
    for seed in seeds:
        table = pd.DataFrame(p, columns=[f"p_{name}" for name in CLASSES])
        table.insert(0, "dx", np.array(CLASSES)[labels])
        table.insert(0, "repeat", 0)
        table.insert(0, "seed", seed)
        table.insert(0, "fold", 0)
        table.insert(0, "lesion_id", [f"L{n // 2}" for n in range(count)])
        table.insert(0, "image_id", [f"I{n:03d}" for n in range(count)])
        tables.append(table)
    return pd.concat(tables)[list(COLUMNS)]


def read(tmp_path, table, **options):
    table.to_csv(tmp_path / "p.csv", index=False)
    return read_predictions(tmp_path / "p.csv", **options)


def test_the_contract_reads_back_whatever_the_order_of_rows(tmp_path):
    table = frame(seeds=(3, 1))
    predictions, warnings = read(tmp_path, table.sample(frac=1, random_state=0))
    assert warnings == []
    assert predictions.seeds == (1, 3)
    assert predictions.probabilities.shape == (2, 20, 7)
    np.testing.assert_allclose(predictions.probabilities[0], table[table["seed"] == 1].iloc[:, 6:].to_numpy())


def test_isic_columns_are_matched_by_name(tmp_path):
    table = frame()
    isic = table.rename(columns={"image_id": "image"} | {f"p_{name}": name.upper() for name in CLASSES})
    isic = isic[["image", "MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]]
    table[["image_id", "lesion_id", "dx"]].to_csv(tmp_path / "truth.csv", index=False)
    predictions, warnings = read(tmp_path, isic, truth=tmp_path / "truth.csv")
    expected, _ = read(tmp_path, table)
    np.testing.assert_array_equal(predictions.probabilities, expected.probabilities)
    np.testing.assert_array_equal(predictions.lesions, expected.lesions)
    assert warnings == []


def test_without_lesion_ids_every_image_is_its_own_with_a_warning(tmp_path):
    predictions, warnings = read(tmp_path, frame().drop(columns=["lesion_id", "fold", "seed", "repeat"]))
    assert len(set(predictions.lesions)) == 20
    assert "no lesion_id" in warnings[0]


@pytest.mark.parametrize(
    ("modify", "message"),
    [
        (lambda t: t.drop(columns="p_mel"), "column p_mel missing"),
        (lambda t: t.drop(columns="dx"), "--truth"),
        (lambda t: t.assign(p_mel=np.nan), "not probabilities.*I000"),
        (lambda t: t.assign(p_mel="x"), "not probabilities"),
        (lambda t: t.assign(p_mel=t["p_mel"] + 0.5), "I0"),
        (lambda t: t.assign(p_mel=t["p_mel"] + 0.01, p_nv=t["p_nv"] * 0.999), "do not sum to one"),
        (lambda t: t.assign(dx="wart"), "dx missing or not one of"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "listed twice within a seed: I000"),
        (lambda t: pd.concat([t, t.iloc[1:].assign(seed=1)]), "different images: I000"),
    ],
)
def test_a_bad_predictions_file_is_refused_with_ids(tmp_path, modify, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, modify(frame()))
