"""The dispatcher with several pretended GPUs: what it starts where, and what of a failure stays with one device."""

from collections.abc import Callable
from typing import Any

import pytest
from bench import Bench

from daemon import config
from daemon.workers.supervisor import WorkerState
from processors import protocol
from processors.contract import FailureKind

TWO_GPUS: dict[str, Any] = {
    "recipes": {"count": {"processor": "fakes.on_device"}},
    "processors": {"fakes.on_device": {"max_batch": 2, "memory": "6GB", "keep_alive": 100}},
    "devices": {
        "cuda:0": {"uuid": "GPU-0", "memory": "10GB"},
        "cuda:1": {"uuid": "GPU-1", "memory": "10GB"},
    },
}


@pytest.fixture
def two_gpus(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench(**TWO_GPUS)


def _devices(bench: Bench) -> list[str]:
    return [worker.seat.device for worker in bench.workers if worker.state is not WorkerState.ENDING]


def _spread(bench: Bench) -> Bench:
    """Two workers with jobs: the first took 10 s to load, and its running jobs take as long."""
    bench.drop(*(f"{number}.txt" for number in range(6)))
    bench.clock.seconds += 10
    bench.load(1, device="cuda:0 (P)")
    assert _devices(bench) == ["cuda:0"]
    bench.wait(11)
    assert _devices(bench) == ["cuda:0", "cuda:1"]
    bench.load(2, device="cuda:0 (P)")
    return bench


def test_second_worker_is_started_once_the_queue_is_worth_it_and_gets_other_jobs(two_gpus: Bench):
    _spread(two_gpus)
    first, second = (set(two_gpus.worker(number).jobs) for number in (1, 2))
    assert len(first) == len(second) == 2 and not first & second


def test_loop_wakes_up_when_a_second_worker_becomes_worth_it(two_gpus: Bench):
    two_gpus.drop(*(f"{number}.txt" for number in range(3)))
    two_gpus.clock.seconds += 10
    two_gpus.load(1, device="cuda:0 (P)")
    assert two_gpus._loop.pause() == 0, "to see how long the jobs that have just started may run"
    two_gpus.turn()
    assert two_gpus.app.dispatcher.again_at == two_gpus.clock.seconds + 10
    assert 9 < two_gpus._loop.pause() <= 10


def test_one_file_starts_one_worker(two_gpus: Bench):
    two_gpus.drop("x.txt")
    two_gpus.clock.seconds += 10
    two_gpus.load(1, device="cuda:0 (P)")
    two_gpus.wait(1000)
    assert _devices(two_gpus) == ["cuda:0"]


def test_job_log_names_the_device_as_the_machine_does(two_gpus: Bench):
    _spread(two_gpus)
    assert sorted({job.device for job in two_gpus.all_jobs() if job.device}) == ["cuda:0 (P)", "cuda:1 (P)"]
    status = two_gpus.ask("status")
    assert [worker["device"] for worker in status["workers"]] == ["cuda:0 (P)", "cuda:1 (P)"]


def test_worker_gets_its_own_number(make_bench: Callable[..., Bench]):
    tables = {**TWO_GPUS, "processors": {"fakes.on_device": {"device": "cuda:1"}}}
    bench = make_bench(**tables)
    bench.drop("x.txt")
    (load,) = bench.connection().sent
    assert isinstance(load, protocol.Load) and load.options["device"] == "cuda"
    assert _devices(bench) == ["cuda:1"] and bench.worker().seat.environment == {"CUDA_VISIBLE_DEVICES": "GPU-1"}


def test_device_that_cannot_load_is_parked_and_the_other_one_works(two_gpus: Bench):
    two_gpus.drop("x.txt")
    two_gpus.receive(1, protocol.LoadFailed(kind=FailureKind.UNAVAILABLE, message="broken"))
    two_gpus.exit_worker(1)
    two_gpus.turn()
    assert _devices(two_gpus) == ["cuda:1"] and two_gpus.job("x.txt").waiting_for is None
    two_gpus.receive(2, protocol.LoadFailed(kind=FailureKind.UNAVAILABLE, message="broken"))
    two_gpus.exit_worker(2)
    two_gpus.turn()
    assert _devices(two_gpus) == [] and two_gpus.job("x.txt").waiting_for == "broken"


def test_memory_that_ends_on_one_device_halves_its_batches_only(two_gpus: Bench):
    _spread(two_gpus)
    first = two_gpus.app.pools.slot_of(two_gpus.worker(1))
    for job in list(two_gpus.worker(1).jobs.values()):
        two_gpus.fail(1, job, FailureKind.OUT_OF_MEMORY)
    assert [slot.batch_limit for slot in first.pool.slots] == [1, 2]
    assert two_gpus.worker(1).state is WorkerState.ENDING and two_gpus.worker(2).state is WorkerState.BUSY


def test_crash_on_one_device_leaves_the_jobs_of_the_other(two_gpus: Bench):
    _spread(two_gpus)
    kept = list(two_gpus.worker(2).jobs)
    two_gpus.exit_worker(1)
    assert list(two_gpus.worker(2).jobs) == kept and two_gpus.worker(2).state is WorkerState.BUSY


def test_workers_that_turn_out_to_use_the_cpu_are_not_multiplied(two_gpus: Bench):
    two_gpus.drop(*(f"{number}.txt" for number in range(9)))
    two_gpus.clock.seconds += 10
    two_gpus.load(1, device="cpu")
    two_gpus.wait(1000)
    assert len(two_gpus.workers) == 1


def test_changed_limit_of_a_device_keeps_its_workers_and_a_changed_gpu_does_not(two_gpus: Bench):
    _spread(two_gpus)

    def reload(**cuda1: Any) -> None:
        devices = {**TWO_GPUS["devices"], "cuda:1": {**TWO_GPUS["devices"]["cuda:1"], **cuda1}}
        merged = {**TWO_GPUS, "devices": devices, "inbox": {"text": "count", "settle_seconds": 0.0}}
        two_gpus.app.settings.replace(config.parse(merged, source=None, home=two_gpus.settings.inbox.parent))

    reload(memory="8GB")
    slots = two_gpus.app.pools.slot_of(two_gpus.worker(2)).pool.slots
    assert not slots[0].pool.is_retired and slots[1].devices[0].memory_bytes == 8 * 10**9
    reload(use=False)
    assert two_gpus.app.pools.slot_of(two_gpus.worker(2)).pool.is_retired
    for number in (1, 2):
        assert two_gpus.worker(number).state is WorkerState.BUSY, "running jobs finish"


def test_job_that_does_not_fit_into_any_gpu_moves_to_the_cpu(make_bench: Callable[..., Bench]):
    table = {**TWO_GPUS["processors"]["fakes.on_device"], "cpu_fallback": True}
    bench = make_bench(**{**TWO_GPUS, "processors": {"fakes.on_device": table}})
    bench.drop("x.txt")
    number = 0
    while not bench.job("x.txt").is_for_cpu and number < 4:
        number += 1
        bench.load(number, device="cuda:0 (P)")
        bench.fail_file("x.txt", FailureKind.OUT_OF_MEMORY, number)
        bench.exit_worker(number)
        bench.turn()
    assert bench.job("x.txt").is_for_cpu and _devices(bench) == ["cpu"]
