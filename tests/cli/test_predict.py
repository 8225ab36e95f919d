"""predict: what evaluate says of the same images, files that are no photographs, records, output for programs."""

import csv
import io
import json
import shutil
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skinlesion.data.patient_records import PatientRecord
from skinlesion.interpret.neighbours import Neighbours
from skinlesion.models.metadata_encoders import restore_encoder
from skinlesion.stages import predict as stage
from skinlesion.vocabulary import PROBABILITY_COLUMNS
from tests.conftest import small_params, trained_workspace, write_params


@pytest.fixture(scope="module")
def trained(prepared_template, tmp_path_factory):
    """Two experiments on two folds, evaluated and assessed, and the prepared images as PNG files."""
    from skinlesion.stages.assess import assess

    folder = tmp_path_factory.mktemp("trained") / "workspace"
    experiments = {"image": {}, "concat": {"fusion": "concat"}, "tuned": {"regime": "two_stage", "folds": [0]}}
    settings = {"folds": [0, 1], "epochs": 2, "finetune_epochs": 1}
    wanted = small_params(train=settings, experiments=experiments, claims=[])
    params, workspace = trained_workspace(prepared_template, folder, wanted)
    for name in ("image", "concat"):
        assess(params, workspace, name)
    images = np.load(workspace.prepared / "images.npy")
    table = pd.read_csv(workspace.prepared / "metadata.csv", keep_default_na=False)
    (folder / "photos").mkdir()
    for image_id, pixels in zip(table["image_id"], images, strict=True):
        Image.fromarray(pixels).save(folder / "photos" / f"{image_id}.png")
    return folder


def rows_of(outcome):
    return [json.loads(line) for line in outcome.out.splitlines()]


@pytest.mark.parametrize("name", ["image", "concat", "tuned"])
def test_one_folds_model_predicts_what_evaluate_wrote(trained, run, name):
    """Uncalibrated answers of fold 0 to the images it was tested on, metadata from a table."""
    from skinlesion.experiment.predictor import Predictor
    from skinlesion.params_file import load_params
    from skinlesion.results.workspace import Workspace

    written = pd.read_csv(trained / f"reports/runs/{name}/predictions.csv")
    written = written[written["fold"] == 0].set_index("image_id")
    params, workspace = load_params(trained / "params.yaml"), Workspace(trained)
    predictor = Predictor.open(params, workspace, name, fold=0)
    table = pd.read_csv(workspace.prepared / "metadata.csv", keep_default_na=False, na_values={"age": [""]})
    rows = np.flatnonzero(table["image_id"].isin(written.index))
    images = np.load(workspace.prepared / "images.npy")[rows]
    predicted = predictor.probabilities(images, table.iloc[rows])
    assert predicted.shape == (1, len(rows), 7)
    expected = written.loc[table["image_id"].iloc[rows], list(PROBABILITY_COLUMNS)].to_numpy()
    np.testing.assert_allclose(predicted[0], expected, atol=1e-5)


def test_an_experiment_without_the_first_partition_predicts(prepared_template, tmp_path):
    from skinlesion.experiment.predictor import Predictor
    from skinlesion.params_file import load_params
    from skinlesion.results.workspace import Workspace
    from skinlesion.stages.evaluate import evaluate
    from skinlesion.stages.split import split
    from skinlesion.stages.train import train

    folder = tmp_path / "workspace"
    shutil.copytree(prepared_template, folder)
    experiments = {"image": {"repeats": [1], "folds": [0], "epochs": 1}}
    wanted = small_params(split={"repeats": 2}, experiments=experiments, claims=[], stats={"pairs": None})
    params, workspace = load_params(write_params(folder, wanted)), Workspace(folder)
    split(params, workspace)
    train(params, workspace, "image")
    evaluate(params, workspace, "image")
    predictor = Predictor.open(params, workspace, "image")
    assert [run.run.repeat for run in predictor.runs] == [1]
    assert predictor.prevalence is not None


