"""Where a reader of events continues: in the same job log, and in one that was emptied, restored or rebuilt."""

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from factories import make_job

from daemon.core.job import JobState
from daemon.queue import backup, migrations
from daemon.queue.cursor import Cursor
from daemon.queue.reader import JobLog
from daemon.queue.store import Store

_EVENTS_OF_ONE_JOB = 4  # queued, running, publishing, done


class Log:
    """A job log whose clock advances by a second with each look at it."""

    def __init__(self, path: Path):
        self.path = path
        self.now = 1_700_000_000_000_000
        self.store = Store(path, clock=self._tick)

    def _tick(self) -> int:
        self.now += 1_000_000
        return self.now

    def end(self, name: str) -> str:
        job = make_job(name=name, state=JobState.QUEUED)
        self.store.insert([job])
        started = self.store.start([job], processor="p", worker_pid=1, engine="e", model="m", device="d")[0]
        self.store.finish(
            self.store.intend(started, outcome=JobState.DONE, attempt_outcome="finished", result_path=job.name)
        )
        return job.id

    def reopen(self) -> None:
        self.store.close()
        self.store = Store(self.path, clock=self._tick)

    def unread(self, cursor: Cursor) -> list[str]:
        with JobLog(self.path) as jobs:
            return [row["file"] for _, _, row in jobs.finished_jobs_after(cursor.position(jobs), limit=99)]

    def cursor(self) -> Cursor:
        with JobLog(self.path) as jobs:
            return Cursor.at_end(jobs)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "jobs.db")


def test_event_numbers_are_not_reused_after_the_log_was_emptied(log: Log):
    first = log.end("one.txt")
    with JobLog(log.path) as jobs:
        last = jobs.last_event()
    log.store.forget_history([first])
    log.reopen()
    with JobLog(log.path) as jobs:
        assert jobs.last_event() == last == _EVENTS_OF_ONE_JOB
    log.end("two.txt")
    with JobLog(log.path) as jobs:
        assert [number for number, _, _ in jobs.finished_jobs_after(0, limit=9)] == [2 * _EVENTS_OF_ONE_JOB]


def test_reader_misses_nothing_after_the_log_was_emptied(log: Log):
    ended = [log.end(f"{number}.txt") for number in range(3)]
    cursor = log.cursor()
    log.store.forget_history(ended)
    log.end("new.txt")
    assert log.unread(cursor) == ["new.txt"]


def test_reader_continues_in_a_restored_copy(log: Log, tmp_path: Path):
    log.end("before.txt")
    copy = backup.copy(log.path, tmp_path / "backups")
    log.end("lost.txt")
    cursor = log.cursor()
    log.store.close()
    for path in tmp_path.glob("jobs.db*"):
        path.unlink()
    shutil.copy(copy, log.path)
    log.store = Store(log.path, clock=log._tick)
    assert log.unread(cursor) == []
    for number in range(3):  # beyond the number that the reader had reached in the lost log
        log.end(f"after-{number}.txt")
    assert log.unread(cursor) == [f"after-{number}.txt" for number in range(3)]


def test_reader_of_a_rebuilt_log_does_not_see_adopted_history_twice(log: Log, tmp_path: Path):
    for number in range(3):
        log.end(f"old-{number}.txt")
    cursor = log.cursor()
    log.end("unread.txt")
    copy = backup.copy(log.path, tmp_path / "backups")
    log.store.close()
    for path in tmp_path.glob("jobs.db*"):
        path.unlink()
    log.store = Store(log.path, clock=log._tick)
    log.store.adopt_history(copy, but_not=())
    assert log.unread(cursor) == ["unread.txt"]
    log.end("new.txt")
    assert log.unread(cursor) == ["unread.txt", "new.txt"]


def test_copies_and_vacuum_keep_the_identity_and_the_numbers(log: Log, tmp_path: Path):
    log.store.forget_history([log.end("one.txt")])
    cursor = log.cursor()
    log.store.close()
    with sqlite3.connect(log.path) as connection:
        connection.execute("VACUUM")
    connection.close()
    assert (log.cursor().log, log.cursor().event) == (cursor.log, cursor.event)
    copy = backup.copy(log.path, tmp_path / "backups")
    with JobLog(copy) as jobs:
        assert jobs.identity() == cursor.log and jobs.last_event() == cursor.event


