"""The questions about a gain from metadata, each answered by rows of EFFECT_COLUMNS.

Every row is exploratory: its interval allows for lesions and trainings, and for no other row. The claims of params.yaml
are judged by `stats`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from skinlesion.analysis.effect.confounding import subsets
from skinlesion.analysis.effect.contrasts import Contrasts, Term, gain
from skinlesion.evaluation.predictions import Predictions, restrict_images, restrict_repeats
from skinlesion.vocabulary import CLASSES, MALIGNANT

#: Metrics that a gain is stated in.
METRICS = ("balanced_accuracy", "macro_auc", "macro_f1", "accuracy", "malignant_auc")
_OF_CLASSES = tuple(f"{kind}_{name}" for kind in ("sensitivity", "auc") for name in CLASSES)
_WITHIN = ("balanced_accuracy", "malignant_auc")

Rows = Iterator[dict[str, Any]]


def of_gain(systems: Mapping[str, Predictions], arms: tuple[str, str], confidence: float) -> Rows:
    """Yield "gain": both models' metrics and their difference; "class": where the difference is.

    A class's part of the gain in balanced accuracy is a seventh of its gain in sensitivity: parts of the malignant and
    of the benign classes are sums of these.
    """
    common = common_images({name: systems[name] for name in arms})
    contrasts = Contrasts(common, [*METRICS, *_OF_CLASSES], confidence)
    for metric in METRICS:
        for name in arms:
            yield contrasts.row("model", name, metric, [Term(1, name, metric)])
        yield contrasts.row("gain", "all images", metric, gain(*arms, metric))
    present = [name for place, name in enumerate(CLASSES) if (common[arms[0]].labels == place).any()]
    for kind in ("sensitivity", "auc"):
        for name in present:
            yield contrasts.row("class", name, kind, gain(*arms, f"{kind}_{name}"))
    malignant = [name for name in present if name in MALIGNANT]
    parts = {name: [name] for name in present}
    parts |= {"malignant": malignant, "benign": [name for name in present if name not in malignant]}
    for group, members in parts.items():
        terms = [term for name in members for term in gain(*arms, f"sensitivity_{name}", 1 / len(present))]
        if terms:
            yield contrasts.row("part of the gain", group, "balanced_accuracy", terms)


def of_placebo(
    systems: Mapping[str, Predictions], fusions: Sequence[tuple[str, str | None, str]], confidence: float
) -> Rows:
    """Yield "placebo": each multimodal model against the same with other lesions' records, and that against its twin.

    Args:
        fusions: (multimodal, image-only twin, placebo) of each experiment with metadata.
    """
    for multimodal, twin, placebo in fusions:
        chosen = {name: systems[name] for name in (multimodal, twin, placebo) if name is not None}
        contrasts = Contrasts(common_images(chosen), METRICS, confidence)
        for metric in METRICS:
            group = f"{multimodal} against its placebo"
            yield contrasts.row("placebo", group, metric, gain(placebo, multimodal, metric))
            if twin is not None:
                without = f"{placebo} against the image alone"
                yield contrasts.row("placebo", without, metric, gain(twin, placebo, metric))


def of_leak(
    systems: Mapping[str, Predictions], arms: tuple[str, str], leaky: tuple[str, str], confidence: float
) -> Rows:
    """Yield "leak": what a split by image adds to either arm, and to the gain of the one over the other."""
    contrasts = Contrasts(common_images({name: systems[name] for name in (*arms, *leaky)}), METRICS, confidence)
    for metric in METRICS:
        by_arm = [gain(honest, flattered, metric) for honest, flattered in zip(arms, leaky, strict=True)]
        yield contrasts.row("leak", "image only", metric, by_arm[0])
        yield contrasts.row("leak", "with metadata", metric, by_arm[1])
        yield contrasts.row("leak", "difference", metric, _difference(*by_arm))


def of_injection(systems: Mapping[str, Predictions], doses: Mapping[int, tuple[str, str]], confidence: float) -> Rows:
    """Yield "injection": what each dose adds over dose 0 to either arm and to their difference, same test images."""
    names = [name for arms in doses.values() for name in arms]
    contrasts = Contrasts(common_images({name: systems[name] for name in names}), METRICS, confidence)
    for dose, arms in doses.items():
        if dose == 0:
            continue
        for metric in METRICS:
            by_arm = [gain(none, some, metric) for none, some in zip(doses[0], arms, strict=True)]
            yield contrasts.row("injection", f"image only, up to {dose}", metric, by_arm[0])
            yield contrasts.row("injection", f"with metadata, up to {dose}", metric, by_arm[1])
            yield contrasts.row("injection", f"difference, up to {dose}", metric, _difference(*by_arm))


def of_effort(
    systems: Mapping[str, Predictions], arms: tuple[str, str], tuned: tuple[str, str], confidence: float
) -> Rows:
    """Yield "effort": the gain where both arms were tuned alike, the untuned one there, and their difference."""
    repeats = set.intersection(*(set(systems[name].repeats) for name in (*arms, *tuned)))
    chosen = {name: restrict_repeats(systems[name], repeats) for name in (*arms, *tuned)}
    contrasts = Contrasts(common_images(chosen), METRICS, confidence)
    for metric in METRICS:
        plain, equal = gain(*arms, metric), gain(*tuned, metric)
        yield contrasts.row("effort", "untuned", metric, plain)
        yield contrasts.row("effort", "tuned", metric, equal)
        yield contrasts.row("effort", "difference", metric, _difference(plain, equal))


def of_sources(
    systems: Mapping[str, Predictions],
    arms: tuple[str, str],
    sources: Mapping[str, str],
    confirmed: Collection[str],
    confidence: float,
) -> Rows:
    """Yield "source": the gain within each source of images, among confirmed ones, and with sources balanced.

    Args:
        sources: image id → the collection it comes from.
        confirmed: ids of the images whose diagnosis histology confirmed.
    """
    chosen = common_images({name: systems[name] for name in arms})
    first = chosen[arms[0]]
    image_sources = np.array([sources[image_id] for image_id in first.image_ids])
    histology = np.isin(first.image_ids, list(confirmed))
    for view, weights in subsets(first.labels, first.lesions, image_sources, histology):
        contrasts = Contrasts(chosen, _WITHIN, confidence, weights)
        for metric in _WITHIN:
            yield contrasts.row("source", view, metric, gain(*arms, metric))


def _difference(first: Sequence[Term], second: Sequence[Term]) -> list[Term]:
    """Return second − first."""
    return [*(Term(-term.coefficient, term.system, term.metric) for term in first), *second]


def common_images(systems: dict[str, Predictions]) -> dict[str, Predictions]:
    """Return the systems on the images that all of them were tested on."""
    ids = [system.image_ids for system in systems.values()]
    shared = ids[0]
    for other in ids[1:]:
        shared = np.intersect1d(shared, other)
    return {name: restrict_images(system, shared) for name, system in systems.items()}
