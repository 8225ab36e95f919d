"""The reference of commands, from the Typer application: every command, its help, its arguments and options.

It reads what was registered (functions with annotations), for the classes that Typer makes of them change with its
versions.
"""

import html
import inspect
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from typer.models import ArgumentInfo, CommandInfo, OptionInfo

from skinlesion.cli import app

_KINDS = {Path: "path", int: "whole number", float: "number", str: "text", bool: "none: it is a switch"}


@dataclass(frozen=True)
class Parameter:
    """An argument or an option of a command.

    Attributes:
        names: how it is written: FILES..., or the option's spellings.
        value: what may be given, in words.
        default: as it would be written; "" where it says nothing.
    """

    names: tuple[str, ...]
    value: str
    default: str
    text: str
    is_option: bool


def commands() -> dict[str, CommandInfo]:
    """Return every command by its name, in the order in which they are registered."""
    registered = {command.name or _function(command).__name__: command for command in app.registered_commands}
    groups = {group.name: group.typer_instance for group in app.registered_groups}
    assert not groups, "groups of commands are new here: open them in `commands`"
    return {name.replace("_", "-"): command for name, command in registered.items()}


def parameters(command: CommandInfo) -> list[Parameter]:
    """Return what a command takes and shows in its help, arguments first."""
    function = _function(command)
    hints = typing.get_type_hints(function, include_extras=True)
    parsed = [
        _parameter(name, hints[name], item.default) for name, item in inspect.signature(function).parameters.items()
    ]
    return sorted((item for item in parsed if item is not None), key=lambda item: item.is_option)


def commands_table() -> str:
    """Return one section for each command, those of a panel of `skinlesion --help` together."""
    panels: dict[str, list[str]] = {}
    for name, command in sorted(commands().items(), key=lambda pair: pair[1].hidden):  # the others in their order
        panel = command.rich_help_panel
        panels.setdefault(panel if isinstance(panel, str) else "Called by `dvc.yaml`", []).append(
            _section(name, command)
        )
    return "\n" + "\n".join(f"## {panel}\n\n" + "\n".join(sections) for panel, sections in panels.items())


def _function(command: CommandInfo) -> Any:
    assert command.callback is not None
    return command.callback


def _parameter(name: str, hint: Any, default: Any) -> Parameter | None:
    """Return a parameter as it is shown, None where its help is hidden."""
    assert get_origin(hint) is Annotated, f"{name} has no typer.Option or typer.Argument"
    kind, info = get_args(hint)[:2]
    assert isinstance(info, ArgumentInfo | OptionInfo)
    if info.hidden:
        return None
    required, is_list = default is inspect.Parameter.empty, False
    inner = [part for part in get_args(kind) if part is not type(None)] if isinstance(kind, types.UnionType) else [kind]
    kind = inner[0]
    if get_origin(kind) is list:
        kind, is_list = get_args(kind)[0], True
    is_option = isinstance(info, OptionInfo)
    if is_option:
        spelled = [word for word in (info.default, *(info.param_decls or ())) if isinstance(word, str)]  # as Typer does
        names = tuple("/".join(spelled).split("/")) if spelled else (f"--{name.replace('_', '-')}",)
    else:
        placeholder = (info.metavar or name.upper()).strip("[]") + ("..." if is_list else "")
        names = (placeholder if required else f"[{placeholder}]",)
    value = _value(kind, info) + (", repeatable" if is_list and is_option else "")
    return Parameter(names, value, "required" if required else _default(default), info.help or "", is_option)


def _value(kind: type, info: ArgumentInfo | OptionInfo) -> str:
    if info.metavar and "|" in info.metavar:
        return ", ".join(f"`{choice}`" for choice in info.metavar.strip("[]").split("|"))
    text = _KINDS.get(kind) or kind.__name__
    if info.min is not None and info.max is not None:
        return f"{text}, {_number(info.min)} to {_number(info.max)}"
    return text + (f", {_number(info.min)} or more" if info.min is not None else "")


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _default(value: Any) -> str:
    return "off" if value is False else "on" if value is True else "" if value is None else f"`{value}`"


def _section(name: str, command: CommandInfo) -> str:
    taken = parameters(command)
    usage = [f"skinlesion {name}", *(["[OPTIONS]"] if any(item.is_option for item in taken) else [])]
    usage += [item.names[0] for item in taken if not item.is_option]
    text = command.help or inspect.getdoc(_function(command)) or ""
    rows = [f"### {name}", "", _safe(text), "", "```text", " ".join(usage), "```", ""]
    if taken:
        rows += ["| argument or option | value | default | what it is |", "|---|---|---|---|"]
        rows += [_row(item) for item in taken]
    examples = (command.epilog or "").removeprefix("Examples:").split("\n\n")
    if any(examples):
        rows += ["", "```text", *(line for line in examples if line), "```"]
    return "\n".join([*rows, ""])


def _row(item: Parameter) -> str:
    names = ", ".join(f"`{name}`" for name in item.names)
    return f"| {names} | {item.value} | {item.default} | {_safe(item.text)} |"


def _safe(text: str) -> str:
    """Return help as Markdown shows it word for word, in a cell of a table."""
    return html.escape(" ".join(text.split()), quote=False).replace("|", "\\|").replace("*", "\\*").replace("[", "\\[")
