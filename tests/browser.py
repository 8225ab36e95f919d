"""What `make pages` runs: pages in Chromium (Qt WebEngine), each away from the folder it was written in, at two widths.

python tests/browser.py build/wheel/page.html examples/phantom/reports/report.html build/site

A page is copied alone, a folder as a whole. It may ask for nothing outside what was copied, write no error to the
console, lead nowhere that is not there, and be no wider than the window.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from urllib.parse import unquote, urlsplit

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["QT_QUICK_BACKEND"] = "software"
os.environ["QTWEBENGINE_DISABLE_SANDBOX"] = "1"
os.environ["QTWEBENGINE_CHROMIUM_FLAGS"] = "--no-sandbox --disable-gpu"

_WRONG = 3  # exit status of the self-test where a browser opens the pages, and sees other problems than there are

if __name__ == "__main__" and sys.argv[1:] != ["--self-test"]:
    # A machine without the libraries or rights that a browser needs opens nothing; it is not what is tested here.
    probe = subprocess.run([sys.executable, __file__, "--self-test"], capture_output=True, text=True, check=False)
    if probe.returncode == _WRONG:
        sys.exit(f"the checks do not see what they should: {probe.stdout.strip()}")
    if probe.returncode:
        print(f"no browser works on this machine, no page was opened: {probe.stderr.strip().splitlines()[-1:]}")
        sys.exit(0)

from PySide6.QtCore import QEvent, QEventLoop, QTimer, QUrl  # type: ignore[import-not-found]  # noqa: E402
from PySide6.QtWebEngineCore import QWebEnginePage, QWebEngineProfile  # type: ignore[import-not-found]  # noqa: E402
from PySide6.QtWebEngineWidgets import QWebEngineView  # type: ignore[import-not-found]  # noqa: E402
from PySide6.QtWidgets import QApplication  # type: ignore[import-not-found]  # noqa: E402

WIDTHS = (1280, 390)
_WAIT = 60_000  # milliseconds that a page may take
_SETTLE = 500  # for scripts that run after loading

_FACTS = """JSON.stringify({
  links: [...document.querySelectorAll("a[href], area[href]")].map(link => link.href),
  here: document.location.href.split("#")[0],
  anchors: [...document.querySelectorAll("[id], a[name]")].map(element => element.id || element.name),
  width: document.documentElement.scrollWidth,
  window: window.innerWidth,
  title: document.title,
  parts: [...document.querySelectorAll("img, script, iframe, source, link[rel~=stylesheet], link[rel~=icon]")]
    .map(element => element.src || element.href || ""),
})"""


class _Page(QWebEnginePage):  # type: ignore[misc]
    """A page that keeps the errors of its console."""

    def __init__(self, profile: QWebEngineProfile) -> None:
        super().__init__(profile)
        self.errors: list[str] = []

    def javaScriptConsoleMessage(self, level, message, line, source) -> None:  # type: ignore[no-untyped-def]
        if level == QWebEnginePage.JavaScriptConsoleMessageLevel.ErrorMessageLevel:
            self.errors.append(f"{message} ({source}:{line})")


def problems_of(path: Path, root: Path, width: int, profile: QWebEngineProfile) -> list[str]:
    """Return what is wrong with a page below `root`, at a window's width in pixels."""
    page, view = _Page(profile), QWebEngineView()
    view.setPage(page)
    view.resize(width, 900)
    view.show()
    loaded: list[bool] = []
    _wait(
        lambda end: page.loadFinished.connect(lambda good: (loaded.append(good), end())), lambda: page.load(_url(path))
    )
    if loaded != [True]:
        return ["does not load"]
    _wait(lambda end: QTimer.singleShot(_SETTLE, end))
    answers: list[str] = []
    _wait(lambda end: page.runJavaScript(_FACTS, 0, lambda text: (answers.append(text), end())))
    facts = json.loads(answers[0])
    problems = [f"console: {message}" for message in page.errors]
    problems += [f"asks for {url}" for url in facts["parts"] if urlsplit(url).scheme in ("http", "https")]
    problems += [f"dead link: {link}" for link in dict.fromkeys(facts["links"]) if _is_dead(link, facts, root)]
    if facts["width"] > facts["window"] + 1:
        problems.append(f"is {facts['width']} pixels wide in a window of {facts['window']}")
    if not facts["title"]:
        problems.append("has no title")
    view.close()
    view.deleteLater()
    page.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    return problems


def _is_dead(link: str, facts: dict, root: Path) -> bool:
    """Return whether a link leads to a file that is not there, or to no place of the page; others are not followed."""
    address, _, anchor = link.partition("#")
    if address == facts["here"]:
        return bool(anchor) and unquote(anchor) not in facts["anchors"]
    if not address.startswith("file:"):
        return False
    target = Path(unquote(urlsplit(address).path))
    return not target.exists() or root not in target.resolve().parents


def _self_test(profile: QWebEngineProfile) -> int:
    """Return 0 if a good page opens, and all that is wrong with a bad one is noticed."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        good, bad = root / "good.html", root / "bad.html"
        good.write_text("<title>t</title><a href='bad.html'>b</a><a href='#p'>p</a><p id='p'>p</p>", encoding="utf-8")
        bad.write_text(
            "<a href='#no'>a</a><a href='no.html'>b</a><p style='width: 2000px'>c</p><img src='http://localhost/d.png'>"
            "<script>console.error('e')</script>",
            encoding="utf-8",
        )
        problems = problems_of(good, root, 1280, profile), problems_of(bad, root, 1280, profile)
    print(problems)
    return 0 if (len(problems[0]), len(problems[1])) == (0, 6) else _WRONG


def _url(path: Path) -> QUrl:
    return QUrl.fromLocalFile(str(path))


def _wait(begin, then=None) -> None:  # type: ignore[no-untyped-def]
    """Run the event loop until the function that `begin` is given has been called, or time is up."""
    loop = QEventLoop()
    begin(loop.quit)
    if then is not None:
        then()
    timer = QTimer(singleShot=True)
    timer.timeout.connect(loop.quit)
    timer.start(_WAIT)
    loop.exec()


def main(arguments: list[str]) -> int:
    application = QApplication(arguments)
    profile = QWebEngineProfile()
    failures = 0
    if arguments[1:] == ["--self-test"]:
        try:
            return _self_test(profile)
        except Exception:
            traceback.print_exc(file=sys.stdout)
            return _WRONG
    for argument in arguments[1:]:
        given = Path(argument)
        with tempfile.TemporaryDirectory() as name:
            root = Path(name).resolve()
            if given.is_dir():
                shutil.copytree(given, root / "site")
                # 404.html is shown in the place of any address, by a server alone: its links begin at the root.
                pages = sorted(page for page in (root / "site").rglob("*.html") if page.name != "404.html")
            else:
                pages = [Path(shutil.copy(given, root))]
            for path in pages:
                for width in WIDTHS:
                    for problem in problems_of(path, root, width, profile):
                        print(f"{given}: {path.relative_to(root)} at {width} px: {problem}", flush=True)
                        failures += 1
            print(f"{given}: {len(pages)} opened at {' and '.join(map(str, WIDTHS))} px", flush=True)
    application.quit()
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
