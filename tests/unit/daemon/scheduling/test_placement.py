"""Which model is loaded, unloaded and run where not all fit at once."""

import pytest
from factories import make_job
from placements import MINUTE, NOW_US, device, moment, on, pool_on, queue

from daemon.scheduling.batches import choose_jobs
from daemon.scheduling.placement import Plan, plan
from daemon.scheduling.pool import Pool
from daemon.workers.supervisor import WorkerState


def _pool(name: str, state: WorkerState | None, gigabytes: int = 4, idle_since: float = 0.0, joins=False) -> Pool:
    pool = pool_on([device()], name, gigabytes=gigabytes)
    return on(pool, 0, state, idle_since=idle_since, joins=joins)


def _plan(*pools: tuple[Pool, int | None], workers: int = 1, gigabytes: float = 1000, **job: int) -> Plan:
    """`pools`: each with the age in minutes of the oldest job that waits for it; None: it has no work."""
    for pool, _ in pools:
        pool.slots[0].devices = (device(at_once=workers, gigabytes=gigabytes),)
    queues = [
        queue(pool, [make_job(received_at=NOW_US - age * MINUTE, **({} if pool.has_worker else job))])
        for pool, age in pools
        if age is not None
    ]
    return plan(queues, [slot for pool, _ in pools for slot in pool.slots], moment())


@pytest.fixture
def reader() -> Pool:
    return _pool("reader", WorkerState.IDLE)


@pytest.fixture
def transcriber() -> Pool:
    return _pool("transcriber", None)


def _names(pools) -> list[str]:
    return [getattr(each, "slot", each).pool.processor for each in pools]


def test_loaded_model_continues_while_older_work_waits_for_another(reader: Pool, transcriber: Pool):
    decided = _plan((reader, 1), (transcriber, 5))
    assert (_names(decided.run), decided.unload, decided.load) == (["reader"], (), ())


def test_loaded_model_is_unloaded_for_overdue_work(reader: Pool, transcriber: Pool):
    decided = _plan((reader, 1), (transcriber, 11))
    assert (decided.run, _names(decided.unload), decided.load) == ((), ["reader"], ())


def test_loaded_model_is_unloaded_for_a_higher_priority(reader: Pool, transcriber: Pool):
    decided = _plan((reader, 5), (transcriber, 0), priority=1)
    assert (decided.run, _names(decided.unload)) == ((), ["reader"])


def test_overdue_work_of_the_loaded_model_is_not_overtaken_by_younger(reader: Pool, transcriber: Pool):
    decided = _plan((reader, 30), (transcriber, 11))
    assert (_names(decided.run), decided.unload) == (["reader"], ())


def test_idle_model_without_work_makes_room_at_once(reader: Pool, transcriber: Pool):
    decided = _plan((reader, None), (transcriber, 0))
    assert (_names(decided.unload), decided.load) == (["reader"], ())


def test_busy_model_is_never_unloaded(transcriber: Pool):
    decided = _plan((_pool("reader", WorkerState.BUSY), None), (transcriber, 99))
    assert decided == Plan(load=(), unload=(), run=())


def test_model_that_was_idle_longest_is_unloaded_first(transcriber: Pool):
    old, new = _pool("old", WorkerState.IDLE, idle_since=1.0), _pool("new", WorkerState.IDLE, idle_since=2.0)
    assert _names(_plan((new, None), (old, None), (transcriber, 0), workers=2).unload) == ["old"]


def test_no_other_model_is_unloaded_while_one_that_makes_room_exits(reader: Pool, transcriber: Pool):
    ending = _pool("ending", WorkerState.ENDING)
    decided = _plan((reader, None), (ending, None), (transcriber, 30), workers=2)
    assert decided == Plan(load=(), unload=(), run=())
    assert _names(_plan((reader, None), (ending, None), (transcriber, 0), workers=1).unload) == ["reader"]


