"""The stage `stats` where params.yaml leaves something out."""

import json
import shutil

from skinlesion.params_file import load_params
from skinlesion.results.workspace import Workspace
from skinlesion.stages.stats import stats
from tests.conftest import small_params, write_params


def test_without_claims_there_are_none_to_count(finished, tmp_path):
    folder = tmp_path / "workspace"
    shutil.copytree(finished / "reports", folder / "reports")
    write_params(folder, small_params(claims=[]))
    stats(load_params(folder / "params.yaml"), Workspace(folder))
    written = json.loads((folder / "reports/stats/stats.json").read_text())
    assert written["claims"] == {}
