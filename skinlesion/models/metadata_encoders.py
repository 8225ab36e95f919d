"""Metadata encoders: age, sex and localization as numbers, fitted on training rows and applied to all.

An encoder says what its columns mean (`fields`), so that a network can embed categories, attend to fields one by one,
and be shown a record with a field missing. A column that a table lacks altogether counts as missing everywhere.
"""

from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from typing import Annotated, Any, Protocol, Self

import numpy as np
import pandas as pd
import pydantic
from typing_extensions import TypedDict

from skinlesion.errors import UserError, choices
from skinlesion.reading import fitting
from skinlesion.vocabulary import LOCALIZATIONS, SEXES, UNKNOWN

FIELDS = ("age", "sex", "localization")
_CATEGORIES = {"sex": (*SEXES, UNKNOWN), "localization": (*LOCALIZATIONS, UNKNOWN)}

#: Of ages in years, and of codes. With values outside these limits, standardised ones may exceed float32.
_SMALLEST = 1e-6
_Mean = Annotated[float, pydantic.Field(ge=0, le=1_000)]
_Deviation = Annotated[float, pydantic.Field(ge=_SMALLEST, le=1_000)]

_BIN_YEARS = 10
_BINS = 10  # 0–9, 10–19, …, 90 and older


@dataclass(frozen=True)
class Field:
    """The columns of one metadata field in an encoded array."""

    name: str
    start: int
    missing: tuple[float, ...]  # what the columns hold where the field is missing
    categories: int = 0  # above 0: one column that holds a code below this

    @property
    def columns(self) -> slice:
        return slice(self.start, self.start + len(self.missing))


class MetadataEncoder(Protocol):
    """Turns the metadata table into an array; its state is JSON-able, so that a run can be read back."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields in the order of their columns."""

    def encode(self, table: pd.DataFrame) -> np.ndarray:
        """Return (N, columns) float32 for a table with some of `age, sex, localization`."""

    def state(self) -> dict[str, Any]:
        """Return what `restore_encoder` needs."""


@dataclass(frozen=True)
class OneHotEncoder:
    """Standardised age with a missing flag, then sex and localization one-hot.

    A missing age becomes the training mean (0 after standardising) and sets the flag. "unknown" has a column of its
    own; a category that is not in the vocabulary gets zeros throughout.
    """

    age_mean: float
    age_std: float
    sexes: tuple[str, ...] = _CATEGORIES["sex"]
    localizations: tuple[str, ...] = _CATEGORIES["localization"]

    @classmethod
    def fit(cls, table: pd.DataFrame, age: str = "continuous") -> Self:
        """Return the encoder for training rows.

        Raises:
            UserError: no training row has an age.
        """
        ages = _known_ages(table)
        return cls(age_mean=float(np.mean(ages)), age_std=_divisor(float(np.std(ages))))

    @property
    def fields(self) -> tuple[Field, ...]:
        return (
            Field("age", 0, (0.0, 1.0)),
            Field("sex", 2, tuple(float(name == UNKNOWN) for name in self.sexes)),
            Field("localization", 2 + len(self.sexes), tuple(float(name == UNKNOWN) for name in self.localizations)),
        )

    def encode(self, table: pd.DataFrame) -> np.ndarray:
        age = _ages(table)
        missing = np.isnan(age)
        standardised = np.where(missing, 0.0, (age - self.age_mean) / self.age_std)
        columns = [standardised[:, None], missing[:, None]]
        columns += [_one_hot(table, "sex", self.sexes), _one_hot(table, "localization", self.localizations)]
        return np.hstack(columns).astype(np.float32)

    def state(self) -> dict[str, Any]:
        return _plain(asdict(self))


