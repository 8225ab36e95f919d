"""Validation errors of params.yaml in words: the field, its value, and what would be valid."""

import re
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from skinlesion.errors import choices, printable, shorten, shown
from skinlesion.params.section import NAME_IN_WORDS

_LONGEST = 220  # characters; the file's name stands before them in a line of 300


def describe(error: ValidationError, schema: type[BaseModel], where: str = "") -> str:
    """Return a validation error as one line: each field with its value and what would be valid.

    Problems that do not fit are counted.
    """
    problems = [_describe_problem(problem, schema, where) for problem in error.errors(include_url=False)]
    listed = 1
    while listed < len(problems) and len("; ".join(problems[: listed + 1])) <= _LONGEST:
        listed += 1
    text = "; ".join(problems[:listed])
    return text if listed == len(problems) else f"{text}; and {len(problems) - listed} more like this"


def _describe_problem(error: Any, schema: type[BaseModel], where: str) -> str:
    keys = [part for part in error["loc"] if part != "[key]"]  # pydantic's mark for a key that is wrong
    field = shorten(printable(".".join(([where] if where else []) + [str(part) for part in keys])))
    value, context = error["input"], error.get("ctx", {})
    if error["type"] == "extra_forbidden":
        return f"{field}: unknown field; {choices(_fields(schema, keys[:-1]), str(keys[-1]))}"
    if error["type"] == "literal_error":
        return f"{field}: {shown(value)} is not a choice; {choices(_literals(context['expected']), str(value))}"
    if error["type"] == "value_error":
        return f"{field or schema.__name__}: {context['error']}" + (
            "" if isinstance(value, dict) else f", got {shown(value)}"
        )
    if error["type"] == "string_pattern_mismatch":  # of names alone
        return f"{field}: {shown(value)} is not a valid name; use {NAME_IN_WORDS}"
    if error["type"] == "missing":
        return f"{field}: missing; add it"
    message = error["msg"].removeprefix("Input ").partition(" or instance of ")[0]
    return f"{field}: {shown(value)} {message}"


def _literals(expected: str) -> list[str]:
    return re.findall(r"'([^']*)'", expected)


def _fields(schema: type[BaseModel], keys: list[Any]) -> list[str]:
    """Return the names of the fields that the mapping at `keys` may have."""
    for key in keys:
        if isinstance(key, str) and key in schema.model_fields:
            schema = _section(schema.model_fields[key].annotation) or schema
    return list(schema.model_fields)


def _section(annotation: Any) -> type[BaseModel] | None:
    """Return the model in an annotation such as `Section`, `list[Section]` or `dict[str, Section]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((section for part in get_args(annotation) if (section := _section(part))), None)
