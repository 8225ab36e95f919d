"""Models at decision rules of their own, fitted on their validation parts for one metric each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from skinlesion.analysis.columns import COMPARISON_COLUMNS
from skinlesion.analysis.comparison import compare
from skinlesion.analysis.judgement import ComparedDifference, Key, judge
from skinlesion.analysis.metric_intervals import metric_intervals
from skinlesion.analysis.pair_tables import Pair, shared_images
from skinlesion.analysis.plan import Plan
from skinlesion.evaluation.decision_rules import OBJECTIVES, DecisionRule, fit_decision_rule
from skinlesion.evaluation.predictions import Predictions, restrict_images, runs_of
from skinlesion.evaluation.registry import SCHEMA

#: What rules are called in tables: the model's own answers, calibrated ones, and the best for each objective.
AS_IT_IS, CALIBRATED = "highest probability", "highest calibrated probability"

#: Metrics that the table of rules states.
SHOWN = ("balanced_accuracy", "macro_f1", "accuracy", "sensitivity_mel")

#: Run, as (repeat, seed, fold) → its rule for each objective.
Rules = dict[tuple[int, int, int], dict[str, DecisionRule]]


def best_for(objective: str) -> str:
    """Return what the rule for an objective is called in tables."""
    return f"best for {objective}"


def fit_rules(tested: Predictions, validation: Predictions, objectives: Sequence[str] = OBJECTIVES) -> Rules:
    """Return the rules of every run, fitted on its validation part alone.

    Raises:
        UserError: validation predictions lack a run that was tested.
    """
    rules: Rules = {}
    for run in runs_of(tested, validation):
        labels = validation.labels[run.validation]
        probabilities = validation.probabilities[run.layer, run.validation]
        rules[run.repeat, run.seed, run.fold] = {
            objective: fit_decision_rule(objective, labels, probabilities) for objective in objectives
        }
    return rules


def at_own_rule(tested: Predictions, rules: Rules, objective: str, *, calibrated_only: bool = False) -> Predictions:
    """Return test predictions whose highest entry is each run's answer under its rule.

    Args:
        calibrated_only: take the rule's calibrated probabilities instead.
    """
    decided = np.empty_like(tested.probabilities)
    for layer, (repeat, seed) in enumerate(tested.layers):
        for fold in np.unique(tested.folds[layer]).tolist():
            rule = rules[repeat, seed, fold][objective]
            rows = tested.folds[layer] == fold
            apply = rule.calibrated if calibrated_only else rule.apply
            decided[layer, rows] = apply(tested.probabilities[layer, rows])
    return replace(tested, probabilities=decided)


def rules_table(tested: Predictions, rules: Rules, confidence: float) -> pd.DataFrame:
    """Return `rule, metric, value, low, high, note, caution` of a system under each rule."""
    decided = {
        AS_IT_IS: tested,
        CALIBRATED: at_own_rule(tested, rules, OBJECTIVES[0], calibrated_only=True),
        **{best_for(objective): at_own_rule(tested, rules, objective) for objective in OBJECTIVES},
    }
    rows = [
        {"rule": rule, "metric": metric, "value": interval.value, "low": interval.low, "high": interval.high}
        | {"note": interval.note, "caution": interval.caution}
        for rule, predictions in decided.items()
        for metric, interval in metric_intervals(predictions, SHOWN, SCHEMA, confidence).items()
    ]
    return pd.DataFrame(rows)


def compare_at_own_rules(
    tested: Mapping[str, Predictions], validation: Mapping[str, Predictions], pairs: list[Pair], plan: Plan
) -> pd.DataFrame:
    """Return the columns of comparisons.csv and `images`: each metric between models at their own rules for it.

    Metrics without a rule are left out. The table is a family of comparisons of its own, exploratory as a whole.

    Raises:
        UserError: validation predictions lack a run that was tested.
    """
    objectives = [metric for metric in plan.metrics if metric in OBJECTIVES]
    columns = [*COMPARISON_COLUMNS, "images"]
    if not objectives:
        return pd.DataFrame(columns=columns)
    names = dict.fromkeys(name for pair in pairs for name in pair)
    rules = {name: fit_rules(tested[name], validation[name], objectives) for name in names}
    tables: list[pd.DataFrame] = []
    differences: dict[Key, ComparedDifference] = {}
    for objective in objectives:
        decided = {name: at_own_rule(tested[name], rules[name], objective) for name in names}
        quick = replace(
            plan, metrics=(objective,), further={}, primary=objective, replicates=0, permutations=0, naive=False
        )
        for image_ids, inside in shared_images(decided, pairs)[0]:
            members = {name: restrict_images(decided[name], image_ids) for pair in inside for name in pair}
            compared = compare(members, inside, quick)
            rows = compared.table[compared.table["metric"] == objective]  # McNemar's rows are about the accuracy
            tables.append(rows.assign(images=len(image_ids)))
            differences |= compared.differences
    if not tables:
        return pd.DataFrame(columns=columns)
    judged = judge(pd.concat(tables, ignore_index=True), differences, plan)
    return judged.reindex(columns=columns)
