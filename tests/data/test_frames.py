"""Frames: kept whole by `prepare`, made square by each experiment, on the way resized once."""

import io
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from skinlesion.data.frames import SquareImages, frame_size, frame_sizes, resize, to_frame, to_square
from skinlesion.data.store import open_images, open_squares
from skinlesion.experiment.inputs import Inputs
from skinlesion.params import SplitParams, TrainParams
from skinlesion.results.workspace import Workspace
from tests.conftest import TINY, small_params, write_params

METHODS = ("crop", "squash", "pad")


def test_a_frame_becomes_square_in_three_ways():
    wide = np.zeros((40, 80, 3), dtype=np.uint8)
    wide[:, :20], wide[:, 60:] = 255, 255  # white ends that a centre crop loses
    assert to_square(wide, "crop").max() == 0
    squashed = to_square(wide, "squash", 40)
    assert squashed.shape == (40, 40, 3)
    assert squashed[:, 0].min() == 255
    assert squashed[20, 20].max() == 0
    padded = to_square(wide + 100, "pad", 40)
    assert padded.shape == (40, 40, 3)
    assert padded[:10].max() == 0
    assert padded[-10:].max() == 0
    assert padded[10:30].min() > 80


@pytest.mark.parametrize("size", [16, 30, 44, 90])
def test_resizing_keeps_brightness_and_does_not_alias(size):
    stripes = np.zeros((45, 45, 3), dtype=np.uint8)
    stripes[:, ::2] = 200
    resized = resize(stripes, size, size)
    assert resized.mean() == pytest.approx(stripes.mean(), abs=5)
    if size <= 30:  # finer than the new pixels: what is left of the stripes is grey
        assert resized[:, 2:-2].std() < 0.75 * stripes.std()


def test_squashing_smooths_along_the_side_that_shrinks_alone():
    rows, columns = np.zeros((40, 60, 3), dtype=np.uint8), np.zeros((40, 60, 3), dtype=np.uint8)
    rows[::2], columns[:, ::2] = 200, 200
    np.testing.assert_array_equal(to_square(rows, "squash", 40), rows[:, :40])
    assert to_square(columns, "squash", 40)[:, 2:-2].std() < 0.75 * columns.std()


@pytest.mark.parametrize("how", ["squash_bilinear", "squash_bicubic"])
def test_squashing_plainly_is_torchs_interpolation_without_smoothing(how):
    frame = np.random.default_rng(0).integers(60, 200, (45, 60, 3), dtype=np.uint8)
    channels = torch.from_numpy(frame).permute(2, 0, 1)[None].float()
    expected = torch.nn.functional.interpolate(channels, (20, 20), mode=how.removeprefix("squash_"))
    squashed = to_square(frame, how, 20)
    np.testing.assert_allclose(squashed, expected[0].permute(1, 2, 0).clamp(0, 255), atol=1.1)
    assert squashed.std() > 1.3 * to_square(frame, "squash", 20).std()  # the grain is not smoothed away


@pytest.mark.parametrize("size", [(600, 450), (450, 600), (450, 450), (1000, 300), (601, 450), (31, 30)])
def test_a_frames_size_is_known_from_the_photographs(size):
    pixels = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    frame = to_frame(pixels, 256)
    assert frame.shape[:2] == frame_size(*size, 256)
    assert min(frame.shape[:2]) == 256
    assert max(frame.shape[:2]) <= 512
    files = pd.DataFrame({"width": [size[0]], "height": [size[1]]})
    assert frame_sizes(files, 256).tolist() == [list(frame_size(*size, 256))]


@pytest.mark.parametrize("how", [*METHODS, "squash_bicubic"])
def test_squares_are_indexed_like_an_array(how):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (6, 32, 48, 3), dtype=np.uint8)
    sizes = np.array([(32, 48), (32, 40), (32, 32)] * 2)
    squares = SquareImages(frames, sizes, how, 24)
    side = 32 if how == "crop" else 24
    assert squares.shape == (6, side, side, 3)
    assert len(squares) == 6
    expected = [to_square(frame[:h, :w], how, 24) for frame, (h, w) in zip(frames, sizes, strict=True)]
    whole = np.asarray(squares)
    np.testing.assert_array_equal(whole, np.stack(expected))
    np.testing.assert_array_equal(squares[np.array([4, 1])], whole[[4, 1]])
    np.testing.assert_array_equal(squares[1:3], whole[1:3])
    np.testing.assert_array_equal(squares[5], whole[5])
    np.testing.assert_array_equal(list(squares)[2], whole[2])


