"""Commands about data: fetch, prepare, split, describe, audit; and `code`, which `dvc repro` alone calls."""

from pathlib import Path
from typing import Annotated

import typer

from skinlesion.cli.app import PIPELINE, START, ParamsOption, PublicOption, app, command, load
from skinlesion.errors import UserError, name_some
from skinlesion.outputs import check_output_folder


@command(START, "skinlesion fetch ham10000", "skinlesion fetch ham10000 --masks --from isic")
def fetch(
    dataset: Annotated[str, typer.Argument(help="What to fetch: ham10000.")],
    origin: Annotated[str, typer.Option("--from", help="dataverse, isic, or auto: one, then the other.")] = "auto",
    masks: Annotated[bool, typer.Option("--masks", help="The lesion masks too.")] = False,
    test_set: Annotated[bool, typer.Option("--test-set", help="The ISIC 2018 test set too.")] = False,
    out: Annotated[Path, typer.Option(help="Where it goes.")] = Path("data/raw/ham10000"),
) -> None:
    """Download HAM10000 (2.8 GB), checked by its published checksums; an interrupted download resumes."""
    from skinlesion.data import fetch as module
    from skinlesion.errors import choices
    from skinlesion.numbers import count

    if dataset != "ham10000":
        raise UserError(
            f"fetch {name_some([dataset])}: not a data set that can be fetched; {choices(['ham10000'], dataset)}"
        )
    check_output_folder(out, "--out")
    files = module.fetch(origin, out, masks=masks, test_set=test_set)
    print(f"{count(len(files), 'file')} in {out}; next: `skinlesion prepare`")


@app.command(hidden=True)
def code(params: ParamsOption = Path("params.yaml")) -> None:
    """Write code.json beside params.yaml: one hash per stage of the code it runs through. `dvc repro` calls it."""
    from skinlesion.stages import code as stage

    stage.code(*load(params))


@command(PIPELINE, "skinlesion prepare", "skinlesion prepare --external isic2019")
def prepare(
    external: Annotated[
        str | None, typer.Option(help="An entry of `external:` in params.yaml; goes to data/external/NAME.")
    ] = None,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Read the archive (or draw the phantom), check it, and store images and metadata in data/prepared."""
    from skinlesion import console
    from skinlesion.stages import prepare as stage

    loaded, workspace = load(params)
    summary = stage.prepare(loaded, workspace, external)
    console.show_prepared(summary, (workspace if external is None else workspace.outside(external)).prepared)


@command(PIPELINE, "skinlesion split", "skinlesion split --params examples/phantom/params.yaml")
def split(params: ParamsOption = Path("params.yaml")) -> None:
    """Assign lesions (and, for the leaky protocol, images) to ten stratified parts; write a certificate."""
    from skinlesion import console
    from skinlesion.stages import split as stage

    console.show_splits(stage.split(*load(params)))


@command(PIPELINE, "skinlesion describe", "skinlesion describe --public docs/dataset.html")
def describe(
    public: PublicOption = None,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Write the data set's page: classes, ages, sexes, sites, sources, missing values, a contact sheet per class."""
    from skinlesion.stages import describe as stage

    loaded, workspace = load(params)
    print(f"open {stage.describe(loaded, workspace, public)}")


@command(PIPELINE, "skinlesion audit", "skinlesion audit --page")
def audit(
    page: Annotated[bool, typer.Option("--page", help="Write the page alone, from tables that are there.")] = False,
    tables: Annotated[bool, typer.Option("--tables", help="Write the tables alone, without the page.")] = False,
    public: PublicOption = None,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Look for duplicates, near-duplicates across parts, overlap with external data, and shortcuts to the diagnosis."""
    from skinlesion import console
    from skinlesion.report.public_page import check_public
    from skinlesion.stages import audit as stage
    from skinlesion.stages import audit_page as page_stage

    if page and tables:
        raise UserError("audit: give --page or --tables, or neither for both")
    if tables and public is not None:
        raise UserError("audit: --public writes a page; leave out --tables")
    loaded, workspace = load(params)
    if public is not None:
        check_public(public, "audit")  # before minutes of work
    if not page:
        console.show_audit(stage.audit(loaded, workspace))
    if not tables:
        print(f"open {page_stage.audit_page(loaded, workspace, public)}")
