"""Measure the speed and size of the daemon without any model: `make bench` writes benchmarks/RESULTS.md.

A real daemon process processes text files with the `plaintext` processor, on the default storage. Where a figure has a
physical limit (fsync), the same run measures the limit; quote the ratio.
"""

import os
import time
from pathlib import Path

from benchmarks import history
from benchmarks.place import Daemon, Home, record, spread

STARTS = 7
RENAMES = 100
FILES = 2000
IDLE_SECONDS = 30.0


def main() -> None:
    lines = ["Written by `make bench`. The figures are the median (minimum to maximum) of the runs.", ""]
    lines += ["| figure | measured | target |", "| --- | --- | --- |"]
    with Home() as home:
        starts = []
        for _ in range(STARTS):
            daemon = Daemon(home)
            starts.append(daemon.ready_seconds)
            daemon.stop()
        lines.append(
            f"| from the start of the process to ready, {STARTS} starts | {spread(starts, 1000, 'ms')} | under 1 s |"
        )
        daemon = Daemon(home)
        lines.append(
            f"| from the rename into the inbox to taken, {RENAMES} files | {spread(_takes(home), 1000, 'ms')} "
            "| under 100 ms |"
        )
        cpu = daemon.cpu_seconds()
        wall, fsyncs = _throughput(home), _fsyncs_per_second(home)
        cpu = daemon.cpu_seconds() - cpu
        lines.append(
            f"| {FILES} files dropped at once, until the last result | {FILES / wall:.0f} jobs/s; this disk does "
            f"{fsyncs:.0f} fsyncs/s, so a job costs as much as {wall / FILES * fsyncs:.1f} fsyncs | - |"
        )
        lines.append(f"| CPU of the daemon for each of these jobs | {cpu / FILES * 1000:.2f} ms | under 2.5 ms |")
        daemon.stop()
        daemon = Daemon(home)
        before = daemon.cpu_seconds()
        time.sleep(IDLE_SECONDS)
        cpu = (daemon.cpu_seconds() - before) / IDLE_SECONDS * 100
        memory = daemon.memory_mb()
        lines.append(
            f"| CPU while idle for {IDLE_SECONDS:g} s, after {FILES + RENAMES} jobs | {cpu:.2f}% of a core "
            "| under 0.2% |"
        )
        lines.append(
            f"| memory while idle | {memory['rss']:.0f} MB resident ({memory['pss']:.0f} MB PSS) | under 80 MB |"
        )
        daemon.stop()
    lines.append(history.line())
    print(record("Pipeline, without models", lines))


def _takes(home: Path) -> list[float]:
    """Seconds from a rename into the inbox until the file is gone from there."""
    seconds = []
    for number in range(RENAMES):
        source, target = home / "source.txt", home / "inbox" / f"{number}.txt"
        source.write_text("text")
        source.rename(target)
        started = time.monotonic()
        while target.exists():
            time.sleep(0.0005)
        seconds.append(time.monotonic() - started)
    _wait_for_results(home, RENAMES)
    return seconds


def _throughput(home: Path) -> float:
    """Seconds for FILES files that are renamed in as one folder, until the last result."""
    batch = home / "batch"
    batch.mkdir()
    for number in range(FILES):
        (batch / f"{number}.txt").write_text(f"text number {number}\n")
    started = time.monotonic()
    batch.rename(home / "inbox" / "batch")
    _wait_for_results(home / "outbox" / "batch", FILES, inside=True)
    return time.monotonic() - started


def _wait_for_results(home: Path, count: int, *, inside: bool = False) -> None:
    folder = home if inside else home / "outbox"
    while not folder.is_dir() or sum(1 for _ in folder.glob("*/result.json")) < count:
        time.sleep(0.02)


def _fsyncs_per_second(home: Path) -> float:
    """The speed of this disk: small appends, each followed by fsync."""
    with (home / "fsync").open("wb") as file:
        started = time.monotonic()
        for _ in range(200):
            file.write(b"x" * 100)
            file.flush()
            os.fsync(file.fileno())
        return 200 / (time.monotonic() - started)


if __name__ == "__main__":
    main()
