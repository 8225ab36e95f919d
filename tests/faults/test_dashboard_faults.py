"""The dashboard's server: pages of other sites get no connection, uploads keep their limit, and stopping it ends it."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from tests.conftest import small_params, write_params

pytest.importorskip("streamlit", reason="the extra `dashboard` is not installed")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def started(folder, port):
    command = [sys.executable, "-m", "skinlesion", "dashboard", "--port", str(port)]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).close()
            return process
        except OSError:
            assert process.poll() is None
            time.sleep(0.1)
    raise AssertionError("the dashboard does not answer")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Return the port of a running dashboard, and its process."""
    folder = tmp_path_factory.mktemp("dashboard")
    write_params(folder, small_params())
    port = free_port()
    process = started(folder, port)
    yield port, process
    process.kill()
    process.wait()


def request_status(port, path, headers, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


def websocket(port, host, origin):
    headers = {
        "Host": host, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    return request_status(port, "/_stcore/stream", headers | ({"Origin": origin} if origin else {}))


def test_the_dashboards_own_page_gets_its_connection(server):
    port, _ = server
    host = f"127.0.0.1:{port}"
    assert websocket(port, host, f"http://{host}") == 101


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example:{port}", "http://evil.example:{port}"),  # a name that its owner lets lead to 127.0.0.1
        ("evil.example", None),
        ("127.0.0.1:{port}", "http://evil.example:{port}"),
        ("127.0.0.1.evil.example:{port}", "http://127.0.0.1.evil.example:{port}"),
        ("127.0.0.1:{port}", "null"),
    ],
)
def test_a_page_of_another_site_gets_none(server, host, origin):
    port, _ = server
    status = websocket(port, host.format(port=port), origin and origin.format(port=port))
    assert status != 101


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_nothing_is_uploaded_without_the_pages_token(server, method):
    port, _ = server
    assert (
        request_status(port, "/_stcore/upload_file/a/b", {"Host": f"127.0.0.1:{port}", "Content-Length": "0"}, method)
        >= 400
    )


def test_it_listens_on_this_machine_alone(server):
    port, process = server
    try:
        with open(f"/proc/{process.pid}/net/tcp") as table:
            rows = [line.split()[1] for line in table.readlines()[1:]]
    except FileNotFoundError:
        pytest.skip("no /proc here")
    assert [row.split(":")[0] for row in rows if int(row.split(":")[1], 16) == port][:1] == ["0100007F"]


def test_the_upload_limit_is_the_pages(monkeypatch, tmp_path):
    from skinlesion.cli import use
    from skinlesion.dashboard.predict import MOST_BYTES

    arguments = []
    monkeypatch.setattr(use.os, "execv", lambda program, command: arguments.extend(command))
    use.dashboard(port=8501, params=write_params(tmp_path, small_params()))
    settings = dict(zip(arguments[5::2], arguments[6::2], strict=False))
    assert int(settings["--server.maxUploadSize"]) * 1_000_000 == MOST_BYTES
    assert settings["--client.toolbarMode"] == "minimal"  # no Deploy button
    assert settings["--server.address"] == settings["--server.allowedHosts"] == "127.0.0.1"


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
    ],
)
def test_however_the_command_is_stopped_its_server_ends(tmp_path, number):
    write_params(tmp_path, small_params())
    port = free_port()
    process = started(tmp_path, port)
    os.kill(process.pid, number)
    process.wait(timeout=30)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=1)
