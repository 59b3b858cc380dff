"""Measure throughput on 1 to 64 pretended devices: `python -m benchmarks.devices [--write]`.

A real daemon and real worker processes, each on a pretended GPU, whose jobs only sleep. What is not linear is the
daemon's own work and the placement of jobs; so is what the machine does beside it, because all processes share its
cores. `--simulate` measures the placement alone, in virtual time: from an idle daemon with a full queue until the last
job has ended.
"""

import argparse
import heapq
import itertools
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

from benchmarks.place import Daemon, Home, record
from daemon.core.job import Job, JobState
from daemon.scheduling.batches import Moment, PoolQueue
from daemon.scheduling.devices import Device
from daemon.scheduling.placement import plan
from daemon.scheduling.pool import Pool, Slot
from daemon.workers.supervisor import WorkerState
from processors.contract import Kind, Options

COUNTS = (1, 2, 4, 8, 16, 64)
RUN_SECONDS = 1.0
WINDOW_SECONDS = 15.0
START_SECONDS = 240.0  # until all workers work, on a busy machine
FAKES = Path(__file__).parents[1] / "tests" / "support"
CONFIG = """
[inbox]
text = "sleep"
[recipes.sleep]
processor = "fakes.on_device"
[processors."fakes.on_device"]
run_seconds = {seconds}
memory = "10GB"
"""
DEVICE = '[devices."cuda:{number}"]\nuuid = "GPU-{number}"\nmemory = "10GB"\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=lambda text: [*map(int, text.split(","))], default=[*COUNTS])
    parser.add_argument("--seconds", type=float, default=RUN_SECONDS, help="of each job")
    parser.add_argument("--simulate", action="store_true", help="the placement alone")
    parser.add_argument("--write", action="store_true", help="write benchmarks/RESULTS.md")
    given = parser.parse_args()
    heading = "Placement on several devices, simulated" if given.simulate else "Several devices"
    lines = []
    for line in simulated(given.devices) if given.simulate else measured(given.devices, given.seconds):
        print(line, flush=True)
        lines.append(line)
    if given.write:
        record(heading, lines)


# ---------------------------------------------------------------------------------------------- measured


def measured(counts: list[int], seconds: float) -> Iterator[str]:
    yield f"Written by `python -m benchmarks.devices --write`. Jobs of {seconds:g} s on {os.cpu_count()} cores, whose"
    yield f"load average was {os.getloadavg()[0]:.0f} before the start."
    yield from (
        "",
        "| devices | jobs a second | of linear | daemon, CPU time a job | jobs measured |",
        "| --- " * 5 + "|",
    )
    for count in counts:
        rate, jobs, cpu_seconds = _measure(count, seconds)
        share = rate * seconds / count
        yield f"| {count} | {rate:.1f} | {share:.0%} | {1000 * cpu_seconds / max(1, jobs):.1f} ms | {jobs} |"


def _measure(count: int, seconds: float) -> tuple[float, int, float]:
    """Jobs a second, their number, and the daemon's CPU time meanwhile, once each device has a worker."""
    os.environ["PYTHONPATH"] = str(FAKES)
    config = CONFIG.format(seconds=seconds) + "".join(DEVICE.format(number=number) for number in range(count))
    with Home(config) as home:
        daemon = Daemon(home)
        try:
            names = itertools.count()
            give_up = time.monotonic() + START_SECONDS
            while _used(home) < count and time.monotonic() < give_up:
                _fill(home, names, 4 * count)
                time.sleep(0.5)
            before, start, cpu = _done(home), time.monotonic(), daemon.cpu_seconds()
            while (elapsed := time.monotonic() - start) < WINDOW_SECONDS:
                _fill(home, names, 4 * count)
                time.sleep(0.5)
            jobs = _done(home) - before
            return jobs / elapsed, jobs, daemon.cpu_seconds() - cpu
        finally:
            daemon.stop()


def _fill(home: Path, names: Iterator[int], least: int) -> None:
    """Keep at least that many jobs in the queue."""
    for _ in range(least - _count(home, "SELECT count(*) FROM jobs WHERE state = 'queued'")):
        file = home / f"{next(names)}.txt"
        file.write_text(file.name)
        file.rename(home / "inbox" / file.name)


