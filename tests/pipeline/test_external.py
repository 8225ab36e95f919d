"""External data: the mean over folds, the classes that are there, fields that are not, and the overlap left out."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from skinlesion.evaluation.predictions import Predictions, restrict_classes
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS
from tests.archive import jpeg
from tests.conftest import small_params, write_params


def test_restricted_answers_are_shares_among_the_classes_left():
    probabilities = np.array([[[0.1, 0, 0, 0, 0.3, 0.1, 0.5], [1, 0, 0, 0, 0, 0, 0.0]]])
    ids = np.array(["a", "b"])
    predictions = Predictions(ids, ids, np.array([4, 5]), np.zeros((1, 2), int), (0,), (0,), probabilities)
    restricted = restrict_classes(predictions, ("mel", "nv"))
    np.testing.assert_allclose(restricted.probabilities, [[[0.75, 0.25], [0.5, 0.5]]])
    assert restricted.labels.tolist() == [0, 1]
    with pytest.raises(ValueError, match="none of the diagnoses mel"):
        restrict_classes(predictions, ("mel",))


@pytest.fixture
def outside(workspace_folder):
    """An external folder of naevi and melanomas without age and site, beside trained experiments on two folds."""
    folder = workspace_folder / "hospital"
    (folder / "images").mkdir(parents=True)
    rows = []
    for number in range(24):
        (folder / "images" / f"case{number}.jpg").write_bytes(jpeg(number, size=(50, 40)))
        rows.append((f"case{number}.jpg", f"patient{number // 2}", "naevus" if number // 2 % 3 else "melanoma", "f"))
    rows[23] = ("case23.jpg", "patient11", "wart", "m")
    pd.DataFrame(rows, columns=["file", "patient", "diagnosis", "gender"]).to_csv(folder / "list.csv", index=False)
    described = {
        "table": "list.csv",
        "columns": {
            "image_id": "file", "lesion_id": "patient", "dx": "diagnosis", "age": None, "sex": "gender",
            "localization": None,
        },
        "diagnoses": {"naevus": "nv", "melanoma": "mel"},
    }  # fmt: skip
    write_params(
        workspace_folder,
        small_params(
            prepare={"on_error": "skip"},
            train={"folds": [0, 1], "seeds": [0, 1]},
            audit={"replicates": 100},
            external=[{"name": "hospital", "source": "folder", "path": "hospital", "folder": described}],
        ),
    )
    return workspace_folder


def test_external_figures_come_from_the_mean_over_folds(outside, run):
    assert run("train", "--experiment", "concat", cwd=outside).code == 0
    for args, parts in (
        (("evaluate", "--experiment", "concat"), ("external.hospital", "skinlesion prepare --external hospital")),
        (("prepare", "--external", "hospitl"), ("--external hospitl", "did you mean hospital")),
    ):
        outcome = run(*args, cwd=outside)
        assert outcome.code == 2
        assert all(part in outcome.err for part in parts)
    prepared = run("prepare", "--external", "hospital", cwd=outside)
    assert prepared.code == 0
    assert "wart 1" in prepared.out
    outcome = run("evaluate", "--experiment", "concat", cwd=outside)
    assert outcome.code == 2
    assert "skinlesion audit" in outcome.err
    assert run("audit", cwd=outside).code == 0
    assert run("evaluate", "--experiment", "concat", cwd=outside).code == 0

    folder = outside / "reports/runs/concat"
    predicted = pd.read_csv(folder / "external/hospital.csv")
    figures = json.loads((folder / "external.json").read_text())["hospital"]
    notes = json.loads((folder / "external/notes.json").read_text())["hospital"]
    assert notes["missing"] == {"age": 1.0, "sex": 0.0, "localization": 1.0}
    assert notes["folds"] == 2
    assert notes["images_by_class"] == {"mel": 8, "nv": 15}
    assert len(predicted) == 2 * 23
    assert sorted(predicted["seed"].unique()) == [0, 1]

    # By hand, from the file that was written.
    balanced, free, auc = [], [], []
    for _, table in predicted.groupby("seed"):
        melanoma = (table["dx"] == "mel").to_numpy()
        share = (table["p_mel"] / (table["p_mel"] + table["p_nv"])).to_numpy()
        balanced.append(balanced_accuracy_score(melanoma, share > 0.5))
        auc.append(roc_auc_score(melanoma, share))
        answers = table[list(PROBABILITY_COLUMNS)].to_numpy().argmax(axis=1)
        truth = table["dx"].map({name: place for place, name in enumerate(CLASSES)}).to_numpy()
        free.append(np.mean([(answers[truth == place] == place).mean() for place in np.unique(truth)]))
    assert figures["balanced_accuracy"] == pytest.approx(np.mean(balanced), abs=1e-9)
    assert figures["open_balanced_accuracy"] == pytest.approx(np.mean(free), abs=1e-9)
    assert figures["auc_mel"] == pytest.approx(np.mean(auc), abs=1e-9)
    # Too few lesions for an interval, which is said.
    assert "balanced_accuracy_low" not in figures
    assert "that an interval needs" in notes["undefined"]["balanced_accuracy_low"]

    # All later stages up to the report, pairs included.
    for args in (
        ("train", "--experiment", "image"), ("evaluate", "--experiment", "image"), ("assess", "image"),
        ("assess", "concat"), ("metadata",), ("explain",), ("stats",), ("report",),
    ):  # fmt: skip
        outcome = run(*args, cwd=outside)
        assert outcome.code == 0, outcome.err
    pairs = pd.read_csv(outside / "reports/stats/external.csv")
    assert set(pairs["external"]) == {"hospital"}
    assert set(pairs["metric"]) == {"balanced_accuracy", "macro_f1", "macro_auc"}
    page = (outside / "reports/report.html").read_text()
    assert '<h2 id="external-data">External data</h2>\n<h3>hospital</h3>' in page
    assert "It has no age. " in page
    assert "It has no localization." in page


def test_one_folds_model_predicts_what_it_predicts_at_home(workspace_folder, run):
    """An external set that is the data set itself under other ids gives the test predictions of a single fold."""
    import shutil

    write_params(
        workspace_folder,
        small_params(external=[{"name": "twin", "source": "phantom", "path": "."}], audit={"replicates": 100}),
    )
    internal, twin = workspace_folder / "data/prepared", workspace_folder / "data/external/twin"
    shutil.copytree(internal, twin)
    for name in ("metadata.csv", "files.csv"):
        table = pd.read_csv(twin / name, keep_default_na=False)
        table["image_id"] = "twin_" + table["image_id"]
        table.to_csv(twin / name, index=False)
    audit = workspace_folder / "reports/audit"
    audit.mkdir(parents=True)
    (audit / "overlap.csv").write_text("external,image_id,training_image_id,reason,hash_distance,cosine\n")
    assert run("train", "--experiment", "concat", cwd=workspace_folder).code == 0
    assert run("evaluate", "--experiment", "concat", cwd=workspace_folder).code == 0
    folder = workspace_folder / "reports/runs/concat"
    internal_predictions = pd.read_csv(folder / "predictions.csv").set_index("image_id")
    external_predictions = pd.read_csv(folder / "external/twin.csv").set_index("image_id")
    probabilities = external_predictions.loc["twin_" + internal_predictions.index, list(PROBABILITY_COLUMNS)].to_numpy()
    np.testing.assert_allclose(probabilities, internal_predictions[list(PROBABILITY_COLUMNS)].to_numpy(), atol=1e-6)
