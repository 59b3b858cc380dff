"""Worker processes: spawn, feed, kill. What one says, and its end, is `conversation`'s to carry into the mailbox; what
that means for the jobs is `dispatch`'s. The only module that starts processes.

Each worker leads a process group of its own, so that what it starts is killed with it.
"""

import contextlib
import errno
import logging
import os
import secrets
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from daemon.core.job import Job
from daemon.core.messages import WorkerEnded
from daemon.workers import memory
from daemon.workers.connection import Conversation
from processors import contract, protocol

log = logging.getLogger(__name__)

_ROOT = Path(contract.__file__).parents[1]  # where the package `processors` is found
_MARK = "INBOXD_WORKER"  # in the environment of a worker and of all it starts
_OOM_SCORE_ADJUSTMENT = 500  # proc(5): where memory ends, the kernel is to take a worker, not the daemon


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
    conversation: Conversation
    state: WorkerState = WorkerState.LOADING
    loaded: protocol.WorkerLoaded | None = None
    jobs: dict[str, Job] = field(default_factory=dict)  # without an outcome yet, as started
    batches: int = 0  # that it was sent, and has not said to be done
    batch_size: int = 0  # the most jobs it had at once since it was idle
    last_sign: float = 0.0
    why_killed: contract.FailureKind | None = None  # TIMEOUT …; None: it was not the daemon

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def deadline(self) -> float | None:
        """When it counts as hanging; None while there is nothing to wait for."""
        return None if self.state is WorkerState.IDLE else self.last_sign + self.timeout

    @property
    def may_be_joined(self) -> bool:
        """May it be handed jobs beside those it is busy with?"""
        is_willing = self.state is WorkerState.BUSY and self.loaded is not None and self.loaded.joins
        return is_willing and not any(job.alone for job in self.jobs.values())

    def give(self, jobs: Mapping[str, Job], works: list[dict[str, Any]], now: float) -> None:
        """Hand it jobs, and tell it of their works."""
        self.jobs |= jobs
        held_before = self.batch_size if self.batches else 0
        self.state, self.last_sign, self.batches = WorkerState.BUSY, now, self.batches + 1
        self.batch_size = max(held_before, len(self.jobs))
        self.send(protocol.Batch(works=works))

    def send(self, message: Any) -> None:
        """Say something to it; never waits. That it cannot hear it any more is no error here: its end is told."""
        self.conversation.say(message)

    def end(self, now: float) -> None:
        """Ask it to end: it finishes what it does, and sees that its input is closed."""
        self.state, self.last_sign = WorkerState.ENDING, now
        self.conversation.close()

    def kill(self, why: contract.FailureKind | None = None) -> None:
        """End it and all it started, at once."""
        self.why_killed = self.why_killed or why
        if self.process.returncode is None:  # not reaped: the number is still its own
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


class Workers:
    """All living workers, by number."""

    def __init__(
        self,
        post: Callable[[Any], None],
        models: Path,
        *,
        at_once: int,
        clock: Callable[[], float],
        descriptors: Sequence[int] = (),
    ):
        """`descriptors`: of the daemon's own folders, inherited by each worker, whose paths lead through them."""
        self._post = post
        self._descriptors = tuple(descriptors)
        self._models = models
        self._threads = max(1, (os.cpu_count() or 1) // at_once)  # each: more would only wait for one another's cores
        self._clock = clock
        self._count = 0
        self._living: dict[int, Worker] = {}
        self.starts: Counter[str] = Counter()  # by processor
        self.ends: Counter[tuple[str, str]] = Counter()  # by processor and why: "asked", "timeout", "crashed" …

    def __iter__(self):
        return iter(list(self._living.values()))

    def __len__(self) -> int:
        return len(self._living)

    def get(self, number: int) -> Worker | None:
        return self._living.get(number)

    def spawn(self, processor: str, options: contract.Options) -> Worker:
        """Start a worker that loads `processor`; WorkerLoaded, LoadFailed or WorkerEnded will follow.

        Raises:
            OSError: no process could be started (the interpreter is not there, no memory …).
        """
        limit, mark = memory.limit_bytes(options.memory_max), secrets.token_hex(8)
        conversation = Conversation(
            self._count + 1,
            self._post,
            mark=f"{_MARK}={mark}",
            log_name=f"processors.{processor}",
            limit=limit,
            limit_words=_describe_limit(processor, options.memory_max, limit),
        )
        try:
            process = self._start_process(processor, options.python, mark)
            conversation.start(process)
        except OSError:
            conversation.release()
            raise
        except ValueError as error:  # Popen: an argument with a NUL
            conversation.release()
            raise OSError(errno.EINVAL, str(error)) from error
        self._count += 1
        self.starts[processor] += 1
        worker = Worker(
            number=self._count,
            processor=processor,
            timeout=options.timeout,
            process=process,
            conversation=conversation,
            last_sign=self._clock(),
        )
        self._living[worker.number] = worker
        worker.send(protocol.Load(options=options.load_options(), models=str(self._models)))
        log.info("worker %d: %s is loading (process %d)", worker.number, processor, process.pid)
        return worker

    def _start_process(self, processor: str, python: str | None, mark: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [python or sys.executable, "-P", "-m", "processors.worker", processor],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={"OMP_NUM_THREADS": str(self._threads), **_environment(os.environ), _MARK: mark},
            start_new_session=True,
            pass_fds=self._descriptors,
        )
        with contextlib.suppress(OSError):  # it has ended already
            Path(f"/proc/{process.pid}/oom_score_adj").write_text(str(_OOM_SCORE_ADJUSTMENT), encoding="ascii")
        return process

    def forget(self, number: int) -> Worker | None:
        """A worker's end was delivered: it is none any more."""
        worker = self._living.pop(number, None)
        if worker is not None:
            worker.conversation.release()
        return worker

    def next_deadline(self) -> float | None:
        """The next one to wait for; of a worker that was killed, its end is awaited instead."""
        waited_for = [worker.deadline for worker in self if worker.why_killed is None]
        return min((deadline for deadline in waited_for if deadline is not None), default=None)

    def kill_overdue(self) -> None:
        """Kill the workers that gave no sign of life for their timeout."""
        for worker in self:
            if worker.deadline is not None and worker.deadline <= self._clock() and worker.why_killed is None:
                log.error("worker %d (%s) hangs: no progress for %g s; killed", *_name(worker), worker.timeout)
                worker.kill(contract.FailureKind.TIMEOUT)


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
    if ended.reason:
        return ended.reason
    if ended.exit_status < 0:
        try:
            how = f"was killed by {signal.Signals(-ended.exit_status).name}"
        except ValueError:
            how = f"was killed by signal {-ended.exit_status}"
    else:
        how = f"ended with status {ended.exit_status}"
    last = ended.last_words.splitlines()[-1:] or [""]
    return f"The worker process {how}. {last[0]}".strip()


def _describe_limit(processor: str, memory_max: str, limit: int) -> str:
    gigabytes = f"{limit / 1e9:.1f} GB"
    limit_words = f"{gigabytes} ({memory_max} of this machine's)" if memory_max.endswith("%") else gigabytes
    table = f'"{processor}"' if "." in processor else processor
    return (
        f"This needs more than {limit_words} of memory, the most that {processor} may take, so its worker was ended. "
        f"To allow more, raise memory_max in [processors.{table}] of config.toml."
    )
