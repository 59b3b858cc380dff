"""Placement on several devices: which device a model is loaded on, and when a further one is worth its load."""

from collections.abc import Sequence

from factories import make_job
from placements import GIGABYTE, MINUTE, NOW, NOW_US, device, gpus, moment, on, pool_on, queue

from daemon.core.job import Job
from daemon.scheduling.batches import Batch, PoolQueue
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
