"""The published projects whose statements are asked again: what they are, and the differences that they published."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import pydantic
from ruamel.yaml.error import YAMLError

from skinlesion.analysis.published_results import FOLDER, PROJECTS_NAME, check, read_entry
from skinlesion.errors import UserError, one_line
from skinlesion.params.yaml_text import parse_yaml
from skinlesion.reading import fitting, read_text

_REMEDY = "see docs/registry.md"
_Name = Annotated[str, pydantic.Field(pattern=r"^[a-z0-9_]{1,64}$")]


class MetadataPair(pydantic.BaseModel):
    """A project's entries without metadata and with them."""

    model_config = pydantic.ConfigDict(extra="forbid", populate_by_name=True)
    without: _Name
    with_metadata: _Name = pydantic.Field(alias="with")


class Project(pydantic.BaseModel):
    """One project.

    Attributes:
        about: what it is, in one line.
        entries: its entries of the registry.
        repository: owner/name, where no entry says it.
        metadata: the entries that it compares, where it published a model without metadata and one with them.
    """

    model_config = pydantic.ConfigDict(extra="forbid")
    about: Annotated[str, pydantic.Field(min_length=1, max_length=300)]
    entries: list[_Name] = []
    repository: Annotated[str, pydantic.Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    metadata: MetadataPair | None = None


class _Projects(pydantic.RootModel[dict[str, Project]]):
    """The whole file."""


def read_projects(folder: Path = FOLDER) -> dict[str, Project]:
    """Return the projects by the name that claims call them, each with its repository.

    Raises:
        UserError: the file is missing or not of this form, or an entry that it names is.
    """
    path = folder / PROJECTS_NAME
    try:
        content = parse_yaml(read_text(path, _REMEDY))
    except YAMLError as error:
        raise UserError(f"{path}: not YAML ({one_line(getattr(error, 'problem', error))}); {_REMEDY}") from None
    projects: dict[str, Project] = fitting(content, _Projects, str(path), _REMEDY).root
    for name, project in projects.items():
        if project.repository is None:
            if not project.entries:
                raise UserError(f"{path}: {name}: neither entries nor repository; {_REMEDY}")
            source = read_entry(folder / f"{project.entries[0]}.yaml").source
            projects[name] = project.model_copy(update={"repository": source.repository})
    return projects


def projects_named(texts: Iterable[str], projects: Iterable[str]) -> list[str]:
    """Return the projects that texts mention, in the order of `projects`."""
    words = {word for text in texts for word in re.findall(r"\w+", text)}
    return [name for name in projects if name in words]


def published_gain(project: Project, metrics: Iterable[str], folder: Path = FOLDER) -> tuple[dict[str, float], str]:
    """Return metric → published value with metadata minus that without, empty where the project compares no such pair,
    and by what its images were split.

    Values are those that follow from the published counts of answers.

    Raises:
        UserError: an entry is missing or damaged.
    """
    if project.metadata is None:
        return {}, ""
    without, with_metadata = (
        check(name, read_entry(folder / f"{name}.yaml"))
        for name in (project.metadata.without, project.metadata.with_metadata)
    )
    shared = [metric for metric in metrics if metric in without.values and metric in with_metadata.values]
    gains = {metric: with_metadata.values[metric] - without.values[metric] for metric in shared}
    return gains, with_metadata.entry.split.unit
