"""The queued jobs that the workers could take next, by pool, and those that need no worker.

This is a query, which changes nothing. `placement` decides what runs now, and the dispatcher acts.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from daemon.config.current import CurrentSettings
from daemon.core.clock import Clock
from daemon.core.errors import InboxdError
from daemon.core.job import Job
from daemon.core.journald import about
from daemon.publishing.publisher import Publisher
from daemon.queue.store import Store
from daemon.scheduling import placement
from daemon.scheduling.duplicates import Duplicate, Duplicates
from daemon.scheduling.placement import CandidateBatch, rank
from daemon.scheduling.pools import Assignment, Pool, Pools
from daemon.workers.supervisor import WorkerState
from processors import contract

_MAX_PARKED = 1000  # jobs of one recipe at once

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Selection:
    """The first jobs of the queue, by what should be done with them."""

    batches: list[CandidateBatch] = field(default_factory=list)  # at most one for each pool that is not parked
    parked: dict[str, list[Job]] = field(default_factory=dict)  # by what they wait for
    unsupported: list[Job] = field(default_factory=list)  # no recipe is bound to them
    duplicates: list[Duplicate] = field(default_factory=list)  # of jobs that are done
    broken: list[Job] = field(default_factory=list)  # an internal error came of looking at them; it was logged


class Candidates:
    """Called by the main thread only."""

    def __init__(
        self,
        settings: CurrentSettings,
        store: Store,
        pools: Pools,
        duplicates: Duplicates,
        publishing: Publisher,
        clock: Clock,
    ):
        self._settings = settings
        self._store = store
        self._pools = pools
        self._duplicates = duplicates
        self._publishing = publishing
        self._clock = clock

    def select(self) -> Selection:
        """Sort the first queued jobs of each recipe. A batch holds the jobs that a pool's idle worker could be given,
        or those that could join the jobs of its busy one."""
        selection = Selection()
        by_pool: dict[int, tuple[Pool, list[Job]]] = {}
        for recipe in self._store.queued_recipes():
            for job in self._first_of(recipe):
                try:
                    self._sort(job, selection, by_pool)
                except (OSError, InboxdError):
                    raise
                except Exception as error:  # error boundary: one job
                    log.error("%s %s: internal error", job.id[:8], job.path, exc_info=error, extra=about(job))
                    selection.broken.append(job)
        batches = [(pool, self._choose(pool, sorted(jobs, key=rank))) for pool, jobs in by_pool.values()]
        selection.batches = [CandidateBatch(pool=pool, jobs=jobs) for pool, jobs in batches if jobs]
        return selection

    def _sort(self, job: Job, selection: Selection, by_pool: dict[int, tuple[Pool, list[Job]]]) -> None:
        """Add a job to the selection, or to the jobs of its pool."""
        if self._publishing.is_busy_with(job.id):
            return
        if job.recipe is None:
            selection.unsupported.append(job)
            return
        assignment = self._pools.assign_job(job)
        if isinstance(assignment, contract.NotReady):
            selection.parked.setdefault(assignment.why, []).append(job)
        elif assignment.pool.is_parked:
            selection.parked.setdefault(assignment.pool.parked_for, []).append(job)
        elif duplicate := self._duplicates.find(job, assignment):
            selection.duplicates.append(duplicate)
        elif self._duplicates.may_start(job):
            pool = self._lane(assignment.pool, job)
            by_pool.setdefault(id(pool), (pool, []))[1].append(job)

    def _first_of(self, recipe: str | None) -> list[Job]:
        """The first jobs of a recipe, as many as could start; plus the smallest, where only a small one could."""
        assignment, now = self._pools.assign(recipe), self._clock.now_us()
        if not isinstance(assignment, Assignment):
            return self._store.queued(recipe, now=now, limit=_MAX_PARKED)
        pool = assignment.pool
        first = self._store.queued(recipe, now=now, limit=pool.batch_limit)
        if pool.worker is not None and pool.may_be_joined and len(pool.worker.jobs) == pool.batch_limit - 1:
            smallest = self._store.smallest_queued(recipe, now=now)
            first += [smallest] if smallest and smallest not in first else []
        return first

    def _lane(self, pool: Pool, job: Job) -> Pool:
        """The pool for a job that may start now: its recipe's, or while that is busy, the one for short jobs."""
        is_busy = pool.worker is not None and pool.worker.state is WorkerState.BUSY
        is_short = job.size_bytes <= self._settings.value.workers.short_bytes
        return self._pools.lane(pool) if is_busy and is_short and not self._choose(pool, [job]) else pool

    def _choose(self, pool: Pool, jobs: Sequence[Job]) -> list[Job]:
        """Those of `jobs` that the pool's worker could be given next."""
        worker, patience_us = pool.worker, int(self._settings.value.workers.patience * 1e6)
        if worker is None or worker.state is not WorkerState.BUSY:
            may_be_joined = worker is not None and worker.loaded is not None and worker.loaded.takes_more_jobs
            return placement.choose_jobs(jobs, pool.batch_limit, may_be_joined=may_be_joined)
        now_us = self._clock.now_us()
        must_finish = any(job.alone and placement.is_overdue(job, patience_us, now_us) for job in jobs)
        if must_finish or not worker.may_be_joined:
            return []
        return placement.choose_jobs(jobs, pool.batch_limit, held=worker.jobs.values(), may_be_joined=True)
