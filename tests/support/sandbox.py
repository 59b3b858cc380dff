"""A folder with an inbox, in which tests drop files and run real daemons; and waiting for a condition."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import forked_inboxd
import pytest
from paths import PYTHONPATH

from daemon import config
from daemon.core.errors import NotRunning
from daemon.server import control_socket

DEADLINE = 60.0  # seconds; what has not come by then will not


def wait_for(condition: Callable[[], Any], what: str = "the condition", deadline: float = DEADLINE) -> Any:
    """The first true value of `condition`; fails the test if none comes."""
    until, pause = time.monotonic() + deadline, 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            pytest.fail(f"{what} did not come within {deadline:g} s")
        time.sleep(pause)
        pause = min(1.3 * pause, 0.04)  # poll a slow condition less often, because polling slows the daemon


class Place:
    """A folder with config.toml, inbox, outbox and state, as a user has it."""

    SLOW_TO_SETTLE = """
        [inbox]
        text = "count"
        settle_seconds = 3600
        [recipes.count]
        processor = "plaintext"
    """
    TEXT = """
        [inbox]
        text = "count"
        settle_seconds = 0.3
        [recipes.count]
        processor = "plaintext"
        [retry]
        backoff = "50ms"
        [schedule]
        probe = "300ms"
    """

    def __init__(self, home: Path, toml: str = TEXT):
        self.home = home
        self.inbox, self.outbox, self.state = home / "inbox", home / "outbox", home / "state"
        self.config = home / "config.toml"
        self.write_config(toml)
        self.inbox.mkdir(exist_ok=True)
        self._daemons: list[forked_inboxd.Inboxd | subprocess.Popen] = []

    def write_config(self, toml: str) -> None:
        self.config.write_text(toml)

    def settings(self) -> config.Settings:
        return config.load(self.config)

    def drop(self, name: str, content: str | bytes = "some text\n") -> Path:
        """Put a file into the inbox as careful people do: complete, by rename."""
        path = self.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        hidden = path.parent / f".{path.name[:100]}.new"
        hidden.write_bytes(content.encode() if isinstance(content, str) else content)
        hidden.rename(path)
        return path

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": PYTHONPATH, "COLUMNS": "200"}

    def inboxd(self, *arguments: str, check: int | None = 0, timeout: float = DEADLINE) -> subprocess.CompletedProcess:
        """Run the command to its end."""
        done = forked_inboxd.run(
            [*arguments, "--config", str(self.config)], cwd=self.home, env=self.environment(), timeout=timeout
        )
        if check is not None:
            assert done.returncode == check, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def drain(self, check: int | None = 0, timeout: float = DEADLINE) -> subprocess.CompletedProcess:
        return self.inboxd("run", "--drain", check=check, timeout=timeout)

    def start(self, **environment: str) -> forked_inboxd.Inboxd | subprocess.Popen:
        """A daemon in the background, ready; with these variables in its environment."""
        arguments = ["run", "--config", str(self.config)]
        how = {"cwd": self.home, "env": {**self.environment(), **environment}}
        with (self.home / "daemon.log").open("ab") as log:
            if environment:  # which may act on the Python itself
                program = [sys.executable, "-m", "daemon.cli", *arguments]
                daemon = subprocess.Popen(program, **how, stdout=log, stderr=log)
            else:
                daemon = forked_inboxd.Inboxd(arguments, **how, stdout=log, stderr=log)
        self.adopt(daemon)
        self.wait_until_ready(daemon)
        return daemon

    def wait_until_ready(self, daemon: forked_inboxd.Inboxd | subprocess.Popen) -> None:
        socket = self.settings().socket

        def answers() -> bool:
            try:
                return control_socket.ask(socket, "status")["ok"]
            except NotRunning:
                return False

        wait_for(lambda: daemon.poll() is not None or answers(), "the daemon's readiness")
        assert daemon.poll() is None, self.log()

    def adopt(self, daemon: forked_inboxd.Inboxd | subprocess.Popen) -> None:
        """A daemon that a test started itself; it is ended with the others."""
        self._daemons.append(daemon)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()

    def stop_all(self) -> None:
        for daemon in self._daemons:
            if daemon.poll() is None:
                daemon.send_signal(signal.SIGKILL)
            daemon.wait()

    def log(self) -> str:
        return (self.home / "daemon.log").read_text()

    def rows(self, query: str = "SELECT * FROM job_log ORDER BY received_at") -> list[dict[str, Any]]:
        """Rows of the job log; none before there is one."""
        try:
            connection = sqlite3.connect(f"{(self.state / 'jobs.db').as_uri()}?mode=ro", uri=True, timeout=10)
        except sqlite3.OperationalError:
            return []
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(query)]
        except sqlite3.DatabaseError:  # not made yet, or being replaced
            return []
        finally:
            connection.close()

    def row(self, file: str) -> dict[str, Any] | None:
        return next((row for row in self.rows() if row["file"] == file), None)

    def ended(self, file: str, deadline: float = DEADLINE) -> dict[str, Any]:
        """The row of a file, once its job has ended."""

        def look() -> dict[str, Any] | None:
            row = self.row(file)
            return row if row and row["state"] in ("done", "failed", "cancelled") else None

        return wait_for(look, f"the end of {file}", deadline)

    def result(self, file: str) -> dict[str, Any]:
        """result.json of a file that is done."""
        row = self.row(file)
        assert row is not None and row["state"] == "done", row
        return json.loads((self.outbox / row["result_path"] / "result.json").read_text())

    def verify(self) -> None:
        self.inboxd("verify")
