"""Today's daemon on what the first release left: its job log, with a job in each state, and its folders."""

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from paths import DATA
from sandbox import Place, wait_for

from daemon.queue import backup
from daemon.queue.migrations import MIGRATIONS

LEFT = DATA / "first-release"
TOML = """
[inbox]
text = "odd"
settle_seconds = 0.0
[recipes.odd]
processor = "fakes.misbehaving"
"""


@pytest.fixture
def left(tmp_path: Path) -> Place:
    """A place as that release's daemon left it when it was killed."""
    for name in ("inbox", "outbox"):
        shutil.copytree(LEFT / name, tmp_path / name)
    place = Place(tmp_path, TOML)
    place.state.mkdir()
    database = sqlite3.connect(place.state / "jobs.db")
    database.execute("PRAGMA journal_mode = WAL")
    database.executescript((LEFT / "jobs.sql").read_text())
    # a checkout has times of its own, and it is by them that a change of a taken file is seen
    for job, name, mtime_ns in database.execute("SELECT id, name, mtime_ns FROM jobs"):
        if (taken := place.inbox / ".taken" / job / name).exists():
            os.utime(taken, ns=(mtime_ns, mtime_ns))
    database.close()
    (place.home / "go").touch()  # what running.txt waited for
    return place


def test_job_log_of_the_first_release_keeps_its_rows_and_its_jobs_continue(left: Place):
    ended = {row["id"]: row for row in left.rows() if row["state"] in ("done", "failed", "cancelled")}
    events = left.rows("SELECT * FROM events ORDER BY id")
    assert sorted(row["state"] for row in ended.values()) == ["cancelled", "done", "failed"]
    left.drop("new.txt", "fine")
    assert "source" not in left.rows()[0]
    told = left.drain().stderr
    rows = {row["file"]: row for row in left.rows()}
    for name in ("staged", "renamed", "running", "queued", "new"):
        assert rows[f"{name}.txt"]["state"] == "done", rows[f"{name}.txt"]
        assert (left.outbox / name / f"{name}.out").is_file()
    assert rows["running.txt"]["attempts"] == 2, "its first was cut off"
    assert rows["staged.txt"]["attempts"] == rows["renamed.txt"]["attempts"] == 1, "they were done already"
    for row in ended.values():
        assert {name: rows[row["file"]][name] for name in row} == row
    assert left.rows("SELECT * FROM events ORDER BY id")[: len(events)] == events
    assert not list(left.inbox.glob(".taken/*-*")) and not list(left.outbox.glob(".staging/*-*"))
    assert {row["source"] for row in left.rows()} == {"inbox"}
    (copy,) = (left.state / "backups").iterdir()
    assert backup.check(copy) == "" and str(copy) in "".join(told.split("\n"))
    old = sqlite3.connect(copy)
    assert old.execute("PRAGMA user_version").fetchone() == (1,)
    assert old.execute("SELECT count(*) FROM jobs WHERE state IN ('queued', 'running', 'publishing')").fetchone() == (
        4,
    )
    left.verify()


def test_hooks_continue_after_the_upgrade_of_a_log_without_history(left: Place):
    """hooks.json is beyond the numbers of the events: they had begun again, and the old release skipped them."""
    body = json.dumps(["sh", "-c", "cat >> told.jsonl; echo >> told.jsonl"])
    left.write_config(f'{TOML}[[hooks]]\non = ["done", "failed"]\ncommand = {body}\n')
    told = 5 + left.rows("SELECT max(id) AS last FROM events")[0]["last"]  # of jobs that were removed since
    memory = left.state / "hooks.json"
    memory.write_text(json.dumps({"told": told, "database": (left.state / "jobs.db").stat().st_ino}))
    with sqlite3.connect(left.state / "jobs.db") as database:
        for table in ("attempts", "events"):
            database.execute(f"DELETE FROM {table} WHERE job IN (SELECT id FROM jobs WHERE state != 'queued')")
        database.execute("DELETE FROM jobs WHERE state != 'queued'")
    database.close()
    for taken in left.inbox.glob(".taken/*-*"):
        if left.rows(f"SELECT id FROM jobs WHERE id = '{taken.name}'") == []:
            shutil.rmtree(taken)
    left.start()
    left.ended("queued.txt")
    for number in range(2):
        left.drop(f"new-{number}.txt", "fine")
        left.ended(f"new-{number}.txt")
    calls = left.home / "told.jsonl"
    wait_for(lambda: calls.exists() and len(calls.read_text().splitlines()) >= 3, "three calls")
    files = [json.loads(line)["file"] for line in calls.read_text().splitlines()]
    assert files == ["queued.txt", "new-0.txt", "new-1.txt"]
    assert memory.read_text().startswith('{"log": ')


def test_job_log_of_a_later_release_is_refused_with_instructions(left: Place):
    with sqlite3.connect(left.state / "jobs.db") as database:
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    refused = left.drain(check=os.EX_DATAERR).stderr
    assert f"version {len(MIGRATIONS) + 1}" in refused and "Back to an older version" in refused
    assert left.row("queued.txt")["state"] == "queued", "nothing was touched"
