"""Paired comparison of experiments on external data: whether a difference on the test parts generalises."""

from collections.abc import Mapping, Sequence

import pandas as pd

from skinlesion.analysis.comparison import Plan, bootstrap_rows
from skinlesion.evaluation.predictions import Predictions, restrict_classes
from skinlesion.evaluation.registry import make_schema
from skinlesion.stats.bootstrap import bootstrap
from skinlesion.vocabulary import CLASSES


def comparable_pairs(pairs: Sequence[tuple[str, str]], folds: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return the pairs of which both predictions average models of the same folds.

    Args:
        folds: the folds behind the predictions, by experiment.
    """
    return [(a, b) for a, b in pairs if a in folds and b in folds and folds[a] == folds[b]]


def compare_external(members: Mapping[str, Predictions], pairs: Sequence[tuple[str, str]], plan: Plan) -> pd.DataFrame:
    """Return the columns of comparisons.csv and `images`: differences b − a among the classes that the data show.

    Args:
        members: predictions of the same images by experiment.
        pairs: experiments (a, b), all among `members`.
    """
    names = tuple(members)
    first = members[names[0]]
    present = tuple(name for position, name in enumerate(CLASSES) if (first.labels == position).any())
    schema = make_schema(present)
    restricted = [restrict_classes(members[name], present) for name in names]
    # One class alone has no AUC.
    metrics = tuple(name for name in plan.metrics if len(present) > 1 or not name.endswith("auc"))
    resampled = bootstrap(
        restricted[0].labels,
        [predictions.probabilities for predictions in restricted],
        first.lesions,
        metrics,
        schema,
        replicates=plan.replicates,
        seed=plan.seed,
    )
    rows = [row for a, b in pairs for row in bootstrap_rows(a, b, names, resampled, None, plan)]
    return pd.DataFrame(rows).assign(images=len(first.labels))
