"""Metadata encoders: fitted on training rows; missing, unseen and absent values are encoded."""

import numpy as np
import pandas as pd
import pytest
import torch

from skinlesion.errors import UserError
from skinlesion.models.metadata_encoders import ENCODERS, fit_encoder, restore_encoder
from skinlesion.models.metadata_network import FieldInputs, MetadataShape, MetadataTokens, MetadataVector
from skinlesion.training.examples import Records
from skinlesion.vocabulary import LOCALIZATIONS

KINDS = [
    *((name, "continuous") for name in ("onehot", "onehot_drop_first", "ordinal", "embedding")),
    ("embedding", "binned"),
]


def people(**columns):
    base = {
        "age": [40.0, 60.0, np.nan],
        "sex": ["male", "female", "unknown"],
        "localization": ["back", "face", "unknown"],
    }
    return pd.DataFrame(base | columns)


def width(encoder):
    return sum(len(field.missing) for field in encoder.fields)


@pytest.mark.parametrize(("name", "age"), KINDS)
def test_an_encoder_of_a_constant_age_is_read_back(name, age):
    """The standard deviation of a hundred ages of 45.1 is rounding noise, not 0."""
    records = people(age=[45.1] * 3)
    table = pd.concat([records] * 34, ignore_index=True)
    encoder = fit_encoder(name, table, age)
    restored = restore_encoder(name, encoder.state())
    np.testing.assert_array_equal(restored.encode(table), encoder.encode(table))
    assert np.abs(encoder.encode(table)).max() < 100


def test_onehot_imputes_the_training_mean_and_flags_it():
    encoder = fit_encoder("onehot", people())
    encoded = encoder.encode(people())
    assert encoded.shape == (3, width(encoder))
    np.testing.assert_allclose(encoded[:, 0], [-1, 1, 0])  # mean 50, standard deviation 10; missing becomes the mean
    np.testing.assert_array_equal(encoded[:, 1], [0, 0, 1])
    np.testing.assert_array_equal(encoded[:, 2:].sum(axis=1), 2)  # one sex and one site each


def test_onehot_is_fitted_on_training_rows_alone_and_accepts_unseen_values():
    encoder = fit_encoder("onehot", people())
    unseen = people(sex=["other", "male", "male"], localization=["moon", "back", "back"], age=[300.0, 0.0, 50.0])
    encoded = encoder.encode(unseen)
    assert encoded[0, 2:].sum() == 0
    assert encoded[0, 0] == pytest.approx(25)  # still on the scale of the training rows


def test_without_first_categories_it_is_scikit_learns():
    """17 columns, as p0 and p1 have: age, male, unknown, and every site but the abdomen, in alphabetical order."""
    from sklearn.preprocessing import OneHotEncoder

    sites = [*LOCALIZATIONS, "unknown"]
    table = pd.DataFrame({"age": np.arange(15) * 5.0, "sex": ["female", "male", "unknown"] * 5, "localization": sites})
    encoder = fit_encoder("onehot_drop_first", table)
    encoded = encoder.encode(table)
    assert encoded.shape == (15, 17)
    expected = OneHotEncoder(drop="first", sparse_output=False).fit_transform(table[["sex", "localization"]])
    np.testing.assert_array_equal(encoded[:, 1:], expected)
    np.testing.assert_allclose(encoded[:, 0], (table["age"] - 35) / table["age"].std(ddof=0), rtol=1e-6)
    unseen = encoder.encode(pd.DataFrame({"age": [np.nan], "sex": ["other"], "localization": ["moon"]}))
    np.testing.assert_array_equal(unseen, encoder.encode(pd.DataFrame(index=range(1))))


