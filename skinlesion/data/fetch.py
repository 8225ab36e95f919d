"""The archive from the web into a folder that `prepare` reads."""

from collections.abc import Callable
from pathlib import Path

from skinlesion.data.catalogue import LICENCE, ORIGINS, files_of
from skinlesion.data.download import Remote, download
from skinlesion.errors import UserError
from skinlesion.vocabulary import ATTRIBUTION

Fetch = Callable[[Remote, Path], Path]


def fetch(
    origin: str, folder: Path, *, masks: bool = False, test_set: bool = False, get: Fetch = download
) -> list[Path]:
    """Fetch HAM10000 into `folder` and return its files; what lies there whole is not fetched again.

    With the origin "auto" the Dataverse comes first, and the ISIC Challenge where that fails.

    Raises:
        UserError: an unknown origin, or no origin delivers; the message holds every reason.
    """
    print(f"{LICENCE}\n{ATTRIBUTION}")
    reasons = []
    for one in ORIGINS if origin == "auto" else (origin,):
        files = files_of(one, masks=masks, test_set=test_set)
        try:
            return [get(remote, folder) for remote in files]
        except UserError as error:
            reasons.append(f"{one}: {error}")
    raise UserError("; ".join(reasons))
