"""Results that are published together: each as if it were alone, whatever happens to the others."""

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from manual_daemon import ManualDaemon, finished

from daemon import config
from daemon.core import durable
from daemon.core.errors import StorageError
from daemon.core.job import Job
from daemon.core.messages import WorkerMessage
from daemon.files.outbox import Outbox
from daemon.publishing import preparation
from daemon.publishing.group import GroupPublisher
from daemon.queue.store import Store
from processors import protocol

COUNT = 6


class Press(ManualDaemon):
    """A daemon by hand whose worker has several files at once."""

    def __init__(self, home: Path, **inbox: Any):
        tables = {
            "inbox": {"text": "count", "settle_seconds": 0.0, **inbox},
            "recipes": {"count": {"processor": "plaintext"}},
        }
        super().__init__(config.parse(tables, source=None, home=home))

    def begin(self, *names: str) -> list[Job]:
        for name in names or [f"{number}.txt" for number in range(COUNT)]:
            path = self.settings.inbox / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"text of {name}")
        self.check_inbox()
        self.turn()
        self.receive(1, protocol.WorkerLoaded(engine="hand", model="m", device="cpu", seconds=0.0))
        self.turn()
        (worker,) = self.workers
        return list(worker.jobs.values())

    def states(self, jobs: list[Job]) -> list[str]:
        return [self.store.get(job.id).state for job in jobs]

    def pass_time(self) -> None:
        for _ in range(4):
            self.clock.seconds += 10
            self.turn()

    def results(self) -> list[str]:
        found = self.settings.outbox.rglob("result.json")
        return sorted(str(path.parent.relative_to(self.settings.outbox)) for path in found)

    def check_all_done(self, jobs: list[Job]) -> None:
        """Each job is done, with one complete result and nothing left elsewhere."""
        assert self.states(jobs) == ["done"] * len(jobs)
        assert len(self.results()) == len(jobs)
        for job in jobs:
            result = self.settings.outbox / self.store.get(job.id).result_path
            told = json.loads((result / "result.json").read_text())
            assert told["job"] == job.id
            assert (result / told["original"]["path"]).read_text() == f"text of {job.path}"
            assert (result / "out.txt").read_text() == f"output of {job.id}.{job.attempt}"
        assert list(self.folders.taken.job_ids()) == []
        assert self.folders.outbox.attempts() == []


@pytest.fixture
def press(tmp_path: Path):
    made = Press(tmp_path)
    yield made
    made.store.close()


