"""The command line: each command parses, calls one stage, prints, and maps what users do wrong to exit code 2.

Nothing heavy is imported before a command runs: `skinlesion --help` needs neither torch nor pandas.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skinlesion.errors import UserError

if TYPE_CHECKING:
    from skinlesion.params import Params, TrainParams
    from skinlesion.stages.compare import ComparisonReport
    from skinlesion.stages.train import RunSummary

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Benchmark skin-lesion classifiers on HAM10000: image only against image and metadata. "
    "Research software, not for diagnosis.",
)

_INTERRUPTED = 130

ParamsOption = Annotated[Path, typer.Option("--params", help="The params.yaml to read; its folder is the workspace.")]


def main() -> None:
    """Run the command line; a UserError becomes one line and exit code 2."""
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:  # Typer turns Ctrl-C into this
            print("stopped; the same command goes on where it was", file=sys.stderr)
        raise


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False) -> None:
    if version:
        from skinlesion import __version__

        print(f"skinlesion {__version__}")
        raise typer.Exit


@app.command()
def fetch(
    dataset: Annotated[str, typer.Argument(help="What to fetch: ham10000.")],
    origin: Annotated[str, typer.Option("--from", help="dataverse, isic, or auto: one after the other.")] = "auto",
    masks: Annotated[bool, typer.Option("--masks", help="The lesion masks too.")] = False,
    test_set: Annotated[bool, typer.Option("--test-set", help="The ISIC 2018 test set too.")] = False,
    out: Annotated[Path, typer.Option(help="Where it goes.")] = Path("data/raw/ham10000"),
) -> None:
    """Download HAM10000 (2.8 GB), checked by its published checksums; a broken download goes on where it stopped."""
    from skinlesion.data import fetch as module
    from skinlesion.errors import choices

    if dataset != "ham10000":
        raise UserError(f"fetch {dataset}: not a data set that can be fetched; {choices(['ham10000'], dataset)}")
    files = module.fetch(origin, out, masks=masks, test_set=test_set)
    print(f"{len(files)} files in {out}; next: `skinlesion prepare`")


@app.command()
def prepare(
    external: Annotated[
        str | None, typer.Option(help="An entry of `external:` in params.yaml; goes to data/external/NAME.")
    ] = None,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Read the archive (or draw the phantom), check it, and store images and metadata in data/prepared."""
    from skinlesion.stages import prepare as stage

    loaded, workspace = _load(params)
    data = loaded.data
    if external is not None:
        data, workspace = loaded.external_set(external), workspace.outside(external)
    made = stage.prepare(data, loaded.prepare, workspace.root, workspace.prepared)
    left_out = sum(len(ids) for ids in made["rejected"].values())
    counts = ", ".join(f"{dx} {count:,}" for dx, count in made["images_by_class"].items())
    print(made["attribution"])
    print(f"{made['images']:,} images of {made['lesions']:,} lesions at {made['image_size']} px: {counts}")
    for word, count in made.get("dropped", {}).items():
        print(f"left out, no class here: {word} {count:,}")
    for problem, ids in made["rejected"].items():
        print(f"left out, {problem}: {', '.join(ids)}")
    if left_out:
        print(f"{left_out} findings left out; they stand in {workspace.prepared}")


@app.command()
def split(params: ParamsOption = Path("params.yaml")) -> None:
    """Deal lesions (and, for the leaky protocol, images) out to ten stratified parts, with a certificate."""
    from skinlesion.stages import split as stage

    loaded, workspace = _load(params)
    made = stage.split(loaded.split, workspace.prepared, workspace.splits, workspace.reports / "split.json")
    for protocol in ("lesion", "image"):
        shares = made[protocol]["test_images_with_lesion_in_training"].values()
        share = sum(shares) / len(shares)
        crossing = made[protocol]["lesions_across_parts"]
        print(f"{protocol} protocol: {crossing:,} lesions across parts, {share:.1%} of test images leak")


