"""Losses against values worked out by hand and against torch's own."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from skinlesion.costs import cost_matrix
from skinlesion.errors import UserError
from skinlesion.models.losses import (
    CostSensitive,
    CrossEntropy,
    Focal,
    LogitAdjusted,
    class_weights,
    make_loss,
)
from skinlesion.params import TrainParams
from skinlesion.vocabulary import CLASSES

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(40, 7, generator=GENERATOR, dtype=torch.float64)
LABELS = torch.randint(7, (40,), generator=GENERATOR)
TARGETS = functional.one_hot(LABELS, 7).double()
WEIGHTS = torch.tensor([1.0, 2.0, 0.5, 3.0, 1.5, 0.2, 4.0], dtype=torch.float64)
ONES = torch.ones(7, dtype=torch.float64)


def value(loss, logits=LOGITS, targets=TARGETS):
    values, weights = loss(logits, targets)
    return float(values.sum() / weights.sum())


@pytest.mark.parametrize("weights", [ONES, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_torchs(weights, smoothing):
    expected = torch.nn.CrossEntropyLoss(weight=weights, label_smoothing=smoothing)(LOGITS, LABELS)
    assert value(CrossEntropy(weights, smoothing)) == pytest.approx(float(expected), rel=1e-12)


def test_blended_labels_are_the_blend_of_losses():
    loss = CrossEntropy(ONES)
    other = TARGETS[torch.randperm(40, generator=torch.Generator().manual_seed(1))]
    blend = value(loss, targets=0.7 * TARGETS + 0.3 * other)
    assert blend == pytest.approx(0.7 * value(loss) + 0.3 * value(loss, targets=other), rel=1e-12)


@pytest.mark.parametrize("weights", [ONES, WEIGHTS])
def test_focal_without_focus_is_cross_entropy(weights):
    assert value(Focal(weights, gamma=0.0)) == pytest.approx(value(CrossEntropy(weights)), rel=1e-12)


def test_focal_by_hand():
    # Two classes at probabilities 1/2 and 3/4 of the truth: (1/2)² · ln 2 and (1/4)² · ln(4/3), averaged.
    logits = torch.full((2, 7), -1e9, dtype=torch.float64)
    logits[0, :2] = 0.0
    logits[1, 0], logits[1, 1] = math.log(3), 0.0
    targets = torch.zeros(2, 7, dtype=torch.float64)
    targets[:, 0] = 1
    expected = (0.25 * math.log(2) + 0.0625 * math.log(4 / 3)) / 2
    assert value(Focal(ONES, gamma=2.0), logits, targets) == pytest.approx(expected, rel=1e-9)


def test_focal_has_a_gradient_where_the_answer_is_certain():
    logits = torch.tensor([[80.0, 0, 0, 0, 0, 0, 0]], requires_grad=True)
    values, _ = Focal(torch.ones(7), gamma=0.5)(logits, torch.eye(7)[:1])
    values.sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_expected_cost_by_hand():
    # p = (1/2, 1/2) on akiec and bcc, truth akiec, calling it bcc costs 3: ln 2 + λ · 3/2.
    logits = torch.full((1, 7), -1e9, dtype=torch.float64)
    logits[0, :2] = 0.0
    costs = torch.from_numpy(cost_matrix({"akiec": {"bcc": 3.0}}))
    expected = math.log(2) + 0.4 * 1.5
    assert value(CostSensitive(ONES, costs, cost_weight=0.4), logits, TARGETS[:0].new_tensor([[1.0, *[0.0] * 6]])) == (
        pytest.approx(expected, rel=1e-9)
    )


def test_costs_without_weight_are_cross_entropy():
    loss = CostSensitive(WEIGHTS, torch.from_numpy(cost_matrix({})), cost_weight=0.0)
    assert value(loss) == pytest.approx(value(CrossEntropy(WEIGHTS)), rel=1e-12)


def test_the_cost_matrix_is_one_off_the_diagonal_by_default():
    matrix = cost_matrix({"mel": {"nv": 10.0}})
    mel, nv = CLASSES.index("mel"), CLASSES.index("nv")
    assert matrix[mel, nv] == 10
    assert matrix[nv, mel] == 1
    assert (np.diagonal(matrix) == 0).all()


def test_logit_adjustment_by_hand_and_its_limits():
    counts = torch.tensor([10, 20, 30, 10, 10, 10, 10])
    # Even logits: the adjusted softmax is the prior itself, so the loss is −ln(prior of the truth).
    loss = value(LogitAdjusted(ONES, counts), torch.zeros(1, 7, dtype=torch.float64), torch.eye(7)[1:2].double())
    assert loss == pytest.approx(-math.log(0.2), rel=1e-6)
    unadjusted = LogitAdjusted(WEIGHTS, counts, tau=0.0).double()
    assert value(unadjusted) == pytest.approx(value(CrossEntropy(WEIGHTS)), rel=1e-12)
    even = LogitAdjusted(WEIGHTS, torch.full((7,), 9), tau=1.0).double()
    assert value(even) == pytest.approx(value(CrossEntropy(WEIGHTS)), rel=1e-6)


def test_a_right_and_certain_answer_costs_nothing():
    certain = 60 * TARGETS - 30
    for loss in (CrossEntropy(WEIGHTS), Focal(WEIGHTS), CostSensitive(WEIGHTS, torch.from_numpy(cost_matrix({})))):
        assert value(loss, logits=certain) == pytest.approx(0, abs=1e-9)


def test_balanced_weights_are_scikit_learns():
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0] * 50 + [1] * 30 + [2] * 20)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    weights = class_weights("balanced", torch.bincount(torch.from_numpy(labels)))
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert class_weights("none", torch.tensor([5, 1])).tolist() == [1, 1]


def test_effective_weights_by_hand_and_their_limits():
    counts = torch.tensor([1, 3])
    # β = 0.5: (1 − β)/(1 − β^n) is 1 and 0.5/0.875 = 4/7, scaled to sum to two.
    np.testing.assert_allclose(class_weights("effective", counts, 0.5), [14 / 11, 8 / 11], rtol=1e-6)
    np.testing.assert_allclose(class_weights("effective", counts, 0.0), [1, 1])  # every class counts once
    near = class_weights("effective", counts, 1 - 1e-9)
    np.testing.assert_allclose(near[0] / near[1], 3, rtol=1e-4)  # towards 1: inverse frequency


def test_weights_need_every_class():
    for name in ("balanced", "effective"):
        with pytest.raises(UserError, match="class_weights"):
            class_weights(name, torch.tensor([3, 0]))
    with pytest.raises(UserError, match="logit_adjusted"):
        make_loss(TrainParams(loss="logit_adjusted", class_weights="none"), torch.tensor([1, 0, 1, 1, 1, 1, 1]))


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "cost_sensitive", "logit_adjusted"])
def test_every_loss_is_made_from_params_and_has_a_gradient(name):
    loss = make_loss(TrainParams(loss=name, label_smoothing=0.1), torch.arange(1, 8))
    logits = LOGITS.float().clone().requires_grad_()
    values, weights = loss(logits, TARGETS.float())
    (values.sum() / weights.sum()).backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().sum() > 0
