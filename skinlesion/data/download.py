"""Download of one file: resumed after an interruption, verified, and stored under its name only when complete."""

import hashlib
import http.client
import os
import random
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import skinlesion
from skinlesion.errors import UserError, shown
from skinlesion.files import write_json
from skinlesion.progress import Advance, progress
from skinlesion.reading import check_readable, read_json, shown_problem

#: Hashes of the first download of files without a published checksum, stored beside them.
CHECKSUMS_NAME = "checksums.json"

#: The Dataverse refuses the default User-Agent of Python's libraries.
USER_AGENT = f"skinlesion/{skinlesion.__version__} (research software)"

_PATIENCE = 30.0  # seconds without a byte
_ATTEMPTS = 6  # consecutive attempts without a new byte
_BLOCK = 1 << 20
_MOST_BYTES = 20 << 30  # of a file whose size is not published
_HTML = (b"<!doctype", b"<html", b"<head", b"<?xml")
#: HTTP status codes that a later attempt may not meet again.
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Remote:
    """A file on the web, with its size and checksums as far as they are published."""

    name: str
    url: str
    size: int | None = None  # bytes
    md5: str | None = None
    sha256: str | None = None
    magic: bytes = b""  # first bytes of its content, such as PK for a zip

    @property
    def published(self) -> bool:
        """Whether a checksum is published."""
        return bool(self.md5 or self.sha256)


class _Retry(Exception):
    """A failed attempt after which another may succeed; holds the reason."""


class _NoHost(_Retry):
    """The server's name cannot be resolved: no network, perhaps for a moment only."""


class _Final(Exception):
    """A failure that no further attempt can change."""


