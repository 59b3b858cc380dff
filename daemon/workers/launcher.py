"""Starts worker processes, with their environment, process group and memory limit.

Each worker leads a process group of its own, so that its descendants are killed with it.
"""

import contextlib
import errno
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.config.current import CurrentSettings
from daemon.config.settings import Settings
from daemon.core.messages import WorkerExited, WorkerMessage
from daemon.workers.supervisor import Seat, Share
from daemon.workers.worker_process import WorkerProcess
from processors import contract, memory
from processors.cluster.nodes import Target, encode_target

_ROOT = Path(contract.__file__).parents[1]  # where the package `processors` is found
_MARK = "INBOXD_WORKER"  # in the environment of a worker and of all its descendants
_OOM_SCORE_ADJUSTMENT = 500  # proc(5): out of memory, the kernel should kill a worker before the daemon


@dataclass(frozen=True)
class _Early:
    """A process that was started before its worker was needed."""

    command: Sequence[str]
    seat: Seat
    mark: str
    process: "subprocess.Popen[bytes]"


class Launcher:
    """Starts a worker process per call.

    descriptors: of the daemon's folders; each worker inherits them, and the paths in its jobs go through them.
    settings: those of the cluster, for workers on its nodes.
    """

    def __init__(
        self,
        post: Callable[[WorkerMessage | WorkerExited], None],
        *,
        descriptors: Sequence[int] = (),
        settings: CurrentSettings | None = None,
    ):
        self._post = post
        self._descriptors = tuple(descriptors)
        self._settings = settings
        self._early: _Early | None = None

    def __call__(self, number: int, processor: str, options: contract.Options, seat: Seat) -> WorkerProcess:
        """Start the worker `number` for `processor` on the device of `seat`.

        Raises:
            OSError: no process could be started (the interpreter is missing, no memory …).
        """
        limit = memory.limit_bytes(options.memory_max)
        command = self._command(processor, options, seat)
        early = self._take_early(command, seat)
        mark = early.mark if early else secrets.token_hex(8)
        connection = WorkerProcess(
            number,
            self._post,
            mark=f"{_MARK}={mark}",
            log_name=f"processors.{processor}",
            limit=limit,
            limit_message=_describe_limit(processor, options.memory_max, limit),
        )
        try:
            connection.start(early.process if early else self._start_process(command, seat, mark))
        except OSError:
            connection.release()
            raise
        except ValueError as error:  # Popen: an argument with a NUL
            connection.release()
            raise OSError(errno.EINVAL, str(error)) from error
        return connection

    def start_early(self, processor: str, options: contract.Options, seat: Seat) -> None:
        """Start a process that the next call takes, if it has the same arguments. Meanwhile, the caller may prepare
        that call. If no process can be started, do nothing: that call reports the reason.
        """
        self.end_early()
        command, mark = self._command(processor, options, seat), secrets.token_hex(8)
        with contextlib.suppress(OSError, ValueError):
            self._early = _Early(command, seat, mark, self._start_process(command, seat, mark))

    def end_early(self) -> None:
        """Kill the process that no call has taken, if there is one."""
        if self._early is not None:
            with self._early.process as process:
                process.kill()
            self._early = None

    def _take_early(self, command: Sequence[str], seat: Seat) -> "_Early | None":
        early = self._early
        if early is None or (early.command, early.seat) != (command, seat):
            self.end_early()
            return None
        self._early = None
        return early

    def _command(self, processor: str, options: contract.Options, seat: Seat) -> Sequence[str]:
        if seat.remote is None:
            return (options.python or sys.executable, "-P", "-m", "processors.worker", processor)
        assert self._settings is not None  # the settings name the cluster
        target = _target(self._settings.value, options, seat.remote)
        return (sys.executable, "-P", "-m", "processors.cluster.near", processor, encode_target(target))

    def _start_process(self, command: Sequence[str], seat: Seat, mark: str) -> subprocess.Popen[bytes]:
        # OMP_NUM_THREADS: more threads would only compete for the cores
        environment = {"OMP_NUM_THREADS": str(seat.threads), **_environment(os.environ), **seat.environment}
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**environment, _MARK: mark},
            start_new_session=True,
            pass_fds=self._descriptors,
        )
        with contextlib.suppress(OSError):  # the process has exited already
            Path(f"/proc/{process.pid}/oom_score_adj").write_text(str(_OOM_SCORE_ADJUSTMENT), encoding="ascii")
        return process


def run_module(module: str, arguments: list[str]) -> int:
    """Run `python -m module` on this terminal, and return its exit status. For commands that need torch."""
    return subprocess.call([sys.executable, "-P", "-m", module, *arguments], env=_environment(os.environ))


def _target(settings: Settings, options: contract.Options, share: Share) -> Target:
    """The target of a worker on a node of the cluster."""
    return Target(
        address=settings.cluster.address,
        token_file=str(settings.token_file or ""),
        models=str(settings.cluster.models or ""),
        node=share.node,
        node_id=share.node_id,
        cpus=share.cpus,
        gpus=share.gpus,
        threads=share.threads,
        memory_max=options.memory_max,
        python=options.python,
        shared=str(settings.cluster.shared or ""),
    )


def _environment(daemon: Mapping[str, str]) -> dict[str, str]:
    """The daemon's environment, without the variables meant only for the daemon, and with the path of this package."""
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