@dataclass(frozen=True)
class DropFirstEncoder(OneHotEncoder):
    """Standardised age, then sex and localization one-hot without the first category in alphabetical order.

    Published projects (p0, p1) code so: scikit-learn's `OneHotEncoder(drop="first")`. The category left out (female,
    abdomen) has zeros throughout; a missing age is the training mean, without a flag; a category that is not in the
    vocabulary counts as unknown.
    """

    @property
    def fields(self) -> tuple[Field, ...]:
        fields, start = [Field("age", 0, (0.0,))], 1
        for name, categories in zip(FIELDS[1:], (self.sexes, self.localizations), strict=True):
            missing = tuple(float(category == UNKNOWN) for category in sorted(categories)[1:])
            fields.append(Field(name, start, missing))
            start += len(missing)
        return tuple(fields)

    def encode(self, table: pd.DataFrame) -> np.ndarray:
        age = (_ages(table) - self.age_mean) / self.age_std
        columns = [np.where(np.isnan(age), 0.0, age)[:, None]]
        for name, categories in zip(FIELDS[1:], (self.sexes, self.localizations), strict=True):
            texts = _texts(table, name)
            values = np.where(np.isin(texts, categories), texts, UNKNOWN)
            columns.append(values[:, None] == np.array(sorted(categories)[1:], dtype=object)[None, :])
        return np.hstack(columns).astype(np.float32)


@dataclass(frozen=True)
class OrdinalEncoder:
    """Median-imputed age, sex and localization as integer codes in alphabetical order, all standardised.

    It gives an order to categories that have none. A published project (p3) did so, and the same model with one-hot
    coding shows what that costs. A category outside the vocabulary becomes the mean code.
    """

    age_median: float
    means: tuple[float, float, float]
    stds: tuple[float, float, float]

    @classmethod
    def fit(cls, table: pd.DataFrame, age: str = "continuous") -> Self:
        """Return the encoder for training rows.

        Raises:
            UserError: no training row has an age.
        """
        median = float(np.median(_known_ages(table)))
        raw = _codes_and_age(table, median)
        stds = np.array([_divisor(std) for std in np.nanstd(raw, axis=0)])
        return cls(median, _triple(np.nanmean(raw, axis=0)), _triple(stds))

    @property
    def fields(self) -> tuple[Field, ...]:
        unknown = [float(sorted(_CATEGORIES[name]).index(UNKNOWN)) for name in FIELDS[1:]]
        missing = (np.array([self.age_median, *unknown]) - self.means) / self.stds
        return tuple(Field(name, place, (float(missing[place]),)) for place, name in enumerate(FIELDS))

    def encode(self, table: pd.DataFrame) -> np.ndarray:
        standardised = (_codes_and_age(table, self.age_median) - self.means) / self.stds
        return np.nan_to_num(standardised, nan=0.0).astype(np.float32)

    def state(self) -> dict[str, Any]:
        return _plain(asdict(self))


