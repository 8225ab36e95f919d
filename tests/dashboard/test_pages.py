"""Every page of the dashboard through Streamlit's AppTest: no exception, the figures that were written, bad uploads."""

import io
import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skinlesion.training.phases import FINE_TUNING, HEAD
from tests.cli.test_predict import png_of_claimed_size
from tests.conftest import ROOT, small_params, write_params

testing = pytest.importorskip("streamlit.testing.v1", reason="the extra `dashboard` is not installed")

APP = str(ROOT / "skinlesion/dashboard/app.py")
PAGES = ("Data", "Training", "Performance", "Predict", "Compare")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def app(finished, monkeypatch):
    def start(folder=finished):
        monkeypatch.setattr(sys, "argv", [APP, str(folder / "params.yaml")])
        made = testing.AppTest.from_file(APP, default_timeout=60)
        return made.run()

    return start


def at(app, page):
    return app.sidebar.radio(key="page").set_value(page).run()


def texts(app):
    kinds = ("markdown", "caption", "info", "error", "warning", "subheader", "header")
    return " ".join(str(one.value) for kind in kinds for one in getattr(app, kind))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_with_the_notice_and_says_that_the_data_are_synthetic(app, page):
    shown = at(app(), page)
    assert not shown.exception
    assert shown.header[0].value == page
    assert any("not for diagnosis" in one.value for one in shown.warning)
    assert any("SYNTHETIC" in one.value for one in shown.error)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_without_results_says_what_to_run(app, page, tmp_path):
    write_params(tmp_path, small_params())
    shown = at(app(tmp_path), page)
    assert not shown.exception
    assert "run `" in texts(shown)


def test_performance_shows_the_figures_of_metrics_json(app, finished):
    shown = at(app(), "Performance")
    shown.selectbox(key="performance_name").set_value("concat").run()
    metrics = json.loads((finished / "reports/runs/concat/metrics.json").read_text())
    values = {one.label: one.value for one in shown.metric}
    assert values["balanced accuracy"] == f"{metrics['balanced_accuracy']:.3f}"
    assert values["malignant AUC"] == f"{metrics['malignant_auc']:.3f}"
    shown.toggle(key="performance_normalised").set_value(False).run()
    shown.selectbox(key="performance_name").set_value("both").run()
    assert not shown.exception


def test_the_training_page_titles_the_phases_that_runs_write(app, finished, tmp_path):
    """It asked for a phase `network`; runs write `fine_tuning`."""
    folder = tmp_path / "workspace"
    shutil.copytree(finished, folder)
    path = folder / "reports/runs/concat/history.csv"
    history = pd.read_csv(path)
    assert set(history["phase"]) == {HEAD}
    history = pd.concat([history, history.assign(phase=FINE_TUNING, step=history["step"] + len(history))])
    history.to_csv(path, index=False)
    shown = at(app(folder), "Training")
    assert not shown.exception
    assert [title.value for title in shown.subheader] == ["frozen backbone", "fine-tuned"]
    assert sum("Accuracy on training images" in one.value for one in shown.caption) == 2
    history.drop(columns="train_accuracy").to_csv(path, index=False)  # of a run trained by an older version
    shown = at(app(folder), "Training")
    assert not shown.exception


def test_the_data_page_filters(app):
    shown = at(app(), "Data")
    before = {one.label: one.value for one in shown.metric}["Images"]
    shown.multiselect(key="data_sex").set_value(["female"]).run()
    after = {one.label: one.value for one in shown.metric}["Images"]
    assert int(after) < int(before) == 200
    shown.slider(key="data_age").set_value((99, 100)).run()
    assert not shown.exception


