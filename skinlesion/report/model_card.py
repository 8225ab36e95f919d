"""Model cards: what each experiment is, must not be used for, and how well it does, filled from results."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from skinlesion.evaluation import registry
from skinlesion.evaluation.registry import title_of
from skinlesion.numbers import count, figure, interval_note, number, p_value, plain, row_interval
from skinlesion.params import TrainParams
from skinlesion.report.card_metadata import card_metadata, front_matter
from skinlesion.report.headlines import CARD_METADATA, card_assessment
from skinlesion.report.tables import SPLIT_BY, averaged_over, count_models, metric_figure
from skinlesion.report.templates import render_text
from skinlesion.results.reader import Results
from skinlesion.vocabulary import CLASS_NAMES, CLASSES

#: Where a reader finds the paper and the archive of HAM10000.
_DATA_LINKS = {"paper": "https://doi.org/10.1038/sdata.2018.161", "archive": "https://doi.org/10.7910/DVN/DBW86T"}
#: Metrics whose worst groups are listed.
_WORST = ("balanced_accuracy", "malignant_sensitivity")


def model_card(results: Results, name: str, exported: Sequence[int] | None = None) -> str:
    """Return the model card of one experiment as Markdown, with the metadata of the Hugging Face Hub.

    Args:
        exported: fold, seed and repeat of the run whose weights lie beside the card; None for a card of the report,
            whose links lead to the other files of reports/.

    Raises:
        UserError: a file of an earlier stage is missing.
    """
    system, settings, prepared = results.system(name), results.params.experiment(name), results.prepared
    assessment, value = results.assessment(name), results.metadata_value.get(name, {})
    notes, images = system.notes, prepared["images_by_class"]
    ham10000 = prepared["source"] == "ham10000"
    rarest = min((dx for dx in CLASSES if images.get(dx)), key=lambda dx: images[dx])
    protocol = SPLIT_BY[settings.protocol]
    if settings.protocol != "lesion":
        protocol += " (leaky: puts images of one lesion into both the training and the test set)"
    return render_text(
        "card.md.j2",
        name=name,
        front_matter=front_matter(card_metadata(results, name)),
        exported=exported,
        ham10000=ham10000,
        data_links=_DATA_LINKS,
        synthetic=prepared["synthetic"],
        facts=[
            ("backbone", f"{system.description['backbone']}, weights {settings.weights}"),
            ("input", system.description["input"]),
            (
                "training",
                f"{system.description['training']}, loss {settings.loss}, augmentation {settings.augment.preset}",
            ),
            ("models", count_models(len(settings.folds), len(settings.seeds), len(settings.repeats))),
            ("made by", f"skinlesion {notes['versions']['skinlesion']}, torch {notes['versions']['torch']}"),
            ("on", f"{notes['device']['name']} ({notes['device']['type']})"),
            (
                "licence",
                f"code Apache-2.0; weights follow the data's licence{' (HAM10000: CC BY-NC 4.0)' if ham10000 else ''}",
            ),
        ],
        classes=", ".join(f"{dx} ({words})" for dx, words in CLASS_NAMES.items()),
        protocol=f"split by {protocol}, paired with other systems on the same images",
        data=f"{count(notes['images'], 'tested image')} of {count(notes['lesions'], 'lesion')}, "
        f"of {count(prepared['images'])} prepared.",
        attribution=prepared["attribution"],
        training=_training(settings),
        version=notes["versions"]["skinlesion"],
        how=f"Out-of-fold, mean over {averaged_over(len(settings.repeats))}; in brackets: {interval_note(notes)}.",
        figures=[(title_of(name), metric_figure(system, name)) for name in registry.CARD],
        sensitivities=", ".join(f"{dx} {metric_figure(system, f'sensitivity_{dx}')}" for dx in CLASSES),
        assessed=_titled(assessment, card_assessment(results.params.assess)),
        metadata=_titled(value, CARD_METADATA) if value else [],
        worst=_worst(results, name),
        external=_external(results, name),
        rarest=f"{count(images[rarest], 'image is', 'images are')} {rarest}",
        class_weights=settings.class_weights,
        uses_metadata=settings.uses_metadata,
    )


def _training(settings: TrainParams) -> list[tuple[str, str]]:
    """Return the settings of the training that a reader asks for first."""
    rows = [
        ("regime", settings.regime),
        (
            "optimiser",
            f"{settings.optimizer}, learning rate {plain(settings.lr)}, weight decay {plain(settings.weight_decay)}",
        ),
        ("batch size, epochs at most, patience", f"{settings.batch_size}, {settings.epochs}, {settings.patience}"),
    ]
    if settings.fine_tunes:
        rows.append(
            (
                "fine-tuning: learning rate, batch size, epochs at most, patience",
                f"{plain(settings.finetune_lr)}, {settings.finetune_batch_size}, {settings.finetune_epochs}, "
                f"{settings.finetune_patience}",
            )
        )
    return [
        *rows,
        ("sampler, class weights", f"{settings.sampler}, {settings.class_weights}"),
        ("precision", settings.precision),
    ]


def _titled(figures: Mapping[str, float], names: Iterable[str]) -> list[tuple[str, str]]:
    """Return titles of some figures with their text."""
    return [(title_of(name), figure(figures, name, None)) for name in names]


def _worst(results: Results, name: str) -> list[dict[str, Any]]:
    """Return the worst group of each column, as text."""
    groups = results.subgroups(name)
    groups = groups[(groups["worst"] == "worst") & groups["metric"].isin(_WORST)]
    return [
        {
            "column": row["column"],
            "group": row["group"],
            "images": count(row["images"]),
            "lesions": count(row["lesions"]),
            "metric": title_of(row["metric"]) if row["metric"] in registry.METRICS else row["metric"].replace("_", " "),
            "value": row_interval(row),
            "rest": number(row["rest"]),
            "p": p_value(row["p_adjusted"]),
        }
        for row in groups.to_dict("records")
    ]


def _external(results: Results, name: str) -> list[str]:
    """Return one line per external data set."""
    lines = []
    for external in results.params.external:
        figures = results.external_figures(name, external.name)
        lines.append(
            f"{external.name}: balanced accuracy {figure(figures, 'balanced_accuracy')} among the classes it shows, "
            f"{figure(figures, 'open_balanced_accuracy')} with all seven open, {count(figures['images'], 'image')}"
        )
    return lines
