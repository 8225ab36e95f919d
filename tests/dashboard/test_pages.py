"""Every page of the dashboard through Streamlit's AppTest: no exception, the figures that were written, bad uploads."""

import io
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skinlesion.analysis.published_results import entry_names
from skinlesion.params_file import load_params
from skinlesion.report.effect_page import effect_answer
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace
from skinlesion.training.phases import FINE_TUNING, HEAD
from skinlesion.vocabulary import CLASS_NAMES, CLASSES
from tests.cli.test_predict import png_of_claimed_size
from tests.conftest import ROOT, small_params, write_params
from tests.dashboard.conftest import PAGES, at, charts, tables, texts

pytest.importorskip("streamlit.testing.v1", reason="the extra `dashboard` is not installed")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

#: Pages that show something where nothing was run: what comes with the package, or with an upload.
WITHOUT_RESULTS = ("Retest", "Score")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_with_one_notice_and_says_that_the_data_are_synthetic(app, page):
    dashboard = at(app(), page)
    assert not dashboard.exception
    assert dashboard.header[0].value == page
    assert texts(dashboard).count("not for diagnosis") == 1
    assert [element.value for element in dashboard.warning if "not for diagnosis" in element.value]
    assert any("SYNTHETIC" in element.value for element in dashboard.error)


def test_it_opens_on_the_overview(app):
    dashboard = app()
    assert dashboard.header[0].value == "Overview"
    assert tuple(dashboard.sidebar.radio(key="page").options) == PAGES


def test_the_documentation_names_every_page_and_no_other():
    text = (ROOT / "docs/dashboard.md").read_text()
    listed = re.findall(r"^\| ([A-Z]\w+) \|", text, re.MULTILINE)
    assert tuple(listed) == PAGES
    assert set(re.findall(r"^\| ✓ .* \| (\w+) \|$", text, re.MULTILINE)) == {*PAGES, "all"}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_without_results_says_what_to_run(app, page, tmp_path):
    write_params(tmp_path, small_params())
    dashboard = at(app(tmp_path), page)
    assert not dashboard.exception
    assert texts(dashboard).count("not for diagnosis") == 1
    assert "run `" in texts(dashboard) or page in WITHOUT_RESULTS
    assert str(tmp_path) not in texts(dashboard)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_one_experiment_of_several_that_is_evaluated(app, finished, page, tmp_path):
    folder = tmp_path / "workspace"
    shutil.copytree(finished, folder)
    for left_out in ("runs/concat", "ensembles/both", "stats", "assessments"):
        shutil.rmtree(folder / "reports" / left_out)
    dashboard = at(app(folder), page)
    assert not dashboard.exception
    assert page != "Overview" or "2 systems not evaluated yet" in texts(dashboard)
    assert page != "Compare" or "Choose two different systems" in texts(dashboard)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_committed_results_without_their_predictions(app, page):
    dashboard = at(app(ROOT / "examples/offline"), page)
    assert not dashboard.exception


def test_a_wrong_params_file_is_one_line_below_the_notice(app, tmp_path):
    (tmp_path / "params.yaml").write_text("train: {epohcs: 3}\n")
    dashboard = app(tmp_path)
    assert not dashboard.exception
    assert texts(dashboard).count("not for diagnosis") == 1
    assert "epohcs" in dashboard.error[0].value


def test_the_overview_answers_in_the_sentences_of_the_report(app, answered):
    dashboard = app(answered)
    written = effect_answer(Results(load_params(answered / "params.yaml"), Workspace(answered)))
    assert len(written) > 1
    for sentence in written:
        assert sentence in [element.value for element in dashboard.markdown]


def test_the_leader_board_is_ordered_by_the_primary_metric(app, finished):
    board = next(table for table in tables(app()) if "Split by" in table)
    values = [
        json.loads((finished / f"reports/{place}/metrics.json").read_text())["balanced_accuracy"]
        for place in ("runs/image", "runs/concat", "ensembles/both")
    ]
    assert [text.split()[0] for text in board["Balanced accuracy"]] == [f"{v:.3f}" for v in sorted(values)[::-1]]
    names = dict(zip(("image", "concat", "both"), values, strict=True))
    assert list(board["System"]) == sorted(names, key=lambda name: -names[name])


def test_systems_with_a_leaky_split_are_last_on_the_leader_board(app):
    dashboard = app(ROOT / "examples/offline")
    dashboard.toggle(key="overview_all").set_value(True).run()
    board = next(table for table in tables(dashboard) if "Split by" in table)
    values = [float(text.split()[0]) for text in board["Balanced accuracy"]]
    leaky = (board["Split by"] != "lesion").to_numpy()
    first = int(leaky.argmax())
    assert leaky[first:].all()
    assert not leaky[:first].any()
    assert values[:first] == sorted(values[:first], reverse=True)
    assert max(values[first:]) > values[0]  # it is not the figures that put them there


