"""Tables of the audit: pairs of images that may show one lesion, and external images that are in the data set too."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.data.duplicates import (
    Calibration,
    Whitening,
    calibrate,
    candidate_pairs,
    exact_duplicates,
    fit_whitening,
    perceptual_hashes,
)
from skinlesion.data.frames import SquareImages
from skinlesion.data.known_pairs import present_pairs
from skinlesion.data.splits import crossing_lesions

#: Rates at which the calibration is also stated, so that a reader sees what the chosen one costs.
RATES = (1e-7, 1e-6, 1e-5, 1e-4)


@dataclass(frozen=True)
class Appearance:
    """What images are compared by."""

    hashes: np.ndarray  # (8, N) uint64, one for each flip and quarter turn
    whitening: Whitening
    features: np.ndarray  # (N, W), frozen

    @classmethod
    def of(
        cls, images: np.ndarray | SquareImages, features: np.ndarray, whitening: Whitening | None = None
    ) -> "Appearance":
        """Return the appearance of images (N, S, S, 3) uint8; the whitening is fitted on them unless it is given."""
        return cls(perceptual_hashes(images), whitening or fit_whitening(features), features)

    @cached_property
    def unit(self) -> np.ndarray:
        """Return whitened features of length one (N, K)."""
        return self.whitening.unit(self.features)


@dataclass(frozen=True)
class AuditedImages:
    """A data set as the audit sees it; tables and appearance are aligned row by row.

    Attributes:
        metadata: `image_id, lesion_id` and more.
        files: files.csv, with checksums.
        appearance: hashes and features.
    """

    metadata: pd.DataFrame
    files: pd.DataFrame
    appearance: Appearance

    @property
    def ids(self) -> np.ndarray:
        """Return the image ids (N,)."""
        return self.metadata["image_id"].to_numpy()


@dataclass(frozen=True)
class PairAudit:
    """What the audit finds among the images of one data set.

    Attributes:
        pairs: exact duplicates, pairs known to show one lesion, and near-duplicates of different lesions, by `kind`.
        calibration: the rule for near-duplicates.
        by_rate: false-positive rate → the rule it gives, and how many known pairs that finds.
        lesions_across_parts: lesions on both sides of the lesion split.
    """

    pairs: pd.DataFrame
    calibration: Calibration
    by_rate: dict[float, tuple[Calibration, int]]
    lesions_across_parts: int

    @property
    def crossing_near_duplicates(self) -> pd.DataFrame:
        """Return the near-duplicates whose images lie in different parts."""
        near = self.pairs[self.pairs["kind"] == "near"]
        return near[near["first_part"] != near["second_part"]]

    def count(self, *kinds: str) -> int:
        """Return how many pairs are of some kinds."""
        return int(self.pairs["kind"].isin(kinds).sum())

    def summary(self) -> dict[str, Any]:
        """Return counts and rules as they stand in audit.json."""
        return {
            "lesions_across_parts": self.lesions_across_parts,
            "exact_duplicates": self.count("bytes", "pixels"),
            "near_duplicates": self.count("near"),
            "near_duplicates_across_parts": len(self.crossing_near_duplicates),
            "known_pairs": self.count("known, found", "known, not found"),
            "known_pairs_found": self.count("known, found"),
            "calibration": _stated(self.calibration),
            "calibration_by_rate": {
                f"{rate:.0e}": _stated(calibration) | {"known_pairs_found": recovered}
                for rate, (calibration, recovered) in self.by_rate.items()
            },
        }


def audit_pairs(
    audited: AuditedImages,
    split: pd.DataFrame,
    known_pairs: pd.DataFrame,
    *,
    hash_distance: int,
    false_positive_rate: float,
) -> PairAudit:
    """Return the suspicious pairs of a data set, by a rule calibrated on its own lesions.

    Args:
        split: `image_id, lesion_id, dx, part`, row by row as the images.
        known_pairs: `first, second`: images that people confirmed to show one lesion.
        hash_distance: bits of 64 in which the hashes of a candidate may differ.
        false_positive_rate: largest share of pairs of different lesions that may count as near-duplicates.
    """
    looks = audited.appearance
    candidates = candidate_pairs(looks.hashes, looks.unit, None, looks.unit, hash_distance)
    lesions = audited.metadata["lesion_id"].to_numpy()
    calibration = calibrate(candidates, lesions, false_positive_rate)
    by_rate = {rate: calibrate(candidates, lesions, rate) for rate in RATES}
    known = present_pairs(known_pairs, audited.metadata["image_id"])
    return PairAudit(
        pairs=_pairs(audited, split, known, candidates, calibration),
        calibration=calibration,
        by_rate={
            rate: (rule, _known_pairs_found(known, audited.ids, candidates, rule)) for rate, rule in by_rate.items()
        },
        lesions_across_parts=len(crossing_lesions(split)),
    )


def _pairs(
    audited: AuditedImages,
    split: pd.DataFrame,
    known: pd.DataFrame,
    candidates: pd.DataFrame,
    calibration: Calibration,
) -> pd.DataFrame:
    ids, lesions = audited.ids, audited.metadata["lesion_id"].to_numpy()
    first, second = candidates["first"].to_numpy(), candidates["second"].to_numpy()
    exact = exact_duplicates(audited.files).rename(columns={"equal": "kind"})

    def named(chosen: np.ndarray) -> pd.DataFrame:
        rows = candidates[chosen]
        return rows.assign(first=ids[rows["first"]], second=ids[rows["second"]])

    suspicious = (lesions[first] != lesions[second]) & (candidates["cosine"] >= calibration.threshold).to_numpy()
    near = named(suspicious).assign(kind="near").sort_values("cosine", ascending=False)

    known = pd.DataFrame(_sorted_pairs(known), columns=["first", "second"])
    listed = pd.Index(ids).isin(known.to_numpy().ravel())  # before pairs are named: of a large set there are millions
    known = known.merge(named(listed[first] & listed[second]), how="left", on=["first", "second"])
    known["kind"] = np.where(known["cosine"] >= calibration.threshold, "known, found", "known, not found")

    table = pd.concat([part for part in (exact, known, near) if len(part)] or [near], ignore_index=True)
    about = split.set_index("image_id")
    for side in ("first", "second"):
        for column, source in (("lesion", "lesion_id"), ("dx", "dx"), ("part", "part")):
            table[f"{side}_{column}"] = table[side].map(about[source])
    return table


def _sorted_pairs(known: pd.DataFrame) -> list[tuple[str, str]]:
    return [(min(pair), max(pair)) for pair in zip(known["first"], known["second"], strict=True)]


def _known_pairs_found(known: pd.DataFrame, ids: np.ndarray, candidates: pd.DataFrame, calibration: Calibration) -> int:
    passing = candidates[candidates["cosine"] >= calibration.threshold]
    pairs = set(zip(ids[passing["first"]], ids[passing["second"]], strict=True))
    return sum(pair in pairs for pair in _sorted_pairs(known))


def _stated(calibration: Calibration) -> dict[str, float]:
    return {
        "cosine_threshold": calibration.threshold,
        "false_positive_rate": calibration.false_positive_rate,
        "different_lesion_pairs": calibration.different_pairs,
        "same_lesion_pairs": calibration.same_pairs,
        "same_lesion_pairs_found": calibration.sensitivity,
    }


def overlapping_images(
    external: AuditedImages, audited: AuditedImages, calibration: Calibration, hash_distance: int
) -> pd.DataFrame:
    """Return the images of an external set that are also in the data set: `image_id, training_image_id, reason` and,
    for near-duplicates, `hash_distance, cosine`. An image counts once, with the strongest reason.

    Args:
        external: its appearance must use the whitening of `audited`.
        calibration: the rule for near-duplicates, of the data set.
    """
    outside, looks = external.appearance, audited.appearance
    near = candidate_pairs(outside.hashes, outside.unit, looks.hashes, looks.unit, hash_distance)
    near = near[near["cosine"] >= calibration.threshold].sort_values("cosine", ascending=False)
    near = near.assign(
        image_id=external.ids[near["first"]], training_image_id=audited.ids[near["second"]], reason="near-duplicate"
    )
    # The strongest reason first: the first of an image is kept.
    reasons = [
        _equal(external.metadata, audited.metadata, "image_id", "image_id"),
        _equal(external.files, audited.files, "sha256", "bytes"),
        _equal(external.files, audited.files, "pixels_sha256", "pixels"),
        _equal(external.metadata, audited.metadata, "lesion_id", "lesion_id"),
        near,
    ]
    table = pd.concat([part for part in reasons if len(part)] or [near], ignore_index=True)
    return table.drop_duplicates("image_id").sort_values("image_id", ignore_index=True)


def _equal(external: pd.DataFrame, training: pd.DataFrame, column: str, reason: str) -> pd.DataFrame:
    """Return the external images that agree with one of the data set's in a column."""
    first = training.drop_duplicates(column).set_index(column, drop=False)["image_id"]
    both = external[external[column].isin(first.index)]
    return pd.DataFrame({"image_id": both["image_id"], "training_image_id": both[column].map(first), "reason": reason})
