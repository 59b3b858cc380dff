"""Steps that are recorded once and replayed: what the host would launch piece by piece is one call then.

Owns CUDA's part of it: streams, warm-up, memory of graphs. What a step does, and which of them are kept, is `steady`'s.
"""

from collections.abc import Callable
from weakref import WeakSet

import torch

_WARM_UPS = 3  # as torch's notes on CUDA graphs have it

Step = Callable[[], None]  # reads and writes memory that stays where it is, and reads nothing back
Capture = Callable[[Step], Step]  # may run the step several times; what it returns does the same as the step


def capture_on(device: torch.device) -> Capture | None:
    """How greedy decoding is recorded there; None: it does not stay on the device, see `BatchDecoder`. This is the one
    place where that is chosen. On a CPU nothing is won: going through all of a cache, and keeping windows that have
    ended, took up to a third longer (tiny.en, 1 to 8 windows)."""
    return CudaGraphs(device) if device.type == "cuda" else None


def eagerly(step: Step) -> Step:
    """Nothing is recorded."""
    return step


class CudaGraphs:
    """A `Capture` for one GPU. All graphs share memory for what they hold while they run.

    That is safe as no two of them run at once, and a step leaves nothing there: its results are in the tensors that it
    was given, which, as the weights, must outlive it.
    """

    def __init__(self, device: torch.device):
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        self._living: WeakSet[torch.cuda.CUDAGraph] = WeakSet()

    def __call__(self, step: Step) -> Step:
        """
        Raises:
            torch.OutOfMemoryError: there is no room for the graph.
            RuntimeError: the step holds something that cannot be recorded.
        """
        with torch.cuda.device(self._device):
            graph = torch.cuda.CUDAGraph()
            try:
                self._record(step, graph)
            except RuntimeError as error:
                raise first_error(error) from None
            self._living.add(graph)
        return graph.replay

    def _record(self, step: Step, graph: torch.cuda.CUDAGraph) -> None:
        # The stream is one and the same for all: the libraries' work space is made for each stream, in the warm-up, and
        # graphs of one pool share memory only if they were captured on one stream.
        if self._stream is None:
            self._stream = torch.cuda.Stream()
        # A pool whose last graph is gone cannot be joined (an assertion of torch's allocator): ask one that lives.
        pool = next((each.pool() for each in self._living), None)
        before = torch.cuda.current_stream()
        self._stream.wait_stream(before)
        try:
            # The outer `stream`: where a capture cannot be ended, `torch.cuda.graph` does not return to the one before.
            with torch.cuda.stream(self._stream):
                for _ in range(_WARM_UPS):
                    step()
                # "thread_local": another thread, which reads the sound that comes next, may call CUDA meanwhile.
                with torch.cuda.graph(graph, pool=pool, stream=self._stream, capture_error_mode="thread_local"):
                    step()
        finally:
            before.wait_stream(self._stream)


def first_error(error: RuntimeError) -> RuntimeError:
    """What it began with: where a step fails, the end of its capture fails, too, and says only that there was one."""
    first, behind = error, error.__context__
    while isinstance(behind, RuntimeError):
        first, behind = behind, behind.__context__
    return first
