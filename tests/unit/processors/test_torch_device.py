"""Batches that shrink where memory ends."""

import logging

import pytest
import torch

from processors import torch_device
from processors.contract import BadInput
from processors.device_errors import is_device_lost, is_out_of_memory
from processors.torch_device import BatchLimit, device_name, free_bytes

CPU_IS_FULL = RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")


def work_within(room: int, error: Exception):
    """Work that fails on more items than that."""

    def work(items):
        if len(items) > room:
            raise error
        return [item * 2 for item in items]

    return work


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), CPU_IS_FULL])
def test_batch_is_halved_where_memory_ends(error, caplog):
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


def test_single_item_is_tried_again_once_the_memory_of_earlier_batches_is_free():
    held = ["the memory of 64 windows"]

    def work(items):
        if held:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return items

    assert BatchLimit(8, "windows", held.clear).attempt([1], work) == [1]


def test_batch_grows_again_after_a_time_without_trouble():
    limit, fits, crowded = BatchLimit(8, "pages"), work_within(8, MemoryError()), work_within(4, MemoryError())

    def full_batches_until_growth(work, most: int = 1000) -> int:
        before = limit.at_once
        for number in range(most):
            limit.attempt([1] * limit.at_once, work)
            if limit.at_once != before:
                return number + 1
        return most

    assert limit.attempt([1] * 8, crowded) is None and limit.at_once == 4
    first = full_batches_until_growth(fits)
    assert limit.at_once == 8
    assert limit.attempt([1] * 8, crowded) is None and limit.at_once == 4
    assert full_batches_until_growth(crowded) == 2 * first and limit.at_once == 8
    assert full_batches_until_growth(fits, 100) == 100, "never more than at first"


def test_smaller_batches_show_nothing_about_larger_ones():
    limit = BatchLimit(8, "pages")
    limit.attempt([1] * 8, work_within(4, MemoryError()))
    for _ in range(100):
        limit.attempt([1] * 3, work_within(4, MemoryError()))
    assert limit.at_once == 4


def test_other_errors_leave_the_limit_as_it_is():
    limit = BatchLimit(8, "windows")
    with pytest.raises(ValueError, match="bad"):
        limit.attempt([1, 2], work_within(1, ValueError("bad")))
    assert limit.at_once == 8 and not is_out_of_memory(ValueError("bad"))


def test_cpu_is_named_by_its_type():
    assert device_name(torch.device("cpu")) == "cpu"


# ---------------------------------------------------------------------------------------------- what errors mean


class AcceleratorError(RuntimeError):
    """Stands in for torch's: the same name."""


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        AcceleratorError("CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation'"),
        RuntimeError("CUDA failed with error out of memory"),  # CTranslate2
        RuntimeError("could not create a primitive"),
        CPU_IS_FULL,
    ],
)
def test_all_words_for_memory_that_ended_are_known(error):
    assert is_out_of_memory(error) and not is_device_lost(error)
    assert BatchLimit(8, "pages").attempt([1] * 8, work_within(4, error)) is None


@pytest.mark.parametrize(
    "error",
    [
        AcceleratorError("CUDA error: an illegal memory access was encountered"),
        AcceleratorError("CUDA error: device-side assert triggered"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`"),
    ],
)
def test_failed_gpu_is_not_memory_that_ended(error):
    assert is_device_lost(error) and not is_out_of_memory(error)


@pytest.mark.parametrize(
    "words",
    [
        "operation not permitted when stream is capturing",
        "operation failed due to a previous error during capture",
        "operation would make the legacy stream depend on a capturing blocking stream",
    ],
)
def test_failed_capture_is_not_a_failed_gpu(words: str):
    error = AcceleratorError(f"CUDA error: {words}")
    assert not is_device_lost(error) and not is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [BadInput("out of memory.pdf cannot be read"), FileNotFoundError(2, "No such file", "out of memory.txt")],
)
def test_names_of_files_are_not_signs_of_memory(error):
    assert not is_out_of_memory(error) and not is_device_lost(error)


# ---------------------------------------------------------------------------------------------- free memory


def test_blocks_that_torch_keeps_count_as_free(monkeypatch):
    """To the driver, 6 of 8 GB are in use; the next batch uses the 4 GB again that torch has cached."""
    gpu = torch.device("cuda", 0)
    monkeypatch.setattr(torch_device.torch.cuda, "mem_get_info", lambda device: (2_000, 8_000))
    monkeypatch.setattr(torch_device.torch.cuda, "memory_reserved", lambda device: 5_000)
    monkeypatch.setattr(torch_device.torch.cuda, "memory_allocated", lambda device: 1_000)
    assert free_bytes(gpu) == 6_000


def test_free_memory_of_the_cpu_is_known():
    assert free_bytes(torch.device("cpu")) > 0
