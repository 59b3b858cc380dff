"""inboxd in a lab: its code in a folder of its own, and the service, as an administrator and its users handle it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from lab import Lab
from sandbox import Place, wait_for

_HOMES = ("/root", "/home")
_PARTS = ("daemon", "processors", "systemd", "docs", "samples", "config.toml", "README.md", "tests")
_COMMAND = """#!{venv}/bin/python
from daemon.cli.main import main
main()
"""  # what pip writes for [project.scripts]
# by a process inside: SQLite follows the links in a path, and those of /proc lead out of the lab
_ROWS = """
import json, sqlite3, sys
connection = sqlite3.connect("file:/var/lib/inboxd/state/jobs.db?mode=ro", uri=True, timeout=10)
connection.row_factory = sqlite3.Row
print(json.dumps([dict(row) for row in connection.execute(sys.argv[1])]))
"""


def python_for_all() -> str | None:
    """A Python of the version of this one, as the libraries beside it need, that every user may start."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for folder in (Path(sys.base_prefix, "bin"), Path("/usr/bin"), Path("/usr/local/bin")):
        path = (folder / name).resolve()
        if path.exists() and not str(path).startswith(_HOMES):
            return str(path)
    return None


def bring_in(lab: Lab, target: str) -> str:
    """Put the code of this checkout into `target`, with a virtual environment, as a clone and `make install` do."""
    venv = f"{target}/.venv"
    lab.run("mkdir", "-p", target)
    lab.run("cp", "-r", *(f"/checkout/{part}" for part in _PARTS), target)
    lab.run(python_for_all() or "python3", "-m", "venv", "--without-pip", venv)
    packages = f"{venv}/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    # /opt/packages: the libraries of the environment that these tests run in; fetching them again would take minutes
    lab.path(f"{packages}/inboxd.pth").write_text(f"{target}\n{target}/tests/support\n/opt/packages\n")
    lab.path(f"{venv}/bin/inboxd").write_text(_COMMAND.format(venv=venv))
    lab.path(f"{venv}/bin/inboxd").chmod(0o755)
    return target


class Installed(Place):
    """The installed service. What `Place` reads, it reads from outside; commands run inside."""

    TOML = """
        [paths]
        inbox = "/var/lib/inboxd/inbox"
        outbox = "/var/lib/inboxd/outbox"
        state = "/var/lib/inboxd/state"
        [inbox]
        text = "do"
        settle_seconds = 0.2
        [recipes.do]
        processor = "fakes.misbehaving"
        [recipes.count]
        processor = "plaintext"
        [retry]
        backoff = "50ms"
        [workers]
        stop_seconds = 2
    """

    def __init__(self, lab: Lab):
        self.lab = lab
        self.home = lab.path("var/lib/inboxd")
        self.inbox, self.outbox, self.state = (self.home / name for name in ("inbox", "outbox", "state"))
        self.config = lab.path("etc/inboxd/config.toml")

    def rows(self, query: str = "SELECT * FROM job_log ORDER BY received_at") -> list[dict[str, Any]]:
        done = self.lab.run(python_for_all() or "", "-I", "-c", _ROWS, query, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else []  # not made yet, or being replaced

    def configure(self, toml: str = TOML) -> None:
        """Restart the service with these settings."""
        self.write_config(toml)
        self.systemctl("restart", "inboxd")

    def add_drop_in(self, lines: str) -> None:
        folder = self.lab.path("etc/systemd/system/inboxd.service.d")
        folder.mkdir(exist_ok=True)
        (folder / "test.conf").write_text(lines)
        self.systemctl("daemon-reload")
        self.systemctl("restart", "inboxd")

    def forget_changes(self) -> None:
        """The unit and the settings as they were, and no job in the way of the next test."""
        self.lab.run("rm", "-rf", "/etc/systemd/system/inboxd.service.d")
        self.systemctl("daemon-reload")
        self.systemctl("reset-failed")
        self.configure()
        for row in self.rows("SELECT id FROM job_log WHERE state IN ('queued', 'running')"):
            self.inboxd("cancel", row["id"], check=None)

    def inboxd(
        self, *arguments: str, check: int | None = 0, timeout: float = 60.0, user: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the command as a user has it in the PATH."""
        done = self.lab.run("inboxd", *arguments, user=user, check=False)
        if check is not None:
            assert done.returncode == check, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def systemctl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.lab.run("systemctl", *arguments, check=check)

    def shows(self, name: str) -> str:
        """A property of the unit."""
        return self.systemctl("show", "--property", name, "--value", "inboxd").stdout.strip()

    def kill(self, signal: str) -> None:
        """Send a signal to the daemon alone."""
        self.lab.run("kill", f"-{signal}", self.shows("MainPID"))

    def journal(self, *matches: str, output: str = "cat") -> str:
        return self.lab.run("journalctl", "--unit", "inboxd", "--output", output, "--no-pager", *matches).stdout

    def running(self, file: str) -> dict[str, Any]:
        """The row of a file, once it is being worked on."""

        def look() -> dict[str, Any] | None:
            row = self.row(file)
            return row if row and row["state"] == "running" else None

        return wait_for(look, f"work on {file}")

    def waits(self, file: str, deadline: float) -> str:
        """What a file waits for, once it does."""
        return wait_for(lambda: (self.row(file) or {}).get("waiting_for"), f"{file} to wait", deadline)
