"""Validation errors of params.yaml in words: the field, its value, and what would be valid."""

import re
from typing import Any

from pydantic import BaseModel, ValidationError

from skinlesion.errors import choices


def describe(error: ValidationError, schema: type[BaseModel], where: str = "") -> str:
    """Return a validation error as one line: each field with its value and what would be valid."""
    return "; ".join(_describe_problem(problem, schema, where) for problem in error.errors())


def _describe_problem(error: Any, schema: type[BaseModel], where: str) -> str:
    # Tags of unions (`dict[...]`, `constrained-int`) are pydantic's, not the user's: keep keys and positions only.
    keys = [part for part in error["loc"] if isinstance(part, int) or re.fullmatch(r"[\w-]+", part)]
    field = ".".join(([where] if where else []) + [str(part) for part in keys])
    given, context = error["input"], error.get("ctx", {})
    if error["type"] == "extra_forbidden":
        return f"{field}: unknown field; {choices(_fields(schema, keys[:-1]), str(keys[-1]))}"
    if error["type"] == "literal_error":
        return f"{field}: {given!r} is not a choice; {choices(_literals(context['expected']), str(given))}"
    if error["type"] == "value_error":
        return f"{field or schema.__name__}: {context['error']}" + (
            "" if isinstance(given, dict) else f", got {given!r}"
        )
    message = error["msg"].removeprefix("Input ")
    return f"{field}: {given!r} {message}"


def _literals(expected: str) -> list[str]:
    return re.findall(r"'([^']*)'", expected)


def _fields(schema: type[BaseModel], keys: list[Any]) -> list[str]:
    for key in keys:
        field = schema.model_fields.get(str(key))
        kind = field.annotation if field else None
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            break
        schema = kind
    return list(schema.model_fields)
