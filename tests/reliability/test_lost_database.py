"""jobs.db deleted, damaged, or put back from an older copy, with the daemon stopped or running: no drop is lost, no
result is made twice, and the history is rebuilt from the results."""

import shutil
from pathlib import Path

import pytest
from sandbox import Place, wait_for

TOML = """
[inbox]
text = "odd"
settle_seconds = 0.0
[recipes.odd]
processor = "fakes.misbehaving"
[processors."fakes.misbehaving"]
timeout = "60s"
"""


@pytest.fixture
def worked(make_place) -> Place:
    """A place with a result, a failure, and a job that waits for the file `go`."""
    place: Place = make_place(TOML)
    place.drop("a/good.txt", "fine")
    place.drop("bad.txt", "bad")
    place.drain(check=1)
    place.drop("waits.txt", "wait_for go")
    daemon = place.start()
    wait_for(lambda: (place.row("waits.txt") or {}).get("state") == "running", "the third job's start")
    place.daemon = daemon
    return place


def _facts(place: Place) -> dict[str, dict]:
    """Return the row of each file in the job log, without times, which a result records only in milliseconds."""
    omitted = ("received_at", "started_at", "finished_at", "run_seconds", "wait_seconds")
    return {row["file"]: {key: row[key] for key in row if key not in omitted} for row in place.rows()}


def _kill(place: Place) -> None:
    place.daemon.kill()
    place.daemon.wait()


def _let_go_and_check(place: Place, before: dict[str, dict]) -> None:
    (place.home / "go").touch()
    assert place.ended("waits.txt")["state"] == "done"
    after = _facts(place)
    for file in ("a/good.txt", "bad.txt"):
        assert after[file] == before[file]
    documents = sorted(path.parent.name for path in place.outbox.rglob("*.json"))
    assert documents == ["bad", "good", "waits"]
    place.verify()


def _remove(place: Place) -> None:
    for path in place.state.glob("jobs.db*"):
        path.unlink()


def _overwrite(place: Place) -> None:
    for path in place.state.glob("jobs.db*"):
        path.write_bytes(b"\x00\xff" * 8192)


@pytest.mark.parametrize("ruin", [_remove, _overwrite])
def test_database_lost_while_the_daemon_is_stopped_is_rebuilt(worked: Place, ruin):
    before = _facts(worked)
    _kill(worked)
    ruin(worked)
    worked.start()
    _let_go_and_check(worked, before)


def test_database_deleted_under_a_running_daemon_is_rebuilt(worked: Place):
    before = _facts(worked)
    _remove(worked)
    worked.drop("next.txt", "fine")  # the next change detects it
    wait_for(lambda: worked.row("next.txt"), "the new database")
    (worked.home / "go").touch()
    assert worked.ended("next.txt")["state"] == worked.ended("waits.txt")["state"] == "done"
    assert worked.daemon.poll() is None
    worked.verify()
    after = _facts(worked)
    assert all(after[file] == before[file] for file in ("a/good.txt", "bad.txt"))


def test_daemon_that_starts_over_leaves_no_thread_running(place: Place):
    daemon = place.start()

    def threads() -> list[str]:
        return sorted(path.read_text() for path in Path(f"/proc/{daemon.pid}/task").glob("*/comm"))

    place.drop("first.txt")
    place.ended("first.txt")
    before = len(threads())
    for number in range(3):
        _remove(place)
        place.drop(f"{number}.txt")
        wait_for(
            lambda name=f"{number}.txt": (place.row(name) or {}).get("state") == "done",
            "a result of the restarted daemon",
        )
    wait_for(lambda: len(threads()) <= before, f"as many threads as before ({before}), not {len(threads())}")


def test_database_damaged_under_a_running_daemon_is_rebuilt_at_the_latest_when_it_is_opened_again(worked: Place):
    before = _facts(worked)
    with (worked.state / "jobs.db-wal").open("r+b") as file:
        file.truncate(0)
    with (worked.state / "jobs.db").open("r+b") as file:
        file.write(b"\x00" * 4096 * 4)
    worked.drop("next.txt", "fine")
    (worked.home / "go").touch()
    for name in ("waits", "next"):
        wait_for((worked.outbox / name / "result.json").exists, f"the result {name}")
    assert worked.daemon.poll() is None
    _kill(worked)
    worked.drain()
    after = _facts(worked)
    assert {file: facts["state"] for file, facts in after.items()} == {
        **dict.fromkeys(("a/good.txt", "waits.txt", "next.txt"), "done"),
        "bad.txt": "failed",
    }
    assert all(after[file] == before[file] for file in ("a/good.txt", "bad.txt"))
    assert sorted(path.parent.name for path in worked.outbox.rglob("*.json")) == ["bad", "good", "next", "waits"]
    worked.verify()


def test_restored_older_copy_of_the_database_causes_no_false_failure(worked: Place):
    _kill(worked)
    copy = worked.home / "copy"
    copy.mkdir()
    for path in worked.state.glob("jobs.db*"):
        shutil.copy(path, copy)
    (worked.home / "go").touch()
    worked.drop("later.txt", "fine")
    worked.drain()
    before = _facts(worked)
    assert before["waits.txt"]["state"] == "done"
    _remove(worked)
    for path in copy.iterdir():
        shutil.copy(path, worked.state)
    worked.drain(check=None)
    after = _facts(worked)
    assert after["waits.txt"] == before["waits.txt"]
    assert sorted(path.parent.name for path in worked.outbox.rglob("*.json")) == ["bad", "good", "later", "waits"]
    worked.verify()


def test_foreign_document_describes_no_job(make_place):
    place: Place = make_place(TOML)
    for name, text in {"a": "no json", "b": "[]", "c": '{"job": "../../x"}', "d": '{"job": 5, "file": {}}'}.items():
        (place.outbox / name).mkdir(parents=True)
        (place.outbox / name / "result.json").write_text(text)
    secret = place.home / "secret.json"
    secret.write_text("{}")
    (place.outbox / "e").mkdir()
    (place.outbox / "e" / "result.json").symlink_to(secret)
    place.drain()
    assert place.rows() == []
    assert Path(place.state / "jobs.db").exists()
