"""Commands on prediction files, from anywhere or from two revisions: compare, score, diff."""

from pathlib import Path
from typing import Annotated

import typer

from skinlesion.choices import LARGEST_SEED, MOST_REPLICATES
from skinlesion.cli.app import PREDICTIONS, ParamsOption, command, load
from skinlesion.errors import UserError, printable
from skinlesion.outputs import check_output_folder

ReplicatesOption = Annotated[
    int | None,
    typer.Option(
        min=100,
        max=MOST_REPLICATES,
        help="Bootstrap replicates.  [default: 10000, fewer beyond 20,000 images]",
    ),
]


@command(
    PREDICTIONS,
    "skinlesion compare image.csv concat.csv",
    "skinlesion compare image.csv concat.csv --metric macro_auc --html comparison.html",
)
def compare(
    files: Annotated[list[Path], typer.Argument(help="Two or more prediction files, from anywhere.")],
    truth: Annotated[
        Path | None, typer.Option(help="A metadata table (image_id, dx, lesion_id) for files that lack these.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="A metric; repeatable, the first is the primary one.")
    ] = None,
    cluster: Annotated[str, typer.Option(help="lesion_id, or none to take images as independent.")] = "lesion_id",
    replicates: ReplicatesOption = None,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of the bootstrap.")] = 0,
    margin: Annotated[
        float | None,
        typer.Option(min=1e-9, max=1, help="Smallest relevant difference in the primary metric."),
    ] = None,
    permutations: Annotated[
        int, typer.Option(min=0, max=MOST_REPLICATES, help="Swaps of the permutation test; 0 leaves it out.")
    ] = 10_000,
    html: Annotated[Path | None, typer.Option(help="Also write a page, complete in itself.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; its schema is docs/compare.schema.json.")
    ] = False,
) -> None:
    """Compare classifiers from their prediction files: lesion-clustered intervals, verdicts and answers that change."""
    from skinlesion import console
    from skinlesion.stages import compare as stage

    plan = stage.default_plan(
        metric, cluster=cluster, margin=margin, replicates=replicates, permutations=permutations, seed=seed
    )
    if html is not None:
        stage.check_page(html)
    report = stage.compare_files(files, truth, cluster, plan)
    if html is not None:
        stage.write_page(html, report)
    if as_json:
        print(report.model_dump_json(indent=2))
        return
    console.show_comparison(report)
    if html is not None:
        console.say(f"page: {html}")


@command(
    PREDICTIONS,
    "skinlesion score predictions.csv",
    "skinlesion score predictions.csv --validation validation.csv --metadata metadata.csv",
)
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
    replicates: Annotated[
        int | None, typer.Option(min=100, max=MOST_REPLICATES, help="Bootstrap replicates.  [default: 2000]")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=LARGEST_SEED, help="Seed of the bootstrap.  [default: 0]")
    ] = None,
    params: Annotated[
        Path | None, typer.Option(help="A params.yaml whose sections evaluate and assess are used.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: values, and reasons for what is undefined.")
    ] = False,
) -> None:
    """Metrics of a prediction file, with intervals; with --validation also calibration, decisions and subgroups."""
    import json

    from skinlesion import console
    from skinlesion.params import Params
    from skinlesion.params_file import load_params
    from skinlesion.stages import score as stage

    if validation is None and (metadata_table or out):
        raise UserError("score: --metadata and --out belong to the assessment; give --validation too")
    if out is not None:
        check_output_folder(out, "--out")
    loaded = Params() if params is None else load_params(params)
    changes = {"replicates": replicates, "seed": seed}
    settings = loaded.evaluate.model_copy(update={name: value for name, value in changes.items() if value is not None})
    scored = stage.score(file, truth, settings, validation, metadata_table, loaded.assess)
    if out is not None:
        stage.write_named_tables(out, scored.tables)
    if as_json:
        content = {"metrics": scored.values, **scored.notes}
        content |= {"assessment": scored.figures} if scored.figures else {}
        print(json.dumps(content, indent=2, sort_keys=True))
        return
    console.show_scores(scored.values, scored.notes, scored.figures)


@command(PREDICTIONS, "skinlesion diff", "skinlesion diff main my-branch")
def diff(
    first: Annotated[str, typer.Argument(metavar="[REV_A]", help="A revision.")] = "HEAD",
    second: Annotated[str, typer.Argument(metavar="[REV_B]", help="Another, or what is there now.")] = "workspace",
    replicates: ReplicatesOption = None,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Show what `dvc metrics diff` shows, with paired intervals, verdicts and flips per changed experiment."""
    import dataclasses

    from skinlesion import console
    from skinlesion.stages.diff import diff as run_diff
    from skinlesion.stages.stats import plan_of

    loaded, workspace = load(params)
    plan = dataclasses.replace(plan_of(loaded), replicates=replicates, permutations=0)
    reports, lines = run_diff(workspace.root, first, second, plan)
    for name, report in reports.items():
        print(f"== {printable(name)}")
        console.show_comparison(report)
        print()
    for line in lines:
        print(printable(line))
