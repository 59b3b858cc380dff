"""Jobs that join those a worker is busy with: nothing waits for the end of a long recording, with real workers."""

from pathlib import Path

import pytest
from sandbox import Place, wait_for

TOML = """
[inbox]
text = "work"
settle_seconds = 0.0
[inbox.folders.other]
text = "other"
[recipes.work]
processor = "fakes.sociable"
[recipes.other]
processor = "fakes.misbehaving"
[processors."fakes.sociable"]
max_batch = 4
keep_alive = "1h"
[workers]
at_once = {at_once}
patience = "{patience}"
[retry]
backoff = "10ms"
"""
LARGE = "x" * 2000


@pytest.fixture
def place(make_place) -> Place:
    place = make_place(TOML.format(at_once=2, patience="10m"))
    place.start()
    return place


def _wait(place: Place, name: str, go: str = "go") -> None:
    """Drop a large file that is worked on until the file `go` is there."""
    place.drop(name, f"wait_for {go}\n{LARGE}")
    wait_for(lambda: _state(place, name) == "running", f"the start of {name}")


def _state(place: Place, name: str) -> str | None:
    return (place.row(name) or {}).get("state")


def _go(place: Place, go: str = "go") -> None:
    (place.home / go).touch()


def _companions(place: Place, name: str) -> set[str]:
    result = place.outbox / place.row(name)["result_path"]
    return set((result / "with.txt").read_text().split())


def test_a_file_joins_the_one_at_work_and_is_done_before_it(place: Place):
    _wait(place, "long.txt")
    place.drop("short.txt", "fine")
    assert place.ended("short.txt")["state"] == "done" and _state(place, "long.txt") == "running"
    assert _companions(place, "short.txt") == {"long"}
    _go(place)
    assert place.ended("long.txt")["state"] == "done"
    place.drop("later.txt", "fine")  # the worker is idle again, and was not restarted
    place.ended("later.txt")
    assert len(place.rows("SELECT DISTINCT worker_pid FROM attempts")) == 1
    place.verify()


def test_last_place_is_reserved_for_a_file_much_smaller_than_the_others(place: Place):
    for number in range(3):
        _wait(place, f"long{number}.txt")
    place.drop("as long.txt", f"fine\n{LARGE}")
    wait_for(lambda: _state(place, "as long.txt") == "queued", "its row")
    for number in range(20):  # more than are looked at in the order of the queue
        place.drop(f"too long{number}.txt", f"fine\n{LARGE}")
    wait_for(lambda: _state(place, "too long19.txt") == "queued", "the last row")
    place.drop("short.txt", "fine")
    assert place.ended("short.txt")["state"] == "done" and _state(place, "as long.txt") == "queued"
    _go(place)
    assert place.ended("too long19.txt")["state"] == "done"
    place.verify()


def test_an_error_of_one_is_its_own_and_is_counted(place: Place):
    _wait(place, "long.txt")
    place.drop("wrong.txt", "error")
    failed = place.ended("wrong.txt")
    assert (failed["state"], failed["attempts"], _state(place, "long.txt")) == ("failed", 3, "running")
    assert "Internal error" in failed["error"]
    _go(place)
    assert place.ended("long.txt")["attempts"] == 1
    place.verify()


def test_after_a_crash_those_that_were_together_are_tried_one_by_one(place: Place):
    _wait(place, "long.txt")
    place.drop("crash.txt", "crash")
    wait_for(lambda: (place.row("long.txt") or {}).get("attempts") == 2, "the second attempt")
    place.drop("short.txt", "fine")
    wait_for(lambda: _state(place, "short.txt") == "queued", "its row")
    _go(place)
    assert place.ended("crash.txt")["state"] == "failed"
    assert place.ended("long.txt")["state"] == place.ended("short.txt")["state"] == "done"
    assert _companions(place, "long.txt") == set()  # it was alone
    place.verify()


def test_joining_does_not_keep_another_model_waiting_for_longer_than_the_patience(make_place):
    place = make_place(TOML.format(at_once=1, patience="0s"))
    place.start()
    _wait(place, "long.txt")
    place.drop("other/a.txt", "fine")
    wait_for(lambda: _state(place, "other/a.txt") == "queued", "its row")
    place.drop("short.txt", "fine")
    wait_for(lambda: _state(place, "short.txt") == "queued", "its row")
    _go(place)
    assert place.ended("other/a.txt")["state"] == place.ended("short.txt")["state"] == "done"
    first, second = (place.row(name)["started_at"] for name in ("other/a.txt", "short.txt"))
    assert first < second
    place.verify()


def test_many_files_dropped_together_are_done_whatever_joins(place: Place, tmp_path: Path):
    for number in range(60):
        place.drop(f"{number}.txt", "fine" if number % 3 else f"wait_for go{number % 5}\n{LARGE}")
        if number % 6 == 0:
            _go(place, f"go{number // 6 % 5}")
    rows = [place.ended(f"{number}.txt") for number in range(60)]
    assert {(row["state"], row["attempts"]) for row in rows} == {("done", 1)}
    place.verify()
