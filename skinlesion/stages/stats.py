"""stats: every pair of experiments on the same images, verdicts, claims, and the sources of uncertainty."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pandas as pd

from skinlesion.analysis.claims import answer_claims, claimed_keys
from skinlesion.analysis.columns import COMPARISON_COLUMNS
from skinlesion.analysis.comparison import compare
from skinlesion.analysis.external_comparison import comparable_pairs, compare_external
from skinlesion.analysis.judgement import ComparedDifference, Key, judge
from skinlesion.analysis.own_rules import compare_at_own_rules
from skinlesion.analysis.pair_tables import Pair, cochran, detectable_table, flips_table, shared_images, variance_table
from skinlesion.analysis.plan import Plan, plan_from
from skinlesion.errors import UserError
from skinlesion.evaluation.predictions import Predictions, read_predictions, read_validation, restrict_images
from skinlesion.files import write_csv, write_json
from skinlesion.folds import TEST_PARTS, TRAINING_PARTS
from skinlesion.params import Params
from skinlesion.reading import read_json
from skinlesion.results.claims_record import claims_record
from skinlesion.results.names import (
    EXTERNAL_FOLDER,
    EXTERNAL_NOTES_NAME,
    METRICS_NAME,
    PREDICTIONS_NAME,
    STATISTICS_NAME,
    VALIDATION_NAME,
)
from skinlesion.results.shapes import ExternalNotes
from skinlesion.results.workspace import Workspace, evaluate_command


def stats(params: Params, workspace: Workspace) -> pd.DataFrame:
    """Write reports/stats/: comparisons, own_rules, claims, external, flips, variance, detectable (CSV) and stats.json.

    Returns:
        The comparisons. Differences are b − a.

    Raises:
        UserError: an experiment's predictions are missing or contradict another's.
    """
    predictions = {
        name: read_predictions(
            workspace.system(params, name) / PREDICTIONS_NAME, remedy=evaluate_command(params, name)
        )[0]
        for name in params.systems
    }
    pairs = [(pair[0], pair[1]) for pair in params.stats.pairs or combinations(params.systems, 2)]
    claimed_pairs = dict.fromkeys((claim.a, claim.b) for claim in params.claims)
    pairs += [pair for pair in claimed_pairs if pair not in pairs and pair[::-1] not in pairs]
    plan = plan_of(params)
    omnibus: dict[str, float] = {}
    differences: dict[Key, ComparedDifference] = {}
    tables: dict[str, list[pd.DataFrame]] = {"comparisons": [], "flips": [], "variance": [], "detectable": []}
    groups, skipped = shared_images(predictions, pairs)
    for image_ids, inside in groups:
        names = dict.fromkeys(name for pair in inside for name in pair)
        members = {name: restrict_images(predictions[name], image_ids) for name in names}
        compared = compare(members, inside, plan)
        omnibus = omnibus or cochran(members)
        tables["comparisons"].append(compared.table.assign(images=len(image_ids)))
        tables["flips"].append(flips_table(members, inside))
        tables["variance"].append(variance_table(members, inside, plan))
        differences |= compared.differences
        tables["detectable"].append(detectable_table(members, inside, plan))
    out = workspace.statistics
    joined = {name: pd.concat(parts, ignore_index=True) if parts else pd.DataFrame() for name, parts in tables.items()}
    comparisons = judge(joined["comparisons"], differences, plan, claimed_keys(params.claims))
    comparisons = comparisons.reindex(columns=[*COMPARISON_COLUMNS, "images"])
    claims = answer_claims(comparisons, params.claims)
    written = joined | {
        "comparisons": comparisons,
        "claims": claims,
        "external": _external(params, workspace, pairs, plan),
        "own_rules": compare_at_own_rules(predictions, _validation(params, workspace), pairs, plan),
    }
    for name, table in written.items():
        write_csv(out / f"{name}.csv", table, float_format="%.9g")
    claimed = dict.fromkeys(name for claim in params.claims for name in (claim.a, claim.b))
    record = claims_record(
        workspace.params_file, {name: workspace.system(params, name) / METRICS_NAME for name in claimed}
    )
    write_json(out / STATISTICS_NAME, _summary(params, comparisons, claims, skipped) | omnibus | record.entries())
    return comparisons


def _validation(params: Params, workspace: Workspace) -> dict[str, Predictions]:
    return {
        name: read_validation(workspace.system(params, name) / VALIDATION_NAME, remedy=evaluate_command(params, name))[
            0
        ]
        for name in params.systems
    }


def plan_of(params: Params) -> Plan:
    """Return the comparison plan that params.yaml fixes."""
    further: dict[Pair, tuple[str, ...]] = {}
    for claim in params.claims:
        further[claim.a, claim.b] = (*further.get((claim.a, claim.b), ()), claim.metric)
    return plan_from(
        params.stats,
        further=further,
        test_per_training=TEST_PARTS / TRAINING_PARTS,
    )


def _external(params: Params, workspace: Workspace, pairs: Sequence[Pair], plan: Plan) -> pd.DataFrame:
    """Return external.csv: `external`, the columns of comparisons.csv, `images`.

    Ensembles are not predicted there; experiments that average different numbers of folds are not compared.

    Raises:
        UserError: an experiment's external predictions are missing.
    """
    folders = {name: workspace.results(name) / EXTERNAL_FOLDER for name in params.experiments}
    notes = {
        name: read_json(folder / EXTERNAL_NOTES_NAME, evaluate_command(params, name), dict[str, ExternalNotes])
        for name, folder in folders.items()
        if params.external
    }
    tables = []
    for data in params.external:
        for name, by_set in notes.items():
            if data.name not in by_set:
                path = folders[name] / EXTERNAL_NOTES_NAME
                raise UserError(f"{path}: holds nothing of {data.name}; {evaluate_command(params, name)}")
        comparable = comparable_pairs(pairs, {name: by_set[data.name]["folds"] for name, by_set in notes.items()})
        names = dict.fromkeys(name for pair in comparable for name in pair)
        if names:
            members = {name: read_predictions(folders[name] / f"{data.name}.csv")[0] for name in names}
            tables.append(compare_external(members, comparable, plan).assign(external=data.name))
    columns = ["external", *COMPARISON_COLUMNS, "images"]
    return pd.concat([pd.DataFrame(columns=columns), *tables]).reindex(columns=columns)


def _summary(params: Params, comparisons: pd.DataFrame, claims: pd.DataFrame, skipped: list[str]) -> dict[str, Any]:
    primary = comparisons[(comparisons["metric"] == params.stats.primary) & (comparisons["family"] != "")]
    return {
        "comparisons": len(primary),
        "verdicts": _counted(primary["verdict"]),
        "claims": _counted(claims["answer"]),
        "margins": dict(params.stats.margins),
        "one_sided": params.stats.one_sided,
        "replicates": params.stats.replicates,
        "seed": params.stats.seed,
        "primary": params.stats.primary,
        "skipped": skipped,
    }


def _counted(words: pd.Series) -> dict[str, int]:
    """Return how often each verdict or answer occurs; the reasons for having none count together."""
    return {str(name): int(count) for name, count in words.str.split(":").str[0].value_counts().items()}
