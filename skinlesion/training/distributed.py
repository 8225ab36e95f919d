"""Distributed training of one run (torchrun): the rank of this process, and sums over all processes."""

import os
from dataclasses import dataclass

import torch
import torch.distributed
from timm.layers import convert_sync_batchnorm
from torch import nn

from skinlesion.errors import UserError
from skinlesion.models.classifier import ImageClassifier
from skinlesion.training.device import has_cuda


@dataclass(frozen=True)
class World:
    """The processes that train one run together."""

    rank: int = 0
    size: int = 1

    @property
    def writes(self) -> bool:
        """Whether this process is the one that writes files and prints."""
        return self.rank == 0

    @property
    def share(self) -> slice:
        """Return this process's part of a batch."""
        return slice(self.rank, None, self.size)

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the sum of `tensor` over all processes."""
        if self.size > 1:
            torch.distributed.all_reduce(tensor)
        return tensor

    def wait(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            torch.distributed.barrier()

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return `model` with gradients averaged over processes; on GPUs batch statistics are shared as well."""
        if self.size == 1:
            return model
        if next(model.parameters()).is_cuda:
            # Not torch's own conversion: it drops the activations that timm's normalisation layers carry.
            model = convert_sync_batchnorm(model)
        unused = isinstance(model, ImageClassifier) and model.leaves_some_unused
        return nn.parallel.DistributedDataParallel(model, broadcast_buffers=False, find_unused_parameters=unused)


#: A process that trains by itself.
ALONE = World()


def join_world(device: str) -> World:
    """Return the world that torchrun's environment describes, joined; a world of one without it.

    Raises:
        UserError: more processes on this machine than CUDA devices.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return ALONE
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    on_cuda = device == "cuda" or (device == "auto" and has_cuda())
    if on_cuda and local >= torch.cuda.device_count():
        raise UserError(
            f"torchrun --nproc-per-node: process {local} has no CUDA device; start at most {torch.cuda.device_count()}"
        )
    if on_cuda:
        torch.cuda.set_device(local)
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if on_cuda else "gloo")
    return World(rank, size)


def leave_world() -> None:
    """Leave the process group, where there is one."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
