"""Reads params.yaml, and settings of the command line, as DVC does: YAML 1.2, validated, errors in one line."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml.error import YAMLError

from skinlesion.errors import UserError, choices, name_some, printable, shorten, shown
from skinlesion.params import Params, TrainParams
from skinlesion.params.problems import describe
from skinlesion.params.section import NAME, NAME_IN_WORDS
from skinlesion.params.yaml_text import parse_yaml
from skinlesion.reading import read_text


def load_params(path: Path = Path("params.yaml"), *, required: bool = True) -> Params:
    """Return the validated content of a params.yaml; with `required=False` an absent file means all defaults.

    Raises:
        UserError: no such file, not YAML, or a field, type, range or name that the schema refuses (as many of these
            are listed as fit in one line).
    """
    if not required and not os.path.lexists(path):
        return Params()
    text = read_text(path, "give --params FILE, or make a workspace with `skinlesion init DIR`")
    try:
        content = parse_yaml(text)
    except YAMLError as error:
        raise UserError(f"{path}{_place(error)}: not valid YAML ({_problem(error)})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no sections; {choices(Params.model_fields)}")
    try:
        params = Params.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {describe(error, Params)}") from None
    check_names(params, path)
    return params


def check_names(params: Params, path: Path) -> None:
    """Check that experiments and ensembles are well named, and that what refers to one names one that exists.

    Raises:
        UserError: a bad or unknown name, or the settings of an experiment are invalid.
    """
    for section in ("experiments", "ensembles"):
        for name in getattr(params, section):
            if not re.fullmatch(NAME, name):
                raise UserError(f"{path}: {section}.{name_some([name])}: not a valid name; use {NAME_IN_WORDS}")
    for name in params.experiments:
        params.experiment(name)
    for name, ensemble in params.ensembles.items():
        if name in params.experiments:
            raise UserError(f"{path}: ensembles.{name}: an experiment has this name; choose another")
        for member in ensemble.members:
            if member not in params.experiments:
                raise UserError(
                    f"{path}: ensembles.{name}.members: no experiment {name_some([member])}; "
                    f"{choices(params.experiments, member)}"
                )
    for field, name in _references(params):
        if name not in params.systems:
            raise UserError(f"{path}: {field}: no experiment {name_some([name])}; {choices(params.systems, name)}")


def _references(params: Params) -> Iterator[tuple[str, str]]:
    """Yield the field and the name wherever params.yaml names an experiment or ensemble."""
    if params.effect.multimodal is not None:
        yield "effect.multimodal", params.effect.multimodal
    for pair in params.stats.pairs or []:
        for name in pair:
            yield "stats.pairs", name
    for name in params.report.headline:
        yield "report.headline", name
    for place, claim in enumerate(params.claims):
        yield f"claims.{place}", claim.a
        yield f"claims.{place}", claim.b
    for place, system in enumerate(params.published):
        for reproduction in (system.reproduced, system.validated, system.honest):
            if reproduction is not None:
                yield f"published.{place}", reproduction


def parse_setting(text: str) -> tuple[str, Any]:
    """Return ('lr', 0.001) for 'lr=1e-3': a field of `train` and its value, read as YAML.

    Raises:
        UserError: no `=`, no such field, or a value that is not YAML.
    """
    name, sign, value = text.partition("=")
    name = name.strip().removeprefix("train.")
    if not sign:
        raise UserError(f"--set {name_some([text])}: expected FIELD=VALUE, for example --set lr=1e-4")
    if name not in TrainParams.model_fields:
        raise UserError(f"--set {name_some([name])}: unknown field; {choices(TrainParams.model_fields, name)}")
    try:
        return name, parse_yaml(value)
    except YAMLError as error:
        raise UserError(f"--set {name}: {shown(value)} is not a YAML value ({_problem(error)})") from None


def _place(error: YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" line {mark.line + 1}" if mark else ""


def _problem(error: YAMLError) -> str:
    """Return what is wrong in one line."""
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
    return shorten(printable(str(problem).partition("\n")[0]), 150)
