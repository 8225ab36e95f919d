"""Claims in sentences: who claims what, the difference here, and what was published."""

import math

import pytest

from skinlesion.analysis.published_projects import projects_named, published_gain, read_projects
from skinlesion.analysis.published_results import read_entries
from skinlesion.errors import UserError
from skinlesion.params import Params
from skinlesion.report.claim_words import claim_sentence, limits_words, multiplicity_words

EXPERIMENTS = {
    "image": {}, "concat": {"fusion": "concat"}, "leaky": {"protocol": "image"},
    "other": {"fusion": "concat", "lr": 0.5}, "placebo": {"fusion": "concat", "records": "permuted"},
}  # fmt: skip


@pytest.fixture(scope="module")
def params():
    from tests.conftest import small_params

    wanted = small_params()
    wanted["experiments"] = EXPERIMENTS
    wanted["claims"] = []
    return Params.model_validate(wanted)


def row(a="image", b="concat", answer="contradicted", source="p3: 85.23 without, 80.31 with", **changes):
    content = {
        "claim": "Metadata lower accuracy", "a": a, "b": b, "metric": "accuracy", "source": source, "answer": answer,
        "difference": 0.031, "low_adjusted": 0.012, "high_adjusted": 0.05,
    }  # fmt: skip
    return content | changes


def test_a_project_s_claim_is_answered_beside_what_it_published(params):
    assert claim_sentence(row(), params, read_projects()) == (
        "p3's claim “Metadata lower accuracy” is contradicted here: accuracy is 3.1 points higher with metadata "
        "(1.2 to 5.0); published, split by image: accuracy 4.9 points lower."
    )


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ("image", "leaky", "accuracy is 3.1 points higher in the split by image (1.2 to 5.0)."),
        ("placebo", "concat", "accuracy of concat is 3.1 points higher than that of placebo (1.2 to 5.0)."),
        # Not the same model with metadata: names say what was compared.
        ("image", "other", "accuracy of other is 3.1 points higher than that of image (1.2 to 5.0); published,"),
        ("both", "concat", "accuracy of concat is 3.1 points higher than that of both (1.2 to 5.0)."),
    ],
)
def test_what_is_compared_is_stated(params, a, b, words):
    assert words in claim_sentence(row(a, b), params, read_projects())


def test_a_claim_without_an_answer_says_why(params):
    sentence = claim_sentence(
        row(answer="not answered: 2 df lesions: fewer than the 5 that an interval needs", difference=math.nan),
        params,
        read_projects(),
    )
    assert sentence.endswith("is not answered here: 2 df lesions: fewer than the 5 that an interval needs.")


def test_a_claim_that_no_project_makes_names_no_project(params):
    sentence = claim_sentence(row(source="follow-up to p3: both at 1e-4"), params, read_projects())
    assert sentence.startswith("The claim “")
    assert "published" not in sentence


def test_a_project_without_figures_published_no_difference(params):
    assert claim_sentence(row(source="p4: planned"), params, read_projects()).endswith(
        "; the project published no such difference."
    )


def test_every_answer_has_its_words():
    from itertools import product

    from skinlesion.report.claim_words import _ANSWERS
    from skinlesion.stats.verdict import VERDICTS, answer_claim

    answers = {answer_claim(*pair) for pair in product(VERDICTS, ("higher", "lower", "equal"))}
    assert answers == set(_ANSWERS)


def test_intervals_across_zero_name_both_sides():
    assert limits_words(-0.081, 0.002) == "8.1 lower to 0.2 higher"
    assert limits_words(-0.05, -0.012) == "1.2 to 5.0"


def test_two_sentences_say_what_is_primary_and_what_is_adjusted(params):
    sentences = multiplicity_words(params, 3)
    assert len(sentences) == 2
    assert "by balanced accuracy" in sentences[0]
    assert "the 3 claims are one confirmatory family: 95% simultaneous intervals" in sentences[1]
    assert "Benjamini–Hochberg" in sentences[1]
    assert "no claim was fixed beforehand" in multiplicity_words(params, 0)[1]


def test_projects_name_entries_that_there_are_and_differences_that_follow_from_them():
    projects, entries = read_projects(), {entry.name: entry.entry for entry in read_entries()}
    assert set(projects) == {"p0", "p1", "p2", "p3", "p4"}
    assert {name for project in projects.values() for name in project.entries} <= set(entries)
    printed = {name: float(entries[name].figures["accuracy"]) for name in ("p1", "p1i", "p3_image", "p3_multimodal")}
    gains, unit = published_gain(projects["p1"], ["accuracy"])
    assert gains["accuracy"] == pytest.approx(printed["p1"] - printed["p1i"], abs=1e-4)
    assert unit == "image"
    gains, _ = published_gain(projects["p3"], ["accuracy", "macro_auc"])
    assert gains == {"accuracy": pytest.approx(printed["p3_multimodal"] - printed["p3_image"], abs=1e-4)}
    assert projects_named(["follow-up to p3", "p1: x", "p10"], projects) == ["p1", "p3"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [("p9: {about: x}", "p9: neither entries nor repository"), ("p9: {entries: [p0]}", "about"), ("- [", "not YAML"),
     ("p9: {about: x, repository: no slash}", "repository")],
)  # fmt: skip
def test_a_wrong_file_of_projects_is_named(tmp_path, text, problem):
    (tmp_path / "projects.yaml").write_text(text)
    with pytest.raises(UserError, match=rf"projects\.yaml.*{problem}"):
        read_projects(tmp_path)
