"""Downloads from a faulty server end complete and verified, or with one line that names the reason."""

import hashlib
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from skinlesion.data import download as module
from skinlesion.data.download import CHECKSUMS_NAME, Remote, download
from skinlesion.data.fetch import fetch
from skinlesion.errors import UserError

CONTENT = b"PK" + bytes(range(256)) * 400  # 102,402 bytes that begin like a zip
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server:
    """The behaviour of the server, request by request, and the headers it received."""

    def __init__(self):
        self.content = CONTENT
        self.faults = []  # one per request, in order; then none
        self.ranges_known = True
        self.asked = []


@contextmanager
def serving(server):
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            server.asked.append(dict(self.headers))
            fault = server.faults.pop(0) if server.faults else None
            if callable(fault):
                fault(self)
                return
            if "skinlesion" not in (self.headers["User-Agent"] or ""):
                self.send_error(403)
                return
            self.whole(cut=fault)

        def whole(self, cut=None):
            """Answer correctly; `cut` breaks the connection after that many bytes."""
            content, start = server.content, 0
            byte_range = self.headers["Range"]
            if byte_range and server.ranges_known:
                start = int(byte_range.removeprefix("bytes=").removesuffix("-"))
                if start >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            rest = content[start:]
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest if cut is None else rest[:cut])

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/file"
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def answers(code, body=b"", **headers):
    def fault(handler):
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return fault


@pytest.fixture
def server():
    return Server()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def get(url, folder, **expected):
    expected = {"size": len(CONTENT), "md5": MD5, "magic": b"PK"} | expected
    waits = []
    path = download(Remote("file.zip", url, **expected), folder, pause=waits.append)
    return path, waits


def no_zip_file(folder):
    return not list(folder.glob("*.zip"))


def test_a_file_arrives_whole_and_is_not_fetched_twice(server, tmp_path):
    with serving(server) as url:
        path, waits = get(url, tmp_path)
        assert path.read_bytes() == CONTENT
        assert waits == []
        get(url, tmp_path)
    assert len(server.asked) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.zip"]


@pytest.mark.parametrize("cut", [0, 1, 2, 255, 50_000, len(CONTENT) - 1])
def test_a_download_broken_at_any_byte_goes_on_there(server, tmp_path, cut):
    server.faults = [cut]
    with serving(server) as url:
        path, waits = get(url, tmp_path)
    assert path.read_bytes() == CONTENT
    assert len(waits) == 1
    assert server.asked[1].get("Range") == (f"bytes={cut}-" if cut else None)


def test_a_next_call_goes_on_where_the_last_one_gave_up(server, tmp_path):
    server.faults = [1000, *[answers(503)] * 6]
    with serving(server) as url:
        with pytest.raises(UserError, match=r"503.*1,000 bytes are kept, the same command goes on"):
            get(url, tmp_path)
        assert no_zip_file(tmp_path)
        path, _ = get(url, tmp_path)
    assert path.read_bytes() == CONTENT
    assert server.asked[-1]["Range"] == "bytes=1000-"


def test_waits_grow_and_progress_resets_them(server, tmp_path):
    server.faults = [answers(503)] * 3 + [5000] + [answers(500)] * 2
    with serving(server) as url:
        _, waits = get(url, tmp_path)
    assert len(waits) == 6
    assert waits[0] < waits[2]
    assert waits[3] < waits[2]


