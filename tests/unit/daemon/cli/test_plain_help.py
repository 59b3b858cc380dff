"""The help of every command."""

import re

import pytest
import typer
from typer.testing import CliRunner

from daemon.cli.main import app

_GROUP = typer.main.get_command(app)
_COMMANDS = [
    [],
    *([name] for name in _GROUP.commands),
    *([name, below] for name in ("layouts", "config") for below in _GROUP.commands[name].commands),
]


@pytest.mark.parametrize("words", [words for words in _COMMANDS if words != ["models"]], ids=" ".join)
def test_option_without_a_value_shows_no_type(words: list[str]):
    shown = CliRunner().invoke(app, [*words, "--help"]).output
    assert "--help" in shown and "<bool>" not in shown


def test_option_with_a_value_shows_its_type():
    assert re.search("--group +<str>", CliRunner().invoke(app, ["install", "--help"]).output)
