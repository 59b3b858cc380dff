"""A capture that fails leaves torch's allocator as it was. torch's CUDA classes have stand-ins."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
import torch

from processors.whisper.decoder.cuda_graphs import CudaGraphs


class Allocator:
    """The part of torch's allocator that captures change, with the rules of CUDACachingAllocator.cpp."""

    def __init__(self) -> None:
        self.underway: list[tuple[int, int]] = []  # pools to which captures allocate
        self.users: dict[tuple[int, int], int] = {}
        self._pools = 0

    def new_pool(self) -> tuple[int, int]:
        self._pools += 1
        return (0, self._pools)

    def begin(self, pool: tuple[int, int]) -> None:
        assert self.users.get(pool) != 0, "torch: a pool whose last graph was freed cannot be joined"
        self.users[pool] = self.users.get(pool, 0) + 1
        self.underway.append(pool)

    def end(self, device: int, pool: tuple[int, int]) -> None:
        if pool not in self.underway:
            raise RuntimeError("endAllocatePool: not currently recording to mempool_id")
        self.underway.remove(pool)


class Graph:
    """`torch.cuda.CUDAGraph`: frees its part of the pool, unless its capture failed."""

    allocator: Allocator

    def __init__(self) -> None:
        self.taken: tuple[int, int] | None = None

    def replay(self) -> None:
        pass

    def __del__(self) -> None:
        if self.taken is not None:
            self.allocator.users[self.taken] -= 1


class Stream:
    def wait_stream(self, other: "Stream") -> None:
        pass


@pytest.fixture
def allocator(monkeypatch: pytest.MonkeyPatch) -> Allocator:
    allocator = Graph.allocator = Allocator()

    @contextmanager
    def graph(made: Graph, *, pool: tuple[int, int], stream: Stream, capture_error_mode: str) -> Iterator[None]:
        allocator.begin(pool)
        yield  # a step that raises leaves the allocation open, as `capture_end` does when it raises
        allocator.end(0, pool)
        made.taken = pool

    stand_ins = {
        "graph": graph,
        "CUDAGraph": Graph,
        "Stream": Stream,
        "current_stream": Stream,
        "stream": lambda stream: nullcontext(),
        "device": lambda device: nullcontext(),
        "current_device": lambda: 0,
        "graph_pool_handle": allocator.new_pool,
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", allocator.end, raising=False)
    return allocator


def a_step() -> None:
    pass


def a_step_that_cannot_be_captured() -> None:
    if Graph.allocator.underway:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing")


def a_step_that_always_fails() -> None:
    raise RuntimeError("CUDA error: out of memory")


def test_failed_capture_ends_its_allocation(allocator: Allocator):
    """Otherwise the allocator reuses none of the blocks that it keeps, for as long as the process lives."""
    with pytest.raises(RuntimeError, match="not permitted"):
        CudaGraphs(torch.device("cuda", 0))(a_step_that_cannot_be_captured)
    assert allocator.underway == []


@pytest.mark.parametrize("failing", [a_step_that_cannot_be_captured, a_step_that_always_fails])
def test_steps_are_captured_after_a_failure(allocator: Allocator, failing):
    graphs = CudaGraphs(torch.device("cuda", 0))
    living = [graphs(a_step)]
    with pytest.raises(RuntimeError):
        graphs(failing)
    living += [graphs(a_step), graphs(a_step)]
    living.clear()
    living.append(graphs(a_step))
    assert allocator.underway == []


def test_graphs_share_a_pool_and_a_freed_pool_is_never_joined(allocator: Allocator):
    graphs = CudaGraphs(torch.device("cuda", 0))
    living = [graphs(a_step) for _ in range(3)]
    assert list(allocator.users.values()) == [3]
    living.clear()
    living.append(graphs(a_step))
    assert list(allocator.users.values()) == [0, 1]
