"""Uploaded predictions: what `skinlesion score` reads, arrays beside their truth, and one line for everything else."""

import gzip
import io
import json
import pickle

import numpy as np
import pytest

from skinlesion.dashboard.uploads import Upload, read_upload
from skinlesion.errors import UserError
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS
from tests.cli.test_score_small import table_of
from tests.dashboard.conftest import at, tables, texts
from tests.simulated import simulated

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

MAX_BYTES = 20_000_000


def csv(table):
    return table.to_csv(index=False).encode()


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=array.dtype == object)
    return stream.getvalue()


def read(name, content, truth=None, metadata=None, max_bytes=MAX_BYTES):
    return read_upload(Upload(name, content), truth and Upload(*truth), metadata, max_bytes)


@pytest.fixture(scope="module")
def predictions():
    return simulated(200)


def test_every_form_of_a_table_gives_the_same_predictions(predictions, tmp_path):
    table = table_of(predictions)
    challenge = table.rename(columns={"image_id": "image"} | {f"p_{dx}": dx.upper() for dx in CLASSES})
    truth = table[["image_id", "dx", "lesion_id"]]
    truth.to_csv(tmp_path / "metadata.csv", index=False)
    alone = ["image_id", *PROBABILITY_COLUMNS]
    uploads = [
        read("a.csv", csv(table)),
        read("a.csv.gz", gzip.compress(csv(table))),
        read("a.csv", csv(challenge)),
        read("a.csv", csv(table[alone]), truth=("t.csv", csv(truth))),
        read("a.csv", csv(table[alone]), metadata=tmp_path / "metadata.csv"),
    ]
    for upload in uploads:
        assert not upload.answers_only
        assert not upload.warnings
        np.testing.assert_array_equal(upload.predictions.labels, predictions.labels)
        np.testing.assert_array_equal(upload.predictions.lesions, predictions.lesions)
        np.testing.assert_allclose(upload.predictions.probabilities, predictions.probabilities, atol=1e-12)


def test_the_workspaces_table_is_not_read_where_the_file_is_complete(predictions, tmp_path):
    (tmp_path / "metadata.csv").write_text("image_id,dx,lesion_id\nimage00000,vasc,other\n")
    uploaded = read("a.csv", csv(table_of(predictions)), metadata=tmp_path / "metadata.csv").predictions
    np.testing.assert_array_equal(uploaded.labels, predictions.labels)
    np.testing.assert_array_equal(uploaded.lesions, predictions.lesions)


def test_arrays_of_probabilities_and_of_answers(predictions):
    truth = ("truth.npy", npy(predictions.labels))
    scores = read("p.npy", npy(predictions.probabilities[0].astype(np.float32)), truth)
    np.testing.assert_allclose(scores.predictions.probabilities, predictions.probabilities, atol=1e-6)
    answers = read("P.NPY", npy(predictions.probabilities[0].argmax(axis=1).astype(np.uint8)), truth)
    assert (scores.answers_only, answers.answers_only) == (False, True)
    np.testing.assert_array_equal(
        answers.predictions.probabilities[0].argmax(axis=1), predictions.probabilities[0].argmax(axis=1)
    )
    assert "p.npy: no lesion_id, so every image counts as a lesion of its own" in scores.warnings[0]


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


LABELS = npy(np.array([0, 1, 2]))
GOOD = np.full((3, 7), 1 / 7)


@pytest.mark.parametrize(
    ("content", "truth", "words"),
    [
        (npy(GOOD), None, "an array without its truth"),
        (npy(GOOD), ("t.csv", b"image_id,dx\na,nv\n"), "an array without its truth"),
        (npy(GOOD), ("t.npy", npy(np.array([0, 1]))), "3 images, and t.npy has 2"),
        (npy(GOOD), ("t.npy", npy(np.array([0, 1, 7]))), "no class at place 2"),
        (npy(GOOD), ("t.npy", npy(np.array([0, 1, -1]))), "no class at place 2"),
        (npy(GOOD), ("t.npy", npy(np.array([0, 1, np.nan]))), "no class at place 2"),
        (npy(GOOD), ("t.npy", npy(np.array(["nv", "mel", "df"]))), "an array"),
        (npy(GOOD[:, :6]), ("t.npy", LABELS), "give probabilities"),
        (npy(GOOD[None]), ("t.npy", LABELS), "give probabilities"),
        (npy(GOOD[:0]), ("t.npy", LABELS), "give probabilities"),
        (npy(2 * GOOD), ("t.npy", LABELS), "p.npy: probabilities do not sum to one at image 0000000"),
        (
            npy(np.where(np.eye(3, 7) > 0, np.nan, GOOD)),
            ("t.npy", LABELS),
            "not probabilities in 0 to 1 at image 0000000",
        ),
        (npy(np.array([0.5, 1, 2])), ("t.npy", LABELS), "no class at place 0"),
        (npy(np.array([Bomb()], dtype=object)), ("t.npy", LABELS), "not a whole .npy array"),
        (pickle.dumps(Bomb()), ("t.npy", LABELS), "not a whole .npy array"),
        (npy(GOOD)[:-8], ("t.npy", LABELS), "not a whole .npy array"),
        (b"", ("t.npy", LABELS), "not a whole .npy array"),
        (b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999, 7), }", None, "truth"),
    ],
)
def test_an_array_that_is_wrong_is_one_line(content, truth, words):
    with pytest.raises(UserError, match=words) as raised:
        read("p.npy", content, truth)
    message = str(raised.value)
    assert "\n" not in message
    assert "/" not in message.partition(";")[0]  # nothing of the folder that it lay in for a moment


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"\x89PNG\r\n\x1a\n\x00\x00", "a.csv: "),
        ("a.csv", b"image_id,dx\na,nv\n", "a.csv: column p_akiec"),
        ("a.csv", b"", "a.csv: "),
        ("../../etc/passwd.csv", b"x\n1\n", "passwd.csv: column"),
        ("\x1b[31mred\n.csv", b"x\n1\n", "column image_id"),
        ("." * 40 + ".csv", b"x\n1\n", "upload.csv: column"),
        ("n" * 300 + ".csv", b"x\n1\n", "column image_id"),
    ],
)
def test_a_table_that_is_wrong_is_one_line_that_names_the_upload(name, content, words):
    with pytest.raises(UserError, match=words) as raised:
        read(name, content)
    assert str(raised.value).isprintable()
    assert "skinlesion-upload" not in str(raised.value)


