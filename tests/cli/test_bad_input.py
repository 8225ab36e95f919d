"""What a user gets wrong ends with exit code 2 and one line that names it; nothing half-written stays."""

import pytest
import yaml

from tests.archive import jpeg, records, write_archive
from tests.conftest import small_params, write_params


def one_line(outcome, *parts):
    assert outcome.code == 2, outcome
    lines = outcome.err.strip().splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Traceback" not in outcome.err
    for part in parts:
        assert part in errors[0], errors[0]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"train": {"learning_rate": 1}}, ["train.learning_rate", "unknown field", "lr"]),
        ({"train": {"lr": "fast"}}, ["train.lr", "'fast'", "number"]),
        ({"train": {"lr": -1}}, ["train.lr", "-1", "greater than 0"]),
        ({"train": {"fusion": "concatenate"}}, ["train.fusion", "'concatenate'", "none, concat"]),
        ({"train": {"folds": [0, 7]}}, ["train.folds.1", "7", "less than or equal to 4"]),
        ({"train": {"seeds": [1, 1]}}, ["train.seeds", "[1, 1]", "twice"]),
        ({"train": {"repeats": [0, 0]}}, ["train.repeats", "[0, 0]", "twice"]),
        ({"train": {"repeats": [0, 1]}}, ["train", "repeats [0, 1]", "all 5 folds"]),
        ({"experiments": {"a": {"repeats": [2]}}}, ["experiments.a.repeats", "2 is not drawn", "split.repeats: 1"]),
        ({"split": {"repeats": 0}}, ["split.repeats", "0", "greater than or equal to 1"]),
        ({"train": {"injected": 4}}, ["train.injected", "4", "less than or equal to 3"]),
        ({"experiments": {"a": {"injected": 1, "protocol": "image"}}}, ["experiments.a", "injected 1", "lesion"]),
        ({"experiments": {"a": {"records": "permuted"}}}, ["experiments.a", "records permuted", "fusion"]),
        ({"train": {"tune": {"lr": [0.1, 0.1]}}}, ["train.tune.lr", "twice"]),
        ({"train": {"tune": {"dropout": [0.1]}}}, ["train.tune.dropout", "unknown field", "lr, weight_decay"]),
        ({"experiments": {"a": {"regime": "full", "tune": {"lr": [0.1]}}}}, ["experiments.a", "tune", "regime frozen"]),
        ({"train": {"select": "first"}}, ["train.select", "'first'", "best, last"]),
        ({"train": {"weights": "model.pth"}}, ["train.weights", "'model.pth'", ".safetensors"]),
        ({"data": {"source": "ham1000"}}, ["data.source", "'ham1000'", "did you mean ham10000"]),
        ({"prepare": {"on_error": "ignore"}}, ["prepare.on_error", "'ignore'", "stop, skip"]),
        ({"experiments": {"a": {"dropuot": 0.1}}}, ["experiments.a.dropuot", "did you mean dropout"]),
        ({"experiments": {"a.b": {}}}, ["experiments.a.b", "a-z"]),
        ({"stats": {"pairs": [["image", "imagee"]]}}, ["stats.pairs", "imagee", "did you mean image"]),
        (
            {"claims": [{"claim": "x", "a": "image", "b": "imag", "direction": "higher", "source": "y"}]},
            ["claims.0", "no experiment imag", "did you mean image"],
        ),
        (
            {"claims": [{"claim": "x", "a": "image", "b": "concat", "direction": "up", "source": "y"}]},
            ["'up'", "higher"],
        ),
        ({"stats": {"margins": {"macro_f1": 0}}}, ["stats.margins.macro_f1", "0", "greater than 0"]),
        ({"nonsense": {"x": 1}}, ["nonsense", "unknown field", "data, prepare"]),
    ],
)
def test_a_bad_parameter_is_named(tmp_path, run, changes, parts):
    write_params(tmp_path, small_params(**changes))
    one_line(run("prepare", cwd=tmp_path), "params.yaml" if "experiments" not in changes else "experiments", *parts)


