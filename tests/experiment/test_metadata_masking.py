"""Versions of the metadata: what is hidden is what the encoder writes for missing, and is predicted so."""

import numpy as np
import pandas as pd
import pytest
import torch

from skinlesion.evaluation.masked_metadata import ALL_SHOWN, SHOWN
from skinlesion.experiment.inputs import Inputs
from skinlesion.experiment.metadata_masking import masked_metadata
from skinlesion.experiment.trained_run import TrainedRun
from skinlesion.models.metadata_encoders import ENCODERS, fit_encoder
from skinlesion.params import SplitParams
from skinlesion.params_file import load_params
from skinlesion.results.workspace import Workspace
from skinlesion.training.examples import Records
from skinlesion.training.runs import Run
from tests.conftest import small_params, write_params

TABLE = pd.DataFrame({
    "age": [30.0, 50, np.nan, 70], "sex": ["female", "male", "male", "unknown"],
    "localization": ["back", "face", "unknown", "hand"],
})  # fmt: skip
MISSING = {"age": np.nan, "sex": "unknown", "localization": "unknown"}


@pytest.mark.parametrize("name", ENCODERS)
def test_a_hidden_field_is_encoded_as_a_missing_one(name):
    encoder = fit_encoder(name, TABLE)
    whole = torch.from_numpy(encoder.encode(TABLE))
    records = Records(torch.zeros(4, dtype=torch.int64), torch.arange(4), torch.arange(4), whole, encoder.fields)
    versions = masked_metadata(records)
    assert set(versions) == set(SHOWN) - {ALL_SHOWN}
    for version, masked in versions.items():
        missing_values = {field: value for field, value in MISSING.items() if field not in SHOWN[version]}
        np.testing.assert_allclose(
            masked.numpy(), encoder.encode(TABLE.assign(**missing_values)), atol=1e-6, err_msg=version
        )
    np.testing.assert_array_equal(whole.numpy(), encoder.encode(TABLE))  # the records themselves stay


@pytest.mark.parametrize("regime", ["frozen", "two_stage"])
@pytest.mark.parametrize("fusion", ["concat", "cross_attention"])
@pytest.mark.parametrize("tta", ["none", "d4"])
def test_versions_of_records_are_predicted_as_the_model_alone_predicts_them(workspace_folder, regime, fusion, tta):
    """Against the model called on all images at once, view by view."""
    train = {"fusion": fusion, "regime": regime, "tta": tta, "attention_width": 8, "attention_heads": 2}
    params = load_params(write_params(workspace_folder, small_params(train=train)))
    inputs = Inputs(Workspace(workspace_folder), params.train, SplitParams())
    rows = inputs.rows(0, "test")
    encoder = fit_encoder("onehot", inputs.table)
    torch.manual_seed(0)
    head = inputs.head(encoder)
    model = inputs.network(head) if regime == "two_stage" else head
    trained = TrainedRun(inputs, Run(0, 0), model, encoder, {})
    versions = masked_metadata(inputs.records(rows, encoder))
    answers = dict(zip(versions, trained.of_rows(rows, records=list(versions.values())), strict=True))

    def plain(table):
        metadata = torch.from_numpy(encoder.encode(table.iloc[rows]))
        views = []
        for element in range(8 if tta == "d4" else 1):
            batch = next(iter(inputs.test_view(rows, element).batches([torch.arange(len(rows))])))
            with torch.inference_mode():
                views.append(model.eval()(batch.image, metadata).double().softmax(dim=1))
        return torch.stack(views).mean(dim=0).numpy()

    whole = trained.of_rows(rows)
    assert whole.shape == (1, len(rows), 7)
    np.testing.assert_allclose(whole[0], plain(inputs.table), rtol=0, atol=1e-6)
    # A table with every field missing is the version without metadata.
    blank = inputs.table.assign(age=np.nan, sex="unknown", localization="unknown")
    np.testing.assert_allclose(answers["none"], plain(blank), rtol=0, atol=1e-6)
    assert np.abs(answers["none"] - whole[0]).max() > 1e-4
