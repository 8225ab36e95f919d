"""Servers with malformed answers: one line with the reason, and nothing that could be taken for the file."""

import hashlib
import os
import socket
import threading
import urllib.request
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinlesion.data import download as module
from skinlesion.data.download import CHECKSUMS_NAME, Remote, download
from skinlesion.errors import UserError, one_line
from skinlesion.models import pretrained
from tests.data.test_download import CONTENT, MD5, Server, answers, serving
from tests.faults.harness import LONGEST_LINE, cases, check_refused, snapshot
from tests.faults.test_disk import largest_file


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(module, "_PATIENCE", 0.5)


@contextmanager
def answering(*parts):
    """Serve the bytes `parts`, one per connection and the last ever after; the connection is closed after each."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    stop = threading.Event()

    def serve():
        number = 0
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                continue
            with connection:
                connection.settimeout(1)
                try:
                    connection.recv(65536)
                    connection.sendall(parts[min(number, len(parts) - 1)])
                except OSError:
                    pass
            number += 1

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/file"
    finally:
        stop.set()
        thread.join()
        listener.close()


def get(url, folder, **known):
    known = {"size": len(CONTENT), "md5": MD5, "magic": b"PK"} | known
    return download(Remote("file.zip", url, **known), folder, pause=lambda seconds: None)


def refused(url, folder, **known):
    """Return the line that a download ends in, after checking that nothing stands under the file's name."""
    with pytest.raises(UserError) as raised:
        get(url, folder, **known)
    line = one_line(raised.value)
    assert line.isprintable()
    assert len(line) <= LONGEST_LINE
    assert set(snapshot(folder)) <= {"file.zip.part", CHECKSUMS_NAME}
    return line


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (b"", "no connection"),
        (b"\x00\xff\x1b[31m" * 50, "no connection"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no connection"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "no connection"),
        (b"HTTP/9.9 200 OK\r\n\r\n", "no connection"),
        (b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n", "no connection"),
        (OK + b"X: y\r\n" * 500 + b"\r\n", "no connection"),
        (OK + b"X" * 100_000, "no connection"),
        (OK + b"Content-Length: abc\r\n\r\n" + CONTENT, "a length of 'abc'"),
        (OK + b"Content-Length: -5\r\n\r\n" + CONTENT, "a length of '-5'"),
        (OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n" + CONTENT, "a length of '999"),
        (OK + b"Content-Length: 99999999999\r\n\r\n" + CONTENT, "more than the 102,402"),
        (OK + b"Content-Length: 102402\r\n\r\nPK", "the same command goes on from there"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nPK", "the connection broke"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nPK", ""),
        (OK + b"\r\n" + CONTENT + b"more", "more than the 102,402"),
        (b"HTTP/1.1 206 Partial\r\nContent-Range: bytes x-y/z\r\n\r\n" + CONTENT, "another byte range"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n", "malformed"),
        (b"HTTP/1.1 302 Found\r\nLocation: ftp://x/file\r\n\r\n", "not followed"),
        (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n", "302"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:99999/\r\n\r\n", ""),
        (b"HTTP/1.1 302 Found\r\nLocation: /file\r\n\r\n", "302"),
        (b"HTTP/1.1 302 Found\r\n\r\n", "302"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://" + b"a" * 300 + b".example/\r\n\r\n", ""),
        (b"HTTP/1.1 302 Found\r\nLocation: http:///nowhere\r\n\r\n", ""),
        (b"HTTP/1.1 404 " + b"\x1b[31mno\x07" * 90 + b"\r\n\r\n", "404"),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_answer(tmp_path, answer, part):
    with answering(answer) as url:
        assert part in refused(url, tmp_path)


@pytest.mark.parametrize(
    "url",
    ["http://[::1", "http://", "http://127.0.0.1:port/x", "nonsense", "http://a b/", "gopher://x/", "http://\x00/"],
)
def test_an_odd_address(tmp_path, url):
    refused(url, tmp_path)


def test_a_redirect_from_https_to_http_is_refused():
    handler = module._CarefulRedirects()
    request = urllib.request.Request("https://example.org/file")
    with pytest.raises(module._Final, match="not encrypted"):
        handler.redirect_request(request, None, 302, "Found", {}, "http://example.org/file")
    assert handler.redirect_request(request, None, 302, "Found", {}, "https://example.org/other") is not None
    plain = urllib.request.Request("http://127.0.0.1/file")
    assert handler.redirect_request(plain, None, 302, "Found", {}, "http://127.0.0.1/other") is not None


@pytest.mark.parametrize("known", [{}, {"size": None}])
def test_an_endless_stream_stops_at_the_known_size(tmp_path, monkeypatch, known):
    monkeypatch.setattr(module, "_MOST_BYTES", 200_000)
    with answering(OK + b"\r\n" + b"PK" + bytes(2_000_000)) as url:
        assert "more than the" in refused(url, tmp_path, **known)
    assert snapshot(tmp_path) == {}


def test_a_connection_that_is_reset_goes_on(tmp_path):
    head = OK + f"Content-Length: {len(CONTENT)}\r\n\r\n".encode()
    rest = f"HTTP/1.1 206 Partial\r\nContent-Range: bytes 1000-{len(CONTENT) - 1}/{len(CONTENT)}\r\n\r\n".encode()
    with answering(head + CONTENT[:1000], b"", b"\xff", rest + CONTENT[1000:]) as url:
        assert get(url, tmp_path).read_bytes() == CONTENT
    assert set(snapshot(tmp_path)) == {"file.zip"}


@pytest.mark.parametrize("text", ["[]", "null", "3", '{"file.zip": 3}', '{"file.zip": ["a"]}', "{", "\udcff"])
def test_a_checksum_file_of_another_shape(tmp_path, text):
    (tmp_path / CHECKSUMS_NAME).write_bytes(text.encode(errors="surrogateescape"))
    server = Server()
    with serving(server) as url:
        assert CHECKSUMS_NAME in refused(url, tmp_path, md5=None, size=None)


@pytest.mark.parametrize("name", ["file.zip", "file.zip.part"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "loop"])
def test_what_stands_in_the_way_is_named(tmp_path, name, kind):
    path = tmp_path / name
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "loop": lambda: path.symlink_to(name)}[kind]()
    server = Server()
    with serving(server) as url, pytest.raises(UserError, match=name):
        get(url, tmp_path, size=None)
    assert server.asked == []


def test_a_full_disk_is_no_failure_of_the_connection(tmp_path):
    server, waits = Server(), []
    remote = Remote("file.zip", "", len(CONTENT), md5=MD5)
    with serving(server) as url:
        with largest_file(50_000), pytest.raises(UserError, match=r"File too large; .* the same command goes on"):
            download(Remote(**(vars(remote) | {"url": url})), tmp_path, pause=waits.append)
        assert waits == []
        assert get(url, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("answer", [b"", b"\x00\xff" * 99, b"HTTP/1.1 abc\r\n\r\n", OK + b"X: y\r\n" * 500])
def test_a_model_hub_with_malformed_answers_is_reported_as_not_reached(answer):
    with answering(answer) as url:
        assert pretrained._answers(url) is False


@pytest.mark.parametrize("error", [ValueError("bad\nlength"), RuntimeError(""), KeyError("etag"), OSError(5, "x")])
def test_whatever_the_hubs_client_raises_is_one_line(monkeypatch, error):
    import huggingface_hub
    from huggingface_hub import constants

    class Config:
        hf_hub_id = "timm/nothing"

    def broken(*args, **kwargs):
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", broken)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(pretrained, "_answers", lambda endpoint: True)
    with pytest.raises(UserError, match="fetching resnet18 failed"):
        pretrained.hub_file("resnet18", Config())


def test_the_command_ends_in_one_line(tmp_path, run, monkeypatch):
    with answering(b"\xff\x1b[31m") as url:
        remote = Remote("file.zip", url, 5)
        monkeypatch.setattr("skinlesion.data.fetch.files_of", lambda origin, **more: [remote])
        monkeypatch.setattr(download, "__kwdefaults__", {"pause": lambda seconds: None})
        check_refused(run("fetch", "ham10000", "--out", "raw", cwd=tmp_path), "dataverse", "isic")


LINES = st.sampled_from(
    [b"Content-Length: 5", b"Content-Length: 102402", b"Content-Length:", b"Transfer-Encoding: chunked",
     b"Content-Range: bytes 0-1/2", b"Content-Encoding: gzip", b"Location: //", b"Location: http://[", b"\xff: \x00",
     b"no colon", b" folded", b"Connection: keep-alive", b"Content-Type: \x1b[2J"]
)  # fmt: skip
STATUS = st.sampled_from([b"200", b"206", b"204", b"100", b"302", b"308", b"416", b"503", b"999", b"0", b"-1", b"2 0"])
BODY = st.one_of(st.binary(max_size=200), st.just(CONTENT), st.just(CONTENT[:500]), st.just(CONTENT + b"x"))


def _answers_of_any_kind(examples):
    @cases(examples)
    @given(status=STATUS, lines=st.lists(LINES, max_size=4), body=BODY, cut=st.floats(0, 1), whole=st.booleans())
    def test(tmp_path_factory, status, lines, body, cut, whole):
        answer = b"HTTP/1.1 " + status + b" x\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body
        folder = tmp_path_factory.mktemp("answer")
        with answering(answer if whole else answer[: int(cut * len(answer))]) as url:
            try:
                path = get(url, folder)
            except UserError:
                assert set(snapshot(folder)) <= {"file.zip.part"}
            else:
                assert hashlib.md5(path.read_bytes()).hexdigest() == MD5
                assert set(snapshot(folder)) == {"file.zip"}

    return test


test_an_answer_of_any_kind = _answers_of_any_kind(15)
test_many_answers_of_any_kind = pytest.mark.slow(_answers_of_any_kind(1000))


def test_a_server_that_answers_wrongly_and_then_rightly(tmp_path):
    server = Server()
    server.faults = [answers(503), answers(200, b"", Content_Length="0")]
    with serving(server) as url:
        assert get(url, tmp_path).read_bytes() == CONTENT
