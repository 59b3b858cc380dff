"""The command that hints name: the one that works when it is typed."""

import sys
from pathlib import Path

import pytest

from daemon.cli.context import own_command


@pytest.mark.parametrize(
    ("typed", "search", "command"),
    [
        (".venv/bin/inboxd", "/nowhere", ".venv/bin/inboxd"),
        (".venv/bin/inboxd", "other", ".venv/bin/inboxd"),
        (".venv/bin/inboxd", ".venv/bin", "inboxd"),
        ("a b/bin/inboxd", "/nowhere", "'a b/bin/inboxd'"),
        ("daemon/cli/__main__.py", "/nowhere", "inboxd"),
    ],
)
def test_path_is_named_if_the_shell_does_not_find_the_program(
    typed: str, search: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for folder in (".venv/bin", "other", "a b/bin"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "inboxd").touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [typed])
    monkeypatch.setenv("PATH", str(tmp_path / search))
    assert own_command(tmp_path) == command
