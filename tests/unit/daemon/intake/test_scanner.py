"""Scans of folders: what starts them, how long they take, what stops them."""

import errno
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from inbox_harness import InboxHarness

from daemon.core.messages import LookAt


def test_hidden_folder_is_not_scanned_even_if_it_was_renamed_in(inbox: InboxHarness):
    inbox.write("sub/.hidden/in/a.txt")
    inbox.write("sub/b.tmp/a.txt")
    for folder in ("sub/.hidden", "sub/.hidden/in", "sub/b.tmp"):
        inbox.intake.look_at(LookAt(folder=inbox.path / folder, complete=True), 10.0)
        inbox.intake.look_at(LookAt(folder=inbox.path / folder, name="a.txt", complete=True), 10.0)
    assert inbox.intake.step(20.0) == 0
    assert inbox.scan(now=30.0) == 0 and inbox.intake.step(40.0) == 0


def test_scan_of_the_whole_tree_finds_files_without_hints(inbox: InboxHarness):
    for name in ("a.txt", "x/b.txt", "x/y/c.txt"):
        inbox.write(name)
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 3
    assert inbox.files() == ["a.txt", "x/b.txt", "x/y/c.txt"]


def test_clock_set_forward_during_a_scan_does_not_delay_the_next(make_inbox: Callable):
    hours = itertools.count(step=5 * 3600 * 10**6)
    inbox = make_inbox(now_us=lambda: next(hours))
    inbox.scan(now=10.0)
    inbox.write("a.txt")
    inbox.intake.look_at(LookAt(folder=inbox.path), 20.0)
    inbox.intake.step(20.0)
    assert inbox.intake.step(23.0) == 1


def test_unexpected_error_in_one_folder_affects_that_folder_only(inbox: InboxHarness, monkeypatch, caplog):
    scan = inbox.layout.inbox.scan

    def breaks(folder: Path):
        if folder.name == "bad":
            raise RuntimeError("mistake")
        return scan(folder)

    monkeypatch.setattr(inbox.layout.inbox, "scan", breaks)
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
    inbox.intake.look_at(LookAt(folder=inbox.path / "x", complete=True), 10.0)
    assert inbox.intake.next_look(10.0) == 0.0
    assert inbox.intake.step(10.0) == 2, "renamed in: no need to settle"


def test_folder_rests_after_a_long_scan_despite_hints(inbox: InboxHarness, monkeypatch):
    seconds = itertools.count()  # each reading is a second later: a scan takes one
    clock = SimpleNamespace(monotonic=lambda: float(next(seconds)), time=time.time)
    with monkeypatch.context() as patch:
        patch.setattr("daemon.intake.scanner.time", clock)
        inbox.scan(now=10.0)
    inbox.write("a.txt")
    inbox.intake.look_at(LookAt(folder=inbox.path), 10.5)
    inbox.intake.step(10.5)
    assert inbox.intake.unclaimed == [] and inbox.intake.next_look(10.5) == pytest.approx(2.5)
    inbox.intake.step(13.0)
    assert [entry.path.name for entry in inbox.intake.unclaimed] == ["a.txt"]


def test_large_tree_is_scanned_in_several_steps(inbox: InboxHarness, monkeypatch):
    monkeypatch.setattr("daemon.intake.scanner.LOOK_SECONDS", 0.0)  # one folder in a step
    paths = [inbox.write(f"{name}/sub/x.txt") for name in "abc"]
    inbox.scan(now=10.0)
    assert inbox.intake.is_scanning and inbox.intake.next_look(10.0) == 0.0 and not inbox.intake.is_quiet
    steps = 1
    while inbox.intake.is_scanning:
        inbox.intake.step(10.0)
        steps += 1
    assert steps == 7, "the inbox and six folders"
    assert {entry.path for entry in inbox.intake.unclaimed} == set(paths)


def test_hint_outside_the_inbox_causes_a_scan_of_the_inbox(inbox: InboxHarness):
    inbox.intake.step(9.0)
    inbox.write("a.txt")
    inbox.intake.look_at(LookAt(folder=inbox.path.parent), 10.0)
    inbox.intake.step(10.0)
    assert inbox.intake.step(12.1) == 1


def test_unreadable_folder_is_reported_and_does_not_delay_others(inbox: InboxHarness, monkeypatch):
    bad, scan = inbox.write("a/x.txt").parent, inbox.layout.inbox.scan
    inbox.write("b/y.txt")

    def fail(folder: Path):
        if folder == bad:
            raise OSError(errno.EACCES, "an injected error")
        return scan(folder)

    with monkeypatch.context() as patch:
        patch.setattr(inbox.layout.inbox, "scan", fail)
        inbox.scan(now=10.0)
        assert inbox.intake.step(13.0) == 1
        assert "cannot be read" in inbox.intake.left[bad] and inbox.files() == ["b/y.txt"]
    inbox.intake.step(20.0)
    assert inbox.intake.left == {}
    assert inbox.intake.step(23.0) == 1
