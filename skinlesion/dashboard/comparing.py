"""Two systems compared as `skinlesion compare` does it, on the images that both were tested on; no resampling."""

import numpy as np

from skinlesion.analysis.pair_report import ComparisonReport, ComparisonRow, report_pairs
from skinlesion.analysis.plan import plan_from
from skinlesion.errors import UserError
from skinlesion.evaluation.predictions import Predictions, restrict_images
from skinlesion.params import StatsParams


def shared_images(a: Predictions, b: Predictions) -> tuple[Predictions, Predictions]:
    """Return both on the images that they share, in the order of the ids; of other images there may be none left."""
    common = np.intersect1d(a.image_ids, b.image_ids)
    return restrict_images(a, common), restrict_images(b, common)


def compare_two(names: tuple[str, str], a: Predictions, b: Predictions, settings: StatsParams) -> ComparisonReport:
    """Return the comparison b − a by accuracy and by every metric of `stats`.

    Raises:
        UserError: they share no images, or say different things of one.
    """
    first, second = shared_images(a, b)
    if not len(first.labels):
        raise UserError(f"{names[0]} and {names[1]} were tested on different images: none is in both")
    metrics = tuple(dict.fromkeys([settings.primary, *settings.metrics, "accuracy"]))
    plan = plan_from(settings, metrics=metrics, replicates=0, permutations=0, naive=False)
    return report_pairs({names[0]: first, names[1]: second}, "lesion_id", plan, [])


def judged_rows(report: ComparisonReport) -> list[ComparisonRow]:
    """Return the rows that carry the verdicts, one for each metric."""
    return [row for row in report.comparisons if row.verdict]
