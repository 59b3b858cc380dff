"""Publishing and retrying: steps that fail at first, and steps that run in the background."""

import errno
import functools
import hashlib
import itertools
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from manual_daemon import ManualDaemon, finished

from daemon import config
from daemon.core import copies, regular_files
from daemon.publishing import preparation
from daemon.publishing.finished_attempt import FinishedAttempt
from daemon.recovery.verify import Verification
from daemon.workers.supervisor import WorkerState
from processors import protocol
from processors.contract import FailureKind

TABLES = {"inbox": {"text": "count", "settle_seconds": 0.0}, "recipes": {"count": {"processor": "plaintext"}}}


class Shop(ManualDaemon):
    """A daemon by hand whose worker has one file."""

    def __init__(self, home: Path, originals: str = "keep"):
        tables = {**TABLES, "inbox": {**TABLES["inbox"], "originals": originals}}
        super().__init__(config.parse(tables, source=None, home=home))

    def begin(self, name: str = "x.txt") -> Any:
        path = self.settings.inbox / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("the file")
        self.turn()
        self.receive(1, protocol.WorkerLoaded(engine="hand", model="m", device="cpu", seconds=0.0))
        return self.next_job()

    def next_job(self) -> Any:
        """The job that the worker has now."""
        self.turn()
        (worker,) = self.workers
        (job,) = worker.jobs.values()
        return job

    def fail(self, job: Any) -> None:
        failed = protocol.WorkFailed(
            job=job.id, attempt=job.attempt, kind=FailureKind.BAD_INPUT, message="It is broken."
        )
        self.receive(1, failed)
        self.receive(1, protocol.BatchDone())
        assert next(iter(self.workers)).state is WorkerState.IDLE

    def pass_time(self) -> None:
        """Until what was refused is made again."""
        self.clock.seconds += 10
        self.turn()

    def verify_is_clean(self) -> bool:
        return Verification(self.folders, self.store.path, is_running=True).run().is_clean

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
    def call(*arguments: Any, **options: Any) -> Any:
        if next(calls) == after:
            raise OSError(5, "an injected error")
        return real(*arguments, **options)

    monkeypatch.setattr(owner, name, call)


