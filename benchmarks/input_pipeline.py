"""Speed of the input pipeline against what one would write otherwise, as ratios in one run.

    python benchmarks/input_pipeline.py [--originals FOLDER] [--images 512]

The alternative: a torch DataLoader with a worker for each core, Pillow, and torchvision transforms on each image, from
JPEG files of 600×450 (or 256×256) pixels. Ours: the prepared uint8 array, resized, changed and normalised a batch at a
time. Both end with normalised float batches of 224 px.

Limits: at least 8 times the alternative's images a second from 600×450 with the dermoscopy set, 5 times from 256×256,
6 times without augmentation; and the training step reaches at least 0.9 of the rate it has on one batch in memory.
"""

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from skinlesion.data.augment import NO_CHANGE, PRESETS, Augmentation
from skinlesion.data.store import cores
from skinlesion.models.backbones import Backbone, load_backbone
from skinlesion.models.classifier import FeatureClassifier, ImageClassifier
from skinlesion.params import TrainParams
from skinlesion.training.examples import PixelExamples, PixelStore, Records
from skinlesion.training.memory import keep_freed_memory

BATCH = 64
ROUNDS = 3
SHARED = Path(__file__).parents[2] / "shared" / "data"


class Jpegs(Dataset):
    """JPEG files through Pillow and torchvision, one image at a time."""

    def __init__(self, files: list[bytes], transform: Callable) -> None:
        self.files, self.transform = files, transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.transform(Image.open(io.BytesIO(self.files[index])).convert("RGB"))


def alternative(files: list[bytes], backbone: Backbone, augmented: bool) -> float:
    """Return images/s of the DataLoader, without the start of its workers."""
    steps: list[Callable] = [v2.Resize((backbone.input_size,) * 2, interpolation=v2.InterpolationMode.BICUBIC)]
    if augmented:
        derm = PRESETS["dermoscopy"]
        steps += [
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomAffine(
                derm.rotation, (derm.translation,) * 2, derm.scale, interpolation=v2.InterpolationMode.BILINEAR
            ),
            v2.ColorJitter(derm.brightness, derm.contrast, derm.saturation, derm.hue),
        ]
    steps += [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(backbone.mean, backbone.std)]
    loader = DataLoader(
        Jpegs(files, v2.Compose(steps)), BATCH, num_workers=cores(), persistent_workers=True, drop_last=True
    )
    for _ in loader:  # starts the workers
        pass
    return rate(lambda: loader, len(files))


def ours(pixels: np.ndarray, backbone: Backbone, augmentation: Augmentation) -> float:
    """Return images/s of our batches."""
    examples = pixel_examples(pixels, backbone, augmentation)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randperm(len(pixels)).split(BATCH)[: len(pixels) // BATCH]
    return rate(lambda: examples.batches(rows, generator), len(pixels))


def pixel_examples(pixels: np.ndarray, backbone: Backbone, augmentation: Augmentation) -> PixelExamples:
    labels = torch.arange(len(pixels)) % 7
    store = PixelStore(pixels, torch.device("cpu"))
    return PixelExamples(store, np.arange(len(pixels)), backbone, Records(labels, labels, labels), augmentation)


def rate(batches: Callable[[], Iterable], images: int) -> float:
    """Return images/s of going through all batches twice."""
    began = time.perf_counter()
    for _ in range(2):
        for _ in batches():
            pass
    return 2 * (images // BATCH * BATCH) / (time.perf_counter() - began)


def step_share(pixels: np.ndarray, backbone: Backbone, steps: int = 6, batch: int = 32) -> float:
    """Return the rate of training steps on augmented images over their rate on one batch in memory."""
    settings = TrainParams(regime="full")
    model = ImageClassifier(backbone, FeatureClassifier(settings, backbone.width, ()), settings)
    model.backbone.to(memory_format=torch.channels_last)
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    examples = pixel_examples(pixels, backbone, PRESETS["dermoscopy"])
    generator = torch.Generator().manual_seed(0)

    def train(batches: Iterable) -> float:
        seconds, began = [], time.perf_counter()
        for minibatch in batches:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(minibatch.image, None), minibatch.targets).backward()
            optimizer.step()
            seconds.append(time.perf_counter() - began)
            began = time.perf_counter()
        return float(np.median(seconds[1:]))

    rows = list(torch.arange(steps * batch).split(batch))
    ready = next(iter(examples.batches(rows[:1], generator)))
    return train([ready] * steps) / train(examples.batches(rows, generator))


def read_files(folder: Path | None, count: int) -> tuple[list[bytes], str]:
    """Return `count` JPEG files of 600×450: of `folder`, each as often as needed, or drawn noise."""
    if folder is not None and folder.is_dir():
        files = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
        return [files[place % len(files)] for place in range(count)], f"{len(files)} photographs"
    rng = np.random.default_rng(0)
    made = []
    for _ in range(64):
        small = rng.integers(60, 220, (15, 20, 3), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(small).resize((600, 450), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
        made.append(stream.getvalue())
    return [made[place % len(made)] for place in range(count)], "drawn pictures"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--originals", type=Path, default=SHARED / "ham10000_originals")
    parser.add_argument("--images", type=int, default=512)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", str(cores()))
    keep_freed_memory()
    backbone = load_backbone("tf_efficientnet_lite0", "none")
    originals, described = read_files(options.originals, options.images)
    squares, rows = [], []
    for data in originals:
        image = Image.open(io.BytesIO(data)).convert("RGB").crop((75, 0, 525, 450)).resize((256, 256))
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=95)
        squares.append(stream.getvalue())
        rows.append(np.asarray(image))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        np.save(path, np.stack(rows))
        pixels = np.load(path, mmap_mode="r")
        rates = []
        for _ in range(ROUNDS):
            plain, full = ours(pixels, backbone, NO_CHANGE), ours(pixels, backbone, PRESETS["dermoscopy"])
            large, small = alternative(originals, backbone, True), alternative(squares, backbone, True)
            still = alternative(originals, backbone, False)
            rates.append((plain, full, large, small, still, full / large, full / small, plain / still))
        share = step_share(pixels, backbone)
    plain, full, large, small, still, *ratios = np.median(rates, axis=0)
    print(f"{described}, {len(pixels)} images, {cores()} cores, medians of {ROUNDS} rounds; images/s to 224 px")
    print(f"DataLoader, 600×450, dermoscopy set       {large:8.0f}")
    print(f"DataLoader, 256×256, dermoscopy set       {small:8.0f}")
    print(f"DataLoader, 600×450, no augmentation      {still:8.0f}")
    print(f"ours, dermoscopy set                      {full:8.0f}")
    print(f"ours, no augmentation                     {plain:8.0f}")
    for name, ratio, limit in zip(
        ("600×450, dermoscopy set", "256×256, dermoscopy set", "600×450, no augmentation"),
        ratios,
        (8, 5, 6),
        strict=True,
    ):
        print(f"ours / DataLoader, {name:<24}{ratio:7.1f}  (limit at least {limit})")
    print(f"training step / its own limit             {share:8.2f}  (limit at least 0.9)")


if __name__ == "__main__":
    main()
