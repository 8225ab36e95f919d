"""A small archive of noise images in HAM10000's layout, for tests of sources and of broken input."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image


def jpeg(seed: int, size: tuple[int, int] = (60, 45)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def records(count: int = 12) -> pd.DataFrame:
    """Return valid metadata of `count` images, two per lesion."""
    rows = [
        {
            "lesion_id": f"HAM_{number // 2:07d}",
            "image_id": f"ISIC_{number:07d}",
            "dx": ("nv", "mel", "bkl")[number // 2 % 3],
            "dx_type": "histo",
            "age": "45.0",
            "sex": "male",
            "localization": "back",
            "dataset": "rosendahl",
        }
        for number in range(count)
    ]
    return pd.DataFrame(rows)


def write_archive(folder: Path, table: pd.DataFrame, images: dict[str, bytes] | None = None) -> Path:
    """Write two zips and the metadata; `images` replaces or adds single files. The bytes do not depend on the time."""
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "HAM10000_metadata.csv", index=False)
    files = {image_id: jpeg(number) for number, image_id in enumerate(dict.fromkeys(table["image_id"]))}
    files |= images or {}
    ids = sorted(files)
    for part, chosen in ((1, ids[: len(ids) // 2]), (2, ids[len(ids) // 2 :])):
        with zipfile.ZipFile(folder / f"HAM10000_images_part_{part}.zip", "w") as archive:
            for image_id in chosen:
                archive.writestr(zipfile.ZipInfo(f"{image_id}.jpg"), files[image_id])
            archive.writestr(zipfile.ZipInfo("__MACOSX/._stub.jpg"), b"stub")
    return folder
