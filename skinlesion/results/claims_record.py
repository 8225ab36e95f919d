"""Whether the claims and margins of params.yaml are older than the predictions they judge, as git recorded both."""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml.error import YAMLError

from skinlesion.params_file import parse_yaml

#: What a judgement rests on, besides the predictions.
_FIELDS = ("primary", "margin", "margins", "confidence", "one_sided")


@dataclass(frozen=True)
class ClaimsRecord:
    """The commit that last changed claims and margins.

    Attributes:
        commit: its hash; empty where there is none yet.
        committed: its date, YYYY-MM-DD.
        before_predictions: whether it is older than every commit of the claimed systems' metrics (those not committed
            yet count as newer); None where git does not say.
        stood_before: how many of the claims stood, with these margins, before the metrics of their own two systems were
            committed; None where git does not say.
        note: why there is no commit; empty if there is.
    """

    commit: str = ""
    committed: str = ""
    before_predictions: bool | None = None
    stood_before: int | None = None
    note: str = ""

    def entries(self) -> dict[str, Any]:
        """Return the fields for stats.json, named `claims_…`."""
        return {f"claims_{name}": value for name, value in asdict(self).items()}


class _Version(NamedTuple):
    """A commit of params.yaml."""

    commit: str
    seconds: int
    day: str
    claims: list[Any]
    judged_by: dict[str, Any]


def claims_record(path: Path, results: Mapping[str, Path]) -> ClaimsRecord:
    """Return what git knows of the claims and margins of a params.yaml.

    Args:
        path: params.yaml.
        results: system → the committed file that appears with its predictions (metrics.json), of all that are claimed.
    """
    folder = path.resolve().parent
    history = _git(folder, "log", "--first-parent", "--format=%H %ct %cs", "--", path.name)
    if history is None:  # no repository, or one without a commit
        inside = _git(folder, "rev-parse", "--git-dir") is not None
        return ClaimsRecord(note="not committed" if inside else "not in a git repository")
    now = _judging(path.read_text(encoding="utf-8"))
    if now is None:
        return ClaimsRecord(note="not committed")
    claims, judged_by = now
    versions = []
    for line in history.splitlines():
        commit, seconds, day = line.split()
        then = _judging(_git(folder, "show", f"{commit}:./{path.name}") or "")
        if then is None or then[1] != judged_by:
            break
        versions.append(_Version(commit, int(seconds), day, *then))
    fixed = _first(versions, lambda version: version.claims == claims)
    if fixed is None:
        return ClaimsRecord(note="not committed")
    times = {name: _committed_at(folder, result) for name, result in results.items()}

    def is_older(version: _Version | None, seconds: int | None) -> bool:
        return version is not None and (seconds is None or version.seconds <= seconds)

    if not times:
        return ClaimsRecord(fixed.commit, fixed.day)
    stood = 0
    for claim in claims:
        since = _first(versions, lambda version, claim=claim: claim in version.claims)  # type: ignore[misc]
        stood += all(is_older(since, times.get(claim.get(side))) for side in ("a", "b"))
    return ClaimsRecord(fixed.commit, fixed.day, all(is_older(fixed, seconds) for seconds in times.values()), stood)


def _first(versions: list[_Version], holds: Callable[[_Version], bool]) -> _Version | None:
    """Return the oldest of the newest versions for which something holds without a break."""
    standing = list(takewhile(holds, versions))
    return standing[-1] if standing else None


def _judging(text: str) -> tuple[list[Any], dict[str, Any]] | None:
    """Return the claims and the settings of their judgement in a params.yaml, None where it is not one."""
    try:
        content = parse_yaml(text)
    except YAMLError:
        return None
    if not isinstance(content, dict):
        return None
    stats, claims = content.get("stats"), content.get("claims")
    settings = {name: stats.get(name) if isinstance(stats, dict) else None for name in _FIELDS}
    return claims if isinstance(claims, list) else [], settings


def _committed_at(folder: Path, path: Path) -> int | None:
    """Return when a file was last committed, in seconds; None if it differs from its last commit or has none."""
    name = str(path.resolve())
    changed = _git(folder, "status", "--porcelain", "--ignored", "--", name)
    seconds = _git(folder, "log", "-1", "--format=%ct", "--", name)
    return int(seconds) if seconds and seconds.strip() and not changed else None


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, None where it fails or is not there."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            errors="replace",  # a former params.yaml may be anything
            check=False,
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
