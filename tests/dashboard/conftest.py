"""A small workspace with everything the dashboard can show."""

import shutil

import pytest

from tests.conftest import small_params, write_params


@pytest.fixture(scope="session")
def finished(prepared_template, tmp_path_factory):
    """Two experiments and their ensemble: trained, evaluated, assessed, compared."""
    from skinlesion.params import load_params
    from skinlesion.stages.assess import assess
    from skinlesion.stages.ensemble import ensemble
    from skinlesion.stages.evaluate import evaluate
    from skinlesion.stages.stats import stats
    from skinlesion.stages.train import train
    from skinlesion.stages.workspace import Workspace

    folder = tmp_path_factory.mktemp("dashboard") / "workspace"
    shutil.copytree(prepared_template, folder)
    both = {"both": {"members": ["image", "concat"]}}
    params = load_params(write_params(folder, small_params(train={"input_size": 64}, ensembles=both)))
    workspace = Workspace(folder)
    for name in params.experiments:
        settings = params.experiment(name)
        train(settings, params.split, workspace, workspace.model(name), name)
        evaluate(settings, params.split, params.evaluate, workspace, workspace.model(name), workspace.results(name))
    ensemble(params.ensembles["both"], params.evaluate, workspace, workspace.ensemble("both"))
    for name in params.systems:
        assess(params, workspace, name)
    stats(params, workspace)
    return folder
