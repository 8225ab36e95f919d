"""Speed of `skinlesion predict` on photographs at their original resolution, as a ratio in one run.

    python benchmarks/predict.py FOLDER [--workspace examples/offline] [--experiment lite0_image] [--repeats 4]

Files become predictions (reading, decoding, cropping, resizing, features, every fold's head, calibration, sets) against
the backbone's bare forward passes over the same number of images already in memory. Limit: 0.9 of that rate. Rounds
alternate; the median ratio counts. It needs trained models in the workspace.

Bare passes go through the backbone as `train` and `evaluate` run it, all cores on one batch. Predict folds batch
normalisation into the convolutions and works on one batch a core, which has to pay for reading and decoding.
"""

# ruff: noqa: E402
import argparse
import os
import statistics
import time
from pathlib import Path

from skinlesion.training.memory import share_one_heap

share_one_heap()  # as the command does, before the imports that start threads

import torch

from skinlesion.data.patient_records import PatientRecord
from skinlesion.data.photographs import find_photographs
from skinlesion.experiment.answering import AnsweringModel
from skinlesion.experiment.photograph_predictions import predict_photographs
from skinlesion.experiment.predictor import Predictor
from skinlesion.params_file import load_params
from skinlesion.results.workspace import Workspace
from skinlesion.training.batch_sizes import PHOTOGRAPHS
from skinlesion.training.memory import keep_freed_memory

ROUNDS = 15


@torch.inference_mode()
def bare_rate(predictor: Predictor, count: int) -> float:
    """Return images/s of the backbone alone, in batches of the size that extraction takes."""
    backbone = predictor.inputs.backbone
    assert backbone is not None
    size = backbone.input_size
    module = backbone.module.to(memory_format=torch.channels_last)
    batch = torch.randn(PHOTOGRAPHS, 3, size, size).contiguous(memory_format=torch.channels_last)
    module(batch)
    began = time.perf_counter()
    for _ in range(count // PHOTOGRAPHS):
        module(batch)
    return count // PHOTOGRAPHS * PHOTOGRAPHS / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("SKINLESION_SHARED_DATA", "../shared/data")) / "ham10000_originals"
    parser.add_argument("folder", type=Path, nargs="?", default=default)
    parser.add_argument("--workspace", type=Path, default=Path("examples/offline"))
    parser.add_argument("--experiment", default="lite0_image")
    parser.add_argument("--repeats", type=int, default=4)
    arguments = parser.parse_args()
    params = load_params(arguments.workspace / "params.yaml")
    predictor = Predictor.open(params, Workspace(arguments.workspace), arguments.experiment)
    answering = {False: AnsweringModel(arguments.experiment, predictor)}
    files = find_photographs([arguments.folder])[0] * arguments.repeats
    keep_freed_memory()
    rates, bares = [], []
    for row in predict_photographs(answering, files[:PHOTOGRAPHS], params.prepare, PatientRecord()):
        assert not row["error"], row["error"]
    for _ in range(ROUNDS):
        bares.append(bare_rate(predictor, len(files)))
        began = time.perf_counter()
        count = sum(1 for _ in predict_photographs(answering, files, params.prepare, PatientRecord()))
        rates.append(count / (time.perf_counter() - began))
    models = len(predictor.runs)
    passes = predictor.inputs.views * (models if predictor.inputs.settings.fine_tunes else 1)
    ratio = passes * statistics.median(rate / bare for rate, bare in zip(rates, bares, strict=True))
    print(f"{arguments.experiment}, {models} models, {len(files)} photographs of 600 × 450, medians of {ROUNDS} rounds")
    print(f"bare forward passes          {statistics.median(bares) / passes:6.0f} images/s, {passes} an image")
    print(f"predict                      {statistics.median(rates):6.0f} images/s")
    print(f"predict / bare               {ratio:6.2f}  (limit at least 0.9)")


if __name__ == "__main__":
    main()