def test_two_logs_have_two_identities(tmp_path: Path):
    found = set()
    for name in ("first.db", "second.db"):
        Store(tmp_path / name).close()
        with JobLog(tmp_path / name) as jobs:
            found.add(jobs.identity())
    assert len(found) == 2 and all(found)


@pytest.mark.parametrize("content", [{}, {"log": 1}, {"log": "x", "event": "y", "at": 0}, [], None, "text"])
def test_invalid_cursor_is_none(content, tmp_path: Path):
    memory = tmp_path / "hooks.json"
    memory.write_text(json.dumps(content))
    assert Cursor.parse(content, memory, tmp_path / "jobs.db") is None


# ---------------------------------------------------------------------------------------------- the upgrade


def _old_log(path: Path, events: list[tuple[int, str, int]]) -> None:
    """A job log of version 3; `events`: (number, event, microseconds), each of a job of its own."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    for migration in migrations.MIGRATIONS[:3]:
        for statement in migration:
            connection.execute(statement)
    connection.execute("PRAGMA user_version = 3")
    for number, event, at in events:
        connection.execute(
            "INSERT INTO jobs (id, name, folder, media_type, state, inode, size_bytes, mtime_ns, received_at) "
            "VALUES (?, ?, '', 'text/plain', ?, 1, 1, 1, ?)",
            (f"job-{number}", f"{number}.txt", event, at),
        )
        connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, NULL)", (number, f"job-{number}", at, event))
    connection.close()


def _old_memory(path: Path, database: Path, told: int, at_us: int) -> Cursor:
    """hooks.json as the releases before wrote it, last at a time; read as this one reads it."""
    facts = {"told": told, "database": database.stat().st_ino}
    path.write_text(json.dumps(facts))
    os.utime(path, ns=(at_us * 1000, at_us * 1000))
    cursor = Cursor.parse(facts, path, database)
    assert cursor is not None
    return cursor


_T = 1_700_000_000_000_000
_S = 1_000_000


@pytest.mark.parametrize(
    ("told", "events", "unread"),
    [
        pytest.param(2, [(1, -9), (2, -1), (3, 5)], [3], id="nothing was removed"),
        pytest.param(2, [(1, -9), (2, -2), (3, -1)], [3], id="the third ended while the second was reported"),
        pytest.param(100, [(1, 5), (2, 6)], [1, 2], id="emptied, and the numbers began again"),
        pytest.param(2, [(1, 5), (2, 6)], [1, 2], id="emptied, and the numbers have just caught up"),
        pytest.param(2, [(1, 5), (2, 6), (3, 7)], [1, 2, 3], id="emptied, and the numbers are beyond"),
        pytest.param(100, [(90, -9), (91, 5), (92, 6)], [91, 92], id="emptied but for an older job"),
        pytest.param(100, [], [], id="emptied, and nothing has ended since"),
    ],
)
def test_upgrade_loses_no_event_and_reports_none_twice(told: int, events, unread: list[int], tmp_path: Path):
    database = tmp_path / "jobs.db"
    _old_log(database, [(number, "done", _T + at * _S) for number, at in events])
    cursor = _old_memory(tmp_path / "hooks.json", database, told, _T)
    log = Log(database)
    log.now = _T + 3600 * _S
    log.end("new.txt")
    expected = [f"{number}.txt" for number in unread]
    assert log.unread(cursor) == [*expected, "new.txt"]
    log.store.forget_history([f"job-{number}" for number, _ in events])
    log.reopen()
    for number in range(30):
        log.end(f"later-{number}.txt")
    assert log.unread(cursor) == ["new.txt", *(f"later-{number}.txt" for number in range(30))]


def test_upgrade_preserves_events_and_continues_their_numbers(tmp_path: Path):
    database = tmp_path / "jobs.db"
    _old_log(database, [(7, "done", _T), (9, "failed", _T + 1)])
    log = Log(database)
    with JobLog(database) as jobs:
        assert [event["number"] for event in jobs.events_after(0)] == [7, 9]
        assert jobs.last_event() == 9 and jobs.identity()
    job = make_job()
    log.store.insert([job])
    with JobLog(database) as jobs:
        assert jobs.last_event() == 10


def test_job_log_of_an_older_version_can_be_read(tmp_path: Path):
    database = tmp_path / "jobs.db"
    _old_log(database, [(7, "done", _T)])
    with JobLog(database) as jobs:
        assert (jobs.last_event(), jobs.identity()) == (7, "")
        assert Cursor.at_end(jobs).position(jobs) == 7
