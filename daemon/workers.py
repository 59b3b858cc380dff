"""Worker processes: spawn, feed, listen, kill. The only module that imports subprocess.

A worker's words and its end are put into the mailbox by two threads that do nothing else; what they mean for the jobs
is `dispatch`'s. Each worker leads a process group of its own, so that what it starts is killed with it.
"""

import collections
import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from daemon.model import Job, WorkerEnded, WorkerSaid
from processors import base, wire

log = logging.getLogger(__name__)

_ROOT = Path(base.__file__).parents[1]  # where the package `processors` is found
_LAST_LINES = 20  # of a worker's stderr, kept for the message about its end
_LINE_BYTES = 16 * 1024 * 1024  # a longer line on stdout is no message of ours


class WorkerState(StrEnum):
    LOADING = "loading"
    IDLE = "idle"
    BUSY = "busy"
    ENDING = "ending"


@dataclass(kw_only=True)
class Worker:
    """One child process and what the daemon knows of it. Times are of the monotonic clock."""

    number: int
    processor: str
    timeout: float  # seconds without a sign of life, while loading or busy, after which it is killed
    process: subprocess.Popen
    state: WorkerState = WorkerState.LOADING
    loaded: wire.WorkerLoaded | None = None
    jobs: dict[str, Job] = field(default_factory=dict)  # without an outcome yet, as started
    batch_size: int = 0
    last_sign: float = 0.0
    why_killed: base.FailureKind | None = None  # TIMEOUT …; None: it was not the daemon

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def deadline(self) -> float | None:
        """When it counts as hanging; None while there is nothing to wait for."""
        return None if self.state is WorkerState.IDLE else self.last_sign + self.timeout

    def send(self, message: Any) -> None:
        """Write one message. A worker that has just died is no error here: its end is in the mailbox."""
        with contextlib.suppress(BrokenPipeError, ValueError):
            self.process.stdin.write(wire.encode(message))
            self.process.stdin.flush()

    def end(self, now: float) -> None:
        """Ask it to end: it finishes what it does, and sees that its input is closed."""
        self.state, self.last_sign = WorkerState.ENDING, now
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def kill(self, why: base.FailureKind | None = None) -> None:
        """End it and all it started, at once."""
        self.why_killed = self.why_killed or why
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)


class Workers:
    """All living workers, by number."""

    def __init__(self, post: Callable[[Any], None], models: Path, *, at_once: int, clock: Callable[[], float]):
        self._post = post
        self._models = models
        self._threads = max(1, (os.cpu_count() or 1) // at_once)  # each: more would only wait for one another's cores
        self._clock = clock
        self._count = 0
        self._living: dict[int, Worker] = {}

    def __iter__(self):
        return iter(list(self._living.values()))

    def __len__(self) -> int:
        return len(self._living)

    def get(self, number: int) -> Worker | None:
        return self._living.get(number)

    def spawn(self, processor: str, options: base.Options) -> Worker:
        """Start a worker that loads `processor`; WorkerLoaded, LoadFailed or WorkerEnded will follow.

        Raises:
            OSError: no process could be started (the interpreter is not there, no memory …).
        """
        self._count += 1
        process = subprocess.Popen(
            [options.python or sys.executable, "-P", "-m", "processors.worker", processor],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"OMP_NUM_THREADS": str(self._threads), **_environment(os.environ)},
            start_new_session=True,
        )
        worker = Worker(
            number=self._count,
            processor=processor,
            timeout=options.timeout,
            process=process,
            last_sign=self._clock(),
        )
        self._living[worker.number] = worker
        listener = _Listener(worker.number, process, self._post, processor)
        for thread in (listener.read_errors_thread, listener.read_messages_thread):
            thread.start()
        worker.send(wire.Load(options=options.load_options(), models=str(self._models)))
        log.info("worker %d: %s is loading (process %d)", worker.number, processor, process.pid)
        return worker

    def forget(self, number: int) -> Worker | None:
        """A worker's end was delivered: it is none any more."""
        return self._living.pop(number, None)

    def next_deadline(self) -> float | None:
        return min((worker.deadline for worker in self if worker.deadline is not None), default=None)

    def kill_overdue(self) -> None:
        """Kill the workers that gave no sign of life for their timeout."""
        for worker in self:
            if worker.deadline is not None and worker.deadline <= self._clock() and worker.why_killed is None:
                log.error("worker %d (%s) hangs: no progress for %g s; killed", *_name(worker), worker.timeout)
                worker.kill(base.FailureKind.TIMEOUT)


class _Listener:
    """The threads that carry one worker's words, and then its end, into the mailbox."""

    def __init__(self, number: int, process: subprocess.Popen, post: Callable[[Any], None], processor: str):
        self._number = number
        self._process = process
        self._post = post
        self._log = logging.getLogger(f"processors.{processor}")
        self._last_lines: collections.deque[str] = collections.deque(maxlen=_LAST_LINES)
        name = f"worker-{number}"
        self.read_errors_thread = threading.Thread(target=self._read_errors, name=f"{name}-errors", daemon=True)
        self.read_messages_thread = threading.Thread(target=self._read_messages, name=f"{name}-messages", daemon=True)

    def _read_messages(self) -> None:
        while line := self._process.stdout.readline(_LINE_BYTES):
            try:
                message = wire.decode(line)
            except ValueError as error:
                self._log.warning("worker %d: %s", self._number, error)
                continue
            self._post(WorkerSaid(worker=self._number, message=message))
        self._process.stdout.close()
        # what it started goes with it; while the ended leader is not reaped, its number names this group and no other
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        status = self._process.wait()
        self.read_errors_thread.join(timeout=1.0)  # last words are not worth a longer wait
        self._post(WorkerEnded(worker=self._number, exit_status=status, last_words="\n".join(self._last_lines)))

    def _read_errors(self) -> None:
        while line := self._process.stderr.readline(4096):
            text = line.decode(errors="replace").rstrip()
            if text:
                self._last_lines.append(text)
                self._log.debug("worker %d: %s", self._number, text)
        self._process.stderr.close()


def run_module(module: str, arguments: list[str]) -> int:
    """Run `python -m module` in the foreground, with this terminal; its exit status. For commands that need torch."""
    return subprocess.call([sys.executable, "-P", "-m", module, *arguments], env=_environment(os.environ))


def _environment(daemon: Mapping[str, str]) -> dict[str, str]:
    """The daemon's environment, less what is addressed to it alone, plus the way to this package."""
    environment = {name: value for name, value in daemon.items() if name not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_ROOT), daemon.get("PYTHONPATH", "")]))
    return environment


def _name(worker: Worker) -> tuple[int, str]:
    return worker.number, worker.processor


def describe_end(ended: WorkerEnded) -> str:
    """How a worker ended, in words for the person who dropped the file."""
    if ended.exit_status < 0:
        try:
            how = f"was killed by {signal.Signals(-ended.exit_status).name}"
        except ValueError:
            how = f"was killed by signal {-ended.exit_status}"
        if ended.exit_status == -signal.SIGKILL:
            how += " (often: the system ran out of memory)"
    else:
        how = f"ended with status {ended.exit_status}"
    last = ended.last_words.splitlines()[-1:] or [""]
    return f"The worker process {how}. {last[0]}".strip()
