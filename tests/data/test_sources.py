"""HAM10000 in every layout users have, each image once; the phantom's determinism, frequencies and metadata signal."""

import shutil
import zipfile

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from skinlesion.data.decode import decode
from skinlesion.data.phantom.population import draw_population
from skinlesion.data.sources import make_source
from skinlesion.data.sources.phantom import Phantom
from skinlesion.errors import UserError
from skinlesion.params import DataParams, PrepareParams
from skinlesion.vocabulary import CLASSES
from tests.archive import jpeg, records, write_archive


def at(size):
    return PrepareParams(image_size=size)


def source_at(folder, monkeypatch=None):
    return make_source(DataParams(source="ham10000", path=folder), folder.parent)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    monkeypatch.delenv("SKINLESION_DATA", raising=False)


@pytest.fixture
def zips(tmp_path):
    return write_archive(tmp_path / "zips", records())


def all_pixels(source):
    return np.stack([source.read(image_id, at(32)).pixels for image_id in records()["image_id"]])


def test_zips_folders_and_kaggles_doubled_layout_give_the_same_images(zips, tmp_path):
    expected = all_pixels(source_at(zips))
    kaggle = tmp_path / "kaggle"
    for part in (1, 2):
        for name in (f"HAM10000_images_part_{part}", f"ham10000_images_part_{part}"):
            with zipfile.ZipFile(zips / f"HAM10000_images_part_{part}.zip") as archive:
                archive.extractall(kaggle / name)
    records().drop(columns="dataset").to_csv(kaggle / "HAM10000_metadata.csv", index=False)  # Kaggle's seven columns
    doubled = source_at(kaggle)
    np.testing.assert_array_equal(all_pixels(doubled), expected)
    assert not doubled._images.conflicting
    assert list(doubled.records().columns) == list(records().columns[:-1])


def test_a_link_and_the_environment_lead_to_the_archive(zips, tmp_path, monkeypatch):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "mine").symlink_to(zips)
    assert source_at(raw).has_image("ISIC_0000003")
    shutil.rmtree(raw)
    monkeypatch.setenv("SKINLESION_DATA", str(zips))
    assert source_at(raw).has_image("ISIC_0000003")
    assert (raw / "ham10000").resolve() == zips  # DVC hashes what the link leads to


def test_images_that_lie_there_twice_and_differ_are_findings(zips):
    (zips / "ISIC_0000001.jpg").write_bytes(jpeg(1, size=(80, 60)))
    source = source_at(zips)
    with pytest.raises(ValueError, match="several places"):
        source.read("ISIC_0000001", at(32))


def test_a_changed_archive_changes_its_checksum(zips):
    before = source_at(zips).checksums()
    write_archive(zips, records(), {"ISIC_0000001": jpeg(77)})
    after = source_at(zips).checksums()
    assert before["HAM10000_images_part_1.zip"] != after["HAM10000_images_part_1.zip"]
    assert before["HAM10000_images_part_2.zip"] == after["HAM10000_images_part_2.zip"]


def test_decoding_keeps_the_frame_and_refuses_truncated_files():
    assert decode(jpeg(0, size=(60, 40)), at(40)).pixels.shape == (40, 60, 3)
    assert decode(jpeg(0, size=(40, 40)), at(40)).pixels.shape == (40, 40, 3)
    data = jpeg(0)
    with pytest.raises(OSError, match="missing or damaged"):
        decode(data[:-400], at(32))


def test_the_phantom_is_deterministic_in_its_seed():
    first, second, third = Phantom(200, 0, 1.0), Phantom(200, 0, 1.0), Phantom(200, 1, 1.0)
    table = first.records()
    assert table.equals(second.records())
    assert not table.equals(third.records())
    image_id = table["image_id"][7]
    np.testing.assert_array_equal(first.read(image_id, at(64)).pixels, second.read(image_id, at(64)).pixels)
    assert not set(table["image_id"]) & set(third.records()["image_id"]), "two phantoms share no id"
    third_image_id = third.records()["image_id"][7]
    assert (first.read(image_id, at(64)).pixels != third.read(third_image_id, at(64)).pixels).any()
    assert first.checksums() != third.checksums()


def test_the_phantoms_images_of_one_lesion_look_alike_and_are_not_the_same():
    """So that a split by image leaks: mean colours agree within a lesion, not between lesions of a class."""
    phantom = Phantom(400, 0, 1.0)
    naevi = phantom.records().query("dx == 'nv'")
    colour = np.stack([phantom.read(image_id, at(32)).pixels.mean(axis=(0, 1)) for image_id in naevi["image_id"]])
    lesion = naevi["lesion_id"].to_numpy()
    same = (lesion[:, None] == lesion) & ~np.eye(len(lesion), dtype=bool)
    distance = np.linalg.norm(colour[:, None] - colour, axis=2)
    assert distance[same].min() > 0
    assert np.median(distance[same]) < 0.8 * np.median(distance[lesion[:, None] != lesion])


def test_the_phantom_has_the_archives_frequencies():
    table = Phantom(2000, 0, 1.0).records()
    assert len(table) == 2000
    assert table["lesion_id"].nunique() == round(2000 / (10_015 / 7_470))
    lesions = table.drop_duplicates("lesion_id")["dx"].value_counts()
    expected = {"akiec": 228, "bcc": 327, "bkl": 727, "df": 73, "mel": 614, "nv": 5403, "vasc": 98}
    for dx, count in expected.items():
        assert abs(lesions[dx] - count * lesions.sum() / 7470) <= 1
    assert table.groupby("lesion_id")["dx"].nunique().max() == 1


@pytest.mark.parametrize("field", ["sex", "localization"])
def test_metadata_signal_zero_makes_metadata_worthless(field):
    def dependence(signal):
        lesions = draw_population(8000, 3, signal).drop_duplicates("lesion_id")
        counts = lesions.groupby(["dx", field]).size().unstack(fill_value=0)
        counts = counts.loc[:, counts.sum() > 50]
        return chi2_contingency(counts).pvalue

    assert dependence(0.0) > 0.001
    assert dependence(1.0) < 1e-3


def test_small_phantoms_keep_ten_lesions_a_class():
    table = draw_population(94, 0, 1.0).drop_duplicates("lesion_id")
    assert (table["dx"].value_counts()[list(CLASSES)] >= 10).all()
    with pytest.raises(UserError, match="take 94 or more"):
        draw_population(93, 0, 1.0)
