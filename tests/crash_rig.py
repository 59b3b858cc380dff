"""A daemon that is killed at its n-th step: before or after a rename, link, fsync or commit.

Each daemon is forked from a small server process that has its modules loaded already: quick, and clean of whatever
libraries and threads the tests' own process holds.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from daemon import config, durable, store
from daemon.recovery import Recovery
from daemon.service import Service

COMMIT = "commit"
_CALLS = ("rename_noreplace", "fsync_folder", "write_file", "link_or_copy", "remove_tree", "remove_empty_folders")
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["crash_rig"])


class _Counter:
    """Kills this process at the n-th passage; 0: never."""

    def __init__(self, at: int, report: int):
        self._at = at
        self._report = report
        self._passed = 0

    def wrap(self, name: str, call: Callable) -> Callable:
        def wrapped(*arguments, **keywords):
            self._pass(f"before {name}")
            result = call(*arguments, **keywords)
            self._pass(f"after {name}")
            return result

        return wrapped

    def _pass(self, where: str) -> None:
        self._passed += 1
        os.write(self._report, f"{where}\n".encode())
        if self._passed == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


def run_daemon(settings: config.Settings, *, kill_at: int = 0, sabotage: bool = False) -> tuple[int, list[str]]:
    """A drain; its exit status (-9: killed) and the points it passed. `sabotage`: recovery adopts no taken file."""
    report = settings.state.parent / "points"
    report.unlink(missing_ok=True)
    process = _processes.Process(target=_drain, args=(settings.source, kill_at, report, sabotage))
    process.start()
    process.join(60)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"the daemon hangs after {report.read_text().splitlines()[-1]}")
    return process.exitcode, report.read_text().splitlines()


def _drain(source: Path, kill_at: int, report: Path, sabotage: bool) -> None:
    sys.stderr = sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - until the process ends
    counter = _Counter(kill_at, os.open(report, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    for name in _CALLS:
        setattr(durable, name, counter.wrap(name, getattr(durable, name)))
    store._Transaction.__exit__ = counter.wrap(COMMIT, store._Transaction.__exit__)
    if sabotage:
        Recovery._sweep_or_adopt = lambda self, job_id: None
    Service(config.load(source), drain=True).run()
