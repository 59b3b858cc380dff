"""One test per row of the table in docs/life-cycle.md: create the state by hand, then run recovery once."""

import errno
import os
import queue
from pathlib import Path

import pytest
from factories import make_job
from manual_daemon import InlineBackground

from daemon import config
from daemon.core.job import Job, JobState
from daemon.core.regular_files import sha256_of
from daemon.files.folders import Folders
from daemon.intake.intake import Intake
from daemon.queue.store import new_id
from daemon.recovery.startup import Recovery
from daemon.recovery.verify import Verdict, Verification
from daemon.scheduling.retry import MAX_INTERRUPTIONS
from daemon.server.app import build
from daemon.server.mailbox import Mailbox


class Wreck:
    """Folders and rows as a crash may leave them."""

    def __init__(self, home: Path):
        (home / "config.toml").write_text('[inbox]\ntext = "count"\n[recipes.count]\nprocessor = "plaintext"\n')
        settings = config.load(home / "config.toml")
        self.folders = Folders(inbox=settings.inbox, outbox=settings.outbox, state=settings.state)
        self.folders.prepare()
        self.mailbox = Mailbox()
        background = InlineBackground()
        app = build(settings, folders=self.folders, mailbox=self.mailbox, background=background)
        self.store, self.disk_retry, self.publishing, self.intake = (
            app.store,
            app.disk_retry,
            app.publishing,
            app.intake,
        )
        self.inbox, self.outbox = settings.inbox, settings.outbox

    def close(self) -> None:
        self.intake.stop()
        self.store.close()

    def recover(self) -> str:
        return str(Recovery(self.store, self.folders, self.disk_retry, self.publishing, self.intake).run())

    def audit(self) -> Verdict:
        """As `inboxd verify` finds it while no daemon runs."""
        return Verification(self.folders, self.store.path, is_running=False).run()

    def take(self, job_id: str = "job", name: str = "x.txt", text: str = "text") -> Path:
        (self.inbox / name).write_text(text)
        self.folders.taken.take(job_id, self.inbox / name, [])
        return self.folders.taken.original(job_id).path

    def queued(self, **fields) -> Job:
        fields = {"id": "job", "name": "x.txt", **fields}
        path = self.take(fields["id"], fields["name"])
        job = make_job(sha256=sha256_of(path), size_bytes=4, mtime_ns=path.stat().st_mtime_ns, **fields)
        self.store.insert([job])
        return job

    def running(self, **fields) -> Job:
        return self.store.start([self.queued(**fields)], processor="plaintext", worker_pid=1)[0]

    def publishing_job(self, **fields) -> Job:
        job = self.running(**fields)
        (self.folders.outbox.prepare_attempt(job) / "out.txt").write_text("result")
        self.folders.outbox.stage(job, self.folders.taken.original(job.id), ".", {"result.json": b"{}"})
        return self.store.intend(job, outcome=JobState.DONE, attempt_outcome="finished", result_path="x")

    def state(self, job_id: str = "job") -> JobState:
        return self.store.get(job_id).state

    def taken(self) -> list[str]:
        return list(self.folders.taken.job_ids())

    def unhashed(self, size_bytes: int) -> Path:
        """A large file (here: of 4 bytes) whose row was committed before its content was safe and hashed."""
        path = self.take()
        job = make_job(id="job", name="x.txt", sha256=None, size_bytes=size_bytes, mtime_ns=path.stat().st_mtime_ns)
        self.store.insert([job])
        return path


