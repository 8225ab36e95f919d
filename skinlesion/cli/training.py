"""Commands that train and predict the benchmark: experiments, pretrain, train, evaluate, ensemble, export."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skinlesion.choices import (
    LARGEST_BATCH,
    LARGEST_SEED,
    MOST_EPOCHS,
    ExportForm,
    Fusion,
    MetadataEncoding,
    Protocol,
    Regime,
)
from skinlesion.cli.app import PIPELINE, SHARE, HiddenExperiment, ParamsOption, chosen, command, load, name_given
from skinlesion.errors import UserError
from skinlesion.folds import FOLDS
from skinlesion.numbers import number, scientific
from skinlesion.outputs import check_output, check_output_folder

if TYPE_CHECKING:
    from skinlesion.params import TrainParams


@command(PIPELINE, "skinlesion experiments", "skinlesion experiments | xargs -n 1 skinlesion train")
def experiments(params: ParamsOption = Path("params.yaml")) -> None:
    """Print the names of the experiments of params.yaml, one per line: for job arrays and loops."""
    loaded, _ = load(params)
    for name in loaded.experiments:
        print(name)


@command(
    PIPELINE,
    "skinlesion pretrain --out pretrained/fold0.safetensors",
    "skinlesion pretrain --out pretrained/fold1.safetensors --fold 1 --epochs 50",
)
def pretrain(
    out: Annotated[Path, typer.Option(help="The .safetensors file; a .json beside it says what it has seen.")],
    fold: Annotated[int, typer.Option(help="Fold; only its training images are used.")] = 0,
    protocol: Annotated[str | None, chosen(Protocol, "The split; else that of train.")] = None,
    repeat: Annotated[int, typer.Option(help="The partition that has the fold.")] = 0,
    epochs: Annotated[int, typer.Option(max=MOST_EPOCHS, help="Number of epochs.")] = 100,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 3e-4,
    batch_size: Annotated[int, typer.Option(max=LARGEST_BATCH, help="Images per step, each in two views.")] = 128,
    temperature: Annotated[float, typer.Option(help="Temperature of the contrastive loss.")] = 0.1,
    seed: Annotated[int, typer.Option(max=LARGEST_SEED, help="Random seed.")] = 0,
    backbone: Annotated[str | None, typer.Option(help="A timm model name; else that of train.")] = None,
    weights: Annotated[str, typer.Option(help="Initial weights: imagenet or none.")] = "imagenet",
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Pretrain a backbone on one fold's training images without labels (SimCLR, extra `pretrain`)."""
    from skinlesion.stages import pretrain as stage
    from skinlesion.training.pretraining import PretrainSettings

    check_output(out, "--out")
    loaded, workspace = load(params, required=False)
    # What a run of images alone needs: `train` may ask for more, records say, that has no part in this.
    changes: dict[str, Any] = {
        "weights": weights, "folds": [fold], "repeats": [repeat], "injected": None, "fusion": "none", "records": "own",
    }  # fmt: skip
    changes |= {name: value for name, value in (("protocol", protocol), ("backbone", backbone)) if value is not None}
    settings = loaded.resolve(changes, "pretrain")
    how = PretrainSettings(epochs, lr, batch_size, temperature, seed)
    history = stage.pretrain(loaded, workspace, settings, how, out)["history"]
    first, last = (number(row["loss"], 4) for row in (history[0], history[-1]))
    print(f"{out} and {out.with_suffix('.json')}; loss {first} in the first epoch, {last} in the last")


