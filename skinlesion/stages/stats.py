"""stats: every pair of experiments on the same images, verdicts, claims, and what the uncertainty is made of."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.errors import UserError
from skinlesion.evaluation.predictions import Predictions, read_predictions
from skinlesion.evaluation.subset import restrict
from skinlesion.files import write_csv, write_json
from skinlesion.params import ClaimParams, Params
from skinlesion.stages.contracts import BOOTSTRAP_METHOD, CLAIM_COLUMNS, COMPARISON_COLUMNS, PREDICTIONS_NAME
from skinlesion.stages.external_pairs import external_comparisons
from skinlesion.stages.pairs import Compared, Plan, adjust, compare, fold_values, pair_flips
from skinlesion.stages.workspace import Workspace
from skinlesion.stats.cochran import cochran_q
from skinlesion.stats.power import minimum_detectable_difference
from skinlesion.stats.variance import variance_budget
from skinlesion.stats.verdict import answer_claim
from skinlesion.vocabulary import CLASSES

_POWER_SIMULATIONS = 300


def stats(params: Params, workspace: Workspace) -> pd.DataFrame:
    """Write reports/stats/: comparisons, claims, external, flips, variance, detectable (CSV) and stats.json.

    Returns:
        The comparisons. Differences are b − a.

    Raises:
        UserError: an experiment's predictions are missing or contradict another's.
    """
    predictions = {
        name: read_predictions(workspace.system(params, name) / PREDICTIONS_NAME)[0] for name in params.systems
    }
    pairs = [(pair[0], pair[1]) for pair in params.stats.pairs or combinations(params.systems, 2)]
    pairs += [pair for pair in _claimed_pairs(params) if pair not in pairs and pair[::-1] not in pairs]
    plan = plan_of(params)
    cochran: dict[str, float] = {}
    tables: dict[str, list[pd.DataFrame]] = {"comparisons": [], "flips": [], "variance": [], "detectable": []}
    shared, skipped = _shared_images(predictions, pairs)
    for image_ids, inside in shared:
        members = {name: restrict(predictions[name], image_ids) for pair in inside for name in pair}
        compared = compare(members, inside, plan)
        cochran = cochran or _cochran(members)
        tables["comparisons"].append(compared.table.assign(images=len(image_ids)))
        tables["flips"].append(_flips(members, inside))
        tables["variance"].append(_variance(members, inside, compared, plan))
        tables["detectable"].append(_detectable(members, inside, plan))
    out = workspace.reports / "stats"
    made = {name: pd.concat(parts, ignore_index=True) if parts else pd.DataFrame() for name, parts in tables.items()}
    comparisons = made["comparisons"].reindex(columns=[*COMPARISON_COLUMNS, "images"])
    comparisons["p_adjusted"] = adjust(comparisons, plan.primary)
    claims = answer_claims(comparisons, params.claims)
    written = made | {
        "comparisons": comparisons,
        "claims": claims,
        "external": external_comparisons(params, workspace, pairs, plan),
    }
    for name, table in written.items():
        write_csv(out / f"{name}.csv", table, float_format="%.9g")
    write_json(out / "stats.json", _summary(params, comparisons, claims, skipped) | cochran)
    return comparisons


def plan_of(params: Params) -> Plan:
    """Return the comparison plan that params.yaml fixes."""
    settings = params.stats
    claimed = [claim.metric for claim in params.claims]
    return Plan(
        metrics=tuple(dict.fromkeys([*settings.metrics, *claimed])),
        primary=settings.primary,
        margin=settings.margin,
        confidence=settings.confidence,
        replicates=settings.replicates,
        seed=settings.seed,
        permutations=settings.permutations,
    )


def answer_claims(comparisons: pd.DataFrame, claims: list[ClaimParams]) -> pd.DataFrame:
    """Return claims.csv: each claim with the difference b − a that answers it."""
    judged = comparisons[comparisons["method"] == BOOTSTRAP_METHOD]
    rows = []
    for claim in claims:
        row: dict[str, Any] = claim.model_dump()
        found = _find(judged, claim.a, claim.b, claim.metric)
        if found is None:
            rows.append(row | {"verdict": "", "answer": "not tested on the same images"})
        else:
            answer = answer_claim(found["verdict"], claim.direction) if found["verdict"] else "undefined"
            rows.append(row | found | {"answer": answer})
    return pd.DataFrame(rows, columns=list(CLAIM_COLUMNS))


def _find(judged: pd.DataFrame, a: str, b: str, metric: str) -> dict[str, Any] | None:
    """Return the difference b − a of one pair and metric, turned round where it was computed as a − b."""
    for first, second in ((a, b), (b, a)):
        rows = judged[(judged["a"] == first) & (judged["b"] == second) & (judged["metric"] == metric)]
        if len(rows):
            row = rows.iloc[0]
            images = row.get("images")
            if first == a:
                return {"images": images} | {name: row[name] for name in ("difference", "low", "high", "verdict")}
            turned = {"superior": "inferior", "inferior": "superior", "non-inferior": "inconclusive"}
            said = turned.get(row["verdict"], row["verdict"])
            return {
                "images": images, "difference": -row["difference"], "low": -row["high"], "high": -row["low"],
                "verdict": said,
            }  # fmt: skip
    return None


def _claimed_pairs(params: Params) -> list[tuple[str, str]]:
    return list(dict.fromkeys((claim.a, claim.b) for claim in params.claims))


def _shared_images(
    predictions: dict[str, Predictions], pairs: list[tuple[str, str]]
) -> tuple[list[tuple[np.ndarray, list[tuple[str, str]]]], list[str]]:
    """Return the pairs by the images both models of a pair were tested on, and in words what is not compared.

    A model tested on one fold meets one tested on all of them on that fold.

    Raises:
        UserError: diagnoses of the same images differ between models.
    """
    groups: dict[bytes, tuple[np.ndarray, list[tuple[str, str]]]] = {}
    skipped = []
    for a, b in pairs:
        one, other = predictions[a], predictions[b]
        common, rows, other_rows = np.intersect1d(one.image_ids, other.image_ids, return_indices=True)
        if not len(common):
            skipped.append(f"{a} and {b} were tested on different images")
            continue
        if not (one.labels[rows] == other.labels[other_rows]).all():
            raise UserError(
                f"reports/runs/{a} and reports/runs/{b}: diagnoses of the same images differ; run `dvc repro`"
            )
        groups.setdefault("\n".join(common).encode(), (common, []))[1].append((a, b))
    return list(groups.values()), skipped


def _cochran(members: dict[str, Predictions]) -> dict[str, float]:
    """Return Cochran's Q over all experiments on the same images, for stats.json; images count as independent."""
    if len(members) < 3:
        return {}
    hits = [one.probabilities.mean(axis=0).argmax(axis=1) == one.labels for one in members.values()]
    found = cochran_q(np.stack(hits, axis=1))
    return {"cochran_q": found.statistic, "cochran_degrees": found.degrees, "cochran_p": found.pvalue}


