"""The words and the page of a comparison."""

import json
import re
from html.parser import HTMLParser

import pytest

from skinlesion.analysis.pair_report import ComparisonRow
from skinlesion.report.compare_page import references
from skinlesion.report.comparison_words import answer
from skinlesion.stats.verdict import REVERSED, VERDICTS
from tests.cli.test_compare import FAST, folder, predictions  # noqa: F401


def row(**changed):
    values = {
        "a": "x", "b": "y", "metric": "balanced_accuracy", "a_value": 0.6, "b_value": 0.648, "difference": 0.048,
        "low": 0.0, "high": 0.1, "p": 0.05, "method": "m", "about": "t", "undefined": 0, "caution": "",
        "family": "confirmatory", "adjustment": "none", "p_adjusted": 0.05, "low_adjusted": -0.001,
        "high_adjusted": 0.098, "margin": 0.02, "verdict": "not lower by the margin",
    }  # fmt: skip
    return ComparisonRow.model_validate(values | changed)


def test_the_answer_is_a_sentence_in_points():
    assert answer(row(), 0.95) == (
        "No difference between y and x is shown: y − x is +4.8 points of balanced accuracy (−0.1 to +9.8, 95%); "
        "y is not worse than x by 2 points or more."
    )
    negative = row(difference=-0.001, low_adjusted=-0.03, high_adjusted=0.028, margin=0.01, verdict="inconclusive")
    assert answer(negative, 0.95) == (
        "No difference between y and x is shown: y − x is −0.1 points of balanced accuracy (−3.0 to +2.8, 95%); "
        "a difference beyond the margin of 1 point is not excluded."
    )
    higher = row(verdict="higher", low_adjusted=0.001)
    assert answer(higher, 0.95) == (
        "y is better than x by 4.8 points of balanced accuracy (0.1 to 9.8, 95%); "
        "not shown to exceed the margin of 2 points."
    )
    assert answer(row(verdict="no verdict: a class is absent", low_adjusted=None), 0.95) == (
        "y and x are not compared by balanced accuracy: a class is absent."
    )


@pytest.mark.parametrize("verdict", [verdict for verdict in VERDICTS if verdict.startswith("higher")])
def test_the_better_model_comes_first_whichever_it_is(verdict):
    forward = row(verdict=verdict, low_adjusted=0.001)
    reversed_row = row(
        a="y", b="x", difference=-0.048, low_adjusted=-0.098, high_adjusted=-0.001, verdict=REVERSED[verdict]
    )
    assert answer(forward, 0.95) == answer(reversed_row, 0.95)


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_has_a_sentence_of_its_own(verdict):
    others = {answer(row(verdict=other), 0.95) for other in VERDICTS if other != verdict}
    assert answer(row(verdict=verdict), 0.95) not in others


class Links(HTMLParser):
    """Collects what a page asks for, and the JSON in it."""

    def __init__(self):
        super().__init__()
        self.links, self.json, self._inside = [], "", False

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("href", "src") and tag != "use"]
        self._inside = ("id", "comparison") in attrs

    def handle_data(self, data):
        if self._inside:
            self.json += data

    def handle_endtag(self, tag):
        self._inside = False


def test_the_page_is_complete_in_itself_and_holds_its_json(folder, run):  # noqa: F811
    (folder / "weak.csv").rename(folder / "<script>alert(1)<.csv")
    files = ("<script>alert(1)<.csv", "strong.csv", "third.csv")
    outcome = run("compare", *files, *FAST, "--html", "page.html", cwd=folder)
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[-1] == "page: page.html"
    text = (folder / "page.html").read_text()
    assert "<script>alert" not in text
    page = Links()
    page.feed(text)
    assert [link for link in page.links if link and not link.startswith(("#", "data:"))] == []
    printed = json.loads(run("compare", *files, *FAST, "--json", cwd=folder).out)
    assert json.loads(page.json) == printed
    assert len(re.findall('<svg[^>]* role="img"', text)) == 6  # three pairs, each for wide and for narrow screens
    assert not re.search(r"<svg.*#[0-9a-f]{6}", text)  # colours are the page's, which follow its dark mode
    assert "<title>Differences between strong and &lt;script&gt;" in text
    for key in ("shao1995", "westfall1993", "yang2010"):
        assert f"{key}, author" in text
    assert run("compare", *files, *FAST, "--html", "page.html", cwd=folder).code == 0  # its own page is replaced


def test_no_other_file_is_written_over(folder, run):  # noqa: F811
    outcome = run("compare", "weak.csv", "strong.csv", "--html", "third.csv", cwd=folder)
    assert (outcome.code, outcome.out) == (2, "")
    assert "third.csv already exists and was not written by this command" in outcome.err


def test_the_first_line_answers_and_cautions_stand_once(folder, run):  # noqa: F811
    lines = run("compare", "weak.csv", "strong.csv", *FAST, cwd=folder).out.splitlines()
    assert lines[0].startswith("strong is better than weak by ")
    notes = [line for line in lines if re.match(r"\[\d\]", line)]
    assert len(set(notes)) == len(notes) > 0
    starts = {line.index("clustered") for line in lines if "McNemar clustered" in line}
    assert starts == {
        line.index("images") - len("McNemar, ") + len("McNemar ") for line in lines if "McNemar, i" in line
    }


def test_every_key_that_is_cited_has_an_entry():
    keys = "shao1995, obuchowski1997, bouthillier2021, schuirmann1987, piaggio2012, westfall1993, benjamini1995"
    assert len(references(f"[{keys}] [benjamini2005] [davison1997] [phipson2010] [yang2010]").splitlines()) == 11
