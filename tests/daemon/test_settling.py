"""When a file counts as complete: only looks and the time that is passed in decide."""

import random
import time
from pathlib import Path

import pytest

from daemon.settling import MIN_PAUSE, Settling, is_ignored

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
def test_any_change_of_the_fingerprint_starts_the_wait_anew(changed):
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
def test_completed_file_is_ready_at_its_first_look(hint_first):
    settling = Settling(2.0)
    if hint_first:
        settling.complete(FILE)
    settling.see(FILE, prints(1), 0)
    settling.complete(FILE)
    assert settling.ready(FILE, 0)


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
    assert settling.next_look(2) is None
    settling.see(FILE, prints(2), 3)
    assert settling.next_look(3) == 2.0


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
    assert settling.next_look(10) == 2.0
    assert settling.ready(FILE, 12)


def test_next_look_is_when_the_earliest_file_is_due():
    settling = Settling(2.0)
    assert settling.next_look(0) is None
    settling.see(FILE, prints(1), 0)
    settling.see(FILE.with_name("later"), prints(1), 1)
    assert settling.next_look(1.25) == pytest.approx(0.75)
    assert settling.ready(FILE, 2)
    assert settling.next_look(2) == pytest.approx(1.0)
    assert settling.ready(FILE.with_name("later"), 3)
    assert settling.next_look(3) is None


def test_file_due_but_not_asked_about_is_not_forgotten_nor_makes_the_caller_spin():
    settling = Settling(2.0)
    settling.see(FILE, prints(1), 0)
    assert settling.next_look(1.999) == MIN_PAUSE
    assert settling.next_look(500) == MIN_PAUSE > 0


def test_following_next_look_finds_every_file_ready():
    """A loop that sleeps for `next_look` and nothing else takes all files, late by the shortest pause at most."""
    numbers = random.Random(3)
    settling = Settling(0.7)
    changes = sorted((numbers.uniform(0, 20), numbers.randrange(30)) for _ in range(200))
    last = {name: at for at, name in changes}
    now, taken, looks = 0.0, {}, 0
    while changes or len(taken) < len(last):
        looks += 1
        for name in last.keys() - taken.keys():
            if settling.ready(Path(f"/in/{name}"), now) and now >= last[name]:
                taken[name] = now
                settling.forget(Path(f"/in/{name}"))
        pause = settling.next_look(now)
        wake = min(changes[0][0] if changes else 1e9, now + pause if pause is not None else 1e9)
        assert wake < 1e9 or len(taken) == len(last), "nothing would ever wake the loop"
        now = wake if wake < 1e9 else now
        while changes and changes[0][0] <= now:
            at, name = changes.pop(0)
            settling.see(Path(f"/in/{name}"), prints(int(at * 1e6)), now)
    for name, at in last.items():
        assert 0.7 - 1e-6 <= taken[name] - at <= 0.7 + MIN_PAUSE + 1e-6
    assert looks < 500


def test_no_settle_time_means_at_once():
    settling = Settling(0.0)
    settling.see(FILE, prints(1), 3)
    assert settling.next_look(3) == MIN_PAUSE
    assert settling.ready(FILE, 3)


def test_missing_and_taken_files_are_forgotten():
    settling = Settling(2.0)
    other = Path("/inbox/b/file.jpg")
    for path in (FILE, FILE.with_name("kept"), other):
        settling.see(path, prints(1), 0)
    settling.forget_missing(FILE.parent, ["kept"])
    assert not settling.ready(FILE, 10)
    assert settling.ready(FILE.with_name("kept"), 10)
    assert settling.ready(other, 10)
    settling.forget(FILE.with_name("kept"))
    settling.forget(FILE.with_name("kept"))
    settling.forget_missing(other.parent, ())
    assert settling.next_look(10) is None
    settling.see(FILE, prints(1), 11)  # a new file of an old name starts from nothing
    assert not settling.ready(FILE, 12)


def test_hundred_thousand_files_cost_less_than_a_second_a_pass():
    settling = Settling(2.0)
    folders = [Path(f"/inbox/{number}") for number in range(100)]
    files = {folder: [folder / f"scan {number:05}.jpg" for number in range(1000)] for folder in folders}
    durations = []
    for now in (0.0, 1.0, 2.0):
        started = time.process_time()
        for folder, paths in files.items():
            for path in paths:
                settling.see(path, prints(1), now)
                settling.ready(path, now)
            settling.forget_missing(folder, {path.name for path in paths})
        settling.next_look(now)
        durations.append(time.process_time() - started)
    assert min(durations) < 0.9
    assert settling.next_look(2.0) is None


@pytest.mark.parametrize(
    "name",
    [
        ".hidden",
        ".syncthing.photo.jpg.tmp",
        ".goutputstream-A1B2C3",
        "photo.goutputstream-A1B2C3",
        "film.mkv.part",
        "film.mkv.PARTIAL",
        "film.crdownload",
        "film.download",
        "film.opdownload",
        "film.tmp",
        "film.temp",
        "film.filepart",
        "film.!uT",
        "film.aria2",
        "note.swp",
        "note.lock",
        "note.txt~",
        "~$letter.docx",
        "~syncthing~photo.jpg.tmp",
        "Thumbs.db",
        "THUMBS.DB",
        "Desktop.ini",
        ".prompt",
    ],
)
def test_temporary_and_hidden_names_are_ignored(name):
    assert is_ignored(name)


@pytest.mark.parametrize(
    "name",
    ["photo.jpg", "part.jpg", "tmp", "lock", "~photo.jpg", "thumbs.db.jpg", "a.prompt", "my.download.pdf", "caf\udce9"],
)
def test_names_of_drops_are_not_ignored(name):
    assert not is_ignored(name)


def test_sidecars_are_no_temporary_names():
    assert not is_ignored("photo.jpg.prompt")