def test_params_that_are_no_yaml_or_not_there(tmp_path, run):
    one_line(run("prepare", cwd=tmp_path), "params.yaml", "no such file")
    (tmp_path / "params.yaml").write_text("train: {lr: 1\n")
    one_line(run("prepare", cwd=tmp_path), "not valid YAML")
    (tmp_path / "params.yaml").write_text("train: {lr: 1, lr: 2}\n")
    one_line(run("prepare", cwd=tmp_path), "line 1", "key lr twice")


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["--experiment", "imgae"], ["imgae: not an experiment", "did you mean image"]),
        (["--backbone", "resnet5O"], ["train.backbone", "'resnet5O'", "resnet50"]),
        (["--backbone", "resnet50.made_up"], ["train.backbone", "made_up"]),
        (["--fusion", "sum"], ["train.fusion", "'sum'", "none, concat"]),
        (["--metadata", "words"], ["train.metadata", "'words'", "onehot"]),
        (["--fold", "9"], ["train.folds", "9"]),
        (["--set", "lr"], ["--set lr", "FIELD=VALUE"]),
        (["--set", "lrr=1"], ["--set lrr", "did you mean lr"]),
        (["--set", "lr=abc"], ["train.lr", "'abc'"]),
        (["--set", "device=cuda"], ["train.device", "no CUDA device"]),
        (["--weights", "absent.safetensors"], ["absent.safetensors", "no such file"]),
        (["--experiment", "image", "--fold", "1"], ["train image", "--out"]),
    ],
)
def test_a_bad_flag_is_named(workspace_folder, run, args, parts):
    import torch

    if "device=cuda" in args and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    one_line(run("train", *args, cwd=workspace_folder), *parts)
    assert not (workspace_folder / "runs").exists()


def test_weights_that_are_not_the_backbones(workspace_folder, run):
    import torch
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(2)}, workspace_folder / "other.safetensors")
    one_line(run("train", "--weights", "other.safetensors", cwd=workspace_folder), "other.safetensors", "does not fit")
    (workspace_folder / "text.safetensors").write_text("hello")
    one_line(run("train", "--weights", "text.safetensors", cwd=workspace_folder), "not a safetensors file")


