"""A small workspace with everything the dashboard can show."""

import pytest

from tests.conftest import small_params, trained_workspace


@pytest.fixture(scope="session")
def finished(prepared_template, tmp_path_factory):
    """Two experiments and their ensemble: trained, evaluated, assessed, compared."""
    from skinlesion.stages.assess import assess
    from skinlesion.stages.stats import stats

    folder = tmp_path_factory.mktemp("dashboard") / "workspace"
    both = {"both": {"members": ["image", "concat"]}}
    wanted = small_params(train={"input_size": 64}, ensembles=both)
    params, workspace = trained_workspace(prepared_template, folder, wanted)
    for name in params.systems:
        assess(params, workspace, name)
    stats(params, workspace)
    return folder
