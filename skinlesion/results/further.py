"""What the report reads besides `Results`: a split's parts by image, and the training curves of single runs."""

import pandas as pd

from skinlesion.data.splits import of_repeat, read_split
from skinlesion.reading import read_csv
from skinlesion.results.names import HISTORY_NAME
from skinlesion.results.reader import Results


def first_partition(results: Results, protocol: str) -> pd.DataFrame:
    """Return the first partition of a split, "lesion" or "image", its rows those of `results.metadata`.

    Raises:
        UserError: the split is missing, or of other images.
    """
    path = results.workspace.splits / f"{protocol}.csv"
    return of_repeat(read_split(path, results.metadata["image_id"]), 0)


def run_histories(results: Results, name: str) -> list[pd.DataFrame]:
    """Return the training curves of each run of an experiment; none where its models are not all here.

    Raises:
        UserError: a file of curves is damaged.
    """
    paths = sorted(results.workspace.model(name).glob(f"*fold*-seed*/{HISTORY_NAME}"))
    if len(paths) != results.history(name)["runs"].max():
        return []
    return [read_csv(path, ("phase", "epoch"), "run `skinlesion train` again") for path in paths]