def _used(home: Path) -> int:
    return _count(home, "SELECT count(DISTINCT device) FROM attempts")


def _done(home: Path) -> int:
    return _count(home, "SELECT count(*) FROM jobs WHERE state = 'done'")


def _count(home: Path, query: str) -> int:
    connection = sqlite3.connect(f"file:{home / 'state' / 'jobs.db'}?mode=ro", uri=True)
    try:
        return int(connection.execute(query).fetchone()[0])
    finally:
        connection.close()


# ---------------------------------------------------------------------------------------------- simulated


def simulated(counts: list[int]) -> Iterator[str]:
    yield "Written by `python -m benchmarks.devices --simulate --write`. The time from an idle daemon with a full queue"
    yield "until the last job has ended, in virtual time; linear: all devices load first, and then share the jobs."
    yield from ("", "| devices | jobs | a job | a load | all done after | of linear | loaded |", "| --- " * 7 + "|")
    for seconds, load, each in ((1.0, 5.0, 200), (1.0, 20.0, 200), (60.0, 20.0, 10)):
        for count in counts:
            took, loaded = simulate(count, count * each, seconds, load)
            share = (load + each * seconds) / took
            yield f"| {count} | {count * each} | {seconds:g} s | {load:g} s | {took:.0f} s | {share:.0%} | {loaded} |"
    for jobs in (1, 2, 10):
        took, loaded = simulate(8, jobs, 5.0, 20.0)
        yield f"| 8 | {jobs} | 5 s | 20 s | {took:.0f} s | – | {loaded} |"


def simulate(count: int, jobs: int, seconds: float, load_seconds: float) -> tuple[float, int]:
    """The time that `count` devices need for so many equal jobs, and the number of models loaded for that."""
    places = tuple((Device(name=f"cuda:{number}", kind="gpu", at_once=1, memory_bytes=1.0),) for number in range(count))
    pool = Pool.on(places, "pretended", Options(), 1)
    queued, first, now, loads = [_job(number) for number in range(jobs)], 0, 0.0, 0
    events: list[tuple[float, int, Slot]] = []
    order = itertools.count()
    while first < jobs or events:
        decided = None
        if first < jobs:
            queue = PoolQueue(pool=pool, jobs=queued[first : first + count + 1], waiting=jobs - first)
            decided = plan([queue], pool.slots, Moment(now=now, now_us=0, patience_us=10**12))
            for slot in decided.load:
                slot.worker = _worker(now)
                heapq.heappush(events, (now + load_seconds, next(order), slot))
                loads += 1
            for batch in decided.run:
                _set(batch.slot, WorkerState.BUSY, now)
                first += len(batch.jobs)
                heapq.heappush(events, (now + seconds * len(batch.jobs), next(order), batch.slot))
        if decided is not None and decided.again_at is not None and (not events or decided.again_at < events[0][0]):
            now = max(now, decided.again_at) + 1e-6
            continue
        now, _, slot = heapq.heappop(events)
        _end(slot, now)
    return now, loads


def _end(slot: Slot, now: float) -> None:
    """A worker has loaded, or ended its job."""
    if slot.state is WorkerState.LOADING:
        slot.pool.pace.load = now - slot.worker.started  # type: ignore[union-attr]
    else:
        slot.pool.pace.note_job(now - slot.worker.last_outcome)  # type: ignore[union-attr]
    _set(slot, WorkerState.IDLE, now)


def _set(slot: Slot, state: WorkerState, now: float) -> None:
    worker = slot.worker
    assert worker is not None
    worker.state, worker.last_outcome = state, now


def _worker(now: float) -> SimpleNamespace:
    loaded = SimpleNamespace(takes_more_jobs=False)
    return SimpleNamespace(
        state=WorkerState.LOADING, jobs={}, may_be_joined=False, loaded=loaded, started=now, last_outcome=now
    )


def _job(number: int) -> Job:
    return Job(
        id=f"{number:06}",
        name=f"{number}.txt",
        folder="",
        kind=Kind.TEXT,
        media_type="text/plain",
        recipe="sleep",
        state=JobState.QUEUED,
        inode=number,
        size_bytes=1,
        mtime_ns=0,
        received_at=number,
    )


if __name__ == "__main__":
    main()
