"""Schedules against torch's own and against closed forms."""

import math

import pytest
import torch

from skinlesion.errors import UserError
from skinlesion.training.schedule import learning_rate_factor, side_of_epoch


def torch_factors(make, epochs):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scheduler = make(optimizer)
    factors = []
    for _ in range(epochs):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return factors


def test_cosine_is_torchs():
    expected = torch_factors(lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20), 20)
    assert [learning_rate_factor("cosine", epoch, 20) for epoch in range(20)] == pytest.approx(expected, abs=1e-12)
    assert learning_rate_factor("cosine", 20, 20) == pytest.approx(0)


@pytest.mark.parametrize("length", [1, 3, 5])
def test_warm_restarts_are_torchs(length):
    def make(optimizer):
        return torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=length, T_mult=2)

    factors = [learning_rate_factor("warm_restarts", epoch, 40, restart_epochs=length) for epoch in range(40)]
    assert factors == pytest.approx(torch_factors(make, 40), abs=1e-9)


def test_warm_up_is_linear_and_shifts_the_rest():
    factor = [learning_rate_factor("cosine", epoch, 12, warmup_epochs=2) for epoch in (0, 0.5, 1, 2, 7, 12)]
    assert factor == pytest.approx([0, 0.25, 0.5, 1, 0.5, 0])
    assert learning_rate_factor("warm_restarts", 6, 40, warmup_epochs=2, restart_epochs=4) == pytest.approx(1)
    assert learning_rate_factor("constant", 7.3, 12, warmup_epochs=2) == 1


def test_between_epochs_it_is_smooth():
    assert learning_rate_factor("cosine", 2.5, 10) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)


def test_an_unknown_schedule_names_the_known():
    with pytest.raises(UserError, match="constant, cosine, warm_restarts"):
        learning_rate_factor("linear", 0, 1)


def test_sides_go_through_equal_shares_of_the_epochs():
    assert [side_of_epoch([128, 192, 224], epoch, 7) for epoch in range(1, 8)] == [128, 128, 128, 192, 192, 224, 224]
    assert [side_of_epoch([96], epoch, 3) for epoch in (1, 2, 3)] == [96, 96, 96]
    assert side_of_epoch([], 1, 3) is None
