"""Reuse of an earlier result. Whatever that contains by now, the daemon keeps running and the file is processed."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from manual_daemon import ManualDaemon, finished

from daemon import config
from daemon.core.errors import InboxdError, StartOver, StorageError
from daemon.core.job import Job
from processors import protocol

INBOX = {"text": "count", "settle_seconds": 0.0, "duplicates": "reuse"}
TABLES = {"inbox": INBOX, "recipes": {"count": {"processor": "plaintext"}}}


class Shop(ManualDaemon):
    """A daemon by hand that has one result, x, and gets its content again."""

    def __init__(self, home: Path):
        super().__init__(config.parse(TABLES, source=None, home=home))
        self.result = self.settings.outbox / "x"
        self.drop("x.txt")
        self.receive(1, protocol.WorkerLoaded(engine="hand", model="m", device="cpu", seconds=0.0))
        self.turn()
        (job,) = next(iter(self.workers)).jobs.values()
        self.receive(1, finished(self, job))
        self.receive(1, protocol.BatchDone())
        assert self.store.get(job.id).state == "done"

    def drop(self, name: str) -> None:
        self.write(name, "the same")

    def write(self, name: str, text: str) -> None:
        (self.settings.inbox / name).write_text(text)
        self.do("rescan")
        for _ in range(3):
            self.turn()

    def edit(self, **changes: Any) -> None:
        path = self.result / "result.json"
        path.write_text(json.dumps({**json.loads(path.read_bytes()), **changes}))

    def again(self) -> str:
        """What becomes of the same content: "reused", "processed", or else its state."""
        self.drop("again.txt")
        if any(job.name == "again.txt" for worker in self.workers for job in worker.jobs.values()):
            return "processed"
        row = self.store._connection.exec_driver_sql("SELECT state, duplicate_of FROM jobs WHERE name = 'again.txt'")
        state, duplicate_of = row.one()
        return "reused" if state == "done" and duplicate_of else state


@pytest.fixture
def shop(tmp_path: Path):
    made = Shop(tmp_path)
    yield made
    made.store.close()


def test_skipped_duplicate_gets_a_note(shop: Shop):
    config_of_the_inbox = {**TABLES, "inbox": {**INBOX, "duplicates": "skip"}}
    shop.app.settings.replace(config.parse(config_of_the_inbox, source=None, home=shop.settings.inbox.parent))
    assert shop.again() == "reused"
    result = shop.settings.outbox / "again"
    (note,) = json.loads((result / "result.json").read_bytes())["files"]
    text = (result / note["name"]).read_bytes()
    assert text == b"again.txt has the same content as x.txt, whose result is in x.\n"
    assert (note["sha256"], note["size_bytes"]) == (hashlib.sha256(text).hexdigest(), len(text))
    assert not (result / "out.txt").exists()


@pytest.mark.parametrize("error", [StartOver("The job log was replaced."), StorageError("The disk is full.")])
def test_error_of_the_daemon_is_no_error_of_a_job(shop: Shop, monkeypatch: pytest.MonkeyPatch, error: InboxdError):
    def fail(*_: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(shop.dispatcher._duplicates, "publish", fail)
        if isinstance(error, StartOver):
            with pytest.raises(StartOver):
                shop.drop("again.txt")
            return
        shop.drop("again.txt")
        assert shop.store.counts() == {"done": 1, "queued": 1}, "it is not given up"
    shop.clock.seconds += 10
    shop.turn()
    assert shop.store.counts() == {"done": 2}


def test_cancellation_of_a_job_that_is_forgotten_does_nothing(shop: Shop):
    shop.dispatcher._cancel("no such job")
    assert shop.store.counts() == {"done": 1}


def _file(shop: Shop) -> dict[str, Any]:
    return json.loads((shop.result / "result.json").read_bytes())["files"][0]


def test_unchanged_result_is_reused(shop: Shop):
    assert shop.again() == "reused"
    columns = "processor, engine, model, device"
    rows = shop.store._connection.exec_driver_sql(f"SELECT {columns}, duplicate_of FROM jobs ORDER BY received_at")
    earlier, duplicate = rows.all()
    assert tuple(earlier[:4]) == tuple(duplicate[:4]) == ("plaintext", "hand", "m", "cpu")
    assert (earlier.duplicate_of is None) and duplicate.duplicate_of
    assert (shop.settings.outbox / "again/out.txt").read_bytes() == (shop.result / "out.txt").read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"size_bytes": 1},
        {"size_bytes": 10_000},
        {"size_bytes": -1},
        {"size_bytes": 2**70},
        {"size_bytes": None},
        {"size_bytes": True},
        {"sha256": None},
        {"sha256": "0" * 64},
        {"sha256": 5},
        {"name": "../y/out.txt"},
        {"name": "/etc/hostname"},
        {"name": ""},
        {"name": "."},
        {"name": "a\0b"},
        {"name": "n" * 300},
        {"name": ["out.txt"]},
        {"extra": 1},
    ],
    ids=str,
)
def test_result_whose_files_were_edited_is_not_reused(shop: Shop, change: dict[str, Any]):
    shop.edit(files=[{**_file(shop), **change}])
    assert shop.again() == "processed"


@pytest.mark.parametrize(
    "change",
    [
        {"files": None},
        {"files": {"out.txt": 1}},
        {"files": [None]},
        {"files": "out.txt"},
        {"details": [1]},
        {"details": "text"},
        {"job": "another"},
        {"job": None},
        {"options": []},
        {"processor_options": 5},
    ],
    ids=str,
)
def test_result_with_values_of_other_types_is_not_reused(shop: Shop, change: dict[str, Any]):
    shop.edit(**change)
    assert shop.again() == "processed"


def test_result_of_another_version_is_reused_if_it_shows_all_options(shop: Shop):
    shop.edit(inboxd="0.0.1", options={"then": [], "upper": False})
    assert shop.again() == "reused"


def test_result_of_another_version_that_omits_options_is_not_reused(shop: Shop):
    shop.edit(inboxd="0.0.1")
    assert shop.again() == "processed"


@pytest.mark.parametrize("text", [b"", b"[]", b"5", b"[" * 100_000, b'{"job": NaN}', b"\xff", b" " * 33 * 2**20])
def test_document_that_is_not_a_json_object_is_not_reused(shop: Shop, text: bytes):
    (shop.result / "result.json").write_bytes(text)
    assert shop.again() == "processed"


def _file_by_link(shop: Shop, secret: Path) -> None:
    (shop.result / "out.txt").rename(secret)
    (shop.result / "out.txt").symlink_to(secret)


def _folder_by_link(shop: Shop, secret: Path) -> None:
    secret.mkdir()
    (shop.result / "out.txt").rename(secret / "out.txt")
    (shop.result / "leak").symlink_to(secret)
    shop.edit(files=[{**_file(shop), "name": "leak/out.txt"}])


def _result_by_link(shop: Shop, secret: Path) -> None:
    shop.result.rename(secret)
    shop.result.symlink_to(secret)


def _document_by_link(shop: Shop, secret: Path) -> None:
    (shop.result / "result.json").rename(secret)
    (shop.result / "result.json").symlink_to(secret)


def _pipe(shop: Shop, secret: Path) -> None:
    (shop.result / "out.txt").unlink()
    os.mkfifo(shop.result / "out.txt")


@pytest.mark.parametrize("put", [_file_by_link, _folder_by_link, _result_by_link, _document_by_link, _pipe])
def test_link_in_a_result_is_not_followed(shop: Shop, tmp_path: Path, put: Callable[[Shop, Path], None]):
    put(shop, tmp_path / "secret")
    assert shop.again() == "processed"


def test_document_of_another_user_is_not_reused(shop: Shop):
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user")
    os.chown(shop.result / "result.json", 12345, -1)
    assert shop.again() == "processed"


def test_result_that_cannot_be_published_again_is_not_reused(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shop.publishing, "publish_duplicate", _fail)
    assert shop.again() == "processed"


# ---------------------------------------------------------------------------------------- the boundary of one job


def _fail(*_: Any) -> Any:
    raise KeyError("an injected error")


def test_job_with_an_internal_error_is_given_up_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shop.dispatcher._duplicates, "find", _fail)
    assert shop.again() == "failed"
    text = (shop.settings.outbox / "failed/again/error.txt").read_text()
    assert "Internal error" in text and "KeyError" not in text
    monkeypatch.undo()
    shop.drop("other.txt")
    assert (shop.settings.outbox / "other/out.txt").exists()


def test_job_that_cannot_even_be_given_up_is_parked_and_others_run(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    real = shop.dispatcher._duplicates.find

    def find(job: Job, *others: Any) -> Any:
        return _fail() if job.name == "again.txt" else real(job, *others)

    def free_result_path(job: Job, *, failed: bool) -> str:
        return _fail() if failed else job.name

    monkeypatch.setattr(shop.dispatcher._duplicates, "find", find)
    monkeypatch.setattr(shop.folders.outbox, "free_result_path", free_result_path)
    assert shop.again() == "queued"
    shop.write("other.txt", "something else")
    assert any(job.name == "other.txt" for worker in shop.workers for job in worker.jobs.values())


def test_job_that_cannot_be_prepared_is_given_up_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    (shop.result / "result.json").unlink()
    monkeypatch.setattr(shop.dispatcher, "_prepare", _fail)
    assert shop.again() == "failed"
