"""What the placement promises, on machines at random; and that the check notices each promise that is broken."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from placement_machine import Machine, machines

from daemon.core.job import Job
from daemon.scheduling import batches, placement
from daemon.scheduling.batches import Batch, Moment, PoolQueue
from daemon.scheduling.placement import _Planner
from daemon.scheduling.pool import Slot

DROPS = st.integers(1, 25)


@settings(max_examples=25, deadline=None)
@given(machine=machines(), drops=DROPS)
def test_placement_keeps_its_promises_and_every_job_runs_in_the_end(machine: Machine, drops: int):
    machine.run(drops)


# ---------------------------------------------------------------------------------------- negative controls

_free, _divide = placement._free, placement.divide
_load_first, _make_room, _plan = _Planner.load_first, _Planner._make_room, _Planner.plan


def _give_each_worker_the_same_jobs(queue: PoolQueue, moment: Moment, **how: Any) -> list[Batch]:
    divided = _divide(queue, moment, **how)
    return [Batch(slot=each.slot, jobs=divided[0].jobs[: each.slot.batch_limit]) for each in divided]


def _ignore_memory(planner: _Planner, slot: Slot, *, without: Sequence[Slot] = ()) -> bool:
    return all(len([*planner._on.get(each.name, ())]) - len(without) < each.at_once for each in slot.devices)


def _ignore_the_number_of_models(planner: _Planner, slot: Slot, *, without: Sequence[Slot] = ()) -> bool:
    held = [each for each in planner._on.get(slot.devices[0].name, ()) if each not in without]
    return not held or sum(each.memory_bytes for each in (*held, slot)) <= slot.devices[0].memory_bytes


def _load_one_model_at_a_time(planner: _Planner, queue: PoolQueue) -> None:
    if not planner.held and not planner.load:
        _load_first(planner, queue)


def _prefer_the_fullest_device(planner: _Planner, slot: Slot) -> int:
    return -sum(1 for _ in planner._beside(slot))


def _swap_first(planner: _Planner, queue: PoolQueue) -> None:
    for slot in _free(queue.pool):
        if idle := [each for each in planner._beside(slot) if each.is_idle]:
            planner.unload += idle
            return
    _load_first(planner, queue)


def _prefer_low_priorities(job: Job) -> tuple[int, int, str]:
    return job.priority, job.received_at, job.id


def _prefer_low_priorities_in_swaps(planner: _Planner, waiting: Job, other: Job) -> bool:
    return waiting.priority < other.priority


def _swap_for_any_work(planner: _Planner, waiting: Job, other: Job) -> bool:
    return True


def _never_make_room(planner: _Planner, head: Job, slots: Sequence[Slot]) -> tuple[Slot, list[Slot]]:
    return slots[0], []


def _end_busy_workers(planner: _Planner, head: Job, slots: Sequence[Slot]) -> tuple[Slot, list[Slot]]:
    slot, going = _make_room(planner, head, slots)
    return slot, going or [each for each in planner._beside(slot) if each.worker and not each.is_idle]


def _forget_the_last_pool(planner: _Planner, queues: Sequence[PoolQueue]) -> placement.Plan:
    kept = [each for each in queues if each.pool.processor != "p0"]
    return _plan(planner, kept)


def _load_for_any_queue(planner: _Planner, queue: PoolQueue) -> None:
    for slot in filter(planner._fits, [*_free(queue.pool)]):
        planner._take(slot)


def _choose_the_last_jobs(
    jobs: Sequence[Job], limit: int, *, most: float = math.inf, held: Sequence[Job] = (), **_: Any
) -> list[Job]:
    return [*reversed(jobs)][: int(min(limit - len(held), most))]


BROKEN: dict[str, tuple[object, str, object, str]] = {
    "a job in two runs": (placement, "divide", _give_each_worker_the_same_jobs, "in two runs"),
    "a device above its memory": (_Planner, "_fits", _ignore_memory, "above its memory"),
    "a device above its number of models": (_Planner, "_fits", _ignore_the_number_of_models, "number of models"),
    "a device idles while work fits": (_Planner, "load_first", _load_one_model_at_a_time, "a device idles"),
    "a full device before an empty one": (_Planner, "_neighbors", _prefer_the_fullest_device, "another idles"),
    "a swap while a device idles": (_Planner, "load_first", _swap_first, "swapped instead"),
    "priorities inverted": (placement, "rank", _prefer_low_priorities, "of higher rank"),
    "priorities inverted in swaps": (_Planner, "_goes_before", _prefer_low_priorities_in_swaps, "gives way"),
    "no patience": (_Planner, "_goes_before", _swap_for_any_work, "gives way"),
    "endless patience": (placement, "is_overdue", lambda job, moment: False, "of higher rank waits"),
    "work for which no room is made": (_Planner, "_make_room", _never_make_room, "higher rank waits|starved"),
    "a pool that is forgotten": (_Planner, "plan", _forget_the_last_pool, "idles|starved"),
    "a busy model unloaded": (_Planner, "_make_room", _end_busy_workers, "only idle models"),
    "a further model for one file": (_Planner, "load_further", _load_for_any_queue, "further worker"),
    "the last place for a large file": (batches, "_SMALL", 0, "the place of a short one"),
    "the end of the queue first": (batches, "choose_jobs", _choose_the_last_jobs, "head of the queue"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_promise_is_noticed(broken: str, monkeypatch: pytest.MonkeyPatch):
    where, name, replacement, noticed = BROKEN[broken]
    monkeypatch.setattr(where, name, replacement)
    with pytest.raises(AssertionError, match=noticed):
        _search()


@settings(
    max_examples=400,
    deadline=None,
    database=None,
    derandomize=True,
    report_multiple_bugs=False,
    phases=[Phase.generate],  # without the search for the smallest example
)
@given(machine=machines(), drops=DROPS)
def _search(machine: Machine, drops: int) -> None:
    machine.run(drops)
