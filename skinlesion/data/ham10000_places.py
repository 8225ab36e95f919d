"""Where HAM10000 lies: what its files and folders are called, and the environment variable that names its folder."""

import os
from pathlib import Path

ENVIRONMENT = "SKINLESION_DATA"
METADATA_NAMES = ("HAM10000_metadata.csv", "HAM10000_metadata")
#: The folder inside data.path; a link to the folder of SKINLESION_DATA where that is set.
LINK_NAME = "ham10000"


def folder_of_environment() -> Path | None:
    """Return the folder that SKINLESION_DATA names, links resolved, or None where it is not set."""
    named = os.environ.get(ENVIRONMENT)
    return Path(os.path.realpath(os.path.expanduser(named))) if named else None
