"""The address of what is shown, `?page=Compare&experiment=a&other=b`: a link opens it, and back goes to the one before.

Choices are kept from page to page; only those that the page asks for stand in the address.
"""

from collections.abc import Sequence

import streamlit as st

#: What an address can hold; the key of a choice's widget is its name.
NAMES = ("page", "experiment", "other")

_CHOSEN, _SHOWN, _WRITTEN, _ARRIVED = "address_chosen", "address_shown", "address_written", "address_arrived"


def arrive() -> None:
    """Take the choices from the address where it is not the one that was written last: a link, or the back button."""
    query = {name: st.query_params[name] for name in NAMES if name in st.query_params}
    st.session_state[_ARRIVED] = query != st.session_state.get(_WRITTEN)
    if st.session_state[_ARRIVED]:
        st.session_state[_CHOSEN] = query
        for name in NAMES:
            st.session_state.pop(name, None)
    st.session_state[_SHOWN] = {}


def arrived() -> bool:
    """Return whether what is shown was asked for by the address."""
    return bool(st.session_state[_ARRIVED])


def prepare(name: str, options: Sequence[str], default: str) -> None:
    """Set the widget of a choice to what was chosen before, or to its default; say where that is not to be had."""
    wanted = st.session_state.get(name, st.session_state[_CHOSEN].get(name, default))
    matching = {option.casefold(): option for option in options}
    if wanted not in options and wanted.casefold() not in matching and name in st.query_params:
        st.info(f"{wanted[:80]}: not to be shown here; {default} is shown.")
    st.session_state[name] = wanted if wanted in options else matching.get(wanted.casefold(), default)


def keep(name: str, value: str) -> None:
    """Keep a choice for other pages, and put it into the address."""
    st.session_state[_SHOWN][name] = value
    st.session_state[_CHOSEN][name] = value


def drop(name: str) -> None:
    """Keep that nothing was chosen, and leave the choice out of the address."""
    st.session_state[_SHOWN].pop(name, None)
    st.session_state[_CHOSEN].pop(name, None)


def leave(first_page: str) -> None:
    """Write the address of what is shown; a bare address stays so while the first page is shown."""
    shown = dict(st.session_state[_SHOWN])
    if shown == {"page": first_page} and not st.query_params.to_dict():
        shown = {}
    if st.query_params.to_dict() != shown:
        st.query_params.from_dict(shown)
    st.session_state[_WRITTEN] = shown


def select(name: str, label: str, options: Sequence[str], default: str) -> str:
    """Show a list whose choice stands in the address, and return the choice."""
    prepare(name, options, default)
    value: str = st.selectbox(label, list(options), key=name)
    keep(name, value)
    return value
