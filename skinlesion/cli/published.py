"""Commands on what others published: retest, registry."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skinlesion.cli.app import PREDICTIONS, command
from skinlesion.numbers import count, figure, interval, number, percent

if TYPE_CHECKING:
    from skinlesion.analysis.published_results import Checked
    from skinlesion.analysis.retest import Retest


@command(
    PREDICTIONS,
    "skinlesion retest folder-of-predictions",
    "skinlesion retest model.csv --published figures.csv --train-ids train.csv",
)
def retest(
    files: Annotated[
        list[Path], typer.Argument(help="Prediction files as a group published them, or a folder that holds them.")
    ],
    out: Annotated[Path, typer.Option(help="The folder for retest.html, .md, .svg and .json.")] = Path("retest"),
    archive: Annotated[
        Path | None, typer.Option(help="HAM10000's metadata.  [default: data/prepared, data/raw/ham10000]")
    ] = None,
    classes: Annotated[Path | None, typer.Option(help="A table of class numbers and names.")] = None,
    train_ids: Annotated[Path | None, typer.Option(help="The images that the models were trained on.")] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="Duplicates that `audit` listed.  [default: reports/audit/pairs.csv, if there]")
    ] = None,
    published: Annotated[Path | None, typer.Option(help="Published figures, one row for each model.")] = None,
    ours: Annotated[
        list[Path] | None, typer.Option(help="This project's out-of-fold predictions, shown beside; repeatable.")
    ] = None,
    metric: Annotated[str, typer.Option(help="The metric that pairs are compared by.")] = "balanced_accuracy",
    logits: Annotated[bool, typer.Option("--logits", help="Scores are logits.")] = False,
) -> None:
    """Reanalyse published predictions on HAM10000: shared lesions, published figures recomputed, paired tests."""
    from skinlesion.stages import retest as stage

    stage.check_out(out)
    result = stage.retest_files(
        files, metric, archive=archive, classes=classes, training=train_ids, audited=pairs, published=published,
        ours=ours or (), logits=logits,
    )  # fmt: skip
    stage.write_retest(out, result, metric)
    _show_retest(result, metric, out / stage.OUTPUTS["html"])


@command(PREDICTIONS, "skinlesion registry", "skinlesion registry p3_image")
def registry(
    name: Annotated[str | None, typer.Argument(help="An entry; all of them by default.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Entries of one's own, one YAML file each.")] = None,
) -> None:
    """Published results on HAM10000: where they are from, and every figure recomputed from the counts of answers."""
    from skinlesion.stages import registry as stage

    _show_registry(stage.registry(folder, name), in_full=name is not None)


def _show_retest(result: "Retest", metric: str, page: Path) -> None:
    """Print what the images share, how many published figures hold, and every model, the best first."""
    from skinlesion.console import say

    content = result.certificate
    shared = content["images_of_lesions_with_others_outside"]
    say(
        f"{count(content['images'], 'image')} of {count(content['lesions'], 'lesion')}; "
        f"{count(shared)} ({percent(shared / content['images'])}) of lesions with other images outside the set"
    )
    if content["images_of_trained_lesions"] is not None:
        say(f"{count(content['images_of_trained_lesions'], 'image')} of lesions that were trained on")
    if content["published_without_predictions"]:
        say(f"figures of models without predictions here: {', '.join(content['published_without_predictions'])}")
    if len(result.figures):
        unequal = result.figures[~result.figures["equal"]]
        equal = len(result.figures) - len(unequal)
        say(f"{count(equal)} of {count(len(result.figures), 'published figure')} recomputed")
        for row in unequal.to_dict("records"):
            published, recomputed = number(row["published"], 4), number(row["recomputed"], 4)
            mean = " (published: a mean of bootstrap replicates)" if row["is_bootstrap_mean"] else ""
            say(f"  {row['model']} {row['column']}: published {published}, recomputed {recomputed}{mean}")
    table = result.models.sort_values(metric, ascending=False)
    width = max(len(name) for name in table["model"])
    say(metric.replace("_", " "))
    for row in table.to_dict("records"):
        say(f"  {row['model']:{width}}  {figure({str(name): value for name, value in row.items()}, metric)}")
    if len(result.pairs):
        pairs = result.pairs[result.pairs["metric"] == metric]
        differ = int((pairs["p_holm"] < result.level).sum())
        say(f"{differ} of {count(len(pairs), 'pair')} differ (p < {result.level}, by lesion, Holm)")
    say(f"page: {page}")


def _show_registry(entries: "Sequence[Checked]", *, in_full: bool) -> None:
    """Print published results: source, split and figures that follow from the counts; in full every printed figure."""
    from skinlesion.console import say

    width = max(len(entry.name) for entry in entries)
    for checked in entries:
        entry = checked.entry
        say(f"{checked.name:{width}}  {entry.title}")
        say(f"{'':{width}}  {entry.source.repository}@{entry.source.commit}; {entry.predicted}; {entry.split.part}")
        for metric, limits in checked.intervals.items():
            text = interval(checked.values[metric], *limits) if limits else number(checked.values[metric])
            say(f"{'':{width}}  {metric.replace('_', ' ')} {text}")
        if entry.note:
            say(f"{'':{width}}  note: {entry.note}")
        if in_full:
            for metric, printed in entry.figures.items():
                stated = (
                    printed if isinstance(printed, str) else f"{printed.published}, recomputed {printed.recomputed}"
                )
                say(f"{'':{width}}  {metric}: {stated}")
            for metric, digits in entry.not_recomputed.items():
                say(f"{'':{width}}  {metric}: {digits}, not recomputed: that needs probabilities")
    printed_figures = [value for checked in entries for value in checked.entry.figures.values()]
    following = sum(isinstance(value, str) for value in printed_figures)
    say(
        f"{count(len(entries), 'entry', 'entries')}: {count(following)} of {count(len(printed_figures))} printed "
        "figures follow from the counts of answers, the others differ as stated"
    )
    say("intervals: 95% over images, taken as independent")
