"""split: parts by lesion and by image, and a certificate of what leaks between them."""

from typing import Any

from skinlesion.data.duplicates import across_parts, exact_duplicates
from skinlesion.data.metadata import METADATA_NAME, read_metadata
from skinlesion.data.splits import PROTOCOLS, assign_parts, certificate, crossing_lesions
from skinlesion.data.store import FILES_NAME, read_files
from skinlesion.errors import UserError, name_some
from skinlesion.files import write_csv, write_json
from skinlesion.params import Params
from skinlesion.results.names import SPLIT_NAME
from skinlesion.results.workspace import Workspace


def split(params: Params, workspace: Workspace) -> dict[str, Any]:
    """Write lesion.csv and image.csv into data/splits, and their certificate to split.json; return the certificate.

    Raises:
        UserError: a part would lack a class; or, under the lesion protocol, a lesion would lie on both sides, or two
            images with equal bytes or pixels would.
    """
    prepared, seed = workspace.prepared, params.split.seed
    table = read_metadata(prepared / METADATA_NAME)
    splits = {protocol: assign_parts(table, protocol, seed) for protocol in PROTOCOLS}
    described = {protocol: certificate(parts) for protocol, parts in splits.items()}
    if described["lesion"]["lesions_across_parts"]:
        raise UserError(
            f"split (lesion protocol): lesions across parts: {name_some(crossing_lesions(splits['lesion']))}"
        )
    repeats = exact_duplicates(read_files(prepared / FILES_NAME))
    for protocol, parts in splits.items():
        crossing = across_parts(repeats, dict(zip(parts["image_id"], parts["part"], strict=True)))
        described[protocol]["exact_duplicates_across_parts"] = len(crossing)
        if protocol == "lesion" and len(crossing):
            listed = name_some(f"{pair.first} = {pair.second} ({pair.equal})" for pair in crossing.itertuples())
            raise UserError(
                f"split (lesion protocol): equal images across parts: {listed}; give each pair one lesion_id, or leave "
                "one of its images out"
            )
    for protocol, parts in splits.items():
        write_csv(workspace.splits / f"{protocol}.csv", parts)
    content = {"seed": seed, "exact_duplicates": len(repeats), **described}
    write_json(workspace.reports / SPLIT_NAME, content)
    return content
