"""The report's page and model cards on a small workspace: sections, contents, figures, what cards warn of."""

import re
from dataclasses import replace

import numpy as np
import pytest

from skinlesion.errors import UserError
from skinlesion.params import PublishedParams
from skinlesion.params_file import load_params
from skinlesion.report import page, sections
from skinlesion.report.model_card import model_card
from skinlesion.report.section import Section
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace


@pytest.fixture(scope="module")
def results(reported):
    return Results.open(reported / "params.yaml")


def test_a_new_section_is_one_function_and_one_entry(results, monkeypatch):
    def new_section(results):
        return Section("The weather, today", f"<p>{len(results.systems())} systems</p>", {"clouds": "<svg></svg>"})

    monkeypatch.setattr(sections, "SECTIONS", [sections.claims, new_section, sections.limits])
    rendered = page.report_page(results)
    assert '<h2 id="the-weather-today">The weather, today</h2>\n<p>3 systems</p>' in rendered.html
    contents = re.search(r"<nav.*?</nav>", rendered.html, re.DOTALL)
    assert contents is not None
    assert re.findall(r'href="#([^"]+)"', contents[0]) == [
        "the-claims-answered",
        "claim-1",
        "the-weather-today",
        "limits-and-licence",
    ]
    assert set(rendered.figures) == {"claims", "clouds"}


def test_each_figure_is_drawn_once_and_experiments_are_ranked_once(results, monkeypatch):
    from skinlesion.report import figures
    from skinlesion.results import reader

    calls = {"confusion": 0, "best": 0}

    def counted(name, function):
        def call(*arguments):
            calls[name] += 1
            return function(*arguments)

        return call

    monkeypatch.setattr(figures, "confusion", counted("confusion", figures.confusion))
    monkeypatch.setattr(reader, "best_of_each_kind", counted("best", reader.best_of_each_kind))
    fresh = Results(results.params, results.workspace)
    page.report_page(fresh)
    model_card(fresh, "concat")
    assert calls == {"confusion": len(results.params.systems), "best": 1}


def test_sections_without_content_are_left_out(results):
    assert sections.published(results) is None
    assert sections.external(results) is None


def test_a_published_system_is_shown_beside_its_reproduction(results):
    system = PublishedParams(
        system="Somebody 2020",
        published={"macro_f1": 0.5, "top_2_accuracy": 0.75},
        setting="own test set",
        reproduced=None,
        honest="concat",
    )
    params = results.params.model_copy(update={"published": [system]})
    section = sections.published(Results(params, results.workspace))
    assert section is not None
    metrics = results.metrics("concat")
    assert "macro F1 0.500<br>" in section.html
    assert "top 2 accuracy 0.750<br>" in section.html  # a metric that we do not have
    assert "not yet run<br>" in section.html
    for name, title in (("macro_f1", "macro F1"), ("balanced_accuracy", "balanced accuracy")):
        # A class has fewer than five lesions here, so that a mean over classes has no interval.
        assert f"{name}_low" not in metrics
        assert f"{title} {metrics[name]:.3f}<br>" in section.html


def test_figures_of_the_registry_are_shown_with_their_intervals_and_beside_those_of_the_seeds(results):
    system = PublishedParams(
        system="p0", entry="p0", setting="s", reproduced="concat", validated="image", honest="concat"
    )
    params = results.params.model_copy(update={"published": [system]})
    section = sections.published(Results(params, results.workspace))
    assert section is not None
    assert "accuracy 0.692 (0.672 to 0.712)<br>" in section.html  # Wilson's interval of 1,387 of 2,003
    unknown = system.model_copy(update={"entry": "p9"})
    with pytest.raises(UserError, match=r"published\.0\.entry: no entry p9 in the registry"):
        sections.published(Results(results.params.model_copy(update={"published": [unknown]}), results.workspace))


