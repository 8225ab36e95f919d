"""retest: files as groups publish them, what the images share, published figures, and paired tests."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from typer.testing import CliRunner

from skinlesion.cli.app import app
from skinlesion.errors import UserError
from skinlesion.evaluation.published_figures import read_figures
from skinlesion.evaluation.published_predictions import image_ids, read_ids, read_published
from skinlesion.results.names import PAIR_COLUMNS
from skinlesion.vocabulary import CLASS_NAMES, CLASSES

IMAGES, PER_LESION = 1400, 2
#: The order of the classes in a group's own files.
PUBLISHED_ORDER = ("mel", "nv", "bcc", "akiec", "bkl", "df", "vasc")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    rng = np.random.default_rng(0)
    lesion = np.arange(IMAGES) // PER_LESION
    table = pd.DataFrame({
        "lesion_id": [f"HAM_{number:07d}" for number in lesion],
        "image_id": [f"ISIC_{number:07d}" for number in range(1, IMAGES + 1)],
        "dx": np.array(CLASSES)[lesion % len(CLASSES)],
        "dx_type": "histo",
        "age": rng.integers(4, 17, IMAGES) * 5.0,
        "sex": rng.choice(["female", "male"], IMAGES),
        "localization": rng.choice(["back", "face"], IMAGES),
        "dataset": "vidir_modern",
    })  # fmt: skip
    path = tmp_path_factory.mktemp("archive") / "HAM10000_metadata.csv"
    table.to_csv(path, index=False)
    return path, table


def scores(table: pd.DataFrame, skill: float, seed: int) -> np.ndarray:
    """Return logits (N, 7) in the order of CLASSES."""
    labels = np.array([CLASSES.index(dx) for dx in table["dx"]])
    return skill * np.eye(len(CLASSES))[labels] + np.random.default_rng(seed).normal(size=(len(table), len(CLASSES)))


def numbered(table: pd.DataFrame, values: np.ndarray) -> pd.DataFrame:
    """Return a file of paths, numbers of classes in the order THEIRS, and softmax."""
    order = [CLASSES.index(dx) for dx in PUBLISHED_ORDER]
    file = pd.DataFrame({
        "filename": [f"C:\\data\\{image}.JPG" for image in table["image_id"]],
        "true_label": [PUBLISHED_ORDER.index(dx) for dx in table["dx"]],
    })  # fmt: skip
    file[[f"probability_class_{code}" for code in range(len(PUBLISHED_ORDER))]] = softmax(values, axis=1)[:, order]
    return file


@pytest.fixture
def published(archive, tmp_path):
    """A folder as a group publishes it: two models, a class table, and a table of figures."""
    _, table = archive
    tested = table.iloc[1:401]  # of the first and the last lesion only one image
    for seed, (name, skill) in enumerate((("good", 2.5), ("poor", 1.5))):
        numbered(tested, scores(tested, skill, seed)).to_csv(tmp_path / f"{name}_HAM.csv", index=False)
    pd.DataFrame(
        {"diag": [CLASS_NAMES[dx].split(" /")[0] for dx in PUBLISHED_ORDER], "label": range(len(PUBLISHED_ORDER))}
    ).replace("melanocytic naevus", "nevus").to_csv(tmp_path / "class2label.csv", index=False)
    return tmp_path, tested


def run(*arguments: object):
    return CliRunner().invoke(app, ["retest", *map(str, arguments)])


def accuracy(tested: pd.DataFrame, skill: float, seed: int) -> float:
    answers = np.array(CLASSES)[scores(tested, skill, seed).argmax(axis=1)]
    return float((answers == tested["dx"].to_numpy()).mean())


def test_a_folder_is_judged_again(archive, published, tmp_path):
    folder, tested = published
    exact = accuracy(tested, 2.5, 0)
    pd.DataFrame({
        "Dataset": ["PAD", "HAM", "HAM"],
        "Model": ["good", "good", "poor"],
        "ACCURACY": ["0.1", f"{exact:.4f} (0.80-0.90)", "0.9999"],
        "ACCURACY_p_value": ["", "", "1e-300"],
    }).to_csv(folder / "figures.csv", index=False)  # fmt: skip
    out = tmp_path / "out"
    result = run(folder, "--archive", archive[0], "--out", out, "--metric", "balanced_accuracy")
    assert result.exit_code == 0, result.output
    summary, page = json.loads((out / "retest.json").read_text()), (out / "retest.html").read_text()
    certificate = summary["certificate"]
    assert certificate["images"] == 400
    assert certificate["lesions"] == 201
    assert certificate["images_of_lesions_with_others_outside"] == 2
    assert certificate["images_of_trained_lesions"] is None
    assert certificate["by_class"]["akiec"]["archive"] == IMAGES // len(CLASSES)
    figures = {row["model"]: row for row in summary["figures"]}
    assert figures["good_HAM"]["equal"]
    assert figures["good_HAM"]["published_low"] == 0.8
    assert not figures["poor_HAM"]["equal"]
    assert not figures["poor_HAM"]["is_bootstrap_mean"]
    assert figures["poor_HAM"]["recomputed"] == pytest.approx(accuracy(tested, 1.5, 1))
    accuracy_pair = next(row for row in summary["pairs"] if row["metric"] == "accuracy")
    assert accuracy_pair["published_p"] == 1e-300
    assert 0 < accuracy_pair["p_holm"] < 0.05
    # The page turns every pair so that b is the better model, and its verdict with it.
    assert accuracy_pair["verdict"].startswith("lower")
    assert re.search(r"<td>poor_HAM</td><td>good_HAM</td>.*?<td>higher", page, re.DOTALL)
    assert "<td>lower" not in page
    assert not re.search(r"""(src|href)=["'](?!#)""", page)  # complete in itself
    assert "good_HAM" in page
    assert "NaN" not in page
    assert run(folder, "--archive", archive[0], "--out", out).exit_code == 0  # its own page is written over


