"""The reference of params.yaml, from the JSON schema of `skinlesion.params.Params`: every field of every section."""

import html
from typing import Any

from marked import anchor

from skinlesion.params import Params
from skinlesion.params.section import COMPARABLE

#: Sections that hold entries of the user's own → what one entry is called.
ENTRIES = {
    "external": "external.[n]",
    "ensembles": "ensembles.NAME",
    "claims": "claims.[n]",
    "published": "published.[n]",
}

Schema = dict[str, Any]


def sections() -> dict[str, Schema]:
    """Return the schema of every section by its dotted name, in the order of params.yaml; each stands once."""
    root = Params.model_json_schema()
    by_name: dict[str, Schema] = {}

    def visit(name: str, section: Schema) -> None:
        if section in by_name.values():  # an external data set has the sections of `data`
            return
        by_name[name] = section
        for key, field in section["properties"].items():
            inner = _section_of(field, root)
            if inner is not None:
                visit(f"{name}.{key}", inner)

    for key, field in root["properties"].items():
        inner = _section_of(field, root)
        if inner is not None:
            visit(ENTRIES.get(key, key), inner)
    return by_name


def parameters_table() -> str:
    """Return one section with a table for each section of params.yaml."""
    root = Params.model_json_schema()
    top = ["| section | what it is |", "|---|---|"]
    for key, field in root["properties"].items():
        name = ENTRIES.get(key, key)
        section = _section_of(field, root)
        text = field.get("description") or (section or {}).get("description", "")
        top.append(f"| {f'[`{key}`](#{anchor(name)})' if section else f'`{key}`'} | {_safe(text)} |")
    tables = [_table(name, section) for name, section in sections().items()]
    return "\n" + "\n".join(top) + "\n\n" + "\n".join(tables)


def _table(name: str, section: Schema) -> str:
    rows = [f"## {name}", ""]
    description = section.get("description", "")
    rows += [_safe(description), ""] if description else []
    schemas = sections()
    rows += ["| field | value | default | what it is |", "|---|---|---|---|"]
    for key, field in section["properties"].items():
        default = "required" if key in section.get("required", ()) else _default(field)
        linked = f"[`{key}`](#{anchor(f'{name}.{key}')})" if f"{name}.{key}" in schemas else f"`{key}`"
        rows.append(f"| {linked} | {_value(field)} | {default} | {_safe(field.get('description', ''))} |")
    return "\n".join([*rows, ""])


def _section_of(field: Schema, root: Schema) -> Schema | None:
    """Return the schema of the section that a field holds, or that its entries hold; None for a plain value."""
    for place in (field, field.get("items", {}), field.get("additionalProperties", {})):
        if isinstance(place, dict) and "$ref" in place:
            section: Schema = root["$defs"][place["$ref"].rpartition("/")[2]]
            return section
    return None


def _value(field: Schema) -> str:
    """Return what a field may hold, in words."""
    if "anyOf" in field:
        return " or ".join(_value(choice) for choice in field["anyOf"])
    if tuple(field.get("enum", ())) == COMPARABLE:
        return "[a metric](metrics.md) with an interval"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "$ref" in field:
        return "a section"
    kind = field.get("type", "")
    if kind == "array":
        inner = field.get("items") or {}
        return f"list: {_value(inner)}" if inner else "list of " + ", ".join(map(_value, field.get("prefixItems", [])))
    if kind == "object":
        inner = field.get("additionalProperties")
        return f"mapping: name → {_value(inner)}" if isinstance(inner, dict) and inner else "mapping"
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true`, `false`"}
    if field.get("format") == "path":
        return "path"
    return words.get(kind, f"`{kind}`" if kind == "null" else kind) + _range(field)


def _range(field: Schema) -> str:
    low, above = field.get("minimum"), field.get("exclusiveMinimum")
    high, below = field.get("maximum"), field.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f", {_number(low)} to {_number(high)}"
    limits = [("above", above), ("at least", low), ("below", below), ("at most", high)]
    return "".join(f", {word} {_number(value)}" for word, value in limits if value is not None)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if value == int(value) else f"{value:g}"


def _default(field: Schema) -> str:
    """Return the default as YAML writes it."""
    if "default" not in field or "$ref" in field:
        return "" if "default" not in field else "see there"
    return f"`{_yaml(field['default'])}`"


def _yaml(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_yaml(item)}' for key, item in value.items())}}}"
    return str(value) if value != "" else '""'


def _safe(text: str) -> str:
    return html.escape(" ".join(text.split()), quote=False).replace("|", "\\|").replace("*", "\\*").replace("[", "\\[")
