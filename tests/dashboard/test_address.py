"""Links with state: an address opens what it names, and going back shows what the address before named."""

import pytest

from tests.dashboard.conftest import at, texts

pytest.importorskip("streamlit.testing.v1", reason="the extra `dashboard` is not installed")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def address(dashboard):
    """Return the address as one value each: AppTest gives what a page wrote back as lists."""
    return {
        name: value[0] if isinstance(value, list) else value for name, value in dict(dashboard.query_params).items()
    }


def test_a_link_opens_its_page_and_experiment(app):
    dashboard = app(page="compare", experiment="both", other="image")
    assert dashboard.header[0].value == "Compare"
    assert (dashboard.selectbox(key="experiment").value, dashboard.selectbox(key="other").value) == ("both", "image")


def test_a_choice_is_in_the_address_and_is_kept_from_page_to_page(app):
    dashboard = at(app(), "Performance")
    dashboard.selectbox(key="experiment").set_value("both").run()
    assert address(dashboard) == {"page": "Performance", "experiment": "both"}
    dashboard = at(at(dashboard, "Data"), "Compare")
    assert dashboard.selectbox(key="experiment").value == "both"


def test_the_address_of_the_first_page_stays_empty(app):
    assert address(app()) == {}


def test_going_back_shows_what_the_address_before_named(app):
    """The browser runs the page again with the address before, and the widgets as they are."""
    dashboard = at(app(page="Performance", experiment="concat"), "Training")
    assert address(dashboard)["page"] == "Training"
    dashboard.query_params["page"] = "Performance"
    dashboard.query_params["experiment"] = "both"
    dashboard.run()
    assert dashboard.header[0].value == "Performance"
    assert dashboard.sidebar.radio(key="page").value == "Performance"
    assert dashboard.selectbox(key="experiment").value == "both"


def test_a_link_to_predict_chooses_the_model(app):
    dashboard = app(page="Predict", experiment="concat")
    assert dashboard.selectbox(key="predict_name").value == "concat"


def test_an_address_with_an_unknown_experiment_is_reported(app):
    dashboard = app(page="Performance", experiment="nobody")
    assert not dashboard.exception
    assert "nobody: not to be shown here" in texts(dashboard)
    assert app(page="<b>").header[0].value == "Overview"