def test_delayed_removal_spares_a_job_that_is_queued_again(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    job = shop.begin()
    refuse_once(shop.folders.taken, "release", monkeypatch)
    shop.fail(job)
    assert shop.ask("retry", job=job.id)["ok"]
    shop.pass_time()
    assert shop.folders.taken.original(job.id).path.read_text() == "the file"
    shop.receive(1, finished(shop, shop.store.get(job.id)))
    assert shop.state(job) == "done"
    assert (shop.settings.outbox / "x" / "x.txt").read_text() == "the file"


def test_retried_job_starts_after_its_failure_is_withdrawn(shop: Shop, monkeypatch):
    job = shop.begin()
    shop.fail(job)
    refuse_once(shop.folders.outbox, "withdraw", monkeypatch)
    assert shop.ask("retry", job=job.id)["ok"]
    shop.turn()
    assert shop.state(job) == "queued" and (shop.settings.outbox / "failed" / "x").is_dir()
    shop.pass_time()
    shop.fail(shop.next_job())
    assert [path.name for path in (shop.settings.outbox / "failed").iterdir()] == ["x"]


def test_retried_job_can_be_cancelled_before_its_failure_is_withdrawn(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    job = shop.begin()
    shop.fail(job)
    refuse_once(shop.folders.outbox, "withdraw", monkeypatch)
    shop.ask("retry", job=job.id)
    assert shop.ask("cancel", job=job.id)["ok"]
    assert shop.state(job) == "cancelled"
    assert [path.name for path in (shop.settings.outbox / "failed").iterdir()] == ["x"]


def test_failed_retry_leaves_nothing_behind(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    job = shop.begin()
    shop.fail(job)
    refuse_once(shop.folders.taken, "fsync_names", monkeypatch)
    refuse_once(shop.folders.taken, "release", monkeypatch, after=1)
    assert not shop.ask("retry", job=job.id)["ok"]
    shop.pass_time()
    assert shop.state(job) == "failed" and list(shop.folders.taken.job_ids()) == []


def test_result_avoids_a_folder_with_the_name_of_a_file(shop: Shop):
    stranger = shop.settings.outbox / "a"
    stranger.write_text("somebody's")
    job = shop.begin("a/x.txt")
    shop.receive(1, finished(shop, job))
    assert shop.state(job) == "done" and stranger.read_text() == "somebody's"
    assert shop.store.get(job.id).result_path == "a (2)/x"


def test_result_does_not_go_into_the_folder_of_another_result(shop: Shop):
    (shop.settings.outbox / "a").mkdir()
    (shop.settings.outbox / "a" / "result.json").write_text("{}")
    job = shop.begin("a/x.txt")
    shop.receive(1, finished(shop, job))
    assert shop.store.get(job.id).result_path == "a (2)/x"


def test_result_folder_is_numbered_if_its_name_is_taken_after_the_intent(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    job = shop.begin("a/x.txt")
    real = shop.folders.outbox.publish

    def publish_late(job: Any) -> None:
        monkeypatch.setattr(shop.folders.outbox, "publish", real)
        (shop.settings.outbox / "a").symlink_to(shop.settings.state)
        real(job)

    monkeypatch.setattr(shop.folders.outbox, "publish", publish_late)
    shop.receive(1, finished(shop, job))
    assert shop.state(job) == "done" and shop.store.get(job.id).result_path == "a (2)/x"


def alter_in_secret(shop: Shop, job: Any) -> None:
    """Change the content of an original through its second name, and put its size and time back."""
    path = shop.folders.taken.original(job.id).path
    facts, second = path.stat(), keep_second_name(shop, job)
    second.write_text("THE FILE")
    os.utime(second, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def test_file_changed_without_a_new_mtime_is_processed_again(shop: Shop):
    job = shop.begin()
    alter_in_secret(shop, job)
    shop.receive(1, finished(shop, job))
    assert shop.state(job) == "queued" and shop.store.get(job.id).sha256 == hashlib.sha256(b"THE FILE").hexdigest()
    (attempt,) = shop.store._connection.exec_driver_sql("SELECT outcome, error FROM attempts").all()
    assert tuple(attempt) == ("changed", "the file changed during processing")
    shop.receive(1, protocol.BatchDone())
    shop.receive(1, finished(shop, shop.next_job()))
    assert (shop.settings.outbox / "x" / "x.txt").read_text() == "THE FILE"


@pytest.mark.parametrize("inline_bytes", [3, 2**24])
def test_file_changed_without_a_new_mtime_can_fail(shop: Shop, monkeypatch: pytest.MonkeyPatch, inline_bytes: int):
    monkeypatch.setattr(preparation, "INLINE_BYTES", inline_bytes)
    job = shop.begin()
    alter_in_secret(shop, job)
    shop.fail(job)
    for _ in range(4):
        shop.pass_time()
    assert shop.state(job) == "failed"
    assert (shop.settings.outbox / "failed" / "x" / "x.txt").read_text() == "THE FILE"
    assert shop.store.get(job.id).sha256 == hashlib.sha256(b"THE FILE").hexdigest()


# ---------------------------------------------------------------------------------------- originals that are copied


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file counts as large: it is prepared in the background."""
    monkeypatch.setattr(preparation, "INLINE_BYTES", 3)


def keep_second_name(shop: Shop, job: Any) -> Path:
    """The owner of a dropped file has another name for it."""
    second = shop.settings.inbox.parent / "second"
    second.hardlink_to(shop.folders.taken.original(job.id).path)
    return second


def test_original_with_a_second_hard_link_is_copied(shop: Shop):
    job = shop.begin()
    second = keep_second_name(shop, job)
    shop.receive(1, finished(shop, job))
    assert shop.state(job) == "done"
    second.write_text("what its owner writes later")
    assert (shop.settings.outbox / "x" / "x.txt").read_text() == "the file"


def test_original_of_this_user_is_linked(shop: Shop):
    job = shop.begin()
    inode = shop.folders.taken.original(job.id).path.stat().st_ino
    shop.receive(1, finished(shop, job))
    assert (shop.settings.outbox / "x" / "x.txt").stat().st_ino == inode


def test_write_permission_of_others_is_removed_from_originals(shop: Shop):
    job = shop.begin()
    shop.folders.taken.original(job.id).path.chmod(0o666)
    shop.receive(1, finished(shop, job))
    assert (shop.settings.outbox / "x" / "x.txt").stat().st_mode & 0o777 == 0o644


def test_large_original_is_copied_in_the_background_before_publishing(shop: Shop, large: None):
    job = shop.begin()
    second = keep_second_name(shop, job)
    shop.receive(1, finished(shop, job))
    assert shop.state(job) == "running" and shop.background.pending == 1
    shop.turn()
    assert shop.state(job) == "done"
    second.write_text("what its owner writes later")
    assert (shop.settings.outbox / "x" / "x.txt").read_text() == "the file"
    assert list(shop.folders.taken.job_ids()) == [] and list(shop.folders.outbox.staging.iterdir()) == []


@pytest.mark.parametrize(
    ("is_copied", "sha256", "needs_sha256", "is_read"),
    [
        (True, "known", True, True),
        (True, "known", False, True),
        (False, None, True, True),
        (False, None, False, False),
    ],
)
def test_preparation_that_reads_its_file_waits_for_smaller_ones(
    shop: Shop,
    large: None,
    monkeypatch: pytest.MonkeyPatch,
    is_copied: bool,
    sha256: Any,
    needs_sha256: bool,
    is_read: bool,
):
    job = replace(shop.begin(), sha256=sha256)
    if is_copied:
        keep_second_name(shop, job)
    sizes: list[int] = []
    monkeypatch.setattr(shop.background, "run", lambda *_, size_bytes: sizes.append(size_bytes))
    original, home = shop.folders.taken.original(job.id), shop.settings.state / "home"
    ready = shop.publishing._preparations.is_ready(job, original, home, lambda: None, needs_sha256=needs_sha256)
    assert not ready and sizes == [len("the file") if is_read else 0]


@pytest.mark.parametrize("is_failure", [False, True])
def test_nothing_is_remembered_of_a_prepared_job_that_has_ended(shop: Shop, large: None, is_failure: bool):
    job = shop.begin()
    keep_second_name(shop, job)
    if is_failure:
        shop.fail(job)
    else:
        shop.receive(1, finished(shop, job))
    assert job.id in shop.publishing._preparations
    shop.turn()
    assert job.id not in shop.publishing._preparations


def test_large_original_of_a_failure_is_copied_in_the_background(shop: Shop, large: None):
    job = shop.begin()
    keep_second_name(shop, job)
    shop.fail(job)
    assert shop.state(job) == "running" and shop.background.pending == 1
    shop.turn()
    assert shop.state(job) == "failed"
    assert [path.name for path in (shop.settings.outbox / "failed").iterdir()] == ["x"]
    assert (shop.settings.outbox / "failed" / "x" / "x.txt").read_text() == "the file"


@pytest.mark.parametrize(("unsupported", "parent"), [("fail", "failed"), ("pass", ".")])
def test_large_file_without_a_recipe_is_published_once(tmp_path: Path, large: None, unsupported: str, parent: str):
    tables = {**TABLES, "inbox": {**TABLES["inbox"], "unsupported": unsupported}}
    shop = ManualDaemon(config.parse(tables, source=None, home=tmp_path))
    other = shop.settings.inbox.parent / "second"
    other.write_bytes(b"\x00\x01\x02\x03 nothing that is known")
    (shop.settings.inbox / "unknown.bin").hardlink_to(other)
    for _ in range(4):
        shop.turn()
    shop.store.close()
    assert [path.parent.parent for path in shop.settings.outbox.rglob("unknown/unknown.bin")] == [
        (shop.settings.outbox / parent).resolve()
    ]


def test_failed_copy_is_retried(shop: Shop, large: None, monkeypatch: pytest.MonkeyPatch):
    job = shop.begin()
    keep_second_name(shop, job)
    refuse_once(shop.folders.outbox, "place_original", monkeypatch)
    shop.receive(1, finished(shop, job))
    shop.turn()
    assert shop.state(job) == "running"
    for _ in range(2):
        shop.pass_time()
    assert shop.state(job) == "done"


def test_copy_that_keeps_failing_fails_only_its_job(shop: Shop, large: None, monkeypatch: pytest.MonkeyPatch):
    job = shop.begin()
    keep_second_name(shop, job)
    real = shop.folders.outbox.place_original

    def refuse(source: Path, home: Path, sha256: str | None, **options: Any) -> str | None:
        if (home / "out.txt").exists():  # of the result, not of the failure
            raise OSError(5, "an injected error")
        return real(source, home, sha256, **options)

    monkeypatch.setattr(shop.folders.outbox, "place_original", refuse)
    shop.receive(1, finished(shop, job))
    for _ in range(20):
        shop.pass_time()
    assert shop.store.get(job.id).charged == 1


def test_large_file_that_changes_during_its_copy_is_queued_again(shop: Shop, large: None):
    job = shop.begin()
    second = keep_second_name(shop, job)
    shop.receive(1, finished(shop, job))
    shop.receive(1, protocol.BatchDone())
    second.write_text("other words")
    shop.turn()
    shop.pass_time()
    again = shop.store.get(job.id)
    assert again.state in ("queued", "running") and again.size_bytes == len("other words")
    for _ in range(3):
        shop.pass_time()
    again = shop.store.get(job.id)
    assert again.sha256 == hashlib.sha256(b"other words").hexdigest()
    shop.receive(1, finished(shop, again))
    shop.turn()
    assert shop.state(job) == "done" and (shop.settings.outbox / "x" / "x.txt").read_text() == "other words"


def test_prompt_that_grows_after_the_take_is_omitted(shop: Shop):
    second = shop.settings.inbox.parent / "second"
    second.write_text("What?")
    (shop.settings.inbox / "x.txt.prompt").hardlink_to(second)
    job = shop.begin()
    os.truncate(second, 10 * 2**30)  # its owner still has a name for it
    shop.receive(1, finished(shop, job))
    assert shop.state(job) == "done"
    assert sorted(path.name for path in (shop.settings.outbox / "x").iterdir()) == ["out.txt", "result.json", "x.txt"]


def test_preparation_of_an_earlier_attempt_is_repeated(shop: Shop, large: None, monkeypatch: pytest.MonkeyPatch):
    job = shop.begin()
    second = keep_second_name(shop, job)
    with monkeypatch.context() as patch:

        def refuse(*_: Any, **__: Any) -> None:
            raise OSError(5, "an injected error")

        patch.setattr(shop.folders.outbox, "stage", refuse)  # the original is copied, then its result is refused
        shop.receive(1, finished(shop, job))
        shop.receive(1, protocol.BatchDone())
        for _ in range(12):
            shop.pass_time()
        assert shop.store.get(job.id).charged == 1
    second.unlink()  # the next attempt can link the original
    shop.clock.seconds += 100
    shop.receive(1, finished(shop, shop.next_job()))
    shop.turn()
    assert shop.state(job) == "done" and list(shop.folders.taken.job_ids()) == []
    assert (shop.settings.outbox / "x" / "x.txt").read_text() == "the file"


def test_missing_output_of_a_prepared_result_fails_only_its_job(shop: Shop, large: None):
    job = shop.begin()
    keep_second_name(shop, job)
    absent = {"name": "absent.txt", "sha256": "0" * 64, "size_bytes": 1}
    shop.receive(1, replace(finished(shop, job), files=[absent]))
    for _ in range(4):
        shop.pass_time()
    assert shop.state(job) == "failed"
    assert (shop.settings.outbox / "failed" / "x" / "x.txt").read_text() == "the file"


def test_large_file_is_fetched_back_in_the_background(shop: Shop, large: None):
    job = shop.begin()
    shop.fail(job)
    shop.turn()
    assert shop.ask("retry", job=job.id)["ok"]
    assert shop.state(job) == "failed"
    refused = shop.ask("retry", job=job.id)
    assert not refused["ok"] and "being processed" in refused["error"]
    shop.turn()
    assert shop.state(job) in ("queued", "running")
    shop.receive(1, finished(shop, shop.store.get(job.id)))
    shop.turn()
    assert shop.state(job) == "done"


def test_large_file_that_cannot_be_fetched_back_stays_failed(shop: Shop, large: None):
    job = shop.begin()
    shop.fail(job)
    shop.turn()
    (shop.settings.outbox / "failed" / "x" / "x.txt").unlink()
    assert shop.ask("retry", job=job.id)["ok"]
    shop.turn()
    assert shop.state(job) == "failed" and list(shop.folders.taken.job_ids()) == []


@pytest.mark.parametrize("when", ["in the middle of the copy", "at its fsync", "before its row is written"])
@pytest.mark.parametrize("is_sweep_refused", [False, True])
def test_disk_that_fills_up_while_a_large_file_is_fetched_back_loses_nothing(
    shop: Shop, large: None, monkeypatch: pytest.MonkeyPatch, when: str, is_sweep_refused: bool
):
    (shop.settings.inbox / "x.txt.prompt").write_text("What?")
    job = shop.begin()
    shop.fail(job)
    shop.turn()
    failed = shop.settings.outbox / "failed" / "x"
    (original,) = failed.rglob("x.txt")
    (shop.settings.state / "second").hardlink_to(original)  # so that it is copied

    def no_space(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(original))

    def half(reader: int, writer: int) -> None:
        os.write(writer, b"the ")
        no_space()

    with monkeypatch.context() as patch:
        if when == "in the middle of the copy":
            patch.setattr(copies, "_clone", lambda *_: False)
            patch.setattr(copies, "_copy_data", half)
        elif when == "at its fsync":
            patch.setattr(shop.folders.taken, "fsync_names", no_space)
        else:
            patch.setattr(shop.store, "reopen", no_space)
        if is_sweep_refused:
            refuse_once(shop.folders.taken, "release", patch, after=1)
        assert shop.ask("retry", job=job.id)["ok"]
        shop.turn()
        assert shop.state(job) == "failed" and original.read_text() == "the file"
    shop.pass_time()
    assert list(shop.folders.taken.job_ids()) == [] and shop.verify_is_clean()
    assert shop.ask("retry", job=job.id)["ok"]
    shop.turn()
    again = shop.store.get(job.id)
    assert shop.folders.taken.original(job.id).path.read_text() == "the file" and not failed.exists()
    shop.receive(1, finished(shop, again))
    shop.turn()
    assert shop.state(job) == "done" and shop.verify_is_clean()


def test_job_is_not_cancelled_while_its_result_is_copied(shop: Shop, large: None):
    job = shop.begin()
    keep_second_name(shop, job)
    shop.receive(1, finished(shop, job))
    assert not shop.ask("cancel", job=job.id)["ok"]
    shop.turn()
    assert shop.state(job) == "done"


@pytest.fixture
def giant(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A job whose large file is not hashed yet, and, if anything reads it, never will be."""
    monkeypatch.setattr(preparation, "INLINE_BYTES", 3)
    monkeypatch.setattr(regular_files, "HASH_INLINE_BYTES", 3)
    (shop.settings.inbox / "x.txt").write_text("the file")
    shop.turn()
    (job,) = shop.store.open_jobs()
    assert (job.state, job.sha256) == ("queued", None)
    return job


def test_cancelled_file_without_a_checksum_is_linked_and_synced_but_not_read(
    shop: Shop, giant: Any, monkeypatch: pytest.MonkeyPatch
):
    synced, real = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(os.readlink(f"/proc/self/fd/{file}")), real(file)))
    with monkeypatch.context() as patch:
        patch.setattr(regular_files, "sha256_of", lambda *_, **__: pytest.fail("it was read"))
        path = str(shop.folders.taken.original(giant.id).path)
        assert shop.ask("cancel", job=giant.id)["ok"]
        shop.guard(shop.background.turn)
        assert (shop.state(giant), shop.store.get(giant.id).sha256) == ("cancelled", None) and path in synced
    failed = shop.settings.outbox / "failed" / "x"
    assert (failed / "x.txt").read_text() == "the file"
    assert json.loads((failed / "error.json").read_text())["sha256"] is None
    assert shop.verify_is_clean()


@pytest.mark.parametrize("is_changed", [False, True])
def test_file_cancelled_without_a_checksum_can_be_retried_if_its_size_is_the_same(
    shop: Shop, giant: Any, is_changed: bool
):
    shop.ask("cancel", job=giant.id)
    shop.turn()
    if is_changed:
        (shop.settings.outbox / "failed" / "x" / "x.txt").write_text("another file")
    assert shop.ask("retry", job=giant.id)["ok"]
    shop.turn()
    job = shop.store.get(giant.id)
    assert (job.state == "queued") is not is_changed
    assert job.sha256 == (None if is_changed else hashlib.sha256(b"the file").hexdigest())


def test_cancelled_job_does_not_start_while_its_file_is_copied_nor_after_a_restart(shop: Shop, giant: Any):
    keep_second_name(shop, giant)
    assert shop.ask("cancel", job=giant.id)["ok"]
    assert "Cancelled" in shop.ask("status")["waiting"][0]["for"]
    shop.ask("probe")
    assert "Cancelled" in shop.store.get(giant.id).waiting_for
    shop.die()
    again = Shop(shop.settings.inbox.parent)
    for _ in range(2):
        again.turn()
    assert again.state(giant) == "cancelled" and again.verify_is_clean()
    assert (again.settings.outbox / "failed" / "x" / "x.txt").read_text() == "the file"
    again.store.close()


@pytest.mark.parametrize("until", ["its worker is killed", "its file is copied", "the daemon stops"])
def test_cancellation_of_a_running_job_outlives_a_restart(shop: Shop, large: None, until: str):
    job = shop.begin()
    keep_second_name(shop, job)
    assert shop.ask("cancel", job=job.id)["ok"]
    if until == "its file is copied":
        shop.exit_worker(1)
        assert shop.state(job) == "running" and shop.background.pending == 1
    if until == "the daemon stops":
        shop.stop()
    else:
        shop.die()
    again = Shop(shop.settings.inbox.parent)
    for _ in range(2):
        again.turn()
    assert again.state(job) == "cancelled" and not list(again.workers) and again.verify_is_clean()
    assert (again.settings.outbox / "failed" / "x" / "x.txt").read_text() == "the file"
    again.store.close()


def test_cancellation_of_a_running_job_outlives_a_pause(shop: Shop):
    job = shop.begin()
    assert shop.ask("cancel", job=job.id)["ok"] and shop.ask("pause", now=True)["ok"]
    shop.exit_worker(1)
    shop.do("probe")
    assert shop.state(job) == "cancelled" and shop.verify_is_clean()


# ---------------------------------------------------------------------------------------- what a result holds


def _result(shop: Shop, name: str = "x") -> dict[str, Any]:
    return json.loads((shop.settings.outbox / name / "result.json").read_text())


@pytest.mark.parametrize(
    ("originals", "path"), [("keep", "x.txt"), ("archive", "archive:a/{}/x.txt"), ("delete", None)], ids=str
)
def test_original_is_handled_by_the_policy_of_its_folder(tmp_path: Path, originals: str, path: str | None):
    shop = Shop(tmp_path, originals)
    job = shop.begin("a/x.txt")
    shop.receive(1, finished(shop, job))
    assert shop.state(job) == "done" and list(shop.folders.taken.job_ids()) == []
    where = path and path.format(job.id)
    assert _result(shop, "a/x")["original"] == {"policy": originals, "path": where}
    places = {
        "keep": shop.settings.outbox / "a" / "x" / "x.txt",
        "archive": shop.settings.state / "archive" / "a" / job.id / "x.txt",
    }
    assert {name for name, place in places.items() if place.exists()} == {originals} & places.keys()
    shop.store.close()


def test_archived_original_of_the_top_folder_has_no_folder_in_its_path(tmp_path: Path):
    shop = Shop(tmp_path, "archive")
    job = shop.begin()
    shop.receive(1, finished(shop, job))
    assert _result(shop)["original"]["path"] == f"archive:{job.id}/x.txt"
    assert (shop.settings.state / "archive" / job.id / "x.txt").exists()
    shop.store.close()


def _interrupt_after_archiving(shop: Shop, name: str) -> Any:
    """A job whose original, with its sidecar, was archived by an attempt that then ended without a result."""
    (shop.settings.inbox / "a").mkdir()
    (shop.settings.inbox / f"{name}.prompt").write_text("a question")
    job = shop.begin(name)
    shop.folders.outbox.archive_original(job, shop.folders.original(job.id, job.path))
    return job


def _archived(shop: Shop) -> list[str]:
    return sorted(path.name for path in (shop.settings.state / "archive").rglob("*") if path.is_file())


def test_original_of_a_failure_is_not_left_in_the_archive(tmp_path: Path):
    shop = Shop(tmp_path, "archive")
    job = _interrupt_after_archiving(shop, "a/x.txt")
    shop.fail(job)
    folder = shop.settings.outbox / "failed" / "a" / "x"
    assert (folder / "x.txt").read_text() == "the file" and (folder / "x.txt.prompt").exists()
    assert _archived(shop) == [] and list((shop.settings.state / "archive").iterdir()) == []
    shop.store.close()


@pytest.mark.parametrize("together", [True, False], ids=["in a group", "alone"])
def test_original_is_not_left_in_the_archive_under_another_policy(tmp_path: Path, together: bool):
    shop = Shop(tmp_path, "keep")
    job = _interrupt_after_archiving(shop, "a/x.txt")
    if together:
        (shop.folders.taken.path / job.id / "a" / "x.txt.prompt").unlink()
    shop.receive(1, finished(shop, job))
    assert (shop.settings.outbox / "a" / "x" / "x.txt").read_text() == "the file" and _archived(shop) == []
    shop.store.close()


def test_archive_keeps_an_original_that_is_nowhere_else(tmp_path: Path):
    shop = Shop(tmp_path, "archive")
    job = _interrupt_after_archiving(shop, "a/x.txt")
    for path in (shop.folders.taken.path / job.id / "a").iterdir():
        path.unlink()
    shop.fail(job)
    assert shop.state(job) == "failed" and _archived(shop) == ["x.txt", "x.txt.prompt"]
    shop.store.close()


def test_row_of_a_result_contains_what_its_worker_reported(shop: Shop):
    job = shop.begin()
    told = {"excerpt": "words " * 200, "review": ["look"], "pages": 3, "media_seconds": 1.5}
    shop.receive(1, replace(finished(shop, job), **told))
    row = shop.store.get(job.id)
    assert (row.review, row.pages, row.media_seconds, row.result_path) == (("look",), 3, 1.5, "x")
    assert row.excerpt == told["excerpt"][:500] and row.interruptions == 0 and row.error is None
    assert _result(shop)["excerpt"] == told["excerpt"]


def test_result_after_an_earlier_failure_has_no_error(shop: Shop):
    job = shop.begin()
    shop.fail(job)
    assert shop.ask("retry", job=job.id)["ok"]
    shop.receive(1, finished(shop, shop.next_job()))
    row = shop.store.get(job.id)
    assert (row.state, row.error, row.error_kind, row.result_path) == ("done", None, None, "x")
    assert not (shop.settings.outbox / "failed" / "x").exists()


@pytest.mark.parametrize("lie", ["absent", "shorter"])
def test_result_without_a_reported_output_is_not_published(shop: Shop, lie: str):
    job = shop.begin()
    said = finished(shop, job)
    output = shop.folders.outbox.staging / job.staging_name() / "out.txt"
    output.unlink() if lie == "absent" else output.write_text("")
    shop.receive(1, said)
    assert shop.state(job) == "queued" and shop.store.get(job.id).charged == 1
    assert [path.name for path in shop.settings.outbox.iterdir() if path.name[0] != "."] == ["failed"]


def test_failure_contains_no_outputs_of_its_attempts(shop: Shop):
    job = shop.begin()
    finished(shop, job)  # the output is there, the report never came
    shop.fail(job)
    failed = sorted(path.name for path in (shop.settings.outbox / "failed" / "x").iterdir())
    assert failed == ["error.json", "error.txt", "x.txt"]


# ---------------------------------------------------------------------------------------- files that change meanwhile


def test_result_of_a_file_that_grew_meanwhile_is_discarded(shop: Shop):
    job = shop.begin()
    shop.folders.taken.original(job.id).path.write_text("more of the file")
    shop.receive(1, finished(shop, job))
    row = shop.store.get(job.id)
    assert (row.state, row.charged, row.size_bytes) == ("queued", 0, len("more of the file"))
    assert row.sha256 == hashlib.sha256(b"more of the file").hexdigest()
    shop.receive(1, protocol.BatchDone())
    shop.receive(1, finished(shop, shop.next_job()))
    assert (shop.settings.outbox / "x" / "x.txt").read_text() == "more of the file"
    assert _result(shop)["sha256"] == row.sha256


def test_file_of_the_same_size_but_another_time_has_changed(shop: Shop):
    job = shop.begin()
    os.utime(shop.folders.taken.original(job.id).path, ns=(1, 10**18))
    shop.receive(1, finished(shop, job))
    assert shop.state(job) == "queued" and shop.store.get(job.id).mtime_ns == 10**18


def test_failure_of_a_file_that_grew_describes_its_current_content(shop: Shop):
    job = shop.begin()
    shop.folders.taken.original(job.id).path.write_text("more of the file")
    shop.fail(job)
    failed = json.loads((shop.settings.outbox / "failed" / "x" / "error.json").read_text())
    assert failed["sha256"] == shop.store.get(job.id).sha256 == hashlib.sha256(b"more of the file").hexdigest()
    assert failed["original"] == {"path": "x.txt"} and failed["error"] == "It is broken."


def test_removed_original_fails_its_job_with_the_reason(shop: Shop):
    job = shop.begin()
    shop.folders.taken.original(job.id).path.unlink()
    shop.receive(1, finished(shop, job))
    failed = json.loads((shop.settings.outbox / "failed" / "x" / "error.json").read_text())
    assert failed["original"] is None and "removed from inbox/.taken" in failed["error"]
    assert shop.state(job) == "failed" and not (shop.settings.outbox / "x").exists()


def test_file_that_somebody_put_beside_an_original_returns_to_the_inbox(shop: Shop):
    job = shop.begin("a/x.txt")
    beside = shop.folders.taken.original(job.id).path.with_name("y.txt")
    beside.write_text("another file")
    shop.receive(1, finished(shop, job))
    assert shop.state(job) == "done" and (shop.settings.outbox / "a" / "x" / "x.txt").read_text() == "the file"
    assert (shop.settings.inbox / "a" / "y.txt").read_text() == "another file"


def test_file_that_somebody_put_beside_an_original_returns_before_the_job_starts(shop: Shop):
    first = shop.begin("x.txt")
    (shop.settings.inbox / "y.txt").write_text("the second file")
    shop.check_inbox()
    (second,) = (job for job in shop.store.open_jobs() if job.id != first.id)
    (shop.folders.taken.path / second.id / "deep").mkdir()
    (shop.folders.taken.path / second.id / "deep" / "y.txt").write_text("another file")
    shop.fail(first)
    assert shop.next_job().id == second.id
    assert (shop.settings.inbox / "deep" / "y.txt").read_text() == "another file"


@pytest.mark.parametrize("end", ["fail", "finish", "cancel"])
def test_files_among_which_no_original_is_found_return_to_the_inbox(shop: Shop, end: str):
    job = shop.begin("x.txt")
    original = shop.folders.taken.original(job.id).path
    original.rename(original.with_name("renamed.txt"))
    original.with_name("y.txt").write_text("another file")
    if end == "cancel":
        shop.publishing.cancel(job)
    elif end == "fail":
        shop.publishing.give_up(job, "bad_input", "It is broken.")
    else:
        shop.receive(1, finished(shop, job))
    assert shop.store.get(job.id).state.is_final and not shop.folders.taken.has(job.id)
    assert (shop.settings.inbox / "renamed.txt").read_text() == "the file"
    assert (shop.settings.inbox / "y.txt").read_text() == "another file"
    note = (shop.settings.outbox / "failed" / "x" / "error.txt").read_text()
    assert "in this folder" not in note and "Submit the file again" in note


def test_file_that_appears_after_publishing_returns_to_the_inbox(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    job = shop.begin()
    original = shop.folders.taken.original(job.id).path
    refuse_once(shop.folders.taken, "release", monkeypatch)
    shop.receive(1, finished(shop, job))
    shop.end_batch()
    original.with_name("y.txt").write_text("another file")
    shop.pass_time()
    assert shop.state(job) == "done" and not shop.folders.taken.has(job.id)
    copies = [path for path in (shop.settings.inbox).rglob("y.txt") if path.read_text() == "another file"]
    assert len(copies) == 1


# ---------------------------------------------------------------------------------------- outcomes that come too late


def test_late_outcome_touches_neither_the_job_nor_the_staging_of_its_next_attempt(shop: Shop):
    stale = shop.begin()
    shop.store.requeue(stale, outcome="timeout")
    fresh = shop.store.start([shop.store.get(stale.id)], processor="plaintext", worker_pid=1)[0]
    (shop.folders.outbox.prepare_attempt(fresh) / "out.txt").write_text("of the next attempt")
    shop.publishing.publish_result(
        FinishedAttempt(job=stale, finished=finished(shop, stale), made_by={}, on_give_up=pytest.fail)
    )
    shop.publishing.give_up(stale, "error", "It broke.")
    assert shop.store.get(stale.id) == fresh
    staged = shop.folders.outbox.staging / fresh.staging_name() / "out.txt"
    assert staged.read_text() == "of the next attempt"
    assert [path.name for path in shop.settings.outbox.iterdir() if path.name[0] != "."] == ["failed"]


def test_outcome_whose_intent_was_committed_is_published_once(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    job = shop.begin()
    with monkeypatch.context() as patch:
        patch.setattr(shop.publishing._completion, "complete", lambda _: None)
        shop.receive(1, finished(shop, job))
    assert shop.state(job) == "publishing"
    shop.publishing.give_up(job, "error", "It broke.")
    assert shop.state(job) == "done" and (shop.settings.outbox / "x" / "x.txt").exists()
    assert list((shop.settings.outbox / "failed").iterdir()) == []
    shop.publishing.complete(shop.store.get(job.id))
    assert shop.state(job) == "done"


def test_job_whose_end_was_committed_although_an_error_was_reported_is_released(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    job, finish = shop.begin(), shop.store.finish

    def finish_and_fail(publishing: Any) -> Any:
        monkeypatch.undo()
        finish(publishing)
        raise OSError(5, "an injected error")

    monkeypatch.setattr(shop.store, "finish", finish_and_fail)
    shop.receive(1, finished(shop, job))
    assert shop.state(job) == "done" and list(shop.folders.taken.job_ids()) == [job.id]
    shop.pass_time()
    assert list(shop.folders.taken.job_ids()) == []


@pytest.mark.parametrize(
    ("part", "name"), [("outbox", "publish"), ("outbox", "fsync_results"), ("store", "finish"), ("taken", "release")]
)
@pytest.mark.parametrize("is_failure", [False, True])
def test_unexpected_error_after_the_intent_is_reported_and_retried(
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    part: str,
    name: str,
    is_failure: bool,
):
    owner = {"outbox": shop.folders.outbox, "taken": shop.folders.taken, "store": shop.store}[part]
    job = shop.begin()
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, lambda *_, **__: 1 / 0)
        if is_failure:
            shop.fail(job)
        else:
            shop.receive(1, finished(shop, job))
            shop.end_batch()
        for _ in range(10):
            shop.pass_time()
        assert "internal error" in shop.ask("status")["storage_problem"]
        tracebacks = [record for record in caplog.records if record.exc_info]
        assert 1 <= len(tracebacks) <= 2, "not at each retry"
        (shop.settings.inbox / "y.txt").write_text("another")
        shop.check_inbox()
        assert shop.next_job().name == "y.txt", "others go on"
    shop.pass_time()
    assert shop.state(job) == ("failed" if is_failure else "done") and shop.verify_is_clean()
    assert job.id not in list(shop.folders.taken.job_ids())
    assert shop.ask("status")["storage_problem"] is None


def test_unexpected_error_in_the_withdrawal_of_a_failure_is_retried(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    job = shop.begin()
    shop.fail(job)
    with monkeypatch.context() as patch:
        patch.setattr(shop.folders.outbox, "withdraw", lambda _: 1 / 0)
        assert shop.ask("retry", job=job.id)["ok"]
        shop.pass_time()
        assert shop.state(job) == "queued", "it waits for the removal of its failure"
    shop.pass_time()
    assert shop.state(job) == "running" and list((shop.settings.outbox / "failed").iterdir()) == []


def test_unexpected_error_in_the_return_to_the_queue_is_retried(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    job = shop.begin()
    with monkeypatch.context() as patch:
        patch.setattr(shop.store, "requeue", lambda *_, **__: 1 / 0)
        shop.exit_worker(1)
        assert shop.state(job) == "running"
    shop.pass_time()
    assert shop.state(job) == "queued" and shop.store.get(job.id).charged == 1


def test_unexpected_error_after_the_intent_of_a_step_that_waits_for_a_disk_is_retried(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    job = shop.begin()
    refuse_once(shop.folders.outbox, "publish", monkeypatch)
    shop.receive(1, finished(shop, job))
    with monkeypatch.context() as patch:
        patch.setattr(shop.folders.outbox, "publish", lambda _: 1 / 0)
        shop.pass_time()
    assert shop.state(job) == "publishing"
    shop.pass_time()
    assert shop.state(job) == "done"


def test_leftovers_are_removed_when_a_job_ends(shop: Shop):
    job = shop.begin()
    (shop.folders.checkpoints / job.id).mkdir(parents=True)
    shop.publishing._completion.release(job.id)
    assert shop.folders.taken.original(job.id).path.exists(), "it has not ended"
    (shop.folders.outbox.staging / f"{job.id}.0").mkdir()
    shop.receive(1, finished(shop, job))
    assert list(shop.folders.taken.job_ids()) == []
    assert list(shop.folders.outbox.staging.iterdir()) == list(shop.folders.checkpoints.iterdir()) == []
