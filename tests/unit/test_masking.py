"""Versions of the metadata: what is hidden is what the encoder writes for missing, and records change lesions."""

import numpy as np
import pandas as pd
import pytest
import torch

from skinlesion.interpret.masking import ALL_SHOWN, SHOWN, exchange_records, masked_metadata, probabilities_by_version
from skinlesion.models.metadata_encoders import ENCODERS, fit_encoder
from skinlesion.params import SplitParams, load_params
from skinlesion.stages.inputs import Inputs
from skinlesion.stages.workspace import Workspace
from skinlesion.training.examples import Records
from skinlesion.training.predict import predict_probabilities
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
    records = Records(torch.zeros(4, dtype=torch.int64), torch.arange(4), whole, encoder.fields)
    versions = masked_metadata(records)
    assert set(versions) == set(SHOWN) - {ALL_SHOWN}
    for version, found in versions.items():
        gone = {field: value for field, value in MISSING.items() if field not in SHOWN[version]}
        np.testing.assert_allclose(found.numpy(), encoder.encode(TABLE.assign(**gone)), atol=1e-6, err_msg=version)
    np.testing.assert_array_equal(whole.numpy(), encoder.encode(TABLE))  # the records themselves stay


def test_every_lesion_takes_one_other_lesions_record_whole():
    lesions = np.repeat(["a", "b", "c", "d"], [3, 1, 2, 1])
    for seed in range(20):
        rows = exchange_records(lesions, np.random.default_rng(seed))
        givers = lesions[rows]
        assert (givers != lesions).all()
        assert set(givers) == set(lesions)
        for lesion in set(lesions):
            assert len(set(rows[lesions == lesion])) == 1
    assert exchange_records(np.array(["a", "a"]), np.random.default_rng(0)).tolist() == [0, 0]


@pytest.mark.parametrize("regime", ["frozen", "two_stage"])
@pytest.mark.parametrize("fusion", ["concat", "cross_attention"])
@pytest.mark.parametrize("tta", ["none", "d4"])
def test_the_whole_record_gives_the_plain_prediction_and_others_the_heads_own(workspace_folder, regime, fusion, tta):
    train = {"fusion": fusion, "regime": regime, "tta": tta, "attention_width": 8, "attention_heads": 2}
    params = load_params(write_params(workspace_folder, small_params(train=train)))
    inputs = Inputs(Workspace(workspace_folder), params.train, SplitParams())
    rows = inputs.rows(0, "test")
    encoder = fit_encoder("onehot", inputs.table)
    torch.manual_seed(0)
    head = inputs.head(encoder)
    model = inputs.network(head) if regime == "two_stage" else head
    pixels = regime == "two_stage"
    views = inputs.test_views(rows, encoder)
    assert views[0].records.metadata is not None
    versions = masked_metadata(views[0].records) | {ALL_SHOWN: views[0].records.metadata}
    found = probabilities_by_version(model, views, versions, pixels=pixels)
    plain = predict_probabilities(model, views, pixels=pixels).numpy()
    np.testing.assert_allclose(found[ALL_SHOWN], plain, rtol=0, atol=1e-15)  # sums of views in another order
    # A table with every field missing, through the ordinary road, is the version without metadata.
    blank = inputs.table.assign(age=np.nan, sex="unknown", localization="unknown")
    inputs.__dict__["table"] = blank
    expected = predict_probabilities(model, inputs.test_views(rows, encoder), pixels=pixels).numpy()
    np.testing.assert_allclose(found["none"], expected, atol=1e-7)
    assert np.abs(found["none"] - found[ALL_SHOWN]).max() > 1e-4
