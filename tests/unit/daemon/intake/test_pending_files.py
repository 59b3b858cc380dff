"""Which files are complete, and which are left; with real files and the clock passed in."""

import errno
import os
from pathlib import Path

import pytest
from inbox_harness import InboxHarness

from daemon.core.messages import Hint


def test_file_is_taken_after_it_has_settled(inbox: InboxHarness):
    inbox.write("a.txt")
    assert inbox.scan(now=10.0) == 0
    assert inbox.intake.next_check(10.0) == pytest.approx(2.0)
    assert inbox.intake.step(11.9) == 0
    assert inbox.intake.step(12.1) == 1
    assert inbox.files() == ["a.txt"] and inbox.intake.is_quiet


def test_growing_file_is_not_taken(inbox: InboxHarness):
    path = inbox.write("a.txt", "half")
    inbox.scan(now=10.0)
    for now in (12.1, 14.2, 16.3):
        path.write_text(path.read_text() + "more")
        assert inbox.intake.step(now) == 0
    assert inbox.intake.step(18.4) == 1


def test_file_that_was_renamed_in_is_taken_immediately(inbox: InboxHarness):
    inbox.write("a.txt")
    inbox.intake.on_hint(Hint(folder=inbox.path, name="a.txt", complete=True), 10.0)
    assert inbox.intake.step(10.0) == 1


def test_file_whose_mode_is_set_after_it_was_closed_settles_from_then_on(inbox: InboxHarness):
    path = inbox.write("a.txt")
    inbox.intake.on_hint(Hint(folder=inbox.path, name="a.txt"), 10.0)
    assert inbox.intake.step(10.05) == 0
    assert inbox.intake.next_check(10.05) == pytest.approx(0.05)
    path.chmod(0o600)  # as install(1) does after it has closed the file
    assert inbox.intake.step(10.11) == 0
    assert inbox.intake.next_check(10.11) == pytest.approx(2.0)
    assert inbox.intake.step(12.12) == 1


def test_file_written_in_bursts_is_taken_once(inbox: InboxHarness):
    """Opened, appended to and closed, again and again: FTP that resumes, scanners, SMB clients."""
    for burst in range(5):
        with (inbox.path / "a.txt").open("a") as file:
            file.write(f"burst {burst}\n")
        inbox.intake.on_hint(Hint(folder=inbox.path, name="a.txt"), 10.0 + burst)
        assert inbox.intake.step(10.5 + burst) == 0
    assert inbox.intake.step(16.6) == 1
    assert inbox.folders.taken.original(inbox.store.open_jobs()[0].id).path.read_text().count("burst") == 5


def test_file_that_looks_unchanged_after_a_write_settles_again(inbox: InboxHarness):
    path = inbox.write("a.txt")
    inbox.scan(now=10.0)
    facts = path.stat()
    path.write_text("TEXT")  # as long as before, within a tick of the clock of the file system
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    inbox.intake.on_hint(Hint(folder=inbox.path, name="a.txt"), 11.9)
    assert inbox.intake.step(12.1) == 0
    assert inbox.intake.step(14.2) == 1


def test_file_renamed_to_a_known_name_is_taken_immediately(inbox: InboxHarness):
    path = inbox.write("a.txt", "")
    inbox.intake.on_hint(Hint(folder=inbox.path, name="a.txt"), 10.0)
    assert inbox.intake.step(10.0) == 0
    path.write_text("all of it")
    inbox.intake.on_hint(Hint(folder=inbox.path, name="a.txt", complete=True), 10.1)
    assert inbox.intake.step(10.21) == 1


def test_file_that_a_writer_has_open_is_not_taken(inbox: InboxHarness):
    path = inbox.write("a.txt")
    with path.open("a"):
        inbox.scan(now=10.0)
        for now in (20.0, 30.0, 40.0):
            assert inbox.intake.step(now) == 0
    assert inbox.intake.step(50.0) == 1


def test_file_that_vanishes_while_it_settles_is_forgotten(inbox: InboxHarness):
    path = inbox.write("a.txt")
    inbox.scan(now=10.0)
    path.unlink()
    assert inbox.intake.step(13.0) == 0
    assert inbox.intake.is_quiet


