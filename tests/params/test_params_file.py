"""params.yaml is read as DVC reads it; what is wrong with it is said in one line."""

import pytest
from dvc.utils.serialize import loads_yaml

from skinlesion.errors import UserError
from skinlesion.params_file import load_params, parse_setting, parse_yaml
from tests.conftest import ROOT

WORDS = ["off", "on", "yes", "no", "010", "0o10", "1e-3", "1_000", "1:30", "null", "~", "true", ".5", "[1, off]"]


@pytest.mark.parametrize("word", WORDS)
def test_a_value_means_what_it_means_to_dvc(word):
    assert parse_yaml(f"a: {word}\n") == loads_yaml(f"a: {word}\n")
    assert parse_setting(f"lr={word}") == ("lr", loads_yaml(word))


@pytest.mark.parametrize("folder", ["", "examples/offline", "examples/phantom", "examples/fine_tuned"])
def test_the_files_of_this_repository_mean_what_they_mean_to_dvc(folder):
    text = (ROOT / folder / "params.yaml").read_text()
    assert parse_yaml(text) == loads_yaml(text)


def test_yaml_1_2_decides_numbers_and_words(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("split: {seed: 010}\ntrain: {lr: 1e-3}\nreport: {title: off}\n")
    params = load_params(path)
    assert params.split.seed == 10  # 8 by YAML 1.1
    assert params.train.lr == 0.001  # text by YAML 1.1
    assert params.report.title == "off"  # false by YAML 1.1


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("train:\n  lr: 1\n  epochs: 2\n  lr: 3\n", ["line 4", "key lr twice"]),
        ("experiments:\n  a: {}\n  a: {}\n", ["line 3", "key a twice"]),
        ("train:\n\tlr: 1\n", ["line 2", "not valid YAML"]),
        ("train: !!python/name:os.system x\n", ["line 1", "not valid YAML"]),
        ("train: {lr: 2020-13-45}\n", ["not valid YAML"]),
        ("train: \x01\n", ["not valid YAML"]),
        ("", ["holds no sections"]),
    ],
)
def test_text_that_is_no_params_file_is_one_line(tmp_path, text, parts):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as raised:
        load_params(path)
    assert "\n" not in str(raised.value)
    assert all(part in str(raised.value) for part in ["params.yaml", *parts]), raised.value


def test_bytes_that_are_no_text_are_one_line(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_bytes(b"report: {title: \xff}\n")
    with pytest.raises(UserError, match="not UTF-8"):
        load_params(path)
