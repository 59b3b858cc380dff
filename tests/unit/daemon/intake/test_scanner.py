"""Scans of folders: what starts them, how long they take, what stops them."""

import errno
import itertools
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from inbox_harness import InboxHarness

from daemon.core.errors import StorageError
from daemon.core.messages import Hint
from daemon.intake.pending_files import DRAIN_TRIES


def test_hidden_folder_is_not_scanned_even_if_it_was_renamed_in(inbox: InboxHarness):
    inbox.write("sub/.hidden/in/a.txt")
    inbox.write("sub/b.tmp/a.txt")
    for folder in ("sub/.hidden", "sub/.hidden/in", "sub/b.tmp"):
        inbox.intake.on_hint(Hint(folder=inbox.path / folder, complete=True), 10.0)
        inbox.intake.on_hint(Hint(folder=inbox.path / folder, name="a.txt", complete=True), 10.0)
    assert inbox.intake.step(20.0) == 0
    assert inbox.scan(now=30.0) == 0 and inbox.intake.step(40.0) == 0


def test_scan_of_the_complete_tree_finds_files_without_hints(inbox: InboxHarness):
    for name in ("a.txt", "x/b.txt", "x/y/c.txt"):
        inbox.write(name)
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 3
    assert inbox.files() == ["a.txt", "x/b.txt", "x/y/c.txt"]


def test_file_that_is_gone_is_forgotten_without_a_hint(inbox: InboxHarness):
    inbox.write("a.txt").unlink()
    path = inbox.write("b.txt")
    inbox.scan(now=10.0)
    path.unlink()
    inbox.scan(now=11.0)
    assert inbox.intake.unclaimed == [] and inbox.intake.is_quiet


def test_clock_set_forward_during_a_scan_does_not_delay_the_next(make_inbox: Callable):
    hours = itertools.count(step=5 * 3600 * 10**6)
    inbox = make_inbox(now_us=lambda: next(hours))
    inbox.scan(now=10.0)
    inbox.write("a.txt")
    inbox.intake.on_hint(Hint(folder=inbox.path), 20.0)
    inbox.intake.step(20.0)
    assert inbox.intake.step(23.0) == 1


def test_unexpected_error_in_one_folder_affects_that_folder_only(inbox: InboxHarness, monkeypatch, caplog):
    scan = inbox.folders.inbox.scan

    def breaks(folder: Path):
        if folder.name == "bad":
            raise RuntimeError("mistake")
        yield from scan(folder)

    monkeypatch.setattr(inbox.folders.inbox, "scan", breaks)
    for name in ("a/x.txt", "bad/x.txt", "c/x.txt"):
        inbox.write(name)
    for now in (10.0, 13.0, 60.0):
        inbox.scan(now)
    assert inbox.files() == ["a/x.txt", "c/x.txt"]
    assert "Internal error" in inbox.left("bad")
    assert sum(record.exc_info is not None for record in caplog.records) == 1
    monkeypatch.undo()
    inbox.scan(now=100.0)
    assert inbox.intake.step(103.0) == 1 and inbox.intake.left == {}


def test_folder_that_was_renamed_in_is_scanned_with_its_subfolders(inbox: InboxHarness):
    for name in ("x/a.txt", "x/y/b.txt"):
        inbox.write(name)
    inbox.intake.on_hint(Hint(folder=inbox.path / "x", complete=True), 10.0)
    assert inbox.intake.next_check(10.0) == 0.0
    assert inbox.intake.step(10.0) == 2, "renamed in: no need to settle"


def test_folder_rests_after_a_long_scan_despite_hints(inbox: InboxHarness, monkeypatch):
    seconds = itertools.count()  # each reading is a second later: a scan takes one
    clock = SimpleNamespace(monotonic=lambda: float(next(seconds)), time=time.time)
    with monkeypatch.context() as patch:
        patch.setattr("daemon.intake.scanner.time", clock)
        inbox.scan(now=10.0)
    inbox.write("a.txt")
    inbox.intake.on_hint(Hint(folder=inbox.path), 10.5)
    inbox.intake.step(10.5)
    assert inbox.intake.unclaimed == [] and inbox.intake.next_check(10.5) == pytest.approx(2.5)
    inbox.intake.step(13.0)
    assert [entry.path.name for entry in inbox.intake.unclaimed] == ["a.txt"]


def test_large_tree_is_scanned_in_several_steps(inbox: InboxHarness, monkeypatch):
    monkeypatch.setattr("daemon.intake.scanner.CHECK_SECONDS", 0.0)  # one folder in a step
    paths = [inbox.write(f"{name}/sub/x.txt") for name in "abc"]
    inbox.scan(now=10.0)
    assert inbox.intake.is_scanning and inbox.intake.next_check(10.0) == 0.0 and not inbox.intake.is_quiet
    steps = 1
    while inbox.intake.is_scanning:
        inbox.intake.step(10.0)
        steps += 1
    assert steps == 7, "the inbox and six folders"
    assert {entry.path for entry in inbox.intake.unclaimed} == set(paths)