def test_a_server_without_ranges_sends_everything_again(server, tmp_path):
    server.ranges_known, server.faults = False, [40_000]
    with serving(server) as url:
        path, _ = get(url, tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_range_that_was_not_requested_restarts_the_download(server, tmp_path):
    wrong = answers(206, CONTENT[10:], Content_Range=f"bytes 10-{len(CONTENT) - 1}/{len(CONTENT)}")
    server.faults = [40_000, wrong]
    with serving(server) as url:
        path, _ = get(url, tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_whole_part_file_only_needs_its_name(server, tmp_path):
    """Cut off between the last byte and the renaming; the size is not known beforehand."""
    (tmp_path / "file.zip.part").write_bytes(CONTENT)
    with serving(server) as url:
        path, _ = get(url, tmp_path, size=None)
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 1


def test_a_part_longer_than_the_file_is_dropped(server, tmp_path):
    for size in (None, len(CONTENT)):
        (tmp_path / "file.zip.part").write_bytes(CONTENT + b"more")
        with serving(server) as url:
            path, _ = get(url, tmp_path, size=size)
        assert path.read_bytes() == CONTENT
        path.unlink()


def test_wrong_bytes_are_fetched_again_and_then_refused(server, tmp_path):
    right, server.content = server.content, CONTENT[:-1] + b"!"
    with serving(server) as url:
        with pytest.raises(UserError, match=r"its md5 is .* not"):
            get(url, tmp_path)
        assert no_zip_file(tmp_path)
        assert len(server.asked) == 2
        server.content = right
        path, _ = get(url, tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_damaged_part_is_not_used_by_the_next_attempt(server, tmp_path):
    (tmp_path / "file.zip.part").write_bytes(b"PK" + b"garbage" * 100)
    with serving(server) as url:
        path, _ = get(url, tmp_path)
    assert path.read_bytes() == CONTENT


def test_short_files_are_refused(server, tmp_path):
    server.content = CONTENT[:500]  # a complete answer, but not the file
    with serving(server) as url, pytest.raises(UserError, match=r"500 bytes are kept|has 500 bytes, not 102,402"):
        get(url, tmp_path)
    assert no_zip_file(tmp_path)


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><title>Log in</title>", b"\n<html><head><title>Log in</title>"])
def test_a_web_page_saved_as_a_zip_is_named_as_such(server, tmp_path, page):
    server.faults = [answers(200, page)]
    with (
        serving(server) as url,
        pytest.raises(UserError, match=r"a web page titled 'Log in' came instead of file\.zip"),
    ):
        get(url, tmp_path, size=None, md5=None)
    assert no_zip_file(tmp_path)


def test_content_of_another_kind_is_refused(server, tmp_path):
    server.content = b"Rar!" + CONTENT
    with serving(server) as url, pytest.raises(UserError, match="does not begin like"):
        get(url, tmp_path, size=None, md5=None)


@pytest.mark.parametrize("code", [403, 404, 410])
def test_a_refusal_is_not_asked_again(server, tmp_path, code):
    server.faults = [answers(code)]
    with serving(server) as url, pytest.raises(UserError, match=str(code)):
        get(url, tmp_path)
    assert len(server.asked) == 1


def test_the_user_agent_is_our_own(server, tmp_path):
    """The server answers Python's own User-Agent with 403, as the Dataverse does."""
    with serving(server) as url:
        get(url, tmp_path)
    assert server.asked[0]["User-Agent"].startswith("skinlesion/")


def test_redirects_are_followed(server, tmp_path):
    with serving(server) as url:
        server.faults = [answers(303, Location=url)]
        path, _ = get(url, tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_silent_server_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    stop = threading.Event()
    server.faults = [lambda handler: stop.wait(5)] * 6
    with serving(server) as url:
        try:
            with pytest.raises(UserError, match="no connection"):
                get(url, tmp_path)
        finally:
            stop.set()


def test_without_a_published_checksum_the_first_one_holds(server, tmp_path):
    with serving(server) as url:
        path, _ = get(url, tmp_path, md5=None, size=None)
        assert (tmp_path / CHECKSUMS_NAME).exists()
        path.unlink()
        get(url, tmp_path, md5=None, size=None)
        path.unlink()
        server.content = CONTENT[::-1].replace(b"\x00", b"\x01")
        server.content = b"PK" + server.content
        with pytest.raises(UserError, match="its sha256 is"):
            get(url, tmp_path, md5=None, size=None)
    assert no_zip_file(tmp_path)


def test_a_file_that_lies_there_damaged_is_named_and_left_alone(server, tmp_path):
    (tmp_path / "file.zip").write_bytes(b"PK mine")
    with serving(server) as url, pytest.raises(UserError, match=r"file\.zip: has 7 bytes, not 102,402; delete it"):
        get(url, tmp_path)
    assert (tmp_path / "file.zip").read_bytes() == b"PK mine"
    assert server.asked == []


def test_auto_takes_the_mirror_when_the_first_origin_fails(tmp_path, capsys):
    urls = []

    def get_file(remote, folder):
        urls.append(remote.url)
        if "dataverse" in remote.url and "zip" in remote.name:
            raise UserError(f"{remote.url}: away")
        return folder / remote.name

    files = fetch("auto", tmp_path, masks=False, test_set=True, get=get_file)
    assert "ISIC2018_Task3_Training_Input.zip" in [path.name for path in files]
    assert "ISIC2018_Task3_Test_Input.zip" in [path.name for path in files]
    assert "CC BY-NC" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"dataverse: .*away"):
        fetch("dataverse", tmp_path, get=get_file)
    with pytest.raises(UserError, match="valid: dataverse, isic, auto"):
        fetch("kaggle", tmp_path, get=get_file)


def test_the_command_names_what_it_can_fetch(run, tmp_path, monkeypatch):
    from skinlesion.data import fetch as module

    outcome = run("fetch", "ham1000", cwd=tmp_path)
    assert outcome.code == 2
    assert "did you mean ham10000" in outcome.err
    monkeypatch.setattr(module, "fetch", lambda origin, out, **options: [out / origin, out / str(options)])
    outcome = run("fetch", "ham10000", "--from", "isic", "--masks", cwd=tmp_path)
    assert outcome.code == 0
    assert "2 files in data/raw/ham10000" in outcome.out


def test_prepare_fetches_what_is_not_there_and_goes_on_where_it_was_cut_off(tmp_path, run, monkeypatch):
    """The archive behind a server; the first attempt breaks within the second zip."""
    from tests.archive import records, write_archive
    from tests.conftest import small_params, write_params

    monkeypatch.delenv("SKINLESION_DATA", raising=False)
    web = write_archive(tmp_path / "web", records())
    names = ("HAM10000_metadata.csv", "HAM10000_images_part_1.zip", "HAM10000_images_part_2.zip")
    server, broken = Server(), Server()
    with serving(server) as url, serving(broken) as broken_url:

        def make_get_file(disconnect_after):
            def get_file(remote, folder):
                server.content = broken.content = (web / remote.name).read_bytes()
                broken.faults = [disconnect_after, *[answers(503)] * 10]
                address = broken_url if disconnect_after and remote.name == names[2] else url
                remote_file = Remote(
                    remote.name, address, len(server.content), md5=hashlib.md5(server.content).hexdigest()
                )
                return download(remote_file, folder, pause=lambda seconds: None)

            return get_file

        listed = [Remote(name, "") for name in names]
        monkeypatch.setattr("skinlesion.data.fetch.files_of", lambda origin, **more: listed)
        write_params(tmp_path, small_params(data={"source": "ham10000", "path": "raw"}))
        for disconnect_after, code in ((100, 2), (None, 0)):
            monkeypatch.setattr("skinlesion.data.fetch.fetch.__kwdefaults__", {
                "masks": False, "test_set": False, "get": make_get_file(disconnect_after)
            })  # fmt: skip
            outcome = run("prepare", cwd=tmp_path)
            assert outcome.code == code, outcome.err
            assert bool(list(tmp_path.rglob("*.part"))) == bool(disconnect_after)
    assert "no HAM10000 in raw: fetching it" in outcome.out
    assert (tmp_path / "data/prepared/prepared.json").exists()
    assert run("prepare", cwd=tmp_path).out.count("fetching") == 0


def test_without_a_network_the_line_comes_at_once(tmp_path, run, monkeypatch):
    import socket

    from tests.conftest import small_params, write_params

    def unresolvable(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    waits = []
    monkeypatch.delenv("SKINLESION_DATA", raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", unresolvable)
    monkeypatch.setattr(module.time, "sleep", waits.append)
    monkeypatch.setattr(download, "__kwdefaults__", {"pause": waits.append})
    write_params(tmp_path, small_params(data={"source": "ham10000", "path": "raw"}))
    outcome = run("prepare", cwd=tmp_path)
    assert outcome.code == 2
    assert outcome.err.strip().count("\n") == outcome.err.count("Fetching")  # besides progress, one line
    assert "Name or service not known" in outcome.err
    assert "SKINLESION_DATA" in outcome.err
    assert sum(waits) < 10
