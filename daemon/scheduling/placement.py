"""Decides which models to load and unload on which device, and whose work runs first, where not all fit at once. Pure.

The first worker of a pool is loaded where there is room, or else where room can be made. A loaded model continues with
its own work even while older work waits for another model, because loading costs more than waiting; but not for longer
than `patience`, nor against a higher priority. A pool that has workers on several devices gives one of them up at once
for a pool that has none.

A pool gets a further worker only if its present workers would need longer for the waiting work than loading another
worker takes. While the duration of jobs is unknown, the time that the running jobs have taken so far is used instead,
so waiting costs at most as much as loading.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from daemon.core.job import Job
from daemon.scheduling.batches import Batch, Moment, PoolQueue, divide, is_overdue, rank
from daemon.scheduling.pool import Pool, Slot
from daemon.workers.supervisor import WorkerState


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Decisions for the present moment. A pool that did not fit is planned again when a worker has exited."""

    load: tuple[Slot, ...]
    unload: tuple[Slot, ...]
    run: tuple[Batch, ...]
    again_at: float | None = None  # monotonic clock: when a further worker becomes worth loading


def plan(queues: Sequence[PoolQueue], slots: Iterable[Slot], moment: Moment) -> Plan:
    """Decide what to load, unload and run. `slots`: those of all pools, with and without work."""
    planner = _Planner(queues, [slot for slot in slots if slot.worker is not None], moment)
    waiting = sorted(queues, key=lambda queue: rank(queue.jobs[0]))
    for queue in waiting:
        if not any(queue.pool.live):
            planner.load_first(queue)
    for queue in waiting:
        if any(queue.pool.live):
            planner.load_further(queue)
    return planner.plan(waiting)


def needed_jobs(pool: Pool, moment: Moment) -> int:
    """The number of waiting jobs from which a further worker of the pool is worth its load; 0: it may have none."""
    live, seconds = sum(1 for _ in pool.live), _job_seconds(pool, moment)
    if not live or not _may_grow(pool):
        return 0
    return int(live * (pool.pace.load or 0.0) / seconds) + 1 if seconds > 0 else 1


def _may_grow(pool: Pool) -> bool:
    """True if a further worker could be loaded, and it is known how long that takes."""
    return pool.may_spread and pool.pace.load is not None and any(_free(pool))


def _job_seconds(pool: Pool, moment: Moment) -> float:
    """The time that a worker of the pool takes for a job, as far as is known."""
    workers = [slot.worker for slot in pool.live if slot.worker is not None]
    are_busy = all(worker.state is WorkerState.BUSY for worker in workers)
    so_far = min((moment.now - worker.last_outcome for worker in workers), default=0.0) if are_busy else 0.0
    return max(so_far, pool.pace.job or 0.0)


def _free(pool: Pool) -> Iterator[Slot]:
    """The slots that could get a worker: on devices with enough memory, if there are any."""
    able = [slot for slot in pool.slots if all(slot.memory_bytes <= each.memory_bytes for each in slot.devices)]
    return (slot for slot in able or pool.slots if slot.worker is None and not slot.is_parked)


@dataclass(kw_only=True)
class _Waiting:
    """The first job of a pool for which there is no room, and the devices on which room is or will be made for it."""

    job: Job
    devices: set[str]


