"""The address that `inboxd web` shows in a terminal."""

import contextlib
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requires
from sandbox import Place, wait_for


def _start(place: Place, stderr: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "daemon.cli", "web", "--config", str(place.config)]
    return subprocess.Popen(command, cwd=place.home, env=place.environment(), stderr=stderr)


@pytest.fixture
def in_terminal(tmp_path: Path):
    """A place, and a function that starts `inboxd web` in a terminal and returns what it shows, up to a pattern."""
    requires.terminal()
    with Place(tmp_path) as place:
        ours, theirs = os.openpty()

        os.set_blocking(ours, False)

        def run(listen: str, pattern: str) -> str:
            place.write_config(f'{Place.TEXT}\n[web]\nlisten = "{listen}"\n')
            place.adopt(_start(place, theirs))
            shown: list[str] = []

            def is_shown() -> bool:
                with contextlib.suppress(BlockingIOError):
                    shown.append(os.read(ours, 4096).decode())
                return re.search(pattern, "".join(shown)) is not None

            wait_for(is_shown, pattern)
            return "".join(shown)

        yield place, run
        os.close(ours)
        os.close(theirs)


def test_address_has_the_port_that_the_kernel_chose_and_the_token(in_terminal):
    place, run = in_terminal
    pattern = r"Open http://127\.0\.0\.1:(\d+)/login#(\S+)\r?\n"
    found = re.search(pattern, run("127.0.0.1:0", pattern))
    assert found and int(found[1]) > 0 and found[2] == (place.state / "web-token").read_text().strip()


def test_address_that_another_program_uses_is_not_shown(in_terminal):
    _, run = in_terminal
    with socket.create_server(("127.0.0.1", 0)) as other:
        shown = run(f"127.0.0.1:{other.getsockname()[1]}", r"set \[web\] listen")
    assert "Cannot listen" in shown and "Open" not in shown
