"""YAML that is no params.yaml, or more than a params.yaml needs: one line, soon, in little memory."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinlesion.params_file import load_params
from tests.conftest import ROOT
from tests.faults.harness import cases, check_ended, check_refused, snapshot

FILES = ("params.yaml", "examples/offline/params.yaml", "examples/phantom/params.yaml")
LONGEST_SECONDS = 20  # of a machine that does something else besides


def powers_of_ten(first: str, link: str, levels: int = 10) -> str:
    """Return YAML whose last line stands, with ten levels, for a billion values through aliases."""
    lines = [f"a0: &a0 {first}"]
    for level in range(1, levels):
        aliases = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} {link.format(aliases)}")
    return "\n".join(lines)


REFUSED = {
    "billion": (powers_of_ten("[1]", "[{}]"), "aliases counted"),
    "billion_in_mappings": (powers_of_ten("{x: 1}", "{{b: [{}]}}"), "aliases counted"),
    "billion_merged": (powers_of_ten("{x: 1}", "{{<<: [{}]}}"), "aliases counted"),
    "billion_twice": (powers_of_ten("[1]", "[{}]", 3) + "\na1: 1", "a1 twice"),
    "contains_itself": ("train: &a {tune: *a}", "line 1"),
    "deep_flow": ("train: " + "[" * 100_000, "nested"),
    "deep_mappings": ("{a: " * 50_000, "nested"),
    "deep_block": ("- " * 50_000, "nested"),
    "many_values": ("train: [" + "1," * 100_000 + "]", "values"),
    "many_characters": ("#" * 1_000_000, "characters"),
    "long_text": ("report: {title: " + "x" * 100_000 + "}", "100,000 characters"),
    "long_key": ("x" * 2000 + ": 1", "line 1"),
    "long_word_as_key": ("k" * 101 + ": 1", "a key of 101 characters"),
    "huge_integer": ("split: {seed: " + "9" * 5000 + "}", "5,000 characters"),
    "huge_hexadecimal": ("split: {seed: 0x" + "f" * 50_000 + "}", "characters"),
    "no_date": ("split: {seed: 2020-13-45}", "date"),
    "date": ("report: {title: 2020-01-01}", "quotes"),
    "timestamp_tag": ("split: {seed: !!timestamp x}", "tag !!timestamp"),
    "int_tag": ("split: {seed: !!int x}", "tag !!int"),
    "bool_tag": ("train: {compile: !!bool maybe}", "tag !!bool"),
    "float_tag": ("train: {lr: !!float x}", "tag !!float"),
    "python_tag": ("train: !!python/object/apply:os.system [ls]", "tag !!python"),
    "own_tag": ("train: !mine {lr: 1}", "tag !mine"),
    "set_tag": ("train: !!set {lr}", "tag !!set"),
    "list_as_key": ("[a]: 3", "as a key"),
    "mapping_as_key": ("? {}\n: 3", "as a key"),
    "alias_as_key": ("a: &a {b: 1}\n? *a\n: 3", "as a key"),
    "null_as_key": ("~: 3", "no text"),
    "nothing_as_key": (": 3", "no text"),
    "number_as_key": ("experiments: {1: {}}", "'1' is no text"),
    "boolean_as_key": ("true: 3", "no text"),
    "date_as_key": ("2020-01-01: 3", "date"),
    "newline_in_key": ('"a\\nb": 3', "cannot be printed"),
    "escape_in_key": ('"a\\x1b[31m": 3', "cannot be printed"),
    "escape_in_value": ('report: {title: "\\x1b[2J"}', "cannot be printed"),
    "null_character": ('data: {path: "a\\0b"}', "cannot be printed"),
    "half_character": ('report: {title: "\\ud800"}', "cannot be printed"),
    "no_character": ('report: {title: "\\U00110000"}', "not valid YAML"),
    "control_character": ("report: {title: \x01}", "not valid YAML"),
    "two_documents": ("train: {}\n---\ntrain: {}\n", "another document"),
    "merged_number": ("train: {<<: 3}", "line 1"),
    "merged_list": ("train: {<<: [1, 2]}", "line 1"),
    "unknown_alias": ("train: *a", "undefined alias"),
    "key_twice": ("train:\n  lr: 1\n  lr: 2\n", "line 3"),
    "other_version": ("%YAML 3.0\n---\ntrain: {}", "not valid YAML"),
    "only_a_dot": ("train: {lr: ._}", "not valid YAML"),
    "a_list": ("- train", "holds no sections"),
    "a_word": ("train", "holds no sections"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_yaml_that_is_refused(tmp_path, run, name):
    text, part = REFUSED[name]
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
    before, began = snapshot(tmp_path), time.perf_counter()
    check_refused(run("experiments", cwd=tmp_path), "params.yaml", part)
    assert time.perf_counter() - began < LONGEST_SECONDS
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("data", [b"report: {title: \xff}", "train: {}".encode("utf-16"), b"\x00" * 100, b"\x80"])
def test_bytes_that_are_no_text(tmp_path, run, data):
    (tmp_path / "params.yaml").write_bytes(data)
    check_refused(run("experiments", cwd=tmp_path), "params.yaml")


def test_a_file_that_is_named_must_be_there(tmp_path, run):
    """`train` and `pretrain` go without a params.yaml, but not without the one that was asked for."""
    check_refused(run("train", "--params", "parms.yaml", "--dry-run", cwd=tmp_path), "parms.yaml: no such file")
    (tmp_path / "params.yaml").symlink_to("gone.yaml")
    check_refused(run("train", "--dry-run", cwd=tmp_path), "params.yaml")


def test_aliases_and_merge_keys_stay_allowed(tmp_path):
    (tmp_path / "params.yaml").write_text(
        "split: {repeats: 3}\n"
        "experiments:\n  a: &a {fusion: concat, repeats: &three [0, 1, 2], folds: [0, 1, 2, 3, 4]}\n"
        "  b: {<<: *a, lr: 0.1}\n  c: {<<: [*a, *a], repeats: *three}\n"
    )
    params = load_params(tmp_path / "params.yaml")
    assert params.experiment("b").lr == 0.1
    assert params.experiment("c").repeats == [0, 1, 2]


INVALID_TEXTS = [
    ":", ": ", "?", "- ", "[", "]", "{", "}", ",", "#", "&a ", "*a", "!", "!!int ", "!!set ", "|", ">", "'", '"', "%",
    "@", "`", "\t", "\n", "\r", "\x1b", "\x00", "\ufeff", "\u2028", "\u202e", "---\n", "...\n", "<<: *a", "<<: 3\n",
    "~", "true", "9" * 5000, "[" * 500, "{a: " * 500, "2020-13-45", ".nan", "-.inf", "0x", "=", "\\",
    '"\\x1b"', '"\\ud800"', "é" * 300,
]  # fmt: skip


@st.composite
def edited_texts(draw) -> str:
    """Return the text of a params.yaml of this repository after one to four edits."""
    text = (ROOT / draw(st.sampled_from(FILES))).read_text()
    start = draw(st.sampled_from([0, *(place for place, character in enumerate(text) if character == "\n")]))
    text = text[start : start + draw(st.sampled_from([300, 1500, len(text)]))] if draw(st.booleans()) else text
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(text)))
        end = min(len(text), place + draw(st.sampled_from([0, 0, 1, 5, 100])))
        kind = draw(st.sampled_from(["insert", "remove", "repeat", "random"]))
        inserted = {
            "insert": draw(st.sampled_from(INVALID_TEXTS)),
            "remove": "",
            "repeat": text[place:end] * draw(st.integers(2, 5)),
            "random": draw(st.text(max_size=8)),
        }[kind]
        text = text[:place] + inserted + text[end:]
    return text


def _check_text(text, folder, run):
    (folder / "params.yaml").write_bytes(text.encode("utf-8", errors="surrogatepass"))
    before, began = snapshot(folder), time.perf_counter()
    outcome = run("experiments", cwd=folder)
    assert time.perf_counter() - began < LONGEST_SECONDS
    check_ended(outcome)
    assert snapshot(folder) == before


@cases(12)
@given(text=edited_texts())
def test_edited_text_ends_in_one_line(tmp_path, run, text):
    _check_text(text, tmp_path, run)


@pytest.mark.slow
@cases(1500)
@given(text=edited_texts())
def test_many_edited_texts_end_in_one_line(tmp_path, run, text):
    _check_text(text, tmp_path, run)
