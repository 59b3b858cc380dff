"""Taking files: in groups, in limited time, and back to the inbox after an error."""

import dataclasses
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from inbox_harness import InboxHarness

from daemon.core import durable
from daemon.core.errors import StorageError
from daemon.intake import claimer


def refuse_renames(monkeypatch: pytest.MonkeyPatch, which: Callable[[Path, Path], bool]) -> None:
    """Let renames fail for which `which` is true."""
    real = durable.rename_noreplace

    def rename(source: Path, target: Path, **folders: int | None) -> None:
        if which(source, target):
            raise OSError(errno.EIO, "an injected error")
        real(source, target, **folders)

    monkeypatch.setattr(durable, "rename_noreplace", rename)


def test_groups_shrink_while_the_disk_is_slow_and_grow_again(inbox: InboxHarness, monkeypatch):
    seconds, groups, clock = 10.0, [], [0.0]
    monkeypatch.setattr(claimer, "time", SimpleNamespace(monotonic=lambda: clock[0], time=time.time))
    monkeypatch.setattr(claimer, "_TAKE_AT_ONCE", 8)

    def fsync(jobs: list[str], _) -> None:
        groups.append(len(jobs))
        clock[0] += seconds

    monkeypatch.setattr(inbox.folders.taken, "fsync", fsync)
    for number in range(30):
        inbox.write(f"{number:02d}.txt")
    inbox.scan(now=10.0)
    for _ in range(5):
        inbox.intake.step(12.1)
    assert groups == [8, 4, 2, 1, 1]
    seconds = 0.1
    while len(inbox.files()) < 30:
        inbox.intake.step(12.1)
    assert groups[5:] == [1, 2, 4, 7]


def test_file_that_changes_while_it_waits_for_its_turn_settles_again(inbox: InboxHarness, monkeypatch):
    monkeypatch.setattr("daemon.intake.claimer._TAKE_SECONDS", 0.0)
    monkeypatch.setattr("daemon.intake.claimer._TAKE_AT_ONCE", 1)
    for name in ("a.txt", "b.txt"):
        inbox.write(name)
    inbox.scan(now=10.0)
    assert inbox.intake.step(12.1) == 1
    waiting = next(inbox.path.glob("*.txt"))
    waiting.write_text("more than before")
    assert inbox.intake.step(12.2) == 0
    assert inbox.intake.step(14.3) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_left_and_reported(inbox: InboxHarness):
    inbox.write("a.txt").chmod(0)
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 0
    assert "read permission" in inbox.intake.left[inbox.path / "a.txt"]


def test_flood_is_taken_in_several_steps(inbox: InboxHarness, monkeypatch):
    monkeypatch.setattr("daemon.intake.claimer._TAKE_SECONDS", 0.0)
    limits = (
        "pending_files.CHECK_SECONDS",
        "scanner.CHECK_SECONDS",
        "claimer._DESCRIBE_SECONDS",
        "claimer._RECORD_SECONDS",
    )
    for limit in limits:
        monkeypatch.setattr(f"daemon.intake.{limit}", 60.0)
    for number in range(600):
        inbox.write(f"{number % 50}/{number}.txt")
    inbox.scan(now=10.0)
    taken = [inbox.intake.step(13.0)]
    assert taken == [256] and inbox.intake.next_check(13.0) == 0.0 and not inbox.intake.is_quiet
    while not inbox.intake.is_quiet:
        taken.append(inbox.intake.step(13.0))
    assert taken == [256, 256, 88] and len(inbox.store.open_jobs()) == 600


def test_few_files_with_slow_options_are_taken_in_several_steps(inbox: InboxHarness, monkeypatch):
    monkeypatch.setattr("daemon.intake.claimer._TAKE_SECONDS", 0.0)
    monkeypatch.setattr("daemon.intake.claimer._DESCRIBE_SECONDS", 0.0)
    for number in range(3):
        inbox.write(f"{number}.txt")
    inbox.scan(now=10.0)
    assert [inbox.intake.step(13.0) for _ in range(4)] == [1, 1, 1, 0]


