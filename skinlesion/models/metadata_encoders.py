"""Age, sex and localization as numbers: encoders are fitted on training rows and applied to all."""

from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd

from skinlesion.errors import UserError, choices
from skinlesion.vocabulary import LOCALIZATIONS, SEXES, UNKNOWN


class MetadataEncoder(Protocol):
    """Turns the metadata table into an array; its state is JSON-able, so that a run can be read back."""

    @property
    def width(self) -> int:
        """Columns of the array."""

    def encode(self, table: pd.DataFrame) -> np.ndarray:
        """Return (N, width) float32 for a table with `age, sex, localization`."""

    def state(self) -> dict[str, Any]:
        """Return what `from_state` needs."""


@dataclass(frozen=True)
class OneHotEncoder:
    """Standardised age with a missing flag, then sex and localization one-hot.

    A missing age becomes the training mean (0 after standardising) and sets the flag. "unknown" has a column of its
    own; a category that was never seen in training, or is not in the vocabulary, gets zeros throughout.
    """

    age_mean: float
    age_std: float
    sexes: tuple[str, ...] = (*SEXES, UNKNOWN)
    localizations: tuple[str, ...] = (*LOCALIZATIONS, UNKNOWN)

    @classmethod
    def fit(cls, table: pd.DataFrame) -> Self:
        """Return the encoder for training rows.

        Raises:
            UserError: no training row has an age.
        """
        age = table["age"].to_numpy(dtype=float)
        if np.isnan(age).all():
            raise UserError("train.metadata: no training image has an age; take fusion: none")
        # A constant age carries nothing: divide by one instead of by zero.
        return cls(age_mean=float(np.nanmean(age)), age_std=float(np.nanstd(age)) or 1.0)

    @property
    def width(self) -> int:
        return 2 + len(self.sexes) + len(self.localizations)

    def encode(self, table: pd.DataFrame) -> np.ndarray:
        age = table["age"].to_numpy(dtype=float)
        missing = np.isnan(age)
        standardised = np.where(missing, 0.0, (age - self.age_mean) / self.age_std)
        columns = [standardised[:, None], missing[:, None]]
        columns += [_one_hot(table["sex"], self.sexes), _one_hot(table["localization"], self.localizations)]
        return np.hstack(columns).astype(np.float32)

    def state(self) -> dict[str, Any]:
        state = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in state.items()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        restored: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in state.items()}
        return cls(**restored)


def _one_hot(values: pd.Series, categories: tuple[str, ...]) -> np.ndarray:
    return values.to_numpy(dtype=object)[:, None] == np.array(categories, dtype=object)[None, :]


ENCODERS = {"onehot": OneHotEncoder}


def fit_encoder(name: str, table: pd.DataFrame) -> MetadataEncoder:
    """Return the encoder called `name`, fitted on the rows given: training rows only.

    Raises:
        UserError: an unknown name, or rows it cannot be fitted on.
    """
    return _encoder_class(name).fit(table)


def restore_encoder(name: str, state: dict[str, Any]) -> MetadataEncoder:
    """Return the encoder called `name` as `state()` left it."""
    return _encoder_class(name).from_state(state)


def _encoder_class(name: str) -> type[OneHotEncoder]:
    if name not in ENCODERS:
        raise UserError(f"train.metadata: {name!r} is not an encoding; {choices(ENCODERS, name)}")
    return ENCODERS[name]
