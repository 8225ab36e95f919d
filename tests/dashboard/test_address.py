"""Links with state: an address opens what it names, and going back shows what the address before named."""

import pytest

from tests.dashboard.conftest import at, texts

pytest.importorskip("streamlit.testing.v1", reason="the extra `dashboard` is not installed")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def address(shown):
    """Return the address as one value each: AppTest gives what a page wrote back as lists."""
    return {name: value[0] if isinstance(value, list) else value for name, value in dict(shown.query_params).items()}


def test_a_link_opens_its_page_and_experiment(app):
    shown = app(page="compare", experiment="both", other="image")
    assert shown.header[0].value == "Compare"
    assert (shown.selectbox(key="experiment").value, shown.selectbox(key="other").value) == ("both", "image")


def test_a_choice_stands_in_the_address_and_is_kept_from_page_to_page(app):
    shown = at(app(), "Performance")
    shown.selectbox(key="experiment").set_value("both").run()
    assert address(shown) == {"page": "Performance", "experiment": "both"}
    shown = at(at(shown, "Data"), "Compare")
    assert shown.selectbox(key="experiment").value == "both"


def test_the_bare_address_stays_so_on_the_first_page(app):
    assert address(app()) == {}


def test_going_back_shows_what_the_address_before_named(app):
    """The browser runs the page again with the address before, and the widgets as they are."""
    shown = at(app(page="Performance", experiment="concat"), "Training")
    assert address(shown)["page"] == "Training"
    shown.query_params["page"] = "Performance"
    shown.query_params["experiment"] = "both"
    shown.run()
    assert shown.header[0].value == "Performance"
    assert shown.sidebar.radio(key="page").value == "Performance"
    assert shown.selectbox(key="experiment").value == "both"


def test_a_link_to_predict_chooses_the_model(app):
    shown = app(page="Predict", experiment="concat")
    assert shown.selectbox(key="predict_name").value == "concat"


def test_what_an_address_names_and_is_not_here_is_said(app):
    shown = app(page="Performance", experiment="nobody")
    assert not shown.exception
    assert "nobody: not to be shown here" in texts(shown)
    assert app(page="<b>").header[0].value == "Overview"
