"""registry: published results on HAM10000, and whether their figures follow from their counts."""

from pathlib import Path

from skinlesion.analysis.published_results import FOLDER, Checked, read_entries
from skinlesion.errors import ManyErrors, UserError, choices, name_some


def registry(folder: Path | None = None, name: str | None = None) -> list[Checked]:
    """Return the entries of a folder, or the one of a name.

    Args:
        folder: where entries lie; those of this package by default.

    Raises:
        UserError: a file is no entry, there is none of the name, or figures contradict the counts of answers.
    """
    place = folder or FOLDER
    if not place.is_dir():
        raise UserError(f"--folder {place}: no such folder; give one that holds entries")
    entries = read_entries(place)
    if not entries:
        raise UserError(f"--folder {place}: holds no entry; see docs/registry.md")
    if name is not None:
        names = [entry.name for entry in entries]
        if name not in names:
            raise UserError(f"{name_some([name])}: no entry; {choices(names, name)}")
        entries = [entry for entry in entries if entry.name == name]
    wrong = [f"{entry.name}: {problem}" for entry in entries for problem in entry.wrong]
    if wrong:
        raise ManyErrors(f"figures that do not follow from their counts: {'; '.join(wrong)}; correct the entry")
    return entries
