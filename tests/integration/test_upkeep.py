"""The nightly tasks: check and back up the job log, remove what is older than [retention] allows."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_clock import Clock
from sandbox import Place, wait_for

from daemon.queue import backup

ODD = """
[inbox]
text = "odd"
settle_seconds = 0.0
{inbox}
[recipes.odd]
processor = "fakes.misbehaving"
[retry]
attempts = 1
[retention]
{retention}
"""


@pytest.fixture
def worked(make_place) -> Callable[..., Place]:
    """Makes a place with a result and a failure, and what `retention` says about them."""

    def make(retention: str = "", inbox: str = "") -> Place:
        place: Place = make_place(ODD.format(retention=retention, inbox=inbox))
        place.drop("bank/good.txt", "fine")
        place.drop("bad.txt", "bad")
        place.drain(check=1)
        return place

    return make


def start_and_let_a_night_begin(place: Place, home: Path) -> None:
    clock = Clock(home)
    clock.set_time("12:00")
    place.start(TZ="UTC", **clock.environment)
    clock.set_time("03:31", days=1)
    place.inboxd("status", check=None)  # a turn of the main loop, which sees the clock, and may end the daemon


def test_at_night_the_job_log_is_copied_and_what_is_old_enough_goes(worked, tmp_path: Path):
    place = worked('failed = "1ms"')
    start_and_let_a_night_begin(place, tmp_path)
    copies = place.state / "backups"
    wait_for(lambda: list(copies.glob("jobs-*.db")), "the nightly copy")
    wait_for(lambda: not (place.outbox / "failed/bad").exists(), "the removal of the failure")
    (copy,) = copies.glob("jobs-*.db")
    assert backup.check(copy) == ""
    assert sqlite3.connect(copy).execute("SELECT count(*) FROM jobs").fetchone() == (2,)
    assert (place.outbox / "bank/good/good.out").exists()
    place.verify()


def test_damage_found_at_night_is_repaired_from_the_folders(worked, tmp_path: Path):
    place = worked()
    damaged = bytearray((place.state / "jobs.db").read_bytes())
    root = sqlite3.connect(place.state / "jobs.db").execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'events_job'"
    )
    page = 4096 * (root.fetchone()[0] - 1)
    damaged[page + 100 : page + 4000] = b"\xaa" * 3900  # an index that nothing reads at the start
    (place.state / "jobs.db").write_bytes(damaged)
    start_and_let_a_night_begin(place, tmp_path)
    wait_for(lambda: list(place.state.glob("jobs.db.damaged-*")), "the job log to be set aside")
    wait_for(lambda: place.row("bad.txt"), "the new job log")
    assert place.row("bank/good.txt")["state"] == "done"
    place.verify()


def test_history_of_removed_results_is_restored_from_the_backup(worked):
    place = worked()
    place.inboxd("backup")
    shutil.rmtree(place.outbox / "bank")
    before = {row["file"]: row for row in place.rows()}
    for path in place.state.glob("jobs.db*"):
        path.unlink()
    place.drain()
    assert {row["file"]: row["state"] for row in place.rows()} == {"bank/good.txt": "done", "bad.txt": "failed"}
    assert place.row("bank/good.txt") == before["bank/good.txt"]
    events = place.rows("SELECT event FROM events JOIN jobs ON jobs.id = job WHERE name = 'good.txt'")
    assert len(events) > 2
    place.verify()


def test_old_copy_does_not_end_a_job_that_is_tried_again(worked):
    """The copy says that it failed; since then it was queued again, and its only original is in inbox/.taken."""
    place = worked()
    place.inboxd("backup")
    place.write_config(place.config.read_text().replace("attempts = 1", "attempts = 1\n[schedule]\nprobe = '1h'"))
    daemon = place.start()
    place.inboxd("pause")
    place.inboxd("retry", "--failed")
    daemon.kill()
    daemon.wait()
    for path in place.state.glob("jobs.db*"):
        path.unlink()
    (place.state / "paused").unlink()
    place.drain(check=1)
    assert (place.outbox / "failed/bad/bad.txt").read_text() == "bad"
    place.verify()


def test_only_the_newest_copies_are_kept(tmp_path: Path):
    database = tmp_path / "jobs.db"
    sqlite3.connect(database).execute("CREATE TABLE t (x)").connection.commit()
    for day in range(1, 6):
        backup.copy(database, tmp_path / "backups", f"jobs-2026-01-0{day}.db")
    (tmp_path / "backups" / "jobs-version-1.db").touch()
    backup.remove_older(tmp_path / "backups", 2)
    left = sorted(path.name for path in (tmp_path / "backups").iterdir())
    assert left == ["jobs-2026-01-04.db", "jobs-2026-01-05.db", "jobs-version-1.db"]


# ---------------------------------------------------------------------------------------------- retention


def test_nothing_is_removed_by_default(worked):
    place = worked()
    place.start()
    assert place.inboxd("prune").stdout.startswith("Nothing is old enough")
    assert (place.outbox / "bank/good").is_dir() and (place.outbox / "failed/bad").is_dir()


def test_what_is_old_enough_is_shown_and_then_removed(worked):
    place = worked('results = "1ms"\nfailed = "1ms"')
    place.start()
    shown = place.inboxd("prune", "--dry-run").stdout
    assert (
        "result bank/good" in shown and "failure failed/bad" in shown and "Would remove: 1 result, 1 failure" in shown
    )
    assert (place.outbox / "bank/good").is_dir()
    assert "Removed: 1 result, 1 failure." in place.inboxd("prune").stdout
    assert not (place.outbox / "bank").exists() and not (place.outbox / "failed/bad").exists()
    assert {row["state"] for row in place.rows()} == {"done", "failed"}, "the history stays"
    place.verify()
    refused = place.inboxd("retry", place.row("bad.txt")["id"][:8], check=None)
    assert "was removed by [retention]" in refused.stderr


@pytest.mark.parametrize("change", ["a file was added", "the document is another's", "a folder was added"])
def test_changed_result_is_not_removed(worked, change: str):
    place = worked('results = "1ms"')
    folder = place.outbox / "bank/good"
    if change == "a file was added":
        (folder / "my notes.txt").write_text("important")
    elif change == "a folder was added":
        (folder / "original").mkdir()
    else:
        facts = json.loads((folder / "result.json").read_bytes())
        (folder / "result.json").write_text(json.dumps({**facts, "job": "another"}))
    place.start()
    answer = json.loads(place.inboxd("prune", "--json").stdout)
    assert answer["counts"] == {"kept": 1} and answer["first"][0]["kept"]
    assert (folder / "good.out").exists()


def test_what_is_not_old_enough_stays(worked):
    place = worked('results = "1h"\nfailed = "1h"\nhistory = "1h"')
    place.start()
    assert "Nothing is old enough" in place.inboxd("prune").stdout


def test_archived_originals_and_history_have_ages_of_their_own(worked):
    place = worked('archive = "1ms"', inbox='originals = "archive"')
    assert list((place.state / "archive").rglob("good.txt"))
    place.start()
    assert "1 archived original" in place.inboxd("prune").stdout
    assert not list((place.state / "archive").iterdir())
    assert (place.outbox / "bank/good/good.out").exists()


def test_history_goes_with_its_attempts_and_events_and_open_jobs_stay(worked):
    place = worked('history = "1ms"')
    place.drop("waits.txt", "wait_for go")
    place.start()
    wait_for(lambda: (place.row("waits.txt") or {}).get("state") == "running", "the start")
    assert "Removed: 2 rows of the job log." in place.inboxd("prune").stdout
    assert [row["file"] for row in place.rows()] == ["waits.txt"]
    counts = place.rows("SELECT count(DISTINCT job) AS jobs FROM events")
    assert counts[0]["jobs"] == 1
    (place.home / "go").touch()
    assert place.ended("waits.txt")["state"] == "done"
    place.verify()
