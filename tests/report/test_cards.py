"""Model cards in the form of the Hugging Face Hub: metadata that its library reads, links that lead somewhere."""

import re

import pytest
import torch

from skinlesion.params_file import load_params
from skinlesion.report.card_metadata import card_metadata, front_matter
from skinlesion.report.model_card import model_card
from skinlesion.report.templates import _cell
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace


@pytest.mark.parametrize("name", ["concat", "image"])
def test_the_hub_s_library_reads_the_metadata(reported, name):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard.load(reported / f"reports/cards/{name}.md")
    metrics = Results.open(reported / "params.yaml").metrics(name)
    values = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert values["balanced_accuracy"] == pytest.approx(metrics["balanced_accuracy"], abs=1e-6)
    assert values["f1"] == pytest.approx(metrics["macro_f1"], abs=1e-6)
    assert card.data.model_name == name
    assert card.data.library_name == "skinlesion"
    assert card.data.license == "apache-2.0"
    assert "synthetic" in card.data.tags
    assert ("multimodal" in card.data.tags) == (name == "concat")


def test_real_data_bring_their_licence(reported):
    results = Results(load_params(reported / "params.yaml"), Workspace(reported))
    assert results.prepared["source"] == "phantom"
    for source, licence in (("ham10000", "cc-by-nc-4.0"), ("folder", "other")):
        path = results.workspace.prepared / "prepared.json"
        stamp, content = results._kept[path]
        results._kept[path] = (stamp, content | {"source": source})
        metadata = card_metadata(results, "image")
        assert metadata["license"] == licence
        assert metadata["datasets"] == [source]
    assert metadata["license_name"]
    assert "HAM10000" not in model_card(results, "image")
    results._kept[path] = (stamp, content | {"source": "ham10000"})
    assert "HAM10000" in model_card(results, "image")


def test_metadata_are_yaml_whatever_a_name_holds():
    from skinlesion.params.yaml_text import parse_yaml

    metadata = {"name": 'a: "b" #c\n- d', "tags": ["null", "1"], "value": 0.5}
    text = front_matter(metadata)
    assert text.startswith("---\n")
    assert text.endswith("---\n")
    assert parse_yaml(text.strip("-\n")) == metadata


def test_links_of_a_card_lead_to_files_of_the_report(reported):
    for path in sorted((reported / "reports/cards").glob("*.md")):
        links = re.findall(r"\]\(([^)]+)\)", path.read_text())
        local = [link for link in links if not link.startswith("https://doi.org/")]
        assert len(local) > 10
        missing = {link for link in local if not (path.parent / link).exists()}
        # Pages of stages of their own, which this workspace has not run.
        assert missing == {"../audit/audit.html", "../dataset/dataset.html", "../dataset/classes.csv"}


def test_words_in_a_table_begin_no_cell_and_no_tag():
    assert _cell("a|b\n<i>`x` [y](z)") == r"a\|b &lt;i>\`x\` \[y](z)"


@pytest.mark.parametrize("name", ["concat", "image"])
def test_an_exported_folder_is_what_the_hub_takes_and_answers_as_the_experiment_did(reported, run, tmp_path, name):
    import numpy as np
    import pandas as pd
    from PIL import Image

    from skinlesion.data.metadata import read_metadata
    from skinlesion.experiment.hub_folder import open_hub_folder
    from skinlesion.vocabulary import PROBABILITY_COLUMNS

    hub = pytest.importorskip("huggingface_hub")
    folder = tmp_path / "model"
    outcome = run("export", name, "--to", "hf", str(folder), cwd=reported)
    assert outcome.code == 0, outcome.err
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    card = hub.ModelCard.load(folder / "README.md")
    assert card.data.eval_results
    assert "open_hub_folder" in card.text
    assert not re.findall(r"\]\((?!https://)", card.text)  # no link to a file that the folder lacks
    described = hub.get_local_safetensors_metadata(folder)
    assert not described.sharded

    model = open_hub_folder(folder)
    written = pd.read_csv(reported / f"reports/runs/{name}/predictions.csv").set_index("image_id").iloc[:5]
    results = Results.open(reported / "params.yaml")
    paths = []
    for image_id in written.index:
        paths.append(tmp_path / f"{image_id}.png")
        Image.fromarray(results.photograph(image_id)).save(paths[-1])
    table = read_metadata(reported / "data/prepared/metadata.csv").set_index("image_id").loc[written.index]
    predicted = model.probabilities(paths, table if name == "concat" else None)
    np.testing.assert_allclose(predicted, written[list(PROBABILITY_COLUMNS)].to_numpy(), atol=1e-4)


def test_an_export_replaces_its_own_folder_and_no_other(reported, run, tmp_path):
    exported, foreign = tmp_path / "own", tmp_path / "others"
    for _ in range(2):
        assert run("export", "image", "--to", "hf", str(exported), cwd=reported).code == 0
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    outcome = run("export", "image", "--to", "hf", str(foreign), cwd=reported)
    assert outcome.code == 2
    assert "already exists and was not written by this command" in outcome.err
    (exported / "notes.txt").write_text("mine")
    assert run("export", "image", "--to", "hf", str(exported), cwd=reported).code == 2
    assert (exported / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--to", "hf"), "--to hf takes a folder"),
        (("--to", "hf", "d", "--out", "m.onnx"), "--to hf takes a folder"),
        (("d",), "give --out FILE.onnx, or --to hf and a folder"),
        ((), "give --out FILE.onnx, or --to hf and a folder"),
    ],
)
def test_what_an_export_needs_is_reported(reported, run, options, problem):
    outcome = run("export", "image", *options, cwd=reported)
    assert outcome.code == 2
    assert problem in outcome.err


def test_a_folder_that_is_damaged_is_named(reported, run, tmp_path):
    from skinlesion.errors import UserError
    from skinlesion.experiment.hub_folder import open_hub_folder

    folder = tmp_path / "model"
    assert run("export", "concat", "--to", "hf", str(folder), cwd=reported).code == 0
    model = open_hub_folder(folder)
    with pytest.raises(UserError, match="takes age, sex and localization"):
        model.of_pixels(torch.zeros(1, 3, 64, 64))
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-40])
    with pytest.raises(UserError, match=r"model\.safetensors"):
        open_hub_folder(folder)
    (folder / "model.safetensors").write_bytes(weights)
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"fusion": "concat"', '"fusion": "glue"'))
    with pytest.raises(UserError, match=r"config\.json: train\.fusion: Input should be"):
        open_hub_folder(folder)
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"config\.json"):
        open_hub_folder(folder)
