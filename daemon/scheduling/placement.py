"""Decides which models to load and unload, and whose work runs first, where not all fit at once. Pure.

A loaded model continues with its own work even while older work waits for another model, because loading costs more
than waiting; but not for longer than `patience`, nor against a higher priority.

A worker that may be joined is given jobs while it is busy. Its last place is reserved for a file much smaller than all
others there, so that a few long recordings do not keep every short one waiting.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from daemon.core.job import Job
from daemon.scheduling.pools import Pool

_SMALL = 4  # times smaller than each other, to get the last place


@dataclass(frozen=True, kw_only=True)
class CandidateBatch:
    """A pool and the jobs of its next batch, in the order of the queue."""

    pool: Pool
    jobs: Sequence[Job]


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """The limits on models loaded at the same time, and on how long a job may wait for another model."""

    workers: int
    memory_bytes: float
    patience_us: int  # until a job is overdue, because another model's queue does not end


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Decisions for the present moment. A pool that did not fit is planned again when a worker has exited."""

    load: tuple[Pool, ...]
    unload: tuple[Pool, ...]
    run: tuple[CandidateBatch, ...]


def plan(batches: Sequence[CandidateBatch], pools: Sequence[Pool], capacity: Capacity, *, now_us: int) -> Plan:
    """Decide what to load, unload and run. `pools`: all of them, with and without work."""
    held = [pool for pool in pools if pool.worker is not None]
    work = {id(batch.pool): batch for batch in batches}
    load: list[Pool] = []
    unload: list[Pool] = []
    waiting: list[Job] = []  # for a model that does not fit
    for batch in sorted(batches, key=lambda batch: rank(batch.jobs[0])):
        if batch.pool.worker is not None:
            continue
        if _fits(batch.pool, [*held, *load], capacity):
            load.append(batch.pool)
            continue
        waiting.append(batch.jobs[0])
        going = _make_room(batch, [*held, *load], work, capacity, now_us)
        unload += [pool for pool in going if pool not in unload]
        if going or is_overdue(batch.jobs[0], capacity.patience_us, now_us):
            break  # later batches must not take the room that is being made
    run = [batch for batch in batches if batch.pool.is_idle and batch.pool not in unload]
    for batch in batches:
        if batch.pool.may_be_joined and not any(_goes_before(job, batch.jobs[0], capacity, now_us) for job in waiting):
            run.append(batch)
    return Plan(load=tuple(load), unload=tuple(unload), run=tuple(sorted(run, key=lambda each: rank(each.jobs[0]))))


def choose_jobs(
    jobs: Sequence[Job], limit: int, *, held: Collection[Job] = (), may_be_joined: bool = False
) -> list[Job]:
    """Choose the jobs to give to a worker that has `held` already. `jobs` are in the order of the queue.

    A job that must run alone is chosen alone. may_be_joined: others may come later, so the last place is reserved for a
    small one.
    """
    if jobs[0].alone and not held:
        return [jobs[0]]
    chosen: list[Job] = []
    for job in jobs:
        others = [*held, *chosen]
        if len(others) >= limit:
            break
        is_last = may_be_joined and 0 < len(others) == limit - 1
        is_small = not others or job.size_bytes * _SMALL <= min(other.size_bytes for other in others)
        if not job.alone and (is_small or not is_last):
            chosen.append(job)
    return chosen


def is_overdue(job: Job, patience_us: int, now_us: int) -> bool:
    """True if the job has waited longer than the queue of a loaded model may delay it."""
    return now_us - job.received_at > patience_us


def rank(job: Job) -> tuple[int, int, str]:
    """The order of the queue."""
    return (-job.priority, job.received_at, job.id)


def _fits(pool: Pool, held: Sequence[Pool], capacity: Capacity) -> bool:
    """A single pool always fits: its need is an estimate, and it could never be tried otherwise."""
    needs = sum(other.memory_bytes for other in held) + pool.memory_bytes
    return not held or (len(held) < capacity.workers and needs <= capacity.memory_bytes)


def _make_room(
    batch: CandidateBatch, held: Sequence[Pool], work: dict[int, CandidateBatch], capacity: Capacity, now_us: int
) -> list[Pool]:
    """Return the idle pools to unload for the batch: those without work first, then those whose work must stand back.
    None of them if that would not suffice and the batch can wait: they stay useful meanwhile."""
    head = batch.jobs[0]
    idle = sorted((pool for pool in held if pool.is_idle), key=lambda pool: (id(pool) in work, pool.idle_since))
    going: list[Pool] = []
    for pool in idle:
        if id(pool) in work and not _goes_before(head, work[id(pool)].jobs[0], capacity, now_us):
            continue
        going.append(pool)
        if _fits(batch.pool, [other for other in held if other not in going], capacity):
            return going
    return going if is_overdue(head, capacity.patience_us, now_us) else []


def _goes_before(waiting: Job, other: Job, capacity: Capacity, now_us: int) -> bool:
    """True if a model that still has work is unloaded for `waiting`; `other` is the first job of that work."""
    if waiting.priority != other.priority:
        return waiting.priority > other.priority
    return waiting.received_at < other.received_at and is_overdue(waiting, capacity.patience_us, now_us)
