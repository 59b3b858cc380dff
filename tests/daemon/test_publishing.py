"""Steps of publishing and trying again that a disk refuses at first."""

import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from states_house import Clock, House, finished

from daemon import config
from daemon.workers import WorkerState
from processors import wire
from processors.base import FailureKind

TABLES = {"inbox": {"text": "count", "settle_seconds": 0.0}, "recipes": {"count": {"processor": "plaintext"}}}


class Shop(House):
    """A daemon by hand whose worker has one file."""

    def __init__(self, home: Path):
        super().__init__(config.parse(TABLES, source=None, home=home), Clock())

    def begin(self, name: str = "x.txt") -> Any:
        path = self.settings.inbox / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("the file")
        self.turn()
        self.hear(1, wire.WorkerLoaded(engine="hand", model="m", device="cpu", seconds=0.0))
        return self.next_job()

    def next_job(self) -> Any:
        """The job that the worker has now."""
        self.turn()
        (worker,) = self.workers
        (job,) = worker.jobs.values()
        return job

    def fail(self, job: Any) -> None:
        failed = wire.WorkFailed(job=job.id, attempt=job.attempt, kind=FailureKind.BAD_INPUT, message="It is broken.")
        self.hear(1, failed)
        self.hear(1, wire.BatchDone())
        assert next(iter(self.workers)).state is WorkerState.IDLE

    def pass_time(self) -> None:
        """Until what was refused is made again."""
        self.clock.seconds += 10
        self.turn()

    def state(self, job: Any) -> str:
        return self.store.get(job.id).state


@pytest.fixture
def shop(tmp_path: Path):
    made = Shop(tmp_path)
    yield made
    made.store.close()


def refuse_once(owner: Any, name: str, monkeypatch: pytest.MonkeyPatch, *, after: int = 0) -> None:
    """An injected error: one call, the first or that `after` so many, is refused by the disk."""
    real: Callable = getattr(owner, name)
    calls = itertools.count()

    @functools.wraps(real)
    def call(*arguments: Any) -> Any:
        if next(calls) == after:
            raise OSError(5, "an injected error")
        return real(*arguments)

    monkeypatch.setattr(owner, name, call)


def test_removal_that_was_refused_spares_a_job_that_is_queued_again(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    job = shop.begin()
    refuse_once(shop.folders.inbox, "release", monkeypatch)
    shop.fail(job)
    assert shop.ask("retry", job=job.id)["ok"]
    shop.pass_time()
    assert shop.folders.inbox.original(job.id).path.read_text() == "the file"
    shop.hear(1, finished(shop, shop.store.get(job.id)))
    assert shop.state(job) == "done"
    assert (shop.settings.outbox / "x" / "x.txt").read_text() == "the file"


def test_job_that_is_tried_again_starts_only_after_its_failure_is_withdrawn(shop: Shop, monkeypatch):
    job = shop.begin()
    shop.fail(job)
    refuse_once(shop.folders.outbox, "withdraw", monkeypatch)
    assert shop.ask("retry", job=job.id)["ok"]
    shop.turn()
    assert shop.state(job) == "queued" and (shop.settings.outbox / "failed" / "x").is_dir()
    shop.pass_time()
    shop.fail(shop.next_job())
    assert [path.name for path in (shop.settings.outbox / "failed").iterdir()] == ["x"]


def test_job_whose_failure_is_still_to_be_withdrawn_can_be_cancelled(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    job = shop.begin()
    shop.fail(job)
    refuse_once(shop.folders.outbox, "withdraw", monkeypatch)
    shop.ask("retry", job=job.id)
    assert shop.ask("cancel", job=job.id)["ok"]
    assert shop.state(job) == "cancelled"
    assert [path.name for path in (shop.settings.outbox / "failed").iterdir()] == ["x"]


def test_retry_that_a_disk_refuses_leaves_nothing_behind(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    job = shop.begin()
    shop.fail(job)
    refuse_once(shop.folders.inbox, "fsync_taken", monkeypatch)
    refuse_once(shop.folders.inbox, "release", monkeypatch, after=1)
    assert not shop.ask("retry", job=job.id)["ok"]
    shop.pass_time()
    assert shop.state(job) == "failed" and list(shop.folders.inbox.taken_ids()) == []


def test_result_waits_while_a_file_has_the_name_of_its_folder(shop: Shop):
    stranger = shop.settings.outbox / "a"
    stranger.write_text("somebody's")
    job = shop.begin("a/x.txt")
    shop.hear(1, finished(shop, job))
    assert shop.state(job) == "publishing" and stranger.read_text() == "somebody's"
    stranger.rename(stranger.with_name("b"))
    shop.pass_time()
    assert shop.state(job) == "done" and (shop.settings.outbox / "a" / "x" / "x.txt").exists()