def test_the_command_gives_the_calibrated_mean_with_sets_and_thresholds(trained, run):
    metadata = trained / "data/prepared/metadata.csv"
    outcome = run("predict", "photos", "--experiment", "concat", "--table", str(metadata), "--json", cwd=trained)
    assert outcome.code == 0, outcome.err
    assert "not for diagnosis" in outcome.err
    rows = rows_of(outcome)
    assert len(rows) == 200
    assert [row["file"] for row in rows] == sorted(row["file"] for row in rows)
    for row in rows[:20]:
        p = np.array([row[name] for name in PROBABILITY_COLUMNS])
        assert p.sum() == pytest.approx(1)
        likeliest = PROBABILITY_COLUMNS[p.argmax()].removeprefix("p_")
        assert row["answer"] == likeliest or f"{likeliest} is likelier" in " ".join(row["remarks"])
        assert row["malignant"] == pytest.approx(row["p_akiec"] + row["p_bcc"] + row["p_mel"])
        assert set(row["called"]) == {"90% specificity", "95% specificity", "90% sensitivity", "95% sensitivity"}
        # A threshold that spares more of the benign is higher, one that finds more of the malignant lower.
        assert row["called"]["90% specificity"] or not row["called"]["95% specificity"]
        assert row["called"]["95% sensitivity"] or not row["called"]["90% sensitivity"]
    one_fold = rows_of(
        run(
            "predict",
            "photos",
            "--experiment",
            "concat",
            "--table",
            str(metadata),
            "--fold",
            "1",
            "--json",
            cwd=trained,
        )
    )
    assert max(abs(a["p_nv"] - b["p_nv"]) for a, b in zip(rows, one_fold, strict=True)) > 1e-4


def test_the_best_experiment_is_taken_with_metadata_where_some_are_given(trained, run):
    without_metadata = run("predict", "photos/PHANTOM_0000000.png", cwd=trained)
    assert without_metadata.code == 0, without_metadata.err
    assert without_metadata.err.startswith(("image,", "tuned,"))
    with_metadata = run("predict", "photos/PHANTOM_0000000.png", "--age", "70", "--sex", "male", cwd=trained)
    assert with_metadata.err.startswith("concat, 2 models")
    assert "cannot be ruled out" in with_metadata.out
    assert "malignant" in with_metadata.out
    changed_metadata = run("predict", "photos/PHANTOM_0000000.png", "--age", "10", "--sex", "female", cwd=trained)
    assert changed_metadata.out != with_metadata.out


def test_an_experiment_that_was_not_assessed_says_so(trained, run):
    outcome = run("predict", "photos/PHANTOM_0000000.png", "--experiment", "tuned", "--json", cwd=trained)
    assert outcome.code == 0
    assert "run `skinlesion assess tuned`" in outcome.err
    row = rows_of(outcome)[0]
    assert row["set"] is None
    assert row["called"] == {}