@pytest.mark.parametrize("fault", ["priority", "name", "overrides"])
def test_row_that_cannot_be_inserted_affects_its_file_only(inbox: InboxHarness, monkeypatch, caplog, fault: str):
    describe = inbox.intake._describer.describe

    def describe_badly(*arguments):
        job = describe(*arguments)
        bad = {"priority": 2**63, "name": "\udce9", "overrides": {"options": {"x": object()}}}
        return dataclasses.replace(job, **{fault: bad[fault]}) if job.name == "bad.txt" else job

    monkeypatch.setattr(inbox.intake._describer, "describe", describe_badly)
    for name in ("a.txt", "bad.txt", "c.txt"):
        inbox.write(name)
    inbox.write("bad.txt.prompt", "why?")
    for now in (10.0, 13.0, 20.0, 30.0):
        inbox.scan(now)
    assert inbox.files() == ["a.txt", "c.txt"]
    assert inbox.store.counts() == {"queued": 2}
    assert sorted(path.name for path in inbox.path.glob("*.txt*")) == ["bad.txt", "bad.txt.prompt"]
    assert len(list(inbox.folders.taken.job_ids())) == 2
    assert "Internal error" in inbox.left("bad.txt") and inbox.intake.is_quiet
    assert sum(record.exc_info is not None for record in caplog.records) == 1
    monkeypatch.undo()
    inbox.write("bad.txt", "changed")
    inbox.scan(now=40.0)
    inbox.intake.step(46.0)
    inbox.intake.step(49.0)
    assert inbox.files() == ["a.txt", "bad.txt", "c.txt"] and inbox.intake.left == {}


@pytest.mark.parametrize(("suffix", "limit"), [("prompt", "64 KiB"), ("password", "4 KiB"), ("done", "4 KiB")])
def test_file_whose_sidecar_grows_during_the_take_returns_to_the_inbox(
    inbox: InboxHarness, monkeypatch, suffix: str, limit: str
):
    inbox.write(f"a.txt.{suffix}", "short")
    inbox.write("a.txt")
    take = inbox.folders.taken.take

    def grow(job_id: str, path: Path, sidecars: list[Path]):
        with sidecars[0].open("ab") as file:
            file.truncate(1 << 40)
        return take(job_id, path, sidecars)

    monkeypatch.setattr(inbox.folders.taken, "take", grow)
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 0
    assert list(inbox.folders.taken.job_ids()) == []
    inbox.scan(now=20.0)
    inbox.intake.step(23.0)
    assert limit in inbox.left("a.txt")


def test_file_waits_while_its_sidecar_is_stuck_in_taken(inbox: InboxHarness, monkeypatch):
    inbox.write("x.txt")
    inbox.write("x.txt.prompt", "How many?")
    inbox.scan(now=10.0)
    with monkeypatch.context() as patch:  # the file cannot be taken, and its sidecar, which was, cannot be put back
        refuse_renames(patch, lambda source, target: source.name == "x.txt" or target.parent == inbox.path)
        assert inbox.intake.step(13.0) == 0
    assert not (inbox.path / "x.txt.prompt").exists()
    assert [inbox.intake.step(now) for now in (20.0, 30.0, 40.0)] == [0, 0, 0]
    inbox.disk_retry.retry(at_once=True)
    assert inbox.intake.step(50.0) + inbox.intake.step(60.0) == 1
    (job,) = inbox.store.open_jobs()
    assert inbox.folders.taken.original(job.id).sidecars["prompt"].read_text() == "How many?"


def test_file_whose_rename_fails_is_retried_without_a_hint(inbox: InboxHarness, monkeypatch):
    path = inbox.write("a.txt")
    inbox.scan(now=10.0)
    with monkeypatch.context() as patch:
        refuse_renames(patch, lambda source, target: source == path)
        for now in (13.0, 20.0):
            assert inbox.intake.step(now) == 0
            assert "cannot be taken" in inbox.intake.left[path] and not inbox.intake.is_quiet
            assert path.read_text() == "text" and list(inbox.folders.taken.job_ids()) == []
        for now in (30.0, 40.0, 50.0):  # a drain does not wait for it for ever
            inbox.intake.step(now)
        assert inbox.intake.is_quiet
    now = 50.0
    while not inbox.store.open_jobs():
        pause = inbox.intake.next_check(now)
        assert pause is not None and pause <= 4.1
        now += pause
        inbox.intake.step(now)
    assert inbox.intake.left == {} and inbox.intake.is_quiet