def count_calls(owner: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    real, calls = getattr(owner, name), []

    def call(*arguments: Any, **keywords: Any) -> Any:
        calls.append(arguments)
        return real(*arguments, **keywords)

    monkeypatch.setattr(owner, name, call)
    return calls


def test_results_share_their_commits_and_the_fsyncs_of_shared_folders(press: Press, monkeypatch: pytest.MonkeyPatch):
    jobs = press.begin()
    commits = count_calls(press.store, "_transaction", monkeypatch)
    folders = count_calls(durable, "fsync_folder", monkeypatch)
    alone = count_calls(press.publishing, "publish_result", monkeypatch)
    press.finish_together(1, jobs)
    press.check_all_done(jobs)
    assert len(commits) == 2 and alone == [], "the intents, the ends"
    assert [path for (path,) in folders].count(press.folders.outbox.staging) == 2, "before and after the renames"
    assert [path for (path,) in folders].count(press.folders.taken.path) == 1
    events = [event["event"] for event in press.store.events_after(0, limit=99) if event["job"] == jobs[0].id]
    assert events == ["queued", "running, attempt 1", "publishing as done", "done"]
    attempts = press.store._connection.exec_driver_sql("SELECT outcome FROM attempts").scalars().all()
    assert attempts == ["finished"] * COUNT and press.store.counts() == {"done": COUNT}


def test_single_result_is_published_alone(press: Press, monkeypatch: pytest.MonkeyPatch):
    (job,) = press.begin("a.txt")
    monkeypatch.setattr(GroupPublisher, "publish", lambda *_: pytest.fail("not for one"))
    press.finish_together(1, [job])
    press.check_all_done([job])


def test_deleted_originals_are_not_kept(tmp_path: Path):
    press = Press(tmp_path, originals="delete")
    jobs = press.begin()
    press.finish_together(1, jobs)
    assert press.states(jobs) == ["done"] * COUNT
    for job in jobs:
        result = press.settings.outbox / press.store.get(job.id).result_path
        assert sorted(path.name for path in result.iterdir()) == ["out.txt", "result.json"]
        assert json.loads((result / "result.json").read_text())["original"] == {"policy": "delete", "path": None}
    press.store.close()


def test_names_of_results_do_not_collide(press: Press):
    """Neither two of one name, nor a result and the folder of other results."""
    jobs = press.begin("a.txt", "a.md", "scans.txt", "b/a.txt", "scans/2024/x.txt", "c.txt", "c/y.txt")
    for folder in ("scans/2024", "scans", "c", "b"):
        (press.settings.inbox / folder).rmdir()  # their names are no longer reserved
    press.finish_together(1, jobs)
    press.check_all_done(jobs)
    results = press.results()
    assert len(set(results)) == len(jobs) and {"a", "a (2)"} < set(results)
    assert not [path for path in results if any(path.startswith(f"{other}/") for other in results)]


def _with_sidecar(press: Press, job: Job) -> None:
    (press.folders.taken.original(job.id).path.with_name(f"{job.name}.prompt")).write_text("why?")


def _altered(press: Press, job: Job) -> None:
    press.folders.taken.original(job.id).path.write_text("it goes on")


def _removed(press: Press, job: Job) -> None:
    press.folders.taken.original(job.id).path.unlink()


def _without_output(press: Press, job: Job) -> None:
    os.remove(press.folders.outbox.staging / job.staging_name() / "out.txt")


def _queued_again(press: Press, job: Job) -> None:
    press.store.requeue(job, outcome="timeout")


def _with_a_document_of_that_name(press: Press, job: Job) -> None:
    (press.folders.outbox.staging / job.staging_name() / "result.json").write_text("{}")


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (_with_sidecar, "done"),
        (_altered, "queued"),
        (_removed, "failed"),
        (_without_output, "running"),
        (_queued_again, "queued"),
        (_with_a_document_of_that_name, "done"),
    ],
)
def test_result_that_differs_is_published_alone(press: Press, change: Callable[[Press, Job], None], state: str):
    jobs = press.begin()
    odd, others = jobs[2], [*jobs[:2], *jobs[3:]]
    for job in jobs:
        press._post(_message(press, job))
    change(press, odd)
    press.apply_all()
    assert press.states(others) == ["done"] * len(others)
    if change is _without_output:  # an error that is tried again as any other
        assert press.states([odd]) == ["queued"] and press.store.get(odd.id).charged == 1
    else:
        assert press.states([odd]) == [state]


def _message(press: Press, job: Job) -> Any:
    return WorkerMessage(worker=1, message=finished(press, job))


def test_cancelled_job_leaves_its_group(press: Press):
    jobs = press.begin()
    press.ask("cancel", job=jobs[1].id)
    press.finish_together(1, jobs)
    assert press.states(jobs) == ["done", "cancelled", *["done"] * (COUNT - 2)]


def test_progress_between_results_is_applied(press: Press):
    jobs = press.begin()
    for job in jobs[:3]:
        press._post(_message(press, job))
    press.report_progress(1, jobs[3])
    press.finish_together(1, jobs[3:])
    press.check_all_done(jobs)


def test_worker_gets_its_next_batch_before_the_results_are_published(press: Press, monkeypatch: pytest.MonkeyPatch):
    jobs = press.begin()
    (press.settings.inbox / "next.txt").write_text("next")
    press.check_inbox()
    busy: list[bool] = []
    real = press.publishing.publish_results

    def publish(results: Any) -> Any:
        busy.append(press.dispatcher.is_busy)
        return real(results)

    monkeypatch.setattr(press.publishing, "publish_results", publish)
    for job in jobs:
        press._post(_message(press, job))
    press._post(WorkerMessage(worker=1, message=protocol.BatchDone()))
    press.apply_all()
    assert busy == [True] and press.states(jobs) == ["done"] * COUNT


