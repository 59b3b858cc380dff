"""Another program holds the job log locked: the daemon stays responsive, says so, and loses nothing; readers say so."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sandbox import Place, wait_for

from daemon.core.errors import LogLocked, StorageError
from daemon.queue import sqlite_errors
from daemon.queue.store import Store
from daemon.server import control_socket

_ANSWER_SECONDS = 2.0


@contextmanager
def locked(place: Place, begin: str = "BEGIN EXCLUSIVE") -> Iterator[None]:
    connection = sqlite3.connect(place.state / "jobs.db", isolation_level=None, timeout=60)
    if begin == "alone":  # nobody else may even read
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        begin = "BEGIN EXCLUSIVE"
    connection.execute(begin)
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@pytest.mark.parametrize("begin", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_daemon_answers_while_the_job_log_is_locked_and_loses_nothing(begin: str, place: Place):
    place.start()
    place.drop("before.txt")
    place.ended("before.txt")
    files = [f"{number}.txt" for number in range(12)]
    with locked(place, begin):
        for file in files:
            place.drop(file)

        def problem() -> str:
            answer = control_socket.ask(place.settings().socket, "status", timeout=_ANSWER_SECONDS)
            return answer["storage_problem"] or ""

        found = wait_for(problem, "the problem in the status")
        assert "locked by another program" in found and "fuser" in found and "space" not in found
        for _ in range(20):
            assert "locked by another program" in problem()
    for file in files:
        assert place.ended(file)["attempts"] == 1
        assert place.row(file)["state"] == "done"
    wait_for(lambda: not problem(), "the end of the problem")
    place.verify()


def test_results_that_come_while_the_job_log_is_locked_are_published_afterwards(make_place):
    place = make_place(
        "[inbox]\ntext = 'odd'\nsettle_seconds = 0.0\n[recipes.odd]\nprocessor = 'fakes.misbehaving'\n"
        "[processors.'fakes.misbehaving']\nmax_batch = 8\n"
    )
    place.start()
    files = [f"{number}.txt" for number in range(8)]
    for file in files:
        place.drop(file, "wait_for go")
    wait_for(lambda: any(row["state"] == "running" for row in place.rows()), "the start")
    running = [row["file"] for row in place.rows() if row["state"] == "running"]
    with locked(place):
        (place.home / "go").touch()

        def problem() -> str:
            answer = control_socket.ask(place.settings().socket, "status", timeout=_ANSWER_SECONDS)
            return answer["storage_problem"] or ""

        wait_for(problem, "the problem in the status")
    for file in files:
        assert place.ended(file)["state"] == "done"
    assert {place.row(file)["attempts"] for file in running} == {1}, "what was computed is not computed again"
    place.verify()


def test_digest_that_is_due_while_the_job_log_is_locked_for_readers_comes_later(place: Place):
    """The thread of the hooks reads it, and tries again; the main loop does not wait for it."""
    from daemon.notify.hooks import Hooks

    place.drop("bad.bin", b"")  # fails: it is empty
    place.drain(check=1)
    told = place.home / "told"
    hook = f'[[hooks]]\non = ["digest"]\ncommand = ["sh", "-c", "cat >> {told}"]\n'
    place.write_config(place.config.read_text() + hook)
    hooks = Hooks(place.settings())
    hooks.start()
    with locked(place, "alone"):
        hooks.send_digest(0)
        wait_for(lambda: "locked" in hooks._problem, "the complaint")
    wait_for(lambda: told.exists() and "bad.bin" in told.read_text(), "the digest")
    hooks.stop()


@pytest.mark.parametrize("command", [["jobs"], ["verify"], ["backup"], ["show", "0"]])
def test_reading_command_reports_that_another_program_holds_the_lock(command: list[str], place: Place):
    place.drop("one.txt")
    place.drain()
    with locked(place, "alone"):
        refused = place.inboxd(*command, check=74)
    assert "locked by another program" in refused.stderr and "fuser" in refused.stderr
    assert "Traceback" not in refused.stderr and "move the file" not in refused.stderr


def test_doctor_reports_that_another_program_holds_the_lock(place: Place):
    place.drop("one.txt")
    place.drain()
    with locked(place, "alone"):
        checks = json.loads(place.inboxd("doctor", "--json", check=None).stdout)
    (found,) = [check for check in checks if check["what"] == "job log" and check["verdict"] == "FAIL"]
    assert "locked by another program" in found["found"] and "fuser" in found["fix"]


def test_status_reports_that_no_daemon_runs_even_if_the_log_is_locked(place: Place):
    place.drop("one.txt")
    place.drain()
    with locked(place, "alone"):
        assert "No inboxd is running" in place.inboxd("status", check=69).stderr


def test_store_reports_what_blocks_it(tmp_path: Path):
    store = Store(tmp_path / "jobs.db")
    other = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LogLocked, match="locked by another program"):
        store.check()
    other.execute("ROLLBACK")
    other.close()
    store.check()
    store.close()


def _error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("words of SQLite")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (sqlite3.SQLITE_BUSY, "close it"),
        (sqlite3.SQLITE_BUSY_RECOVERY, "close it"),
        (sqlite3.SQLITE_LOCKED, "close it"),
        (sqlite3.SQLITE_FULL, "Free some space"),
        (sqlite3.SQLITE_READONLY, "write permission"),
        (sqlite3.SQLITE_CANTOPEN, "LimitNOFILE"),
        (sqlite3.SQLITE_IOERR_FSYNC, "dmesg"),
        (sqlite3.SQLITE_NOMEM, "memory"),
    ],
)
def test_each_error_has_its_own_advice(code: int, words: str, tmp_path: Path):
    found = sqlite_errors.explain(_error(code), tmp_path / "jobs.db")
    assert isinstance(found, StorageError) and words in found.fix and "OperationalError" not in str(found)


def test_damage_and_mistakes_are_not_temporary(tmp_path: Path):
    for code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT):
        assert sqlite_errors.explain(_error(code), tmp_path / "jobs.db") is None
    assert sqlite_errors.is_damage(_error(sqlite3.SQLITE_CORRUPT))