def archive(folder, table, sizes):
    """Write an archive of one folder: photographs of noise with a bright left end."""
    folder.mkdir(parents=True)
    table.to_csv(folder / "metadata.csv", index=False)
    rng = np.random.default_rng(0)
    for place, image_id in enumerate(table["image_id"]):
        width, height = sizes[place % len(sizes)]
        pixels = rng.integers(0, 120, (height, width, 3), dtype=np.uint8)
        pixels[:, : width // 8] = 250
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        (folder / f"{image_id}.png").write_bytes(stream.getvalue())


@pytest.fixture
def framed(prepared_template, tmp_path, run, request):
    """A workspace of frames of the sizes asked for, prepared and split."""
    folder = tmp_path / "workspace"
    shutil.copytree(prepared_template, folder)
    table = pd.read_csv(folder / "data/prepared/metadata.csv")
    archive(folder / "raw", table, request.param)
    names = ("image_id", "lesion_id", "dx", "age", "sex", "localization")
    data = {
        "source": "folder", "path": "raw",
        "folder": {"table": "metadata.csv", "columns": {name: name for name in names}},
    }  # fmt: skip
    params = small_params(data=data, claims=[])
    params["data"].pop("phantom")
    write_params(folder, params)
    for command in ("prepare", "split"):
        outcome = run(command, cwd=folder)
        assert outcome.code == 0, outcome.err
    return folder


ONE_SIZE, MIXED_SIZES = [(96, 64)], [(64, 64), (96, 64), (64, 128)]


@pytest.mark.parametrize("framed", [ONE_SIZE, MIXED_SIZES], indirect=True, ids=["one size", "mixed sizes"])
def test_every_way_trains_evaluates_and_predicts(framed, run):
    """From whole frames: what an experiment makes of them reaches training, evaluation, maps and photographs."""
    frames = open_images(framed / "data/prepared/images.npy")
    prepared = json.loads((framed / "data/prepared/prepared.json").read_text())
    assert prepared["image_size"] == 32
    assert frames.shape[1:] in {(32, 48, 3), (64, 48, 3)}
    answers = {}
    for how in METHODS:
        for regime in ("frozen", "full"):
            flags = (
                "--regime",
                regime,
                "--set",
                f"square={how}",
                "--set",
                "finetune_epochs=1",
                "--set",
                "input_size=32",
            )
            name = f"runs/{how}-{regime}"
            outcome = run("train", "--backbone", TINY, "--weights", "none", *flags, "--out", name, cwd=framed)
            assert outcome.code == 0, outcome.err
            outcome = run("evaluate", "--models", name, cwd=framed)
            assert outcome.code == 0, outcome.err
        settings = TrainParams(backbone=TINY, weights="none", input_size=32, square=how)
        images = Inputs(Workspace(framed), settings, SplitParams()).images
        answers[how] = np.asarray(images[:12]).astype(float)
        assert images.shape == (200, 32, 32, 3)
    # The bright left end of a wide frame is cut off, or stays, or lies between bars.
    wide = 1 if frames.shape[1] == 64 else 0
    left = {how: answers[how][wide][:, 0].mean() for how in METHODS}
    assert left["crop"] < 150 < 200 < left["squash"]
    assert answers["pad"][wide][0].max() == 0


@pytest.mark.parametrize("framed", [MIXED_SIZES], indirect=True)
def test_a_photograph_is_seen_as_the_prepared_image_was(framed):
    table = pd.read_csv(framed / "data/prepared/metadata.csv")
    from skinlesion.data.photographs import read_photograph
    from skinlesion.params import PrepareParams

    for how in METHODS:
        inputs = Inputs(Workspace(framed), TrainParams(backbone=TINY, weights="none", square=how), SplitParams())
        photographs = [
            read_photograph(framed / "raw" / f"{image_id}.png", PrepareParams(image_size=32))
            for image_id in table["image_id"][:6]
        ]
        np.testing.assert_array_equal(inputs.squares(photographs), inputs.images[:6])


@pytest.mark.parametrize("framed", [ONE_SIZE], indirect=True)
def test_damaged_frames_are_named(framed):
    from skinlesion.errors import UserError

    path = framed / "data/prepared/files.csv"
    pd.read_csv(path).iloc[1:].to_csv(path, index=False)
    with pytest.raises(UserError, match=r"images.npy and files.csv differ in length; run `skinlesion prepare` again"):
        open_squares(framed / "data/prepared", "crop")


def test_square_sources_are_what_they_were(prepared_template):
    """No square is made of what is square: the memory map itself is read."""
    frames = open_images(prepared_template / "data/prepared/images.npy")
    for how in METHODS:
        squares = open_squares(prepared_template / "data/prepared", how, 24)
        assert isinstance(squares, np.memmap)
        np.testing.assert_array_equal(squares, frames)


def test_the_originals_keep_their_frames(shared_data):
    """600 × 450 becomes 341 × 256, and the crop of the frame is the crop of the photograph."""
    from skinlesion.data.decode import decode
    from skinlesion.params import PrepareParams

    paths = sorted((shared_data / "ham10000_originals").glob("*.jpg"))[:8]
    if not paths:
        pytest.skip("no originals")
    for path in paths:
        frame = decode(path.read_bytes(), PrepareParams()).pixels
        assert frame.shape == (256, 341, 3)
        whole = np.asarray(Image.open(path))
        expected = resize(whole[:, 75:525], 256, 256).astype(int)
        inner = np.abs(to_square(frame, "crop").astype(int) - expected)[:, 4:-4]
        assert inner.mean() < 5  # grey levels of 256: the grid of the frame is shifted by less than a pixel
