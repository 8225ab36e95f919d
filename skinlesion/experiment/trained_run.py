"""A trained run: a model and its metadata encoder, loaded for prediction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from skinlesion.errors import UserError
from skinlesion.experiment.inputs import Inputs
from skinlesion.experiment.probabilities import ImageBatch, image_batches, probabilities
from skinlesion.models.metadata_encoders import MetadataEncoder, restore_encoder
from skinlesion.training import runs
from skinlesion.training.runs import Run, RunDescription


@dataclass(frozen=True)
class TrainedRun:
    """One trained model of an experiment."""

    inputs: Inputs  # the data it was trained on
    run: Run
    model: Any  # on the device: a classifier of features, or a whole network where the backbone was fine-tuned
    encoder: MetadataEncoder | None
    description: RunDescription  # run.json

    @classmethod
    def open(cls, inputs: Inputs, models: Path, run: Run, *, any_version: bool = False) -> "TrainedRun":
        """Return a run that was trained into the folder `models`.

        Args:
            any_version: accept a run that was trained from other parameters, data or code than there are now.

        Raises:
            UserError: there is none, or it is of another version.
        """
        folder = runs.run_folder(models, run)
        description = runs.read_run(folder)
        if (description["fold"], description["seed"], description.get("repeat", 0)) != run[:3]:
            raise UserError(f"{folder}: {runs.RUN_NAME} is another run's; run `skinlesion train` again")
        settings = inputs.settings
        if not any_version:
            expected = runs.fingerprint(settings, run, inputs.hashes(run.repeat))
            if description["fingerprint"] != expected:
                raise UserError(
                    f"{folder}: trained from other parameters, data or code than there are now; run `skinlesion train`"
                )
        state = description["metadata_encoder"]
        encoder = restore_encoder(settings.metadata, state, str(folder / runs.RUN_NAME)) if state else None
        if (encoder is not None) != settings.uses_metadata:
            raise UserError(f"{folder}: trained from other parameters than there are now; run `skinlesion train`")
        head = inputs.head(encoder)
        model: Any = inputs.network(head) if settings.fine_tunes else head
        runs.load_weights(folder, description, model, prefix="" if settings.fine_tunes else "head.")
        return cls(inputs, run, model.to(inputs.device), encoder, description)

    @cached_property
    def shown_table(self) -> pd.DataFrame:
        """Return the prepared table with the records that the model is shown: a placebo's are other lesions'."""
        return self.inputs.shown_table(self.run)

    @property
    def bf16(self) -> bool:
        """Whether the model was trained, and is run, in bfloat16."""
        return self.inputs.settings.fine_tunes and self.inputs.settings.precision == "bf16"

    def encode(self, table: pd.DataFrame) -> torch.Tensor | None:
        """Return the encoded records (N, M) of a table of age, sex and localization; None for image-only models."""
        return None if self.encoder is None else torch.from_numpy(self.encoder.encode(table)).to(self.inputs.device)

    def probabilities(
        self, views: Iterable[Iterable[ImageBatch]], records: Sequence[torch.Tensor | None]
    ) -> np.ndarray:
        """Return probabilities (versions, N, 7) of N images with each version of their encoded records."""
        answers: np.ndarray = probabilities([self.model], views, [records], bf16=self.bf16)[0]
        return answers

    def of_rows(
        self, rows: np.ndarray, inputs: Inputs | None = None, records: Sequence[torch.Tensor] | None = None
    ) -> np.ndarray:
        """Return probabilities (versions, n, 7) of prepared images.

        Args:
            rows: (n,) of the prepared table.
            inputs: another data set than the run's own.
            records: versions of the images' encoded records; by default the one that the model is shown.
        """
        table = self.shown_table if inputs is None else self.inputs.shown_table(self.run, inputs)
        inputs = inputs or self.inputs
        views = (image_batches(inputs.test_view(rows, view)) for view in range(inputs.views))
        return self.probabilities(views, records or [self.encode(table.iloc[rows])])