def test_claims_are_shown_with_their_answer_in_words(app, finished):
    row = pd.read_csv(finished / "reports/stats/claims.csv").iloc[0]
    sentence = next(element.value for element in app().markdown if "“c”" in element.value)
    assert row["answer"].partition(":")[0].capitalize() in sentence
    assert "balanced accuracy is" in sentence or "is not answered here" in sentence


def test_performance_shows_the_figures_of_metrics_json(app, finished):
    dashboard = at(app(), "Performance")
    dashboard.selectbox(key="experiment").set_value("concat").run()
    metrics = json.loads((finished / "reports/runs/concat/metrics.json").read_text())
    values = {element.label: element.value for element in dashboard.metric}
    assert values["balanced accuracy"] == f"{metrics['balanced_accuracy']:.3f}"
    assert values["malignant AUC"] == f"{metrics['malignant_auc']:.3f}"
    dashboard.toggle(key="performance_normalised").set_value(False).run()
    dashboard.selectbox(key="experiment").set_value("both").run()
    assert not dashboard.exception


def test_the_weighted_means_of_the_class_table_are_accuracy_and_weighted_f1(app, finished):
    """The mean sensitivity weighted by class sizes is the accuracy."""
    dashboard = app(page="performance", experiment="concat")
    metrics = json.loads((finished / "reports/runs/concat/metrics.json").read_text())
    table = next(table for table in tables(dashboard) if "Specificity" in table)
    last = table.iloc[-1]
    assert last["Class"] == "weighted mean"
    assert last["Images"] == table["Images"].iloc[:-1].sum()
    assert last["Sensitivity"] == pytest.approx(metrics["accuracy"])
    undefined = table["F1"].isna().any()
    assert undefined or last["F1"] == pytest.approx(metrics["weighted_f1"])
    assert list(table["Class"].iloc[:-1]) == [f"{CLASS_NAMES[dx]} ({dx})" for dx in CLASSES]


def two_phases(finished, folder):
    shutil.copytree(finished, folder)
    path = folder / "reports/runs/concat/history.csv"
    history = pd.read_csv(path)
    assert set(history["phase"]) == {HEAD}
    later = history.assign(
        phase=FINE_TUNING, step=history["step"] + len(history),
        validation_balanced_accuracy=history["validation_balanced_accuracy"] + 0.125,
    )  # fmt: skip
    both = pd.concat([history, later])
    both.to_csv(path, index=False)
    return path, both


def test_the_training_page_shows_figures_and_gains_of_the_phases_that_runs_write(app, finished, tmp_path):
    """It asked for a phase `network`; runs write `fine_tuning`."""
    path, history = two_phases(finished, tmp_path / "workspace")
    dashboard = app(tmp_path / "workspace", page="Training", experiment="concat")
    assert not dashboard.exception
    paragraphs = [element.value for element in dashboard.markdown]
    titles = [element for element in paragraphs if element.startswith("#### ")]
    assert titles == [
        "#### Frozen backbone: the head alone is trained", "#### Fine-tuning: the backbone is trained too"
    ]  # fmt: skip
    assert len(charts(dashboard)) == 4
    head = history[history["phase"] == HEAD]
    epochs = [element.value for element in dashboard.metric if element.label == "Epochs"]
    assert epochs == [str(len(head))] * 2
    best = [element.value for element in dashboard.metric if element.label == "Best validation"]
    highest = head["validation_balanced_accuracy"].max()
    assert best == [f"{highest:.3f}", f"{highest + 0.125:.3f}"]
    last = [element.value for element in dashboard.metric if element.label == "Last training"]
    assert last == [f"{head['train_accuracy'].iloc[-1]:.3f}"] * 2
    assert "Against the best of the frozen phase it is +0.125." in " ".join(paragraphs)
    assert any(element.startswith("Overall: from") for element in paragraphs)
    history.drop(columns="train_accuracy").to_csv(path, index=False)  # of a run trained by an older version
    dashboard = app(tmp_path / "workspace", page="Training", experiment="concat")
    assert not dashboard.exception


def test_the_curves_of_two_experiments_are_shown_side_by_side(app):
    dashboard = app(page="Training", experiment="concat", other="image")
    assert not dashboard.exception
    assert [element.value for element in dashboard.subheader] == ["concat", "image"]
    assert len(charts(dashboard)) == 4


