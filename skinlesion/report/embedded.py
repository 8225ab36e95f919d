"""Tables inside a page, as data: links: a page that is mailed has no dead link."""

import base64

import pandas as pd
from markupsafe import Markup, escape

from skinlesion.table_files import map_cells, without_formula


def embedded_csv(name: str, table: pd.DataFrame) -> Markup:
    """Return a link that holds a table as CSV, numbers as numbers, and saves it as NAME.csv.

    As in the files of reports/, text that a spreadsheet would run as a formula has an apostrophe before it.
    """
    text = map_cells(table, without_formula).to_csv(index=False, lineterminator="\n", float_format="%.9g")
    content = base64.b64encode(text.encode()).decode()
    file = escape(f"{name}.csv")
    return Markup(f'<a download="{file}" href="data:text/csv;base64,{content}">{file}</a>')
