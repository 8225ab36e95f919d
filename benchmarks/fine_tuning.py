"""What precision and memory order would gain when fine-tuning on this machine; the parameter decides, never this.

    python benchmarks/fine_tuning.py [--backbone tf_efficientnet_lite0] [--input-size 224] [--last 3]

Training steps (forward, backward, Adam) on one batch of 32 in memory, in fp32 and bf16, plain and channels last, all
layers and the last stages. Each is a process of its own, since what an allocator keeps changes the next.
"""

import argparse
import subprocess
import sys
import time

import torch

from skinlesion.models.backbones import load_backbone
from skinlesion.models.classifier import FeatureClassifier, ImageClassifier
from skinlesion.params import TrainParams
from skinlesion.training.memory import keep_freed_memory

BATCH = 32
STEPS = 6


def images_per_second(
    backbone_name: str, size: int, last: int | None, bf16: bool, channels_last: bool, keep: bool
) -> float:
    """Return images/s of the fastest training step."""
    if keep:
        keep_freed_memory()
    settings = TrainParams(regime="full", trainable_stages=last)
    backbone = load_backbone(backbone_name, "none", size)
    model = ImageClassifier(backbone, FeatureClassifier(settings, backbone.width, ()), settings)
    order = torch.channels_last if channels_last else torch.contiguous_format
    model.backbone.to(memory_format=order)
    model.train()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], fused=True)
    images = torch.randn(BATCH, 3, size, size).contiguous(memory_format=order)
    labels = torch.arange(BATCH) % 7
    seconds = []
    for _ in range(STEPS):
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = model(images, None).float()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - began)
    return BATCH / min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--input-size", type=int, default=224)
    parser.add_argument("--last", type=int, default=3)
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        last, bf16, order, keep = (int(text) for text in options.one.split(","))
        print(
            images_per_second(options.backbone, options.input_size, last or None, bool(bf16), bool(order), bool(keep))
        )
        return
    print(f"{options.backbone}, {options.input_size} px, batch {BATCH}, {torch.get_num_threads()} threads, images/s")
    print(f"{'':34}{'all layers':>12}{f'last {options.last} stages':>16}")
    for name, bf16, order, keep in (
        ("fp32", 0, 0, 1), ("fp32, channels last", 0, 1, 1), ("bf16", 1, 0, 1), ("bf16, channels last", 1, 1, 1),
        ("fp32, channels last, memory freed", 0, 1, 0),
    ):  # fmt: skip
        rates = []
        for last in (0, options.last):
            command = [
                sys.executable, __file__, "--one", f"{last},{bf16},{order},{keep}", "--backbone", options.backbone,
                "--input-size", str(options.input_size),
            ]  # fmt: skip
            rates.append(float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout))
        print(f"{name:<34}{rates[0]:12.1f}{rates[1]:16.1f}")


if __name__ == "__main__":
    main()
