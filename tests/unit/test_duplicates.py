"""Duplicates that were planted are found, by bytes, by pixels and by look; what differs is left alone."""

import json

import numpy as np
import pandas as pd
import pytest

from skinlesion.data.duplicates import across_parts, exact_duplicates
from skinlesion.data.near_duplicates import (
    FLOOR,
    calibrate,
    candidate_pairs,
    fit_whitening,
    perceptual_hashes,
)
from skinlesion.data.store import hash_images
from tests.conftest import small_params, write_params


def drawn(count, side=64, seed=0):
    """Return smooth random images, so that a small change of brightness or position stays small."""
    import cv2

    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (count, 6, 6, 3), dtype=np.uint8)
    return np.stack([cv2.resize(one, (side, side), interpolation=cv2.INTER_CUBIC) for one in coarse])


def test_equal_files_and_equal_pixels():
    files = pd.DataFrame(
        [("a", "1", "x"), ("b", "2", "y"), ("c", "1", "x"), ("d", "3", "y"), ("e", "1", "x")],
        columns=["image_id", "sha256", "pixels_sha256"],
    )
    found = exact_duplicates(files)
    assert found.values.tolist() == [["a", "c", "bytes"], ["a", "e", "bytes"], ["b", "d", "pixels"]]
    crossing = across_parts(found, {"a": 0, "b": 1, "c": 0, "d": 2, "e": 5})
    assert crossing[["first", "second"]].values.tolist() == [["a", "e"], ["b", "d"]]
    assert exact_duplicates(files.iloc[:2]).empty


def test_hashes_know_every_flip_and_turn():
    images = drawn(5)
    plain = perceptual_hashes(images)
    turned = perceptual_hashes(np.ascontiguousarray(np.rot90(images[:, ::-1], 1, axes=(1, 2))))
    nearest = np.bitwise_count(plain[0][None] ^ turned).min(axis=0)
    assert nearest.max() <= 6
    others = np.bitwise_count(plain[0][:, None] ^ plain[0][None])[~np.eye(5, dtype=bool)]
    assert others.min() > 12


def test_whitened_features_have_unit_variance_and_no_correlation():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 5)) @ rng.normal(size=(5, 5)) + 3
    white = fit_whitening(features)
    made = (features - white.mean) @ white.axes
    np.testing.assert_allclose(np.cov(made, rowvar=False), np.eye(5), atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(white.unit(features), axis=1), 1, atol=1e-5)


def test_candidates_are_near_in_both_senses():
    images = drawn(40)
    images[7] = np.clip(images[3].astype(int) + 4, 0, 255)  # the same picture, a little brighter
    hashes = perceptual_hashes(images)
    unit = np.eye(40, 8, dtype=np.float32)  # all at right angles or empty …
    unit[7] = unit[3]  # … but for two that agree
    unit[20], unit[21] = unit[1], unit[1]  # alike in features, not in look
    found = candidate_pairs(hashes, unit, None, unit, 6)
    assert found[["first", "second"]].values.tolist() == [[3, 7]]
    assert found["cosine"].item() == pytest.approx(1)
    other = candidate_pairs(hashes[:, [7]], unit[[7]], hashes, unit, 6)
    assert other[["first", "second"]].values.tolist() == [[0, 3], [0, 7]]


def test_a_threshold_lets_no_more_different_pairs_pass_than_allowed():
    lesions = np.array(["a", "a", "b", "b", "c", "d"])
    groups = np.array(["a", "a", "b", "b", "c", "c"])  # c and d are known to be one
    rows = [(0, 1, 0.9), (2, 3, 0.5), (0, 2, 0.8), (0, 4, 0.6), (1, 2, 0.4), (4, 5, 0.7)]
    candidates = pd.DataFrame(rows, columns=["first", "second", "cosine"])
    none = calibrate(candidates, lesions, groups, 0.0)  # 12 pairs of different lesions: none may pass
    assert (none.different_pairs, none.same_pairs) == (12, 2)
    assert none.threshold == pytest.approx(0.8)
    assert none.threshold > 0.8
    assert (none.false_positive_rate, none.sensitivity) == (0, 0.5)
    one = calibrate(candidates, lesions, groups, 1 / 12)
    assert one.false_positive_rate == pytest.approx(1 / 12)
    assert one.threshold == pytest.approx(0.6)
    every = calibrate(candidates, lesions, groups, 0.9)
    assert every.threshold == FLOOR
    assert every.sensitivity == 1


def _change_files(folder, rows, **columns):
    path = folder / "data/prepared/files.csv"
    files = pd.read_csv(path)
    for name, value in columns.items():
        files.loc[rows, name] = value
    files.to_csv(path, index=False)


def _rows_in_two_parts(folder):
    """Return two rows of images whose lesions lie in different parts, and their ids."""
    split = pd.read_csv(folder / "data/splits/lesion.csv")
    table = pd.read_csv(folder / "data/prepared/metadata.csv")
    part = split.set_index("image_id")["part"]
    first = table["image_id"][0]
    other = next(one for one in table["image_id"] if part[one] != part[first])
    rows = [0, int(table.index[table["image_id"] == other][0])]
    return rows, [first, other]


