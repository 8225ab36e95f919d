"""Damaged copies of the files that commands read back: a number decides the damage, which can so be repeated."""

import json
import random
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 1e308, 2**70, 10**400, "", "x", "nan", "\x1b[31mred\n", "y" * 5000, "\ud800", [], {},
    [None], {"a": 1}, [[[[[[]]]]]], float("nan"), float("inf"), -float("inf"),
)  # fmt: skip
ODD_TEXTS = (
    "", " ", "null", "[]", "{}", "3", "1e999", '"text"', "[" * 50_000, '{"a":' * 50_000, "\x00", "﻿{}", "{", "9" * 5000,
    "gAN9cQAu", "<html></html>",
)  # fmt: skip
ODD_CELLS = (
    "",
    "nan",
    "inf",
    "-inf",
    "x",
    "1e999",
    "-1",
    "0",
    "True",
    "1.5",
    "9" * 400,
    "\x1b[2J",
    "é",
    '"',
    "=1+1",
    ",",
)


def mutate_json(text: str, seed: int) -> str:
    """Return JSON in which one entry at any depth is missing or of another kind, or text that is no such file."""
    rng = random.Random(seed)
    if rng.random() < 0.2:
        return rng.choice((*ODD_TEXTS, text[: rng.randrange(len(text))]))
    content = json.loads(text)
    places = list(_places(content))
    if not places:
        return rng.choice(ODD_TEXTS)
    holder, key = rng.choice(places)
    if rng.random() < 0.3:
        del holder[key]
    else:
        holder[key] = rng.choice(ODD_VALUES)
    return json.dumps(content)


def _places(content: Any):
    entries = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in entries:
        yield content, key
        if isinstance(value, dict | list):
            yield from _places(value)


def mutate_csv(text: str, seed: int) -> str:
    """Return a CSV with a column, rows or a cell missing or changed, or text that is no such table at all."""
    rng = random.Random(seed)
    lines = [line.split(",") for line in text.splitlines()]
    kind = rng.randrange(6)
    row, column = rng.randrange(len(lines)), rng.randrange(len(lines[0]))
    if kind == 0:
        return rng.choice((*ODD_TEXTS, text[: rng.randrange(len(text))]))
    if kind == 1:  # a column less
        lines = [line[:column] + line[column + 1 :] for line in lines]
    elif kind == 2:  # rows missing, at worst all
        lines = lines[: max(1, row)]
    elif kind == 3:  # a row twice
        lines.append(lines[row])
    else:  # a cell, or a whole column
        cell = rng.choice(ODD_CELLS)
        for place in [row] if kind == 4 else range(1, len(lines)):
            if column < len(lines[place]):
                lines[place][column] = cell
    return "\n".join(",".join(line) for line in lines) + "\n"


def mutate_bytes(content: bytes, seed: int) -> bytes:
    """Return binary content cut off, emptied, lengthened, with a bit flipped, or replaced."""
    rng = random.Random(seed)
    kind, place = rng.randrange(6), rng.randrange(len(content))
    if kind == 0:
        return content[:place]
    if kind == 1:
        return content + b"\x00" * rng.randrange(1, 1000)
    if kind == 2:
        return rng.choice((b"", b"\x80\x04K\x01.", b"\x93NUMPY", b"PK\x03\x04", b"text", bytes(len(content))))
    if kind == 3:  # within the header, as a rule
        place %= min(len(content), 128)
    changed = bytearray(content)
    changed[place] ^= 1 << rng.randrange(8)
    return bytes(changed)