@pytest.mark.parametrize("case", ["a class is absent", "a class of one lesion"])
def test_pairs_without_a_test_have_no_p_value(archive, published, tmp_path, case):
    folder, tested = published
    df = tested["dx"] == "df"
    kept = tested[~df if case == "a class is absent" else ~df | (df.cumsum() <= 1)]
    for name, skill in (("good", 2.5), ("poor", 1.5), ("third", 2.0)):
        numbered(kept, scores(kept, skill, int(skill * 10))).to_csv(folder / f"{name}_HAM.csv", index=False)
    outcome = run(folder, "--archive", archive[0], "--out", tmp_path / "out", "--metric", "f1_df")
    assert outcome.exit_code == 0, outcome.output
    pairs = pd.DataFrame(json.loads((tmp_path / "out/retest.json").read_text())["pairs"])
    assert pairs["p"].isna().any()
    assert (pairs["p"].isna() == pairs["p_holm"].isna()).all()
    made = pairs.dropna(subset=["p"])
    assert (made["p_holm"] >= made["p"]).all()


def test_models_are_compared_by_a_metric_of_one_class(archive, published, tmp_path):
    out = tmp_path / "out"
    result = run(published[0], "--archive", archive[0], "--out", out, "--metric", "auc_bcc")
    assert result.exit_code == 0, result.output
    summary = json.loads((out / "retest.json").read_text())
    assert all(0.5 < row["auc_bcc_low"] < row["auc_bcc"] < 1 for row in summary["models"])
    assert "basal cell carcinoma AUC" in (out / "retest.html").read_text()


