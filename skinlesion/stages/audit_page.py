"""audit --page: the page of the audit, with photographs, from the tables that `audit` wrote."""

from pathlib import Path

from skinlesion.files import write_text
from skinlesion.params import Params
from skinlesion.report.audit_page import audit_page as make_page
from skinlesion.results.names import AUDIT_PAGE_NAME
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace
from skinlesion.vocabulary import CLASSES


def audit_page(params: Params, workspace: Workspace) -> Path:
    """Write reports/audit/audit.html, apart from the audit: a change of the page's look computes nothing anew.

    Raises:
        UserError: `audit` was not run, or data that it compared are no longer prepared.
    """
    results = Results(params, workspace)
    external = {data.name: Results(params, workspace.outside(data.name)) for data in params.external}
    page = make_page(
        params.report.title,
        results.prepared,
        results.audit,
        {"pairs": results.audited_pairs, "overlap": results.overlap, "shortcuts": results.shortcuts},
        results.photograph,
        {name: outside.photograph for name, outside in external.items()},
        shown=params.audit.shown,
        chance=1 / len(CLASSES),
    )
    path = workspace.audit / AUDIT_PAGE_NAME
    write_text(path, page)
    return path
