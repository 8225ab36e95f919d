"""Splits: lesions stay together, classes are spread evenly, and the certificate counts what leaks."""

import numpy as np
import pandas as pd
import pytest

from skinlesion.data.phantom.population import draw_population
from skinlesion.data.splits import (
    COLUMNS,
    assign_parts,
    assign_repeats,
    certificate,
    crossing_lesions,
    of_repeat,
    read_split,
    repeat_seed,
    repeats_of,
    roles,
    table_hash,
)
from skinlesion.errors import UserError


@pytest.fixture(scope="module")
def table():
    return draw_population(1500, 0, 1.0)


def test_a_lesion_never_spans_parts(table):
    parts = assign_parts(table, "lesion", 0)
    assert parts.groupby("lesion_id")["part"].nunique().max() == 1
    assert crossing_lesions(parts) == []
    assert sorted(parts["part"].unique()) == list(range(10))


def test_the_image_protocol_leaks_and_the_certificate_says_so(table):
    parts = assign_parts(table, "image", 0)
    report = certificate(parts)
    parts_per_lesion = parts.groupby("lesion_id")["part"].nunique()
    assert report["lesions_across_parts"] == (parts_per_lesion > 1).sum() > 100
    role = roles(parts["part"].to_numpy(), 2)
    trained = set(parts["lesion_id"][role == "train"])
    share = np.mean([lesion in trained for lesion in parts["lesion_id"][role == "test"]])
    assert report["test_images_with_lesion_in_training"]["fold2"] == pytest.approx(share)


@pytest.mark.parametrize("protocol", ["lesion", "image"])
def test_classes_are_spread_evenly(table, protocol):
    counts = pd.crosstab(
        assign_parts(table, protocol, 0)["part"], table.set_index("image_id").sort_index()["dx"].to_numpy()
    )
    assert (counts.max() - counts.min() <= 5).all()
    assert (counts > 0).all().all()


def test_the_seed_decides_and_the_order_of_rows_does_not(table):
    parts = assign_parts(table, "lesion", 0)
    assert parts.equals(assign_parts(table.sample(frac=1, random_state=1), "lesion", 0))
    assert not parts.equals(assign_parts(table, "lesion", 1))


def test_a_patient_never_spans_parts_where_patients_are_known(table):
    """Two lesions of one patient share skin, camera, age and sex."""
    patients = pd.factorize(table["lesion_id"])[0] // 2
    named = table.assign(patient_id=[f"P{number}" if number % 5 else "" for number in patients])
    parts = assign_parts(named, "lesion", 0).set_index("image_id")["part"]
    parts_per_patient = named.assign(part=named["image_id"].map(parts)).groupby("patient_id")["part"].nunique()
    assert parts_per_patient.drop("").max() == 1
    assert parts_per_patient[""] > 1  # those without a patient count as lesions


def test_roles_are_twenty_ten_and_seventy_per_cent():
    part = np.arange(10)
    for fold in range(5):
        role = roles(part, fold)
        assert list(np.flatnonzero(role == "test")) == [2 * fold, 2 * fold + 1]
        assert list(np.flatnonzero(role == "validation")) == [(2 * fold + 2) % 10]
        assert (role == "train").sum() == 7
    tested = [np.flatnonzero(roles(part, fold) == "test") for fold in range(5)]
    assert sorted(np.concatenate(tested)) == list(range(10))


def test_a_class_too_small_for_ten_parts_is_named(table):
    few = table[(table["dx"] != "df") | table["lesion_id"].isin(table[table["dx"] == "df"]["lesion_id"].unique()[:9])]
    with pytest.raises(UserError, match="df has 9"):
        assign_parts(few, "lesion", 0)


def test_the_real_split(shared_data):
    from skinlesion.data.known_pairs import joined_lesions, present_pairs, read_known_pairs
    from skinlesion.data.metadata import check_records, usable
    from skinlesion.data.sources import make_source
    from skinlesion.params import DataParams

    source = make_source(DataParams(source="ham10000", path=shared_data / "ham10000"), shared_data)
    raw = source.records()
    assert check_records(raw, source.has_image) == []
    table = usable(raw, [])
    pairs = present_pairs(read_known_pairs(), table["image_id"])
    assert (table["lesion_id"].nunique(), len(pairs)) == (7470, 18)
    table["lesion_id"] = joined_lesions(table, pairs)
    assert table["lesion_id"].nunique() == 7452
    parts = assign_parts(table, "lesion", 0)
    assert crossing_lesions(parts) == []
    part_of = parts.set_index("image_id")["part"]
    assert (part_of[pairs["first"]].to_numpy() == part_of[pairs["second"]].to_numpy()).all()
    counts = pd.crosstab(parts["part"], parts["dx"])
    assert (counts.max() - counts.min() <= 2).all()


def test_repeats_are_partitions_of_their_own_and_repeat_0_is_what_it_was(table):
    split = assign_repeats(table, "lesion", 3, 3)
    assert list(split.columns) == [*COLUMNS, "part_1", "part_2"]
    assert repeats_of(split) == 3
    assert split[list(COLUMNS)].equals(assign_parts(table, "lesion", 3))
    for repeat in range(3):
        parts = of_repeat(split, repeat)
        assert parts.equals(assign_parts(table, "lesion", repeat_seed(3, repeat)))
        assert crossing_lesions(parts) == []
        assert certificate(parts)["lesions_across_parts"] == 0
    assert len({table_hash(of_repeat(split, repeat)) for repeat in range(3)}) == 3
    assert table_hash(of_repeat(split, 0)) == table_hash(assign_parts(table, "lesion", 3))
    # Independent partitions: a tenth of the images lie in the same part by chance.
    assert np.mean(split["part"] == split["part_1"]) == pytest.approx(0.1, abs=0.04)


def test_a_split_is_read_with_all_its_repeats(table, tmp_path):
    split = assign_repeats(table, "image", 0, 2)
    path = tmp_path / "image.csv"
    split.to_csv(path, index=False)
    restored = read_split(path, table["image_id"])
    assert restored["image_id"].tolist() == table["image_id"].tolist()
    assert restored.sort_values("image_id", ignore_index=True).equals(split)
    split.loc[7, "part_1"] = 10
    split.to_csv(path, index=False)
    with pytest.raises(UserError, match=f"part_1 outside 0 to 9 at {split.loc[7, 'image_id']}"):
        read_split(path, table["image_id"])


def test_a_file_of_one_partition_reads_as_before(table, tmp_path):
    path = tmp_path / "lesion.csv"
    assign_parts(table, "lesion", 0).to_csv(path, index=False)
    assert repeats_of(read_split(path, table["image_id"])) == 1
