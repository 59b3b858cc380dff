"""A torch device: its name for people, and batches that shrink where its memory ends."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

_CPU_MESSAGES = ("can't allocate memory", "could not create a primitive")  # torch's allocator, and oneDNN

Item = TypeVar("Item")
Result = TypeVar("Result")

log = logging.getLogger(__name__)


def device_name(device: torch.device) -> str:
    """ "cpu", or "cuda:0 (NVIDIA H200)"."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def is_out_of_memory(error: Exception) -> bool:
    """True if the GPU, or the CPU's allocator, had no memory left."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(text in str(error) for text in _CPU_MESSAGES)


class BatchLimit:
    """The number of items that fit into one batch: halved, for good, whenever memory ends."""

    def __init__(self, at_once: int, unit: str, release: Callable[[], None] = lambda: None):
        """unit: what the items are, for the log. release: frees cached memory after a failed batch."""
        self.at_once = at_once
        self._unit, self._release = unit, release

    def attempt(self, batch: Sequence[Item], work: Callable[[Sequence[Item]], list[Result]]) -> list[Result] | None:
        """The results of a batch; None if memory ended: try again with `at_once` items.

        Raises:
            Exception: what `work` raised, if that was not memory, or a single item does not fit.
        """
        try:
            return work(batch)
        except Exception as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                raise
        self._release()  # only here, after the except, which holds tensors
        self.at_once = len(batch) // 2
        log.warning("out of memory with %d %s in a batch; continuing with %d", len(batch), self._unit, self.at_once)
        return None
