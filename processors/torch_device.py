"""A torch device: its name for people, its free memory, and batches that shrink where its memory ends."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from processors.device_errors import is_out_of_memory

_FULL_BATCHES = 16  # that succeed before twice as many items are tried again; doubled whenever that fails

Item = TypeVar("Item")
Result = TypeVar("Result")

log = logging.getLogger(__name__)


def device_name(device: torch.device) -> str:
    """ "cpu", or "cuda:0 (NVIDIA H200)"."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def free_bytes(device: torch.device) -> int | None:
    """Free memory of `device` in bytes; None: unknown.

    torch keeps the blocks that it frees: to the driver they are in use, but the next batch uses them again.
    """
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def release_cache(device: torch.device) -> None:
    """Return the blocks that torch keeps to the driver. Call it after the `except` that holds the tensors."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


class BatchLimit:
    """The number of items that fit into one batch: halved whenever memory ends, and doubled again, up to the first
    number, once many full batches succeeded. Another program's need of memory may have been short."""

    def __init__(self, at_once: int, unit: str, release: Callable[[], None] = lambda: None, start: int | None = None):
        """unit: what the items are, for the log. release: frees cached memory after a failed batch. start: the first
        number that is tried; None: `at_once`."""
        self._most, self.at_once = at_once, start or at_once
        self._unit, self._release = unit, release
        self._full, self._wait = 0, _FULL_BATCHES  # batches: successful ones, and those until the next doubling

    def attempt(self, batch: Sequence[Item], work: Callable[[Sequence[Item]], list[Result]]) -> list[Result] | None:
        """The results of a batch; None if memory ended: try again with `at_once` items. A single item is tried twice:
        what earlier batches left allocated may have taken its place.

        Raises:
            Exception: what `work` raised, if that was not memory, or a single item does not fit.
        """
        try:
            results = work(batch)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        else:
            self._count(len(batch))
            return results
        self._release()  # only here, after the except, which holds tensors
        if len(batch) == 1:
            return work(batch)
        self._shrink(len(batch))
        return None

    def _shrink(self, size: int) -> None:
        self.at_once = (size + 1) // 2
        self._full, self._wait = 0, 2 * self._wait
        log.warning("out of memory with %d %s in a batch; continuing with %d", size, self._unit, self.at_once)

    def _count(self, size: int) -> None:
        """Take note of a batch that fitted."""
        if size < self.at_once or self.at_once == self._most:
            return
        self._full += 1
        if self._full >= self._wait:
            self._full, self.at_once = 0, min(2 * self.at_once, self._most)
            log.info("memory has sufficed for long: trying %d %s in a batch", self.at_once, self._unit)