def test_a_mean_of_bootstrap_replicates_is_told_from_the_figure_of_the_data(archive, published, tmp_path):
    folder, tested = published
    values = softmax(scores(tested, 2.5, 0), axis=1)
    labels = np.array([CLASSES.index(dx) for dx in tested["dx"]])
    from sklearn.metrics import f1_score

    rng, drawn = np.random.default_rng(5), []
    for _ in range(1000):
        rows = rng.integers(0, len(labels), len(labels))
        drawn.append(f1_score(labels[rows], values[rows].argmax(axis=1), average="macro"))
    pd.DataFrame({"Model": ["good"], "MACRO_F1": [f"{np.mean(drawn):.4f}"]}).to_csv(folder / "f.csv", index=False)
    figures = folder / "f.csv"
    result = run(folder / "good_HAM.csv", "--archive", archive[0], "--published", figures, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    row = json.loads((tmp_path / "out" / "retest.json").read_text())["figures"][0]
    assert row["equal"] or row["is_bootstrap_mean"]
    assert abs(row["published"] - row["recomputed"]) < 0.01


def test_every_layout_gives_the_same_probabilities(archive, published, tmp_path):
    _path, table = archive
    folder, tested = published
    values = scores(tested, 2.5, 0)
    expected = softmax(values, axis=1)
    with_class_table = read_published(folder / "good_HAM.csv", table, folder / "class2label.csv")
    np.testing.assert_allclose(with_class_table.predictions.probabilities[0], expected, atol=1e-6)
    inferred = read_published(folder / "good_HAM.csv", table)  # by its true labels
    np.testing.assert_allclose(inferred.predictions.probabilities[0], expected, atol=1e-6)
    own_format = pd.DataFrame({"image_id": tested["image_id"].to_numpy()[::-1]})
    own_format[[f"p_{dx}" for dx in CLASSES]] = expected[::-1]
    isic = pd.DataFrame({"image": tested["image_id"]})
    isic[[dx.upper() for dx in CLASSES]] = expected
    named = pd.DataFrame({"img_path": "a/b/" + tested["image_id"] + ".png"})
    named[[f"logit_{CLASS_NAMES[dx].split(' /')[0]}" for dx in CLASSES]] = values
    for number, file in enumerate((own_format, isic, named)):
        file.to_csv(tmp_path / f"layout{number}.csv", index=False)
        read = read_published(tmp_path / f"layout{number}.csv", table)
        np.testing.assert_allclose(read.predictions.probabilities[0], expected, atol=1e-6)
        assert (read.predictions.image_ids == np.sort(tested["image_id"])).all()


def test_class_numbers_may_count_from_one_and_label_named_columns(archive, published, tmp_path):
    _folder, tested = published
    values = scores(tested, 2.5, 0)
    file = numbered(tested, values)
    new_names = {f"probability_class_{code}": f"prob_{code + 1}" for code in range(len(PUBLISHED_ORDER))}
    file.assign(true_label=file["true_label"] + 1.0).rename(columns=new_names).to_csv(tmp_path / "one.csv", index=False)
    named = {f"probability_class_{code}": dx for code, dx in enumerate(PUBLISHED_ORDER)}
    file.rename(columns=named).to_csv(tmp_path / "named.csv", index=False)
    for name in ("one", "named"):
        read = read_published(tmp_path / f"{name}.csv", archive[1])
        np.testing.assert_allclose(read.predictions.probabilities[0], softmax(values, axis=1), atol=1e-6)
        assert not read.disagreeing


def test_our_own_predictions_of_the_same_images_stand_beside(archive, published, tmp_path):
    path, table = archive
    folder, tested = published
    own_predictions = table[["image_id", "lesion_id", "dx"]].copy()
    own_predictions[[f"p_{dx}" for dx in CLASSES]] = softmax(scores(table, 3.0, 7), axis=1)
    own_predictions.to_csv(tmp_path / "mine.csv", index=False)
    arguments = (folder / "good_HAM.csv", "--archive", path, "--ours", tmp_path / "mine.csv", "--out", tmp_path / "out")
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "out" / "retest.json").read_text())
    assert [row["model"] for row in summary["models"]] == ["good_HAM", "ours: mine"]
    answers = np.array(CLASSES)[scores(table, 3.0, 7).argmax(axis=1)]
    accuracy = (answers == table["dx"].to_numpy())[1 : 1 + len(tested)].mean()
    assert summary["models"][1]["accuracy"] == pytest.approx(accuracy)
    own_predictions.iloc[5:].to_csv(tmp_path / "mine.csv", index=False)
    assert "4 of the images are not in it" in str(run(*arguments).exception)