def test_larger_files_are_refused(predictions):
    content = csv(table_of(predictions))
    with pytest.raises(UserError, match=r"a\.csv: larger than"):
        read("a.csv", content, max_bytes=len(content) - 1)


def scored(app, folder, content, name="a.csv", truth=None):
    dashboard = at(app(folder), "Score")
    if truth is not None:
        dashboard.file_uploader(key="score_truth").upload("truth.npy", truth, "application/octet-stream").run()
    return dashboard.file_uploader(key="score_file").upload(name, content, "text/csv").run()


def test_the_predictions_of_a_system_score_as_its_metrics_and_differ_from_itself_in_nothing(app, finished):
    content = (finished / "reports/runs/concat/predictions.csv").read_bytes()
    metrics = json.loads((finished / "reports/runs/concat/metrics.json").read_text())
    dashboard = scored(app, finished, content)
    assert not dashboard.exception
    assert [element.value.partition(":")[0] for element in dashboard.error] == ["SYNTHETIC DATA"]
    table = next(table for table in tables(dashboard) if "Value" in table).set_index("Metric")["Value"]
    for name, title in {"accuracy": "Accuracy", "macro_auc": "Macro AUC", "nll": "Log loss"}.items():
        assert table[title].split()[0] == f"{metrics[name]:.3f}"
    dashboard.selectbox(key="score_other").set_value("concat").run()
    assert not dashboard.exception
    rows = next(table for table in tables(dashboard) if "Verdict" in table)
    assert all(row.startswith("+0.000") for row in rows["Difference"])
    dashboard.selectbox(key="score_other").set_value("another upload").run()
    other = (finished / "reports/runs/image/predictions.csv").read_bytes()
    dashboard.file_uploader(key="score_second").upload("b.csv", other, "text/csv").run()
    assert not dashboard.exception
    rows = next(table for table in tables(dashboard) if "Verdict" in table)
    image = json.loads((finished / "reports/runs/image/metrics.json").read_text())
    difference = metrics["accuracy"] - image["accuracy"]
    shown_difference = rows.set_index("Metric")["Difference"]["Accuracy"].split()[0].replace("−", "-")
    assert float(shown_difference) == pytest.approx(difference, abs=6e-4)


def test_answers_alone_get_no_figure_that_needs_probabilities(app, finished, predictions):
    answers = predictions.probabilities[0].argmax(axis=1)
    dashboard = scored(app, finished, npy(answers), "answers.npy", npy(predictions.labels))
    assert not dashboard.exception
    table = next(table for table in tables(dashboard) if "Value" in table).set_index("Metric")["Value"]
    assert table["Accuracy"].split()[0] == f"{(answers == predictions.labels).mean():.3f}"
    assert not {"Macro AUC", "Malignant AUC", "ECE", "Brier score", "Log loss"} & set(table.index)
    by_class = next(table for table in tables(dashboard) if "Sensitivity" in table)
    assert set(by_class.get("AUC", ["–"])) == {"–"}
    assert "without probabilities" in texts(dashboard)
    dashboard.selectbox(key="score_other").set_value("concat").run()  # of other images
    assert not dashboard.exception
    assert "none is in both" in texts(dashboard)


def test_a_wrong_upload_is_one_line_on_the_page(app, finished):
    dashboard = scored(app, finished, b"hello\n1\n")
    assert not dashboard.exception
    assert any("a.csv: column image_id" in element.value for element in dashboard.error)
