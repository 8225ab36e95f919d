"""Planted duplicates, by file, by pixels and by appearance."""

import numpy as np
import pandas as pd
import pytest

from skinlesion.data.duplicates import (
    FLOOR,
    across_parts,
    calibrate,
    candidate_pairs,
    exact_duplicates,
    fit_whitening,
    perceptual_hashes,
)


def drawn(count, side=64, seed=0):
    """Return smooth random images, so that a small change of brightness or position stays small."""
    import cv2

    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (count, 6, 6, 3), dtype=np.uint8)
    return np.stack([cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC) for grid in coarse])


def test_equal_files_and_equal_pixels():
    files = pd.DataFrame(
        [("a", "1", "x"), ("b", "2", "y"), ("c", "1", "x"), ("d", "3", "y"), ("e", "1", "x")],
        columns=["image_id", "sha256", "pixels_sha256"],
    )
    pairs = exact_duplicates(files)
    assert pairs.values.tolist() == [["a", "c", "bytes"], ["a", "e", "bytes"], ["b", "d", "pixels"]]
    crossing = across_parts(pairs, {"a": 0, "b": 1, "c": 0, "d": 2, "e": 5})
    assert crossing[["first", "second"]].values.tolist() == [["a", "e"], ["b", "d"]]
    assert exact_duplicates(files.iloc[:2]).empty


def test_hashes_recognise_every_flip_and_rotation():
    images = drawn(5)
    plain = perceptual_hashes(images)
    rotated = perceptual_hashes(np.ascontiguousarray(np.rot90(images[:, ::-1], 1, axes=(1, 2))))
    nearest = np.bitwise_count(plain[0][None] ^ rotated).min(axis=0)
    assert nearest.max() <= 6
    others = np.bitwise_count(plain[0][:, None] ^ plain[0][None])[~np.eye(5, dtype=bool)]
    assert others.min() > 12


def test_whitened_features_have_unit_variance_and_no_correlation():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 5)) @ rng.normal(size=(5, 5)) + 3
    white = fit_whitening(features)
    whitened = (features - white.mean) @ white.axes
    np.testing.assert_allclose(np.cov(whitened, rowvar=False), np.eye(5), atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(white.unit(features), axis=1), 1, atol=1e-5)


def test_candidates_are_near_by_hash_and_by_features():
    images = drawn(40)
    images[7] = np.clip(images[3].astype(int) + 4, 0, 255)  # the same picture, a little brighter
    hashes = perceptual_hashes(images)
    unit = np.eye(40, 8, dtype=np.float32)  # all at right angles or empty …
    unit[7] = unit[3]  # … but for two that agree
    unit[20], unit[21] = unit[1], unit[1]  # alike in features, not in look
    pairs = candidate_pairs(hashes, unit, None, unit, 6)
    assert pairs[["first", "second"]].values.tolist() == [[3, 7]]
    assert pairs["cosine"].item() == pytest.approx(1)
    other = candidate_pairs(hashes[:, [7]], unit[[7]], hashes, unit, 6)
    assert other[["first", "second"]].values.tolist() == [[0, 3], [0, 7]]


def test_a_threshold_lets_no_more_different_pairs_pass_than_allowed():
    lesions = np.array(["a", "a", "b", "b", "c", "c"])
    rows = [(0, 1, 0.9), (2, 3, 0.5), (0, 2, 0.8), (0, 4, 0.6), (1, 2, 0.4), (4, 5, 0.7)]
    candidates = pd.DataFrame(rows, columns=["first", "second", "cosine"])
    no_false_positives = calibrate(candidates, lesions, 0.0)  # 12 pairs of different lesions: none may pass
    assert (no_false_positives.different_pairs, no_false_positives.same_pairs) == (12, 3)
    assert no_false_positives.threshold == pytest.approx(0.8)
    assert no_false_positives.threshold > 0.8
    assert (no_false_positives.false_positive_rate, no_false_positives.sensitivity) == (0, pytest.approx(1 / 3))
    one_false_positive = calibrate(candidates, lesions, 1 / 12)
    assert one_false_positive.false_positive_rate == pytest.approx(1 / 12)
    assert one_false_positive.threshold == pytest.approx(0.6)
    no_limit = calibrate(candidates, lesions, 0.9)
    assert no_limit.threshold == FLOOR
    assert no_limit.sensitivity == 1


def test_the_real_archive_has_two_pairs_of_equal_files(shared_data):
    from skinlesion.data.sources import make_source
    from skinlesion.params import DataParams, PrepareParams

    source = make_source(DataParams(source="ham10000", path=shared_data / "ham10000"), shared_data)
    pairs = [("ISIC_0029861", "ISIC_0024366"), ("ISIC_0029938", "ISIC_0024777")]
    rows = []
    for image_id in [duplicate for pair in pairs for duplicate in pair] + ["ISIC_0024306"]:
        photo = source.read(image_id, PrepareParams(image_size=256))
        rows.append((image_id, photo.sha256, photo.pixels.tobytes().hex()))
    expected = {tuple(sorted(pair)) for pair in pairs}
    duplicates = exact_duplicates(pd.DataFrame(rows, columns=["image_id", "sha256", "pixels_sha256"]))
    assert {tuple(sorted(pair)) for pair in duplicates[["first", "second"]].to_numpy()} == expected
