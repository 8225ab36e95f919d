"""Commands that use trained models: predict photographs, open the dashboard."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from skinlesion.cli.app import SHARE, ParamsOption, command, load
from skinlesion.errors import UserError
from skinlesion.extras import not_installed
from skinlesion.outputs import check_output_folder


@command(
    SHARE,
    "skinlesion predict photo.jpg --age 60 --sex male --localization back",
    "skinlesion predict photographs --csv --cam maps",
)
def predict(
    images: Annotated[list[Path], typer.Argument(help="Photographs, or folders of them.")],
    experiment: Annotated[
        str | None,
        typer.Option(
            help="Experiment to use. Default: the one with the best validation result, "
            "with metadata if any field is given."
        ),
    ] = None,
    fold: Annotated[int | None, typer.Option(help="The models of one fold; by default the mean over all.")] = None,
    age: Annotated[float | None, typer.Option(help="In years.")] = None,
    sex: Annotated[str | None, typer.Option(help="female or male.")] = None,
    localization: Annotated[str | None, typer.Option(help="Anatomical site, such as back or face.")] = None,
    table: Annotated[
        Path | None, typer.Option(help="A CSV of image_id, age, sex, localization for many photographs.")
    ] = None,
    unlike: Annotated[
        bool | None,
        typer.Option(
            "--unlike/--no-unlike",
            help="Report photographs that are unlike the training images. Default: only if it takes under 5 minutes.",
        ),
    ] = None,
    cam: Annotated[Path | None, typer.Option(help="A folder for pictures of where one fold's model looks.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Predict photographs with a trained experiment: probabilities, conformal set, malignancy. Not for diagnosis."""
    from skinlesion.data.patient_records import PatientRecord

    if as_json and as_csv:
        raise UserError("predict: give either --json or --csv")
    if cam is not None:
        check_output_folder(cam, "--cam")
    record = PatientRecord(age, sex, localization).checked()
    loaded, workspace = load(params)
    # Now only: torch takes seconds, and a mistake should not wait for it.
    from skinlesion.training.memory import share_one_heap

    share_one_heap()  # before the imports that start threads
    from skinlesion.console import PredictionPrinter, warn
    from skinlesion.stages import predict as stage

    predicted = stage.predict(
        loaded,
        workspace,
        images,
        record=record,
        table=table,
        experiment=experiment,
        fold=fold,
        unlike=unlike,
        overlays=cam,
    )
    form = "json" if as_json else "csv" if as_csv else "text"
    printer = PredictionPrinter(form, predicted.models, predicted.count)
    warn(predicted.warnings)
    for row in predicted.rows:
        printer.show(row)
    printer.end()
    if printer.failed:
        raise typer.Exit(2)


@command(SHARE, "skinlesion dashboard", "skinlesion dashboard --port 8600 --params examples/phantom/params.yaml")
def dashboard(
    port: Annotated[int, typer.Option(min=1024, max=65535, help="The port on 127.0.0.1.")] = 8501,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Open the dashboard on this machine alone: results, comparisons, retests, uploads scored and predicted."""
    import importlib.util

    load(params)
    if importlib.util.find_spec("streamlit") is None:
        raise not_installed("streamlit", "dashboard")
    page = Path(__file__).parents[1] / "dashboard" / "app.py"
    settings = {
        "server.address": "127.0.0.1", "server.port": str(port), "server.headless": "true",
        "server.fileWatcherType": "none", "server.maxUploadSize": "20", "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",  # no Deploy button
        # A page of another site, under a name that leads to this machine, gets no connection (DNS rebinding).
        "server.allowedHosts": "127.0.0.1", "server.enableCORS": "true", "server.enableXsrfProtection": "true",
        "browser.serverAddress": "127.0.0.1",
    }  # fmt: skip
    flags = [part for name, value in settings.items() for part in (f"--{name}", value)]
    print(f"open http://127.0.0.1:{port} (press Ctrl-C to stop)", file=sys.stderr)
    command = [sys.executable, "-m", "streamlit", "run", str(page), *flags, "--", str(params.resolve())]
    sys.stderr.flush()
    os.execv(command[0], command)  # this process becomes the server: whatever ends the command ends it
