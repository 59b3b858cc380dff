"""Daemons forked from a process that has their modules loaded already: they start in milliseconds. Some are broken.

A daemon dies with the server, and the server with the test.
"""

import ctypes
import json
import os
import pkgutil
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from paths import PYTHONPATH

DEADLINE = 90  # seconds; a drain that has not ended by then hangs
LARGE_BYTES = 64 * 1024  # instead of 16 MiB: from here on a file is hashed, and made durable, after its row
_PR_SET_PDEATHSIG = 1  # prctl(2)


@dataclass(frozen=True, kw_only=True)
class Order:
    """The arguments of a daemon."""

    config: str
    log: str
    drain: bool = False
    sabotage: str = ""  # a deliberately broken daemon: see `_SABOTAGE`
    dies_after: str = ""  # the function ("daemon.files.outbox:Outbox.publish") after which it kills itself


class DaemonServer:
    """Starts daemons, waits for their ends."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "power_cut_daemons"],
            env={**os.environ, "PYTHONPATH": PYTHONPATH},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, order: Order) -> int:
        """The process id of a new daemon."""
        return self._ask(asdict(order))

    def wait(self, pid: int) -> int:
        """Its exit status; -9: it was killed, or hung."""
        return self._ask(pid)

    def has_ended(self, pid: int) -> bool:
        """True if the process has ended but its parent has not waited for it."""
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state in "ZX"

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self.wait(pid)

    def stop(self) -> None:
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, question: object) -> int:
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the server of daemons died"
        return json.loads(answer)


# ------------------------------------------------------------------------------------------- in the server process


def _serve() -> None:
    import apscheduler.schedulers.background  # noqa: F401
    import sqlalchemy.dialects.sqlite  # noqa: F401

    import daemon.cli.main  # noqa: F401
    import daemon.server.service  # noqa: F401

    for line in sys.stdin:
        question = json.loads(line)
        print(_fork(Order(**question)) if isinstance(question, dict) else _wait(question), flush=True)
    os._exit(0)


def _fork(order: Order) -> int:
    pid = os.fork()
    if pid == 0:
        _be_daemon(order)
    return pid


def _wait(pid: int) -> int:
    signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
    signal.alarm(DEADLINE)
    _, status = os.waitpid(pid, 0)
    signal.alarm(0)
    return os.waitstatus_to_exitcode(status)


def _be_daemon(order: Order) -> None:
    """Never returns."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    log = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    from daemon import config
    from daemon.cli import logs
    from daemon.core import regular_files
    from daemon.publishing import preparation
    from daemon.server import service

    status = 1
    try:
        logs.set_up(verbose=False)
        regular_files.HASH_INLINE_BYTES = preparation.INLINE_BYTES = LARGE_BYTES
        if order.sabotage:
            _SABOTAGE[order.sabotage]()
        if order.dies_after:
            _die_after(order.dies_after)
        service.serve(config.load(Path(order.config)), drain=order.drain)
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _die_after(path: str) -> None:
    owner, _, name = path.rpartition(".")
    function = getattr(pkgutil.resolve_name(owner), name)

    def last(*arguments: object, **keywords: object) -> None:
        function(*arguments, **keywords)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(pkgutil.resolve_name(owner), name, last)


# ------------------------------------------------------------------------------------------- broken daemons


def _folders_unsynced() -> None:
    from daemon.core import durable

    durable.fsync_folder = lambda folder: None


def _results_unsynced() -> None:
    """Break the daemon: it records a job as done before the rename into the outbox is durable."""
    from daemon.files.outbox import Outbox

    Outbox.fsync_results = lambda self, *paths: None


def _documents_unsynced() -> None:
    from daemon.core import durable

    durable.write_file = lambda path, content: path.write_bytes(content)


def _drops_unsynced() -> None:
    from daemon.core.syncer import Syncer

    Syncer.sync_in_place = lambda self, path: True


def _commits_synced(how: str) -> None:
    from daemon.queue.store import Store

    connect = Store._connect

    def careless(self: Store):
        connection = connect(self)
        connection.execute(f"PRAGMA synchronous = {how}")
        return connection

    Store._connect = careless


_SABOTAGE = {
    "folders_unsynced": _folders_unsynced,
    "results_unsynced": _results_unsynced,
    "documents_unsynced": _documents_unsynced,
    "drops_unsynced": _drops_unsynced,
    "commits_normal": lambda: _commits_synced("NORMAL"),
    "commits_off": lambda: _commits_synced("OFF"),
    "outputs_unsynced": lambda: None,  # in the worker: see `fakes.unsynced`
}

if __name__ == "__main__":
    _serve()
