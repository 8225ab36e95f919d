"""Sources of other data sets, on small copies of their layouts: mapped to the vocabulary, without leaking columns."""

import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from skinlesion.data.metadata import check_records
from skinlesion.data.sources import make_source
from skinlesion.data.sources.images import ImageIndex
from skinlesion.errors import UserError
from skinlesion.params import DataParams, PrepareParams
from tests.archive import jpeg

SMALL = PrepareParams(image_size=32)


def opened(name, path, **more):
    return make_source(DataParams(source=name, path=path, **more), path.parent)


def clean(source):
    """Return the records by image_id, after checking that all are valid, readable and without leaking columns."""
    table = source.records()
    assert check_records(table, source.has_image) == []
    assert not {"dx_type", "dataset", "biopsed", "diagnosis_confirm_type"} & set(table.columns)
    for image_id in table["image_id"]:
        assert min(source.read(image_id, SMALL).pixels.shape[:2]) == 32
    return table.set_index("image_id")


def images(folder, names, suffix=".jpg"):
    for number, name in enumerate(names):
        path = folder / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(number))


@pytest.fixture
def isic2019(tmp_path):
    """One-hot ground truth in the challenge's own order, metadata with empty fields, images in a zip."""
    folder = tmp_path / "isic2019"
    folder.mkdir()
    (folder / "ISIC_2019_Training_GroundTruth.csv").write_text(
        "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK\n"
        "ISIC_1,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0\n"
        "ISIC_2_downsampled,0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0\n"
        "ISIC_3,0.0,0.0,0.0,1.0,0.0,0.0,0.0,0.0,0.0\n"
        "ISIC_4,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0\n"
    )
    (folder / "ISIC_2019_Training_Metadata.csv").write_text(
        "image,age_approx,anatom_site_general,lesion_id,sex\n"
        "ISIC_1,55.0,anterior torso,MSK4_0011169,female\n"
        "ISIC_2_downsampled,,,,\n"
        "ISIC_3,70.0,palms/soles,BCN_0003884,male\n"
        "ISIC_4,80.0,head/neck,,male\n"
    )
    with zipfile.ZipFile(folder / "ISIC_2019_Training_Input.zip", "w") as archive:
        for number, name in enumerate(["ISIC_1", "ISIC_2_downsampled", "ISIC_3", "ISIC_4"]):
            archive.writestr(f"ISIC_2019_Training_Input/{name}.jpg", jpeg(number))
        archive.writestr("__MACOSX/._ISIC_1.jpg", b"stub")
    return folder


def test_isic_2019(isic2019):
    source = opened("isic_challenge", isic2019)
    table = clean(source)
    assert table["dx"].to_dict() == {"ISIC_1": "mel", "ISIC_2_downsampled": "nv", "ISIC_3": "akiec"}
    assert table.loc["ISIC_1"].tolist() == ["MSK4_0011169", "mel", 55.0, "female", "trunk"]
    assert table.loc["ISIC_2_downsampled", "lesion_id"] == "ISIC_2_downsampled"
    assert table.loc["ISIC_2_downsampled", "localization"] == "unknown"
    assert table.loc["ISIC_3", "localization"] == "acral"
    assert source.dropped == {"SCC": 1}


def test_isic_2018_with_groupings_and_no_metadata(tmp_path):
    folder = tmp_path / "isic2018"
    folder.mkdir()
    (folder / "ISIC2018_Task3_Training_GroundTruth.csv").write_text(
        "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\nISIC_1,0.0,1.0,0.0,0.0,0.0,0.0,0.0\nISIC_2,0.0,0.0,0.0,0.0,0.0,0.0,1.0\n"
    )
    (folder / "ISIC2018_Task3_Training_LesionGroupings.csv").write_text(
        "image,lesion_id,diagnosis_confirm_type\nISIC_1,HAM_7,follow_up\nISIC_2,HAM_8,histo\n"
    )
    images(folder / "ISIC2018_Task3_Training_Input", ["ISIC_1", "ISIC_2"])
    table = clean(opened("isic_challenge", folder))
    assert table["dx"].tolist() == ["nv", "vasc"]
    assert table["lesion_id"].tolist() == ["HAM_7", "HAM_8"]
    assert table["age"].isna().all()
    assert set(table["sex"]) == {"unknown"}


