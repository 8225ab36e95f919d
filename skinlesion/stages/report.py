"""report: the report's page, model cards, figures and the results table, from what the other stages wrote."""

import shutil
from pathlib import Path

from skinlesion.atomic import replacing
from skinlesion.errors import UserError
from skinlesion.evaluation.decision_rules import OBJECTIVES
from skinlesion.evaluation.figure_names import at_own_rule_name
from skinlesion.evaluation.registry import title_of
from skinlesion.files import write_csv, write_text
from skinlesion.numbers import figure
from skinlesion.params import Params
from skinlesion.reading import read_text
from skinlesion.report.effect_page import effect_answer, effect_page
from skinlesion.report.model_card import model_card
from skinlesion.report.page import report_page
from skinlesion.report.public_page import check_public
from skinlesion.report.subgroup_page import subgroup_page
from skinlesion.report.tables import describe, latex, markdown, results_numbers, results_table
from skinlesion.results.names import EFFECT_PAGE_NAME, HEADLINE_NAME, REPORT_PAGE_NAME, SUBGROUP_PAGE_NAME, TABLE_NAME
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


class _WithoutPhotographs(Results):
    """What the stages wrote but photographs, whose licence may forbid to publish them."""

    def map_pictures(self, name: str, kind: str) -> list[Path]:
        return []


def report(params: Params, workspace: Workspace, public: Path | None = None) -> Path:
    """Write report.html, subgroups.html, cards/, figures/, results.{md,csv,tex}, headline.md and effect/metadata.md.

    Args:
        public: where the page without photographs is written as well.

    Returns:
        The path of report.html.

    Raises:
        UserError: a file of an earlier stage is missing, or something else lies at `public`.
    """
    if public is not None:
        check_public(public, "report")
    results = Results(params, workspace)
    out = workspace.reports
    systems = results.systems()  # first: where nothing was evaluated, that is what to say
    page, subgroups = report_page(results), subgroup_page(results)
    without = None if public is None else report_page(_WithoutPhotographs(params, workspace), public=True)
    cards = {name: model_card(results, name) for name in params.experiments}
    table, described = results_table(systems), describe(systems, results.prepared)
    effect = effect_page(results)
    headline = _headline(results)

    # Only now that every page is made: a report that cannot be made leaves the old one whole.
    shutil.rmtree(workspace.figures, ignore_errors=True)
    for name, svg in page.figures.items():
        write_text(workspace.figures / f"{name}.svg", svg)
    shutil.rmtree(workspace.cards, ignore_errors=True)  # the cards of experiments that are no more
    for name, card in cards.items():
        write_text(workspace.cards / f"{name}.md", card)
    write_text(out / f"{TABLE_NAME}.md", markdown(table, described))
    write_text(out / f"{TABLE_NAME}.tex", latex(systems, described))
    write_csv(out / f"{TABLE_NAME}.csv", results_numbers(systems), float_format="%.9g")
    write_text(out / HEADLINE_NAME, headline)
    write_text(workspace.effect / EFFECT_PAGE_NAME, effect)
    write_text(out / SUBGROUP_PAGE_NAME, subgroups)
    write_text(out / REPORT_PAGE_NAME, page.html)
    if public is not None and without is not None:
        write_text(public, without.html)
    return out / REPORT_PAGE_NAME


def _headline(results: Results) -> str:
    """Return what a README shows: the answer of `effect` in two sentences, and a few systems' figures, at their own
    decision rules as well.
    """
    systems = [results.system(name) for name in results.params.report.headline or results.shown]
    at_own_rules = {
        title_of(name): [figure(results.assessment(system.name), name) for system in systems]
        for name in map(at_own_rule_name, OBJECTIVES)
    }
    table = markdown(results_table(systems).assign(**at_own_rules), describe(systems, results.prepared))
    sentences = effect_answer(results)[:2]
    return "\n\n".join([*sentences, table])


def write_readme_table(workspace: Workspace, readme: Path) -> None:
    """Put reports/headline.md between the markers in `readme`, and leave every other byte as it is.

    Raises:
        UserError: as `check_readme`.
    """
    before, after = check_readme(readme)
    table = read_text(workspace.reports / HEADLINE_NAME, "run `skinlesion report` first")
    with replacing(readme.resolve()) as temporary:  # what a link leads to
        temporary.write_bytes(before + f"{BEGIN}\n{table}{END}".encode() + after)


def check_readme(readme: Path) -> tuple[bytes, bytes]:
    """Return what stands before and after the markers in `readme`.

    Raises:
        UserError: it cannot be read, or the markers are not there, once each and in order.
    """
    remedy = f"give a Markdown file with the lines {BEGIN} and {END}"
    read_text(readme, remedy)
    text = readme.read_bytes()
    begin, end = BEGIN.encode(), END.encode()
    if begin not in text or end not in text:
        raise UserError(f"{readme}: the lines {BEGIN} and {END} are missing; add them where the table belongs")
    if text.count(begin) > 1 or text.count(end) > 1 or text.index(end) < text.index(begin):
        raise UserError(f"{readme}: {BEGIN} and {END} must stand there once each, in this order; correct them")
    return text.partition(begin)[0], text.partition(end)[2]
