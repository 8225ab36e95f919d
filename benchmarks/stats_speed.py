"""Speed of the statistics, as ratios in one run.

    python benchmarks/stats_speed.py

1. Paired lesion bootstrap of balanced accuracy, macro F1 and macro AUC, two models, 10,015 images of 7,470 lesions,
   10,000 replicates, against the loop over scikit-learn that a user would write. Limits: at least 300 times faster,
   at most 1 GB of memory. Of 12 models: 6 s.
2. DeLong's covariance for 12 models × 7 classes, plain and clustered. Limit: 2 s each.
3. The whole `stats` stage for 12 experiments, 66 pairs. Limit: 60 s on two cores.
"""

import resource
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import metrics as sk

from skinlesion.params import Params
from skinlesion.results.workspace import Workspace
from skinlesion.stages.stats import stats
from skinlesion.stats.bootstrap import _Memory, bootstrap, draw_weights
from skinlesion.stats.delong import auc_covariance
from skinlesion.stats.resampling import Schema, plan_layer
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS

IMAGES, LESIONS, REPLICATES, ROUNDS, LOOP_REPLICATES = 10_015, 7_470, 10_000, 3, 10
METRICS = ("balanced_accuracy", "macro_f1", "macro_auc")


def data(models: int) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Return labels, probabilities (1, N, 7) of each model and lesions, with HAM10000's sizes and frequencies."""
    rng = np.random.default_rng(0)
    lesion = np.concatenate([np.arange(LESIONS), rng.integers(0, LESIONS, IMAGES - LESIONS)])
    labels = rng.choice(7, LESIONS, p=np.array([228, 327, 727, 73, 614, 5403, 98]) / LESIONS)[lesion]
    made = []
    for _ in range(models):
        p = np.exp(rng.normal(size=(1, IMAGES, 7)) + 2 * np.eye(7)[labels])
        made.append(p / p.sum(axis=2, keepdims=True))
    return labels, made, lesion


def loop_seconds(labels: np.ndarray, models: list[np.ndarray], lesion: np.ndarray) -> float:
    """Return the seconds a replicate of the loop takes: draw lesions, gather their images, score both models."""
    rng = np.random.default_rng(0)
    order = np.argsort(lesion, kind="stable")
    starts = np.searchsorted(lesion[order], np.arange(LESIONS + 1))
    images_by_lesion = [order[starts[position] : starts[position + 1]] for position in range(LESIONS)]
    began = time.perf_counter()
    for _ in range(LOOP_REPLICATES):
        rows = np.concatenate([images_by_lesion[position] for position in rng.integers(0, LESIONS, LESIONS)])
        for model in models:
            p, y = model[0, rows], labels[rows]
            sk.balanced_accuracy_score(y, p.argmax(axis=1))
            sk.f1_score(y, p.argmax(axis=1), average="macro")
            sk.roc_auc_score(y, p, multi_class="ovr")
    return (time.perf_counter() - began) / LOOP_REPLICATES


def share_drawn(labels: np.ndarray, model: np.ndarray, lesion: np.ndarray) -> float:
    """Return which share of a block of replicates of two models goes to drawing lesions, in one thread."""
    plan = plan_layer(labels, model[0], lesion, LESIONS, METRICS, Schema(CLASSES))
    rng, memory, drawn, evaluated = np.random.default_rng(0), _Memory(LESIONS), [], []
    for _ in range(20):
        began = time.thread_time()
        weights = draw_weights(rng, [LESIONS], memory)
        drawn.append(time.thread_time() - began)
        began = time.thread_time()
        plan.evaluate(weights)
        evaluated.append(time.thread_time() - began)
    return float(np.median(drawn) / (np.median(drawn) + 2 * np.median(evaluated)))


def stage_seconds(experiments: int) -> float:
    labels, models, lesion = data(experiments)
    params = Params.model_validate({"experiments": {f"m{number:02d}": {} for number in range(experiments)}})
    with tempfile.TemporaryDirectory() as folder:
        for number, model in enumerate(models):
            table = pd.DataFrame(model[0], columns=list(PROBABILITY_COLUMNS))
            table.insert(0, "dx", np.array(CLASSES)[labels])
            table.insert(0, "fold", np.arange(IMAGES) % 5)
            table.insert(0, "lesion_id", lesion)
            table.insert(0, "image_id", [f"I{position:06d}" for position in range(IMAGES)])
            place = Path(folder) / "reports" / "runs" / f"m{number:02d}"
            place.mkdir(parents=True)
            table.to_csv(place / "predictions.csv", index=False)
            # Decision rules are fitted on other images; it takes as long on the same.
            table.to_csv(place / "validation.csv", index=False)
        began = time.perf_counter()
        stats(params, Workspace(Path(folder)))
        return time.perf_counter() - began


def main() -> None:
    warnings.simplefilter("ignore")
    labels, models, lesion = data(12)
    ours, loops = [], []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(ROUNDS):
        began = time.perf_counter()
        bootstrap(labels, models[:2], lesion, METRICS, Schema(CLASSES), replicates=REPLICATES)
        ours.append(time.perf_counter() - began)
        loops.append(loop_seconds(labels, models[:2], lesion) * REPLICATES)
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    began = time.perf_counter()
    bootstrap(labels, models, lesion, METRICS, Schema(CLASSES), replicates=REPLICATES)
    twelve = time.perf_counter() - began
    ratio = float(np.median(np.array(loops) / np.array(ours)))
    delong = {}
    scores = np.concatenate(models)  # (12, N, 7)
    for name, clusters in (("plain", None), ("clustered", lesion)):
        began = time.perf_counter()
        for position in range(7):
            auc_covariance(labels == position, scores[:, :, position], clusters)
        delong[name] = time.perf_counter() - began
    print(f"medians of {ROUNDS} rounds")
    print(f"bootstrap, 2 models, {REPLICATES:,} replicates   {np.median(ours):6.2f} s")
    print(f"loop over scikit-learn / bootstrap       {ratio:6.0f}    (limit at least 300)")
    print(f"of it, drawing lesions                   {share_drawn(labels, models[0], lesion):6.0%}")
    print(f"bootstrap, 12 models, {REPLICATES:,} replicates  {twelve:6.2f} s  (limit 6)")
    print(f"memory the bootstrap added               {memory:6.0f} MB (limit 1000)")
    print(f"DeLong, 12 models × 7 classes, plain     {delong['plain']:6.2f} s  (limit 2)")
    print(f"DeLong, 12 models × 7 classes, clustered {delong['clustered']:6.2f} s  (limit 2)")
    print(f"stats stage, 12 experiments, 66 pairs    {stage_seconds(12):6.1f} s  (limit 60)")


if __name__ == "__main__":
    main()