@pytest.mark.parametrize("column", ["sha256", "pixels_sha256"])
def test_split_fails_on_equal_images_across_parts(workspace_folder, run, column):
    assert run("split", cwd=workspace_folder).code == 0
    made = json.loads((workspace_folder / "reports/split.json").read_text())
    assert made["exact_duplicates"] == made["lesion"]["exact_duplicates_across_parts"] == 0
    rows, ids = _rows_in_two_parts(workspace_folder)
    before = (workspace_folder / "data/splits/lesion.csv").read_bytes()
    _change_files(workspace_folder, rows, **{column: "0" * 64})
    outcome = run("split", cwd=workspace_folder)
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    assert all(part in outcome.err for part in (*ids, "across parts", "one lesion_id"))
    assert (workspace_folder / "data/splits/lesion.csv").read_bytes() == before


def test_the_audit_finds_what_was_planted(workspace_folder, run):
    """One lesion under two ids, across parts; an external set with one image of ours, and one that looks like one."""
    write_params(
        workspace_folder,
        small_params(
            audit={"replicates": 100, "false_positive_rate": 1e-3, "hash_distance": 6},
            external=[
                {"name": "other", "source": "phantom", "path": ".", "phantom": {"images": 150, "seed": 5}},
            ],
        ),
    )
    assert run("prepare", "--external", "other", cwd=workspace_folder).code == 0
    rows, ids = _rows_in_two_parts(workspace_folder)
    _write_images(workspace_folder / "data/prepared", {rows[1]: (workspace_folder / "data/prepared", rows[0])})
    # The first image outside gets an id of ours; the second one the look of our first, brightened.
    outside = workspace_folder / "data/external/other"
    table = pd.read_csv(outside / "metadata.csv", keep_default_na=False)
    files = pd.read_csv(outside / "files.csv")
    table.loc[0, "image_id"] = files.loc[0, "image_id"] = ids[0]
    table.to_csv(outside / "metadata.csv", index=False)
    files.to_csv(outside / "files.csv", index=False)
    _write_images(outside, {1: (workspace_folder / "data/prepared", rows[0])})

    outcome = run("audit", cwd=workspace_folder)
    assert outcome.code == 0, outcome.err
    folder = workspace_folder / "reports/audit"
    made = json.loads((folder / "audit.json").read_text())
    pairs = pd.read_csv(folder / "pairs.csv")
    near = pairs[pairs["kind"] == "near"]
    assert sorted(ids) in [sorted(pair) for pair in near[["first", "second"]].values.tolist()]
    assert (
        made["near_duplicates"]
        == len(near)
        == made["near_duplicates_across_parts"] + (near["first_part"] == near["second_part"]).sum()
    )
    assert made["calibration"]["false_positive_rate"] <= 1e-3
    overlap = pd.read_csv(folder / "overlap.csv").set_index("image_id")
    assert overlap.loc[ids[0], "reason"] == "image_id"
    assert overlap.loc[table.loc[1, "image_id"], "training_image_id"] in ids
    assert overlap.loc[table.loc[1, "image_id"], "reason"] == "near-duplicate"
    page = (folder / "audit.html").read_text()
    assert "SYNTHETIC" in page
    assert page.count("data:image/jpeg") == 2 * (len(pairs) + len(overlap))

    # Evaluation leaves the overlap out and counts it.
    assert run("train", "--experiment", "concat", cwd=workspace_folder).code == 0
    assert run("evaluate", "--experiment", "concat", cwd=workspace_folder).code == 0
    notes = json.loads((workspace_folder / "reports/runs/concat/external/notes.json").read_text())["other"]
    assert sum(notes["removed"].values()) == len(overlap)
    predicted = pd.read_csv(workspace_folder / "reports/runs/concat/external/other.csv")
    assert not set(predicted["image_id"]) & set(overlap.index)
    assert len(predicted) == notes["images"] == 150 - len(overlap)

    write_params(
        workspace_folder,
        small_params(audit={"replicates": 100, "false_positive_rate": 1e-3, "on_near_duplicates": "stop"}),
    )
    outcome = run("audit", cwd=workspace_folder)
    assert outcome.code == 2
    assert "near-duplicates across parts" in outcome.err
    assert "audit.html" in outcome.err


def _write_images(prepared, replaced):
    """Put other images, a little brighter, into rows of a prepared array; `replaced`: row → (folder, row there)."""
    path = prepared / "images.npy"
    images = np.load(path)
    for row, (folder, there) in replaced.items():
        source = np.load(folder / "images.npy", mmap_mode="r")[there]
        images[row] = np.clip(source.astype(int) + 2, 0, 255)
    path.unlink()
    np.save(path, images)
    described = json.loads((prepared / "prepared.json").read_text())
    described["images_sha256"] = hash_images(path)
    (prepared / "prepared.json").write_text(json.dumps(described))


def test_the_real_archive_has_two_pairs_of_equal_files(shared_data):
    from skinlesion.data.sources import make_source
    from skinlesion.params import DataParams, PrepareParams

    source = make_source(DataParams(source="ham10000", path=shared_data / "ham10000"), shared_data)
    pairs = [("ISIC_0029861", "ISIC_0024366"), ("ISIC_0029938", "ISIC_0024777")]
    rows = []
    for image_id in [one for pair in pairs for one in pair] + ["ISIC_0024306"]:
        photo = source.read(image_id, PrepareParams(image_size=256))
        rows.append((image_id, photo.sha256, photo.pixels.tobytes().hex()))
    found = exact_duplicates(pd.DataFrame(rows, columns=["image_id", "sha256", "pixels_sha256"]))
    assert {tuple(sorted(pair)) for pair in found[["first", "second"]].to_numpy()} == {tuple(sorted(p)) for p in pairs}
