"""The clock is set back or forward by hours while files settle, jobs wait for their next attempt, and the inbox is
polled: nothing waits for hours, and nothing is tried too often. The clock of this machine does not change: a library
that is preloaded into the daemon shifts the time that it reads.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from detection_rig import TOML, WatchedPlace, Writer
from fake_clock import Clock
from sandbox import wait_for

HOURS = [-5, 7]
TOML_OF_THIS = (
    TOML.replace('backoff = "50ms"', 'backoff = "{backoff}"\n    backoff_max = "{backoff}"') + 'probe = "100ms"\n'
)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.fixture
def make_watched_place(tmp_path: Path) -> Iterator:
    made = []

    def make(backoff: str = "50ms", rescan: str = "500ms") -> WatchedPlace:
        toml = TOML_OF_THIS.format(backoff=backoff).replace('rescan = "1h"', f'rescan = "{rescan}"')
        made.append(WatchedPlace(tmp_path, toml))
        return made[-1]

    yield make
    for place in made:
        place.stop_all()


@pytest.mark.parametrize("hours", HOURS)
def test_file_that_settles_while_the_clock_is_set_is_taken_complete(make_watched_place, clock: Clock, hours: int):
    place = make_watched_place()
    daemon = place.start(**clock.environment)
    with Writer(place.folder("settling")) as writer:
        writer.do("file = open('half.txt', 'w'); file.write('half'); file.flush()")
        (place.elsewhere / "linked.txt").write_text("linked")
        (place.inbox / "settling/linked.txt").hardlink_to(place.elsewhere / "linked.txt")
        clock.set(hours)
        place.let_settle()
        assert place.row("settling/half.txt") is None
        writer.do("file.write(' and half'); file.close()")
    place.expect("settling", {"half.txt": b"half and half", "linked.txt": b"linked"})
    place.stop(daemon)
    place.verify()


def test_job_waits_no_longer_for_its_next_attempt_when_the_clock_is_set_back(make_watched_place, clock: Clock):
    place = make_watched_place(backoff="1s")
    daemon = place.start(**clock.environment)
    place.drop("retried/twice.txt", f"crash_once {place.home / 'crashed'}")
    wait_for(lambda: _attempts_ended(place), "the first attempt to fail")
    clock.set(-5)
    row = place.ended("retried/twice.txt")
    assert (row["state"], row["attempts"]) == ("done", 2)
    place.stop(daemon)
    place.verify()


def test_job_is_not_tried_too_early_when_the_clock_is_set_forward(make_watched_place, clock: Clock):
    place = make_watched_place(backoff="1h")
    daemon = place.start(**clock.environment)
    place.drop("retried/twice.txt", f"crash_once {place.home / 'crashed'}")
    wait_for(lambda: _attempts_ended(place), "the first attempt to fail")
    clock.set(7)
    for number in range(2):  # of the same worker, which would take the other one with these or before them
        place.drop(f"retried/{number}.txt", "fine")
        place.ended(f"retried/{number}.txt")
    assert place.row("retried/twice.txt")["attempts"] == 1
    place.stop(daemon)
    place.verify()


def test_clock_set_back_between_two_runs_lets_no_job_wait_for_hours(make_watched_place, clock: Clock):
    place = make_watched_place(backoff="1s")
    clock.set(9)
    daemon = place.start(**clock.environment)
    place.drop("retried/twice.txt", f"crash_once {place.home / 'crashed'}")
    wait_for(lambda: _attempts_ended(place), "the first attempt to fail")
    place.stop(daemon)
    clock.set(0)
    place.start(**clock.environment)
    assert place.ended("retried/twice.txt")["state"] == "done"


def _attempts_ended(place: WatchedPlace) -> int:
    return place.rows("SELECT count(*) AS ended FROM attempts WHERE finished_at IS NOT NULL")[0]["ended"]


@pytest.mark.parametrize("hours", HOURS)
def test_inbox_is_polled_at_the_usual_interval(make_watched_place, clock: Clock, hours: int):
    enter = ["unshare", "--user", "--map-root-user"]
    if not shutil.which("unshare") or subprocess.run([*enter, "true"], capture_output=True).returncode:
        pytest.skip("needs user namespaces, to take inotify away")
    place = make_watched_place(rescan="200ms")
    no_watches = 'echo 0 >/proc/sys/user/max_inotify_instances; exec "$@"'
    daemon = place.start(inside=[*enter, "sh", "-ec", no_watches, "sh"], **clock.environment)
    place.drop("before.txt")
    place.ended("before.txt")
    clock.set(hours)
    place.drop("after.txt")
    place.ended("after.txt")
    place.stop(daemon)
