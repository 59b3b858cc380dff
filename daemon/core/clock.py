"""The daemon's two clocks, so that a test can set both."""

import time
from typing import Protocol


class Clock(Protocol):
    """The clock that every component reads."""

    def monotonic(self) -> float:
        """Seconds, for durations: never set back."""
        ...

    def now_us(self) -> int:
        """Microseconds since the epoch, UTC, for the job log."""
        ...


class SystemClock:
    """The clocks of the kernel."""

    def monotonic(self) -> float:
        return time.monotonic()

    def now_us(self) -> int:
        return time.time_ns() // 1000
