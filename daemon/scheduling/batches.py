"""Divides the waiting jobs of a pool among its workers. Pure.

Every idle worker gets an equal share, so that none waits for the batch of another. A worker that is still loading gets
its share later: the others leave it as many jobs as it can do by the time they finish.

A worker that may be joined is given jobs while it is busy. Its last place is reserved for a file much smaller than all
others there, so that a few long recordings do not keep every short one waiting.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from daemon.core.job import Job
from daemon.scheduling.pool import Pool, Slot
from daemon.workers.supervisor import WorkerState

_SMALL = 4  # a job gets the last place if it is this many times smaller than each of the others


@dataclass(frozen=True, kw_only=True)
class PoolQueue:
    """A pool and its jobs that may start, in the order of the queue."""

    pool: Pool
    jobs: Sequence[Job]  # the first jobs: as many as its workers could get now, and at least one
    waiting: int  # the number of jobs, counted only as far as it matters


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Jobs for the worker of a slot."""

    slot: Slot
    jobs: Sequence[Job]


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Now, and how long a job may wait while others of its kind run."""

    now: float  # of the monotonic clock
    now_us: int  # of the wall clock
    patience_us: int  # until a job is overdue


def rank(job: Job) -> tuple[int, int, str]:
    """The order of the queue."""
    return (-job.priority, job.received_at, job.id)


def is_overdue(job: Job, moment: Moment) -> bool:
    """True if the job has waited longer than the queue of a loaded model may delay it."""
    return moment.now_us - job.received_at > moment.patience_us


def divide(queue: PoolQueue, moment: Moment, *, to_load: int = 0, without: Collection[Slot] = ()) -> list[Batch]:
    """The batches for the idle workers of a pool, and for those that may be joined. to_load: workers that are about to
    start; without: slots whose workers are about to end."""
    jobs, batches = [*queue.jobs], list[Batch]()
    share = _share(queue, to_load, moment, without)
    idle = [slot for slot in queue.pool.slots if slot.is_idle and not slot.is_parked and slot not in without]
    busy = [slot for slot in queue.pool.slots if slot.state is WorkerState.BUSY and not slot.is_parked]
    for slot in (*idle, *sorted(busy, key=_jobs)):
        most = max(1, share) if slot.is_idle else share - _jobs(slot)
        if jobs and (chosen := choose_for(slot, jobs, moment, most=most)):
            batches.append(Batch(slot=slot, jobs=chosen))
            given = {job.id for job in chosen}
            jobs = [job for job in jobs if job.id not in given]
    return batches


def _share(queue: PoolQueue, to_load: int, moment: Moment, without: Collection[Slot]) -> int:
    """The jobs that each loaded worker should have, so that all workers finish the queue at the same time."""
    live = [slot for slot in queue.pool.live if slot not in without]
    working = [slot for slot in live if slot.state is not WorkerState.LOADING]
    if not working:
        return 0
    jobs, pace = queue.waiting + sum(map(_jobs, working)), queue.pool.pace
    if len(live) + to_load == len(working) or not pace.job or pace.load is None:
        return math.ceil(jobs / len(working))
    ages = [moment.now - slot.worker.started for slot in live if slot.worker and slot.state is WorkerState.LOADING]
    # jobs that the workers cannot do until they have loaded
    missed = sum(max(0.0, pace.load - age) for age in [*ages, *[0.0] * to_load]) / pace.job
    return math.ceil((jobs + missed) / (len(live) + to_load))


def _jobs(slot: Slot) -> int:
    return len(slot.worker.jobs) if slot.worker is not None else 0


def free_places(slot: Slot) -> int:
    """The number of jobs that the worker of a slot could be given now."""
    if slot.is_parked or not (slot.is_idle or slot.may_be_joined):
        return 0
    return max(0, slot.batch_limit - _jobs(slot))


def choose_for(slot: Slot, jobs: Sequence[Job], moment: Moment, *, most: int = 1) -> list[Job]:
    """Those of `jobs` that the worker of a slot, or one that is still to load, could be given next; at most `most`."""
    worker = slot.worker
    if worker is None or worker.state is not WorkerState.BUSY:
        may_be_joined = worker is not None and worker.loaded is not None and worker.loaded.takes_more_jobs
        return choose_jobs(jobs, slot.batch_limit, may_be_joined=may_be_joined, most=most)
    must_finish = any(job.alone and is_overdue(job, moment) for job in jobs)
    if must_finish or not worker.may_be_joined:
        return []
    return choose_jobs(jobs, slot.batch_limit, held=worker.jobs.values(), may_be_joined=True, most=most)


def choose_jobs(
    jobs: Sequence[Job],
    limit: int,
    *,
    held: Collection[Job] = (),
    may_be_joined: bool = False,
    most: float = math.inf,
) -> list[Job]:
    """Choose at most `most` jobs to give to a worker that has `held` already, and has `limit` places. `jobs` are in the
    order of the queue.

    A job that must run alone is chosen alone. may_be_joined: others may come later, so the last place is reserved for a
    small one.
    """
    if jobs[0].alone and not held:
        return [jobs[0]]
    chosen: list[Job] = []
    for job in jobs:
        others = [*held, *chosen]
        if len(others) >= limit or len(chosen) >= most:
            break
        is_last = may_be_joined and 0 < len(others) == limit - 1
        is_small = not others or job.size_bytes * _SMALL <= min(other.size_bytes for other in others)
        if not job.alone and (is_small or not is_last):
            chosen.append(job)
    return chosen
