"""The check that weights hold numbers alone."""

from collections.abc import Mapping

import torch

from skinlesion.errors import UserError, shorten


def check_finite(state: Mapping[str, torch.Tensor], name: str, remedy: str) -> None:
    """Raise UserError, beginning with `name` and ending with `remedy`, if a tensor of `state` has a NaN or infinity."""
    for tensor, values in state.items():
        if values.is_floating_point() and not torch.isfinite(values).all():
            raise UserError(f"{name}: {shorten(tensor)} holds NaN or infinity; {remedy}")
