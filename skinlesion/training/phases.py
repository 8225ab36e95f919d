"""The phases of a regime: a head on frozen features, fine-tuning of the backbone, or one after the other."""

from dataclasses import dataclass

from skinlesion.params import TrainParams

HEAD, FINE_TUNING = "head", "fine_tuning"


@dataclass(frozen=True)
class Phase:
    """One phase of training with its own learning rate, length and early stopping."""

    name: str
    number: int
    lr: float
    epochs: int
    patience: int
    batch_size: int
    select: str

    def checkpoint_name(self, prefix: str = "") -> str:
        """Return the name of the phase's checkpoint; the prefix tells candidates of a grid apart."""
        return f"checkpoint-{prefix}{self.name}.safetensors"


def phases_of(settings: TrainParams) -> list[Phase]:
    """Return the phases of `settings.regime`, in order."""
    head = Phase(HEAD, 0, settings.lr, settings.epochs, settings.patience, settings.batch_size, settings.select)
    tuning = Phase(
        FINE_TUNING, 1, settings.finetune_lr, settings.finetune_epochs, settings.finetune_patience,
        settings.finetune_batch_size, settings.finetune_select or settings.select,
    )  # fmt: skip
    return {"frozen": [head], "two_stage": [head, tuning], "full": [tuning]}[settings.regime]
