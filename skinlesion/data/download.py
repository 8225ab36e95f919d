"""One file from the web: resumed after a break, checked, and whole or not at all under its own name."""

import hashlib
import http.client
import random
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import skinlesion
from skinlesion.errors import UserError
from skinlesion.files import read_json, write_json
from skinlesion.progress import Advance, progress

#: First-seen hashes of files whose publisher gives none, beside the files.
CHECKSUMS_NAME = "checksums.json"

#: The default User-Agent of Python's libraries is refused by the Dataverse.
USER_AGENT = f"skinlesion/{skinlesion.__version__} (research software)"

_PATIENCE = 30.0  # seconds without a byte
_ATTEMPTS = 6  # in a row that bring no new byte
_BLOCK = 1 << 20
_HTML = (b"<!doctype", b"<html", b"<head", b"<?xml")
#: Answers that may be another one a little later.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Remote:
    """A file on the web and what is known of it."""

    name: str
    url: str
    size: int | None = None  # bytes
    md5: str | None = None
    sha256: str | None = None
    magic: bytes = b""  # how its content begins, such as PK for a zip

    @property
    def published(self) -> bool:
        """Whether its publisher gives a checksum."""
        return bool(self.md5 or self.sha256)


class _Broken(Exception):
    """An attempt that another may mend; says what happened."""


class _NoHost(_Broken):
    """The name of the server is not known: there is no network, or it is away for a moment."""


class _Hopeless(Exception):
    """An answer that stays the same however often one asks."""


def download(remote: Remote, folder: Path, *, pause: Callable[[float], None] = time.sleep) -> Path:
    """Return the path of a file, fetched into `folder` unless it lies there whole.

    A broken download goes on at the byte where it stopped, now or at the next call. What arrives is checked for size,
    its first bytes and its checksum; where no checksum is published, the first one seen is kept in checksums.json and
    holds from then on. `pause` waits some seconds between attempts.

    Raises:
        UserError: the server refuses, the network is away for too long, or what arrives is not the file.
    """
    path = folder / remote.name
    if path.exists():
        problem = _problem(path, remote, folder)
        if problem is None:
            return path
        raise UserError(f"{path}: {problem}; delete it, or take the file that belongs there")
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    for anew in (False, True):
        with progress(f"Fetching {remote.name}", remote.size or 0, unit="bytes", start=_length(part)) as advance:
            _fetch_all(remote, part, advance, pause)
        problem = _problem(part, remote, folder)
        if problem is None:
            break
        part.unlink()  # going on from it would only make more of what is wrong
        if anew:
            raise UserError(f"{remote.url}: {problem}; nothing was kept, try again later or from another source")
    _remember(part, remote, folder)
    part.replace(path)
    return path


def _fetch_all(remote: Remote, part: Path, advance: Advance, pause: Callable[[float], None]) -> None:
    """Ask again and again until the file is there, giving up after attempts that bring nothing new.

    A machine without a network is told so at once; one that loses it half way gets the patience of any other break.
    """
    fruitless, reason, allowed = 0, "", _ATTEMPTS
    begun = _length(part)
    while fruitless < allowed:
        before = _length(part)
        try:
            _fetch_rest(remote, part, advance)
            return
        except _Broken as error:
            reason = str(error)
            allowed = 2 if isinstance(error, _NoHost) and _length(part) <= begun else _ATTEMPTS
        except _Hopeless as error:
            raise UserError(f"{remote.url}: {error}") from None
        fruitless = 0 if _length(part) > before else fruitless + 1
        if fruitless < allowed:
            pause(min(60.0, 2.0**fruitless) * random.uniform(0.5, 1.0))
    kept = _length(part)
    rest = f"{kept:,} bytes are kept, the same command goes on from there" if kept else "try again with a network"
    raise UserError(f"{remote.url}: {reason}; {rest}")


