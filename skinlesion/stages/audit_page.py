"""audit --page: the page of the audit, with or without photographs, from the tables that `audit` wrote."""

from collections.abc import Mapping
from pathlib import Path

from skinlesion.files import write_text
from skinlesion.params import Params
from skinlesion.report.audit_page import Pixels
from skinlesion.report.audit_page import audit_page as make_page
from skinlesion.report.public_page import check_public
from skinlesion.results.names import AUDIT_PAGE_NAME
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace
from skinlesion.vocabulary import CLASSES


def audit_page(params: Params, workspace: Workspace, public: Path | None = None) -> Path:
    """Write reports/audit/audit.html, apart from the audit: a change of the page's look computes nothing anew.

    Args:
        public: where the page without photographs is written as well.

    Raises:
        UserError: `audit` was not run, data that it compared are no longer prepared, or something else lies at
            `public`.
    """
    if public is not None:
        check_public(public, "audit")
    results = Results(params, workspace)
    external = {data.name: Results(params, workspace.outside(data.name)) for data in params.external}

    def page(pixels: Pixels | None, outside: Mapping[str, Pixels]) -> str:
        return make_page(
            params.report.title,
            results.prepared,
            results.audit,
            {"pairs": results.audited_pairs, "overlap": results.overlap, "shortcuts": results.shortcuts},
            pixels,
            outside,
            shown=params.audit.shown,
            chance=1 / len(CLASSES),
        )

    path = workspace.audit / AUDIT_PAGE_NAME
    write_text(path, page(results.photograph, {name: outside.photograph for name, outside in external.items()}))
    if public is not None:
        write_text(public, page(None, {}))
    return path
