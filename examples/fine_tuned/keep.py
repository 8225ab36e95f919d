"""Keep what `evaluate` wrote in predictions/, which is in git, and put it back where the other stages read it.

    cd examples/fine_tuned
    python keep.py              # after training and `skinlesion evaluate`
    python keep.py --restore    # in a clone, after `skinlesion prepare` and `skinlesion split`: instead of training

After --restore, `skinlesion assess`, `ensemble`, `effect` and `stats` run as after training. Probabilities are kept to
five digits; the metrics computed from them must be those of metrics.json, which is in git, within 1e-5.
"""

import argparse
import gzip
import math
import shutil
import sys
import tempfile
from pathlib import Path

import pandas as pd

from skinlesion.errors import UserError, one_line
from skinlesion.files import write_json
from skinlesion.params_file import load_params
from skinlesion.reading import read_json
from skinlesion.results.names import (
    EXTERNAL_FOLDER,
    EXTERNAL_NOTES_NAME,
    HISTORY_NAME,
    METRICS_NAME,
    NOTES_NAME,
    PREDICTIONS_NAME,
    VALIDATION_NAME,
)
from skinlesion.results.summary_files import write_results
from skinlesion.results.workspace import Workspace

HERE = Path(__file__).parent
KEPT = HERE / "predictions"
#: What `evaluate` writes → what follows the experiment's name in predictions/. Predictions with metadata hidden are not
#: kept, as they are large; nor are the training curves of the runs by lesion.
FILES = {
    PREDICTIONS_NAME: ".csv.gz",
    VALIDATION_NAME: "_validation.csv.gz",
    HISTORY_NAME: "_history.csv.gz",
    NOTES_NAME: "_notes.json.gz",
}


def keep(folder: Path, name: str) -> None:
    for file, ending in FILES.items():
        if (folder / file).exists():
            content = (folder / file).read_text()
            if file.endswith(".csv"):
                table = pd.read_csv(folder / file, keep_default_na=False)
                content = table.to_csv(index=False, float_format="%.5g")
            kept = KEPT / f"{name}{ending}"
            if not kept.exists() or gzip.decompress(kept.read_bytes()) != content.encode():
                kept.write_bytes(gzip.compress(content.encode(), mtime=0))


def restore(folder: Path, name: str) -> None:
    """Put back what is kept of an experiment.

    Raises:
        UserError: the metrics of its predictions are not those of metrics.json.
    """
    written = read_json(folder / METRICS_NAME, "take it from git", dict[str, float])
    with tempfile.TemporaryDirectory() as temporary:
        checked = Path(temporary)
        for file, ending in FILES.items():
            kept = KEPT / f"{name}{ending}"
            if kept.exists():
                (checked / file).write_bytes(gzip.decompress(kept.read_bytes()))
        for metric, value in write_results(checked, load_params(HERE / "params.yaml").evaluate)[0].items():
            if not math.isclose(value, written.get(metric, math.nan), rel_tol=0, abs_tol=1e-5):
                raise UserError(f"{name}: {metric} is {value}, not that of {METRICS_NAME}; take both from one commit")
        shutil.copytree(checked, folder, dirs_exist_ok=True)
    write_json(folder / EXTERNAL_FOLDER / EXTERNAL_NOTES_NAME, {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restore", action="store_true")
    restoring = parser.parse_args().restore
    params, workspace = load_params(HERE / "params.yaml"), Workspace(HERE)
    for name in params.experiments:
        (restore if restoring else keep)(workspace.results(name), name)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {one_line(error)}")
