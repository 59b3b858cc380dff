"""Placement on several devices: which device a model is loaded on, and when a further one is worth its load."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from factories import make_job
from hypothesis import given, settings
from hypothesis import strategies as st
from placements import GIGABYTE, MINUTE, NOW, NOW_US, device, gpus, moment, on, pool_on, queue

from daemon.core.job import Job
from daemon.scheduling.batches import Batch, PoolQueue, choose_for, free_places
from daemon.scheduling.devices import Device
from daemon.scheduling.placement import Plan, plan
from daemon.scheduling.pool import Pool, Slot
from daemon.workers.supervisor import WorkerState

BUSY, IDLE, LOADING = WorkerState.BUSY, WorkerState.IDLE, WorkerState.LOADING


def _jobs(count: int, *, age_minutes: float = 1, **facts) -> list[Job]:
    return [make_job(received_at=NOW_US - int(age_minutes * MINUTE), **facts) for _ in range(count)]


def _plan(*queues: PoolQueue, others: Sequence[Pool] = (), now: float = NOW) -> Plan:
    pools = [*(each.pool for each in queues), *others]
    return plan(queues, [slot for pool in pools for slot in pool.slots], moment(now))


def _names(slots: Sequence[Slot]) -> list[str]:
    return [f"{slot.pool.processor} on {slot.devices[0].name}" for slot in slots]


def _sizes(batches: Sequence[Batch]) -> list[int]:
    return [len(batch.jobs) for batch in batches]


# ---------------------------------------------------------------------------------------- the first worker


def test_models_of_two_pools_are_loaded_on_two_devices():
    two = gpus(2)
    reader, writer = pool_on(two), pool_on(two, "writer")
    assert _names(_plan(queue(reader, _jobs(1, age_minutes=2)), queue(writer, _jobs(1))).load) == [
        "reader on cuda:0",
        "writer on cuda:1",
    ]


def test_model_is_loaded_on_a_device_with_enough_memory():
    small, large = device("cuda:0", gigabytes=8), device("cuda:1", gigabytes=24)
    assert _names(_plan(queue(pool_on([small, large], gigabytes=20), _jobs(1))).load) == ["reader on cuda:1"]
    huge = pool_on([small, large], gigabytes=99)
    assert len(_plan(queue(huge, _jobs(1))).load) == 1, "its need is an estimate"


def test_no_model_is_unloaded_while_another_device_has_room():
    two = gpus(2)
    reader, writer = on(pool_on(two), 0, IDLE), pool_on(two, "writer")
    decided = _plan(queue(writer, _jobs(1)), others=[reader])
    assert (_names(decided.load), decided.unload) == (["writer on cuda:1"], ())


def test_room_is_made_where_a_model_has_no_work():
    two = gpus(2)
    reader, lazy, writer = on(pool_on(two), 0, IDLE), on(pool_on(two, "lazy"), 1, IDLE), pool_on(two, "writer")
    decided = _plan(queue(reader, _jobs(9, age_minutes=5)), queue(writer, _jobs(1)), others=[lazy])
    assert _names(decided.unload) == ["lazy on cuda:1"] and _names([each.slot for each in decided.run]) == [
        "reader on cuda:0"
    ]


def test_pool_with_two_workers_gives_one_up_for_a_pool_with_none():
    two = gpus(2)
    reader, writer = on(on(pool_on(two), 0, BUSY), 1, IDLE), pool_on(two, "writer")
    assert _names(_plan(queue(reader, _jobs(9, age_minutes=5)), queue(writer, _jobs(1))).unload) == ["reader on cuda:1"]
    one = queue(reader, _jobs(1, age_minutes=5)), queue(writer, _jobs(1))
    on(reader, 0, IDLE, idle_since=NOW)
    decided = _plan(*one)
    (going,), (batch,) = decided.unload, decided.run
    assert going is not batch.slot and going.pool is batch.slot.pool is reader, "the job goes to the one that stays"
    on(reader, 0, BUSY)
    urgent = queue(reader, _jobs(9, age_minutes=5, priority=1))
    assert _plan(urgent, queue(writer, _jobs(1))).unload == (), "not against a higher priority"
    alone = on(on(pool_on(two), 0, None), 1, IDLE)
    other = on(pool_on(two, "other"), 0, BUSY)
    both = queue(alone, _jobs(9, age_minutes=5)), queue(writer, _jobs(1))
    assert _plan(*both, others=[other]).unload == (), "not its only one"


def test_overdue_work_closes_one_device_and_leaves_the_others_open():
    two = gpus(2, at_once=2, gigabytes=10)
    joinable = on(on(pool_on(two, gigabytes=8), 0, BUSY, joins=True), 1, BUSY, joins=True)
    writer = pool_on(two, "writer", gigabytes=9)
    decided = _plan(queue(joinable, _jobs(6)), queue(writer, _jobs(1, age_minutes=11)))
    assert _names([each.slot for each in decided.run]) == ["reader on cuda:1"], "the first makes room"


def test_parked_slot_is_not_used_and_the_other_device_is():
    pool = pool_on(gpus(2))
    pool.slots[0].parked_until = 2000.0
    assert _names(_plan(queue(pool, _jobs(1))).load) == ["reader on cuda:1"] and not pool.is_parked


def test_model_that_is_divided_among_all_devices_needs_room_on_each():
    two = gpus(2, gigabytes=10)
    both = Pool.on((tuple(two),), "both", pool_on(two).options, 16 * GIGABYTE)
    assert _plan(queue(both, _jobs(1))).load == both.slots
    reader = on(pool_on(two), 1, BUSY)
    assert _plan(queue(both, _jobs(1)), others=[reader]).load == ()
    on(reader, 1, IDLE)
    assert _names(_plan(queue(both, _jobs(1)), others=[reader]).unload) == ["reader on cuda:1"]


# ---------------------------------------------------------------------------------------- further workers


def test_further_worker_is_not_loaded_for_one_file():
    pool = pool_on(gpus(2), load=20.0, job=5.0)
    assert len(_plan(queue(pool, _jobs(1))).load) == 1
    assert _plan(queue(on(pool, 0, LOADING), _jobs(1))).load == ()
    assert _plan(queue(on(pool, 0, BUSY), _jobs(1))).load == ()


def test_further_workers_are_loaded_while_the_queue_is_worth_it():
    pool = on(pool_on(gpus(8), load=20.0, job=5.0), 0, BUSY)
    assert len(_plan(queue(pool, _jobs(4))).load) == 0  # 20 s of work: as long as the load
    assert len(_plan(queue(pool, _jobs(5))).load) == 1
    assert len(_plan(queue(pool, _jobs(1), waiting=17)).load) == 4  # 85 s: five workers would need 17 s each
    assert len(_plan(queue(pool, _jobs(1), waiting=1000)).load) == 7


def test_nothing_is_known_until_the_first_worker_has_worked():
    pool = on(pool_on(gpus(2)), 0, LOADING)
    assert _plan(queue(pool, _jobs(1), waiting=1000)).load == ()
    pool.pace.load = 20.0
    assert _plan(queue(on(pool, 0, BUSY, since=NOW), _jobs(1), waiting=1000)).load == ()


def test_waiting_job_costs_at_most_one_load_while_a_long_one_runs():
    pool = on(pool_on(gpus(2), load=20.0), 0, BUSY, since=NOW - 5)
    decided = _plan(queue(pool, _jobs(1)))
    assert (decided.load, decided.again_at) == ((), NOW + 15)
    assert len(_plan(queue(pool, _jobs(1)), now=NOW + 16).load) == 1


def test_pool_that_computes_on_the_cpu_gets_no_further_worker():
    pool = on(pool_on(gpus(2), load=1.0, job=5.0), 0, BUSY)
    pool.may_spread = False
    assert _plan(queue(pool, _jobs(9))).load == ()


def test_further_worker_takes_room_only_from_models_without_work_for_as_long_as_their_load():
    two = gpus(2)
    reader = on(pool_on(two, load=2.0, job=5.0), 0, BUSY)
    lazy = on(pool_on(two, "lazy", load=30.0), 1, IDLE, idle_since=NOW - 29)
    assert _plan(queue(reader, _jobs(9)), others=[lazy]).unload == ()
    assert _names(_plan(queue(reader, _jobs(9)), others=[lazy], now=NOW + 2).unload) == ["lazy on cuda:1"]


def test_idle_workers_share_the_jobs_evenly():
    pool = on(on(pool_on(gpus(2)), 0, IDLE), 1, IDLE)
    assert _sizes(_plan(queue(pool, _jobs(8))).run) == [4, 4]
    assert _sizes(_plan(queue(pool, _jobs(1))).run) == [1]
    assert _sizes(_plan(queue(pool, _jobs(99))).run) == [8, 8]


def test_jobs_are_left_for_a_worker_that_is_loading():
    pool = on(on(pool_on(gpus(2), load=10.0, job=5.0), 0, IDLE), 1, LOADING)
    assert _sizes(_plan(queue(pool, _jobs(6))).run) == [4], "two more than the other, which needs 10 s to load"
    assert _sizes(_plan(queue(on(pool, 1, LOADING, since=NOW - 10), _jobs(6))).run) == [3]


def test_jobs_join_the_worker_that_has_fewer():
    pool = on(pool_on(gpus(2)), 0, BUSY, joins=True, jobs=_jobs(4))
    on(pool, 1, BUSY, joins=True, jobs=_jobs(1))
    assert _names([each.slot for each in _plan(queue(pool, _jobs(3))).run]) == ["reader on cuda:1"]


# ---------------------------------------------------------------------------------------- at random


@dataclass
class _Machine:
    """Devices, pools and queues at random; carries out plans as the dispatcher does, with workers that obey."""

    devices: list[Device]
    pools: list[Pool]
    chance: random.Random
    now: float = NOW
    queues: dict[Pool, list[Job]] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)
    count: int = 0

    def drop(self) -> None:
        self.count += 1
        job = make_job(
            id=f"{self.count:05}",
            received_at=NOW_US + int((self.now - NOW) * 1e6) + self.count,
            priority=self.chance.choice((0, 0, 0, 1)),
            size_bytes=self.chance.choice((10, 10_000)),
            alone=self.chance.random() < 0.05,
        )
        jobs = self.queues.setdefault(self.chance.choice(self.pools), [])
        jobs.append(job)
        jobs.sort(key=lambda each: (-each.priority, each.received_at))

    def step(self) -> Plan:
        """Plan, check the plan, carry it out, and let something happen."""
        queues = [
            queue(pool, jobs[: max(8, sum(map(free_places, pool.slots)))], waiting=len(jobs))
            for pool, jobs in self.queues.items()
            if jobs
        ]
        decided = plan(queues, [slot for pool in self.pools for slot in pool.slots], moment(self.now))
        self._check(queues, decided)
        for slot in decided.unload:
            slot.worker.state = WorkerState.ENDING
        for batch in decided.run:
            self._start(batch)
        for slot in decided.load:
            on(slot.pool, slot.pool.slots.index(slot), LOADING, joins=self.chance.random() < 0.3, since=self.now)
        self._check_devices()
        self.now += self.chance.choice((0.1, 1.0, 30.0))
        self._happen()
        return decided

    def _start(self, batch: Batch) -> None:
        for job in batch.jobs:
            assert job.id not in self.started, "in two runs"
            self.started.add(job.id)
            self.queues[batch.slot.pool].remove(job)
        worker = batch.slot.worker
        worker.last_outcome = worker.last_outcome if worker.jobs else self.now
        worker.jobs |= {job.id: job for job in batch.jobs}
        assert len(worker.jobs) <= batch.slot.batch_limit
        assert len(worker.jobs) == 1 or not any(job.alone for job in worker.jobs.values())
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
        assert not set(decided.load) & set(decided.unload)
        assert all(slot.worker is None for slot in decided.load)
        assert all(slot.is_idle for slot in decided.unload), "only idle models are unloaded"
        assert not {batch.slot for batch in decided.run} & set(decided.unload)
        assert all(self._is_able(slot) for slot in decided.load), "another device has enough memory"
        used = {slot.devices[0].name for pool in self.pools for slot in pool.slots if slot.worker is not None}
        for slot in decided.load:
            free = {each.devices[0].name for each in slot.pool.slots if each.worker is None and self._is_able(each)}
            is_alone = slot.devices[0].name not in used
            assert is_alone or not free - used, "two models on a device while another idles"
            used.add(slot.devices[0].name)
        empty = {each.name for each in self.devices} - used
        for each in queues:
            if not any(each.pool.live) and not any(slot.pool is each.pool for slot in decided.load):
                names = {
                    slot.devices[0].name for slot in each.pool.slots if slot.worker is None and self._is_able(slot)
                }
                assert not names & empty, "a device idles while work fits, or a model is swapped instead"
            self._check_idle(each, decided)

    def _check_idle(self, each: PoolQueue, decided: Plan) -> None:
        """No worker idles while a job of its pool waits, and the first jobs go first."""
        batches = [batch for batch in decided.run if batch.slot.pool is each.pool]
        given = {job.id for batch in batches for job in batch.jobs}
        left = [job for job in each.jobs if job.id not in given]
        resting = [slot for slot in each.pool.slots if slot.is_idle and slot not in decided.unload]
        resting = [slot for slot in resting if slot not in {batch.slot for batch in batches}]
        assert not (left and resting and choose_for(resting[0], left, moment(self.now)))
        if any(batch.slot.is_idle for batch in batches):
            assert each.jobs[0].id in given, "the head of the queue goes first"

    def _is_able(self, slot: Slot) -> bool:
        able = [each for each in slot.pool.slots if each.memory_bytes <= each.devices[0].memory_bytes]
        return slot in (able or slot.pool.slots)

    def _check_devices(self) -> None:
        for each in self.devices:
            held = [slot for pool in self.pools for slot in pool.slots if slot.worker and each in slot.devices]
            assert len(held) <= each.at_once, "above its number of models"
            needs = sum(slot.memory_bytes for slot in held)
            assert len(held) <= 1 or needs <= each.memory_bytes, "above its memory"


@st.composite
def _machines(draw: st.DrawFn) -> _Machine:
    sizes = draw(st.lists(st.tuples(st.integers(1, 3), st.sampled_from((8, 24, 80))), min_size=1, max_size=5))
    devices = [device(f"cuda:{number}", at_once=most, gigabytes=size) for number, (most, size) in enumerate(sizes)]
    pools = [
        pool_on(devices[first:] or devices, f"p{number}", gigabytes=size, max_batch=batch)
        for number, (first, size, batch) in enumerate(
            draw(
                st.lists(
                    st.tuples(st.sampled_from((0, 0, 1)), st.sampled_from((0, 4, 10, 30)), st.sampled_from((1, 4))),
                    min_size=1,
                    max_size=4,
                )
            )
        )
    ]
    return _Machine(devices, pools, random.Random(draw(st.integers(0, 2**32))))


@settings(max_examples=25, deadline=None)
@given(machine=_machines(), drops=st.integers(1, 25))
def test_placement_keeps_its_promises_and_every_job_runs_in_the_end(machine: _Machine, drops: int):
    for number in range(40):
        if number < drops:
            machine.drop()
        machine.step()
    for _ in range(4000):
        if not any(machine.queues.values()):
            break
        machine.step()
    assert len(machine.started) == machine.count, "a job was starved"