def test_pause_between_tries_grows_to_a_limit(inbox: InboxHarness, monkeypatch):
    path, now, pauses = inbox.write("a.txt"), 13.0, []
    inbox.scan(now=10.0)
    with monkeypatch.context() as patch:
        refuse_renames(patch, lambda source, target: source == path)
        inbox.intake.step(now)
        for _ in range(6):
            inbox.intake.step(now)  # it was put back, and is checked again
            pauses.append(inbox.intake.next_check(now))
            now += pauses[-1]
            inbox.intake.step(now)
    assert pauses == sorted(pauses) and 0 < pauses[0] < 2 * pauses[-1] and pauses[-1] <= 4.1


def test_file_whose_folder_cannot_be_made_durable_returns_and_the_others_are_queued(inbox: InboxHarness, monkeypatch):
    for name in ("a.txt", "bad.txt", "c.txt"):
        inbox.write(name)
    real = inbox.folders.taken.fsync

    def fsync(jobs: list[str], folders) -> None:
        if any((inbox.folders.taken.path / job / "bad.txt").exists() for job in jobs):
            raise OSError(errno.EIO, "an injected error")
        real(jobs, folders)

    with monkeypatch.context() as patch:
        patch.setattr(inbox.folders.taken, "fsync", fsync)
        inbox.scan(now=10.0)
        inbox.intake.step(13.0)
        for _ in range(20):
            inbox.disk_retry.retry(at_once=True)
        assert inbox.files() == ["a.txt", "c.txt"]
        assert "cannot be added to the job log: A file cannot be read or written" in inbox.left("bad.txt")
        assert (inbox.path / "bad.txt").exists() and inbox.disk_retry.next_try() is None


def test_file_from_the_future_was_claimed_at_once(inbox: InboxHarness, monkeypatch):
    inbox.write("a.txt")
    inbox.scan(now=10.0)
    monkeypatch.setattr("daemon.intake.claimer.time", SimpleNamespace(time=lambda: 0.0, monotonic=time.monotonic))
    assert inbox.intake.step(13.0) == 1
    claims = inbox.intake.claims.as_dict()
    assert (sum(claims["counts"]), claims["sum"]) == (1, 0.0)


def test_file_that_failed_often_is_taken_soon_after_it_was_replaced(inbox: InboxHarness, monkeypatch):
    path = inbox.write("a.txt")

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "an injected error")

    with monkeypatch.context() as patch:
        patch.setattr(inbox.folders.taken, "take", fail)
        inbox.scan(now=10.0)
        now = 13.0
        for _ in range(12):
            inbox.intake.step(now)
            now += inbox.intake.next_check(now) + 0.01
        inbox.intake.step(now)
        pause = inbox.intake.next_check(now)
    assert pause > 3.0
    path.write_text("another content")
    inbox.scan(now + 0.1)
    assert inbox.intake.next_check(now + 0.1) == pytest.approx(2.0) and inbox.intake.step(now + 2.2) == 1


@pytest.mark.parametrize("is_alone", [False, True])
def test_files_stay_taken_while_the_job_log_cannot_be_written(inbox: InboxHarness, monkeypatch, is_alone: bool):
    for name in ("a.txt", "b.txt"):
        inbox.write(name)
    errors: list[Exception] = [RuntimeError("a mistake")] if is_alone else []  # then one by one

    def insert(*_: object, **__: object) -> None:
        raise errors.pop() if errors else StorageError("The job log is full.")

    with monkeypatch.context() as patch:
        patch.setattr(inbox.store, "insert", insert)
        inbox.scan(now=10.0)
        inbox.intake.step(13.0)
        for _ in range(8):
            inbox.disk_retry.retry(at_once=True)
        assert list(inbox.path.glob("*.txt")) == [] and inbox.intake.left == {}
        assert inbox.disk_retry.problem == f"{2 if is_alone else 1} steps wait: The job log is full."
    inbox.disk_retry.retry(at_once=True)
    assert inbox.files() == ["a.txt", "b.txt"]