def test_published_rows_without_predictions_are_named(archive, published, tmp_path):
    folder, _ = published
    (folder / "f.csv").write_text("Model,ACCURACY\ngood,0.5\nabsent,0.5\n")
    result = run(folder / "good_HAM.csv", "--archive", archive[0], "--published", folder / "f.csv",
                 "--out", tmp_path / "out")  # fmt: skip
    assert "figures of models without predictions here: absent" in result.output
    certificate = json.loads((tmp_path / "out" / "retest.json").read_text())["certificate"]
    assert certificate["published_without_predictions"] == ["absent"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda file: file.assign(filename=["ISIC_9999999", *file["filename"][1:]]), "not in the archive (1): ISIC_9"),
        (lambda file: file.assign(filename=[file["filename"][2], *file["filename"][1:]]), "listed twice: ISIC_0000004"),
        (lambda file: file.drop(columns="probability_class_3"), "6 columns of class scores"),
        (lambda file: file.rename(columns={"filename": "photograph"}), "no column of image ids"),
        (lambda file: _scaled(file, 100), "percentages"),
        (lambda file: _scaled(file, 3), "--logits"),
        (lambda file: _scaled(file, 0.9), "do not sum to one at ISIC_0000002"),
        (lambda file: file.mask(file == file.iloc[7, 3]), "a score is missing or infinite at ISIC_0000009"),
        (lambda file: file.astype(object).mask(file == file.iloc[7, 3], "x"), "line 9: probability_class_1 is 'x'"),
        (lambda file: file.assign(true_label=[9, *file["true_label"][1:]]), "labels that are not diagnoses: 9"),
    ],
)  # fmt: skip
def test_wrong_files_are_refused_in_one_line(archive, published, tmp_path, change, words):
    folder, tested = published
    change(numbered(tested, scores(tested, 2.5, 0))).to_csv(tmp_path / "wrong.csv", index=False)
    out = tmp_path / "out"
    with pytest.raises(UserError, match=r".") as raised:
        read_published(tmp_path / "wrong.csv", archive[1], folder / "class2label.csv")
    assert words in str(raised.value)
    assert not out.exists()


def _scaled(file: pd.DataFrame, factor: float) -> pd.DataFrame:
    columns = [name for name in file if name.startswith("probability")]
    return file.assign(**{name: file[name] * factor for name in columns})


def test_a_wrong_order_of_classes_is_named(archive, published):
    folder, _ = published
    table = pd.read_csv(folder / "class2label.csv")
    table.assign(label=[1, 0, 2, 3, 4, 5, 6]).to_csv(folder / "swapped.csv", index=False)
    with pytest.raises(UserError, match=r"fit another order of classes than .*: 0 = mel, 1 = nv, 2 = bcc"):
        read_published(folder / "good_HAM.csv", archive[1], folder / "swapped.csv")


def test_labels_that_disagree_are_listed_and_the_archive_counts(archive, published, tmp_path):
    folder, tested = published
    file = numbered(tested, scores(tested, 2.5, 0))
    file.loc[0, "true_label"] = (file.loc[0, "true_label"] + 1) % len(CLASSES)
    file.to_csv(tmp_path / "one.csv", index=False)
    read = read_published(tmp_path / "one.csv", archive[1], folder / "class2label.csv")
    assert read.disagreeing == (tested["image_id"].iloc[0],)
    assert read.predictions.labels[0] == CLASSES.index(tested["dx"].iloc[0])


def test_training_images_are_counted_by_lesion_and_refused_among_the_tested(archive, published, tmp_path):
    folder, tested = published
    training = tmp_path / "training.txt"
    training.write_text("\n".join([archive[1]["image_id"].iloc[0], *archive[1]["image_id"].iloc[500:600]]) + "\n")
    out = tmp_path / "out"
    result = run(folder / "good_HAM.csv", "--archive", archive[0], "--train-ids", training, "--out", out)
    assert result.exit_code == 0, result.output
    certificate = json.loads((out / "retest.json").read_text())["certificate"]
    assert certificate["training_images"] == 101
    assert certificate["images_of_trained_lesions"] == 1
    training.write_text(f"image\n{tested['image_id'].iloc[3]}\n")
    with pytest.raises(UserError, match=r"1 of the predicted images are among them: ISIC_0000005"):
        CliRunner().invoke(
            app, ["retest", str(folder / "good_HAM.csv"), "--archive", str(archive[0]), "--train-ids", str(training),
                  "--out", str(tmp_path / "none")], catch_exceptions=False, standalone_mode=False,
        )  # fmt: skip
    assert not (tmp_path / "none").exists()