@app.command()
def describe(params: ParamsOption = Path("params.yaml")) -> None:
    """Write the data set's page: classes, ages, sexes, sites, sources, what is missing, and a contact sheet a class."""
    from skinlesion.stages import describe as stage

    loaded, workspace = _load(params)
    print(f"open {stage.describe(loaded.report.title, workspace)}")


@app.command()
def audit(params: ParamsOption = Path("params.yaml")) -> None:
    """Look for duplicates, near-duplicates across parts, overlap with external data, and shortcuts to the diagnosis."""
    from skinlesion.stages import audit as stage
    from skinlesion.stages.contracts import AUDIT_PAGE_NAME

    loaded, workspace = _load(params)
    made = stage.audit(loaded, workspace)
    rule = made["calibration"]
    print(f"exact duplicates: {made['exact_duplicates']} pairs")
    print(
        f"near-duplicates under different lesion ids: {made['near_duplicates']} pairs, "
        f"{made['near_duplicates_across_parts']} across parts (cosine ≥ {rule['cosine_threshold']:.3f}, "
        f"{rule['false_positive_rate']:.1e} of {rule['different_lesion_pairs']:,} pairs of different lesions)"
    )
    if made["known_pairs"]:
        print(f"known pairs of one lesion under two ids: {made['known_pairs_found']} of {made['known_pairs']} found")
    for name, count in made["overlap"].items():
        print(f"{name}: {count} images are also in the data set and left out")
    print(f"open {workspace.audit / AUDIT_PAGE_NAME}")


