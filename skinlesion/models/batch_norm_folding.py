"""Batch normalisation folded into the convolutions before it: the same network with fewer layers, for prediction."""

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from skinlesion.models.tf32 import without_tf32

#: Largest difference that is taken for rounding, relative to the largest output.
TOLERANCE = 1e-4


@torch.no_grad()  # not inference mode: its tensors could not be exported
def fold_batch_norm(module: nn.Module, example: torch.Tensor) -> nn.Module:
    """Return a copy of `module`, in evaluation mode, that computes the same in fewer passes over its activations.

    Normalisation in evaluation mode is linear, so it goes into the weights of the convolution whose output it reads
    (Jacob et al. 2018, section 3.2). Which one that is, a pass over `example` shows. Where the copy's output for
    `example` differs (something besides the normalisation reads the convolution's output, say), `module` itself is
    returned.
    """
    with without_tf32():  # its rounding is larger than TOLERANCE and would undo every folding
        return _folded(module, example)


def _folded(module: nn.Module, example: torch.Tensor) -> nn.Module:
    folded = copy.deepcopy(module).eval()
    expected = module.eval()(example)
    pairs = _convolutions_and_norms(folded, example)
    parents = {child: (parent, name) for parent in folded.modules() for name, child in parent.named_children()}
    for convolution, norm in pairs:
        combined = fuse_conv_bn_eval(convolution, norm)
        convolution.weight, convolution.bias = combined.weight, combined.bias
        parent, name = parents[norm]
        # timm's normalisation layers carry what follows them.
        following = (getattr(norm, part, None) for part in ("drop", "act"))
        setattr(parent, name, nn.Sequential(*(layer for layer in following if layer is not None)))
    if not pairs or (folded(example) - expected).abs().max() > TOLERANCE * expected.abs().max():
        return module
    return folded


def _convolutions_and_norms(module: nn.Module, example: torch.Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Return each batch normalisation that reads what a convolution has just put out, with that convolution."""
    last: list[tuple[nn.Conv2d, torch.Tensor]] = []
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def after_convolution(layer: nn.Conv2d, _: object, output: torch.Tensor) -> None:
        last[:] = [(layer, output)]

    def before_norm(layer: nn.BatchNorm2d, inputs: tuple[torch.Tensor, ...]) -> None:
        if last and last[0][1] is inputs[0]:
            pairs.append((last[0][0], layer))

    hooks = []
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            hooks.append(layer.register_forward_hook(after_convolution))
        elif isinstance(layer, nn.BatchNorm2d) and layer.track_running_stats:
            hooks.append(layer.register_forward_pre_hook(before_norm))
    module(example)
    for hook in hooks:
        hook.remove()
    return pairs