def test_a_ground_truth_with_two_answers_is_named(isic2019):
    path = isic2019 / "ISIC_2019_Training_GroundTruth.csv"
    path.write_text(path.read_text().replace("ISIC_3,0.0", "ISIC_3,1.0"))
    with pytest.raises(UserError, match="not exactly one diagnosis at ISIC_3"):
        opened("isic_challenge", isic2019)


def test_isic_archive_by_api_and_by_csv_and_both_spellings_of_the_site(tmp_path):
    api, flat = tmp_path / "api", tmp_path / "flat"
    api.mkdir()
    flat.mkdir()
    results = [
        {"isic_id": "ISIC_1", "metadata": {"clinical": {
            "age_approx": 45, "sex": "male", "lesion_id": "IL_1", "patient_id": "IP_1",
            "anatom_site_general": "posterior torso",
            "diagnosis_1": "Benign", "diagnosis_2": "Benign melanocytic proliferations", "diagnosis_3": "Nevus",
        }}},
        {"isic_id": "ISIC_2", "metadata": {"clinical": {
            "sex": "female", "anatom_site_1": "Head and neck", "anatom_site_2": "Scalp",
            "diagnosis_1": "Malignant", "diagnosis_3": "Melanoma", "diagnosis_4": "Melanoma Invasive",
        }}},
        {"isic_id": "ISIC_3", "metadata": {"clinical": {"diagnosis_1": "Indeterminate"}}},
    ]  # fmt: skip
    (api / "page1.json").write_text(json.dumps({"count": 3, "next": None, "results": results}))
    rows = [{"isic_id": result["isic_id"]} | result["metadata"]["clinical"] for result in results]
    pd.DataFrame(rows).to_csv(flat / "metadata.csv", index=False)
    tables = []
    for folder in (api, flat):
        images(folder / "images", ["ISIC_1", "ISIC_2", "ISIC_3"])
        source = opened("isic_archive", folder)
        tables.append(clean(source))
        assert source.dropped == {"Indeterminate": 1}
    pd.testing.assert_frame_equal(*tables)
    assert tables[0].loc["ISIC_1"].tolist() == ["IL_1", 45.0, "male", "back", "IP_1", "nv"]
    assert tables[0]["patient_id"].tolist() == ["IP_1", ""]
    assert tables[0].loc["ISIC_2", ["lesion_id", "localization", "dx"]].tolist() == ["ISIC_2", "scalp", "mel"]


def test_pad_ufes_20_never_reads_biopsed(tmp_path):
    folder = tmp_path / "pad"
    folder.mkdir()
    (folder / "metadata.csv").write_text(
        "patient_id,lesion_id,smoke,age,gender,region,diagnostic,img_id,biopsed\n"
        "PAT_1,11,False,55,FEMALE,NECK,BCC,PAT_1_11_1.png,True\n"
        "PAT_1,12,False,55,FEMALE,FOREARM,NEV,PAT_1_12_2.png,False\n"
        "PAT_2,13,,79,MALE,NOSE,SCC,PAT_2_13_3.png,True\n"
        "PAT_3,14,,,,LIP,ACK,PAT_3_14_4.png,False\n"
    )
    images(folder / "images" / "imgs_part_1", ["PAT_1_11_1", "PAT_1_12_2", "PAT_2_13_3", "PAT_3_14_4"], ".png")
    table = clean(opened("pad_ufes_20", folder))
    assert table["dx"].tolist() == ["bcc", "nv", "akiec", "akiec"]
    assert table["lesion_id"].tolist() == ["PAT_1_11", "PAT_1_12", "PAT_2_13", "PAT_3_14"]
    assert table["patient_id"].tolist() == ["PAT_1", "PAT_1", "PAT_2", "PAT_3"]
    assert table["localization"].tolist() == ["neck", "upper extremity", "face", "face"]
    assert table["sex"].tolist() == ["female", "female", "male", "unknown"]


