"""CUDA graphs: a step is captured once and replayed, so that one call launches all of its kernels.

Owns streams, warm-up and the graphs' memory. `graphed_greedy` decides what a step does, and which graphs stay.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakSet

import torch

if TYPE_CHECKING:
    from torch.cuda import _POOL_HANDLE

_WARM_UPS = 3  # as in torch's notes on CUDA graphs

Step = Callable[[], None]  # reads and writes memory at fixed addresses; the host reads nothing back
Capture = Callable[[Step], Step]  # may run the step several times; returns an equivalent of it


def capture_on(device: torch.device) -> Capture | None:
    """Return how a device captures greedy decoding; None: it does not, see `BatchDecoder`. Only this function decides
    it.

    On a CPU, capturing costs time: attending to all of a cache, and keeping windows that have ended, took up to a third
    longer (tiny.en, 1 to 8 windows).
    """
    return CudaGraphs(device) if device.type == "cuda" else None


def eagerly(step: Step) -> Step:
    """A `Capture` that captures nothing."""
    return step


class CudaGraphs:
    """A `Capture` for one GPU. All graphs share their memory for intermediate results.

    That is safe because no two of them run at once, and a step leaves nothing there: it writes its results to tensors
    that, like the weights, outlive it.
    """

    def __init__(self, device: torch.device):
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        self._living: WeakSet[torch.cuda.CUDAGraph] = WeakSet()
        self._pool: _POOL_HANDLE | None = None
        self._is_pool_held = False  # permanently, after a capture failed

    def __call__(self, step: Step) -> Step:
        """
        Raises:
            torch.OutOfMemoryError: the graph does not fit into memory.
            RuntimeError: the step contains something that cannot be captured.
        """
        with torch.cuda.device(self._device):
            graph = torch.cuda.CUDAGraph()
            try:
                self._capture(step, graph)
            except RuntimeError as error:
                self._end_allocation()
                raise first_error(error) from None
            self._living.add(graph)
        return graph.replay

    def _capture(self, step: Step, graph: torch.cuda.CUDAGraph) -> None:
        # One stream for all graphs: the libraries allocate a work space for each stream, in the warm-up, and graphs of
        # one pool share memory only if they were captured on one stream.
        if self._stream is None:
            self._stream = torch.cuda.Stream()
        # A pool whose last graph was freed cannot be joined (an assertion of torch's allocator): take a new one.
        if self._pool is None or not (self._living or self._is_pool_held):
            self._pool = torch.cuda.graph_pool_handle()
        before = torch.cuda.current_stream()
        self._stream.wait_stream(before)
        try:
            # The outer `stream`: if a capture fails to end, `torch.cuda.graph` does not restore the previous stream.
            with torch.cuda.stream(self._stream):
                for _ in range(_WARM_UPS):
                    step()
                # "thread_local": the prefetching thread may call CUDA meanwhile.
                with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                    step()
        finally:
            before.wait_stream(self._stream)

    def _end_allocation(self) -> None:
        """End the allocation to the pool after a failed capture, which torch 2.13 leaves open: `capture_end` raises
        before `endAllocateToPool` (CUDAGraph.cpp). While a capture is open, the allocator no longer reuses the blocks
        that it keeps (CUDACachingAllocator.cpp, `malloc`): later shortages would be out of memory at once."""
        end = getattr(torch._C, "_cuda_endAllocateToPool", None)
        if end is None or self._pool is None:
            return
        with suppress(RuntimeError):  # it is not open: the warm-up failed, or this torch has ended it
            end(torch.cuda.current_device(), self._pool)
            self._is_pool_held = True


def first_error(error: RuntimeError) -> RuntimeError:
    """The root cause of an error: if a step fails, ending its capture fails as well, and that error lacks the cause."""
    first, before = error, error.__context__
    while isinstance(before, RuntimeError):
        first, before = before, before.__context__
    return first
