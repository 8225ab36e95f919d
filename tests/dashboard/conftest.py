"""The dashboard in Streamlit's AppTest, on workspaces in every state."""

import sys

import pytest

from tests.conftest import ROOT, small_params, write_params

APP = str(ROOT / "skinlesion/dashboard/app.py")
PAGES = ("Overview", "Data", "Training", "Performance", "Compare", "Metadata", "Retest", "Score", "Predict")


@pytest.fixture
def app(finished, monkeypatch):
    """Return a function that opens the dashboard on a workspace, at an address."""
    testing = pytest.importorskip("streamlit.testing.v1", reason="the extra `dashboard` is not installed")

    def start(folder=finished, **address):
        monkeypatch.setattr(sys, "argv", [APP, str(folder / "params.yaml")])
        app_test = testing.AppTest.from_file(APP, default_timeout=60)
        for name, value in address.items():
            app_test.query_params[name] = value
        return app_test.run()

    return start


@pytest.fixture(scope="session")
def answered(finished, tmp_path_factory):
    """The finished workspace in which `effect` and `metadata` were asked; not to be written into."""
    import shutil

    from skinlesion.params_file import load_params
    from skinlesion.results.workspace import Workspace
    from skinlesion.stages.effect import effect
    from skinlesion.stages.metadata import metadata

    folder = tmp_path_factory.mktemp("answered") / "workspace"
    shutil.copytree(finished, folder)
    wanted = small_params(
        train={"input_size": 64}, ensembles={"both": {"members": ["image", "concat"]}}, effect={"multimodal": "concat"}
    )
    params, workspace = load_params(write_params(folder, wanted)), Workspace(folder)
    effect(params, workspace)
    metadata(params, workspace)
    return folder


def at(app, page):
    return app.sidebar.radio(key="page").set_value(page).run()


def texts(app):
    """Return all text on the page outside tables and charts."""
    kinds = ("markdown", "caption", "info", "error", "warning", "subheader", "header")
    return " ".join(str(element.value) for kind in kinds for element in getattr(app, kind))


def tables(app):
    return [element.value for element in app.dataframe]


def charts(app):
    import json

    return [json.loads(element.proto.spec) for element in app.get("vega_lite_chart")]