def test_two_systems_are_compared_and_their_flips_browsed(app):
    shown = at(app(), "Compare")
    assert not shown.exception
    assert "lost and" in texts(shown)
    shown.radio(key="compare_what").set_value("gained").run()
    shown.selectbox(key="compare_b").set_value(shown.selectbox(key="compare_a").value).run()
    assert "Choose two different systems" in texts(shown)


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def test_an_upload_gives_a_prediction_that_depends_on_the_metadata(app, finished):
    pixels = np.load(finished / "data/prepared/images.npy")[0]
    shown = at(app(), "Predict")
    shown.selectbox(key="predict_name").set_value("concat").run()
    shown.file_uploader(key="predict_file").upload("one.png", png(pixels), "image/png").run()
    assert not shown.exception
    one = {metric.label: metric.value for metric in shown.metric}["Malignant (akiec, bcc, mel)"]
    assert "Cannot be ruled out" in texts(shown)
    assert "the threshold that had 90% specificity" in texts(shown)
    shown.number_input(key="predict_age").set_value(85).run()
    shown.selectbox(key="predict_site").set_value("face").run()
    other = {metric.label: metric.value for metric in shown.metric}["Malignant (akiec, bcc, mel)"]
    assert one != other


def predicted(app, pixels):
    shown = at(app, "Predict")
    shown.file_uploader(key="predict_file").upload("one.png", png(pixels), "image/png").run()
    assert not shown.exception
    return shown


def test_the_model_is_chosen_by_what_is_known_of_the_patient(app, finished):
    """The multimodal model answered photographs of nobody known."""
    shown = predicted(app(), np.load(finished / "data/prepared/images.npy")[0])
    assert "answered by image, a model of the image alone; nothing known of the patient" in texts(shown)
    shown.number_input(key="predict_age").set_value(60).run()
    assert "answered by concat, a model of image and record; age, sex or localization known" in texts(shown)
    shown.number_input(key="predict_age").set_value(None).run()
    shown.selectbox(key="predict_name").set_value("concat").run()
    assert any("was told none of them" in one.value for one in shown.error)


@pytest.mark.parametrize("kind", ["noise", "uniform"])
def test_an_image_unlike_the_training_images_is_said_to_be_so_above_the_classes(app, kind):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    shown = predicted(app(), noise if kind == "noise" else np.full((64, 64, 3), 128, np.uint8))
    values = [str(getattr(node, "value", "")) for node in shown.main if node.type in ("error", "subheader")]
    warned = next(place for place, value in enumerate(values) if "UNLIKE THE TRAINING IMAGES" in value)
    answered = next(place for place, value in enumerate(values) if value.endswith("%"))
    assert warned < answered


def test_a_prediction_says_that_it_is_synthetic_and_where_its_risk_holds(app, finished):
    shown = predicted(app(), np.load(finished / "data/prepared/images.npy")[0])
    assert any("no meaning for patients" in one.value for one in shown.error)
    assert not any("UNLIKE" in one.value for one in shown.error)
    assert "% of images are, as in phantom; a clinic's share differs" in texts(shown)


def test_the_axis_of_probabilities_is_0_to_1(app, finished):
    shown = predicted(app(), np.load(finished / "data/prepared/images.npy")[0])
    chart = json.loads(shown.get("vega_lite_chart")[0].proto.spec)
    assert chart["encoding"]["x"]["scale"]["domain"] == [0, 1]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.jpg", b"hello"),
        ("bomb.png", png_of_claimed_size(30_000)),
        ("empty.png", b""),
        ("huge.png", b"\x89PNG" * 6_000_000),
    ],
)
def test_what_is_no_photograph_is_refused_in_words(app, name, content):
    shown = at(app(), "Predict")
    shown.file_uploader(key="predict_file").upload(name, content, "image/png").run()
    assert not shown.exception
    assert any("Not a readable photograph" in one.value or "Larger than" in one.value for one in shown.error)


def test_a_cmyk_jpeg_is_read(app, finished):
    stream = io.BytesIO()
    with Image.fromarray(np.load(finished / "data/prepared/images.npy")[3]) as image:
        image.convert("CMYK").save(stream, format="JPEG", quality=95)
    shown = at(app(), "Predict")
    shown.file_uploader(key="predict_file").upload("one.jpg", stream.getvalue(), "image/jpeg").run()
    assert not shown.exception
    assert shown.metric
