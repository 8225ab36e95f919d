"""The dashboard and the report in a real browser, at two widths; $SKINLESION_SCREENSHOTS keeps pictures of them."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.dashboard.conftest import PAGES

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
    pytest.mark.filterwarnings("ignore"),
]
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def workspace(finished):
    """The workspace to show: $SKINLESION_WORKSPACE, or a small one of the tests."""
    path = os.environ.get("SKINLESION_WORKSPACE")
    return Path(path).resolve() if path else finished


@pytest.fixture(scope="module")
def address(workspace):
    """The dashboard as its command starts it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "skinlesion", "dashboard", "--port", str(port)]
    server = subprocess.Popen(command, cwd=workspace, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    for _ in range(120):
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1)
            break
        except OSError:
            time.sleep(0.5)
    yield url
    server.terminate()
    server.wait()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        instance = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield instance
        instance.close()


def wait_until_loaded(page):
    page.wait_for_selector("[data-testid=stAppViewContainer]", timeout=60_000)
    page.wait_for_function("document.querySelectorAll('[data-testid=stStatusWidget]').length === 0", timeout=120_000)
    page.wait_for_timeout(1500)


def save_screenshot(page, name):
    folder = os.environ.get("SKINLESION_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def open_page(browser, address, width, name):
    page = browser.new_page(viewport={"width": WIDTHS[width][0], "height": WIDTHS[width][1]})
    page.goto(address)
    wait_until_loaded(page)
    if width == "phone":
        page.get_by_test_id("stExpandSidebarButton").click()
        page.wait_for_timeout(500)
    page.get_by_test_id("stSidebar").get_by_text(name, exact=True).click()
    if width == "phone":
        page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()
    wait_until_loaded(page)
    return page


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_without_an_error(browser, address, width, name):
    page = open_page(browser, address, width, name)
    assert page.get_by_test_id("stException").count() == 0
    assert page.get_by_text("not for diagnosis").count() == 1
    assert page.get_by_role("heading", name=name).count() >= 1
    save_screenshot(page, f"dashboard-{name.lower()}-{width}")
    page.close()


def test_the_back_button_shows_the_page_before(browser, address):
    page = open_page(browser, address, "desktop", "Training")
    page.get_by_test_id("stSidebar").get_by_text("Performance", exact=True).click()
    wait_until_loaded(page)
    assert "page=Performance" in page.url
    page.go_back()
    wait_until_loaded(page)
    assert "page=Training" in page.url
    assert page.get_by_role("heading", name="Training").count() >= 1
    assert page.get_by_text("Deploy", exact=True).count() == 0
    page.close()


def test_an_upload_gives_a_prediction(browser, address, workspace, tmp_path):
    Image.fromarray(np.load(workspace / "data/prepared/images.npy", mmap_mode="r")[0]).save(tmp_path / "one.png")
    page = open_page(browser, address, "desktop", "Predict")
    page.locator("input[type=file]").set_input_files(str(tmp_path / "one.png"))
    page.get_by_text("Malignant (akiec, bcc, mel)").wait_for(timeout=120_000)
    wait_until_loaded(page)
    assert page.get_by_test_id("stException").count() == 0
    save_screenshot(page, "dashboard-prediction-desktop")
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_report_opens_from_disk_without_a_console_error_or_a_broken_link(browser, workspace, width, scheme):
    report = workspace / "reports/report.html"
    if not report.exists():
        pytest.skip("no report in this workspace; set SKINLESION_WORKSPACE")
    page = browser.new_page(viewport={"width": WIDTHS[width][0], "height": WIDTHS[width][1]}, color_scheme=scheme)
    errors = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(report.as_uri())
    assert errors == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")
    links = page.eval_on_selector_all("a[href]", "nodes => nodes.map(node => node.getAttribute('href'))")
    local = [link for link in links if not link.startswith(("http", "#"))]
    assert [link for link in local if not (report.parent / link).exists()] == []
    save_screenshot(page, f"report-{width}-{scheme}")
    page.close()


def test_the_report_prints_on_a4_with_every_column(browser, workspace, tmp_path):
    report = workspace / "reports/report.html"
    if not report.exists():
        pytest.skip("no report in this workspace; set SKINLESION_WORKSPACE")
    portrait, landscape = 703, 1032  # pixels of the printed area: A4 less 12 mm on both sides, at 96 a inch
    page = browser.new_page(viewport={"width": portrait, "height": 1000})
    page.emulate_media(media="print")
    page.goto(report.as_uri())
    widths = page.eval_on_selector_all(
        "table", "nodes => nodes.map(node => [node.scrollWidth, node.closest('.wide') !== null])"
    )
    assert len(widths) > 5
    assert [table for table in widths if table[0] > (landscape if table[1] else portrait)] == []
    page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    save_screenshot(page, "report-print")
    page.close()