def test_duplicates_that_the_audit_listed_are_counted(archive, published, tmp_path):
    path, table = archive
    ids, lesions = table["image_id"], table["lesion_id"]  # images 1 to 400 are the set
    listed = [("near", 5, 9), ("near", 7, 900), ("near", 800, 900), ("near", 10, 11), ("pixels", 3, 700)]
    listed.append(("known, found", 20, 600))
    pairs = pd.DataFrame(
        [
            {"kind": kind, "first": ids[a], "second": ids[b], "first_lesion": lesions[a], "second_lesion": lesions[b]}
            for kind, a, b in listed
        ]
    ).reindex(columns=list(PAIR_COLUMNS))
    out, folder = tmp_path / "out", published[0]
    audited = tmp_path / "audit/pairs.csv"
    audited.parent.mkdir()
    pairs.to_csv(audited, index=False)
    assert run(folder, "--archive", path, "--out", out, "--pairs", audited).exit_code == 0
    certificate = json.loads((out / "retest.json").read_text())["certificate"]
    counted = {name: certificate[name] for name in certificate if "duplicates" in name}
    # Images 10 and 11 show one lesion: that is no duplicate under two ids.
    assert counted == {
        "exact_duplicates_inside": 0, "exact_duplicates_across": 1,
        "near_duplicates_inside": 1, "near_duplicates_across": 1,
    }  # fmt: skip
    assert "near-duplicates under two lesion ids" in (out / "retest.html").read_text()
    result = run(folder, "--archive", path, "--out", out, "--pairs", folder / "good_HAM.csv")
    assert result.exit_code != 0
    assert "give pairs.csv of `skinlesion audit`" in str(result.exception)


def test_nothing_of_others_is_written_over(archive, published, tmp_path):
    folder, _ = published
    out = tmp_path / "out"
    out.mkdir()
    (out / "retest.html").write_text("<p>mine</p>")
    result = run(folder / "good_HAM.csv", "--archive", archive[0], "--out", out)
    assert isinstance(result.exception, UserError)
    assert (out / "retest.html").read_text() == "<p>mine</p>"


def test_cells_of_published_tables(tmp_path):
    (tmp_path / "f.csv").write_text(
        'Model,Accuracy,Macro F1,AUROC_p_value,AUROC\nm,0.5,.61 [0.5–0.7],1e-9,"0.9 (0.85, 0.95)"\nn,,1,,\n'
    )
    read = read_figures(tmp_path / "f.csv")
    assert [(figure.model, figure.metric, figure.value, figure.low, figure.p) for figure in read] == [
        ("m", "accuracy", 0.5, None, None), ("m", "macro_f1", 0.61, 0.5, None), ("m", "macro_auc", 0.9, 0.85, 1e-9),
        ("n", "macro_f1", 1.0, None, None),
    ]  # fmt: skip
    (tmp_path / "f.csv").write_text("Model,Accuracy\nm,good\n")
    with pytest.raises(UserError, match="Accuracy of m is good, not a number"):
        read_figures(tmp_path / "f.csv")


def test_ids_of_paths_and_lists(tmp_path):
    assert image_ids(pd.Series(["/a/ISIC_1.jpg", "C:\\b\\ISIC_2.JPEG", "ISIC_3", " ISIC_4.png "])).tolist() == [
        "ISIC_1", "ISIC_2", "ISIC_3", "ISIC_4",
    ]  # fmt: skip
    (tmp_path / "ids.txt").write_text("ISIC_1\nISIC_2.jpg\n")
    assert read_ids(tmp_path / "ids.txt").tolist() == ["ISIC_1", "ISIC_2"]
    (tmp_path / "ids.csv").write_text("split,filename\ntrain,x/ISIC_7.jpg\n")
    assert read_ids(tmp_path / "ids.csv").tolist() == ["ISIC_7"]


def test_published_predictions_of_eight_foundation_models(tmp_path):
    shared = Path(os.environ.get("SKINLESION_SHARED_DATA", "../shared/data"))
    folder = shared / "published_predictions" / "dermfm_zero"
    if not folder.is_dir():
        pytest.skip("published predictions are not here")
    root = Path(__file__).parents[2]
    # As examples/retest/README.md has it, without the audit's pairs, which only the page and JSON show.
    ours = [root / f"examples/fine_tuned/predictions/{name}.csv.gz" for name in ("image", "concat")]
    beside = [argument for path in ours for argument in ("--ours", path)]
    result = run(folder, "--archive", shared / "ham10000" / "HAM10000_metadata.csv", "--out", tmp_path, *beside)
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "retest.json").read_text())
    assert summary["certificate"]["images"] == 1503
    assert not summary["certificate"]["disagreeing"]
    assert len(summary["models"]) == 8 + len(ours)
    # Every published figure is either that of the data or the mean of bootstrap replicates.
    assert len(summary["figures"]) == 56
    assert all(row["equal"] or row["is_bootstrap_mean"] for row in summary["figures"])
    committed = root / "examples" / "retest" / "retest.md"
    assert (tmp_path / "retest.md").read_text() == committed.read_text()
