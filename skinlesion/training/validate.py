"""Predictions and metrics of the validation part: the values that early stopping may monitor."""

import numpy as np
import torch
from torch import nn

from skinlesion.evaluation.auc import class_aucs
from skinlesion.models.losses import Loss
from skinlesion.stats.counts import WHOLE, count_answers
from skinlesion.training.batch_sizes import EVALUATION
from skinlesion.training.distributed import ALONE, World
from skinlesion.training.examples import Examples
from skinlesion.transfer import on_device
from skinlesion.vocabulary import CLASSES


def is_better(value: float, best: float, monitor: str) -> bool:
    """Return whether a monitored value is better than another."""
    return value < best if monitor in ("loss", "nll") else value > best


@torch.inference_mode()
def logits_of(
    model: nn.Module, examples: Examples, *, pixels: bool, bf16: bool = False, world: World = ALONE
) -> torch.Tensor:
    """Return logits (N, C) of all examples in evaluation mode, each process computing its share."""
    model.eval()
    device = examples.records.labels.device
    out = torch.zeros(len(examples), len(CLASSES), device=device)
    rows = torch.arange(len(examples))[world.share].split(EVALUATION["pixels" if pixels else "features"])
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for batch_rows, batch in zip(rows, examples.batches(rows), strict=True):
            out[on_device(batch_rows, device)] = model(batch.image, batch.metadata).float()
    return world.sum(out)


def validation_values(logits: torch.Tensor, examples: Examples, loss: Loss, monitor: str) -> dict[str, float]:
    """Return loss and balanced accuracy, and the monitored value where it is another.

    The loss is the training loss, class weights included; nll is the mean of −log p, without them. Metrics are those of
    metrics.json, but for one: macro AUC leaves out classes for which it is undefined, as a validation part may lack a
    rare class.
    """
    labels = examples.records.labels
    values, weights = loss(logits, examples.records.targets(torch.arange(len(labels))))
    monitored = {"loss": float(values.double().sum() / weights.double().sum())}
    truth, answers = labels.cpu().numpy(), logits.argmax(1).cpu().numpy()
    counts = count_answers(truth, answers, len(CLASSES))
    for name in dict.fromkeys(("balanced_accuracy", monitor)):
        if name in WHOLE:
            monitored[name] = float(WHOLE[name](counts)[0])
    if monitor == "nll":
        monitored["nll"] = float(nn.functional.cross_entropy(logits.double(), labels))
    if monitor == "macro_auc":
        monitored["macro_auc"] = _macro_auc(truth, logits.double().softmax(1).cpu().numpy())
    return monitored


def _macro_auc(truth: np.ndarray, probabilities: np.ndarray) -> float:
    if not np.isfinite(probabilities).all():
        return float("nan")
    aucs = class_aucs(truth, probabilities)
    return float(aucs[~np.isnan(aucs)].mean()) if (~np.isnan(aucs)).any() else float("nan")
