"""The workers: starts them, sends them jobs, ends and kills them. `worker_process` posts a worker's messages and exit;
`daemon.scheduling.outcomes` applies those to the jobs.
"""

import logging
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from daemon.core.job import Job
from daemon.core.messages import WorkerExited
from processors import contract, protocol

_OWN_GPU = re.compile(r"^cuda(:0)?")

log = logging.getLogger(__name__)


class WorkerState(StrEnum):
    LOADING = "loading"
    IDLE = "idle"
    BUSY = "busy"
    ENDING = "ending"


class Link(Protocol):
    """The interface of a worker process: `worker_process.WorkerProcess`, or a replacement in tests."""

    @property
    def pid(self) -> int: ...
    def send(self, message: protocol.Message) -> None: ...
    def close(self) -> None: ...
    def kill(self) -> None: ...
    def release(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Share:
    """The share of a cluster node that a worker reserves."""

    node: str  # its name
    node_id: str
    cpus: float
    gpus: float
    threads: int


@dataclass(frozen=True, kw_only=True)
class Seat:
    """The device on which a worker computes, and its share of the CPU."""

    device: str = "cpu"  # its name, such as "cuda:1"; of several, separated by commas
    environment: Mapping[str, str] = field(default_factory=dict)  # makes its libraries see this device alone
    threads: int = 1  # its share of the cores
    remote: Share | None = None  # of a node; None: on this machine

    @property
    def has_own_gpu(self) -> bool:
        """True if the worker sees only the GPU of its seat, which therefore has the number 0 there."""
        return bool(self.environment) or (self.remote is not None and self.remote.gpus > 0)

    @property
    def node(self) -> str | None:
        """The node of the cluster; None: this machine."""
        return None if self.remote is None else self.remote.node

    def adapt(self, options: Mapping[str, object]) -> dict[str, object]:
        """The load options for a worker on this seat: the only GPU that it sees has the number 0, whatever config.toml
        calls it.
        """
        is_numbered = str(options.get("device", "")).startswith("cuda:")
        return {**options, "device": "cuda"} if self.has_own_gpu and is_numbered else {**options}

    def is_on_gpu(self, described: str) -> bool:
        """True if a worker on this seat computes on a GPU. described: a device as `describe` returns it."""
        return described.startswith("cuda") or (self.remote is not None and described.startswith(self.device))

    def describe(self, reported: str) -> str:
        """Replace the device name that a worker reported by the daemon's name for it: "cuda:1 (NVIDIA H200)"."""
        if self.remote is not None and reported.startswith("cpu"):
            return f"{self.remote.node}:{reported}"
        if not self.has_own_gpu or reported.startswith("cpu"):
            return reported
        return _OWN_GPU.sub(self.device, reported) if reported.startswith("cuda") else f"{reported} on {self.device}"


Spawn = Callable[[int, str, contract.Options, Seat], Link]  # number, processor, options, seat; raises OSError


@dataclass(kw_only=True)
class Worker:
    """One child process and what the daemon knows of it. Times are of the monotonic clock."""

    number: int
    processor: str
    timeout: float  # seconds without a message, while loading or busy, after which it is killed
    connection: Link
    seat: Seat = field(default_factory=Seat)
    started: float = 0.0
    state: WorkerState = WorkerState.LOADING
    loaded: protocol.WorkerLoaded | None = None
    jobs: dict[str, Job] = field(default_factory=dict)  # without an outcome yet, as started
    batches: int = 0  # sent to it and not reported done
    batch_size: int = 0  # the most jobs it had at once since it was idle
    last_message: float = 0.0  # when it last sent one, or was given work
    last_outcome: float = 0.0  # when it last ended a job, or began to work
    why_killed: contract.FailureKind | None = None  # TIMEOUT …; None: not by the daemon for a fault of its own

    @property
    def pid(self) -> int:
        return self.connection.pid

    @property
    def deadline(self) -> float | None:
        """The monotonic time at which the worker counts as hanging; None while it is idle."""
        return None if self.state is WorkerState.IDLE else self.last_message + self.timeout

    @property
    def may_be_joined(self) -> bool:
        """True if the worker accepts further jobs while it is busy."""
        is_willing = self.state is WorkerState.BUSY and self.loaded is not None and self.loaded.takes_more_jobs
        return is_willing and not any(job.alone for job in self.jobs.values())

    def give(self, jobs: Mapping[str, Job], works: list[dict[str, object]], now: float) -> None:
        """Assign jobs to the worker, and send it their works as one batch. `now`: monotonic seconds."""
        self.jobs |= jobs
        held_before = self.batch_size if self.batches else 0
        self.last_outcome = self.last_outcome if self.batches else now
        self.state, self.last_message, self.batches = WorkerState.BUSY, now, self.batches + 1
        self.batch_size = max(held_before, len(self.jobs))
        self.send(protocol.Batch(works=works))

    def send(self, message: protocol.Message) -> None:
        """Send a message; never blocks. If the process is gone, its exit is reported instead."""
        self.connection.send(message)

    def end(self, now: float) -> None:
        """Close the worker's stdin, so that it finishes its current work and exits."""
        self.state, self.last_message = WorkerState.ENDING, now
        self.connection.close()

    def kill(self, why: contract.FailureKind | None = None) -> None:
        """Kill the worker and its process group now. `why`: the failure of its jobs; None: the worker has no fault."""
        self.why_killed = self.why_killed or why
        self.connection.kill()


class Workers:
    """All living workers, by number. Called by the main thread only."""

    def __init__(self, spawn: Spawn, models: Path, *, clock: Callable[[], float]):
        self._spawn = spawn
        self._models = models
        self._clock = clock
        self._count = 0
        self._living: dict[int, Worker] = {}
        self.starts: Counter[str] = Counter()  # by processor
        self.ends: Counter[tuple[str, str]] = Counter()  # by processor and reason: "asked", "timeout", "crashed" …

    def __iter__(self) -> Iterator[Worker]:
        return iter(list(self._living.values()))

    def __len__(self) -> int:
        return len(self._living)

    def get(self, number: int) -> Worker | None:
        return self._living.get(number)

    def spawn(self, processor: str, options: contract.Options, seat: Seat) -> Worker:
        """Start a worker that loads `processor` on `seat`; a WorkerLoaded, LoadFailed or WorkerExited follows.

        Raises:
            OSError: no process could be started.
        """
        connection = self._spawn(self._count + 1, processor, options, seat)
        self._count, now = self._count + 1, self._clock()
        self.starts[processor] += 1
        worker = Worker(
            number=self._count,
            processor=processor,
            timeout=options.timeout,
            connection=connection,
            seat=seat,
            started=now,
            last_message=now,
        )
        self._living[worker.number] = worker
        worker.send(protocol.Load(options=seat.adapt(options.load_options()), models=str(self._models)))
        where = f" on {seat.device}" if seat.has_own_gpu or seat.remote else ""
        log.info("worker %d: %s is loading%s (process %d)", worker.number, processor, where, worker.pid)
        return worker

    def forget(self, number: int) -> Worker | None:
        """Remove a worker whose exit was reported."""
        worker = self._living.pop(number, None)
        if worker is not None:
            worker.connection.release()
        return worker

    def next_deadline(self) -> float | None:
        """The earliest deadline of the workers, in monotonic seconds; None: there is none. Killed workers have none."""
        deadlines = [worker.deadline for worker in self if worker.why_killed is None]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def kill_overdue(self) -> None:
        """Kill the workers that sent nothing for their timeout."""
        for worker in self:
            if worker.deadline is not None and worker.deadline <= self._clock() and worker.why_killed is None:
                log.error(
                    "worker %d (%s) hangs: no progress for %g s; killed",
                    *(worker.number, worker.processor, worker.timeout),
                )
                worker.kill(contract.FailureKind.TIMEOUT)


def describe_exit(exited: WorkerExited) -> str:
    """A sentence about how a worker exited, for the person who dropped the file."""
    if exited.reason:
        return exited.reason
    if exited.exit_status < 0:
        try:
            how = f"was killed by {signal.Signals(-exited.exit_status).name}"
        except ValueError:
            how = f"was killed by signal {-exited.exit_status}"
    else:
        how = f"exited with status {exited.exit_status}"
    last = exited.stderr_tail.splitlines()[-1:] or [""]
    return f"The worker process {how}. {last[0]}".strip()
