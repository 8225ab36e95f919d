"""The dashboard: opens the workspace, shows the chosen page, and on each page the notice that this is research.

Started by `skinlesion dashboard`; by hand: streamlit run skinlesion/dashboard/app.py -- path/to/params.yaml
"""

import sys
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from skinlesion.dashboard import (
    address,
    compare,
    data,
    metadata,
    overview,
    performance,
    predict,
    retest,
    score,
    training,
)
from skinlesion.dashboard.shared import open_results, say_missing
from skinlesion.errors import UserError
from skinlesion.results.reader import Results

PAGES: dict[str, Callable[[Results], None]] = {
    "Overview": overview.show,
    "Data": data.show,
    "Training": training.show,
    "Performance": performance.show,
    "Compare": compare.show,
    "Metadata": metadata.show,
    "Retest": retest.show,
    "Score": score.show,
    "Predict": predict.show,
}

_FIRST = next(iter(PAGES))

#: What stands on every page, once.
NOTICE = "Research software, not for diagnosis. It is not a medical device; no figure here is about a patient."


def main() -> None:
    """Draw the page that was chosen."""
    st.set_page_config(page_title="skinlesion", layout="wide")
    st.warning(NOTICE, icon="⚠️")
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "params.yaml")
    try:
        results = open_results(path)
    except UserError as error:
        st.error(str(error))
        return
    address.arrive()
    with st.sidebar:
        address.prepare("page", list(PAGES), _FIRST)
        page = str(st.radio("Page", list(PAGES), key="page"))
        address.keep("page", page)
        st.caption(results.params.report.title)
    try:
        if results.synthetic:
            st.error("SYNTHETIC DATA: drawn by code. They show that the pipeline works, and nothing else.")
        PAGES[page](results)
    except UserError as error:  # a stage that was not run yet: its message says which
        say_missing(results, error)
    address.leave(_FIRST)


main()
