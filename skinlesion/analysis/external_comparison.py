"""Paired comparison of experiments on external data: whether a difference on the test parts generalises."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from skinlesion.analysis.columns import LINEAR_METHOD, RECIPE_METHOD
from skinlesion.analysis.comparison import compare
from skinlesion.analysis.judgement import judge
from skinlesion.analysis.plan import Plan
from skinlesion.evaluation.predictions import Predictions, restrict_classes
from skinlesion.evaluation.registry import make_schema
from skinlesion.vocabulary import CLASSES


def comparable_pairs(pairs: Sequence[tuple[str, str]], folds: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return the pairs of which both predictions average models of the same folds.

    Args:
        folds: the folds behind the predictions, by experiment.
    """
    return [(a, b) for a, b in pairs if a in folds and b in folds and folds[a] == folds[b]]


def compare_external(members: Mapping[str, Predictions], pairs: Sequence[tuple[str, str]], plan: Plan) -> pd.DataFrame:
    """Return the columns of comparisons.csv and `images`: differences b − a among the classes that the data show.

    All of them are exploratory.

    Args:
        members: predictions of the same images by experiment.
        pairs: experiments (a, b), all among `members`.
    """
    first = next(iter(members.values()))
    present = tuple(name for position, name in enumerate(CLASSES) if (first.labels == position).any())
    restricted = {name: restrict_classes(predictions, present) for name, predictions in members.items()}
    schema = make_schema(present)

    def defined(names: Sequence[str]) -> tuple[str, ...]:
        """Return the metrics that these classes have; a class alone has no AUC."""
        return tuple(name for name in names if name in schema.metrics() and (len(present) > 1 or "auc" not in name))

    # The folds of one experiment average into one prediction of each image: nothing is tested fold by fold.
    external_plan = replace(
        plan, metrics=defined(plan.metrics), further={pair: defined(names) for pair, names in plan.further.items()},
        replicates=0, permutations=0, naive=False, test_per_training=None,
    )  # fmt: skip
    compared = compare(restricted, pairs, external_plan, schema)
    mask = compared.table["method"].isin([RECIPE_METHOD, LINEAR_METHOD])
    return judge(compared.table[mask], compared.differences, plan).assign(images=len(first.labels))
