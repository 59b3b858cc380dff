"""CUDA graphs: a step is captured once and replayed, so that one call launches all of its kernels.

Owns streams, warm-up and the graphs' memory. `graphed_greedy` decides what a step does, and which graphs stay.
"""

from collections.abc import Callable
from weakref import WeakSet

import torch

_WARM_UPS = 3  # as torch's notes on CUDA graphs have it

Step = Callable[[], None]  # reads and writes memory at fixed addresses; the host reads nothing back
Capture = Callable[[Step], Step]  # may run the step several times; returns an equivalent of it


def capture_on(device: torch.device) -> Capture | None:
    """Return how a device captures greedy decoding; None: it does not, see `BatchDecoder`. Nothing else decides this.

    On a CPU it costs time: attending to all of a cache, and keeping windows that have ended, took up to a third longer
    (tiny.en, 1 to 8 windows).
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
                raise first_error(error) from None
            self._living.add(graph)
        return graph.replay

    def _capture(self, step: Step, graph: torch.cuda.CUDAGraph) -> None:
        # One stream for all graphs: the libraries allocate a work space for each stream, in the warm-up, and graphs of
        # one pool share memory only if they were captured on one stream.
        if self._stream is None:
            self._stream = torch.cuda.Stream()
        # A pool whose last graph was freed cannot be joined (an assertion of torch's allocator): take a living one's.
        pool = next((each.pool() for each in self._living), None)
        before = torch.cuda.current_stream()
        self._stream.wait_stream(before)
        try:
            # The outer `stream`: if a capture fails to end, `torch.cuda.graph` does not restore the previous stream.
            with torch.cuda.stream(self._stream):
                for _ in range(_WARM_UPS):
                    step()
                # "thread_local": the prefetching thread may call CUDA meanwhile.
                with torch.cuda.graph(graph, pool=pool, stream=self._stream, capture_error_mode="thread_local"):
                    step()
        finally:
            before.wait_stream(self._stream)


def first_error(error: RuntimeError) -> RuntimeError:
    """The root cause: if a step fails, ending its capture fails as well, without the reason."""
    first, before = error, error.__context__
    while isinstance(before, RuntimeError):
        first, before = before, before.__context__
    return first