def test_weights_that_cannot_be_fetched_say_how_to_supply_them(workspace_folder, run, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    outcome = run("train", "--backbone", "convnext_small", "--weights", "imagenet", cwd=workspace_folder)
    one_line(outcome, "train.weights", "convnext_small", ".safetensors", "tf_efficientnet_lite0")


def test_stages_out_of_order_name_the_stage_to_run(tmp_path, run):
    write_params(tmp_path, small_params())
    one_line(run("split", cwd=tmp_path), "metadata.csv", "run `skinlesion prepare` first")
    one_line(run("train", "--experiment", "image", cwd=tmp_path), "prepared", "run `skinlesion prepare` first")
    one_line(run("stats", cwd=tmp_path), "predictions.csv", "run `skinlesion evaluate ")
    one_line(run("assess", "image", cwd=tmp_path), "predictions.csv", "run `skinlesion evaluate ")
    one_line(run("report", cwd=tmp_path), "metrics.json", "skinlesion evaluate")
    one_line(run("evaluate", cwd=tmp_path), "NAME of an experiment or --models DIR")
    one_line(run("evaluate", "--models", "nowhere", cwd=tmp_path), "nowhere", "no finished run")


def test_a_phantom_too_small_for_ten_parts(tmp_path, run):
    write_params(tmp_path, small_params(data={"phantom": {"images": 50, "seed": 0, "metadata_signal": 1.0}}))
    one_line(run("prepare", cwd=tmp_path), "data.phantom.images", "50", "94")


def _archive_params(folder):
    return write_params(folder, small_params(data={"source": "ham10000", "path": "raw", "download": False}))


def _broken(folder):
    """An archive with one fault of every kind, in rows of their own."""
    table = records(24)
    table.loc[0, "dx"] = "wart"
    table.loc[2, "dx"] = "bcc"  # its lesion's other image is something else
    table.loc[4, "age"] = "130"
    table.loc[6, "sex"] = "m"
    table.loc[8, "localization"] = "left knee"
    table.loc[[10], "image_id"] = table.loc[11, "image_id"]
    whole = jpeg(99)
    files = {"ISIC_0000012": whole[: len(whole) // 2], "ISIC_0000014": b"not an image"}
    archive = write_archive(folder / "raw", table, files)
    extra = records(26).iloc[[25]]
    pd_table = __import__("pandas").concat([table, extra])  # listed, but no file
    pd_table.to_csv(archive / "HAM10000_metadata.csv", index=False)


def test_every_finding_is_listed_in_one_run(tmp_path, run, monkeypatch):
    monkeypatch.delenv("SKINLESION_DATA", raising=False)
    _archive_params(tmp_path)
    _broken(tmp_path)
    outcome = run("prepare", cwd=tmp_path)
    one_line(
        outcome,
        "unknown diagnosis", "ISIC_0000000",
        "lesion with two diagnoses", "ISIC_0000002, ISIC_0000003",
        "age outside 0 to 120", "ISIC_0000004",
        "unknown sex", "ISIC_0000006",
        "unknown localization", "ISIC_0000008",
        "listed twice", "ISIC_0000011",
        "no image file", "ISIC_0000025",
        "unreadable image", "ISIC_0000012", "ISIC_0000014",
        "on_error: skip",
    )  # fmt: skip
    assert list((tmp_path / "data").rglob("*.*")) == []


def test_skip_leaves_findings_out_and_records_them(tmp_path, run, monkeypatch):
    import json

    import numpy as np
    import pandas as pd

    from skinlesion.data.decode import decode
    from skinlesion.params import PrepareParams

    monkeypatch.delenv("SKINLESION_DATA", raising=False)
    _archive_params(tmp_path)
    params = yaml.safe_load((tmp_path / "params.yaml").read_text())
    params["prepare"]["on_error"] = "skip"
    write_params(tmp_path, params)
    _broken(tmp_path)
    assert run("prepare", cwd=tmp_path).code == 0
    prepared = tmp_path / "data" / "prepared"
    table, images = pd.read_csv(prepared / "metadata.csv"), np.load(prepared / "images.npy")
    described = json.loads((prepared / "prepared.json").read_text())
    left_out = {image_id for ids in described["rejected"].values() for image_id in ids}
    assert left_out == {f"ISIC_{n:07d}" for n in (0, 2, 3, 4, 6, 8, 11, 12, 14, 25)}
    assert not left_out & set(table["image_id"])
    assert len(table) == len(images) == described["images"]
    last = table["image_id"].iloc[-1]
    data = jpeg(int(last.removeprefix("ISIC_")) - 1)  # one id stands twice, so files shift by one
    np.testing.assert_array_equal(images[-1], decode(data, PrepareParams(image_size=32)).pixels)
    files = pd.read_csv(prepared / "files.csv")
    assert list(files["image_id"]) == list(table["image_id"])
    assert files["bytes"].iloc[-1] == len(data)


def test_an_archive_that_is_not_there(tmp_path, run, monkeypatch):
    monkeypatch.delenv("SKINLESION_DATA", raising=False)
    _archive_params(tmp_path)
    one_line(run("prepare", cwd=tmp_path), "data.path", "raw", "doi:10.7910/DVN/DBW86T", "SKINLESION_DATA")
    (tmp_path / "raw").mkdir()
    one_line(run("prepare", cwd=tmp_path), "HAM10000_metadata.csv")
    records().to_csv(tmp_path / "raw" / "HAM10000_metadata.csv", index=False)
    one_line(run("prepare", cwd=tmp_path), "HAM10000_images_part")
    records().drop(columns="age").to_csv(tmp_path / "raw" / "HAM10000_metadata.csv", index=False)
    (tmp_path / "raw" / "ISIC_0000000.jpg").write_bytes(jpeg(0))
    one_line(run("prepare", cwd=tmp_path), "column age missing")
    (tmp_path / "raw" / "HAM10000_images_part_1.zip").write_text("<html>")
    one_line(run("prepare", cwd=tmp_path), "HAM10000_images_part_1.zip", "not a readable zip")
    monkeypatch.setenv("SKINLESION_DATA", str(tmp_path / "nowhere"))
    one_line(run("prepare", cwd=tmp_path), "SKINLESION_DATA", "nowhere")


def test_a_bug_is_not_reported_as_a_user_error(tmp_path, run, monkeypatch):
    from skinlesion import params_file

    def broken(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(params_file, "load_params", broken)
    with pytest.raises(ZeroDivisionError):
        run("prepare", cwd=tmp_path)


@pytest.mark.parametrize(
    ("command", "words"),
    [("predict photo.jpg --sex m", "--sex m"), ("explain image", "--image"), ("explain", "params.yaml: no such file")],
)
def test_a_mistake_is_named_before_torch_is_imported(command, words, tmp_path):
    import subprocess
    import sys

    code = f"""
import sys
from skinlesion import cli
sys.argv = ["skinlesion", *{command.split()!r}]
try:
    cli.main()
finally:
    print("torch" in sys.modules)
"""
    completed = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (completed.returncode, completed.stdout) == (2, "False\n")
    assert words in completed.stderr
