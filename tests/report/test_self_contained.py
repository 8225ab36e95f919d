"""The report's pages as one file each: nothing is loaded from elsewhere, and no link leads to a file beside them."""

import base64
import io
import re
import shutil
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pandas as pd
import pytest

from skinlesion.report.embedded import embedded_csv

#: Attributes that name a resource or a place.
_LINKS = ("href", "src", "srcset", "action", "data", "poster", "xlink:href")


class _Links(HTMLParser):
    """All links of a page, its ids, its figures, and the content of its styles."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.svgs = self.named = 0
        self.styles: list[str] = []
        self._open = ""

    def handle_starttag(self, tag, attrs):
        values = {name: value or "" for name, value in attrs}
        self.links += [(tag, name, values[name]) for name in _LINKS if name in values]
        self.ids += [values["id"]] if "id" in values else []
        self.styles += [values["style"]] if "style" in values else []
        if tag == "svg":
            self.svgs += 1
            assert values["role"] == "img"
        if tag == "title" and self._open == "svg":
            self.named += 1
        self._open = tag

    def handle_data(self, data):
        if self._open == "style":
            self.styles.append(data)


def parsed(path) -> _Links:
    page = _Links()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    return page


@pytest.mark.parametrize("name", ["report.html", "subgroups.html"])
def test_a_page_loads_nothing_and_leads_to_no_file_beside_it(reported, name):
    page = parsed(reported / "reports" / name)
    assert page.links
    for tag, attribute, target in page.links:
        allowed = ("#", "data:", "https://github.com/") if (tag, attribute) == ("a", "href") else ("#", "data:")
        assert target.startswith(allowed), (tag, attribute, target[:80])
    assert {target[1:] for tag, _, target in page.links if tag == "a" and target.startswith("#")} <= set(page.ids)
    for style in page.styles:
        assert not re.search(r"@import|url\((?!['\"]?(?:#|data:))", style), style[:200]
    assert page.svgs == page.named > 1


def test_tables_are_inside_the_page_as_csv_with_numbers(reported):
    page = parsed(reported / "reports/report.html")
    csvs = [target for _, _, target in page.links if target.startswith("data:text/csv;base64,")]
    tables = [pd.read_csv(io.BytesIO(base64.b64decode(target.partition(",")[2]))) for target in csvs]
    systems = next(table for table in tables if "macro_f1_low" in table)
    assert systems["balanced_accuracy"].dtype == float
    exported = pd.read_csv(reported / "reports/results.csv")
    pd.testing.assert_frame_equal(systems, exported)


def test_a_table_inside_a_page_runs_no_formula_and_breaks_out_of_no_attribute():
    link = embedded_csv('a"<b>', pd.DataFrame({"x": ["=1+1"], "y": [0.5]}))
    assert "<b>" not in link
    content = base64.b64decode(re.search(r"base64,([^\"]+)", link)[1]).decode()
    assert content == "x,y\n'=1+1,0.5\n"


def test_figures_follow_the_page_s_colours_and_their_files_have_their_own(reported):
    page = (reported / "reports/report.html").read_text()
    figures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    for figure in figures:
        assert "var(--" in figure
        assert not re.search(r"#(?:000000|222222|ffffff)\b", figure)
    for path in (reported / "reports/figures").glob("*.svg"):
        text = path.read_text()
        assert "var(--" not in text
        ElementTree.fromstring(text)


@pytest.mark.parametrize(
    ("command", "page", "kept", "gone"),
    [
        ("report", "reports/report.html", "Where the models look", "Left: the photograph"),
        ("describe", "reports/dataset/dataset.html", "Localization", "holds photographs"),
        ("audit --page", "reports/audit/audit.html", "Near-duplicates under different", "These are photographs"),
    ],
)
def test_the_public_page_has_everything_but_photographs(reported, run, tmp_path, command, page, kept, gone):
    folder, command = tmp_path / "workspace", command.split()
    shutil.copytree(reported, folder)
    if command[0] == "audit":  # the phantom has no pair
        pairs = pd.read_csv(folder / "reports/audit/pairs.csv")
        ids = pd.read_csv(folder / "data/prepared/metadata.csv")["image_id"]
        row = {"kind": "near", "first": ids[0], "second": ids[1], "hash_distance": 1, "cosine": 0.99}
        pairs = pd.DataFrame([row]).reindex(columns=pairs.columns)
        pairs.to_csv(folder / "reports/audit/pairs.csv", index=False)
    for _ in range(2):  # its own page is replaced
        outcome = run(*command, "--public", "public.html", cwd=folder)
        assert outcome.code == 0, outcome.err
    own, public = parsed(folder / page), parsed(folder / "public.html")
    pictures = [target for _, _, target in own.links if target.startswith("data:image/")]
    assert pictures
    assert not [target for _, _, target in public.links if target.startswith("data:image/")]
    assert (public.ids, public.svgs) == (own.ids, own.svgs)
    text = (folder / "public.html").read_text()
    assert kept in text
    assert gone not in text
    assert gone in (folder / page).read_text()
    assert ">nan<" not in text
    (folder / "thesis.html").write_text("mine")
    for other in ("thesis.html", page):
        before = (folder / other).read_bytes()
        assert "was not written by this command" in run(*command, "--public", other, cwd=folder).err
        assert (folder / other).read_bytes() == before
