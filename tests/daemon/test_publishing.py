"""Steps of publishing and trying again that a disk refuses at first."""

import functools
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

    def begin(self) -> Any:
        (self.settings.inbox / "x.txt").write_text("the file")
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


def refuse_once(owner: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An injected error: the first call is refused by the disk."""
    real: Callable = getattr(owner, name)
    refusals = [OSError(5, "an injected error")]

    @functools.wraps(real)
    def call(*arguments: Any) -> Any:
        if refusals:
            raise refusals.pop()
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