def test_the_data_page_filters(app):
    dashboard = at(app(), "Data")
    before = {element.label: element.value for element in dashboard.metric}["Images"]
    dashboard.multiselect(key="data_sex").set_value(["female"]).run()
    after = {element.label: element.value for element in dashboard.metric}["Images"]
    assert int(after) < int(before) == 200
    dashboard.slider(key="data_age").set_value((99, 100)).run()
    assert not dashboard.exception


def test_the_data_page_counts_what_is_there_and_what_is_missing(app, finished):
    dashboard = at(app(), "Data")
    table = pd.read_csv(finished / "data/prepared/metadata.csv")
    values = {element.label: element.value for element in dashboard.metric}
    assert values["Lesions"] == str(table["lesion_id"].nunique())
    assert f"age of {table['age'].isna().sum()} image" in texts(dashboard)
    classes, rows = (next(t for t in tables(dashboard) if name in t) for name in ("Share of images", "Image"))
    assert list(classes["Diagnosis"]) == [CLASS_NAMES[dx] for dx in CLASSES]
    assert list(rows["Image"]) == list(table["image_id"].iloc[:20])
    assert len(charts(dashboard)) == 6  # diagnoses, ages, two of boxes, sexes, localizations


def test_two_systems_are_compared_and_their_flips_browsed(app):
    dashboard = at(app(), "Compare")
    assert not dashboard.exception
    assert "lost (right under" in texts(dashboard)
    dashboard.radio(key="compare_what").set_value("gained").run()
    dashboard.selectbox(key="other").set_value(dashboard.selectbox(key="experiment").value).run()
    assert "Choose two different systems" in texts(dashboard)


def test_compare_shows_the_result_of_stats_for_the_pair(app, finished):
    comparisons = pd.read_csv(finished / "reports/stats/comparisons.csv", keep_default_na=False)
    dashboard = app(page="Compare", experiment="image", other="concat")
    row = next(
        row for row in comparisons.to_dict("records")
        if row["family"] and row["metric"] == "balanced_accuracy" and {row["a"], row["b"]} == {"image", "concat"}
    )  # fmt: skip
    sentence = dashboard.markdown[0].value
    no_verdict = row["verdict"].startswith("no verdict: ")
    assert ("are not compared by balanced accuracy" in sentence) == no_verdict
    assert row["verdict"].removeprefix("no verdict: ") in sentence or not no_verdict
    differences = next(table for table in tables(dashboard) if "Verdict" in table)
    assert list(differences["Metric"]) == ["Balanced accuracy", "Macro F1", "Macro AUC", "Accuracy"]
    assert len(charts(dashboard)) == 4  # differences, two confusion matrices, F1 by class


def test_the_metadata_page_shows_what_effect_and_metadata_wrote(app, answered):
    dashboard = app(answered, page="Metadata")
    assert not dashboard.exception
    assert not dashboard.info
    assert [element.label for element in dashboard.expander][:2] == ["The two models", "The gain"]
    assert any("Image-only twin" in table for table in tables(dashboard))
    assert len(charts(dashboard)) == 3


def test_the_retest_page_shows_a_retest_of_the_workspace_and_the_registry(app, finished, tmp_path):
    folder = tmp_path / "workspace"
    shutil.copytree(finished, folder)
    shutil.copytree(ROOT / "examples/retest", folder / "retest")
    content = json.loads((folder / "retest/retest.json").read_text())
    dashboard = app(folder, page="Retest")
    assert not dashboard.exception
    values = {element.label: element.value for element in dashboard.metric}
    assert values["Images"] == f"{content['certificate']['images']:,}"
    equal = sum(row["equal"] for row in content["figures"])
    assert values["Figures recomputed"] == f"{equal} of {len(content['figures'])}"
    models = next(table for table in tables(dashboard) if "Model" in table)
    assert set(models["Model"]) == {row["model"] for row in content["models"]}
    entries = next(table for table in tables(dashboard) if "Repository" in table)
    assert list(entries["Entry"]) == entry_names()
    (folder / "retest/retest.json").write_text('{"certificate": {}}')
    dashboard = app(folder, page="Retest")
    assert not dashboard.exception
    assert any(
        "retest.json" in element.value and "run `skinlesion retest" in element.value for element in dashboard.info
    )


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def test_an_upload_gives_a_prediction_that_depends_on_the_metadata(app, finished):
    pixels = np.load(finished / "data/prepared/images.npy")[0]
    dashboard = at(app(), "Predict")
    dashboard.selectbox(key="predict_name").set_value("concat").run()
    dashboard.file_uploader(key="predict_file").upload("one.png", png(pixels), "image/png").run()
    assert not dashboard.exception
    risk = {metric.label: metric.value for metric in dashboard.metric}["Malignant (akiec, bcc, mel)"]
    assert "Cannot be ruled out" in texts(dashboard)
    assert "the threshold that had 90% specificity" in texts(dashboard)
    dashboard.number_input(key="predict_age").set_value(85).run()
    dashboard.selectbox(key="predict_site").set_value("face").run()
    risk_with_metadata = {metric.label: metric.value for metric in dashboard.metric}["Malignant (akiec, bcc, mel)"]
    assert risk != risk_with_metadata


