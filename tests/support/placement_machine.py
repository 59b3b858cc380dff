"""A machine with random devices, pools and queues, which carries out the plans of the placement and checks each of them
against what the placement promises.

The checks use the names of `daemon.scheduling.batches` as they were when this module was imported, so that a test may
break the placement without breaking its checks.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from factories import make_job
from hypothesis import strategies as st
from placements import NOW, NOW_US, device, moment, on, pool_on, queue

from daemon.core.job import Job
from daemon.scheduling import placement
from daemon.scheduling.batches import Batch, Moment, PoolQueue, choose_for, free_places, is_overdue, rank
from daemon.scheduling.devices import Device
from daemon.scheduling.placement import Plan
from daemon.scheduling.pool import Pool, Slot
from daemon.workers.supervisor import WorkerState

BUSY, IDLE, LOADING = WorkerState.BUSY, WorkerState.IDLE, WorkerState.LOADING
SMALL, LARGE = 10, 10_000  # bytes
_STEPS = 4000  # within which every job must have started


@dataclass
class Machine:
    """Its workers obey, and end their jobs in any order."""

    devices: list[Device]
    pools: list[Pool]
    seed: int
    patience_minutes: int
    now: float = NOW
    queues: dict[Pool, list[Job]] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)
    count: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def run(self, drops: int) -> None:
        """Drop so many files one after the other, and go on until all of their jobs have started."""
        for number in range(max(40, drops)):
            if number < drops:
                self._drop()
            self._step()
        for _ in range(_STEPS):
            if not any(self.queues.values()):
                break
            self._step()
        assert len(self.started) == self.count, "a job was starved"

    def _drop(self) -> None:
        self.count += 1
        job = make_job(
            id=f"{self.count:05}",
            received_at=NOW_US + int((self.now - NOW) * 1e6) + self.count,
            priority=self.chance.choice((0, 0, 0, 1)),
            size_bytes=self.chance.choice((SMALL, LARGE)),
            alone=self.chance.random() < 0.05,
        )
        jobs = self.queues.setdefault(self.chance.choice(self.pools), [])
        jobs.append(job)
        jobs.sort(key=rank)

    def _step(self) -> None:
        """Plan, check the plan, carry it out, and let something happen."""
        queues = [
            queue(pool, jobs[: max(8, sum(map(free_places, pool.slots)))], waiting=len(jobs))
            for pool, jobs in self.queues.items()
            if jobs
        ]
        decided = placement.plan(queues, [slot for pool in self.pools for slot in pool.slots], self._moment())
        self._check(queues, decided)
        for slot in decided.unload:
            slot.worker.state = WorkerState.ENDING
        for batch in decided.run:
            self._start(batch)
        for slot in decided.load:
            on(slot.pool, slot.pool.slots.index(slot), LOADING, joins=self.chance.random() < 0.5, since=self.now)
        self._check_devices()
        self.now += self.chance.choice((0.1, 1.0, 30.0))
        self._happen()

    def _start(self, batch: Batch) -> None:
        worker = batch.slot.worker
        held = [job.size_bytes for job in worker.jobs.values()]
        for job in batch.jobs:
            assert job.id not in self.started, "in two runs"
            self.started.add(job.id)
            self.queues[batch.slot.pool].remove(job)
        worker.last_outcome = worker.last_outcome if worker.jobs else self.now
        worker.jobs |= {job.id: job for job in batch.jobs}
        assert len(worker.jobs) <= batch.slot.batch_limit, "above the batch limit"
        assert len(worker.jobs) == 1 or not any(job.alone for job in worker.jobs.values()), "not alone"
        if worker.loaded.takes_more_jobs and len(worker.jobs) == batch.slot.batch_limit > 1:
            *others, last = [*held, *(job.size_bytes for job in batch.jobs)]
            assert last < min(others), "a large job in the place of a short one"
        worker.state = BUSY
        worker.may_be_joined = worker.loaded.takes_more_jobs and not any(job.alone for job in worker.jobs.values())

    def _happen(self) -> None:
        """Something that a worker does: a random one, so that batches end in any order."""
        held = [slot for pool in self.pools for slot in pool.slots if slot.worker is not None]
        for slot in self.chance.sample(held, min(len(held), 2)):
            worker, pool = slot.worker, slot.pool
            if worker.state is WorkerState.ENDING:
                slot.worker = None
            elif worker.state is LOADING:
                pool.pace.load = self.now - worker.started
                worker.state, slot.idle_since = IDLE, self.now
            elif worker.state is BUSY:
                worker.jobs.pop(next(iter(worker.jobs)))
                pool.pace.note_job(self.now - worker.last_outcome)
                worker.last_outcome = self.now
                if not worker.jobs:
                    worker.state, slot.idle_since, worker.may_be_joined = IDLE, self.now, False

    # ------------------------------------------------------------------------------------ what must hold

    def _check(self, queues: Sequence[PoolQueue], decided: Plan) -> None:
        given = [job.id for batch in decided.run for job in batch.jobs]
        assert len(given) == len(set(given)), "in two runs"
        assert not set(decided.load) & set(decided.unload), "loaded and unloaded"
        assert all(slot.worker is None for slot in decided.load), "two workers in one slot"
        assert all(slot.is_idle for slot in decided.unload), "only idle models are unloaded"
        assert not {batch.slot for batch in decided.run} & set(decided.unload), "work for a worker that ends"
        assert all(self._is_able(slot) for slot in decided.load), "another device has enough memory"
        self._check_loads(queues, decided)
        self._check_order(queues, decided)
        for each in queues:
            self._check_idle(each, decided)

    def _check_loads(self, queues: Sequence[PoolQueue], decided: Plan) -> None:
        """No device idles while work fits, no model is swapped while a device idles, and none is loaded in vain."""
        used = {slot.devices[0].name for pool in self.pools for slot in pool.slots if slot.worker is not None}
        for slot in decided.load:
            is_alone = slot.devices[0].name not in used
            assert is_alone or not self._free(slot.pool) - used, "two models on a device while another idles"
            used.add(slot.devices[0].name)
        empty = {each.name for each in self.devices} - used
        by_pool = {each.pool: each for each in queues}
        for pool, each in by_pool.items():
            loads = [slot for slot in decided.load if slot.pool is pool]
            live = sum(1 for _ in pool.live)
            if not live and not loads:
                assert not self._free(pool) & empty, "a device idles while work fits, or a model is swapped instead"
            elif loads and len(loads) + live > 1:
                assert live and pool.pace.load is not None, "a further worker before the first has loaded"
                worth = each.waiting * self._job_seconds(pool)
                assert worth > (live + len(loads) - 1) * pool.pace.load, "a further worker that the queue is not worth"
        assert all(slot.pool in by_pool for slot in decided.load), "a model without work"

    def _check_order(self, queues: Sequence[PoolQueue], decided: Plan) -> None:
        """Priorities and patience are kept between the pools."""
        heads = {each.pool: each.jobs[0] for each in queues}
        loads = {slot.pool: slot for slot in decided.load}
        without = [each for each in queues if not any(each.pool.live) and each.pool not in loads]
        for slot in decided.unload:
            if own := heads.get(slot.pool):
                rivals = [each.jobs[0] for each in without if self._shares(each.pool, slot)]
                is_spare = sum(1 for _ in slot.pool.live) > sum(each.pool is slot.pool for each in decided.unload)
                assert any(
                    self._goes_before(job, own) or (is_spare and job.priority >= own.priority) for job in rivals
                ), "a model with work gives way to work that does not go before it"
        for each in without:
            head = each.jobs[0]
            for other, slot in loads.items():
                is_first = not any(other.live) and rank(head) > rank(heads[other])
                would_fit = not is_first and self._would_fit(each.pool, slot, decided)
                assert not would_fit, "a model is loaded before one of higher rank"
            slots = [slot for slot in each.pool.slots if slot.worker is None and self._is_able(slot)]
            may_wait = not slots or any(self._may_wait(slot, decided, head) for slot in slots)
            assert may_wait, "work of higher rank waits for a device that is given other work"

    def _goes_before(self, waiting: Job, other: Job) -> bool:
        """True if `waiting` may stop the model that has `other` to do."""
        is_late = is_overdue(waiting, self._moment()) and waiting.received_at < other.received_at
        return waiting.priority > other.priority or (waiting.priority == other.priority and is_late)

    def _may_wait(self, slot: Slot, decided: Plan, head: Job) -> bool:
        """False if the device of a slot is given work before which `head` goes, although its room could be made."""
        there = self._held(slot.devices[0])
        if any(each in decided.unload or each.state is WorkerState.ENDING for each in there):
            return True
        if not is_overdue(head, self._moment()) and any(not each.is_idle for each in there):
            return True  # the end of the idle ones would not suffice, so they remain useful
        given = [batch.jobs[0] for batch in decided.run if batch.slot in there]
        return not given or not all(self._goes_before(head, job) for job in given)

    def _shares(self, pool: Pool, slot: Slot) -> bool:
        return any(each.devices == slot.devices for each in pool.slots)

    def _would_fit(self, pool: Pool, slot: Slot, decided: Plan) -> bool:
        """True if a worker of `pool` would have fitted where the worker of `slot` is loaded, instead of it."""
        there = slot.devices[0]
        own = next((each for each in pool.slots if each.devices == slot.devices and each.worker is None), None)
        if own is None or not self._is_able(own):
            return False
        sooner = [each for each in decided.load[: decided.load.index(slot)] if each.devices == slot.devices]
        held = [*self._held(there), *sooner]
        needs = sum(each.memory_bytes for each in held) + own.memory_bytes
        return not held or (len(held) < there.at_once and needs <= there.memory_bytes)

    def _check_idle(self, each: PoolQueue, decided: Plan) -> None:
        """No worker idles while a job of its pool waits, and the first jobs go first."""
        batches = [batch for batch in decided.run if batch.slot.pool is each.pool]
        given = {job.id for batch in batches for job in batch.jobs}
        left = [job for job in each.jobs if job.id not in given]
        resting = [slot for slot in each.pool.slots if slot.is_idle and slot not in decided.unload]
        resting = [slot for slot in resting if slot not in {batch.slot for batch in batches}]
        assert not (left and resting and choose_for(resting[0], left, self._moment())), "a worker idles"
        if any(batch.slot.is_idle for batch in batches):
            assert each.jobs[0].id in given, "the head of the queue goes first"

    def _check_devices(self) -> None:
        for each in self.devices:
            held = self._held(each)
            assert len(held) <= each.at_once, "above its number of models"
            needs = sum(slot.memory_bytes for slot in held)
            assert len(held) <= 1 or needs <= each.memory_bytes, "above its memory"

    # ------------------------------------------------------------------------------------ below

    def _moment(self) -> Moment:
        return moment(self.now, patience_minutes=self.patience_minutes)

    def _held(self, device: Device) -> list[Slot]:
        return [slot for pool in self.pools for slot in pool.slots if slot.worker and device in slot.devices]

    def _free(self, pool: Pool) -> set[str]:
        return {slot.devices[0].name for slot in pool.slots if slot.worker is None and self._is_able(slot)}

    def _is_able(self, slot: Slot) -> bool:
        able = [each for each in slot.pool.slots if each.memory_bytes <= each.devices[0].memory_bytes]
        return slot in (able or slot.pool.slots)

    def _job_seconds(self, pool: Pool) -> float:
        workers = [slot.worker for slot in pool.live]
        are_busy = all(worker.state is BUSY for worker in workers)
        so_far = min(self.now - worker.last_outcome for worker in workers) if are_busy else 0.0
        return max(so_far, pool.pace.job or 0.0)


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    sizes = draw(st.lists(st.tuples(st.integers(1, 3), st.sampled_from((8, 24, 80))), min_size=1, max_size=5))
    devices = [device(f"cuda:{number}", at_once=most, gigabytes=size) for number, (most, size) in enumerate(sizes)]
    kinds = st.tuples(st.sampled_from((0, 0, 1)), st.sampled_from((0, 4, 10, 30)), st.sampled_from((1, 4)))
    pools = [
        pool_on(devices[first:] or devices, f"p{number}", gigabytes=size, max_batch=batch)
        for number, (first, size, batch) in enumerate(draw(st.lists(kinds, min_size=1, max_size=4)))
    ]
    return Machine(devices, pools, draw(st.integers(0, 2**32)), draw(st.sampled_from((1, 10))))