def png_of_claimed_size(side: int) -> bytes:
    """A PNG that claims side × side pixels and holds next to nothing."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_bad_files_are_reported_and_the_rest_goes_on(trained, run, tmp_path):
    (tmp_path / "a_text.jpg").write_text("hello")
    (tmp_path / "b_bomb.png").write_bytes(png_of_claimed_size(30_000))
    (tmp_path / "c_empty.png").write_bytes(b"")
    whole = (trained / "photos/PHANTOM_0000003.png").read_bytes()
    (tmp_path / "d_cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "e_good.png").write_bytes(whole)
    with Image.open(io.BytesIO(whole)) as image:
        image.convert("CMYK").save(tmp_path / "f_cmyk.jpg", quality=95)
        image.convert("L").save(tmp_path / "g_grey.png")
    outcome = run("predict", str(tmp_path), "--experiment", "image", "--json", cwd=trained)
    assert outcome.code == 2
    rows = rows_of(outcome)
    assert [bool(row["error"]) for row in rows] == [True, True, True, True, False, False, False]
    for row in rows[:4]:
        assert row["file"] in row["error"]
        assert "not a readable image" in row["error"]
    assert "900000000 pixels" in rows[1]["error"]
    assert "0x" not in outcome.err
    assert "4 could not be read" in outcome.err
    assert "Traceback" not in outcome.err


def test_csv_for_programs(trained, run):
    outcome = run("predict", "photos", "--experiment", "image", "--csv", cwd=trained)
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert len(rows) == 200
    provenance = ["sees", "record", "trained_on", "synthetic", "unlike", "unlike_training", "warnings"]
    columns = ["answer", *PROBABILITY_COLUMNS, "malignant", "malignant_prevalence", "remarks", "set", "called"]
    assert list(rows[0]) == ["file", "experiment", *provenance, *columns, "error"]
    assert {row["experiment"] for row in rows} == {"image"}
    assert {row["synthetic"] for row in rows} == {"True"}
    assert all("no meaning for patients" in row["warnings"] for row in rows)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("nowhere",), "nowhere: no such file or folder"),
        (("data",), "no image below"),
        (("photos", "--age", "130"), "outside 0 to 120"),
        (("photos", "--sex", "mal"), "did you mean male"),
        (("photos", "--localization", "bak"), "did you mean back"),
        (("photos", "--experiment", "imge"), "did you mean image"),
        (("photos", "--experiment", "image", "--fold", "4"), "has folds 0, 1"),
        (("photos", "--json", "--csv"), "either --json or --csv"),
        (("photos", "--table", "params.yaml"), "image_id missing"),
    ],
)
def test_mistakes_are_named_with_what_would_be_valid(trained, run, args, message):
    outcome = run("predict", *args, cwd=trained)
    assert outcome.code == 2
    assert message in outcome.err.replace("column ", "")
    assert len(outcome.err.strip().splitlines()) == 1


def test_a_table_of_records_is_checked(trained, run, tmp_path):
    (tmp_path / "records.csv").write_text("image_id,age,sex\nPHANTOM_0000001,40,man\n")
    outcome = run("predict", "photos", "--table", str(tmp_path / "records.csv"), cwd=trained)
    assert outcome.code == 2
    assert "PHANTOM_0000001" in outcome.err


@pytest.fixture
def outliers(tmp_path):
    """Random noise and an image of one colour."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    Image.new("RGB", (64, 64), (128, 128, 128)).save(tmp_path / "uniform.png")
    return tmp_path


@pytest.mark.parametrize("name", ["image", "concat", "tuned"])
def test_what_is_unlike_the_training_images_is_reported_before_any_class(trained, run, outliers, name):
    """Noise was called "melanocytic naevus 53%" with no word; --unlike was needed, and came last."""
    outcome = run("predict", str(outliers), "photos/PHANTOM_0000000.png", "--experiment", name, cwd=trained)
    assert outcome.code == 0, outcome.err
    blocks = outcome.out.split("\n" + str(outliers))  # the photograph's own block follows uniform.png's
    for block in blocks[:2]:
        first = block.splitlines()[0]
        assert "UNLIKE THE TRAINING IMAGES" in first
        assert "do not rely on the answer below" in first
    assert outcome.out.count("UNLIKE") == 2
    rows = rows_of(run("predict", str(outliers), "--experiment", name, "--json", cwd=trained))
    assert [row["unlike_training"] for row in rows] == [True, True]
    for row in rows:
        assert "UNLIKE" in row["warnings"][0]
        assert list(row).index("warnings") < list(row).index("answer")
    table = csv.DictReader(io.StringIO(run("predict", str(outliers), "--experiment", name, "--csv", cwd=trained).out))
    assert all(row["warnings"].startswith("UNLIKE") and row["unlike_training"] == "True" for row in table)


