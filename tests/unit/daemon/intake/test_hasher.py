"""Checksums of large files: their order, retries and records."""

import hashlib
import queue
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from inbox_harness import InboxHarness

from daemon.core.job import Job
from daemon.core.messages import Hashed
from daemon.core.syncer import Syncer
from daemon.intake import hasher
from daemon.intake.hasher import Hasher
from daemon.queue.queries import now_us


@pytest.fixture
def job(inbox: InboxHarness) -> Job:
    """A large file that was taken and is being hashed."""
    inbox.write_sparse("big.txt", 20 * 2**20)
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 1
    return inbox.store.open_jobs()[0]


def test_large_file_starts_when_its_checksum_is_recorded(inbox: InboxHarness, job: Job):
    assert not inbox.intake.is_quiet
    assert inbox.store.queued(None, now=now_us(), limit=9) == []
    inbox.intake.hashed(inbox.mailbox.get(timeout=30))
    assert len(inbox.store.queued(None, now=now_us(), limit=9)) == 1
    assert inbox.intake.is_quiet


def test_unreadable_large_file_is_retried_and_then_given_up(inbox: InboxHarness, job: Job, monkeypatch):
    inbox.mailbox.get(timeout=30)  # its checksum, which the test withholds
    pauses = []
    monkeypatch.setattr(threading, "Timer", lambda seconds, *_: SimpleNamespace(start=lambda: pauses.append(seconds)))
    failed = Hashed(job=job.id, sha256=None, error="it cannot be read")
    for _ in range(5):
        assert inbox.intake.hashed(failed) is None and not inbox.intake.is_quiet
    assert inbox.intake.hashed(failed) == "it cannot be read"
    assert inbox.intake.is_quiet and pauses == sorted(pauses) and 0 < pauses[0] < pauses[-1] <= 4
    assert inbox.store.get(job.id).sha256 is None and inbox.intake._hasher._paths == {}


def test_checksum_that_comes_after_a_failure_is_recorded(inbox: InboxHarness, job: Job, monkeypatch):
    good = inbox.mailbox.get(timeout=30)
    monkeypatch.setattr(hasher, "_ERROR_PAUSE", 0.0)
    assert inbox.intake.hashed(Hashed(job=job.id, sha256=None, error="it cannot be read")) is None
    assert inbox.mailbox.get(timeout=30) == good, "it was hashed again"
    assert inbox.intake.hashed(good) is None
    assert inbox.store.get(job.id).sha256 == good.sha256 and inbox.intake.is_quiet
    assert inbox.intake._hasher._paths == {}, "the hasher forgets finished files"


def test_pending_retries_do_not_keep_an_ending_process_alive(inbox: InboxHarness, job: Job):
    inbox.mailbox.get(timeout=30)
    before = set(threading.enumerate())
    inbox.intake.hashed(Hashed(job=job.id, sha256=None, error="it cannot be read"))
    started = set(threading.enumerate()) - before
    assert started and all(thread.daemon for thread in started)


def test_small_file_does_not_wait_for_the_checksum_of_a_giant(tmp_path: Path):
    with (tmp_path / "giant").open("wb") as file:
        file.truncate(4 * 2**40)  # sparse: occupies no disk space
    (tmp_path / "small").write_bytes(b"small")
    answers: queue.SimpleQueue[Hashed] = queue.SimpleQueue()
    hasher = Hasher(answers.put, tmp_path / "scratch")
    hasher.submit("giant", tmp_path / "giant")
    hasher.submit("small", tmp_path / "small")
    answer = answers.get(timeout=60)
    assert (answer.job, answer.sha256) == ("small", hashlib.sha256(b"small").hexdigest())
    (tmp_path / "giant").unlink()  # as when its job is cancelled
    answer = answers.get(timeout=60)
    assert (answer.job, answer.sha256) == ("giant", None) and answer.error
    assert hasher.stop()


def test_file_that_grows_while_it_is_hashed_delays_only_larger_ones(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(hasher, "_SLICE_BYTES", hasher._CHUNK_BYTES)
    path = tmp_path / "grows"
    path.write_bytes(bytes(100))
    syncer, hashing = Syncer(tmp_path / "scratch"), hasher._Hashing("grows", path)
    assert hashing.left_bytes == 100 and hashing.advance(syncer) is None
    with path.open("r+b") as file:  # its owner kept a second name
        file.truncate(2**42)
    assert hashing.advance(syncer) is None
    assert hashing.left_bytes == 2**42 - hasher._CHUNK_BYTES
    hashing.close()


def test_file_that_is_gone_already_fails_alone(tmp_path: Path):
    (tmp_path / "there").write_bytes(b"there")
    answers: queue.SimpleQueue[Hashed] = queue.SimpleQueue()
    hasher = Hasher(answers.put, tmp_path / "scratch")
    hasher.submit("gone", tmp_path / "gone")
    answer = answers.get(timeout=60)
    assert (answer.job, answer.sha256) == ("gone", None) and "No such file" in answer.error
    hasher.submit("there", tmp_path / "there")
    assert answers.get(timeout=60).job == "there"
    assert hasher.stop()
