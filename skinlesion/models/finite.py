"""The check that weights hold numbers alone."""

from collections.abc import Mapping

import torch

from skinlesion.errors import UserError, shorten


def check_finite(state: Mapping[str, torch.Tensor], name: str, remedy: str) -> None:
    """Raise UserError, beginning with `name` and ending with `remedy`, if a tensor of `state` has a NaN or infinity."""
    checked = {tensor: torch.isfinite(values).all() for tensor, values in state.items() if values.is_floating_point()}
    if not checked or torch.stack(list(checked.values())).all():  # a GPU is waited for once
        return
    wrong = next(tensor for tensor, finite in checked.items() if not finite)
    raise UserError(f"{name}: {shorten(wrong)} holds NaN or infinity; {remedy}")
