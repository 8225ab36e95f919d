"""What every fault must end in: exit 0 or 2, one printable line, nothing else written, nothing old destroyed."""

import hashlib
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

LONGEST_LINE = 300
LONGEST_LIST = 2000  # of all that is wrong with a data set

#: What `mutations` draws a damage from.
SEEDS = st.integers(0, 2**32 - 1)


def cases(number: int) -> settings:
    """Return the settings of a test that draws so many cases, each through a command or a reader of files."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=number, deadline=None, suppress_health_check=checks)


def snapshot(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder, by path; links and special files by what they are."""
    content = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            content[name] = f"link to {path.readlink()}"
        elif path.is_file():
            content[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif not path.is_dir():
            content[name] = "special"
    return content


def check_refused(outcome, *parts: str) -> None:
    """Check that a command ended with exit code 2 and one printable line of at most 300 characters with `parts`."""
    assert outcome.code == 2, (outcome.code, outcome.err[-2000:])
    check_ended(outcome)
    error = _errors(outcome)[0]
    for part in parts:
        assert part in error, error


def check_ended(outcome, longest: int = LONGEST_LINE) -> None:
    """Check that a command ended with exit code 0, or with 2 and one printable line; never with a traceback."""
    assert outcome.code in (0, 2), (outcome.code, outcome.err[-2000:])
    assert "Traceback" not in outcome.err + outcome.out
    errors = _errors(outcome)
    assert len(errors) == (1 if outcome.code else 0), outcome.err[-2000:]
    for line in errors:
        assert line.isprintable(), ascii(line[:longest])
        assert len(line) <= longest, (len(line), line[:longest])


def _errors(outcome) -> list[str]:
    return [line for line in outcome.err.split("\n") if line.startswith("error: ")]
