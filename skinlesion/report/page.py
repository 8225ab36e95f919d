"""The report's page: its head, contents, and sections in the order of `SECTIONS`."""

from dataclasses import dataclass

from skinlesion.evaluation.registry import title_of
from skinlesion.report import sections
from skinlesion.report.templates import render
from skinlesion.results.reader import Results


@dataclass(frozen=True)
class Page:
    """A page, and its figures: name → SVG."""

    html: str
    figures: dict[str, str]


def report_page(results: Results, *, public: bool = False) -> Page:
    """Return the report; `public` marks the one without photographs.

    Raises:
        UserError: a file of an earlier stage is missing.
    """
    page_sections = [section for make in sections.SECTIONS if (section := make(results)) is not None]
    html = render(
        "page.html.j2",
        public=public,
        title=results.params.report.title,
        synthetic=results.synthetic,
        margins={title_of(name): margin for name, margin in results.params.stats.margins.items()},
        confidence=results.params.stats.confidence,
        sections=page_sections,
    )
    return Page(html, {name: svg for section in page_sections for name, svg in section.figures.items()})
