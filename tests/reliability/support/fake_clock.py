"""A wall clock that a test may set, for the processes that it starts."""

import shutil
import struct
import subprocess
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest


class Clock:
    """The wall clock of the daemons that are started with its `environment`."""

    def __init__(self, home: Path):
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            pytest.skip("needs a C compiler for the library that shifts the clock")
        library, self._shift = home / "shifted_clock.so", home / "shift"
        source = Path(__file__).with_name("shifted_clock.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True)
        self._shift.write_bytes(bytes(8))
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(self._shift)}

    def set(self, hours: float) -> None:
        """Set it off by this many hours, also for running daemons."""
        with self._shift.open("r+b") as file:
            file.write(struct.pack("q", round(hours * 3600)))

    def set_time(self, text: str, *, days: int = 0) -> None:
        """Set it to a time of this day, or of the day after `days` days; in UTC, such as "03:30"."""
        now = datetime.now(UTC)
        there = datetime.combine(now.date() + timedelta(days=days), time.fromisoformat(text), UTC)
        self.set((there - now).total_seconds() / 3600)
