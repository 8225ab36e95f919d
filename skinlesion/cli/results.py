"""Commands on results of the benchmark: assess, metadata, stats, explain, report, track, verify."""

from pathlib import Path
from typing import Annotated

import typer

from skinlesion.choices import Tracker
from skinlesion.cli.app import (
    PIPELINE,
    SHARE,
    HiddenExperiment,
    ParamsOption,
    PublicOption,
    bar,
    command,
    load,
    name_given,
)
from skinlesion.errors import UserError, name_some


@command(PIPELINE, "skinlesion assess concat", "skinlesion assess lite0_concat --params examples/offline/params.yaml")
def assess(
    name: Annotated[str, typer.Argument(help="An evaluated experiment or ensemble of params.yaml.")],
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Calibration, conformal sets, decisions and subgroups of an evaluated system, fitted on validation parts."""
    from skinlesion import console
    from skinlesion.errors import choices
    from skinlesion.stages import assess as stage

    loaded, workspace = load(params)
    if name not in loaded.systems:
        raise UserError(
            f"{name_some([name])}: neither experiment nor ensemble of {params}; {choices(loaded.systems, name)}"
        )
    console.show_figures(stage.assess(loaded, workspace, name))
    print(f"written to {workspace.assessment(name)}")


@command(PIPELINE, "skinlesion metadata", "skinlesion metadata --params examples/phantom/params.yaml")
def metadata(params: ParamsOption = Path("params.yaml")) -> None:
    """What metadata adds: fields hidden, records exchanged, 0 to 100% missing, Shapley values, image-only models."""
    from skinlesion import console
    from skinlesion.stages import metadata as stage

    loaded, workspace = load(params)
    console.show_figures_of(stage.metadata(loaded, workspace), workspace.metadata_value)


@command(PIPELINE, "skinlesion stats", "skinlesion stats --params examples/phantom/params.yaml")
def stats(params: ParamsOption = Path("params.yaml")) -> None:
    """Compare experiments in pairs: lesion-clustered intervals, tests, p-values adjusted for multiple comparisons."""
    from skinlesion import console
    from skinlesion.stages import stats as stage

    loaded, workspace = load(params)
    comparisons = stage.stats(loaded, workspace)
    rows = comparisons[(comparisons["metric"] == loaded.stats.primary) & (comparisons["family"] != "")]
    console.show_verdicts(rows)


@command(PIPELINE, "skinlesion explain", "skinlesion explain concat --image ISIC_0024306")
def explain(
    name: Annotated[str | None, typer.Argument(help="An experiment; with --image.")] = None,
    option: HiddenExperiment = None,
    image: Annotated[list[str] | None, typer.Option(help="A prepared image's id; repeatable.")] = None,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Show where models look: overlays of images, or a test fold of the best experiments against lesion masks."""
    experiment = name_given(name, option)
    if (experiment is None) != (not image):
        raise UserError("explain: give NAME and --image ID together, or neither for the best experiments")
    loaded, workspace = load(params)
    from skinlesion import console
    from skinlesion.stages import explain as stage  # now only: torch takes seconds, and a mistake should not wait

    if experiment is not None:
        for path in stage.explain_images(loaded, workspace, experiment, image or []):
            print(path)
        return
    console.show_figures_of(stage.explain_best(loaded, workspace), workspace.reports / "explanations")


@command(PIPELINE, "skinlesion report --readme README.md", "skinlesion report --public docs/report.html")
def report(
    readme: Annotated[
        Path | None, typer.Option(help="Also write the results table between this file's markers.")
    ] = None,
    public: PublicOption = None,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Write reports/report.html (self-contained) and reports/results.md from what the other stages wrote."""
    from skinlesion.stages import report as stage

    loaded, workspace = load(params)
    if readme is not None:
        stage.check_readme(readme)
    page = stage.report(loaded, workspace, public)
    if readme is not None:
        stage.write_readme_table(workspace, readme)
    print(f"open {page}")


@command(PIPELINE, "skinlesion verify", "skinlesion verify --quick --readme README.md")
def verify(
    readme: Annotated[
        Path | None, typer.Option(help="Also check the results table between this file's markers.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Metrics, pages and cards alone: trust assessments and statistics.")
    ] = False,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Recompute every figure of the report and the model cards from the predictions; fail if one differs."""
    from skinlesion.numbers import count
    from skinlesion.stages import verify as stage

    loaded, workspace = load(params)
    problems = stage.verify(loaded, workspace, readme, quick=quick)
    for line in problems[:50]:
        print(line)
    if problems:
        raise UserError(
            f"{count(len(problems), 'figure')} of the files are not those of the predictions; run `dvc repro`"
        )
    print("all figures were reproduced")


@command(SHARE, "skinlesion track mlflow", "skinlesion track wandb --params examples/phantom/params.yaml")
def track(
    to: Annotated[str, typer.Argument(metavar=bar(Tracker), help="The tracker; each is an extra of its own.")],
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Send every evaluated system's settings, figures and predictions to an experiment tracker."""
    from skinlesion.numbers import count
    from skinlesion.stages import track as stage

    loaded, workspace = load(params)
    print(f"{count(stage.track(loaded, workspace, to), 'system')} sent to {to}")