def _flips(members: dict[str, Predictions], pairs: list[tuple[str, str]]) -> pd.DataFrame:
    rows = []
    for a, b in pairs:
        for one in pair_flips(members[a], members[b]):
            named = one.class_name == "mel"  # ids are for the cases nobody wants to lose
            rows.append({
                "a": a, "b": b, "dx": one.class_name, "cases": one.cases, "lost": len(one.lost),
                "gained": len(one.gained), "lost_ids": " ".join(one.lost) if named else "",
                "gained_ids": " ".join(one.gained) if named else "",
            })  # fmt: skip
    return pd.DataFrame(rows)


def _variance(
    members: dict[str, Predictions], pairs: list[tuple[str, str]], compared: Compared, plan: Plan
) -> pd.DataFrame:
    """Return where the uncertainty of each pair's primary difference comes from; seeds are paired where shared."""
    metric = compared.clustered.metrics.index(plan.primary)
    by_fold = {name: fold_values(one, plan.primary) for name, one in members.items()}
    rows = []
    for a, b in pairs:
        shared = [seed for seed in members[a].seeds if seed in members[b].seeds]
        if not shared:
            continue
        place = {name: [members[name].seeds.index(seed) for seed in shared] for name in (a, b)}
        index = {name: compared.names.index(name) for name in (a, b)}
        point = [compared.clustered.point[index[name]][place[name], metric] for name in (a, b)]
        draws = [compared.clustered.replicates[index[name]][:, place[name], metric] for name in (a, b)]
        budget = variance_budget(
            point[1] - point[0], draws[1] - draws[0], by_fold[b] - by_fold[a], confidence=plan.confidence
        )
        rows.append({"a": a, "b": b, "metric": plan.primary} | vars(budget))
    return pd.DataFrame(rows)


def _detectable(members: dict[str, Predictions], pairs: list[tuple[str, str]], plan: Plan) -> pd.DataFrame:
    """Return, a class at a time, the gain in sensitivity that this test set shows with 80 % power."""
    rows = []
    for a, b in pairs:
        one, other = members[a], members[b]
        right = [x.probabilities.mean(axis=0).argmax(axis=1) == one.labels for x in (one, other)]
        for position, name in enumerate(CLASSES):
            mine = one.labels == position
            if not mine.any():
                continue
            ids, lesion = np.unique(one.lesions[mine], return_inverse=True)
            count = [np.bincount(lesion, weights=x[mine].astype(float), minlength=len(ids)) for x in right]
            sizes = np.bincount(lesion, minlength=len(ids))
            smallest = minimum_detectable_difference(
                count[1] - count[0], sizes - count[1], sizes, simulations=_POWER_SIMULATIONS, seed=plan.seed
            )
            rows.append(
                {"a": a, "b": b, "dx": name, "images": int(mine.sum()), "lesions": len(ids), "detectable": smallest}
            )
    return pd.DataFrame(rows)


def _summary(params: Params, comparisons: pd.DataFrame, claims: pd.DataFrame, skipped: list[str]) -> dict[str, Any]:
    primary = comparisons[(comparisons["metric"] == params.stats.primary) & (comparisons["method"] == BOOTSTRAP_METHOD)]
    return {
        "comparisons": len(primary),
        "verdicts": {name: int(count) for name, count in primary["verdict"].value_counts().items()},
        "claims": {name: int(count) for name, count in claims["answer"].value_counts().items()},
        "margin": params.stats.margin,
        "replicates": params.stats.replicates,
        "seed": params.stats.seed,
        "primary": params.stats.primary,
        "skipped": skipped,
    }
