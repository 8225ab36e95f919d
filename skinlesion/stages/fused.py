"""A network for prediction alone: batch normalisation folded into the convolutions before it."""

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

#: Largest difference that is taken for rounding, relative to the largest output.
TOLERANCE = 1e-4


@torch.no_grad()  # not inference mode: its tensors could not be exported
def fused(module: nn.Module, example: torch.Tensor) -> nn.Module:
    """Return a copy of `module`, in evaluation mode, that says the same in fewer passes over its activations.

    Normalisation in evaluation mode is linear, so it goes into the weights of the convolution whose output it reads
    (Jacob et al. 2018, section 3.2). Which one that is, a pass over `example` shows. Where the copy then says
    anything else of `example`, because something besides reads that output, say, `module` itself is returned.
    """
    made = copy.deepcopy(module).eval()
    expected = module.eval()(example)
    pairs = _pairs(made, example)
    holders = {child: (parent, name) for parent in made.modules() for name, child in parent.named_children()}
    for convolution, norm in pairs:
        both = fuse_conv_bn_eval(convolution, norm)
        convolution.weight, convolution.bias = both.weight, both.bias
        parent, name = holders[norm]
        # timm's normalisation layers carry what follows them.
        rest = (getattr(norm, part, None) for part in ("drop", "act"))
        setattr(parent, name, nn.Sequential(*(one for one in rest if one is not None)))
    if not pairs or (made(example) - expected).abs().max() > TOLERANCE * expected.abs().max():
        return module
    return made


def _pairs(module: nn.Module, example: torch.Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Return each batch normalisation that reads what a convolution has just put out, with that convolution."""
    last: list[tuple[nn.Conv2d, torch.Tensor]] = []
    found: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def convolved(layer: nn.Conv2d, _: object, output: torch.Tensor) -> None:
        last[:] = [(layer, output)]

    def normalises(layer: nn.BatchNorm2d, inputs: tuple[torch.Tensor, ...]) -> None:
        if last and last[0][1] is inputs[0]:
            found.append((last[0][0], layer))

    hooks = []
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            hooks.append(layer.register_forward_hook(convolved))
        elif isinstance(layer, nn.BatchNorm2d) and layer.track_running_stats:
            hooks.append(layer.register_forward_pre_hook(normalises))
    module(example)
    for hook in hooks:
        hook.remove()
    return found
