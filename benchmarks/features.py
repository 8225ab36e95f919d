"""Speed of feature extraction and of the frozen-feature cache, as ratios in one run.

    python benchmarks/features.py [--images 1024] [--backbone tf_efficientnet_lite0]

1. The whole extraction (memory map, resize, normalise, forward, write) against bare forward passes on a batch that lies
   ready in memory. Limit: 1.3.
2. The same forward passes with freed memory kept and given back to the kernel (what `keep_freed_memory` is for).
3. Forty epochs of a head through the cache against running the frozen backbone every epoch, from the same images.
   Limit: at least 20.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from skinlesion.models.backbones import load_backbone
from skinlesion.models.classifier import FeatureClassifier
from skinlesion.models.losses import make_loss
from skinlesion.params import TrainParams
from skinlesion.training import features
from skinlesion.training.examples import FeatureExamples, Records
from skinlesion.training.fit import fit
from skinlesion.training.memory import keep_freed_memory
from skinlesion.training.phases import phases_of

ROUNDS = 3


def bare_rate(backbone_name: str, images: int) -> float:
    """Return images/s of forward passes alone, on one batch in memory."""
    backbone = load_backbone(backbone_name, "imagenet")
    module = backbone.module.to(memory_format=torch.channels_last)
    size = features.FEATURES["cpu"]
    batch = torch.randn(size, 3, backbone.input_size, backbone.input_size).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        module(batch)
        began = time.perf_counter()
        for _ in range(images // size):
            module(batch)
    return images // size * size / (time.perf_counter() - began)


def extraction_rate(backbone_name: str, pixels: np.ndarray) -> float:
    request = features.FeatureRequest("fp32", "cpu")
    with tempfile.TemporaryDirectory() as cache:
        backbone = load_backbone(backbone_name, "imagenet")
        began = time.perf_counter()
        features._extract(pixels, backbone, request, torch.device("cpu"), Path(cache) / "x.npy", {})
        return len(pixels) / (time.perf_counter() - began)


def head_seconds(images: int, width: int) -> float:
    """Return the time of 40 epochs of a head on cached features of `images` images."""
    settings = TrainParams(epochs=40, patience=40)
    rng = np.random.default_rng(0)
    labels = torch.from_numpy(rng.permutation(np.arange(images) % 7))
    array = torch.from_numpy(rng.normal(size=(images, width)).astype(np.float32))
    examples = FeatureExamples([array], Records(labels, torch.arange(images), labels))
    model = FeatureClassifier(settings, width, ())
    loss = make_loss(settings, torch.bincount(labels, minlength=7))
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        fit(
            model, phases_of(settings)[0], examples, examples, loss, settings,
            seed=(0, 0), checkpoint=Path(folder) / "c", fingerprint="",
        )  # fmt: skip
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--bare-only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare_only:
        print(bare_rate(options.backbone, options.images))
        return
    # In a process of its own, before anything is kept: the default allocator.
    command = [sys.executable, __file__, "--bare-only", "--images", "256", "--backbone", options.backbone]
    default = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    keep_freed_memory()
    pixels = np.random.default_rng(0).integers(0, 255, (options.images, 256, 256, 3), dtype=np.uint8)
    rows = []
    for _ in range(ROUNDS):
        bare, whole = bare_rate(options.backbone, options.images), extraction_rate(options.backbone, pixels)
        width = load_backbone(options.backbone, "none").width
        head = head_seconds(options.images, width)
        without_cache = 40 * options.images / whole + head
        rows.append((bare, whole, bare / whole, without_cache / head))
    bare, whole, overhead, cache = np.median(rows, axis=0)
    print(f"{options.backbone}, {options.images} images, {torch.get_num_threads()} threads, medians of {ROUNDS} rounds")
    print(f"bare forward passes                   {bare:8.0f} images/s")
    print(f"whole extraction                      {whole:8.0f} images/s")
    print(f"time of extraction / forward passes   {overhead:8.2f}  (limit 1.3)")
    print(f"freed memory kept / given back        {bare / default:8.2f}")
    print(f"40 epochs: no cache / cache           {cache:8.0f}  (limit at least 20)")


if __name__ == "__main__":
    main()
