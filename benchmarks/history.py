"""Measure the start with a long history and a long queue: `python -m benchmarks.history`, part of `make bench`.

The job log contains HISTORY finished jobs with their attempts and events, and QUEUED files wait in inbox/.taken. The
benchmark kills the daemon as soon as it is ready, so that every start follows a crash and finds the same state.
"""

import contextlib
import hashlib
import sqlite3
from pathlib import Path

from benchmarks.place import Daemon, Home, spread
from daemon.core.job import Job, JobState
from daemon.queue.queries import now_us
from daemon.queue.store import Store, new_id
from processors.contract import Kind

HISTORY = 100_000
QUEUED = 10_000
STARTS = 7
_AT_ONCE = 10_000


def line() -> str:
    """The row for RESULTS.md."""
    with Home() as home:
        build(home, history=HISTORY, queued=QUEUED)
        seconds = []
        for _ in range(STARTS):
            daemon = Daemon(home)
            seconds.append(daemon.ready_seconds)
            daemon.kill()
    what = f"start to ready with {HISTORY:,} finished jobs and {QUEUED:,} that wait, after a kill, {STARTS} starts"
    return f"| {what} | {spread(seconds, 1000, 'ms')} | under 2 s |"


def build(home: Path, *, history: int, queued: int) -> None:
    """Insert the rows, and create the files in .taken for the waiting jobs."""
    (home / "state").mkdir()
    store = Store(home / "state" / "jobs.db")
    for first in range(0, history, _AT_ONCE):
        store.insert([_finished(first + number) for number in range(min(_AT_ONCE, history - first))])
    store.insert([_queued(home, number) for number in range(queued)])
    store.close()
    with contextlib.closing(sqlite3.connect(home / "state" / "jobs.db")) as database, database:
        database.execute(
            "INSERT INTO attempts SELECT id, 1, 'plaintext', 'python', 'none', 'cpu', 1, started_at, finished_at, "
            "'finished', NULL, NULL FROM jobs WHERE state = 'done'"
        )
        for event in ("running, attempt 1", "publishing as done", "done"):
            database.execute(
                "INSERT INTO events (job, at, event) SELECT id, finished_at, ? FROM jobs WHERE state = 'done'", (event,)
            )


def _finished(number: int) -> Job:
    at = now_us()
    return Job(
        **_facts(number, b"%d\n" % number),
        id=new_id(),
        state=JobState.DONE,
        outcome=JobState.DONE,
        attempt=1,
        inode=number,
        mtime_ns=at * 1000,
        processor="plaintext",
        engine="python",
        model="none",
        device="cpu",
        received_at=at,
        started_at=at,
        finished_at=at,
        result_path=f"history/{number}",
        excerpt="What it says begins so.",
    )


def _queued(home: Path, number: int) -> Job:
    content = b"drop %d\n" % number
    job_id = new_id()
    path = home / "inbox" / ".taken" / job_id / "history" / f"{number}.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    facts = path.stat()
    return Job(
        **_facts(number, content),
        id=job_id,
        state=JobState.QUEUED,
        inode=facts.st_ino,
        mtime_ns=facts.st_mtime_ns,
        received_at=now_us(),
    )


def _facts(number: int, content: bytes) -> dict[str, object]:
    return {
        "name": f"{number}.txt",
        "folder": "history",
        "kind": Kind.TEXT,
        "media_type": "text/plain",
        "recipe": "count",
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


if __name__ == "__main__":
    print(line())
