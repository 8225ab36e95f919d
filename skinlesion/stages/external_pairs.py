"""Pairs of experiments on external data: whether a gain at home carries over."""

from collections.abc import Sequence

import pandas as pd

from skinlesion.evaluation.predictions import Predictions, read_predictions, restrict_classes
from skinlesion.files import read_json
from skinlesion.params import Params
from skinlesion.stages.contracts import COMPARISON_COLUMNS, EXTERNAL_FOLDER, EXTERNAL_NOTES_NAME
from skinlesion.stages.pairs import Plan, bootstrap_rows
from skinlesion.stages.workspace import Workspace
from skinlesion.stats.bootstrap import bootstrap
from skinlesion.stats.resampling import Schema
from skinlesion.vocabulary import CLASSES, MALIGNANT


def external_comparisons(
    params: Params, workspace: Workspace, pairs: Sequence[tuple[str, str]], plan: Plan
) -> pd.DataFrame:
    """Return `external`, the columns of comparisons.csv, `images`: differences b − a among the classes each set shows.

    Ensembles are not predicted there; experiments that average different numbers of folds are not compared.

    Raises:
        UserError: an experiment's external predictions are missing.
    """
    tables = []
    for one in params.external:
        folders = {name: workspace.results(name) / EXTERNAL_FOLDER for name in params.experiments}
        remedy = "run `skinlesion evaluate --experiment NAME`"
        notes = {
            name: read_json(folder / EXTERNAL_NOTES_NAME, remedy.replace("NAME", name))[one.name]
            for name, folder in folders.items()
        }
        alike = [(a, b) for a, b in pairs if a in notes and b in notes and notes[a]["folds"] == notes[b]["folds"]]
        names = tuple(dict.fromkeys(name for pair in alike for name in pair))
        if not names:
            continue
        members = {name: read_predictions(folders[name] / f"{one.name}.csv")[0] for name in names}
        tables.append(_compare(members, alike, plan).assign(external=one.name))
    columns = ["external", *COMPARISON_COLUMNS, "images"]
    return pd.concat([pd.DataFrame(columns=columns), *tables]).reindex(columns=columns)


def _compare(members: dict[str, Predictions], pairs: Sequence[tuple[str, str]], plan: Plan) -> pd.DataFrame:
    names = tuple(members)
    first = members[names[0]]
    present = tuple(name for position, name in enumerate(CLASSES) if (first.labels == position).any())
    schema = Schema(present, tuple(name for name in MALIGNANT if name in present))
    restricted = [restrict_classes(members[name], present) for name in names]
    # One class alone has no AUC.
    metrics = tuple(name for name in plan.metrics if len(present) > 1 or not name.endswith("auc"))
    resampled = bootstrap(
        restricted[0].labels,
        [one.probabilities for one in restricted],
        first.lesions,
        metrics,
        schema,
        replicates=plan.replicates,
        seed=plan.seed,
    )
    rows = [row for a, b in pairs for row in bootstrap_rows(a, b, names, resampled, None, plan)]
    return pd.DataFrame(rows).assign(images=len(first.labels))