def test_a_figure_that_counts_contradict_is_shown_as_it_was_printed_without_an_interval(results):
    system = PublishedParams(system="m", entry="dermfm_monet", setting="s", reproduced=None, honest=None)
    params = results.params.model_copy(update={"published": [system]})
    section = sections.published(Results(params, results.workspace))
    assert section is not None
    assert "macro F1 0.709<br>" in section.html  # printed 0.7091, recomputed 0.7129


def test_a_published_figure_is_placed_among_those_of_the_seeds(results):
    from skinlesion.report.sections.published import _place_among_seeds

    tested = results.predictions("concat")
    all_right, all_wrong = np.eye(7)[tested.labels], np.eye(7)[(tested.labels + 1) % 7]
    half = np.where(np.arange(len(all_right))[:, None] % 2 == 0, all_right, all_wrong)
    two_seeds = replace(
        tested, seeds=(0, 1), repeats=(0, 0), folds=np.zeros((2, len(all_right)), int),
        probabilities=np.stack([all_right, half]),
    )  # fmt: skip
    middle = (tested.labels.size + 1) // 2 / tested.labels.size
    assert "within" in _place_among_seeds(0.9, "accuracy", two_seeds)
    assert f"({middle:.3f} to 1.000)" in _place_among_seeds(0.9, "accuracy", two_seeds)
    assert "below" in _place_among_seeds(0.2, "accuracy", two_seeds)


@pytest.mark.parametrize("level", [0.8, 0.875])
def test_cards_show_the_operating_point_of_params(reported, tmp_path, level):
    """They said "undefined" for any other than 90%."""
    import shutil

    from skinlesion.stages.assess import assess
    from tests.conftest import small_params, write_params

    folder = tmp_path / "workspace"
    shutil.copytree(reported, folder)
    both = {"both": {"members": ["image", "concat"]}}
    wanted = small_params(train={"input_size": 64}, ensembles=both, assess={"operating_points": [level]})
    params, workspace = load_params(write_params(folder, wanted)), Workspace(folder)
    assess(params, workspace, "concat")
    card = model_card(Results(params, workspace), "concat")
    line = next(line for line in card.splitlines() if line.startswith("| malignant sensitivity at "))
    assert re.fullmatch(
        rf"\| malignant sensitivity at {level * 100:g}% specificity \| \d\.\d{{3}} \(.* to .*\) \|", line
    )


def test_cards_say_what_the_model_must_not_be_used_for(reported):
    text = (reported / "reports/cards/concat.md").read_text()
    for words in (
        "must not be used",
        "SYNTHETIC",
        "TRIPOD+AI",
        "Worst group",
        "Not a medical device",
        "What metadata adds",
    ):
        assert words in text
    assert "{{" not in text
    assert "What metadata adds" not in (reported / "reports/cards/image.md").read_text()
    assert not (reported / "reports/cards/both.md").exists()


def test_figures_and_tables_are_written_beside_the_report(reported):
    names = {path.stem for path in (reported / "reports/figures").glob("*.svg")}
    assert {"claims", "differences", "gains", "leader_board", "confusion_image", "assessment_1"} <= names
    tex = (reported / "reports/results.tex").read_text()
    assert r"\toprule" in tex
    assert "_" not in tex.replace(r"\_", "").partition("%")[0]
    page = (reported / "reports/report.html").read_text()
    for words in (
        "The claims, answered",
        "Where the models look",
        "Training",
        "Limits and licence",
        "What metadata adds",
    ):
        assert words in page


def test_the_reports_contents_lead_to_its_sections(reported):
    page = (reported / "reports/report.html").read_text()
    targets, ids = re.findall(r'href="#([^"]+)"', page), re.findall(r'id="([^"]+)"', page)
    sections = [section_id for section_id in ids if f'<h2 id="{section_id}">' in page]
    contents = re.search(r"<nav.*?</nav>", page, re.DOTALL)
    assert contents is not None
    listed = re.findall(r'href="#([^"]+)"', contents[0])
    assert [section_id for section_id in listed if not section_id.startswith("claim-")] == sections
    assert listed[:2] == ["the-claims-answered", "claim-1"]
    assert len(sections) == len(set(sections)) > 10
    assert set(targets) <= set(ids)