def test_few_photographs_like_the_training_images_are_called_unlike(trained, run):
    """One in a hundred is farther than 99% by definition; an image of the data set also finds itself, or its lesion."""
    rows = rows_of(run("predict", "photos", "--experiment", "image", "--json", cwd=trained))
    assert sum(row["unlike_training"] for row in rows) <= 4
    assert rows[0]["unlike"] < 99


def test_the_comparison_with_training_images_is_left_out_if_asked_or_slow(trained, run, outliers, monkeypatch):
    command = ("predict", str(outliers / "noise.png"), "--experiment", "image")
    left_out = run(*command, "--no-unlike", cwd=trained)
    assert "not compared with the training images" in left_out.out
    assert "is not checked" in left_out.err
    monkeypatch.setattr(stage, "MOST_SECONDS", -1.0)
    too_slow = run(*command, cwd=trained)
    assert too_slow.code == 0
    assert "is not checked: that takes about 0 min, once; --unlike does it" in too_slow.err
    assert "UNLIKE" not in too_slow.out
    assert "UNLIKE" in run(*command, "--unlike", cwd=trained).out


def test_what_the_comparison_costs_is_known_beforehand(trained, monkeypatch, tmp_path):
    """Nothing where training left the features in the cache, else measured on one batch."""
    from skinlesion.experiment.predictor import Predictor
    from skinlesion.params_file import load_params
    from skinlesion.results.workspace import CACHE_ENVIRONMENT, Workspace

    predictor = Predictor.open(load_params(trained / "params.yaml"), Workspace(trained), "image")
    assert predictor.seconds_for_neighbours() == 0
    monkeypatch.setenv(CACHE_ENVIRONMENT, str(tmp_path))
    assert 0 < predictor.seconds_for_neighbours() < 60
    predictor.neighbours()
    assert predictor.seconds_for_neighbours() == 0


def test_the_features_of_one_pass_are_those_of_a_pass_of_their_own(trained):
    from skinlesion.experiment.predictor import Predictor
    from skinlesion.params_file import load_params
    from skinlesion.results.workspace import Workspace

    params, workspace = load_params(trained / "params.yaml"), Workspace(trained)
    images = np.array(np.load(workspace.prepared / "images.npy")[:16])
    records = pd.DataFrame([PatientRecord().row()] * 16)
    for name in ("image", "tuned"):
        predictor = Predictor.open(params, workspace, name)
        answers, features = predictor.answer_with_features(images, records)
        np.testing.assert_array_equal(features, predictor.pooled(images))
        np.testing.assert_array_equal(answers.probabilities, predictor.answer(images, records).probabilities)


def test_each_photograph_is_answered_by_the_best_model_for_what_is_known_of_its_patient(trained, run, tmp_path):
    """One record in a table made the multimodal model answer every photograph, the others without any field."""
    (tmp_path / "records.csv").write_text("image_id,age,sex\nPHANTOM_0000001,40,male\nPHANTOM_0000002,,\n")
    outcome = run("predict", "photos", "--table", str(tmp_path / "records.csv"), "--json", cwd=trained)
    assert outcome.code == 0, outcome.err
    rows = {row["file"]: row for row in rows_of(outcome)}
    result = rows.pop("photos/PHANTOM_0000001.png")
    assert (result["experiment"], result["sees"], result["record"]) == ("concat", "image and record", True)
    assert {(row["experiment"], row["sees"], row["record"]) for row in rows.values()} == {("image", "image", False)}
    assert "concat, 2 models" in outcome.err
    assert "image, 2 models" in outcome.err
    alone = rows_of(run("predict", "photos/PHANTOM_0000002.png", "--experiment", "image", "--json", cwd=trained))[0]
    assert alone["p_nv"] == pytest.approx(rows["photos/PHANTOM_0000002.png"]["p_nv"], abs=1e-6)


