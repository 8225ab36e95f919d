"""prepare: decode every image once into one array, and check the metadata table."""

from typing import Any

from skinlesion.atomic import replacing
from skinlesion.data.array_files import keep_rows
from skinlesion.data.known_pairs import joined_lesions, present_pairs, read_known_pairs
from skinlesion.data.metadata import METADATA_NAME, Finding, check_records, usable
from skinlesion.data.sources import Source, make_source
from skinlesion.data.store import FILES_NAME, IMAGES_NAME, PREPARED_NAME, SOURCE_ROW, build_images, hash_images
from skinlesion.errors import ManyErrors
from skinlesion.files import write_csv, write_json
from skinlesion.params import DataParams, Params, PrepareParams
from skinlesion.results.workspace import Workspace
from skinlesion.vocabulary import CLASSES


def prepare(params: Params, workspace: Workspace, external: str | None = None) -> dict[str, Any]:
    """Write images.npy, metadata.csv, files.csv and prepared.json; return the content of the last.

    Lesions of pairs known to show one lesion are joined: metadata.csv has one lesion_id for them.

    Args:
        external: the name of an external data set, prepared instead of the data set itself.

    Raises:
        UserError: the source is not there, or (with on_error: stop) the data have findings, all listed.
    """
    data, settings, known_pairs = params.data, params.prepare, workspace.known_pairs
    if external is not None:
        data, workspace = params.external_set(external), workspace.outside(external)
    out = workspace.prepared
    source = make_source(data, workspace.root)
    records = source.records()
    findings = check_records(records, source.has_image)
    table = usable(records, findings)
    if table.empty:
        raise ManyErrors(_complaint(findings, "no usable image is left"))
    pairs = present_pairs(read_known_pairs(known_pairs), table["image_id"])
    table["lesion_id"] = joined_lesions(table, pairs)

    with replacing(out / IMAGES_NAME) as partial:
        # Images are read even when the table has findings, so that one run lists everything that is wrong.
        ids = list(table["image_id"])
        built = build_images(
            partial,
            ids,
            lambda image_id: source.read(image_id, settings),
            lambda image_id: source.frame(image_id, settings),
        )
        findings += _unreadable(built.failed)
        if findings and settings.on_error == "stop":
            raise ManyErrors(_complaint(findings, "fix the data, or leave these out with prepare.on_error: skip"))
        if len(built.failed) == len(ids):
            raise ManyErrors(_complaint(findings, "no usable image is left; give the images again"))
        if built.failed:
            keep = ~table["image_id"].isin(built.failed).to_numpy()
            keep_rows(partial, keep)
            table = table[keep].reset_index(drop=True)
        described = _describe(source, data, settings, table, findings)
        if len(pairs):
            described["joined_pairs"] = len(pairs)
        described["images_sha256"] = hash_images(partial) if built.failed else built.sha256
        # Without prepared.json the folder counts as unprepared: taken away first, put back last.
        (out / PREPARED_NAME).unlink(missing_ok=True)
    write_csv(out / METADATA_NAME, table)
    places = {image_id: place for place, image_id in enumerate(records["image_id"])}
    write_csv(out / FILES_NAME, built.files.assign(**{SOURCE_ROW: built.files["image_id"].map(places)}))
    write_json(out / PREPARED_NAME, described)
    return described


def _unreadable(failed: dict[str, str]) -> list[Finding]:
    reasons: dict[str, list[str]] = {}
    for image_id, reason in failed.items():
        # Pillow puts addresses and counts into its messages; the part before them is the kind of failure.
        reasons.setdefault(reason.split("<")[0].split("(")[0].strip(" :"), []).append(image_id)
    return [Finding(f"unreadable image, {reason}", tuple(ids)) for reason, ids in reasons.items()]


def _complaint(findings: list[Finding], remedy: str) -> str:
    return f"data: {'; '.join(finding.line() for finding in findings)}; {remedy}"


def _describe(
    source: Source, data: DataParams, settings: PrepareParams, table: Any, findings: list[Finding]
) -> dict[str, Any]:
    return {
        "source": data.source,
        "synthetic": source.synthetic,
        "attribution": source.attribution,
        "checksums": source.checksums(),
        "image_size": settings.image_size,
        **({"adjusted": _adjusted(settings)} if settings.adjusts else {}),
        "images": len(table),
        "lesions": int(table["lesion_id"].nunique()),
        "images_by_class": {dx: int((table["dx"] == dx).sum()) for dx in CLASSES},
        **({"dropped": source.dropped} if source.dropped else {}),
        "rejected": {finding.problem: list(finding.image_ids) for finding in findings},
    }


def _adjusted(settings: PrepareParams) -> list[str]:
    """Return what changed the pixels beyond their number, in order."""
    return [name for name in (settings.hair_removal, settings.color_constancy) if name != "none"]
