"""Measure the cost of an idle daemon: `python -m benchmarks.idle`, five minutes.

Real daemons are idle for `SECONDS` each: with 1 and with 1,000 watched folders and, if run by root, the same on a file
system that sends no events for changes made elsewhere (overlayfs). All of them scan the entire inbox twice a minute.
All figures come from the kernel, over all threads: CPU time (schedstat), context switches (proc_pid_status(5)), bytes
written to a disk (proc_pid_io(5)). A voluntary switch is a wait, and each wait ends with a wake-up.

For comparison, the lower limit is a process that only follows the schedule: it waits on a queue as the daemon does, and
wakes up as often as the daemon's timed tasks are due.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.place import Daemon, Home, record

SECONDS = 60.0
MANY = 1000
_SETTLED_SECONDS = 5.0  # after the start, until the daemon has finished its initial work
_OF_THIS_BENCHMARK = "INBOXD_BENCH_MOUNTS"  # set in a process with its own mount namespace
_DUE = (30.0, 15.0, 15.0)  # the defaults of [schedule] rescan, probe and unload
_BASELINE = """
import queue, sys, threading, time
box = queue.SimpleQueue()
def post(every):
    while True:
        time.sleep(every)
        box.put(None)
for every in map(float, sys.argv[1:]):
    threading.Thread(target=post, args=(every,), daemon=True).start()
while True:
    box.get()
"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The resources that a process has used since its start, in all of its threads."""

    cpu_seconds: float
    waits: int  # voluntary context switches
    waits_of_main: int  # of these, those of the main loop
    involuntary: int
    written_bytes: int

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(
            cpu_seconds=self.cpu_seconds - other.cpu_seconds,
            waits=self.waits - other.waits,
            waits_of_main=self.waits_of_main - other.waits_of_main,
            involuntary=self.involuntary - other.involuntary,
            written_bytes=self.written_bytes - other.written_bytes,
        )


def main() -> None:
    _keep_mounts_to_ourselves()
    lines = [
        f"Written by `python -m benchmarks.idle`: a daemon that is idle for {SECONDS:g} s, all threads.",
        "",
        "| idle process | CPU, of one core | wake-ups/min | of them, main loop | involuntary switches/min | written |",
        "| --- | --- | --- | --- | --- | --- |",
        _row("a process that wakes up only for the timed tasks", _baseline()),
    ]
    with Home() as home:
        lines.append(_row("1 watched folder", _at_rest(home)))
        _make_folders(home)
        lines.append(_row(f"{MANY:,} watched folders", _at_rest(home)))
    with _overlay() as home:
        if home is not None:
            lines.append(_row("1 folder, also polled (overlayfs)", _at_rest(home)))
            _make_folders(home)
            lines.append(_row(f"{MANY:,} folders, also polled (overlayfs)", _at_rest(home)))
    print(record("Idle daemon", lines))


def _row(what: str, cost: Cost) -> str:
    per_minute = 60 / SECONDS
    figures = (
        f"{cost.cpu_seconds / SECONDS:.3%}",
        f"{cost.waits * per_minute:.0f}",
        f"{cost.waits_of_main * per_minute:.0f}",
        f"{cost.involuntary * per_minute:.0f}",
        f"{cost.written_bytes / 1000:.0f} kB",
    )
    return f"| {what} | {' | '.join(figures)} |"


def _at_rest(home: Path) -> Cost:
    daemon = Daemon(home)
    try:
        return _measure(daemon.process.pid)
    finally:
        daemon.stop()


def _baseline() -> Cost:
    process = subprocess.Popen([sys.executable, "-c", _BASELINE, *map(str, _DUE)])
    try:
        return _measure(process.pid)
    finally:
        process.kill()
        process.wait()


def _measure(pid: int) -> Cost:
    time.sleep(_SETTLED_SECONDS)
    before = _cost(pid)
    time.sleep(SECONDS)
    return _cost(pid) - before


def _cost(pid: int) -> Cost:
    cpu_ns = waits = waits_of_main = involuntary = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        facts = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
        own = int(facts["voluntary_ctxt_switches"])
        cpu_ns += int((task / "schedstat").read_text().split()[0])
        waits += own
        waits_of_main += own if task.name == str(pid) else 0
        involuntary += int(facts["nonvoluntary_ctxt_switches"])
    written = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())["write_bytes"]
    return Cost(
        cpu_seconds=cpu_ns / 1e9,
        waits=waits,
        waits_of_main=waits_of_main,
        involuntary=involuntary,
        written_bytes=int(written),
    )


def _make_folders(home: Path) -> None:
    for number in range(MANY - 1):  # the inbox itself is one
        (home / f"inbox/{number // 100}/{number}").mkdir(parents=True, exist_ok=True)


# ---------------------------------------------------------------------------------------------- mounts


def _keep_mounts_to_ourselves() -> None:
    """Restart this benchmark in its own mount namespace, if permitted, so that its mounts end with it."""
    if os.geteuid() == 0 and _OF_THIS_BENCHMARK not in os.environ:
        os.environ[_OF_THIS_BENCHMARK] = "yes"
        os.execvp("unshare", ["unshare", "--mount", sys.executable, "-m", "benchmarks.idle"])


@contextmanager
def _overlay() -> Iterator[Path | None]:
    """A folder on a file system for which inotify does not report all changes; None if it cannot be mounted."""
    with tempfile.TemporaryDirectory() as scratch, Home() as inner:
        home = Path(scratch, "home")
        for name in ("upper", "work", "home"):
            Path(scratch, name).mkdir()
        options = f"lowerdir={inner},upperdir={scratch}/upper,workdir={scratch}/work"
        command = ["mount", "-t", "overlay", "overlay", "-o", options, str(home)]
        if _OF_THIS_BENCHMARK not in os.environ or subprocess.run(command, capture_output=True).returncode:
            yield None
            return
        try:
            yield home
        finally:
            subprocess.run(["umount", str(home)], check=True)


if __name__ == "__main__":
    main()
