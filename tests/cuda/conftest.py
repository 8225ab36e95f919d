"""A CUDA machine for each test: a pretended one, and under `pytest -m gpu` the real one."""

import pytest
import torch

from tests.conftest import TINY, small_params, write_params
from tests.cuda.pretended import pretended_cuda

SMALL = {
    "backbone": TINY, "weights": "none", "input_size": 48, "device": "cuda", "epochs": 2, "finetune_epochs": 2,
    "finetune_batch_size": 32, "batch_size": 32, "folds": [0], "seeds": [0], "checkpoint_seconds": 0,
}  # fmt: skip

#: What p4 planned: everything that fine-tuning has.
PLANNED = {
    "regime": "full", "precision": "bf16", "metadata": "embedding", "loss": "focal", "class_weights": "none",
    "sampler": "class_balanced", "augment": "dermoscopy", "optimizer": "adamw", "weight_decay": 0.05,
    "layer_decay": 0.9, "schedule": "warm_restarts", "warmup_epochs": 1, "clip_norm": 1.0,
}  # fmt: skip

#: One experiment for every part of the code that moves something to the device.
CASES = {
    "image": {},
    "concat": {"fusion": "concat"},
    "metadata_only": {"fusion": "metadata_only"},
    "views": {"views": 3, "augment": "dermoscopy"},
    "cross_attention": {"fusion": "cross_attention", "record_dropout": 0.2, "field_dropout": 0.1},
    "metablock": {"fusion": "metablock", "metadata": "ordinal"},
    "two_stage": {
        "regime": "two_stage", "fusion": "concat", "metadata": "ordinal", "metadata_batch_norm": True, "tta": "d4",
    },
    "film": PLANNED | {"fusion": "film"},
    "map": PLANNED | {"fusion": "cross_attention", "spatial_grid": 2, "sampler": "lesion"},
    "mixed": PLANNED | {
        "augment": {"preset": "dermoscopy", "mixup": 0.4, "cutmix": 0.5}, "ema_decay": 0.9, "batch_norm": "frozen",
    },
    "unresized": PLANNED | {"input_size": 32, "augment": "flips", "loss": "cost_sensitive"},
    "stages": {
        "regime": "two_stage", "trainable_stages": 2, "loss": "logit_adjusted", "class_weights": "effective",
    },
}  # fmt: skip


@pytest.fixture
def machine(request):
    """Run the test on a pretended device, or, marked gpu, on a real one; yield what counts, None for the real one."""
    if request.node.get_closest_marker("gpu"):
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
        yield None
        return
    with pretended_cuda() as mode:
        yield mode


@pytest.fixture
def cuda_workspace(workspace_folder):
    """A prepared workspace whose params.yaml has all CASES."""
    write_params(workspace_folder, small_params(train=SMALL, experiments=CASES, claims=[]))
    return workspace_folder
