"""One daemon with many faulty workers at once, and good jobs beside them: how each ended, and what it cost the daemon.

Run as a program, it is such a daemon with one part broken, for the negative controls.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import DEADLINE, Place, wait_for

NEIGHBORS = 5
_TOML = """
    [inbox]
    text = "count"
    settle_seconds = 0.1
    [recipes.count]
    processor = "plaintext"
    [processors.plaintext]
    keep_alive = "50ms"
    [retry]
    attempts = {attempts}
    backoff = "10ms"
    [workers]
    at_once = {at_once}
    [schedule]
    probe = "100ms"
    unload = "50ms"
"""
_TABLE = """
    [inbox.folders.{name}]
    text = "{name}"
    [recipes.{name}]
    processor = "fakes.misbehaving"
    keep_alive = "50ms"
    {options}
"""


def make_toml(recipes: Mapping[str, str], *, attempts: int = 2, at_once: int = 4) -> str:
    """A folder and a recipe, and therefore a worker, for each of `recipes`: its name and its processor's options."""
    tables = (_TABLE.format(name=name, options=options) for name, options in recipes.items())
    return _TOML.format(attempts=attempts, at_once=at_once) + "".join(tables)


@dataclass(frozen=True, kw_only=True)
class Burden:
    """The memory and descriptors of a process."""

    resident_bytes: int
    peak_bytes: int
    files: int  # open
    threads: int


def burden(pid: int) -> Burden:
    status = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    return Burden(
        resident_bytes=int(status["VmRSS"].split()[0]) * 1024,
        peak_bytes=int(status["VmHWM"].split()[0]) * 1024,
        files=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        threads=int(status["Threads"]),
    )


@dataclass(frozen=True, kw_only=True)
class Aftermath:
    """The state of a daemon after a round of faulty workers."""

    rows: dict[str, dict[str, Any]]  # by file
    charged: dict[str, int]  # attempts, by file
    before: Burden
    after: Burden
    log: str

    def end_of(self, file: str) -> tuple[str, str | None]:
        return self.rows[file]["state"], self.rows[file]["error_kind"]


def live_through(
    place: Place, rounds: Sequence[Mapping[str, str]], parked: Collection[str], together: str = "none"
) -> Aftermath:
    """Run a daemon on rounds of files (file: text), with good files before, among and after them. The jobs of the
    `parked` ones do not end; the files in the folder `together` start only when all of them are queued."""
    daemon = place.start()
    end_of_all(place, drop_neighbors(place, "before"))
    wait_for(lambda: _is_alone(place, daemon.pid), "the end of the idle worker")
    before = burden(daemon.pid)
    for number, drops in enumerate(rounds):
        gathered = {file for file in drops if file.startswith(f"{together}/")}
        gate = place.home / f"gate {number}"
        if gathered:
            place.drop(f"{together}/gate.txt", f"wait_for {gate}")
            wait_for(
                lambda: place.rows("SELECT 1 FROM job_log WHERE state = 'running'"),
                "the job that keeps the others waiting",
            )
        for file, text in drops.items():
            place.drop(file, os.fsencode(text))
        wait_for(lambda names=gathered: names <= {row["file"] for row in place.rows()}, "all that start together")
        gate.touch()
        files = [*(file for file in drops if file not in parked), *drop_neighbors(place, f"among {number}")]
        end_of_all(place, files, deadline=600.0)
    end_of_all(place, drop_neighbors(place, "after"))
    waiting = {file: wait_for(lambda file=file: _waiting(place, file), f"{file} to wait") for file in parked}
    for row in waiting.values():  # otherwise its worker would be started repeatedly
        place.inboxd("cancel", row["id"])
    wait_for(lambda: _is_alone(place, daemon.pid), "the end of all workers and of the processes that they started")
    after = burden(daemon.pid)
    rows = {row["file"]: row for row in place.rows()} | waiting
    charges = place.rows("SELECT folder, name, charged FROM jobs")
    stop(daemon)
    place.verify()
    charged = {f"{row['folder']}/{row['name']}": row["charged"] for row in charges}
    return Aftermath(rows=rows, charged=charged, before=before, after=after, log=place.log())


def _is_alone(place: Place, daemon: int) -> bool:
    """True if no worker or child of a worker is alive, and the daemon has handled the exit of each."""
    log = place.log()
    return processes_of(place) == [daemon] and log.count(" is loading (process ") == log.count(" has exited\n")


def _waiting(place: Place, file: str) -> dict[str, Any] | None:
    row = place.row(file)
    return row if row and row["waiting_for"] else None


def end_of_all(place: Place, files: Iterable[str], deadline: float = DEADLINE) -> None:
    """Wait until all of these jobs have ended."""
    waiting = set(files)

    def have_ended() -> bool:
        ended = place.rows("SELECT folder, name FROM jobs WHERE state IN ('done', 'failed', 'cancelled')")
        return waiting <= {f"{row['folder']}/{row['name']}".removeprefix("/") for row in ended}

    wait_for(have_ended, "the end of all jobs", deadline)


def processes_of(place: Place) -> list[int]:
    """The daemon, its workers and their children, in any session: all processes whose working directory is the
    place."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/cwd").samefile(place.home):
                found.append(int(pid))
    return found


def kill_all_but(place: Place, daemon: int) -> None:
    for pid in processes_of(place):
        if pid != daemon:
            os.kill(pid, signal.SIGKILL)


def drop_neighbors(place: Place, name: str) -> list[str]:
    return [place.drop(f"{name} {number}.txt", "well").name for number in range(NEIGHBORS)]


def start_broken(place: Place, sabotage: str) -> subprocess.Popen:
    """Start a daemon with one part broken, and wait until it is ready."""
    daemon = subprocess.Popen(
        [sys.executable, __file__, sabotage, "run", "--config", str(place.config)],
        cwd=place.home,
        env=place.environment(),
        stderr=subprocess.DEVNULL,
    )
    place.adopt(daemon)
    wait_for(lambda: (place.state / "inboxd.sock").exists(), "the daemon's readiness")
    return daemon


def stop(daemon: subprocess.Popen) -> None:
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(30) == 0


def _sabotage(name: str) -> None:
    from daemon.workers import supervisor, worker_process
    from processors import memory, protocol

    match name:
        case "main-thread-writes":  # and waits for the pipe to take it

            def send(worker, message):
                stdin = worker.connection._process.stdin.fileno()
                os.set_blocking(stdin, True)
                rest = protocol.encode(message)
                while rest:
                    rest = rest[os.write(stdin, rest) :]

            supervisor.Worker.send = send
        case "end-is-end-of-file":  # of stdout, whichever process holds it

            def serve(self):
                self._selector.register(self._process.stdout, 1, self._read_stdout)
                self._selector.register(self._wake, 1, self._write)
                while self._exit_by is None:
                    for key, _ in self._selector.select(None):
                        key.data()

            worker_process.WorkerProcess._serve = serve
        case "memory-is-not-looked-at":
            memory.held_bytes = lambda pid, limit: 0


if __name__ == "__main__":
    _sabotage(sys.argv.pop(1))
    from daemon.cli.main import main

    main()