def test_archived_originals_are_published_alone(tmp_path: Path):
    press = Press(tmp_path, originals="archive")
    jobs = press.begin()
    press.finish_together(1, jobs)
    assert press.states(jobs) == ["done"] * COUNT
    assert all((press.settings.state / "archive" / job.id / job.name).exists() for job in jobs)
    press.store.close()


def test_large_copies_leave_the_group(press: Press, monkeypatch: pytest.MonkeyPatch):
    """The background copies what cannot be linked; the main thread copies only what is small."""
    jobs = press.begin()
    os.link(press.folders.taken.original(jobs[0].id).path, press.settings.state / "second name")
    monkeypatch.setattr(preparation, "INLINE_BYTES", 3)
    press.finish_together(1, jobs)
    assert press.states(jobs) == ["running", *["done"] * (COUNT - 1)] and press.background.pending == 1
    press.turn()
    press.check_all_done(jobs)


# ---------------------------------------------------------------------------------------- disks that fail


@pytest.mark.parametrize("nth", range(COUNT))
def test_failed_fsync_of_one_result_does_not_hold_up_the_others(
    press: Press, monkeypatch: pytest.MonkeyPatch, nth: int
):
    """It gets a new result.json: a second fsync of the same file would prove nothing."""
    jobs, real, calls, failed = press.begin(), durable.fsync_and_close, itertools.count(), []

    def fsync(descriptor: int) -> None:
        if next(calls) == nth:
            failed.append(os.dup(descriptor))  # so that its inode is not used again
            os.close(descriptor)
            raise OSError(5, "an injected error")
        real(descriptor)

    monkeypatch.setattr(durable, "fsync_and_close", fsync)
    alone = count_calls(press.publishing, "publish_result", monkeypatch)
    press.finish_together(1, jobs)
    press.check_all_done(jobs)
    inodes = {path.stat().st_ino for path in press.settings.outbox.rglob("result.json")}
    assert len(alone) == 1 and os.fstat(failed[0]).st_ino not in inodes
    os.close(failed[0])


_STEPS = {
    "fsync of .staging": (Outbox, "fsync_staging"),
    "commit of the intents": (Store, "intend_results"),
    "rename": (Outbox, "publish"),
    "fsync of the folders": (Outbox, "fsync_results"),
    "commit of the ends": (Store, "finish_results"),
}


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("step", _STEPS)
@pytest.mark.parametrize("is_done", [False, True], ids=["not done", "done, but reported as failed"])
def test_part_that_fails_is_repeated_for_each_result_alone(
    press: Press, monkeypatch: pytest.MonkeyPatch, step: str, times: int, is_done: bool
):
    jobs, (owner, name) = press.begin(), _STEPS[step]
    real, calls = getattr(owner, name), itertools.count()

    def call(*arguments: Any) -> Any:
        if next(calls) < times:
            if is_done:
                real(*arguments)
            raise StorageError("an injected error") if owner is Store else OSError(5, "an injected error")
        return real(*arguments)

    monkeypatch.setattr(owner, name, call)
    press.finish_together(1, jobs)
    press.pass_time()
    press.check_all_done(jobs)


def test_unexpected_error_in_the_group_does_not_reach_the_jobs(press: Press, monkeypatch: pytest.MonkeyPatch):
    jobs = press.begin()
    monkeypatch.setattr(Outbox, "fsync_staging", lambda self: 1 / 0)
    press.finish_together(1, jobs)
    press.check_all_done(jobs)


def test_removal_of_the_originals_waits_for_a_disk(press: Press, monkeypatch: pytest.MonkeyPatch):
    jobs = press.begin()
    with monkeypatch.context() as patch:
        patch.setattr(type(press.folders.taken), "release", _refuse)
        press.finish_together(1, jobs)
        assert press.states(jobs) == ["done"] * COUNT and len(list(press.folders.taken.job_ids())) == COUNT
    press.pass_time()
    press.check_all_done(jobs)


def _refuse(*_: Any) -> None:
    raise OSError(5, "an injected error")
