"""A trained run, read back: its model, its encoder of metadata, and what it says of images."""

from pathlib import Path
from typing import Any

import numpy as np

from skinlesion.errors import UserError
from skinlesion.models.metadata_encoders import MetadataEncoder, restore_encoder
from skinlesion.stages.inputs import Inputs
from skinlesion.training import runs
from skinlesion.training.predict import predict_probabilities


def checked_run(inputs: Inputs, folder: Path, fold: int, seed: int) -> dict[str, Any]:
    """Return run.json of a run that is what the parameters, data and code ask for.

    Raises:
        UserError: there is none, or it was made from others.
    """
    run = runs.read_run(folder)
    if run["fingerprint"] != runs.fingerprint(inputs.settings, fold, seed, inputs.hashes):
        raise UserError(
            f"{folder}: trained from other parameters, data or code than lie here now; run `skinlesion train`"
        )
    return run


def restore(inputs: Inputs, folder: Path, run: dict[str, Any]) -> tuple[Any, MetadataEncoder | None]:
    """Return the trained model of one run on the device, and its encoder of metadata."""
    settings = inputs.settings
    encoder = restore_encoder(settings.metadata, run["metadata_encoder"]) if run["metadata_encoder"] else None
    head = inputs.head(encoder)
    model: Any = inputs.network(head) if settings.fine_tunes else head
    runs.load_weights(folder, model, prefix="" if settings.fine_tunes else "head.")
    return model.to(inputs.device), encoder


def predict_rows(inputs: Inputs, model: Any, encoder: MetadataEncoder | None, rows: np.ndarray) -> np.ndarray:
    """Return probabilities (n, 7) of some rows."""
    settings = inputs.settings
    bf16 = settings.fine_tunes and settings.precision == "bf16"
    views = inputs.test_views(rows, encoder)
    found: np.ndarray = predict_probabilities(model, views, pixels=settings.fine_tunes, bf16=bf16).cpu().numpy()
    return found