@app.command()
def train(
    experiment: Annotated[
        str | None, typer.Option(help="An experiment of params.yaml; trains it into models/.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where runs go, instead of models/NAME or runs/.")] = None,
    backbone: Annotated[str | None, typer.Option(help="A timm model name.")] = None,
    weights: Annotated[str | None, typer.Option(help="imagenet, none, or a .safetensors file.")] = None,
    regime: Annotated[str | None, typer.Option(help="frozen, two_stage or full.")] = None,
    fusion: Annotated[
        str | None, typer.Option(help="none, concat, film, cross_attention, metablock or metadata_only.")
    ] = None,
    metadata: Annotated[
        str | None, typer.Option(help="How metadata becomes numbers: onehot, ordinal or embedding.")
    ] = None,
    protocol: Annotated[str | None, typer.Option(help="Split by lesion or by image.")] = None,
    fold: Annotated[list[int] | None, typer.Option(help="Test fold 0 to 4; repeat for several.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Training seed; repeat for several.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Any other field of train, as FIELD=VALUE; repeatable.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train nothing: print shapes, parameters, memory and time.")
    ] = False,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Train an experiment of params.yaml, or whatever the flags say (into runs/, no DVC needed)."""
    from skinlesion.params import parse_setting

    loaded, workspace = _load(params, required=experiment is not None)
    flags: dict[str, Any] = {
        "backbone": backbone, "weights": weights, "regime": regime, "fusion": fusion, "metadata": metadata,
        "protocol": protocol, "folds": fold, "seeds": seed,
    }  # fmt: skip
    changes = {name: value for name, value in flags.items() if value is not None}
    changes |= dict(parse_setting(text) for text in settings or [])
    resolved = _resolve(loaded, experiment, changes)
    folder = out or (workspace.model(experiment) if experiment else workspace.root / "runs" / _run_name(resolved))
    if dry_run:
        from skinlesion.stages.dry_run import dry_run as describe

        print(describe(resolved, experiment or "these settings"))
        return
    if experiment and changes and out is None:
        raise UserError(f"--experiment {experiment}: flags would not stand in params.yaml; add --out DIR, or edit it")
    if int(os.environ.get("RANK", "0")) == 0:  # under torchrun one process speaks
        print(_resolved_text(resolved, folder))

    from skinlesion.stages import train as stage

    summaries = stage.train(
        resolved, loaded.split, workspace, folder, experiment or folder.name, exclusive=experiment is not None
    )
    if int(os.environ.get("RANK", "0")) == 0:
        _print_summaries(summaries, folder)


@app.command()
def evaluate(
    experiment: Annotated[str | None, typer.Option(help="An experiment of params.yaml, trained in models/.")] = None,
    models: Annotated[
        Path | None, typer.Option(help="A folder that `skinlesion train` wrote, such as runs/NAME.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where results go, instead of reports/runs/NAME or the folder.")
    ] = None,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Predict the test parts of trained runs; write predictions, metrics with intervals, and curves."""
    loaded, workspace = _load(params, required=experiment is not None)
    if (experiment is None) == (models is None):
        raise UserError("evaluate: give either --experiment NAME or --models DIR")
    from skinlesion.stages import evaluate as stage

    external: list[str] = []
    if experiment is not None:
        resolved = loaded.experiment(experiment)
        models, out = workspace.model(experiment), out or workspace.results(experiment)
        external = [one.name for one in loaded.external]
    else:
        assert models is not None
        resolved, out = _settings_of(models), out or models
    metrics = stage.evaluate(resolved, loaded.split, loaded.evaluate, workspace, models, out, external)
    _print_metrics(metrics, out)


@app.command()
def ensemble(
    name: Annotated[str, typer.Option(help="An entry of `ensembles:` in params.yaml; its members are evaluated.")],
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Combine experiments' predictions, weights fitted on validation parts; write what evaluate writes."""
    from skinlesion.errors import choices
    from skinlesion.stages import ensemble as stage

    loaded, workspace = _load(params)
    if name not in loaded.ensembles:
        raise UserError(f"--name {name}: not among the ensembles of {params}; {choices(loaded.ensembles, name)}")
    out = workspace.ensemble(name)
    _print_metrics(stage.ensemble(loaded.ensembles[name], loaded.evaluate, workspace, out), out)


def _print_metrics(metrics: dict[str, float], out: Path) -> None:
    for name in ("balanced_accuracy", "macro_f1", "macro_auc", "accuracy", "malignant_auc"):
        if name in metrics:
            interval = (
                f" ({metrics[name + '_low']:.4f} to {metrics[name + '_high']:.4f})" if name + "_low" in metrics else ""
            )
            print(f"{name:>18} {metrics[name]:.4f}{interval}")
    print(f"written to {out}")


@app.command()
def assess(
    name: Annotated[str, typer.Argument(help="An evaluated experiment or ensemble of params.yaml.")],
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Calibration, conformal sets, decisions and subgroups of an evaluated system, fitted on validation parts."""
    from skinlesion.errors import choices
    from skinlesion.stages import assess as stage

    loaded, workspace = _load(params)
    if name not in loaded.systems:
        raise UserError(f"{name}: neither experiment nor ensemble of {params}; {choices(loaded.systems, name)}")
    _print_figures(stage.assess(loaded, workspace, name))
    print(f"written to {workspace.assessment(name)}")


@app.command()
def metadata(params: ParamsOption = Path("params.yaml")) -> None:
    """What metadata add: fields hidden, records exchanged, 0 to 100 % missing, Shapley values, image-only twins."""
    from skinlesion.stages import metadata as stage

    loaded, workspace = _load(params)
    for name, figures in stage.metadata(loaded, workspace).items():
        print(name)
        _print_figures(figures)
    print(f"written to {workspace.metadata_value}")


def _print_figures(figures: dict[str, float]) -> None:
    """Print flat figures, a line each, their limits in brackets."""
    names = [name for name in figures if not name.endswith(("_low", "_high"))]
    width = max((len(name) for name in names), default=0)
    for name in names:
        limits = (figures.get(f"{name}_low"), figures.get(f"{name}_high"))
        interval = "" if None in limits else f"  ({limits[0]:.4f} to {limits[1]:.4f})"
        print(f"  {name:>{width}}  {figures[name]:.4f}{interval}")


@app.command()
def stats(params: ParamsOption = Path("params.yaml")) -> None:
    """Compare the experiments pair by pair: differences with lesion-clustered intervals, McNemar, Holm."""
    from skinlesion.stages import stats as stage
    from skinlesion.stages.contracts import BOOTSTRAP_METHOD

    loaded, workspace = _load(params)
    comparisons = stage.stats(loaded, workspace)
    shown = comparisons[(comparisons["metric"] == loaded.stats.primary) & (comparisons["method"] == BOOTSTRAP_METHOD)]
    for row in shown.itertuples():
        print(
            f"{row.b} − {row.a}: {row.metric} {row.difference:+.4f} ({row.low:+.4f} to {row.high:+.4f}), {row.verdict}"
        )


@app.command()
def report(
    readme: Annotated[
        Path | None, typer.Option(help="Also write the results table between this file's markers.")
    ] = None,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Write reports/report.html (self-contained) and reports/results.md from what the other stages wrote."""
    from skinlesion.stages import report as stage

    loaded, workspace = _load(params)
    page = stage.report(loaded, workspace)
    if readme is not None:
        stage.write_readme_table(workspace, readme)
    print(f"open {page}")


@app.command()
def predict(
    images: Annotated[list[Path], typer.Argument(help="Photographs, or folders of them.")],
    experiment: Annotated[
        str | None, typer.Option(help="Which model; by default the best by validation, with metadata if you give any.")
    ] = None,
    fold: Annotated[int | None, typer.Option(help="The models of one fold; by default the mean over all.")] = None,
    age: Annotated[float | None, typer.Option(help="In years.")] = None,
    sex: Annotated[str | None, typer.Option(help="female or male.")] = None,
    localization: Annotated[str | None, typer.Option(help="Anatomical site, such as back or face.")] = None,
    table: Annotated[
        Path | None, typer.Option(help="A CSV of image_id, age, sex, localization for many photographs.")
    ] = None,
    unlike: Annotated[
        bool, typer.Option("--unlike", help="Say how unlike the prepared images each photograph is.")
    ] = False,
    cam: Annotated[Path | None, typer.Option(help="A folder for pictures of where one fold's model looks.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """What a trained experiment says of photographs: probabilities, conformal set, malignancy. Not for diagnosis."""
    from skinlesion.memory import share_one_heap

    share_one_heap()  # before the imports that start threads
    from skinlesion.stages import predict as stage
    from skinlesion.stages.predicted import Printer
    from skinlesion.stages.predictor import Predictor

    if as_json and as_csv:
        raise UserError("predict: give either --json or --csv")
    loaded, workspace = _load(params)
    record = stage.Record(age, sex, localization).checked()
    known = None if table is None else stage.read_records(table)
    files = stage.find_images(images)
    name = stage.choose_experiment(loaded, workspace, experiment, metadata=not record.empty or known is not None)
    predictor = Predictor.open(loaded, workspace, name, fold)
    neighbours = predictor.neighbours() if unlike else None
    overlay = None
    if cam is not None:
        from skinlesion.stages.explain import overlay_writer

        overlay = overlay_writer(loaded, workspace, name, cam)
    printer = Printer("json" if as_json else "csv" if as_csv else "text", name, predictor, len(files))
    for row in stage.predict(predictor, files, loaded.prepare, record, known, neighbours, overlay):
        printer.show(row)
    printer.end()
    if printer.failed:
        raise typer.Exit(2)


@app.command()
def explain(
    experiment: Annotated[str | None, typer.Option(help="An experiment; with --image.")] = None,
    image: Annotated[list[str] | None, typer.Option(help="A prepared image's id; repeatable.")] = None,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Where models look: overlays of images, or for the best experiments a whole test fold against lesion masks."""
    from skinlesion.stages import explain as stage

    loaded, workspace = _load(params)
    if (experiment is None) != (not image):
        raise UserError("explain: give --experiment NAME and --image ID together, or neither for the best experiments")
    if experiment is not None:
        for path in stage.explain_images(loaded, workspace, experiment, image or []):
            print(path)
        return
    for name, figures in stage.explain_best(loaded, workspace).items():
        print(name)
        _print_figures(figures)
    print(f"written to {workspace.reports / 'explanations'}")


@app.command()
def track(
    to: Annotated[str, typer.Argument(help="mlflow or wandb, each an extra of its own.")],
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Hand every evaluated system's settings, figures and predictions to an experiment tracker."""
    from skinlesion.stages import track as stage

    loaded, workspace = _load(params)
    print(f"{stage.track(loaded, workspace, to)} systems handed to {to}")


@app.command()
def export(
    experiment: Annotated[str, typer.Argument(help="A trained experiment of params.yaml.")],
    out: Annotated[Path, typer.Option(help="The .onnx file; what its inputs mean stands beside it as .json.")],
    fold: Annotated[int, typer.Option(help="Whose model; its first seed is taken.")] = 0,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Write one trained model as ONNX (extra `onnx`), checked against torch on the way."""
    from skinlesion.stages import export as stage

    loaded, workspace = _load(params)
    made = stage.export(loaded, workspace, experiment, fold, out)
    print(f"{out} and {out.with_suffix('.json')}; ONNX Runtime and torch differ by {made['largest_difference']:.1e}")


@app.command()
def verify(
    readme: Annotated[
        Path | None, typer.Option(help="Also check the results table between this file's markers.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Metrics, pages and cards alone: take assessments and statistics as given.")
    ] = False,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Compute every figure of report, cards and README again from the predictions, and fail where one differs."""
    from skinlesion.stages import verify as stage

    loaded, workspace = _load(params)
    problems = stage.verify(loaded, workspace, readme, quick=quick)
    for line in problems[:50]:
        print(line)
    if problems:
        raise UserError(f"{len(problems)} figures or lines differ from what predictions give; run `dvc repro`")
    print("every figure comes out again")


@app.command()
def dashboard(
    port: Annotated[int, typer.Option(min=1024, max=65535, help="The port on 127.0.0.1.")] = 8501,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Open the dashboard on this machine alone: data, training, performance, prediction, comparison."""
    import importlib.util
    import subprocess

    _load(params)
    if importlib.util.find_spec("streamlit") is None:
        raise UserError("dashboard: streamlit is not installed; pip install 'skinlesion[dashboard]'")
    page = Path(__file__).parent / "dashboard" / "app.py"
    settings = {
        "server.address": "127.0.0.1", "server.port": str(port), "server.headless": "true",
        "server.fileWatcherType": "none", "server.maxUploadSize": "20", "browser.gatherUsageStats": "false",
    }  # fmt: skip
    flags = [part for name, value in settings.items() for part in (f"--{name}", value)]
    print(f"open http://127.0.0.1:{port} (Ctrl-C ends it)", file=sys.stderr)
    command = [sys.executable, "-m", "streamlit", "run", str(page), *flags, "--", str(params.resolve())]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


@app.command()
def compare(
    files: Annotated[list[Path], typer.Argument(help="Two or more prediction files, from anywhere.")],
    truth: Annotated[
        Path | None, typer.Option(help="A metadata table (image_id, dx, lesion_id) for files that lack these.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="A metric; repeatable, the first is the primary one.")
    ] = None,
    cluster: Annotated[str, typer.Option(help="lesion_id, or none to take images as independent.")] = "lesion_id",
    replicates: Annotated[int, typer.Option(min=100, help="Bootstrap replicates.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    margin: Annotated[float, typer.Option(min=1e-9, max=1, help="The smallest difference that matters.")] = 0.02,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; its schema is docs/compare.schema.json.")
    ] = False,
) -> None:
    """Compare classifiers on their own prediction files: intervals that respect lesions, verdicts, flips."""
    from skinlesion.stages import compare as stage
    from skinlesion.stages.pairs import Plan

    metrics = tuple(dict.fromkeys(metric or ["balanced_accuracy", "macro_f1", "macro_auc"]))
    plan = Plan(metrics, metrics[0], margin, 0.95, replicates, seed, naive=cluster != "none")
    made = stage.compare_files(files, truth, cluster, plan)
    if as_json:
        print(made.model_dump_json(indent=2))
    else:
        _print_comparison(made)


@app.command()
def diff(
    first: Annotated[str, typer.Argument(metavar="[REV_A]", help="A revision.")] = "HEAD",
    second: Annotated[str, typer.Argument(metavar="[REV_B]", help="Another, or what lies there now.")] = "workspace",
    replicates: Annotated[int, typer.Option(min=100, help="Bootstrap replicates.")] = 10_000,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """What `dvc metrics diff` shows, with paired intervals, verdicts and flips for every experiment that changed."""
    import dataclasses

    from skinlesion.stages.diff import diff as run_diff
    from skinlesion.stages.stats import plan_of

    loaded, workspace = _load(params)
    plan = dataclasses.replace(plan_of(loaded), replicates=replicates, permutations=0)
    reports, lines = run_diff(workspace.root, first, second, plan)
    for name, made in reports.items():
        print(f"== {name}")
        _print_comparison(made)
        print()
    for line in lines:
        print(line)


@app.command()
def score(
    file: Annotated[Path, typer.Argument(help="A prediction file, from anywhere.")],
    truth: Annotated[
        Path | None, typer.Option(help="A metadata table (image_id, dx, lesion_id) for a file that lacks these.")
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(help="Predictions of validation parts by the same runs: adds all that is fitted on them."),
    ] = None,
    metadata_table: Annotated[
        Path | None, typer.Option("--metadata", help="A prepared metadata.csv, for subgroups; with --validation.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where the assessment's tables go; with --validation.")] = None,
    replicates: Annotated[int | None, typer.Option(min=100, help="Bootstrap replicates.  [default: 2000]")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the bootstrap.  [default: 0]")] = None,
    params: Annotated[
        Path | None, typer.Option(help="A params.yaml whose sections evaluate and assess are used.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: values, and reasons for what is undefined.")
    ] = False,
) -> None:
    """Every metric of a prediction file, with intervals; with --validation also calibration, decisions and the rest."""
    import json

    from skinlesion.params import Params, load_params
    from skinlesion.stages.compare import score_file

    if validation is None and (metadata_table or out):
        raise UserError("score: --metadata and --out belong to the assessment; give --validation too")
    loaded = Params() if params is None else load_params(params)
    changes = {"replicates": replicates, "seed": seed}
    settings = loaded.evaluate.model_copy(update={name: value for name, value in changes.items() if value is not None})
    values, notes = score_file(file, truth, settings, validation)
    figures: dict[str, float] = {}
    if validation is not None:
        from skinlesion.stages.assess import assess_files, write_tables

        figures, tables = assess_files(file, validation, truth, metadata_table, settings, loaded.assess)
        if out is not None:
            write_tables(out, tables)
    if as_json:
        content = {"metrics": values, **notes} | ({"assessment": figures} if figures else {})
        print(json.dumps(content, indent=2, sort_keys=True))
        return
    print(f"{notes['images']:,} images of {notes['lesions']:,} lesions; {notes['interval']}")
    _print_figures(values)
    for name, reason in notes["undefined"].items():
        print(f"  {name}  undefined: {reason}")
    if figures:
        print("fitted on validation:")
        _print_figures(figures)
    _warn(notes["warnings"])


def _print_comparison(made: "ComparisonReport") -> None:
    print(
        f"{made.images:,} images in {made.lesions:,} clusters, {made.replicates:,} replicates, seed {made.seed}, "
        f"{made.confidence:.0%} intervals, margin {made.margin:g}"
    )
    pairs = list(dict.fromkeys((row.a, row.b) for row in made.comparisons))
    for a, b in pairs:
        print(f"\n{b} − {a}")
        for row in made.comparisons:
            if (row.a, row.b) == (a, b):
                interval = "" if row.low is None else f" ({row.low:+.4f} to {row.high:+.4f})"
                said = f"  {row.verdict.upper()}" if row.verdict else ""
                figures = f"{'undefined: a class is absent':<48}"
                if row.a_value is not None and row.b_value is not None:
                    difference = f"{row.b_value - row.a_value:+.4f}{interval}"
                    figures = f"{row.a_value:.4f} → {row.b_value:.4f}  {difference:<30}"
                print(f"  {row.metric:<18} {figures}  p {row.p:<8.2g}  {row.method}{said}")
        effects = [
            f"{key.partition(': ')[2]} {value:.2f}"
            for key, value in made.design_effect.items()
            if key.startswith(f"{a} vs {b}:")
        ]
        if effects:
            print(f"  design effect (clustered / naive variance): {', '.join(effects)}")
        flips = made.flips[f"{a} vs {b}"]
        changed = [f"{name} −{len(one.lost)} +{len(one.gained)} of {one.cases}" for name, one in flips.items()]
        print(f"  answers lost and gained: {', '.join(changed)}")
        for word, ids in (("lost", flips["mel"].lost), ("gained", flips["mel"].gained)):
            if ids:
                print(f"  melanomas {word}: {', '.join(ids[:8])}{f' and {len(ids) - 8} more' if len(ids) > 8 else ''}")
    _warn(made.warnings)


def _warn(warnings: list[str]) -> None:
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _load(path: Path, *, required: bool = True) -> "tuple[Params, Any]":
    from skinlesion.params import load_params
    from skinlesion.stages.workspace import Workspace

    return load_params(path, required=required), Workspace(path.parent)


def _resolve(loaded: "Params", experiment: str | None, changes: dict[str, Any]) -> "TrainParams":
    if experiment is None:
        return loaded.resolve(changes, "train")
    loaded.experiment(experiment)
    return loaded.resolve({**(loaded.experiments[experiment] or {}), **changes}, f"experiments.{experiment}")


def _run_name(settings: "TrainParams") -> str:
    """Return a name that says what matters and tells any two configurations apart."""
    import hashlib

    digest = hashlib.sha256(settings.model_dump_json(exclude={"folds", "seeds", "checkpoint_seconds"}).encode())
    inputs: list[str] = ["image"] if settings.fusion == "none" else [settings.fusion, settings.metadata]
    return "-".join([settings.backbone, *inputs, settings.protocol, digest.hexdigest()[:8]])


def _resolved_text(settings: "TrainParams", folder: Path) -> str:
    fields = settings.model_dump(mode="json")
    width = max(len(name) for name in fields)
    return "\n".join([f"training into {folder}", *(f"  {name:<{width}}  {value}" for name, value in fields.items())])


def _settings_of(models: Path) -> "TrainParams":
    """Return the parameters that the runs in a folder were trained with."""
    from skinlesion.params import TrainParams
    from skinlesion.training.runs import RUN_NAME, read_run

    found = sorted(models.glob(f"fold*-seed*/{RUN_NAME}"))
    if not found:
        raise UserError(f"--models {models}: holds no finished run; run `skinlesion train` first")
    run_folders = [read_run(path.parent) for path in found]
    config = run_folders[0]["config"]
    folds = {run["fold"] for run in run_folders}
    seeds = {run["seed"] for run in run_folders}
    return TrainParams.model_validate({**config, "folds": sorted(folds), "seeds": sorted(seeds)})


def _print_summaries(summaries: "list[RunSummary]", folder: Path) -> None:
    for run in summaries:
        state = "already complete" if run.skipped else "trained"
        print(
            f"fold {run.fold} seed {run.seed}: {state}, best epoch {run.best_epoch}, "
            f"validation balanced accuracy {run.validation_balanced_accuracy:.4f}"
        )
    print(f"{len(summaries)} runs in {folder}; next: `skinlesion evaluate`")
