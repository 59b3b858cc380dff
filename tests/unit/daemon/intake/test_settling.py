"""When a file counts as complete: only checks and the time that is passed in decide."""

from pathlib import Path

import pytest

from daemon.intake.settling import Settling

FILE = Path("/inbox/a/file.jpg")


def prints(size: int, *, inode: int = 7, mtime_ns: int = 1, ctime_ns: int = 1) -> tuple[int, int, int, int]:
    return inode, size, mtime_ns, ctime_ns


def test_growing_file_is_not_ready_until_it_has_been_still():
    settling = Settling(2.0)
    for now in range(10):
        settling.see(FILE, prints(now), now)
        assert not settling.ready(FILE, now)
    settling.see(FILE, prints(9), 10.9)
    assert not settling.ready(FILE, 10.9)
    assert settling.ready(FILE, 11.0)


@pytest.mark.parametrize("changed", [{"inode": 8}, {"mtime_ns": 0}, {"ctime_ns": 5}])
def test_any_change_of_the_fingerprint_restarts_the_wait(changed):
    settling = Settling(2.0)
    settling.see(FILE, prints(1), 0)
    settling.see(FILE, prints(1, **changed), 1.5)
    assert not settling.ready(FILE, 3.0)
    assert settling.ready(FILE, 3.5)


def test_what_was_never_seen_is_not_ready():
    settling = Settling(0.0)
    assert not settling.ready(FILE, 100)
    settling.complete(FILE)
    assert not settling.ready(FILE, 100)


@pytest.mark.parametrize("hint_first", [True, False])
def test_completed_file_is_ready_at_the_first_scan(hint_first):
    settling = Settling(2.0)
    if hint_first:
        settling.complete(FILE)
    settling.see(FILE, prints(1), 0)
    settling.complete(FILE)
    assert settling.ready(FILE, 0)


def test_empty_file_is_not_complete_by_a_hint():
    settling = Settling(2.0)
    settling.see(FILE, prints(0), 0)
    settling.complete(FILE)
    assert not settling.ready(FILE, 0)
    assert settling.ready(FILE, 2.0)


def test_change_after_a_hint_takes_it_back():
    settling = Settling(2.0)
    settling.see(FILE, prints(1), 0)
    settling.complete(FILE)
    settling.see(FILE, prints(1), 0.1)
    assert settling.ready(FILE, 0.1)
    settling.see(FILE, prints(2), 0.2)  # opened again and written to
    assert not settling.ready(FILE, 2.1)
    assert settling.ready(FILE, 2.2)


def test_file_that_changes_after_it_was_ready_is_waited_for_again():
    settling = Settling(2.0)
    settling.see(FILE, prints(1), 0)
    assert settling.ready(FILE, 2)
    settling.see(FILE, prints(2), 3)
    assert not settling.ready(FILE, 4.9)
    assert settling.ready(FILE, 5)


def test_closing_a_file_restarts_the_wait_even_if_the_file_looks_unchanged():
    settling = Settling(2.0)
    settling.stir(FILE, 0)
    settling.see(FILE, prints(1), 0)
    settling.stir(FILE, 1.5)
    settling.see(FILE, prints(1), 1.6)
    assert not settling.ready(FILE, 2.1) and settling.seconds_left(FILE, 2.1) == pytest.approx(1.4)
    assert settling.ready(FILE, 3.5)


def test_file_renamed_in_and_opened_again_must_settle():
    settling = Settling(2.0)
    settling.see(FILE, prints(1), 0)
    settling.complete(FILE)
    settling.stir(FILE, 0.1)
    assert not settling.ready(FILE, 0.1)
    assert settling.ready(FILE, 2.1)


def test_second_hint_counts_again():
    settling = Settling(2.0)
    settling.see(FILE, prints(1), 0)
    settling.complete(FILE)
    settling.see(FILE, prints(2), 1)
    settling.complete(FILE)
    assert settling.ready(FILE, 1)


@pytest.mark.parametrize("mtime_ns", [2**62, -1, 0])
def test_times_of_the_file_itself_do_not_matter(mtime_ns):
    settling = Settling(2.0)
    settling.see(FILE, prints(1, mtime_ns=mtime_ns), 50)
    settling.see(FILE, prints(1, mtime_ns=mtime_ns), 52)
    assert settling.ready(FILE, 52)


def test_clock_that_steps_back_does_not_hold_a_file():
    settling = Settling(2.0)
    settling.see(FILE, prints(1), 1000)
    assert not settling.ready(FILE, 10)
    assert settling.ready(FILE, 12)


def test_new_file_of_an_old_name_starts_from_nothing():
    settling = Settling(2.0)
    settling.see(FILE, prints(1), 0)
    settling.complete(FILE)
    settling.forget(FILE)
    settling.forget(FILE)
    settling.see(FILE, prints(1), 11)
    assert not settling.ready(FILE, 12)
    assert settling.ready(FILE, 13)


def test_no_settle_time_means_at_once():
    settling = Settling(0.0)
    settling.see(FILE, prints(1), 3)
    assert settling.ready(FILE, 3)