def test_unknown_is_no_record(trained, run):
    outcome = run("predict", "photos/PHANTOM_0000000.png", "--sex", "unknown", "--localization", "unknown", cwd=trained)
    assert outcome.err.startswith("image, 2 models")
    assert "answered by image, a model of the image alone; nothing known of the patient" in outcome.out


def test_a_multimodal_model_without_any_metadata_warns(trained, run, tmp_path):
    (tmp_path / "records.csv").write_text("image_id,age,sex\nother,40,male\n")
    photos = ("photos/PHANTOM_0000000.png", "photos/PHANTOM_0000001.png")
    outcome = run("predict", *photos, "--experiment", "concat", "--table", str(tmp_path / "records.csv"), cwd=trained)
    assert "2 photographs of 2 without age, sex and localization: concat" in outcome.err
    assert "lists none of the photographs" in outcome.err
    assert outcome.out.count("none was given") == 2
    partial_record = run("predict", *photos, "--experiment", "concat", "--age", "40", cwd=trained)
    assert "without age" not in partial_record.err
    assert "none was given" not in partial_record.out


def test_models_of_synthetic_images_say_so(trained, run):
    outcome = run("predict", "photos/PHANTOM_0000000.png", cwd=trained)
    warning = "trained on synthetic (drawn) images: no meaning for patients"
    assert warning in outcome.err
    assert warning in outcome.out.splitlines()[0]
    row = rows_of(run("predict", "photos/PHANTOM_0000000.png", "--json", cwd=trained))[0]
    assert row["synthetic"] is True
    assert row["trained_on"] == "phantom"


def test_risks_hold_at_the_share_of_malignant_validation_images(trained, run):
    """Temperature scaling left them as far off as training with balanced classes made them."""
    from skinlesion.evaluation.predictions import read_predictions
    from skinlesion.evaluation.prevalence import calibrate_to_prevalence

    validation = read_predictions(trained / "reports/runs/image/validation.csv")[0]
    share = np.isin(validation.labels, [0, 1, 4]).mean()
    outcome = run("predict", "photos", "--experiment", "image", "--fold", "0", "--json", cwd=trained)
    rows = {row["file"]: row for row in rows_of(outcome)}
    assert {row["malignant_prevalence"] for row in rows.values()} == {share}
    assert f"risks hold where {100 * share:.1f}% of images are malignant, as in phantom" in outcome.err
    # The validation images of fold 0 by its only run: the same calibrator on the probabilities that evaluate wrote.
    first_fold = np.flatnonzero(validation.folds == 0)
    expected = calibrate_to_prevalence(validation).apply(validation.probabilities[:, first_fold])[0]
    predicted = [
        [rows[f"photos/{validation.image_ids[i]}.png"][name] for name in PROBABILITY_COLUMNS] for i in first_fold
    ]
    np.testing.assert_allclose(predicted, expected, atol=1e-4)
    malignant = [rows[f"photos/{validation.image_ids[i]}.png"]["malignant"] for i in first_fold]
    np.testing.assert_allclose(malignant, expected[:, [0, 1, 4]].sum(axis=1), atol=1e-4)


def test_without_validation_predictions_risks_are_reported_as_uncalibrated(trained, run, tmp_path):
    folder = tmp_path / "workspace"
    shutil.copytree(trained, folder, ignore=shutil.ignore_patterns("validation.csv", "photos"))
    photo = str(trained / "photos/PHANTOM_0000000.png")
    outcome = run("predict", photo, "--experiment", "image", cwd=folder)
    assert "risks not calibrated: run `skinlesion evaluate image`" in outcome.err
    assert "not calibrated to any share of malignant images" in outcome.out


