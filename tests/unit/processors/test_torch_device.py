"""Batches that shrink where memory ends."""

import logging

import pytest
import torch

from processors.torch_device import BatchLimit, device_name, is_out_of_memory

CPU_IS_FULL = RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")


def work_within(room: int, error: Exception):
    """Work that fails on more items than that."""

    def work(items):
        if len(items) > room:
            raise error
        return [item * 2 for item in items]

    return work


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), CPU_IS_FULL])
def test_batch_is_halved_for_good_where_memory_ends(error, caplog):
    released = []
    limit, work = BatchLimit(8, "windows", lambda: released.append(True)), work_within(2, error)
    with caplog.at_level(logging.WARNING):
        assert limit.attempt([1] * 8, work) is None and limit.at_once == 4
        assert limit.attempt([1] * 4, work) is None and limit.at_once == 2
    assert limit.attempt([1, 2], work) == [2, 4] and limit.at_once == 2
    assert released == [True, True] and "with 4 windows in a batch; continuing with 2" in caplog.text


def test_single_item_that_does_not_fit_is_an_error():
    limit = BatchLimit(8, "windows")
    with pytest.raises(MemoryError):
        limit.attempt([1], work_within(0, MemoryError()))
    assert limit.at_once == 8


def test_other_errors_leave_the_limit_as_it_is():
    limit = BatchLimit(8, "windows")
    with pytest.raises(ValueError, match="bad"):
        limit.attempt([1, 2], work_within(1, ValueError("bad")))
    assert limit.at_once == 8 and not is_out_of_memory(ValueError("bad"))


def test_cpu_is_named_by_its_type():
    assert device_name(torch.device("cpu")) == "cpu"