def test_password_without_its_file_waits(inbox: InboxHarness):
    inbox.write("later.pdf.password", "secret")
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 0
    assert inbox.intake.left[inbox.path / "later.pdf.password"] == "it waits for its file: later.pdf."


def test_sidecar_without_its_file_is_reported_once(inbox: InboxHarness, caplog):
    inbox.write("x.jpg.prompt", "What is it?")
    for now in (10.0, 20.0, 30.0):
        inbox.scan(now)
    assert sum("waits for its file" in record.message for record in caplog.records) == 1
    assert list(inbox.intake.left) == [inbox.path / "x.jpg.prompt"]


def test_reasons_are_reviewed_in_several_steps(inbox: InboxHarness, monkeypatch):
    links = [inbox.path / f"{number}" for number in range(5)]
    for link in links:
        link.symlink_to("/nowhere")
    inbox.scan(now=10.0)
    assert set(inbox.intake.left) == set(links)
    for link in links:
        link.unlink()
    reviewed = []
    refusal = inbox.folders.inbox.refusal
    monkeypatch.setattr(inbox.folders.inbox, "refusal", lambda path: reviewed.append(path) or refusal(path))
    monkeypatch.setattr("daemon.intake.pending_files.CHECK_SECONDS", 0.0)
    inbox.scan(now=20.0)
    assert len(reviewed) == 1 and inbox.intake.next_check(20.0) == 0.0
    monkeypatch.setattr("daemon.intake.pending_files.CHECK_SECONDS", 60.0)
    inbox.intake.step(20.0)
    assert sorted(reviewed) == sorted(links) and inbox.intake.left == {}


def test_file_that_cannot_be_examined_does_not_delay_others(inbox: InboxHarness, monkeypatch):
    bad, entry_of = inbox.write("a.txt"), inbox.folders.inbox.entry
    inbox.write("b.txt")
    inbox.scan(now=10.0)

    def fail(path: Path):
        if path == bad:
            raise OSError(errno.EIO, "an injected error")
        return entry_of(path)

    with monkeypatch.context() as patch:
        patch.setattr(inbox.folders.inbox, "entry", fail)
        assert inbox.intake.step(13.0) == 1
        assert list(inbox.intake.left) == [bad] and 0 < inbox.intake.next_check(13.0) <= 4
    assert inbox.intake.step(20.0) == 1 and inbox.intake.left == {}


def test_symbolic_link_is_reported_as_long_as_it_exists(inbox: InboxHarness, tmp_path: Path):
    (tmp_path / "secret").write_text("not yours")
    link = inbox.path / "link.txt"
    link.symlink_to(tmp_path / "secret")
    for now in (10.0, 20.0):
        assert inbox.scan(now) == 0
        assert "symbolic link" in inbox.intake.left[link]
    link.unlink()
    inbox.scan(30.0)
    assert inbox.intake.left == {} and inbox.intake.is_quiet


def test_hint_for_a_sidecar_beside_its_file_causes_no_further_check(inbox: InboxHarness):
    inbox.write("a.txt")
    inbox.write("a.txt.toml", "")
    inbox.scan(now=10.0)
    inbox.intake.on_hint(Hint(folder=inbox.path, name="a.txt.toml"), 10.5)
    inbox.intake.step(11.0)
    assert inbox.intake.next_check(11.0) == pytest.approx(1.0), "at the file, once it has settled"
    assert inbox.intake.step(12.1) == 1 and inbox.intake.next_check(12.1) is None


def test_file_settles_again_after_something_of_it_disappeared_while_it_was_taken(inbox: InboxHarness, monkeypatch):
    inbox.write("a.txt")
    inbox.scan(now=10.0)

    def gone(*_: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "an injected error")

    with monkeypatch.context() as patch:
        patch.setattr(inbox.folders.taken, "take", gone)
        assert inbox.intake.step(13.0) == 0
    assert inbox.intake.step(14.0) == 0 and inbox.intake.step(16.1) == 1
