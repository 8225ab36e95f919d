"""The generated references name every command, option, metric and parameter, each with what it is."""

import re

import commands_page
import fills
import links
import metrics_page
import outputs
import pytest

import skinlesion
from skinlesion.cli import app
from skinlesion.evaluation.registry import METRICS
from skinlesion.params import Params, Section
from tests.conftest import ROOT


def test_every_command_has_a_section_with_what_its_help_lists():
    from typer.testing import CliRunner

    text = fills.table("commands")
    listed = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    for name, command in commands_page.commands().items():
        assert text.count(f"\n### {name}\n") == 1
        assert f" {name} " in listed or name == "code"
        section = text.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
        help_text = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).output
        documented_parameters = commands_page.parameters(command)
        for parameter in documented_parameters:
            assert parameter.text, f"{name} {parameter.names}"
            for spelling in parameter.names:
                assert f"`{spelling}`" in section
                assert not parameter.is_option or spelling in help_text, f"{name} {spelling}"
        options = set(re.findall(r"^│ +(--[\w-]+)", help_text, re.MULTILINE)) - {"--help"}
        assert options <= {spelling for item in documented_parameters for spelling in item.names}, name


def test_every_parameter_is_listed_once_in_its_section():
    text = fills.table("parameters")

    def check(section: type[Section], heading: str):
        section_text = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        for name, field in section.model_fields.items():
            rows = [line for line in section_text.splitlines() if line.startswith((f"| `{name}` |", f"| [`{name}`]("))]
            assert len(rows) == 1, f"{heading}.{name}"
            assert field.description is None or rows[0].count("|") >= 5
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                check(field.annotation, f"{heading}.{name}")

    for name, field in Params.model_fields.items():
        assert f"`{name}`" in text
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            check(field.annotation, name)
    for entries in ("external.[n]", "ensembles.NAME", "claims.[n]", "published.[n]"):
        assert f"\n## {entries}\n" in text


def test_ranges_choices_and_defaults_are_in_words():
    text = fills.table("parameters")
    assert "| `images` | whole number, 20 to 100,000 | `2000` |" in text
    assert "| `fusion` | `none`, `concat`, `film`, `cross_attention`, `metablock`, `metadata_only` | `none` |" in text
    assert "| `lr` | number, above 0, at most 10 | `0.001` |" in text
    assert "| `clip_norm` | number, above 0, at most 1,000,000 or `null` | `null` |" in text


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_metric_has_a_definition_and_a_source(metric):
    section = fills.table("metrics").partition(f"\n### {metric.title}\n")[2].partition("\n### ")[0]
    assert metrics_page.definition(metric) in section
    assert len(metrics_page.definition(metric).split()) > 3
    assert metrics_page.sources(metric)
    assert all(f"- Source: {source}" in section for source in metrics_page.sources(metric))


def test_the_python_page_shows_the_interface_and_modules_that_exist():
    for name in skinlesion.__all__:
        assert f"::: {fills.API}.{name}\n" in fills.fill("api")
    for name in fills.STATISTICS:
        assert (ROOT / "skinlesion" / "stats" / f"{name}.py").is_file()
        assert f"::: skinlesion.stats.{name}\n" in fills.fill("statistics")


def test_the_navigation_names_every_page_and_no_other():
    """As `mkdocs build --strict` demands."""
    text = (ROOT / "docs/site/mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    named = re.findall(r": (\S+\.md)$", text, re.MULTILINE)
    page_paths = {page.relative_to(ROOT / "docs").as_posix() for page in outputs.pages()}
    assert page_paths <= set(named) <= page_paths | set(links.OUTSIDE)
    assert len(named) == len(set(named))