def test_derm7pt_has_no_age_and_its_dermoscopic_images_alone(tmp_path):
    folder = tmp_path / "release_v0"
    (folder / "meta").mkdir(parents=True)
    (folder / "meta" / "meta.csv").write_text(
        "case_num,diagnosis,seven_point_score,location,sex,clinic,derm,case_id\n"
        "1,clark nevus,0,upper limbs,female,NEL/NEL025.JPG,NEL/Nel026.jpg,NEL025\n"
        "2,melanoma (in situ),5,genital areas,male,FAL/Fal026.jpg,FAL/Nel026.jpg,\n"
        "3,melanosis,1,acral,male,FAL/Fal027.jpg,FAL/Fal028.jpg,\n"
    )
    images(folder / "images", ["NEL/Nel026", "FAL/Nel026", "FAL/Fal028", "NEL/NEL025"])
    source = opened("derm7pt", folder)
    table = clean(source)
    assert table.index.tolist() == ["nel_nel026", "fal_nel026"]  # equal file names in two folders are two images
    assert table["dx"].tolist() == ["nv", "mel"]
    assert table["localization"].tolist() == ["upper extremity", "genital"]
    assert table["age"].isna().all()
    assert source.dropped == {"melanosis": 1}


def test_any_folder_with_columns_named_in_params(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "cases.csv").write_text("file,patient,label,years,where\na.jpg,P1,naevus,44,Rücken\nb.jpg,P1,wart,45,x\n")
    images(folder, ["a", "b"])
    described = {
        "table": "cases.csv",
        "columns": {"image_id": "file", "lesion_id": "patient", "dx": "label", "age": "years", "localization": "where"},
        "diagnoses": {"Naevus": "nv"},
        "localizations": {"Rücken": "back"},
    }
    source = opened("folder", folder, folder=described)
    table = clean(source)
    assert table.loc["a"].tolist() == ["P1", 44.0, "unknown", "back", "nv"]
    assert source.dropped == {"wart": 1}
    described["columns"]["dx"] = "lable"
    with pytest.raises(UserError, match=r"column lable missing; name its columns in data\.folder\.columns"):
        opened("folder", folder, folder=described)
    described["columns"]["dx"], described["diagnoses"] = "label", {"naevus": "nev"}
    with pytest.raises(UserError, match="nev is not a class; did you mean nv"):
        opened("folder", folder, folder=described)


def test_the_real_outside_images(shared_data):
    source = opened("isic_challenge", shared_data / "isic2019_external")
    table = source.records()
    assert table["dx"].value_counts().to_dict() == {"nv": 608, "mel": 164}
    assert check_records(table, source.has_image) == []
    assert min(source.read(table["image_id"][0], SMALL).pixels.shape[:2]) == 32


def test_names_in_a_zip_reach_no_file_system(tmp_path):
    folder = tmp_path / "zips"
    folder.mkdir()
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        archive.writestr("../../outside.jpg", jpeg(0))
        archive.writestr("/etc/absolute.jpg", jpeg(1))
        archive.writestr("notes.txt", "no image")
    index = ImageIndex(folder)
    assert len(index) == 2
    assert index.read("outside") == jpeg(0)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["images.zip", "zips"]


def test_bombs_are_refused_before_anything_is_unpacked(tmp_path, monkeypatch):
    from skinlesion.data.sources import images as module

    folder = tmp_path / "zips"
    folder.mkdir()
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big.jpg", np.zeros(3_000_000, np.uint8).tobytes())
    monkeypatch.setattr(module, "MOST_BYTES", 2_000_000)
    with pytest.raises(UserError, match=r"big\.jpg unpacks to 3,000,000 bytes"):
        ImageIndex(folder)
    monkeypatch.setattr(module, "MOST_MEMBERS", 0)
    with pytest.raises(UserError, match="holds 1 files, more than 0"):
        ImageIndex(folder)


def test_an_image_with_a_hundred_million_pixels_is_not_decoded(tmp_path):
    import struct
    import zlib

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\x00" * 100))
        + chunk(b"IEND", b"")
    )
    from skinlesion.data.decode import decode

    with pytest.raises(ValueError, match="900000000 pixels"):
        decode(png, SMALL)
