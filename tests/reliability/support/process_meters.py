"""The resources of a process over time, from /proc: descriptors, threads, memory, children, the database's log."""

import contextlib
import statistics
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.core import parallel

_MB = 2**20
GROWTH_FACTOR, GROWTH_BYTES = 1.10, 5 * _MB  # growth that counts as none


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One look."""

    descriptors: int
    threads: int
    rss_bytes: int
    workers: int
    wal_bytes: int

    def returns_to(self, before: "Reading") -> bool:
        """True if there are no more descriptors and threads than before, except those that `parallel` reuses."""
        return self.descriptors <= before.descriptors and self.threads <= before.threads + parallel.threads


class Meters:
    """The readings of one daemon."""

    def __init__(self, pid: int, wal: Path):
        self._proc = Path(f"/proc/{pid}")
        self._pid = pid
        self._wal = wal
        self.readings: list[Reading] = []
        self.at_rest: Any = None  # a Reading after the first scene, without workers
        self.at_end: Any = None

    def read(self) -> Reading:
        status = dict(line.split(":", 1) for line in (self._proc / "status").read_text().splitlines())
        return Reading(
            descriptors=len(list((self._proc / "fd").iterdir())),
            threads=int(status["Threads"]),
            rss_bytes=int(status["VmRSS"].split()[0]) * 1024,
            workers=len(self.workers()),
            wal_bytes=self._wal.stat().st_size if self._wal.exists() else 0,
        )

    def workers(self) -> list[int]:
        """The processes the daemon has started."""
        return [int(child) for child in (self._proc / "task" / str(self._pid) / "children").read_text().split()]

    def sample_until(self, stop: threading.Event, seconds: float) -> None:
        while not stop.wait(seconds):
            with contextlib.suppress(OSError, KeyError):  # it has ended, which other checks report
                self.readings.append(self.read())

    def problems(self, *, max_workers: int, skip: int) -> list[str]:
        """Return the resources that grew; the first `skip` readings do not count."""
        found = []
        for name in ("descriptors", "threads"):
            before, after = getattr(self.at_rest, name), getattr(self.at_end, name)
            kept = parallel.threads if name == "threads" else 0  # it starts them when there is much work
            if after > before + kept:
                found.append(f"{name} at rest: {before} after the first scene, {after} at the end")
        for name in ("rss_bytes", "wal_bytes"):
            second, last = self.medians(name, skip=skip)
            if last > second * GROWTH_FACTOR + GROWTH_BYTES:
                found.append(
                    f"{name}: median {second / _MB:.1f} MB in the second quarter, {last / _MB:.1f} in the last"
                )
        if (most := max(reading.workers for reading in self.readings)) > max_workers:
            found.append(f"{most} worker processes at once, {max_workers} are allowed")
        return found

    def medians(self, name: str, *, skip: int) -> tuple[float, float]:
        """Return the medians of the second and of the last quarter of the readings."""
        values = [getattr(reading, name) for reading in self.readings[skip:]]
        quarter = len(values) // 4
        assert quarter > 2, f"only {len(values)} readings"
        return statistics.median(values[quarter : 2 * quarter]), statistics.median(values[-quarter:])