@command(
    PIPELINE,
    "skinlesion train concat",
    "skinlesion train --backbone convnext_small --fusion concat --fold 0 --set lr=1e-4",
)
def train(
    name: Annotated[
        str | None, typer.Argument(help="An experiment of params.yaml; trains it into models/NAME.")
    ] = None,
    option: HiddenExperiment = None,
    out: Annotated[Path | None, typer.Option(help="Where runs go, instead of models/NAME or runs/.")] = None,
    backbone: Annotated[str | None, typer.Option(help="A timm model name.")] = None,
    weights: Annotated[str | None, typer.Option(help="imagenet, none, or a .safetensors file.")] = None,
    regime: Annotated[str | None, chosen(Regime, "What is trained.")] = None,
    fusion: Annotated[str | None, chosen(Fusion, "How metadata joins the image.")] = None,
    metadata: Annotated[str | None, chosen(MetadataEncoding, "How metadata becomes numbers.")] = None,
    protocol: Annotated[str | None, chosen(Protocol, "The split.")] = None,
    fold: Annotated[list[int] | None, typer.Option(help=f"Test fold 0 to {FOLDS - 1}; repeat for several.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Training seed; repeat for several.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Any other field of train, as FIELD=VALUE; repeatable.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train nothing: print shapes, parameters, memory and time.")
    ] = False,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Train an experiment of params.yaml into models/NAME, or one given by options into runs/ (no DVC needed)."""
    from skinlesion import console
    from skinlesion.params_file import parse_setting

    experiment = name_given(name, option)
    if out is not None:
        check_output_folder(out, "--out")
    loaded, workspace = load(params, required=experiment is not None)
    flags: dict[str, Any] = {
        "backbone": backbone, "weights": weights, "regime": regime, "fusion": fusion, "metadata": metadata,
        "protocol": protocol, "folds": fold, "seeds": seed,
    }  # fmt: skip
    changes = {name: value for name, value in flags.items() if value is not None}
    changes |= dict(parse_setting(text) for text in settings or [])
    resolved = loaded.resolve(changes, "train") if experiment is None else loaded.experiment(experiment, changes)
    folder = out or (
        workspace.model(experiment) if experiment is not None else workspace.root / "runs" / _run_name(resolved)
    )
    if dry_run:
        from skinlesion.experiment.estimate import estimate

        print(estimate(workspace, resolved, experiment or "these settings"))
        return
    if experiment and changes and out is None:
        raise UserError(f"train {experiment}: flags are not in params.yaml; add --out DIR, or edit params.yaml")
    prints = os.environ.get("RANK", "0") == "0"  # under torchrun one process alone
    from skinlesion.stages import train as stage
    from skinlesion.training.device import device_line

    if prints:
        print(device_line(resolved.device))
        console.show_settings(resolved, folder)

    summaries = stage.train(
        loaded,
        workspace,
        experiment or folder.name,
        settings=resolved,
        out=folder,
        exclusive=out is None and experiment is not None,
    )
    if prints:
        console.show_runs(summaries, folder)


@command(PIPELINE, "skinlesion evaluate concat", "skinlesion evaluate --models runs/NAME")
def evaluate(
    name: Annotated[str | None, typer.Argument(help="An experiment of params.yaml, trained in models/NAME.")] = None,
    option: HiddenExperiment = None,
    models: Annotated[
        Path | None, typer.Option(help="A folder that `skinlesion train` wrote, such as runs/NAME.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where results go, instead of reports/runs/NAME or the folder.")
    ] = None,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Predict the test parts of trained runs; write predictions, metrics with intervals, and curves."""
    experiment = name_given(name, option)
    loaded, workspace = load(params, required=experiment is not None)
    if (experiment is None) == (models is None):
        raise UserError("evaluate: give either the NAME of an experiment or --models DIR")
    if out is not None:
        check_output_folder(out, "--out")
    from skinlesion import console
    from skinlesion.stages import evaluate as stage

    if experiment is not None:
        out = out or workspace.results(experiment)
        metrics = stage.evaluate(loaded, workspace, experiment, out=out)
    else:
        assert models is not None
        out = out or models
        metrics = stage.evaluate(loaded, workspace, models.name, settings=_settings_of(models), models=models, out=out)
    console.show_metrics(metrics, out)


@command(
    PIPELINE, "skinlesion ensemble both", "skinlesion ensemble lite_ensemble --params examples/offline/params.yaml"
)
def ensemble(
    name: Annotated[
        str | None, typer.Argument(help="An entry of `ensembles:` in params.yaml; its members are evaluated.")
    ] = None,
    option: Annotated[str | None, typer.Option("--name", hidden=True)] = None,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Combine experiments' predictions, weights fitted on validation parts; write what evaluate writes."""
    from skinlesion import console
    from skinlesion.stages import ensemble as stage

    ensemble = name_given(name, option, "--name")
    if ensemble is None:
        raise UserError("ensemble: give the NAME of an entry of `ensembles:` in params.yaml")
    loaded, workspace = load(params)
    console.show_metrics(stage.ensemble(loaded, workspace, ensemble), workspace.ensemble(ensemble))


@command(SHARE, "skinlesion export concat --out model.onnx", "skinlesion export concat --out fold1.onnx --fold 1")
def export(
    experiment: Annotated[str, typer.Argument(help="A trained experiment of params.yaml.")],
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="With --to hf: the folder to write.")] = None,
    to: Annotated[ExportForm, typer.Option(help="hf is a folder for the Hugging Face Hub.")] = "onnx",
    out: Annotated[
        Path | None, typer.Option(help="With --to onnx: the .onnx file; a .json beside it describes its inputs.")
    ] = None,
    fold: Annotated[int, typer.Option(help="Whose model; its first seed is used.")] = 0,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Write one trained model as ONNX (extra `onnx`), or as a folder for a model hub, checked against the model."""
    if to == "hf" and (folder is None or out is not None):
        raise UserError("export: --to hf takes a folder after the experiment, and no --out")
    if to == "onnx" and (folder is not None or out is None):
        raise UserError("export: give --out FILE.onnx, or --to hf and a folder")
    if out is not None:
        check_output(out, "--out")
    from skinlesion.stages import export as stage

    loaded, workspace = load(params)
    if folder is not None:
        difference = scientific(stage.export_to_hub(loaded, workspace, experiment, fold, folder))
        print(f"{folder}: README.md, config.json, model.safetensors; the model read back differs by {difference}")
        return
    assert out is not None
    written = stage.export(loaded, workspace, experiment, fold, out)
    difference = scientific(written["largest_difference"])
    print(f"{out} and {out.with_suffix('.json')}; ONNX Runtime and torch differ by {difference}")


def _run_name(settings: "TrainParams") -> str:
    """Return a name that says what matters and tells any two configurations apart."""
    import hashlib

    from skinlesion.params import RUN_FIELDS

    digest = hashlib.sha256(settings.model_dump_json(exclude=set(RUN_FIELDS)).encode())
    inputs: list[str] = ["image"] if settings.fusion == "none" else [settings.fusion, settings.metadata]
    return "-".join([settings.backbone, *inputs, settings.protocol, digest.hexdigest()[:8]])


def _settings_of(models: Path) -> "TrainParams":
    """Return the parameters that the runs in a folder were trained with."""
    from pydantic import ValidationError

    from skinlesion.params import TrainParams
    from skinlesion.training.runs import RUN_NAME, read_run, run_folders

    runs = [read_run(folder) for folder in run_folders(models) if (folder / RUN_NAME).exists()]
    if not runs:
        raise UserError(f"--models {models}: holds no finished run; run `skinlesion train` first")
    trained = {
        "folds": sorted({run["fold"] for run in runs}),
        "seeds": sorted({run["seed"] for run in runs}),
        "repeats": sorted({run.get("repeat", 0) for run in runs}),
    }
    try:
        return TrainParams.model_validate({**runs[0]["config"], **trained})
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise UserError(
            f"--models {models}: config in {RUN_NAME}: {place}: {problem['msg']}; run `skinlesion train` again"
        ) from None
