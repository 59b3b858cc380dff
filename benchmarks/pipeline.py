"""How quick and how light the daemon is, without any model: `make bench` writes benchmarks/RESULTS.md.

A real daemon process on the default kind of storage; text files through the `plaintext` processor. Where a figure has a
physical limit (fsync), the limit is measured in the same run and the ratio is what to quote.
"""

import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = """
[inbox]
text = "count"
settle_seconds = 0.5
[recipes.count]
processor = "plaintext"
[processors.plaintext]
max_batch = 32
"""
STARTS = 7
RENAMES = 100
FILES = 500
IDLE_SECONDS = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Daemon:
    """A daemon process, and when it said READY=1 to a notify socket of ours."""

    def __init__(self, home: Path):
        self.home = home
        address = home / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(str(address))
            started = time.monotonic()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "daemon.cli", "run", "--config", str(home / "config.toml")],
                env={**os.environ, "NOTIFY_SOCKET": str(address)},
                stderr=subprocess.DEVNULL,
            )
            while b"READY=1" not in listener.recv(4096):
                pass
            self.ready_seconds = time.monotonic() - started
        address.unlink()

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_mb(self) -> dict[str, float]:
        lines = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()[1:]
        facts = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.endswith("kB")}
        return {"rss": facts["Rss"], "pss": facts["Pss"]}

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def main() -> None:
    lines = ["# Pipeline, without models", "", "Written by `make bench`. Median (minimum to maximum) of the runs.", ""]
    lines += ["| figure | measured | target |", "| --- | --- | --- |"]
    with _home() as home:
        starts = []
        for _ in range(STARTS):
            daemon = Daemon(home)
            starts.append(daemon.ready_seconds)
            daemon.stop()
        lines.append(f"| start of the process to ready, {STARTS} starts | {_spread(starts, 1000, 'ms')} | under 1 s |")
        daemon = Daemon(home)
        lines.append(
            f"| rename into the inbox to taken, {RENAMES} files | {_spread(_takes(home), 1000, 'ms')} | under 100 ms |"
        )
        wall, fsyncs = _throughput(home), _fsyncs_per_second(home)
        lines.append(
            f"| {FILES} files dropped at once, to the last result | {FILES / wall:.0f} jobs/s; this disk does "
            f"{fsyncs:.0f} fsyncs/s, so a job costs as much as {wall / FILES * fsyncs:.1f} of them | - |"
        )
        daemon.stop()
        daemon = Daemon(home)
        before = daemon.cpu_seconds()
        time.sleep(IDLE_SECONDS)
        cpu = (daemon.cpu_seconds() - before) / IDLE_SECONDS * 100
        memory = daemon.memory_mb()
        lines.append(
            f"| CPU when idle for {IDLE_SECONDS:g} s, {FILES + RENAMES} jobs done | {cpu:.2f}% of a core | under 0.2% |"
        )
        lines.append(
            f"| memory when idle | {memory['rss']:.0f} MB resident ({memory['pss']:.0f} MB its own) | under 80 MB |"
        )
        daemon.stop()
    text = "\n".join([*lines, "", f"Machine: {os.cpu_count()} cores, Python {sys.version.split()[0]}.", ""])
    Path(__file__).with_name("RESULTS.md").write_text(text)
    print(text)


class _home:
    """A place in the temporary folder, on a real file system where there is one."""

    def __enter__(self) -> Path:
        self._path = Path(tempfile.mkdtemp(dir=os.environ.get("BENCH_DIR")))
        (self._path / "config.toml").write_text(CONFIG)
        (self._path / "inbox").mkdir()
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path)


def _takes(home: Path) -> list[float]:
    """Seconds from a rename into the inbox until the file is there no more."""
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
    """Seconds for FILES files renamed in as one folder, to the last result."""
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
    """What this disk can do: small appends, each made durable."""
    with (home / "fsync").open("wb") as file:
        started = time.monotonic()
        for _ in range(200):
            file.write(b"x" * 100)
            file.flush()
            os.fsync(file.fileno())
        return 200 / (time.monotonic() - started)


def _spread(seconds: list[float], factor: float, unit: str) -> str:
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    return f"{middle * factor:.0f} {unit} ({low * factor:.0f} to {high * factor:.0f})"


if __name__ == "__main__":
    main()
