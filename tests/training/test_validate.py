"""What early stopping may monitor: the values of metrics.json, on a validation part that may lack a class."""

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from skinlesion.evaluation.metrics import metric_value
from skinlesion.evaluation.registry import MONITORED
from skinlesion.models.losses import make_loss
from skinlesion.params import TrainParams
from skinlesion.training.examples import FeatureExamples, Records
from skinlesion.training.validate import validation_values


def values(labels, logits, monitor):
    settings = TrainParams(class_weights="none")
    rows = torch.arange(len(labels))
    examples = FeatureExamples([torch.zeros(len(labels), 1)], Records(torch.tensor(labels), rows, rows))
    return validation_values(logits, examples, make_loss(settings, torch.full((7,), 10)), monitor)


def two_classes():
    """Fifty images of two classes, a fifth of them predicted as classes that no image has."""
    labels = np.array([4, 5] * 25)
    predicted = np.where(np.arange(50) % 5 == 0, np.arange(50) % 4, labels)
    logits = torch.eye(7)[torch.tensor(predicted)] * 4 + torch.rand(50, 7, generator=torch.Generator().manual_seed(0))
    return labels, logits


@pytest.mark.parametrize("monitor", [name for name in MONITORED if name != "macro_auc"])
def test_every_monitored_value_is_that_of_metrics_json(monitor):
    labels, logits = two_classes()
    monitored = values(labels, logits, monitor)
    assert np.isfinite(monitored[monitor])
    if monitor != "loss":
        assert monitored[monitor] == pytest.approx(
            metric_value(monitor, labels, logits.double().softmax(1).numpy()), abs=1e-12
        )


def test_the_loss_has_class_weights_and_nll_has_none():
    from sklearn.metrics import log_loss

    labels, logits = two_classes()
    settings = TrainParams(class_weights="balanced")
    counts = torch.tensor([10, 10, 10, 10, 10, 400, 10])
    rows = torch.arange(len(labels))
    examples = FeatureExamples([torch.zeros(len(labels), 1)], Records(torch.tensor(labels), rows, rows))
    monitored = validation_values(logits, examples, make_loss(settings, counts), "nll")
    assert monitored["nll"] == pytest.approx(log_loss(labels, logits.double().softmax(1).numpy(), labels=range(7)))
    weights = (460 / (7 * counts))[labels].numpy()
    weighted = log_loss(labels, logits.double().softmax(1).numpy(), labels=range(7), sample_weight=weights)
    assert monitored["loss"] == pytest.approx(weighted, rel=1e-5)


def test_monitored_macro_f1_counts_classes_that_are_predicted_but_absent():
    labels, logits = two_classes()
    predicted = logits.argmax(1).numpy()
    present = f1_score(labels, predicted, average="macro", labels=[4, 5])
    monitored = values(labels, logits, "macro_f1")["macro_f1"]
    assert monitored == pytest.approx(f1_score(labels, predicted, average="macro"), abs=1e-12)
    assert monitored < present - 0.3


def test_monitored_macro_auc_leaves_out_absent_classes():
    labels, logits = two_classes()
    expected = np.mean([metric_value(f"auc_{name}", labels, logits.softmax(1).numpy()) for name in ("mel", "nv")])
    assert values(labels, logits, "macro_auc")["macro_auc"] == pytest.approx(expected, abs=1e-6)
