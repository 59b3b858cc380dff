"""Which models are loaded, and whose work goes first, where not all fit at once. Pure: it decides, `dispatch` acts.

A model that is loaded goes on with its own work, also while older work waits for another model, as loading costs more
than waiting. But not for longer than `patience`, nor against a higher priority.

A worker that may be joined is handed jobs while it is busy. Its last place is kept for a file much smaller than all
others there, so that a few long recordings do not keep every short one waiting.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from daemon.core.job import Job
from daemon.scheduling.pools import Stage

_SMALL = 4  # times smaller than each other, to get the last place


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A stage and the jobs of its next batch, in the order of the queue."""

    stage: Stage
    jobs: Sequence[Job]


@dataclass(frozen=True, kw_only=True)
class Room:
    """What may be loaded at the same time: so many workers, so many bytes; and the longest time (microseconds) that a
    job may wait for another model's queue to end."""

    workers: int
    memory_bytes: float
    patience_us: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do now. What was to be loaded and did not fit is asked for again when a worker has ended."""

    load: tuple[Stage, ...]
    unload: tuple[Stage, ...]
    run: tuple[Offer, ...]


def plan(offers: Sequence[Offer], stages: Sequence[Stage], room: Room, *, now_us: int) -> Plan:
    """`stages`: all there are, with and without work."""
    held = [stage for stage in stages if stage.worker is not None]
    work = {id(offer.stage): offer for offer in offers}
    load: list[Stage] = []
    unload: list[Stage] = []
    waiting: list[Job] = []  # for a model that does not fit
    for offer in sorted(offers, key=lambda offer: rank(offer.jobs[0])):
        if offer.stage.worker is not None:
            continue
        if _fits(offer.stage, [*held, *load], room):
            load.append(offer.stage)
            continue
        waiting.append(offer.jobs[0])
        going = _make_room(offer, [*held, *load], work, room, now_us)
        unload += [stage for stage in going if stage not in unload]
        if going or is_overdue(offer.jobs[0], room.patience_us, now_us):
            break  # what comes after it must not take the room that is being made
    run = [offer for offer in offers if offer.stage.is_idle and offer.stage not in unload]
    for offer in offers:
        if offer.stage.may_be_joined and not any(_goes_before(job, offer.jobs[0], room, now_us) for job in waiting):
            run.append(offer)
    return Plan(load=tuple(load), unload=tuple(unload), run=tuple(sorted(run, key=lambda each: rank(each.jobs[0]))))


def batch(jobs: Sequence[Job], limit: int, *, held: Collection[Job] = (), may_be_joined: bool = False) -> list[Job]:
    """Those of `jobs`, which are in the order of the queue, that a worker is handed that has `held` already.

    A job that must be alone is. may_be_joined: others may come later, and its last place is kept for a small one.
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
    """Has it waited for longer than work that could go on may keep it waiting?"""
    return now_us - job.received_at > patience_us


def rank(job: Job) -> tuple:
    """The order of the queue."""
    return (-job.priority, job.received_at, job.id)


def _fits(stage: Stage, held: Sequence[Stage], room: Room) -> bool:
    """One alone always does: its need is an estimate, and it could never be tried otherwise."""
    needs = sum(other.memory_bytes for other in held) + stage.memory_bytes
    return not held or (len(held) < room.workers and needs <= room.memory_bytes)


def _make_room(offer: Offer, held: Sequence[Stage], work: dict[int, Offer], room: Room, now_us: int) -> list[Stage]:
    """The idle stages to unload for the offer: those without work first, then those whose work must stand back. None,
    if that would not do and the offer can wait: they stay useful meanwhile."""
    head = offer.jobs[0]
    idle = sorted((stage for stage in held if stage.is_idle), key=lambda stage: (id(stage) in work, stage.idle_since))
    going: list[Stage] = []
    for stage in idle:
        if id(stage) in work and not _goes_before(head, work[id(stage)].jobs[0], room, now_us):
            continue
        going.append(stage)
        if _fits(offer.stage, [other for other in held if other not in going], room):
            return going
    return going if is_overdue(head, room.patience_us, now_us) else []


def _goes_before(waiting: Job, other: Job, room: Room, now_us: int) -> bool:
    """Is a model to be unloaded, though it has work (`other` first), for the sake of `waiting`?"""
    if waiting.priority != other.priority:
        return waiting.priority > other.priority
    return waiting.received_at < other.received_at and is_overdue(waiting, room.patience_us, now_us)
