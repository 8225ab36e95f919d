"""The documentation's pages: links lead to files, and outputs and figures are those of the code and results at hand."""

import re

import figures
import fills
import links
import marked
import outputs
import pictures
import pytest

from tests.conftest import ROOT

PAGES = [path.relative_to(ROOT).as_posix() for path in outputs.pages()]
WITH_FIGURES = [page for page in PAGES if "<!-- figure: " in (ROOT / page).read_text(encoding="utf-8")]

_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")


@pytest.mark.parametrize("page", ["README.md", *PAGES, *links.OUTSIDE])
def test_every_relative_link_leads_to_a_file(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in links.targets(text):
        assert links.linked_file(target, page).exists(), f"{page}: {target}"


def test_a_link_is_rewritten_relative_to_the_sites_root():
    text = "[a](../benchmarks/validity.md#x) [b](margins.md) `[c](../no.md)` [d](https://x.org) [e](#here)"
    moved = links.relink(text, "docs/registry.md")
    assert moved == "[a](benchmarks/validity.md#x) [b](margins.md) `[c](../no.md)` [d](https://x.org) [e](#here)"
    assert links.relink("[a](../../benchmarks/validity.md)", "docs/concepts/x.md") == "[a](../benchmarks/validity.md)"
    assert links.relink("[a](../docs/margins.md)", "benchmarks/x.md") == "[a](../margins.md)"


@pytest.mark.parametrize("page", PAGES)
def test_every_marked_part_is_of_a_known_kind_and_closed(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    opening_markers = re.findall(r"<!-- (\w+): (?!begin|end)", text)
    assert len(opening_markers) == len(list(marked.parts(text))) == text.count("<!-- end -->")
    for kind, name, content in marked.parts(text):
        assert content.strip(), f"{page}: {name} is empty; run `python docs/site/outputs.py {page}`"
        assert kind != "fill" or name in fills.FILLS


def test_references_are_those_of_the_code():
    written = [part for page in PAGES for part in marked.parts((ROOT / page).read_text(encoding="utf-8"))]
    tables = {name: content for kind, name, content in written if kind == "table"}
    assert tables == {name: fills.table(name) for name in fills.TABLES}, "run `python docs/site/outputs.py`"


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [("data.folder.columns", "datafoldercolumns"), ("external.[n]", "externaln"), ("Brier score", "brier-score")],
)
def test_headings_have_the_anchor_that_pages_of_repositories_give_them(heading, anchor):
    assert marked.anchor(heading) == anchor


def test_links_within_a_reference_lead_to_its_headings():
    for name in fills.TABLES:
        text = fills.table(name)
        headings = {marked.anchor(line.lstrip("# ")) for line in text.splitlines() if line.startswith("#")}
        assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings


@pytest.mark.parametrize("page", WITH_FIGURES)
def test_figures_are_those_of_the_files_that_they_name(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert "\n<!-- figure" not in text, f"{page}: a comment at the start of a line ends the paragraph"
    for kind, name, content in marked.parts(text):
        if kind == "figure":
            assert content == figures.figure(name), f"{page}: run `python docs/site/outputs.py`"


def test_outputs_are_what_the_commands_print():
    """The same words, and numbers to a thousandth: the last digits may differ between processors."""
    page = ROOT / "docs/tutorials/compare.md"
    documented, printed = (
        [(name, content) for kind, name, content in marked.parts(text) if kind == "output"]
        for text in (page.read_text(encoding="utf-8"), outputs.written(page))
    )
    assert len(documented) == len(printed) > 2
    for (name, old), (_, new) in zip(documented, printed, strict=True):
        assert _NUMBER.sub("#", old) == _NUMBER.sub("#", new), f"{name}: run `python docs/site/outputs.py`"
        for before, after in zip(_NUMBER.findall(old), _NUMBER.findall(new), strict=True):
            assert float(before.replace(",", "")) == pytest.approx(float(after.replace(",", "")), abs=0.002), name


def test_a_command_that_fails_is_no_output(tmp_path):
    with pytest.raises(SystemExit, match="exit code 2"):
        outputs._block("skinlesion compare absent.csv", tmp_path)


def test_a_figure_of_a_row_that_is_not_there_is_an_error():
    with pytest.raises(KeyError):
        figures.figure("docs/margins.md > no such metric > margin")
    assert figures.cell("| a | b |\n|---|---|\n| `x` | 14.5 % **!** [380] |\n", "x", "b") == "14.5%"


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_pictures_are_committed_and_shown(name):
    """Positions may differ in the last digits between versions of matplotlib; the words in them do not."""
    committed = (pictures.FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    words = re.compile(r"<text[^>]*>([^<]+)</text>")
    assert words.findall(committed) == words.findall(pictures.PICTURES[name]()), "run `python docs/site/pictures.py`"
    assert any(f"pictures/{name}.svg" in (ROOT / page).read_text(encoding="utf-8") for page in PAGES)


def test_the_start_page_has_the_readmes_answer():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    answer = fills.fill("answer")
    assert answer in readme
    assert "balanced accuracy" in answer
    assert "<!-- fill: answer -->" in (ROOT / "docs/index.md").read_text(encoding="utf-8")
