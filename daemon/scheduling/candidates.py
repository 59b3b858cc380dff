"""The queued jobs that the workers could take next, by pool, and those that need no worker.

Each pool's jobs come in the order of the queue: by priority, then by age (`queue.queries`). This is a query, which
changes nothing. `placement` decides what runs now, and the dispatcher acts.
"""

import logging
from dataclasses import dataclass, field

from daemon.config.current import CurrentSettings
from daemon.core.clock import Clock
from daemon.core.errors import InboxdError
from daemon.core.job import Job
from daemon.core.journald import about
from daemon.publishing.publisher import Publisher
from daemon.queue.store import Store
from daemon.scheduling.assignment import Assignment
from daemon.scheduling.batches import Moment, PoolQueue, choose_for, free_places, rank
from daemon.scheduling.duplicates import Duplicate, Duplicates
from daemon.scheduling.placement import needed_jobs
from daemon.scheduling.pool import Pool
from daemon.scheduling.pools import Pools
from daemon.workers.supervisor import WorkerState
from processors import contract

_MAX_PARKED = 1000  # jobs of one recipe at once
_MAX_COUNTED = 10_000  # waiting jobs of one recipe: to count more would take too long

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Selection:
    """The first jobs of the queue, by what should be done with them."""

    queues: list[PoolQueue] = field(default_factory=list)  # at most one for each pool that is not parked
    parked: dict[str, list[Job]] = field(default_factory=dict)  # by what they wait for
    unsupported: list[Job] = field(default_factory=list)  # no recipe is assigned to them
    duplicates: list[Duplicate] = field(default_factory=list)  # of jobs that are done
    broken: list[Job] = field(default_factory=list)  # examining them caused an internal error, which was logged


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

    def moment(self) -> Moment:
        patience_us = int(self._settings.value.workers.patience * 1e6)
        return Moment(now=self._clock.monotonic(), now_us=self._clock.now_us(), patience_us=patience_us)

    def select(self, moment: Moment) -> Selection:
        """Sort the first queued jobs of each recipe."""
        selection = Selection()
        by_pool: dict[Pool, list[Job]] = {}
        for recipe in self._store.queued_recipes():
            for job in self._first_of(recipe, moment):
                try:
                    self._sort(job, selection, by_pool, moment)
                except (OSError, InboxdError):
                    raise
                except Exception as error:  # error boundary: one job
                    log.error("%s %s: internal error", job.id[:8], job.path, exc_info=error, extra=about(job))
                    selection.broken.append(job)
        for pool, jobs in by_pool.items():
            waiting = self._count(pool, jobs, moment)
            selection.queues.append(PoolQueue(pool=pool, jobs=sorted(jobs, key=rank), waiting=waiting))
        return selection

    def _sort(self, job: Job, selection: Selection, by_pool: dict[Pool, list[Job]], moment: Moment) -> None:
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
            by_pool.setdefault(self._lane(assignment.pool, job, moment), []).append(job)

    def _first_of(self, recipe: str | None, moment: Moment) -> list[Job]:
        """The first jobs of a recipe, as many as could start; plus the smallest job, if only that could start."""
        assignment, now = self._pools.assign(recipe), moment.now_us
        if not isinstance(assignment, Assignment):
            return self._store.queued(recipe, now=now, limit=_MAX_PARKED)
        slots = assignment.pool.slots
        limit = max(max(slot.batch_limit for slot in slots), sum(map(free_places, slots)))
        limit += needed_jobs(assignment.pool, moment) > 0  # one more, to see whether a job is left for a further worker
        first = self._store.queued(recipe, now=now, limit=limit)
        if any(slot.may_be_joined and free_places(slot) == 1 for slot in slots):
            smallest = self._store.smallest_queued(recipe, now=now)
            first += [smallest] if smallest and smallest not in first else []
        return first

    def _count(self, pool: Pool, jobs: list[Job], moment: Moment) -> int:
        """The number of jobs that wait for a pool, counted only until it shows whether a further worker is worth
        loading."""
        needed = needed_jobs(pool, moment)
        if not len(jobs) < needed <= min(_MAX_COUNTED, self._store.counts().get("queued", 0)):
            return len(jobs)
        recipes = dict.fromkeys(job.recipe for job in jobs)
        counted = (self._store.count_queued(recipe, now=moment.now_us, limit=needed) for recipe in recipes)
        return max(len(jobs), sum(counted))

    def _lane(self, pool: Pool, job: Job, moment: Moment) -> Pool:
        """The pool for a job that may start now: its recipe's, or while that is busy, the one for short jobs."""
        if job.size_bytes > self._settings.value.workers.short_bytes:
            return pool
        are_busy = all(slot.state is WorkerState.BUSY and not choose_for(slot, [job], moment) for slot in pool.live)
        return self._pools.lane(pool) if any(pool.live) and are_busy else pool
