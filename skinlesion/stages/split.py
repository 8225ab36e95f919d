"""split: parts by lesion and by image for every repeat, published splits, and a certificate of what leaks in each."""

from typing import Any

import pandas as pd

from skinlesion.data.duplicates import across_parts, exact_duplicates
from skinlesion.data.metadata import METADATA_NAME, read_metadata
from skinlesion.data.published_splits import NAMES, draw_published, published_certificate
from skinlesion.data.splits import (
    PROTOCOLS,
    assign_repeats,
    certificate,
    check_kept_together,
    of_repeat,
    repeat_seed,
)
from skinlesion.data.store import FILES_NAME, SOURCE_ROW, read_files
from skinlesion.files import write_csv, write_json
from skinlesion.params import Params
from skinlesion.results.names import PUBLISHED_SPLITS_NAME, SPLIT_NAME
from skinlesion.results.workspace import Workspace


def split(params: Params, workspace: Workspace) -> dict[str, Any]:
    """Write lesion.csv, image.csv and published.csv into data/splits, and a certificate to split.json; return it.

    The certificate is of repeat 0; those of the others stand under `repeats`, those of published splits under
    `published`.

    Raises:
        UserError: a part would lack a class; or, under the lesion protocol, a lesion would lie on both sides, or two
            images with equal bytes or pixels would.
    """
    prepared, settings = workspace.prepared, params.split
    table = read_metadata(prepared / METADATA_NAME)
    splits = {protocol: assign_repeats(table, protocol, settings.seed, settings.repeats) for protocol in PROTOCOLS}
    files = read_files(prepared / FILES_NAME)
    duplicates = exact_duplicates(files)
    published = draw_published(table, files.set_index("image_id")[SOURCE_ROW])
    described = [
        {
            protocol: _certify(protocol, table, of_repeat(parts, repeat), duplicates)
            for protocol, parts in splits.items()
        }
        for repeat in range(settings.repeats)
    ]
    for protocol, parts in splits.items():
        write_csv(workspace.splits / f"{protocol}.csv", parts)
    write_csv(workspace.splits / PUBLISHED_SPLITS_NAME, published)
    content: dict[str, Any] = {"seed": settings.seed, "exact_duplicates": len(duplicates), **described[0]}
    if settings.repeats > 1:
        content["repeats"] = {
            f"repeat{repeat}": {"seed": repeat_seed(settings.seed, repeat), **described[repeat]}
            for repeat in range(1, settings.repeats)
        }
    content["published"] = {name: published_certificate(published, name) for name in NAMES if name in published.columns}
    write_json(workspace.reports / SPLIT_NAME, content)
    return content


def _certify(protocol: str, table: pd.DataFrame, parts: pd.DataFrame, duplicates: pd.DataFrame) -> dict[str, Any]:
    """Return the certificate of one partition.

    Raises:
        UserError: by lesion, a lesion or a pair of equal images lies across parts.
    """
    if protocol == "lesion":
        check_kept_together(
            table,
            parts.set_index("image_id").loc[table["image_id"]].reset_index(),
            duplicates,
            "split (lesion protocol)",
        )
    crossing = across_parts(duplicates, dict(zip(parts["image_id"], parts["part"], strict=True)))
    return certificate(parts) | {"exact_duplicates_across_parts": len(crossing)}