def _fetch_rest(remote: Remote, part: Path, advance: Advance) -> None:
    """Make one request for what is missing and append what comes."""
    have = _length(part)
    if remote.size is not None and have >= remote.size:
        if have == remote.size:
            return
        part.unlink()
        raise _Broken(f"{have:,} bytes where {remote.size:,} belong")
    headers = {"User-Agent": USER_AGENT} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(remote.url, headers=headers), timeout=_PATIENCE) as answer:
            _append(answer, remote, part, have, advance)
    except urllib.error.HTTPError as error:
        _judge(error, part, have)
    except http.client.IncompleteRead as error:
        raise _Broken(f"the connection broke ({error})") from None
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        kind = _NoHost if isinstance(reason, socket.gaierror) else _Broken
        raise kind(f"no connection ({reason})") from None


def _judge(error: urllib.error.HTTPError, part: Path, have: int) -> None:
    if error.code == 416 and have:  # more asked for than there is: what we have is whole, or is something else
        total = (error.headers.get("Content-Range") or "").rpartition("/")[2]
        if total.isdigit() and int(total) == have:
            return
        part.unlink()
        raise _Broken(f"the server has other than the {have:,} bytes begun; they were dropped")
    if error.code in _PASSING:
        raise _Broken(f"the server answers {error.code} {error.reason}")
    raise _Hopeless(f"the server answers {error.code} {error.reason}; look at the address, or take another source")


def _append(answer: Any, remote: Remote, part: Path, have: int, advance: Advance) -> None:
    resumed = answer.status == 206
    if resumed:
        begins = (answer.headers.get("Content-Range") or "").partition("bytes ")[2].partition("-")[0]
        if begins != str(have):
            part.unlink(missing_ok=True)
            raise _Broken("the server sent another part than was asked for; it begins anew")
    # A server that knows no ranges sends everything again.
    with part.open("ab" if resumed else "wb") as stream:
        expected = answer.headers.get("Content-Length")
        got = 0
        while True:
            try:
                block = answer.read(_BLOCK)
            except http.client.IncompleteRead as error:
                stream.write(error.partial)
                advance(len(error.partial))
                raise
            if not block:
                break
            if not got and not resumed:
                _check_start(block, remote)
            stream.write(block)
            got += len(block)
            advance(len(block))
    if expected is not None and got < int(expected):
        raise _Broken(f"the connection broke after {got:,} of {int(expected):,} bytes")


def _check_start(block: bytes, remote: Remote) -> None:
    """Refuse a page that is served in the file's place, before it is stored."""
    if block.lstrip()[:16].lower().startswith(_HTML) and not remote.name.endswith((".html", ".xml")):
        text = " ".join(block[:4000].decode("utf-8", "replace").split())
        title = text.partition("<title>")[2].partition("</title>")[0]
        raise _Hopeless(f"a web page{f' titled {title!r}' if title else ''} came instead of {remote.name}")
    if block[: len(remote.magic)] != remote.magic[: len(block)]:
        raise _Hopeless(f"what came does not begin like {remote.name} ({block[:8]!r})")


def _problem(path: Path, remote: Remote, folder: Path) -> str | None:
    """Return in words what is wrong with a downloaded file, or None."""
    size = _length(path)
    if remote.size is not None and size != remote.size:
        return f"has {size:,} bytes, not {remote.size:,}"
    with path.open("rb") as stream:
        if not stream.read(len(remote.magic)).startswith(remote.magic):
            return "does not begin as such a file does"
    sums = _hash(path)
    known = {"md5": remote.md5, "sha256": remote.sha256}
    if not remote.published:
        known["sha256"] = _remembered(folder).get(remote.name)
    for name, expected in known.items():
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
    found: dict[str, str] = read_json(path, "delete it") if path.exists() else {}
    return found


def _remember(part: Path, remote: Remote, folder: Path) -> None:
    if not remote.published:
        write_json(folder / CHECKSUMS_NAME, _remembered(folder) | {remote.name: _hash(part)["sha256"]})


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
