"""HAM10000 from the web: its files at each origin, with sizes and checksums as published, and fetching them."""

from collections.abc import Callable
from pathlib import Path

from skinlesion.data.download import Remote, download
from skinlesion.errors import UserError, choices
from skinlesion.vocabulary import ATTRIBUTION

Fetch = Callable[[Remote, Path], Path]

ORIGINS = ("dataverse", "isic")

_ZIP = b"PK"
_DATAVERSE = "https://dataverse.harvard.edu/api/access/datafile/"
_ISIC = "https://isic-archive.s3.amazonaws.com/challenges/2018/"

LICENCE = "HAM10000: CC BY-NC 4.0 (doi:10.7910/DVN/DBW86T), for non-commercial use with attribution."

#: Harvard Dataverse, version 4, read 2026-11-21. Without format=original the metadata arrive in another format.
_METADATA = Remote(
    "HAM10000_metadata.csv",
    f"{_DATAVERSE}4338392?format=original",
    690_218,
    md5="8f85fb1aa29d80a2797247e434deb79d",
    sha256="de17ec44cb25ea9c3f6378ba18d69224c740afd62e86ec2edc6a894d6aa663d3",
)
_DATAVERSE_IMAGES = (
    Remote(
        "HAM10000_images_part_1.zip",
        f"{_DATAVERSE}3172585",
        1_366_522_108,
        md5="4639bfa73ab251610530a97c898e6e46",
        sha256="6202a599129c2efe81c25aea8586d422eeda8a4fae5df49dd7b7bbf956d419db",
        magic=_ZIP,
    ),
    Remote(
        "HAM10000_images_part_2.zip",
        f"{_DATAVERSE}3172584",
        1_403_566_547,
        md5="da43d6cc50f6613013be07e8986b384b",
        sha256="9677f30118c21ecc667a147de369d89acb25efab046fd32f6b13ad677ce2d6d0",
        magic=_ZIP,
    ),
)
_MASKS = Remote(
    "HAM10000_segmentations_lesion_tschandl.zip",
    f"{_DATAVERSE}3838943",
    10_808_743,
    md5="6e8d252e09cfdb0189199f15985a5b84",
    magic=_ZIP,
)
_DATAVERSE_TEST = (
    Remote(
        "ISIC2018_Task3_Test_Images.zip", f"{_DATAVERSE}3855824", md5="0488b6f65849e310857d9207daa55a21", magic=_ZIP
    ),
    Remote("ISIC2018_Task3_Test_GroundTruth.csv", f"{_DATAVERSE}6924466?format=original"),
)
#: The challenge publishes no checksums: later downloads are compared with the first.
_ISIC_IMAGES = (
    Remote("ISIC2018_Task3_Training_Input.zip", f"{_ISIC}ISIC2018_Task3_Training_Input.zip", magic=_ZIP),
    Remote("ISIC2018_Task3_Training_GroundTruth.zip", f"{_ISIC}ISIC2018_Task3_Training_GroundTruth.zip", magic=_ZIP),
    Remote("ISIC2018_Task3_Training_LesionGroupings.csv", f"{_ISIC}ISIC2018_Task3_Training_LesionGroupings.csv"),
)
_ISIC_TEST = (
    Remote("ISIC2018_Task3_Test_Input.zip", f"{_ISIC}ISIC2018_Task3_Test_Input.zip", magic=_ZIP),
    Remote("ISIC2018_Task3_Test_GroundTruth.zip", f"{_ISIC}ISIC2018_Task3_Test_GroundTruth.zip", magic=_ZIP),
)


def files_of(origin: str, *, masks: bool = False, test_set: bool = False) -> list[Remote]:
    """Return the files of HAM10000 at one origin, the small metadata first, so that a failure shows early.

    Raises:
        UserError: an unknown origin.
    """
    if origin not in ORIGINS:
        raise UserError(f"--from {origin}: not a source of HAM10000; {choices((*ORIGINS, 'auto'), origin)}")
    images, test = {"dataverse": (_DATAVERSE_IMAGES, _DATAVERSE_TEST), "isic": (_ISIC_IMAGES, _ISIC_TEST)}[origin]
    # Only the Dataverse publishes age, sex and site.
    files = [_METADATA, *images]
    if masks:
        files.append(_MASKS)
    return [*files, *(test if test_set else ())]


def fetch(
    origin: str, folder: Path, *, masks: bool = False, test_set: bool = False, get: Fetch = download
) -> list[Path]:
    """Fetch HAM10000 into `folder` and return its files; complete files are not fetched again.

    The origin "auto" tries the Dataverse first and the ISIC Challenge if that fails.

    Raises:
        UserError: an unknown origin, or every origin failed; the message lists the reasons.
    """
    print(f"{LICENCE}\n{ATTRIBUTION}")
    reasons = []
    for name in ORIGINS if origin == "auto" else (origin,):
        files = files_of(name, masks=masks, test_set=test_set)
        try:
            return [get(remote, folder) for remote in files]
        except UserError as error:
            reasons.append(f"{name}: {error}")
    raise UserError("; ".join(reasons))
