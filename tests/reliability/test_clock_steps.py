"""The clock is set back or forward by hours while files settle, jobs wait for their next attempt, and the inbox is
polled: nothing waits for hours, and nothing is tried too often. The clock of this machine does not change: a library
that is preloaded into the daemon shifts the time that it reads.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from detection_rig import TOML, House, Writer
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
def make_house(tmp_path: Path) -> Iterator:
    made = []

    def make(backoff: str = "50ms", rescan: str = "500ms") -> House:
        toml = TOML_OF_THIS.format(backoff=backoff).replace('rescan = "1h"', f'rescan = "{rescan}"')
        made.append(House(tmp_path, toml))
        return made[-1]

    yield make
    for house in made:
        house.stop_all()


@pytest.mark.parametrize("hours", HOURS)
def test_file_that_settles_while_the_clock_is_set_is_taken_complete(make_house, clock: Clock, hours: int):
    house = make_house()
    daemon = house.start(**clock.environment)
    with Writer(house.folder("settling")) as writer:
        writer.do("file = open('half.txt', 'w'); file.write('half'); file.flush()")
        (house.elsewhere / "linked.txt").write_text("linked")
        (house.inbox / "settling/linked.txt").hardlink_to(house.elsewhere / "linked.txt")
        clock.set(hours)
        house.let_settle()
        assert house.row("settling/half.txt") is None
        writer.do("file.write(' and half'); file.close()")
    house.expect("settling", {"half.txt": b"half and half", "linked.txt": b"linked"})
    house.stop(daemon)
    house.verify()


def test_job_waits_no_longer_for_its_next_attempt_when_the_clock_is_set_back(make_house, clock: Clock):
    house = make_house(backoff="1s")
    daemon = house.start(**clock.environment)
    house.drop("retried/twice.txt", f"crash_once {house.home / 'crashed'}")
    wait_for(lambda: _attempts_ended(house), "the first attempt to fail")
    clock.set(-5)
    row = house.ended("retried/twice.txt")
    assert (row["state"], row["attempts"]) == ("done", 2)
    house.stop(daemon)
    house.verify()


def test_job_is_not_tried_too_early_when_the_clock_is_set_forward(make_house, clock: Clock):
    house = make_house(backoff="1h")
    daemon = house.start(**clock.environment)
    house.drop("retried/twice.txt", f"crash_once {house.home / 'crashed'}")
    wait_for(lambda: _attempts_ended(house), "the first attempt to fail")
    clock.set(7)
    for number in range(2):  # of the same worker, which would take the other one with these or before them
        house.drop(f"retried/{number}.txt", "fine")
        house.ended(f"retried/{number}.txt")
    assert house.row("retried/twice.txt")["attempts"] == 1
    house.stop(daemon)
    house.verify()


def test_clock_set_back_between_two_runs_lets_no_job_wait_for_hours(make_house, clock: Clock):
    house = make_house(backoff="1s")
    clock.set(9)
    daemon = house.start(**clock.environment)
    house.drop("retried/twice.txt", f"crash_once {house.home / 'crashed'}")
    wait_for(lambda: _attempts_ended(house), "the first attempt to fail")
    house.stop(daemon)
    clock.set(0)
    house.start(**clock.environment)
    assert house.ended("retried/twice.txt")["state"] == "done"


def _attempts_ended(house: House) -> int:
    return house.rows("SELECT count(*) AS ended FROM attempts WHERE finished_at IS NOT NULL")[0]["ended"]


@pytest.mark.parametrize("hours", HOURS)
def test_inbox_is_polled_at_the_usual_interval(make_house, clock: Clock, hours: int):
    enter = ["unshare", "--user", "--map-root-user"]
    if not shutil.which("unshare") or subprocess.run([*enter, "true"], capture_output=True).returncode:
        pytest.skip("needs user namespaces, to take inotify away")
    house = make_house(rescan="200ms")
    no_watches = 'echo 0 >/proc/sys/user/max_inotify_instances; exec "$@"'
    daemon = house.start(inside=[*enter, "sh", "-ec", no_watches, "sh"], **clock.environment)
    house.drop("before.txt")
    house.ended("before.txt")
    clock.set(hours)
    house.drop("after.txt")
    house.ended("after.txt")
    house.stop(daemon)
