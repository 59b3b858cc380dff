"""Ends workers that have no job, which returns the memory of their models."""

from collections.abc import Callable

from daemon.core.clock import Clock
from daemon.scheduling.pool import Slot
from daemon.scheduling.pools import Pools


class IdleWorkers:
    """Called by the main thread only. Busy workers are left alone."""

    def __init__(self, pools: Pools, clock: Clock):
        self._pools = pools
        self._clock = clock

    def end_unused(self) -> None:
        """End the workers that had nothing to do for their processor's `keep_alive`."""
        now = self._clock.monotonic()
        self._end(lambda slot: now - slot.idle_since >= slot.pool.options.keep_alive, "it had nothing to do")

    def end_retired(self) -> None:
        """End the workers of pools that no recipe uses any more."""
        self._end(lambda slot: slot.pool.is_retired, "its options have changed")

    def end_all(self, why: str) -> list[str]:
        """End all of them; return their processors."""
        return self._end(lambda slot: True, why)

    def _end(self, which: Callable[[Slot], bool], why: str) -> list[str]:
        idle = [slot for slot in self._pools.slots() if slot.is_idle and which(slot)]
        for slot in idle:
            slot.end_worker(self._clock.monotonic(), f"because {why}")
        return sorted({slot.pool.processor for slot in idle})