@dataclass(frozen=True)
class EmbeddingEncoder:
    """Codes for a network to embed: missing, and whatever is not in the vocabulary, is a category of each field.

    Age is continuous (standardised, with a missing flag) or a ten-year bin.
    """

    age_mean: float
    age_std: float
    binned: bool = False

    @classmethod
    def fit(cls, table: pd.DataFrame, age: str = "continuous") -> Self:
        """Return the encoder for training rows.

        Raises:
            UserError: no training row has an age.
        """
        ages = _known_ages(table)
        return cls(float(np.mean(ages)), _divisor(float(np.std(ages))), age == "binned")

    @property
    def fields(self) -> tuple[Field, ...]:
        age = Field("age", 0, (float(_BINS),), _BINS + 1) if self.binned else Field("age", 0, (0.0, 1.0))
        start = len(age.missing)
        coded = []
        for place, name in enumerate(FIELDS[1:]):
            names = _CATEGORIES[name]
            coded.append(Field(name, start + place, (float(names.index(UNKNOWN)),), len(names)))
        return (age, *coded)

    def encode(self, table: pd.DataFrame) -> np.ndarray:
        age = _ages(table)
        missing = np.isnan(age)
        if self.binned:
            bins = np.clip(np.where(missing, 0, age) // _BIN_YEARS, 0, _BINS - 1)
            columns = [np.where(missing, _BINS, bins)]
        else:
            columns = [np.where(missing, 0.0, (age - self.age_mean) / self.age_std), missing.astype(float)]
        for name in FIELDS[1:]:
            names = _CATEGORIES[name]
            codes = pd.Index(names).get_indexer(pd.Index(_texts(table, name)))
            columns.append(np.where(codes < 0, names.index(UNKNOWN), codes))
        return np.stack(columns, axis=1).astype(np.float32)

    def state(self) -> dict[str, Any]:
        return _plain(asdict(self))


ENCODERS: dict[str, Any] = {
    "onehot": OneHotEncoder,
    "onehot_drop_first": DropFirstEncoder,
    "ordinal": OrdinalEncoder,
    "embedding": EmbeddingEncoder,
}


def fit_encoder(name: str, table: pd.DataFrame, age: str = "continuous") -> MetadataEncoder:
    """Return the encoder called `name`, fitted on the rows given: training rows only.

    Raises:
        UserError: an unknown name, or rows it cannot be fitted on.
    """
    encoder: MetadataEncoder = _encoder_class(name).fit(table, age)
    return encoder


class _AgeState(TypedDict):
    age_mean: _Mean
    age_std: _Deviation


class _OneHotState(_AgeState):
    sexes: list[str]
    localizations: list[str]


class _OrdinalState(TypedDict):
    age_median: _Mean
    means: Annotated[list[_Mean], pydantic.Field(min_length=3, max_length=3)]
    stds: Annotated[list[_Deviation], pydantic.Field(min_length=3, max_length=3)]


class _EmbeddingState(_AgeState):
    binned: bool


_STATES: dict[str, Any] = {
    "onehot": _OneHotState,
    "onehot_drop_first": _OneHotState,
    "ordinal": _OrdinalState,
    "embedding": _EmbeddingState,
}


def restore_encoder(name: str, state: dict[str, Any], origin: str = "metadata encoder") -> MetadataEncoder:
    """Return the encoder called `name` as `state()` left it; `origin` says in messages where that was read.

    Raises:
        UserError: an unknown name, or a state that no encoder of that name has.
    """
    made = _encoder_class(name)
    fitting(state, _STATES[name], f"{origin}: metadata_encoder", "damaged, or of other parameters: train again")
    names = {field.name for field in dataclass_fields(made)}
    restored = {key: tuple(value) if isinstance(value, list) else value for key, value in state.items() if key in names}
    encoder: MetadataEncoder = made(**restored)
    return encoder


def _encoder_class(name: str) -> Any:
    if name not in ENCODERS:
        raise UserError(f"train.metadata: {name!r} is not an encoding; {choices(ENCODERS, name)}")
    return ENCODERS[name]


def _ages(table: pd.DataFrame) -> np.ndarray:
    return table["age"].to_numpy(dtype=float) if "age" in table else np.full(len(table), np.nan)


def _known_ages(table: pd.DataFrame) -> np.ndarray:
    ages = _ages(table)
    if np.isnan(ages).all():
        raise UserError("train.metadata: no training image has an age; take fusion: none")
    return ages[~np.isnan(ages)]


def _divisor(deviation: float) -> float:
    """Return 1 in place of the standard deviation of a constant, which rounding may leave above 0."""
    return deviation if deviation >= _SMALLEST else 1.0


def _texts(table: pd.DataFrame, name: str) -> np.ndarray:
    return table[name].to_numpy(dtype=object) if name in table else np.full(len(table), UNKNOWN, dtype=object)


def _one_hot(table: pd.DataFrame, name: str, categories: tuple[str, ...]) -> np.ndarray:
    return _texts(table, name)[:, None] == np.array(categories, dtype=object)[None, :]


def _codes_and_age(table: pd.DataFrame, median: float) -> np.ndarray:
    """Return (N, 3): age imputed, codes of sex and localization, NaN outside the vocabulary."""
    age = _ages(table)
    columns = [np.where(np.isnan(age), median, age)]
    for name in FIELDS[1:]:
        codes = pd.Index(sorted(_CATEGORIES[name])).get_indexer(pd.Index(_texts(table, name))).astype(float)
        columns.append(np.where(codes < 0, np.nan, codes))
    return np.stack(columns, axis=1)


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    age, sex, site = (float(value) for value in values)
    return age, sex, site


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in state.items()}