def predicted(app, pixels):
    dashboard = at(app, "Predict")
    dashboard.file_uploader(key="predict_file").upload("one.png", png(pixels), "image/png").run()
    assert not dashboard.exception
    return dashboard


def test_the_model_is_chosen_by_what_is_known_of_the_patient(app, finished):
    """The multimodal model answered photographs of nobody known."""
    dashboard = predicted(app(), np.load(finished / "data/prepared/images.npy")[0])
    assert "Answered by image, a model of the image alone; nothing known of the patient" in texts(dashboard)
    dashboard.number_input(key="predict_age").set_value(60).run()
    assert "Answered by concat, a model of image and record; age, sex or localization known" in texts(dashboard)
    dashboard.number_input(key="predict_age").set_value(None).run()
    dashboard.selectbox(key="predict_name").set_value("concat").run()
    assert any("none was given" in element.value for element in dashboard.error)


@pytest.mark.parametrize("kind", ["noise", "uniform"])
def test_an_image_unlike_the_training_images_has_a_warning_above_the_classes(app, kind):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    dashboard = predicted(app(), noise if kind == "noise" else np.full((64, 64, 3), 128, np.uint8))
    values = [str(getattr(node, "value", "")) for node in dashboard.main if node.type in ("error", "subheader")]
    warned = next(place for place, value in enumerate(values) if "UNLIKE THE TRAINING IMAGES" in value)
    answered = next(place for place, value in enumerate(values) if value.endswith("%"))
    assert warned < answered


def test_a_prediction_says_that_it_is_synthetic_and_where_its_risk_holds(app, finished):
    dashboard = predicted(app(), np.load(finished / "data/prepared/images.npy")[0])
    assert any("no meaning for patients" in element.value for element in dashboard.error)
    assert not any("UNLIKE" in element.value for element in dashboard.error)
    assert "% of images are, as in phantom; a clinic's share differs" in texts(dashboard)


def test_the_axis_of_probabilities_is_0_to_1(app, finished):
    dashboard = predicted(app(), np.load(finished / "data/prepared/images.npy")[0])
    assert charts(dashboard)[0]["encoding"]["x"]["scale"]["domain"] == [0, 1]


def test_the_three_likeliest_diagnoses_come_first_each_with_a_text_and_a_level_of_risk(app, finished):
    dashboard = predicted(app(), np.load(finished / "data/prepared/images.npy")[0])
    likeliest = [element.label for element in dashboard.expander if element.label[:2] in ("1.", "2.", "3.")]
    shares = [float(label.rpartition(": ")[2].rstrip("%")) for label in likeliest]
    assert len(likeliest) == 3
    assert shares == sorted(shares, reverse=True)
    inside = [element.markdown[0].value for element in dashboard.expander if element.label in likeliest]
    assert all(text.count("-badge[") == 1 for text in inside)
    answer = dashboard.subheader[0].value.partition(" (")[0]
    level = {"mel": "high", "bcc": "high", "akiec": "moderate"}.get(answer, "low")
    assert f"-badge[{level}]" in next(
        element.value for element in dashboard.markdown if element.value.startswith("Level of risk of")
    )


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
    dashboard = at(app(), "Predict")
    dashboard.file_uploader(key="predict_file").upload(name, content, "image/png").run()
    assert not dashboard.exception
    assert any(
        "Not a readable photograph" in element.value or "Larger than" in element.value for element in dashboard.error
    )


def test_a_cmyk_jpeg_is_read(app, finished):
    stream = io.BytesIO()
    with Image.fromarray(np.load(finished / "data/prepared/images.npy")[3]) as image:
        image.convert("CMYK").save(stream, format="JPEG", quality=95)
    dashboard = at(app(), "Predict")
    dashboard.file_uploader(key="predict_file").upload("one.jpg", stream.getvalue(), "image/jpeg").run()
    assert not dashboard.exception
    assert dashboard.metric