class _CarefulRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but from an encrypted connection to no open one, and nowhere but to the web."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if _scheme_of(newurl) == "http" and req.type == "https":
            raise _Final(f"the server redirects to {shown(newurl)}, which is not encrypted; use another source")
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except Exception:
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _scheme_of(url: str) -> str:
    """Return http or https.

    Raises:
        _Final: the address is another kind, or has no host or an impossible port.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise _Final(f"an address that is not followed: {shown(url)}; use another source")
    return parts.scheme


def download(remote: Remote, folder: Path, *, pause: Callable[[float], None] = time.sleep) -> Path:
    """Return the path of a file, fetched into `folder` unless it is complete there.

    An interrupted download resumes at the byte where it stopped, now or at the next call. The size, the first bytes and
    the checksum are verified; without a published checksum, that of the first download is kept in checksums.json and
    compared from then on. `pause` waits some seconds between attempts.

    Raises:
        UserError: the server refuses, the network fails for too long, or the content is not the file's.
    """
    path = folder / remote.name
    part = path.with_name(f"{path.name}.part")
    for present in (path, part):
        if os.path.lexists(present):
            check_readable(present, "remove it")
    if path.exists():
        problem = _problem(path, remote, folder)
        if problem is None:
            return path
        raise UserError(f"{path}: {problem}; delete it, or replace it by the file that belongs there")
    folder.mkdir(parents=True, exist_ok=True)
    for anew in (False, True):
        with progress(f"Fetching {remote.name}", remote.size or 0, unit="bytes", start=_length(part)) as advance:
            _fetch_all(remote, part, advance, pause)
        problem = _problem(part, remote, folder)
        if problem is None:
            break
        part.unlink()  # resuming would keep the wrong bytes
        if anew:
            raise UserError(f"{remote.url}: {problem}; nothing was kept, try again later or from another source")
    _remember(part, remote, folder)
    part.replace(path)
    return path


def _fetch_all(remote: Remote, part: Path, advance: Advance, pause: Callable[[float], None]) -> None:
    """Repeat requests until the file is complete; give up after several without a new byte.

    Without a network from the start it gives up at once; a network lost later is retried like any other failure.
    """
    failures, reason, allowed = 0, "", _ATTEMPTS
    start = _length(part)
    while failures < allowed:
        before = _length(part)
        try:
            _fetch_rest(remote, part, advance)
            return
        except _Retry as error:
            reason = str(error)
            allowed = 2 if isinstance(error, _NoHost) and _length(part) <= start else _ATTEMPTS
        except _Final as error:
            raise UserError(f"{remote.url}: {error}") from None
        failures = 0 if _length(part) > before else failures + 1
        if failures < allowed:
            pause(min(60.0, 2.0**failures) * random.uniform(0.5, 1.0))
    size = _length(part)
    rest = f"{size:,} bytes are kept, the same command goes on from there" if size else "try again with a network"
    raise UserError(f"{remote.url}: {reason}; {rest}")


def _fetch_rest(remote: Remote, part: Path, advance: Advance) -> None:
    """Request the missing bytes once and append them."""
    have = _length(part)
    if remote.size is not None and have >= remote.size:
        if have == remote.size:
            return
        part.unlink()
        raise _Retry(f"received {have:,} of {remote.size:,} bytes")
    headers = {"User-Agent": USER_AGENT} | ({"Range": f"bytes={have}-"} if have else {})
    _scheme_of(remote.url)
    try:
        opener = urllib.request.build_opener(_CarefulRedirects)
        with opener.open(urllib.request.Request(remote.url, headers=headers), timeout=_PATIENCE) as answer:
            _append(answer, remote, part, have, advance)
    except urllib.error.HTTPError as error:
        error.close()
        _judge(error, part, have)
    except http.client.IncompleteRead as error:
        raise _Retry(f"the connection broke ({error})") from None
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        kind = _NoHost if isinstance(reason, socket.gaierror) else _Retry
        raise kind(f"no connection ({shown_problem(Exception(reason))})") from None
    except ValueError as error:  # of an address or a header that cannot be parsed
        raise _Final(f"the server's answer is malformed ({shown_problem(error)}); use another source") from None


def _judge(error: urllib.error.HTTPError, part: Path, have: int) -> None:
    if error.code == 416 and have:  # requested past the end: the part is complete, or another file
        total = (error.headers.get("Content-Range") or "").rpartition("/")[2]
        if total == str(have):
            return
        part.unlink()
        raise _Retry(f"the partial download of {have:,} bytes does not match the server's file; it was discarded")
    if error.code in _TEMPORARY:
        raise _Retry(f"the server answers {error.code} {error.reason}")
    raise _Final(f"the server answers {error.code} {error.reason}; check the address, or use another source")


def _append(answer: Any, remote: Remote, part: Path, have: int, advance: Advance) -> None:
    resumed = answer.status == 206
    if resumed:
        begins = (answer.headers.get("Content-Range") or "").partition("bytes ")[2].partition("-")[0]
        if begins != str(have):
            part.unlink(missing_ok=True)
            raise _Retry("the server sent another byte range; the download restarts")
    expected = _stated_length(answer)
    # A server without range requests sends the whole file again.
    have = have if resumed else 0
    most = _MOST_BYTES if remote.size is None else remote.size
    if expected is not None and have + expected > most:
        raise _Final(f"the server sends {have + expected:,} bytes, more than the {most:,} of {remote.name}")
    with part.open("ab" if resumed else "wb") as stream:
        got = 0
        while True:
            try:
                block = answer.read(_BLOCK)
            except http.client.IncompleteRead as error:
                _store(stream, error.partial[: most - have - got])
                advance(len(error.partial))
                raise
            if not block:
                break
            if not got and not resumed:
                _check_start(block, remote)
            _store(stream, block[: most - have - got])
            got += len(block)
            advance(len(block))
            if have + got > most:
                break
    if have + got > most:
        part.unlink()
        raise _Final(f"the server sends more than the {most:,} bytes of {remote.name}; nothing was kept")
    if expected is not None and got < expected:
        raise _Retry(f"the connection broke after {got:,} of {expected:,} bytes")


def _stated_length(answer: Any) -> int | None:
    """Return the Content-Length of an answer, None where it states none."""
    stated = answer.headers.get("Content-Length")
    if stated is None or (stated.isascii() and stated.isdecimal() and len(stated) < 20):
        return None if stated is None else int(stated)
    raise _Final(f"the server states a length of {shown(stated)}; use another source")


def _store(stream: BinaryIO, block: bytes) -> None:
    try:
        stream.write(block)
    except OSError as error:  # not a failure of the connection, which another attempt could help
        raise _Final(f"{stream.name}: {error.strerror}; what was received is kept, the same command goes on") from None


def _check_start(block: bytes, remote: Remote) -> None:
    """Refuse a web page that is served instead of the file, before it is stored."""
    if block.lstrip()[:16].lower().startswith(_HTML) and not remote.name.endswith((".html", ".xml")):
        text = " ".join(block[:4000].decode("utf-8", "replace").split())
        title = text.partition("<title>")[2].partition("</title>")[0]
        raise _Final(f"a web page{f' titled {title!r}' if title else ''} came instead of {remote.name}")
    if block[: len(remote.magic)] != remote.magic[: len(block)]:
        raise _Final(f"what came does not begin like {remote.name} ({block[:8]!r})")


def _problem(path: Path, remote: Remote, folder: Path) -> str | None:
    """Return what is wrong with a downloaded file, or None."""
    size = _length(path)
    if remote.size is not None and size != remote.size:
        return f"has {size:,} bytes, not {remote.size:,}"
    with path.open("rb") as stream:
        if not stream.read(len(remote.magic)).startswith(remote.magic):
            return "does not begin as such a file does"
    sums = _hash(path)
    checksums = {"md5": remote.md5, "sha256": remote.sha256}
    if not remote.published:
        checksums["sha256"] = _remembered(folder).get(remote.name)
    for name, expected in checksums.items():
        if expected is not None and sums[name] != expected:
            return f"its {name} is {sums[name]}, not {expected}"
    return None


def _hash(path: Path) -> dict[str, str]:
    digests = {"md5": hashlib.md5(usedforsecurity=False), "sha256": hashlib.sha256()}
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            for digest in digests.values():
                digest.update(block)
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _remembered(folder: Path) -> dict[str, str]:
    path = folder / CHECKSUMS_NAME
    checksums: dict[str, str] = read_json(path, "delete it", dict[str, str]) if path.exists() else {}
    return checksums


def _remember(part: Path, remote: Remote, folder: Path) -> None:
    if not remote.published:
        write_json(folder / CHECKSUMS_NAME, _remembered(folder) | {remote.name: _hash(part)["sha256"]})


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
