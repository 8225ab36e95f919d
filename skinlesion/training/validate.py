"""How a model does on the validation part: the values that early stopping may watch."""

import numpy as np
import torch
from torch import nn

from skinlesion.models.losses import Loss
from skinlesion.training.distributed import ALONE, World
from skinlesion.training.examples import Examples
from skinlesion.vocabulary import CLASSES

#: Images a step.
_BATCH = {"features": 1024, "pixels": 64}


@torch.inference_mode()
def logits_of(
    model: nn.Module, examples: Examples, *, pixels: bool, bf16: bool = False, world: World = ALONE
) -> torch.Tensor:
    """Return logits (N, C) of all examples in evaluation mode, each process doing its share."""
    model.eval()
    device = examples.records.labels.device
    out = torch.zeros(len(examples), len(CLASSES), device=device)
    rows = torch.arange(len(examples))[world.share].split(_BATCH["pixels" if pixels else "features"])
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for some, batch in zip(rows, examples.batches(rows), strict=True):
            out[some.to(device)] = model(batch.image, batch.metadata).float()
    return world.sum(out)


def validation_values(logits: torch.Tensor, examples: Examples, loss: Loss, monitor: str) -> dict[str, float]:
    """Return loss and balanced accuracy, and the monitored value where it is another.

    The loss is the training loss, class weights included; classes without images are left out of means.
    """
    labels = examples.records.labels
    values, weights = loss(logits, examples.records.targets(torch.arange(len(labels))))
    found = {"loss": float(values.double().sum() / weights.double().sum())}
    truth, answers = labels.cpu().numpy(), logits.argmax(1).cpu().numpy()
    counts = np.zeros((len(CLASSES), len(CLASSES)))
    np.add.at(counts, (truth, answers), 1)
    present, hits = counts.sum(1) > 0, np.diag(counts)
    found["balanced_accuracy"] = float((hits[present] / counts.sum(1)[present]).mean())
    if monitor == "accuracy":
        found["accuracy"] = float(hits.sum() / counts.sum())
    if monitor == "macro_f1":
        found["macro_f1"] = float((2 * hits / np.maximum(counts.sum(0) + counts.sum(1), 1))[present].mean())
    if monitor == "macro_auc":
        found["macro_auc"] = _macro_auc(truth, logits.double().softmax(1).cpu().numpy())
    return found


def _macro_auc(truth: np.ndarray, probabilities: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    present = [place for place in range(len(CLASSES)) if 0 < (truth == place).sum() < len(truth)]
    if not np.isfinite(probabilities).all() or not present:
        return float("nan")
    return float(np.mean([roc_auc_score(truth == place, probabilities[:, place]) for place in present]))
