"""The command `inboxd` in processes forked from a server process that has already imported its modules.

An interpreter that imports them takes 0.4 s of CPU time; a fork takes 0.02 s, and the tests run the command hundreds of
times. A variable that acts when the interpreter starts (PYTHONIOENCODING, LC_ALL) needs a server of its own: pass it as
`interpreter`. A test of a variable that acts when the program is loaded (LD_PRELOAD, TZ), or of a program around the
daemon, must start the interpreter itself.
"""

import array
import atexit
import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, NoReturn

from paths import PYTHONPATH, ROOT

_ROOT = ROOT
_MAX_ORDER_BYTES = 2**20
_FDS = 3  # with each order: stdout, stderr, and the pipe for its exit status
_NONE: Mapping[str, str] = {}


class Inboxd:
    """One running `inboxd`, with the interface of a Popen."""

    def __init__(
        self,
        arguments: list[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdout: IO,
        stderr: IO,
        interpreter: Mapping[str, str] = _NONE,
    ):
        self.args = ["inboxd", *arguments]
        self.returncode: int | None = None
        variables = [_to_wire(text) for pair in {**env, **interpreter}.items() for text in pair]
        order = {"arguments": [_to_wire(text) for text in arguments], "cwd": _to_wire(str(cwd)), "env": variables}
        self._ended, theirs = os.pipe()
        try:
            server = _server(frozenset(interpreter.items()))
            socket.send_fds(server, [json.dumps(order).encode()], [stdout.fileno(), stderr.fileno(), theirs])
        finally:
            os.close(theirs)
        self.pid = int(server.recv(32))

    def poll(self) -> int | None:
        return self._reap(0)

    def wait(self, timeout: float | None = None) -> int:
        if self._reap(timeout) is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _reap(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], timeout)[0]:
            status = os.read(self._ended, 32)
            os.close(self._ended)
            assert status, "the server that forks inboxd has ended"
            self.returncode = int(status)
        return self.returncode


def run(
    arguments: list[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    interpreter: Mapping[str, str] = _NONE,
    encoding: str = "utf-8",
) -> subprocess.CompletedProcess:
    """Like subprocess.run with captured text."""
    with (
        tempfile.TemporaryFile("w+", encoding=encoding) as stdout,
        tempfile.TemporaryFile("w+", encoding=encoding) as stderr,
    ):
        running = Inboxd(arguments, cwd=cwd, env=env, stdout=stdout, stderr=stderr, interpreter=interpreter)
        try:
            status = running.wait(timeout)
        except BaseException:
            running.kill()
            running.wait()
            raise
        for file in (stdout, stderr):
            file.seek(0)
        return subprocess.CompletedProcess(running.args, status, stdout.read(), stderr.read())


def _to_wire(text: str) -> str:
    """The bytes of an argument or a variable, one character each: the server decodes them as its locale says."""
    return os.fsencode(text).decode("latin-1")


def _from_wire(text: str) -> str:
    return os.fsdecode(text.encode("latin-1"))


@functools.cache
def _server(interpreter: frozenset[tuple[str, str]]) -> socket.socket:
    """The connection to a server whose interpreter started with these variables; it ends with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen(
        [sys.executable, "-m", "forked_inboxd", str(theirs.fileno())],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "COLUMNS": "200", **dict(interpreter)},
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
    )
    theirs.close()

    def stop() -> None:
        ours.close()
        process.wait()

    atexit.register(stop)
    return ours


# ------------------------------------------------------------------------------------------- in the server process


def _serve(orders: socket.socket) -> bool:
    """Fork for each order. True in the new process, which is set up as an `inboxd`; False after the last order."""
    running: dict[int, tuple[int, int]] = {}  # descriptor of the process: its id, and the pipe for its exit status
    poll = select.poll()
    poll.register(orders, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready != orders.fileno():
                pid, status = running.pop(ready)
                poll.unregister(ready)
                os.close(ready)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with contextlib.suppress(BrokenPipeError):  # the test no longer waits for it
                    os.write(status, str(code).encode())
                os.close(status)
                continue
            order, fds = _receive(orders)
            if not order:
                return False
            pid = os.fork()
            if pid == 0:
                _become(json.loads(order), fds)
                return True
            running[os.pidfd_open(pid)] = (pid, fds[2])
            poll.register(list(running)[-1], select.POLLIN)
            os.close(fds[0])
            os.close(fds[1])
            orders.send(str(pid).encode())


def _receive(orders: socket.socket) -> tuple[bytes, list[int]]:
    fds = array.array("i")
    order, ancillary, _, _ = orders.recvmsg(_MAX_ORDER_BYTES, socket.CMSG_SPACE(_FDS * fds.itemsize))
    for _, _, data in ancillary:
        fds.frombytes(data)
    return order, list(fds)


def _become(order: dict, fds: list[int]) -> None:
    os.dup2(fds[0], 1)
    os.dup2(fds[1], 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(_from_wire(order["cwd"]))
    variables = [_from_wire(text) for text in order["env"]]
    os.environ.clear()
    os.environ.update(zip(variables[::2], variables[1::2], strict=True))
    sys.argv = ["inboxd", *map(_from_wire, order["arguments"])]


def _end_without_finalization(main: Callable[[], None]) -> NoReturn:
    """End as the interpreter does after `main`, except that no module is cleared: that takes 0.04 s of CPU time."""
    code: str | int | None = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()  # waits for the threads
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError):  # a pipe that nobody reads
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else bool(code))


def _load_all() -> None:
    """Import what a command or the daemon imports only when it needs it."""
    import apscheduler.schedulers.background
    import sqlalchemy.dialects.sqlite

    from daemon.cli import main as cli
    from daemon.cli import process_files, terminal, views
    from daemon.doctor import checks
    from daemon.files import folders
    from daemon.install import install
    from daemon.queue import backup
    from daemon.recovery import verify
    from daemon.search import hits, update
    from daemon.server import correction_client, service
    from daemon.telemetry import metrics
    from daemon.workers import supervisor
    from processors import ocr, plaintext, vlm, whisper
    from processors.statements.layouts import store

    loaded = [
        apscheduler,
        sqlalchemy,
        cli,
        process_files,
        terminal,
        views,
        checks,
        folders,
        install,
        backup,
        verify,
        hits,
    ]
    loaded += [hits, update, correction_client, service, metrics, supervisor, ocr, plaintext, vlm, whisper, store]
    assert all(loaded)


if __name__ == "__main__":
    import gc

    _load_all()
    gc.freeze()  # or each process would copy all pages once its collector runs
    orders_in = socket.socket(fileno=int(sys.argv[1]))
    if _serve(orders_in):
        orders_in.detach()  # its descriptor is closed already, and may be another's soon
        from daemon.cli.main import main

        _end_without_finalization(main)
