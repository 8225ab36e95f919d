"""code: write code.json, one hash per stage of the modules it imports, and create the folders that DVC expects."""

import os
from pathlib import Path

from skinlesion.code_version import stage_versions
from skinlesion.errors import UserError
from skinlesion.files import write_json, write_text
from skinlesion.params import DataParams, Params
from skinlesion.results.names import CODE_NAME
from skinlesion.results.workspace import Workspace
from skinlesion.vocabulary import PAIR_COLUMNS


def code(params: Params, workspace: Workspace) -> dict[str, str]:
    """Write code.json beside params.yaml, stage → SHA-256 of its code; return the hashes.

    DVC refuses a dependency that does not exist, and stages depend on some folders even where they are empty (no
    external data set, no ensemble, a phantom that reads nothing, an archive still to be fetched): those are made, and
    a list of known pairs without any.

    Raises:
        UserError: a folder of images is not there, and nothing fetches it.
    """
    # Not Path.resolve, which Python 3.11 and 3.12 end with RuntimeError at a link that leads to itself.
    root = Path(os.path.realpath(workspace.root))
    _check_sources(params, workspace, root)
    versions = stage_versions()
    write_json(workspace.root / CODE_NAME, versions)
    may_be_empty = [data for data in (params.data, *params.external) if data.source == "phantom" or _fetches(data)]
    sources = [Path(os.path.realpath(root / data.path)) for data in may_be_empty]
    folders = [root / "data" / "external", workspace.reports / "ensembles"]
    for folder in (*folders, *(path for path in sources if path.is_relative_to(root))):
        if not folder.exists():
            folder.mkdir(parents=True)
            (folder / ".gitkeep").touch()  # git keeps no empty folder, and DVC warns of one
    if not workspace.known_pairs.exists():
        write_text(workspace.known_pairs, ",".join(PAIR_COLUMNS) + "\n")
    return versions


def _check_sources(params: Params, workspace: Workspace, root: Path) -> None:
    """Check that the images of every data set are there, before DVC says that a dependency is missing.

    What is prepared, such as by `dvc pull`, needs no images.
    """
    sources = [
        ("data.path", params.data, workspace.prepared, "put the images there, or link the folder that holds them")
    ]
    sources += [
        (
            f"external.{place}.path", data, workspace.outside(data.name).prepared,
            f"put the images of {data.name} there, or leave it out of external",
        )
        for place, data in enumerate(params.external)
    ]  # fmt: skip
    for field, data, prepared, remedy in sources:
        needed = data.source != "phantom" and not _fetches(data) and not prepared.exists()
        if needed and not os.path.lexists(root / data.path):
            raise UserError(f"{field}: {data.path}: no such folder; {remedy}")


def _fetches(data: DataParams) -> bool:
    return data.source == "ham10000" and data.download
