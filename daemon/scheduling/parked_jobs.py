"""Jobs that wait for weights or a server, or for a device that can run them."""

import logging
from collections.abc import Callable, Sequence

from daemon.core.job import Job
from daemon.core.journald import about
from daemon.publishing.park_reasons import CANCELLING, LOST
from daemon.publishing.publisher import Publisher
from daemon.queue.store import Store
from daemon.scheduling.assignment import Assignment
from daemon.scheduling.pools import Pools
from processors import contract

log = logging.getLogger(__name__)

_PROBE_JOBS = 256  # that one step checks


class ParkedJobs:
    """Called by the main thread only. cancel: cancels a job."""

    def __init__(self, store: Store, publishing: Publisher, pools: Pools, *, cancel: Callable[[Job], object]):
        self._store = store
        self._publishing = publishing
        self._pools = pools
        self._cancel = cancel
        self._probed: Job | None = None  # the last job that a probe has checked; None: the probe has checked all

    def park(self, jobs: Sequence[Job], why: str) -> None:
        for job in jobs:
            log.warning("%s %s waits: %s", job.id[:8], job.path, why, extra=about(job))
        self._store.park([job.id for job in jobs], why)

    def probe(self, *, at_once: bool = False) -> None:
        """Check whether parked jobs can go on; `continue_probe` continues if there are many. `at_once`: also those of
        pools whose pause is not over."""
        self._pools.forget_assignments()
        self._pools.unpark(at_once=at_once)
        self._probe_after(None)

    def continue_probe(self) -> bool:
        """Check the next jobs of a probe that has not checked all; True if there are still more."""
        if self._probed is not None:
            self._probe_after(self._probed)
        return self._probed is not None

    def _probe_after(self, probed: Job | None) -> None:
        """Check the parked jobs that come next; None: the first ones."""
        self._probed = probed
        jobs = self._store.waiting(after=probed, limit=_PROBE_JOBS)
        ready = []
        for job in jobs:
            if job.waiting_for == CANCELLING and not self._publishing.is_busy_with(job.id):
                self._cancel(job)  # its worker was killed to cancel it, and the daemon was paused at that moment
            if job.waiting_for in (CANCELLING, LOST):
                continue
            assignment = self._pools.assign_job(job)
            if isinstance(assignment, Assignment) and not assignment.pool.is_parked:
                ready.append(job.id)
            elif (why := _why_waiting(assignment)) and why != job.waiting_for:
                self._store.reassign(job, waiting_for=why)
        if ready:
            self._store.park(ready, None)
        self._probed = jobs[-1] if len(jobs) == _PROBE_JOBS else None


def _why_waiting(assignment: Assignment | contract.NotReady) -> str:
    """What a job waits for now; "" if that is not known."""
    return assignment.pool.parked_for if isinstance(assignment, Assignment) else assignment.why
