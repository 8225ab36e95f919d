"""Whether the claims and margins of params.yaml are older than the predictions they judge, as git recorded both."""

import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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
        note: why there is no commit; empty if there is.
    """

    commit: str = ""
    committed: str = ""
    before_predictions: bool | None = None
    note: str = ""

    def entries(self) -> dict[str, Any]:
        """Return the fields for stats.json, named `claims_…`."""
        return {f"claims_{name}": value for name, value in asdict(self).items()}


def claims_record(path: Path, results: Iterable[Path]) -> ClaimsRecord:
    """Return what git knows of the claims and margins of a params.yaml.

    Args:
        path: params.yaml.
        results: the committed files that appear with the predictions of what is claimed (metrics.json).
    """
    folder = path.resolve().parent
    history = _git(folder, "log", "--first-parent", "--format=%H %ct %cs", "--", path.name)
    if history is None:  # no repository, or one without a commit
        inside = _git(folder, "rev-parse", "--git-dir") is not None
        return ClaimsRecord(note="not committed" if inside else "not in a git repository")
    now = _judging(path.read_text(encoding="utf-8"))
    oldest: tuple[str, int, str] | None = None
    for line in history.splitlines():
        commit, seconds, day = line.split()
        if _judging(_git(folder, "show", f"{commit}:./{path.name}") or "") != now:
            break
        oldest = commit, int(seconds), day
    if oldest is None:
        return ClaimsRecord(note="not committed")
    times = [_committed_at(folder, result) for result in results]
    return ClaimsRecord(
        oldest[0], oldest[2], all(seconds is None or oldest[1] <= seconds for seconds in times) if times else None
    )


def _judging(text: str) -> Any:
    """Return the claims and the settings of their judgement in a params.yaml, None where it is not one."""
    try:
        content = parse_yaml(text)
    except YAMLError:
        return None
    if not isinstance(content, dict):
        return None
    stats = content.get("stats")
    return content.get("claims"), {name: stats.get(name) if isinstance(stats, dict) else None for name in _FIELDS}


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
