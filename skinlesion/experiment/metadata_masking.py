"""Masked metadata: what a multimodal model predicts with fields hidden, or with the record of another patient."""

import numpy as np
import pandas as pd
import torch

from skinlesion.data.record_exchange import exchange_records
from skinlesion.evaluation.masked_metadata import ALL_SHOWN, PERMUTED, SHOWN
from skinlesion.experiment.trained_run import TrainedRun
from skinlesion.results.names import MASKED_COLUMNS
from skinlesion.training.examples import Records
from skinlesion.vocabulary import PROBABILITY_COLUMNS


def masked_metadata(records: Records) -> dict[str, torch.Tensor]:
    """Return encoded metadata (N, M) for each name in SHOWN but the last: fields not shown are marked as missing.

    A field is hidden as the encoder writes a missing value, which training showed as often as the data lack it.
    """
    assert records.metadata is not None
    every = torch.arange(len(records.labels))
    names = [field.name for field in records.fields]
    versions = {}
    for name, shown in SHOWN.items():
        if name != ALL_SHOWN:
            hidden = torch.tensor([[field not in shown for field in names]]).expand(len(every), -1)
            versions[name] = records.shown(every, hidden)
    return {name: version for name, version in versions.items() if version is not None}


def masked_predictions(model: TrainedRun, seed: int) -> list[pd.DataFrame]:
    """Return the test predictions of a run, a table of MASKED_COLUMNS per version of the metadata.

    The versions are those of `masked_metadata`, and PERMUTED, exchanged at random by `seed` and the run.
    """
    inputs, run = model.inputs, model.run
    rows = inputs.rows(run.fold, "test", run.repeat)
    versions = masked_metadata(inputs.records(rows, model.encoder, model.shown_table))
    rng = np.random.default_rng([seed, run.fold, run.seed, run.repeat])
    exchanged = model.encode(model.shown_table.iloc[rows[exchange_records(inputs.lesions[rows], rng)]])
    assert exchanged is not None
    versions[PERMUTED] = exchanged
    ids = inputs.table.iloc[rows][["image_id"]].reset_index(drop=True)
    tables = []
    for name, probabilities in zip(versions, model.of_rows(rows, records=list(versions.values())), strict=True):
        table = ids.assign(**run._asdict(), shown=name)
        table[list(PROBABILITY_COLUMNS)] = probabilities
        tables.append(table[list(MASKED_COLUMNS)])
    return tables
