"""`inboxd watch`, in a real terminal (a pty) and in a pipe."""

import contextlib
import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator

import pytest
import requires
from rich.console import Console
from sandbox import Place, wait_for

from daemon.cli import views, watch
from daemon.server import api

_SIZE = struct.pack("HHHH", 30, 120, 0, 0)  # rows, columns
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def _command(place: Place) -> list[str]:
    return [sys.executable, "-m", "daemon.cli", "watch", "--config", str(place.config)]


class Terminal:
    """A terminal in which `inboxd watch` runs."""

    def __init__(self, place: Place):
        requires.terminal()
        self._ours, self._theirs = pty.openpty()
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, _SIZE)
        self.before = self.settings
        environment = {name: value for name, value in place.environment().items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            _command(place),
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            env={**environment, "TERM": "xterm"},
        )
        self.raw = b""  # everything written to it

    @property
    def settings(self) -> list:
        return termios.tcgetattr(self._theirs)

    def shows(self, words: str) -> bool:
        """True if it has shown this at any time."""
        while select.select([self._ours], [], [], 0)[0]:
            self.raw += os.read(self._ours, 65536)
        return words in _ESCAPES.sub("", self.raw.decode(errors="replace"))

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)


@pytest.fixture
def terminal(place: Place) -> Iterator[Terminal]:
    with contextlib.closing(Terminal(place)) as made:
        yield made


def test_terminal_follows_the_daemon_and_is_restored_at_q(place: Place, terminal: Terminal):
    wait_for(lambda: terminal.shows("No inboxd is running here"), "the daemon's absence")
    place.drop("evil\x1b]0;owned\x07name.txt")
    place.start()
    wait_for(lambda: terminal.shows("1 done"), "the result")
    wait_for(lambda: terminal.shows("evil\\x1b]0;owned\\x07name"), "its name")
    assert terminal.shows("plaintext") and terminal.shows(" MB"), "worker and memory"
    assert b"\x1b]0;owned" not in terminal.raw
    terminal.type(b"x")
    terminal.type(b"q")
    wait_for(lambda: terminal.shows("") and terminal.process.poll() is not None, "its end")
    assert terminal.process.returncode == 0 and terminal.settings == terminal.before


def test_pipe_gets_one_line_per_event_whatever_the_file_name(place: Place):
    output = place.home / "output.txt"
    with output.open("w") as out:
        watching = subprocess.Popen(_command(place), stdout=out, stdin=subprocess.DEVNULL, env=place.environment())
    try:
        wait_for(lambda: "daemon is not running" in output.read_text(), "the daemon's absence")
        daemon = place.start()
        wait_for(lambda: f"daemon is running: process {daemon.pid}" in output.read_text(), "the daemon")
        place.drop("new\nline.txt")
        wait_for(lambda: " done new\\x0aline.txt: new\\x0aline" in output.read_text(), "the end of the job")
    finally:
        watching.terminate()
        watching.wait()
    lines = output.read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ([0-9a-f]{8}|daemon) ", line) for line in lines), lines
    assert [line.split()[3] for line in lines if "new\\x0aline" in line][:2] == ["queued", "running,"]


def test_progress_has_a_bar_if_the_total_is_known():
    running = [
        {
            **{"job": "7418f7bc", "file": f"{name}.pdf", "recipe": "read", "processor": "vlm", "attempt": 1},
            "started_at_us": 1_000_000,
            "progress": {"done": 3, "total": total, "unit": "pages"},
        }
        for name, total in (("known", 10), ("unknown", None))
    ]
    worker = {
        "processor": "vlm",
        "pid": os.getpid(),
        "state": "busy",
        "model": "Qwen",
        "device": "cpu",
        "loading": None,
    }
    answer = {
        **{"version": "1", "pid": os.getpid(), "uptime_seconds": 5, "inbox": "in", "outbox": "out"},
        **{"jobs": {"running": 2}},
        **{"running": running, "workers": [worker], "closed": None, "left_in_inbox": {}, "watch_problems": {}},
        "unplaced": {".taken/7418f7bc/x.txt": "Internal error during recovery"},
        "waiting": [{"for": "weights", "files": ["x"], "count": 1}] * 20,
    }
    console = Console(width=120, record=True, file=io.StringIO())
    reply = api.StatusReply.model_validate(answer)
    for part in watch.daemon_parts(reply, ["GPU 0: H200"]):
        console.print(part)
    text = console.export_text()
    assert "3 of 10 pages" in text and "━" in text and "3 pages" in text
    assert "Qwen" in text and "GPU 0: H200" in text and "and 13 more; see `inboxd status`" in text
    shown = Console(width=120, record=True, file=io.StringIO())
    shown.print(*views.problem_lines(reply))
    assert ".taken/7418f7bc/x.txt: Internal error during recovery" in shown.export_text()


def test_long_reason_hides_no_other_column():
    row = {
        "id": "7418f7bc-aa",
        "received_at": "2026-01-01T10:00:00.000Z",
        "file": "bank/february.pdf",
        "recipe": "read",
    }
    row |= {"state": "failed", "review": None, "run_seconds": 3.25, "result_path": None, "waiting_for": None}
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(views.JobsTable([{**row, "error": "This PDF is damaged. " * 20}]))
    text = console.export_text()
    for whole in ("7418f7bc", "01-01 10:00", "bank/february", "read", "failed", "3.2", "This PDF is damaged."):
        assert whole in text, text
    assert len(text.splitlines()) == 2, text
