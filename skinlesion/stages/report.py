"""report: the report's page, model cards, figures and the results table, from what the other stages wrote."""

import shutil
from pathlib import Path

from skinlesion.errors import UserError
from skinlesion.files import read_text, write_csv, write_text
from skinlesion.params import Params
from skinlesion.report.effect_page import effect_page
from skinlesion.report.model_card import model_card
from skinlesion.report.page import report_page
from skinlesion.report.subgroup_page import subgroup_page
from skinlesion.report.tables import describe, latex, markdown, results_table
from skinlesion.results.names import EFFECT_PAGE_NAME, REPORT_PAGE_NAME, SUBGROUP_PAGE_NAME, TABLE_NAME
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


def report(params: Params, workspace: Workspace) -> Path:
    """Write report.html, subgroups.html, cards/, figures/, results.{md,csv,tex} and effect/metadata.md to reports/.

    Returns:
        The path of report.html.

    Raises:
        UserError: a file of an earlier stage is missing.
    """
    results = Results(params, workspace)
    out = workspace.reports
    systems = results.systems()  # first: where nothing was evaluated, that is what to say
    page, subgroups = report_page(results), subgroup_page(results)
    cards = {name: model_card(results, name) for name in params.experiments}
    table, described = results_table(systems), describe(systems, results.prepared)

    shutil.rmtree(workspace.figures, ignore_errors=True)
    for name, svg in page.figures.items():
        write_text(workspace.figures / f"{name}.svg", svg)
    shutil.rmtree(workspace.cards, ignore_errors=True)  # the cards of experiments that are no more
    for name, card in cards.items():
        write_text(workspace.cards / f"{name}.md", card)
    write_text(out / f"{TABLE_NAME}.md", markdown(table, described))
    write_text(out / f"{TABLE_NAME}.tex", latex(table, described))
    write_csv(out / f"{TABLE_NAME}.csv", table)
    write_text(workspace.effect / EFFECT_PAGE_NAME, effect_page(results))
    write_text(out / SUBGROUP_PAGE_NAME, subgroups)
    write_text(out / REPORT_PAGE_NAME, page.html)
    return out / REPORT_PAGE_NAME


def read_readme(readme: Path) -> str:
    """Return a text that has the markers of the results table.

    Raises:
        UserError: it cannot be read, or the markers are not there.
    """
    text = read_text(readme, f"give a file with the lines {BEGIN} and {END}")
    if BEGIN not in text or END not in text.partition(BEGIN)[2]:
        raise UserError(f"{readme}: the lines {BEGIN} and {END} are missing; add them where the table belongs")
    return text


def write_readme_table(workspace: Workspace, readme: Path) -> None:
    """Put reports/results.md between the markers in `readme`.

    Raises:
        UserError: the markers are not there.
    """
    text = read_readme(readme)
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    table = read_text(workspace.reports / f"{TABLE_NAME}.md", "run `skinlesion report` first")
    write_text(readme, f"{before}{BEGIN}\n{table}{END}{after}")