@pytest.mark.parametrize("name", ["image", "concat", "tuned"])
def test_predict_writes_an_activation_map_beside_each_photograph(trained, run, tmp_path, name):
    photos = ["photos/PHANTOM_0000000.png", "photos/PHANTOM_0000001.png"]
    outcome = run("predict", *photos, "--experiment", name, "--age", "50", "--cam", str(tmp_path / "cams"), cwd=trained)
    assert outcome.code == 0, outcome.err
    assert sorted(path.name for path in (tmp_path / "cams").iterdir()) == ["PHANTOM_0000000.png", "PHANTOM_0000001.png"]
    with Image.open(tmp_path / "cams/PHANTOM_0000000.png") as picture, Image.open(trained / photos[0]) as photo:
        assert picture.size == (64, 32)
        np.testing.assert_array_equal(np.asarray(picture)[:, :32], np.asarray(photo))


def test_neighbours_by_hand():
    features = np.array([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]])
    neighbours = Neighbours(features, np.array([0, 1, 2, 3]))
    rows, cosines = neighbours.nearest(np.array([[2.0, 0.05]]), 2)
    assert rows[0].tolist() == [0, 1]
    # (2, 0.05) against (1, 0) and (1, 0.1).
    expected = [2 / np.sqrt(4.0025), 2.005 / np.sqrt(4.0025 * 1.01)]
    np.testing.assert_allclose(cosines[0], expected, rtol=1e-6)
    assert neighbours.percentile(np.array([[-1.0, -1.0]])).item() == 100


def test_usual_distances_are_those_to_images_of_other_lesions():
    """Against a loop over the images, more than are compared at a time."""
    rng = np.random.default_rng(0)
    features, lesions = rng.random((250, 5)), np.arange(250) // 2
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    training_distances = [
        np.mean(np.sort(1 - unit[lesions != lesions[row]] @ unit[row])[:10])  # the ten nearest
        for row in range(250)
    ]
    queries = rng.random((8, 5))
    distances = [np.mean(np.sort(1 - unit @ vector / np.linalg.norm(vector))[:10]) for vector in queries]
    expected = [100 * np.mean(np.array(training_distances) < distance) for distance in distances]
    assert max(expected) > 0
    np.testing.assert_allclose(Neighbours(features, lesions).percentile(queries), expected, atol=0.41)


@pytest.mark.parametrize("name", ["image", "concat", "tuned"])
def test_an_exported_model_gives_the_same_predictions(trained, run, tmp_path, name):
    runtime = pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
    outcome = run("export", name, "--out", str(tmp_path / "model.onnx"), cwd=trained)
    assert outcome.code == 0, outcome.err
    described = json.loads((tmp_path / "model.json").read_text())
    assert described["largest_difference"] < 1e-4
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"))
    size = described["image"]["size"]
    # Fed as the description says, it gives the predictions that `evaluate` wrote (7 images: not the exported batch).
    written = pd.read_csv(trained / f"reports/runs/{name}/predictions.csv")
    written = written[written["fold"] == described["fold"]].set_index("image_id").iloc[:7]
    photos = [np.asarray(Image.open(trained / f"photos/{image_id}.png")) for image_id in written.index]
    assert photos[0].shape == (size, size, 3)
    mean, deviation = described["image"]["mean"], described["image"]["std"]
    model_inputs = {"image": ((np.stack(photos) / 255 - mean) / deviation).transpose(0, 3, 1, 2).astype(np.float32)}
    if described["metadata"]:
        table = pd.read_csv(trained / "data/prepared/metadata.csv", keep_default_na=False, na_values={"age": [""]})
        encoder = restore_encoder(described["metadata"].pop("encoding"), described["metadata"])
        model_inputs["metadata"] = encoder.encode(table.set_index("image_id").loc[written.index])
    probabilities = session.run(None, model_inputs)[0]
    np.testing.assert_allclose(probabilities, written[list(PROBABILITY_COLUMNS)].to_numpy(), atol=1e-4)


def test_export_needs_a_name_and_a_fold_that_exist(trained, run):
    assert "ends in .onnx" in run("export", "image", "--out", "model.bin", cwd=trained).err
    assert "has folds 0, 1" in run("export", "image", "--out", "m.onnx", "--fold", "3", cwd=trained).err