def fail_fsync_below(home: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse each fsync of what has this `name`, in `home` or `home` itself."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.name == name and path.is_relative_to(home):
            raise OSError(errno.EIO, "an injected error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.fixture
def wreck(tmp_path: Path):
    made = Wreck(tmp_path)
    yield made
    made.close()


def test_recovery_changes_nothing_if_nothing_is_wrong(wreck: Wreck):
    wreck.queued()
    assert wreck.recover() == "nothing to do"
    assert wreck.state() is JobState.QUEUED


def test_taken_file_without_a_row_is_recorded(wreck: Wreck):
    wreck.take("job")
    assert wreck.recover() == "1 adopted"
    job = wreck.store.get("job")
    assert (job.state, job.name, job.recipe, job.sha256 is not None) == (JobState.QUEUED, "x.txt", "count", True)


@pytest.mark.parametrize("unsafe", ["x.txt", "a", "job"], ids=["content", "folder", "folder of the job"])
def test_taken_file_is_recorded_only_once_it_is_durable(wreck: Wreck, monkeypatch, unsafe: str):
    (wreck.inbox / "a").mkdir()
    path = wreck.take("job", "a/x.txt")
    inode = path.stat().st_ino
    with monkeypatch.context() as patch:
        fail_fsync_below(wreck.folders.taken.path / "job", unsafe, patch)
        wreck.recover()
        if unsafe == "x.txt":  # content that cannot be synced is copied into a new file
            assert path.stat().st_ino != inode and wreck.state() is JobState.QUEUED
        else:
            assert wreck.store.get("job") is None
    wreck.disk_retry.retry(at_once=True)
    assert wreck.state() is JobState.QUEUED and path.read_text() == "text"


def test_file_with_its_old_and_its_new_name_is_not_taken_twice(wreck: Wreck):
    """As btrfs may leave it: the rename's new name was made durable, the old one's absence was not."""
    (wreck.inbox / "x.txt").hardlink_to(wreck.take("job"))
    assert wreck.recover() == "1 adopted"
    assert not (wreck.inbox / "x.txt").exists()
    assert wreck.folders.taken.original("job").path.read_text() == "text"


def test_new_file_with_the_name_of_a_taken_one_remains(wreck: Wreck):
    wreck.take("job")
    (wreck.inbox / "x.txt").write_text("text")
    assert wreck.recover() == "1 adopted"
    assert (wreck.inbox / "x.txt").exists()


def test_error_after_the_commit_of_a_row_does_not_return_the_file(wreck: Wreck, monkeypatch):
    path = wreck.take("job")
    errors = [OSError(5, "an injected error")]
    monkeypatch.setattr(Intake, "hash_missing", lambda *_: errors and (_ for _ in ()).throw(errors.pop()))
    wreck.recover()
    wreck.disk_retry.retry(at_once=True)
    assert wreck.state() is JobState.QUEUED and path.read_text() == "text"


def test_empty_folder_of_an_unfinished_take_is_removed(wreck: Wreck):
    (wreck.folders.taken.path / "job" / "a" / "b").mkdir(parents=True)
    assert wreck.recover() == "nothing to do"
    assert wreck.taken() == []


def test_sidecar_taken_without_its_file_returns(wreck: Wreck):
    home = wreck.folders.taken.path / "job" / "a"
    home.mkdir(parents=True)
    (home / "x.jpg.prompt").write_text("What?")
    assert wreck.recover() == "nothing to do"
    assert (wreck.inbox / "a" / "x.jpg.prompt").read_text() == "What?"
    assert wreck.taken() == []


def test_running_is_queued_again_uncharged(wreck: Wreck):
    job = wreck.running()
    wreck.folders.outbox.prepare_attempt(job)
    assert wreck.recover() == "1 requeued"
    job = wreck.store.get("job")
    assert (job.state, job.charged, job.interruptions) == (JobState.QUEUED, 0, 1)
    assert list(wreck.folders.outbox.staging.iterdir()) == []


def test_job_running_at_too_many_crashes_fails(wreck: Wreck):
    wreck.running(interruptions=MAX_INTERRUPTIONS - 1)
    wreck.recover()
    assert wreck.state() is JobState.FAILED
    assert "in a row" in (wreck.outbox / "failed" / "x" / "error.txt").read_text()
    assert (wreck.outbox / "failed" / "x" / "x.txt").exists() and wreck.taken() == []


def test_original_that_reappears_after_its_job_failed_returns_to_the_inbox(wreck: Wreck, tmp_path: Path):
    wreck.queued()
    taken, away = wreck.folders.taken.path / "job", tmp_path / "away"
    taken.rename(away)
    wreck.recover()
    assert wreck.state() is JobState.FAILED
    away.rename(taken)
    assert "1 returned" in wreck.recover()
    assert (wreck.inbox / "x.txt").read_text() == "text" and wreck.taken() == []


@pytest.mark.parametrize("is_hashed", [True, False])
def test_jobs_wait_for_a_taken_folder_that_was_renamed_and_go_on_when_it_is_back(
    wreck: Wreck, tmp_path: Path, monkeypatch, is_hashed: bool
):
    monkeypatch.setattr("daemon.files.safe_folders.is_safe", lambda folder: False)
    job_id = new_id()
    path = wreck.take(job_id)
    facts = {"sha256": sha256_of(path) if is_hashed else None, "mtime_ns": path.stat().st_mtime_ns, "size_bytes": 4}
    wreck.store.insert([make_job(id=job_id, name="x.txt", **facts)])
    wreck.folders.lock()
    wreck.folders.unlock()
    taken, away = wreck.inbox / ".taken", tmp_path / "away"  # only root can move it there
    taken.rename(away)
    wreck.folders.prepare()
    for _ in range(2):  # the next start finds a folder in its place
        assert wreck.recover() == "1 lost"
        job = wreck.store.get(job_id)
        assert job.state is JobState.QUEUED and "inbox/.taken was renamed" in job.waiting_for
        wreck.folders.is_taken_lost = False
    away.rename(wreck.inbox / ".back")
    Recovery(wreck.store, wreck.folders, wreck.disk_retry, wreck.publishing, wreck.intake).find_lost()
    assert wreck.store.get(job_id).waiting_for is None and wreck.taken() == [job_id]
    assert wreck.audit().is_clean


def test_publishing_and_staged_is_published(wreck: Wreck):
    wreck.publishing_job()
    assert wreck.recover() == "1 published"
    assert wreck.state() is JobState.DONE
    assert (wreck.outbox / "x" / "out.txt").read_text() == "result" and wreck.taken() == []


def test_publishing_finds_another_name_if_its_own_is_taken(wreck: Wreck):
    wreck.publishing_job()
    (wreck.outbox / "x").mkdir()
    wreck.recover()
    assert wreck.store.get("job").result_path == "x (2)"
    assert (wreck.outbox / "x (2)" / "out.txt").exists()


def test_publishing_without_staging_counts_as_published(wreck: Wreck):
    job = wreck.publishing_job()
    wreck.folders.outbox.publish(job)
    (wreck.outbox / "x").rename(wreck.outbox.parent / "elsewhere")
    wreck.recover()
    assert wreck.state() is JobState.DONE and wreck.taken() == []
    assert not (wreck.outbox / "x").exists()


def test_taken_file_of_a_done_job_is_removed(wreck: Wreck):
    job = wreck.publishing_job()
    wreck.folders.outbox.publish(job)
    wreck.store.finish(job)
    assert wreck.recover() == "1 swept"
    assert wreck.taken() == [] and (wreck.outbox / "x" / "x.txt").exists()


def test_staging_without_a_job_is_removed(wreck: Wreck):
    (wreck.folders.outbox.staging / "nobody.1").mkdir()
    wreck.recover()
    assert list(wreck.folders.outbox.staging.iterdir()) == []


def test_queued_job_without_its_original_fails_with_the_reason(wreck: Wreck):
    wreck.queued()
    wreck.folders.taken.release("job")
    wreck.recover()
    assert wreck.state() is JobState.FAILED
    assert "removed from inbox/.taken" in (wreck.outbox / "failed" / "x" / "error.txt").read_text()


def test_retry_interrupted_after_its_commit_is_completed(wreck: Wreck):
    job = wreck.queued()
    wreck.publishing.give_up(job, "error", "It broke.")
    failed = wreck.store.get("job")
    wreck.folders.fetch_back(failed)
    wreck.store.reopen(failed)
    wreck.recover()
    job = wreck.store.get("job")
    assert (job.state, job.result_path) == (JobState.QUEUED, None)
    assert not (wreck.outbox / "failed" / "x").exists()
    assert wreck.folders.taken.original("job").path.read_text() == "text"


def test_retry_interrupted_before_its_commit_leaves_the_failure(wreck: Wreck):
    wreck.publishing.give_up(wreck.queued(), "error", "It broke.")
    wreck.folders.fetch_back(wreck.store.get("job"))
    wreck.recover()
    assert wreck.state() is JobState.FAILED and wreck.taken() == []
    assert (wreck.outbox / "failed" / "x" / "x.txt").exists()


def test_unrecoverable_job_affects_neither_the_others_nor_the_start(wreck: Wreck, monkeypatch):
    wreck.publishing_job(id="bad", name="bad.txt")
    wreck.publishing_job(id="good", name="good.txt")
    complete = wreck.publishing.complete

    def fail_for_bad(job: Job) -> None:
        if job.id == "bad":
            raise RuntimeError("something nobody thought of")
        complete(job)

    monkeypatch.setattr(wreck.publishing, "complete", fail_for_bad)
    assert "1 unrecovered" in wreck.recover()
    assert wreck.state("good") is JobState.DONE and wreck.state("bad") is JobState.PUBLISHING


def break_(object_: object, name: str, monkeypatch, error: Exception) -> None:
    """Has a method fail with `error` for the job "bad"."""
    real = getattr(object_, name)

    def broken(*arguments, **keywords):
        if "bad" in map(str, arguments):
            raise error
        return real(*arguments, **keywords)

    monkeypatch.setattr(object_, name, broken)


def test_taken_file_that_cannot_be_recorded_returns_to_the_inbox(wreck: Wreck, monkeypatch):
    wreck.take("bad", "bad.txt")
    wreck.take("good", "good.txt")
    break_(wreck.intake._describer, "describe", monkeypatch, RuntimeError("something nobody thought of"))
    assert wreck.recover() == "1 adopted, 1 returned"
    assert wreck.state("good") is JobState.QUEUED and wreck.taken() == ["good"]
    assert (wreck.inbox / "bad.txt").read_text() == "text"
    assert wreck.intake.unplaced == {} and wreck.audit().is_clean


@pytest.mark.parametrize("error", [RuntimeError("something nobody thought of"), OSError(5, "an injected error")])
def test_taken_file_that_can_be_neither_recorded_nor_returned_is_reported(wreck: Wreck, monkeypatch, error):
    wreck.take("bad", "bad.txt")
    break_(wreck.intake._describer, "describe", monkeypatch, error)
    break_(wreck.folders.taken, "put_back", monkeypatch, error)
    wreck.recover()
    for _ in range(10):
        wreck.disk_retry.retry(at_once=True)
    assert list(wreck.intake.unplaced) == [".taken/bad/bad.txt"]
    verdict = wreck.audit()
    assert [finding.job for finding in verdict.findings] == ["bad"] and not verdict.is_clean
    monkeypatch.undo()
    monkeypatch.setattr(wreck.disk_retry, "_waiting", {})
    wreck.recover()
    assert wreck.state("bad") is JobState.QUEUED
    assert wreck.audit().is_clean and not (wreck.folders.state / "unplaced.json").exists()


def test_unrecoverable_job_is_reported(wreck: Wreck, monkeypatch):
    wreck.publishing_job(id="bad", name="bad.txt")
    monkeypatch.setattr(wreck.publishing, "complete", lambda job: 1 / 0)
    assert "1 unrecovered" in wreck.recover()
    assert list(wreck.intake.unplaced) == ["bad.txt"] and not wreck.audit().is_clean


def test_undeletable_staging_folder_is_not_reported_as_a_lost_file(wreck: Wreck, monkeypatch):
    (wreck.folders.outbox.staging / "nobody.1").mkdir()
    monkeypatch.setattr(wreck.folders.outbox, "discard_attempts", lambda job_id: 1 / 0)
    assert wreck.recover() == "1 unrecovered"
    assert wreck.intake.unplaced == {} and wreck.audit().is_clean


def test_taken_file_that_the_next_start_will_record_is_no_error(wreck: Wreck):
    wreck.take("job")
    assert wreck.audit().is_clean


def test_interrupted_disk_probe_leaves_nothing(wreck: Wreck):
    outbox = wreck.folders.outbox  # its own folder, and the one that older versions used
    places = (wreck.folders.taken.path, wreck.folders.state, outbox.staging, outbox.path)
    for folder in places:
        (folder / ".probe").write_bytes(b"")
        (folder / ".probe.2").write_bytes(b"")
    wreck.recover()
    assert [path for folder in places for path in folder.glob(".probe*")] == []


def test_large_file_that_a_power_cut_shortened_fails_with_the_reason(wreck: Wreck):
    wreck.unhashed(size_bytes=5)
    wreck.recover()
    assert wreck.state() is JobState.FAILED and wreck.taken() == []
    assert "Only 4 of 5 bytes" in (wreck.outbox / "failed" / "x" / "error.txt").read_text()
    assert (wreck.outbox / "failed" / "x" / "x.txt").read_text() == "text"
    with pytest.raises(queue.Empty):
        wreck.mailbox.get()


def test_large_file_that_is_complete_is_hashed(wreck: Wreck):
    path = wreck.unhashed(size_bytes=4)
    wreck.recover()
    assert wreck.state() is JobState.QUEUED and not wreck.intake.is_quiet
    hashed = wreck.mailbox.get(timeout=30)
    assert (hashed.job, hashed.sha256) == ("job", sha256_of(path))


def test_checkpoints_are_removed_when_their_job_ends(wreck: Wreck):
    done = wreck.publishing_job(id="done", name="done.txt")
    wreck.folders.outbox.publish(done)
    wreck.store.finish(done)
    wreck.queued(id="open", name="open.txt")
    for job_id in ("done", "open", "nobody"):
        (wreck.folders.checkpoints / job_id / "part").mkdir(parents=True)
    wreck.recover()
    assert [path.name for path in wreck.folders.checkpoints.iterdir()] == ["open"]


def test_staging_of_an_unpublished_result_remains(wreck: Wreck, monkeypatch):
    job = wreck.publishing_job()
    (wreck.folders.outbox.staging / "other.1").mkdir()
    monkeypatch.setattr(wreck.publishing, "complete", lambda _: None)
    wreck.recover()
    assert [path.name for path in wreck.folders.outbox.staging.iterdir()] == [job.staging_name()]


def test_options_of_a_taken_file_that_became_invalid_are_not_used(wreck: Wreck):
    path = wreck.take("job")
    path.with_name("x.txt.toml").write_text("this is no TOML")
    assert wreck.recover() == "1 adopted"
    assert wreck.store.get("job").recipe == "count"


def test_unreadable_options_of_a_taken_file_are_not_used(wreck: Wreck, monkeypatch):
    wreck.take("job")

    def fail(*_):
        raise OSError(errno.EIO, "an injected error")

    monkeypatch.setattr("daemon.intake.describer.choose", fail)
    assert wreck.recover() == "1 adopted"
    assert wreck.store.get("job").recipe == "count"


def test_each_state_is_counted_in_the_report(wreck: Wreck):
    for number in range(2):
        wreck.take(f"taken{number}", f"taken{number}.txt")
        wreck.running(id=f"running{number}", name=f"running{number}.txt")
        wreck.publishing_job(id=f"publishing{number}", name=f"publishing{number}.txt")
        job = wreck.publishing_job(id=f"done{number}", name=f"done{number}.txt")
        wreck.folders.outbox.publish(wreck.store.rename_intent(job, f"done{number}"))
        wreck.store.finish(wreck.store.get(job.id))
    assert wreck.recover() == "2 adopted, 2 requeued, 2 published, 2 swept"
