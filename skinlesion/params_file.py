"""Reads params.yaml, and settings of the command line, as DVC does: YAML 1.2, validated, errors in one line."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from skinlesion.errors import ManyErrors, UserError, choices
from skinlesion.files import read_text
from skinlesion.params import Params, TrainParams
from skinlesion.params.problems import describe

_EXPERIMENT_NAME = re.compile(r"[a-z0-9_]+")


def load_params(path: Path = Path("params.yaml"), *, required: bool = True) -> Params:
    """Return the validated content of a params.yaml; with `required=False` an absent file means all defaults.

    Raises:
        UserError: no such file, not YAML, or a field, type, range or name that the schema refuses (all are listed).
    """
    if not required and not path.exists():
        return Params()
    text = read_text(path, "run in the folder that holds it, or give --params FILE")
    try:
        content = parse_yaml(text)
    except (YAMLError, ValueError) as error:
        raise UserError(f"{path}{_place(error)}: not valid YAML ({_problem(error)})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no sections; {choices(Params.model_fields)}")
    try:
        params = Params.model_validate(content)
    except ValidationError as error:
        raise ManyErrors(f"{path}: {describe(error, Params)}") from None
    check_names(params, path)
    return params


def parse_yaml(text: str) -> Any:
    """Return the content of a YAML text by the rules of YAML 1.2, which are DVC's: `off` is a word and `010` is ten.

    Raises:
        YAMLError: not YAML, or a key stands twice in one mapping.
    """
    return YAML(typ="safe", pure=True).load(text)


def check_names(params: Params, path: Path) -> None:
    """Check that experiments and ensembles are well named, and that what refers to one names one that exists.

    Raises:
        UserError: a bad or unknown name, or the settings of an experiment are invalid.
    """
    for name in params.experiments:
        if not _EXPERIMENT_NAME.fullmatch(str(name)):
            raise UserError(f"{path}: experiments.{name}: not a valid name; use a-z, 0-9 and _")
        params.experiment(name)
    for name, ensemble in params.ensembles.items():
        if not _EXPERIMENT_NAME.fullmatch(name) or name in params.experiments:
            raise UserError(f"{path}: ensembles.{name}: must be a unique name of a-z, 0-9 and _")
        for member in ensemble.members:
            if member not in params.experiments:
                raise UserError(
                    f"{path}: ensembles.{name}.members: no experiment {member}; {choices(params.experiments, member)}"
                )
    for field, name in _references(params):
        if name not in params.systems:
            raise UserError(f"{path}: {field}: no experiment {name}; {choices(params.systems, name)}")


def _references(params: Params) -> Iterator[tuple[str, str]]:
    """Yield the field and the name wherever params.yaml names an experiment or ensemble."""
    if params.effect.multimodal is not None:
        yield "effect.multimodal", params.effect.multimodal
    for pair in params.stats.pairs or []:
        for name in pair:
            yield "stats.pairs", name
    for place, claim in enumerate(params.claims):
        yield f"claims.{place}", claim.a
        yield f"claims.{place}", claim.b
    for place, system in enumerate(params.published):
        for reproduction in (system.reproduced, system.honest):
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
        raise UserError(f"--set {text}: expected FIELD=VALUE, for example --set lr=1e-4")
    if name not in TrainParams.model_fields:
        raise UserError(f"--set {name}: unknown field; {choices(TrainParams.model_fields, name)}")
    try:
        return name, parse_yaml(value)
    except (YAMLError, ValueError):
        raise UserError(f"--set {name}: {value!r} is not a YAML value") from None


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" line {mark.line + 1}" if mark else ""


def _problem(error: Exception) -> str:
    """Return what is wrong in one line; ruamel's own words for a key that stands twice go on over several."""
    problem = str(getattr(error, "problem", None) or "unreadable").splitlines()[0]
    duplicate = re.match(r"found duplicate key (.*?) with value", problem)
    return f"key {duplicate[1].strip(chr(34))} twice" if duplicate else problem