def test_room_of_one_model_that_exits_is_for_one_waiting_model(reader: Pool, transcriber: Pool):
    ending, other = _pool("ending", WorkerState.ENDING), _pool("other", None)
    idle = _pool("idle", WorkerState.IDLE)
    decided = _plan((idle, None), (ending, None), (transcriber, 5), (other, 3), workers=2)
    assert decided == Plan(load=(), unload=(), run=())


def test_models_that_fit_together_are_loaded_together():
    small, other = _pool("small", None, 6), _pool("other", None, 6)
    assert _names(_plan((small, 1), (other, 2), workers=2, gigabytes=14).load) == ["other", "small"]
    assert _names(_plan((small, 1), (other, 2), workers=2, gigabytes=10).load) == ["other"]


def test_only_as_many_models_are_unloaded_as_the_new_one_needs():
    loaded = [_pool(name, WorkerState.IDLE, 5, idle_since=number) for number, name in enumerate("abc")]
    decided = _plan(*((pool, None) for pool in loaded), (_pool("big", None, 9), 0), workers=9, gigabytes=15)
    assert _names(decided.unload) == ["a", "b"]


def test_model_larger_than_the_memory_is_loaded_when_it_is_alone(reader: Pool):
    big = _pool("big", None, 99)
    assert _names(_plan((reader, None), (big, 0), workers=9, gigabytes=14).unload) == ["reader"]
    assert _names(_plan((big, 0), workers=9, gigabytes=14).load) == ["big"]


def test_small_model_does_not_take_the_room_made_for_an_overdue_large_one():
    busy, big, small = _pool("busy", WorkerState.BUSY, 8), _pool("big", None, 10), _pool("small", None, 4)
    assert _plan((busy, None), (big, 30), (small, 1), workers=9, gigabytes=14).load == ()
    assert _names(_plan((busy, None), (big, 3), (small, 1), workers=9, gigabytes=14).load) == ["small"]


# ---------------------------------------------------------------------------------------------- joining


def test_busy_worker_that_may_be_joined_is_given_more_jobs():
    reader = _pool("reader", WorkerState.BUSY, joins=True)
    assert _names(_plan((reader, 1)).run) == ["reader"]
    assert _plan((_pool("reader", WorkerState.BUSY), 1)).run == ()


def test_no_job_joins_while_overdue_work_waits_for_another_model(transcriber: Pool):
    reader = _pool("reader", WorkerState.BUSY, joins=True)
    assert _names(_plan((reader, 1), (transcriber, 9)).run) == ["reader"]
    assert _plan((reader, 1), (transcriber, 11)).run == ()
    assert _plan((reader, 1), (transcriber, 0), priority=1).run == ()


def _sizes(jobs) -> list[int]:
    return [job.size_bytes for job in jobs]


def _jobs(*sizes: int, **fields):
    return [make_job(size_bytes=size, **fields) for size in sizes]


def test_batch_is_the_head_of_the_queue():
    assert _sizes(choose_jobs(_jobs(9, 8, 7), 2)) == [9, 8]


def test_job_that_must_run_alone_waits_until_the_worker_has_no_other():
    alone, others = _jobs(9, alone=True), _jobs(5, 1)
    assert _sizes(choose_jobs([*alone, *others], 3)) == [9]
    assert _sizes(choose_jobs([*others, *alone], 3)) == [5, 1]
    assert _sizes(choose_jobs([*alone, *others], 3, held=_jobs(100), may_be_joined=True)) == [5, 1]


def test_last_place_of_a_worker_that_may_be_joined_is_reserved_for_a_small_file():
    assert _sizes(choose_jobs(_jobs(100, 90, 80, 20), 3, may_be_joined=True)) == [100, 90, 20]
    assert _sizes(choose_jobs(_jobs(100, 90, 80, 30), 3, may_be_joined=True)) == [100, 90]
    assert _sizes(choose_jobs(_jobs(30, 2), 3, held=_jobs(100, 90), may_be_joined=True)) == [2]
    assert choose_jobs(_jobs(1), 2, held=_jobs(9, 9), may_be_joined=True) == []
    assert _sizes(choose_jobs(_jobs(7), 1, may_be_joined=True)) == [7]  # the only place is not kept
