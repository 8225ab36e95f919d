"""How predictions are printed: text for people, CSV or JSON lines for programs."""

import csv
import json
import sys
from typing import Any

from skinlesion.progress import progress
from skinlesion.stages.predictor import Predictor
from skinlesion.vocabulary import CLASS_NAMES, PROBABILITY_COLUMNS

_NOTICE = "research software, not for diagnosis"


class Printer:
    """Prints one row a photograph; what could not be read goes to stderr and is counted in `failed`."""

    def __init__(self, form: str, name: str, predictor: Predictor, count: int) -> None:
        self.form, self.failed = form, 0
        self._writer: Any = None
        models = len(predictor.members)
        about = f"{name}, {models} model{'s' if models > 1 else ''}"
        if not predictor.calibrated:
            about += f"; not calibrated, no sets, no thresholds: run `skinlesion assess {name}`"
        print(f"{about}; {_NOTICE}", file=sys.stderr)
        self._shown = progress("photographs", count, unit="images") if form != "text" and count > 1 else None
        self._advance = self._shown.__enter__() if self._shown else None

    def show(self, row: dict[str, Any]) -> None:
        """Print one row of `predict`."""
        if self._advance:
            self._advance()
        if row["error"]:
            self.failed += 1
            print(f"error: {row['error']}", file=sys.stderr)
        if self.form == "json":
            print(json.dumps(row), flush=True)
        elif self.form == "csv":
            self._csv(row)
        elif not row["error"]:
            print(_text(row), flush=True)

    def end(self) -> None:
        """Close the progress bar and say how many photographs could not be read."""
        if self._shown:
            self._shown.__exit__(None, None, None)
        if self.failed:
            print(f"{self.failed} could not be read", file=sys.stderr)

    def _csv(self, row: dict[str, Any]) -> None:
        flat = {name: row.get(name, "") for name in ("file", "answer", *PROBABILITY_COLUMNS, "malignant")}
        flat["set"] = " ".join(row.get("set") or [])
        flat["called"] = "; ".join(rule for rule, called in row.get("called", {}).items() if called)
        flat["unlike"] = "" if row.get("unlike") is None else row["unlike"]
        flat["error"] = row["error"]
        if self._writer is None:
            self._writer = csv.DictWriter(sys.stdout, list(flat), lineterminator="\n")
            self._writer.writeheader()
        self._writer.writerow(flat)


def _text(row: dict[str, Any]) -> str:
    ranked = sorted(PROBABILITY_COLUMNS, key=lambda name: -row[name])
    first = ranked[0].removeprefix("p_")
    lines = [
        row["file"],
        f"  {row[ranked[0]]:.1%} {first} ({CLASS_NAMES[first]}); then "
        + ", ".join(f"{row[name]:.1%} {name.removeprefix('p_')}" for name in ranked[1:3]),
        f"  malignant (akiec, bcc, mel): {row['malignant']:.1%}" + _called(row["called"]),
    ]
    if row["set"] is not None:
        lines.append(f"  cannot be ruled out: {', '.join(row['set']) or 'none of the seven fits well'}")
    if row["unlike"] is not None:
        lines.append(f"  unlike the training images: farther from them than {row['unlike']:.0f} % of them are")
    return "\n".join(lines)


def _called(calls: dict[str, bool]) -> str:
    if not calls:
        return ""
    above = [rule for rule, called in calls.items() if called]
    below = [rule for rule, called in calls.items() if not called]
    parts = [f"above the threshold at {', '.join(above)}"] if above else []
    parts += [f"below that at {', '.join(below)}"] if below else []
    return "; " + "; ".join(parts)