@dataclass
class _Planner:
    queues: Sequence[PoolQueue]
    held: Sequence[Slot]  # with a worker
    moment: Moment
    load: list[Slot] = field(default_factory=list)
    unload: list[Slot] = field(default_factory=list)
    waiting: list[_Waiting] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)  # devices on which room is being made: others must not take it
    again_at: float | None = None

    def __post_init__(self) -> None:
        self._work = {queue.pool: queue.jobs[0] for queue in self.queues}
        self._on: dict[str, list[Slot]] = {}  # those that are held, by device
        self._ending = [slot for slot in self.held if not slot.is_live]
        for slot in self.held:
            self._hold(slot)

    def plan(self, queues: Sequence[PoolQueue]) -> Plan:
        """What was decided; the batches go to the workers that stay."""
        run: list[Batch] = []
        for queue in queues:
            to_load = sum(slot.pool is queue.pool for slot in self.load)
            divided = divide(queue, self.moment, to_load=to_load, without=self.unload)
            batches = [batch for batch in divided if batch.slot.is_idle or self._may_join(batch)]
            if batches and queue.waiting > sum(len(batch.jobs) for batch in batches) and _may_grow(queue.pool):
                self.again_at = self.moment.now  # once they run, the worth of a further load is known
            run += batches
        return Plan(
            load=tuple(self.load),
            unload=tuple(self.unload),
            run=tuple(sorted(run, key=lambda batch: rank(batch.jobs[0]))),
            again_at=self.again_at,
        )

    def _may_join(self, batch: Batch) -> bool:
        names = {device.name for device in batch.slot.devices}
        rivals = (each.job for each in self.waiting if each.devices & names)
        return not any(self._goes_before(job, batch.jobs[0]) for job in rivals)

    # ---------------------------------------------------------------------------------------- the first worker

    def load_first(self, queue: PoolQueue) -> None:
        """Load a model that has no worker: where it fits and the fewest others are loaded, or else make room."""
        free = [slot for slot in _free(queue.pool) if not self._is_closed(slot)]
        if not free:
            return
        if fitting := [slot for slot in free if self._fits(slot)]:
            self._take(min(fitting, key=self._neighbors))
            return
        if soon := [slot for slot in free if self._fits(slot, without=self._ending)]:
            self._wait_for_room(queue, min(soon, key=self._neighbors))
            return
        slot, going = self._make_room(queue.jobs[0], free)
        names = {device.name for device in slot.devices}
        self.waiting.append(_Waiting(job=queue.jobs[0], devices=names))
        self.unload += going
        if going or is_overdue(queue.jobs[0], self.moment):
            self.closed |= names

    def _wait_for_room(self, queue: PoolQueue, slot: Slot) -> None:
        """Reserve a slot for a pool until the workers that were asked to exit have exited."""
        names = {device.name for device in slot.devices}
        self.waiting.append(_Waiting(job=queue.jobs[0], devices=names))
        self.closed |= names

    def _make_room(self, head: Job, slots: Sequence[Slot]) -> tuple[Slot, list[Slot]]:
        """The slot for which room can be made most cheaply, and the idle workers to end. No worker ends if that would
        not suffice and the job can wait, because the workers remain useful in the meantime."""
        rooms = [(slot, going) for slot in slots if (going := self._victims(head, slot, in_part=False))]
        if rooms:
            return min(rooms, key=lambda room: (sum(map(self._has_work, room[1])), len(room[1])))
        nearest = min(slots, key=self._busy_bytes)
        return nearest, self._victims(head, nearest, in_part=True) if is_overdue(head, self.moment) else []

    def _victims(self, head: Job, slot: Slot, *, in_part: bool) -> list[Slot]:
        """The idle workers whose end makes room for a slot: first those without work, then those whose work has to
        wait. in_part: return them even if they do not suffice."""
        idle = sorted((each for each in self._beside(slot) if each.is_idle), key=self._order_of_going)
        going: list[Slot] = []
        for each in idle:
            if self._has_work(each) and not self._stands_back(each, head, going):
                continue
            going.append(each)
            if self._fits(slot, without=[*self._ending, *going]):
                return going
        return going if in_part else []

    def _stands_back(self, slot: Slot, head: Job, going: Sequence[Slot]) -> bool:
        """True if a model that still has work is unloaded for `head`."""
        own = self._work[slot.pool]
        others = [each for each in slot.pool.live if each is not slot and each not in (*going, *self.unload)]
        return self._goes_before(head, own) or (bool(others) and head.priority >= own.priority)

    def _goes_before(self, waiting: Job, other: Job) -> bool:
        """True if `waiting` goes before the work of a loaded model, of which `other` is the first job."""
        if waiting.priority != other.priority:
            return waiting.priority > other.priority
        return waiting.received_at < other.received_at and is_overdue(waiting, self.moment)

    # ---------------------------------------------------------------------------------------- further workers

    def load_further(self, queue: PoolQueue) -> None:
        """Load a model on further devices while the waiting jobs are worth it."""
        if not _may_grow(pool := queue.pool):
            return
        load_seconds = pool.pace.load or 0.0
        live = sum(1 for _ in pool.live)
        work = queue.waiting * _job_seconds(pool, self.moment)
        reserved = set().union(*(each.devices for each in self.waiting))
        free = [slot for slot in _free(pool) if not self._is_closed(slot) and not _is_on(slot, reserved)]
        for slot in sorted(free, key=self._neighbors):
            going = self._useless(slot)
            if going is None:
                continue
            if work <= live * load_seconds:
                self._note_time(queue, live * load_seconds)
                return
            live += 1
            if going:
                self.unload += going
                self.closed |= {device.name for device in slot.devices}
            else:
                self._take(slot)

    def _useless(self, slot: Slot) -> list[Slot] | None:
        """The workers to end for a slot: those that have had no work for as long as their own load takes. (If they
        ended sooner, two models might alternate.) None: ending them would not suffice."""
        idle = (each for each in self._beside(slot) if each.is_idle and not self._has_work(each))
        stale = (each for each in idle if self.moment.now - each.idle_since > (each.pool.pace.load or 0.0))
        going: list[Slot] = []
        while not self._fits(slot, without=going):
            if (each := next(stale, None)) is None:
                return None
            going.append(each)
        return going

    def _note_time(self, queue: PoolQueue, worth: float) -> None:
        """Note when the running jobs will have taken so long that the waiting ones are worth a load."""
        workers = [slot.worker for slot in queue.pool.live if slot.worker is not None]
        if all(worker.state is WorkerState.BUSY for worker in workers):
            at = max(worker.last_outcome for worker in workers) + worth / queue.waiting
            self.again_at = at if self.again_at is None else min(at, self.again_at)

    # ---------------------------------------------------------------------------------------- devices

    def _take(self, slot: Slot) -> None:
        self.load.append(slot)
        self._hold(slot)

    def _hold(self, slot: Slot) -> None:
        for device in slot.devices:
            self._on.setdefault(device.name, []).append(slot)

    def _fits(self, slot: Slot, *, without: Sequence[Slot] = ()) -> bool:
        """A single model always fits: its need is an estimate, and it could never be tried otherwise."""
        for device in slot.devices:
            held = [each for each in self._on.get(device.name, ()) if each not in without]
            needs = sum(each.memory_bytes for each in held) + slot.memory_bytes
            if held and (len(held) >= device.at_once or needs > device.memory_bytes):
                return False
        return True

    def _beside(self, slot: Slot) -> Iterator[Slot]:
        """The workers on the devices of a slot that are not about to end."""
        held = (each for device in slot.devices for each in self._on.get(device.name, ()))
        return (each for each in dict.fromkeys(held) if each not in self.unload)

    def _neighbors(self, slot: Slot) -> int:
        return sum(1 for _ in self._beside(slot))

    def _busy_bytes(self, slot: Slot) -> float:
        return sum(each.memory_bytes for each in self._beside(slot) if not each.is_idle)

    def _is_closed(self, slot: Slot) -> bool:
        return _is_on(slot, self.closed)

    def _has_work(self, slot: Slot) -> bool:
        """True if jobs wait that the idle worker of a slot will be given now."""
        return slot.pool in self._work and not slot.is_parked

    def _order_of_going(self, slot: Slot) -> tuple[bool, float]:
        return self._has_work(slot), slot.idle_since


def _is_on(slot: Slot, names: set[str]) -> bool:
    return any(device.name in names for device in slot.devices)
