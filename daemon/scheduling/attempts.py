"""The attempts that run now: what each was started with, and which were cut short by a command. Memory only."""

from dataclasses import dataclass, field
from typing import Unpack

from daemon.core.job import Job
from daemon.files.disk_retry import DiskRetry
from daemon.queue.changes import JobChanges
from daemon.queue.store import Store
from daemon.scheduling.assignment import Assignment
from daemon.scheduling.pool import Slot


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The way in which a running job is processed, and the worker that processes it."""

    assignment: Assignment
    slot: Slot


@dataclass(kw_only=True)
class Attempts:
    """Shared by the dispatcher, which starts attempts, and the outcomes, which end them. Main thread only."""

    store: Store
    disk_retry: DiskRetry
    _running: dict[str, Attempt] = field(default_factory=dict)  # by job
    _cancelled: set[str] = field(default_factory=set)  # running jobs whose worker was killed to cancel them
    _interrupted: set[int] = field(default_factory=set)  # the workers killed to cancel one of their jobs

    def begin(self, job_id: str, attempt: Attempt) -> None:
        self._running[job_id] = attempt

    def end(self, job_id: str) -> Attempt | None:
        """Forget a running attempt, and return it."""
        return self._running.pop(job_id, None)

    def cancel(self, job_id: str, worker: int) -> None:
        """Note that a worker was killed to cancel one of its jobs; its other jobs were interrupted."""
        self._cancelled.add(job_id)
        self._interrupted.add(worker)

    def take_cancelled(self, job_id: str) -> bool:
        """True if the job was cancelled while it ran. True only on the first call."""
        if job_id not in self._cancelled:
            return False
        self._cancelled.discard(job_id)
        return True

    def take_interrupted(self, worker: int) -> bool:
        """True if the worker was killed to cancel a job. True only on the first call."""
        if worker not in self._interrupted:
            return False
        self._interrupted.discard(worker)
        return True

    def requeue(self, job: Job, *, outcome: str, detail: str = "", **changes: Unpack[JobChanges]) -> None:
        """running -> queued, as soon as the job log can be written."""

        def step() -> None:
            self.store.requeue(job, outcome=outcome, detail=detail, **changes)

        self.disk_retry.run(f"queueing of {job.path} ({job.id})", step, must_end=True)
