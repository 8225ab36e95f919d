"""Help: every command is in a panel, with examples that its own options accept."""

import shlex

import pytest
import typer

from skinlesion.cli.app import PIPELINE, PREDICTIONS, SHARE, START, app

GROUP = typer.main.get_command(app)
COMMANDS = {name: command for name, command in GROUP.commands.items() if not command.hidden}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_a_panel_and_two_examples_that_parse(name, monkeypatch):
    command = COMMANDS[name]
    assert command.rich_help_panel in (START, PIPELINE, PREDICTIONS, SHARE)
    title, *examples = command.epilog.split("\n\n")
    assert title == "Examples:"
    assert len(examples) >= 2
    for example in examples:
        words = shlex.split(example.partition(" | ")[0])
        assert words[:2] == ["skinlesion", name]
        command.make_context(name, words[2:])  # raises where an option or a value is wrong


def test_an_experiment_is_named_in_one_way(run, tmp_path):
    outcome = run("train", "--help", cwd=tmp_path)
    assert "[name]" in outcome.out
    assert "--experiment" not in outcome.out
    both = run("train", "image", "--experiment", "concat", cwd=tmp_path)
    assert (both.code, both.err) == (2, "error: image: --experiment names concat; give one name\n")
    both = run("ensemble", "all", "--name", "some", cwd=tmp_path)
    assert (both.code, both.err) == (2, "error: all: --name names some; give one name\n")