def test_ordinal_is_median_imputed_alphabetical_and_standardised():
    table = people(age=[20.0, 70.0, np.nan], sex=["female", "male", "unknown"])
    encoded = fit_encoder("ordinal", table).encode(table)
    np.testing.assert_allclose(encoded.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(encoded.std(axis=0), 1, atol=1e-6)
    assert encoded[2, 0] == pytest.approx(0, abs=1e-6)  # the median of 20 and 70, and 45 is the mean here too
    np.testing.assert_allclose(encoded[:, 1], [-1.2247449, 0, 1.2247449], rtol=1e-5)  # codes 0, 1, 2


def test_embedding_codes_stay_below_their_number_of_categories():
    encoder = fit_encoder("embedding", people(), "binned")
    unseen = people(age=[300.0, 9.9, np.nan], sex=["other", "male", "unknown"])
    encoded = encoder.encode(unseen)
    for field in encoder.fields:
        assert field.categories
        assert (encoded[:, field.columns] < field.categories).all()
    np.testing.assert_array_equal(encoded[:, 0], [9, 0, 10])  # 90 and older; 0 to 9; missing
    assert encoded[0, 1] == encoded[2, 1]  # what the vocabulary lacks counts as missing


@pytest.mark.parametrize(("name", "age"), KINDS)
def test_state_is_restored_from_json(name, age):
    import json

    encoder = fit_encoder(name, people(), age)
    restored = restore_encoder(name, json.loads(json.dumps(encoder.state())))
    np.testing.assert_array_equal(restored.encode(people()), encoder.encode(people()))
    assert restored.fields == encoder.fields


@pytest.mark.parametrize(("name", "age"), KINDS)
def test_a_missing_column_is_a_missing_field(name, age):
    encoder = fit_encoder(name, people(), age)
    for field in encoder.fields:
        encoded = encoder.encode(people().drop(columns=field.name))
        np.testing.assert_allclose(encoded[:, field.columns], np.tile(field.missing, (3, 1)), rtol=1e-6)
    all_missing = encoder.encode(pd.DataFrame(index=range(2)))
    expected = np.concatenate([field.missing for field in encoder.fields])
    np.testing.assert_allclose(all_missing, np.tile(expected, (2, 1)), rtol=1e-6)


@pytest.mark.parametrize("name", ENCODERS)
def test_an_age_is_needed_in_training(name):
    with pytest.raises(UserError, match="no training image has an age"):
        fit_encoder(name, people(age=[np.nan] * 3))


def test_an_unknown_encoder_names_the_known():
    with pytest.raises(UserError, match="onehot, onehot_drop_first, ordinal, embedding"):
        fit_encoder("words", people())


@pytest.mark.parametrize(("name", "age"), KINDS)
def test_networks_take_every_encoding_and_learn_from_it(name, age):
    encoder = fit_encoder(name, people(), age)
    encoded = torch.from_numpy(encoder.encode(people()))
    shape = MetadataShape([16, 8], batch_norm=1, layer_dropout=[], dropout=0.0, embedding_width=4)
    vector = MetadataVector(encoder.fields, shape)
    tokens = MetadataTokens(encoder.fields, shape, 12)
    assert vector(encoded).shape == (3, 8)
    assert tokens(encoded).shape == (3, 3, 12)
    (vector(encoded).square().sum() + tokens(encoded).square().sum()).backward()
    assert all(p.grad is not None for p in [*vector.parameters(), *tokens.parameters()])


def test_field_inputs_of_onehot_are_the_columns_themselves():
    encoder = fit_encoder("onehot", people())
    encoded = torch.from_numpy(encoder.encode(people()))
    parts = FieldInputs(encoder.fields, 4)(encoded)
    torch.testing.assert_close(torch.cat(parts, dim=1), encoded)


@pytest.mark.parametrize(("record", "field"), [(1.0, 0.0), (0.0, 1.0)])
def test_metadata_dropout_shows_missing_as_missing(record, field):
    """A dropped field looks exactly as a record without it, so that training has both kinds of records."""
    encoder = fit_encoder("onehot", people())
    metadata = torch.from_numpy(encoder.encode(people()))
    labels = torch.zeros(3, dtype=torch.int64)
    # Probabilities are below 1 in params.yaml; here all are dropped.
    records = Records(labels, labels, labels, metadata, encoder.fields, record, field)
    generator = torch.Generator().manual_seed(0)
    shown = records.shown(torch.arange(3), records.draw_missing(3, generator))
    expected = encoder.encode(pd.DataFrame(index=range(3)))
    np.testing.assert_allclose(shown, expected)
    np.testing.assert_allclose(records.shown(torch.arange(3), None), metadata)


def test_metadata_dropout_drops_as_often_as_asked():
    encoder = fit_encoder("onehot", people())
    metadata = torch.from_numpy(encoder.encode(people()))[:1].repeat(20_000, 1)
    labels = torch.zeros(20_000, dtype=torch.int64)
    records = Records(labels, labels, labels, metadata, encoder.fields, record_dropout=0.2, field_dropout=0.25)
    missing = records.draw_missing(20_000, torch.Generator().manual_seed(0))
    assert missing.float().mean(0) == pytest.approx([0.4] * 3, abs=0.015)  # 1 − 0.8 · 0.75
    assert missing.all(1).float().mean() == pytest.approx(0.2 + 0.8 * 0.25**3, abs=0.015)