@pytest.fixture
def slices(inbox: InboxHarness, monkeypatch: pytest.MonkeyPatch) -> InboxHarness:
    """An inbox with ten files, of which each step scans two."""
    monkeypatch.setattr("daemon.intake.scanner.CHECK_SECONDS", 0.0)
    monkeypatch.setattr("daemon.intake.scanner._FILES_AT_ONCE", 2)
    for number in range(10):
        inbox.write(f"{number}.txt")
    return inbox


def test_large_folder_is_scanned_in_several_steps(slices: InboxHarness):
    slices.scan(now=10.0)
    seen = [len(slices.intake.unclaimed)]
    while slices.intake.is_scanning:
        assert slices.intake.next_check(10.0) == 0.0 and not slices.intake.is_quiet
        slices.intake.step(10.0)
        seen.append(len(slices.intake.unclaimed))
    assert seen == [2, 4, 6, 8, 10, 10]
    assert slices.intake.step(13.0) == 10


def test_files_that_are_gone_when_a_scan_in_several_steps_ends_are_forgotten(slices: InboxHarness):
    slices.scan(now=10.0)
    while slices.intake.is_scanning:
        slices.intake.step(10.0)
    for number in range(5):
        (slices.path / f"{number}.txt").unlink()
    slices.scan(now=11.0)
    (slices.path / "0.txt").write_text("it is there again, and a hint was missed")
    while slices.intake.is_scanning:
        slices.intake.step(11.0)
    for now in (12.0, 15.0):
        slices.intake.step(now)
    assert slices.files() == [f"{number}.txt" for number in (0, 5, 6, 7, 8, 9)] and slices.intake.is_quiet


def test_folder_that_disappears_during_its_scan_is_no_error(slices: InboxHarness):
    (slices.path / "sub").mkdir()
    for number in range(5):
        slices.write(f"sub/{number}.txt")
    slices.intake.on_hint(Hint(folder=slices.path / "sub"), 10.0)
    slices.intake.step(10.0)
    shutil.rmtree(slices.path / "sub")
    for now in (10.0, 10.1, 10.2, 13.0, 14.0):
        slices.intake.step(now)
    assert slices.intake.left == {} and not any("sub" in str(entry.path) for entry in slices.intake.unclaimed)
    assert slices.intake.is_quiet


def test_hint_outside_the_inbox_causes_a_scan_of_the_inbox(inbox: InboxHarness):
    inbox.intake.step(9.0)
    inbox.write("a.txt")
    inbox.intake.on_hint(Hint(folder=inbox.path.parent), 10.0)
    inbox.intake.step(10.0)
    assert inbox.intake.step(12.1) == 1


def test_unreadable_folder_is_reported_and_does_not_delay_others(inbox: InboxHarness, monkeypatch):
    bad, scan = inbox.write("a/x.txt").parent, inbox.folders.inbox.scan
    inbox.write("b/y.txt")

    def fail(folder: Path):
        if folder == bad:
            raise OSError(errno.EACCES, "an injected error")
        yield from scan(folder)

    with monkeypatch.context() as patch:
        patch.setattr(inbox.folders.inbox, "scan", fail)
        inbox.scan(now=10.0)
        assert inbox.intake.step(13.0) == 1
        assert "cannot be read" in inbox.intake.left[bad] and inbox.files() == ["b/y.txt"]
    inbox.intake.step(20.0)
    assert inbox.intake.left == {}
    assert inbox.intake.step(23.0) == 1


def test_inbox_that_disappears_during_its_scan_is_a_problem_of_the_disk(inbox: InboxHarness, monkeypatch):
    def gone(folder: Path):
        inbox.path.rename(inbox.path.with_name("elsewhere"))
        raise FileNotFoundError(errno.ENOENT, "an injected error")
        yield

    inbox.folders.lock()
    monkeypatch.setattr(inbox.folders.inbox, "scan", gone)
    with pytest.raises(StorageError, match="does not exist"):
        inbox.scan(now=10.0)
    inbox.folders.unlock()


def test_drain_waits_for_an_unreadable_folder_only_a_few_times(inbox: InboxHarness, monkeypatch):
    bad, real = inbox.write("a/x.txt").parent, inbox.folders.inbox.scan

    def fail(folder: Path):
        if folder == bad:
            raise OSError(errno.EIO, "an injected error")
        yield from real(folder)

    assert not inbox.intake.is_scanning
    pauses, is_quiet = [], []
    with monkeypatch.context() as patch:
        patch.setattr(inbox.folders.inbox, "scan", fail)
        inbox.scan(now=10.0)
        now = 10.0
        for _ in range(10):
            is_quiet.append(inbox.intake.is_quiet)
            pauses.append(inbox.intake.next_check(now))
            now += pauses[-1]
            inbox.intake.step(now)
    assert is_quiet == [False] * (DRAIN_TRIES - 1) + [True] * (11 - DRAIN_TRIES)
    assert pauses == sorted(pauses) and pauses[-1] > 4 * pauses[0]
    now += inbox.intake.next_check(now)
    inbox.intake.step(now)  # it can be read again
    monkeypatch.setattr(inbox.folders.inbox, "scan", fail)
    inbox.scan(now + 100.0)
    assert inbox.intake.next_check(now + 100.0) == pauses[0], "the pauses begin again"
