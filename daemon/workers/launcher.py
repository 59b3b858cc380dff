"""Starts the worker processes of jobs: the environment, the process group, the memory limit.

Each worker leads a process group of its own, so that its descendants are killed with it.
"""

import contextlib
import errno
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from daemon.core.messages import WorkerExited, WorkerMessage
from daemon.workers import memory
from daemon.workers.supervisor import Seat
from daemon.workers.worker_process import WorkerProcess
from processors import contract

_ROOT = Path(contract.__file__).parents[1]  # where the package `processors` is found
_MARK = "INBOXD_WORKER"  # in the environment of a worker and of all its descendants
_OOM_SCORE_ADJUSTMENT = 500  # proc(5): out of memory, the kernel should kill a worker before the daemon


class Launcher:
    """Starts a process per call. `descriptors`: of the daemon's folders, inherited by each worker, whose paths lead
    through them."""

    def __init__(self, post: Callable[[WorkerMessage | WorkerExited], None], *, descriptors: Sequence[int] = ()):
        self._post = post
        self._descriptors = tuple(descriptors)

    def __call__(self, number: int, processor: str, options: contract.Options, seat: Seat) -> WorkerProcess:
        """Start the worker `number` for `processor` on its seat.

        Raises:
            OSError: no process could be started (the interpreter is missing, no memory …).
        """
        limit, mark = memory.limit_bytes(options.memory_max), secrets.token_hex(8)
        connection = WorkerProcess(
            number,
            self._post,
            mark=f"{_MARK}={mark}",
            log_name=f"processors.{processor}",
            limit=limit,
            limit_message=_describe_limit(processor, options.memory_max, limit),
        )
        try:
            connection.start(self._start_process(processor, options.python, seat, mark))
        except OSError:
            connection.release()
            raise
        except ValueError as error:  # Popen: an argument with a NUL
            connection.release()
            raise OSError(errno.EINVAL, str(error)) from error
        return connection

    def _start_process(self, processor: str, python: str | None, seat: Seat, mark: str) -> subprocess.Popen[bytes]:
        # OMP_NUM_THREADS: more threads would only compete for the cores
        environment = {"OMP_NUM_THREADS": str(seat.threads), **_environment(os.environ), **seat.environment}
        process = subprocess.Popen(
            [python or sys.executable, "-P", "-m", "processors.worker", processor],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**environment, _MARK: mark},
            start_new_session=True,
            pass_fds=self._descriptors,
        )
        with contextlib.suppress(OSError):  # it has exited already
            Path(f"/proc/{process.pid}/oom_score_adj").write_text(str(_OOM_SCORE_ADJUSTMENT), encoding="ascii")
        return process


def run_module(module: str, arguments: list[str]) -> int:
    """Run `python -m module` in the foreground, on this terminal, for commands that need torch. Return its status."""
    return subprocess.call([sys.executable, "-P", "-m", module, *arguments], env=_environment(os.environ))


def _environment(daemon: Mapping[str, str]) -> dict[str, str]:
    """The daemon's environment without the variables meant for it alone, and with the path of this package."""
    environment = {name: value for name, value in daemon.items() if name not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_ROOT), daemon.get("PYTHONPATH", "")]))
    return environment


def _describe_limit(processor: str, memory_max: str, limit: int) -> str:
    gigabytes = f"{limit / 1e9:.1f} GB"
    amount = f"{gigabytes} ({memory_max} of this machine's memory)" if memory_max.endswith("%") else gigabytes
    table = f'"{processor}"' if "." in processor else processor
    return (
        f"This needs more memory than the limit of {processor}, {amount}, so inboxd killed its worker. "
        f"To allow more, raise memory_max in [processors.{table}] of config.toml."
    )
