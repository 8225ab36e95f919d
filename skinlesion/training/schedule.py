"""Learning-rate schedules: the factor on the base rate over a phase."""

import math
from collections.abc import Sequence

from skinlesion.choices import Schedule, names
from skinlesion.errors import UserError, choices

SCHEDULES = names(Schedule)


def learning_rate_factor(
    name: str, epoch: float, epochs: float, *, warmup_epochs: float = 0.0, restart_epochs: float = 10.0
) -> float:
    """Return the factor at `epoch`, a fraction of epochs done between 0 and `epochs`.

    After a linear warm-up from 0: constant 1; cosine from 1 to 0 at the end (Loshchilov & Hutter, ICLR 2017); or
    cosines of `restart_epochs`, twice that, four times that, … each starting at 1 again.

    Raises:
        UserError: an unknown name.
    """
    if name not in SCHEDULES:
        raise UserError(f"train.schedule: {name!r} is not a schedule; {choices(SCHEDULES, name)}")
    if epoch < warmup_epochs:
        return epoch / warmup_epochs
    if name == "constant":
        return 1.0
    past = epoch - warmup_epochs
    if name == "cosine":
        return _cosine(past / max(epochs - warmup_epochs, 1e-9))
    # Cycle k has the length T · 2^k and starts at T · (2^k − 1).
    cycle = math.floor(math.log2(past / restart_epochs + 1) + 1e-12)
    start = restart_epochs * (2**cycle - 1)
    return _cosine((past - start) / (restart_epochs * 2**cycle))


def side_of_epoch(resolutions: Sequence[int], epoch: int, epochs: int) -> int | None:
    """Return the side of training images in epoch `epoch` (from 1) of `epochs`; None where no sides are given.

    Small images first, large ones last: most of the training at a fraction of the time (Touvron et al., NeurIPS 2019;
    Tan & Le, ICML 2021).
    """
    return resolutions[(epoch - 1) * len(resolutions) // epochs] if resolutions else None


def _cosine(done: float) -> float:
    return (1 + math.cos(math.pi * min(max(done, 0.0), 1.0))) / 2
