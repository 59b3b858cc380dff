"""Pools, devices and queues for the tests of placement: workers that are only a state."""

from collections.abc import Sequence
from types import SimpleNamespace

from daemon.core.job import Job
from daemon.scheduling.batches import Moment, PoolQueue
from daemon.scheduling.devices import Device
from daemon.scheduling.pool import Pool
from daemon.workers.supervisor import WorkerState
from processors.contract import Options

MINUTE = 60_000_000
NOW_US = 100 * MINUTE
NOW = 1000.0
GIGABYTE = 10**9


def device(name: str = "cpu", *, at_once: int = 1, gigabytes: float = 1000) -> Device:
    kind = "cpu" if name == "cpu" else "gpu"
    return Device(name=name, kind=kind, at_once=at_once, memory_bytes=gigabytes * GIGABYTE)


def gpus(count: int, *, at_once: int = 1, gigabytes: float = 24) -> list[Device]:
    return [device(f"cuda:{number}", at_once=at_once, gigabytes=gigabytes) for number in range(count)]


def moment(now: float = NOW, *, patience_minutes: int = 10) -> Moment:
    return Moment(now=now, now_us=NOW_US + int((now - NOW) * 1e6), patience_us=patience_minutes * MINUTE)


def pool_on(
    devices: Sequence[Device],
    name: str = "reader",
    *,
    gigabytes: float = 4,
    max_batch: int = 8,
    load: float | None = None,
    job: float | None = None,
) -> Pool:
    """A pool that may have a worker on each of the devices. load, job: the seconds that these took so far."""
    places = tuple((each,) for each in devices)
    pool = Pool.on(places, name, Options(max_batch=max_batch), int(gigabytes * GIGABYTE))
    pool.pace.load, pool.pace.job = load, job
    return pool


def on(
    pool: Pool,
    number: int,
    state: WorkerState | None,
    *,
    jobs: Sequence[Job] = (),
    idle_since: float = 0.0,
    joins: bool = False,
    since: float = NOW,
) -> Pool:
    """Give a slot a worker in this state, since that time; None: none."""
    slot = pool.slots[number]
    slot.idle_since = idle_since
    slot.worker = None
    if state is not None:
        slot.worker = SimpleNamespace(  # type: ignore[assignment]
            state=state,
            jobs={job.id: job for job in jobs},
            may_be_joined=joins,
            loaded=SimpleNamespace(takes_more_jobs=joins),
            started=since,
            last_outcome=since,
        )
    return pool


def queue(pool: Pool, jobs: Sequence[Job], *, waiting: int | None = None) -> PoolQueue:
    return PoolQueue(pool=pool, jobs=jobs, waiting=len(jobs) if waiting is None else waiting)
