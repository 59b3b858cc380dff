"""What the daemon answers to commands that are wrong, that fail inside, or that a disk does not allow now."""

import errno
import logging
from pathlib import Path
from typing import Any

import pytest
from manual_parts import Clock, House

from daemon import config
from daemon.core.errors import StartOver, StorageError
from daemon.core.job import JobState
from processors import protocol
from processors.contract import FailureKind

TABLES = {"inbox": {"text": "count", "settle_seconds": 0.0}, "recipes": {"count": {"processor": "plaintext"}}}
INTERNAL, STORAGE = 70, 74


@pytest.fixture
def house(tmp_path: Path):
    made = House(config.parse(TABLES, source=None, home=tmp_path), Clock())
    yield made
    made.store.close()


def _drop(house: House, *names: str) -> None:
    for name in names:
        (house.settings.inbox / name).write_text(name)
    house.intake.look_everywhere(house.clock.seconds)
    for _ in range(3):
        house.turn()
        house.clock.seconds += 1


def _running(house: House) -> Any:
    _drop(house, "x.txt")
    house.hear(1, protocol.WorkerLoaded(engine="hand", model="m", device="cpu", seconds=0.0))
    house.turn()
    (worker,) = house.workers
    (job,) = worker.jobs.values()
    return job


def _fail_next(house: House) -> Any:
    (worker,) = house.workers
    house.turn()
    (job,) = worker.jobs.values()
    house.hear(1, protocol.WorkFailed(job=job.id, attempt=job.attempt, kind=FailureKind.BAD_INPUT, message="Broken."))
    house.hear(1, protocol.BatchDone())
    return house.store.get(job.id)


def _no_room(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "/somewhere")


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("explode", {}),
        ("status", {"verbose": True}),
        ("cancel", {}),
        ("cancel", {"job": 5}),
        ("cancel", {"job": None}),
        ("retry", {"job": ["x"]}),
        ("prune", {"dry_run": 0}),
        ("pause", {"reason": {"a": 1}}),
    ],
)
def test_wrong_question_is_refused_before_anything_is_done(command: str, arguments: dict, house: House):
    answer = house.ask(command, **arguments)
    assert answer["ok"] is False and "different versions" in answer["fix"], answer


@pytest.mark.parametrize("command", ["retry", "cancel"])
def test_id_that_is_no_text_is_the_id_of_no_job(command: str, house: House):
    answer = house.ask(command, job="\ud800")
    assert answer["ok"] is False and answer["error"].startswith("No job's id begins with"), answer


def test_fault_in_a_handler_is_logged_and_answered_as_an_internal_error(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken() -> list[Any]:
        return None + 1  # type: ignore[operator]

    monkeypatch.setattr(house.store, "waiting", broken)
    with caplog.at_level(logging.ERROR):
        answer = house.ask("status")
    assert answer["ok"] is False and answer["exit_code"] == INTERNAL
    assert "Internal error" in answer["error"] and "TypeError" not in answer["error"]
    assert "different versions" not in answer["fix"] and "journalctl" in answer["fix"]
    assert "unsupported operand" in caplog.text and "Traceback" in caplog.text
    monkeypatch.undo()
    assert house.ask("status")["ok"], "the daemon goes on"


def test_start_that_must_be_made_again_is_answered_and_passed_on(house: House, monkeypatch: pytest.MonkeyPatch):
    def gone(_: str) -> None:
        raise StartOver("The job log was removed.")

    monkeypatch.setattr(house.store, "find", gone)
    with pytest.raises(StartOver):
        house.ask("cancel", job="abcd")


def test_cancelling_a_queued_job_says_that_it_waits_for_a_disk_and_is_done_then(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    _running(house)
    _drop(house, "y.txt")
    (queued,) = house.store.find(next(job.id for job in house.store.open_jobs() if job.state is JobState.QUEUED))
    monkeypatch.setattr(house.folders.outbox, "stage", _no_room)
    answer = house.ask("cancel", job=queued.id)
    assert answer["ok"] and "No space left" in answer["waits_for"]
    assert house.store.get(queued.id).state is JobState.QUEUED
    monkeypatch.undo()
    house.clock.seconds += 10
    house.turn()
    assert house.store.get(queued.id).state is JobState.CANCELLED


def test_job_that_starts_before_its_cancellation_can_be_recorded_is_cancelled_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    """Only outbox/failed cannot be written, so that other work goes on, and this job begins."""
    first = _running(house)
    _drop(house, "y.txt")
    queued = next(job for job in house.store.open_jobs() if job.id != first.id)
    monkeypatch.setattr(house.folders.outbox, "stage", _no_room)
    assert house.ask("cancel", job=queued.id)["waits_for"]
    monkeypatch.undo()
    (worker,) = house.workers
    house.hear(
        1, protocol.WorkFailed(job=first.id, attempt=first.attempt, kind=FailureKind.BAD_INPUT, message="Broken.")
    )
    house.hear(1, protocol.BatchDone())
    house.dispatch.feed()
    assert house.store.get(queued.id).state is JobState.RUNNING
    house.clock.seconds += 10
    house.turn()
    house.bury(worker.number)
    assert house.store.get(queued.id).state is JobState.CANCELLED


def test_cancelling_a_running_job_says_that_a_disk_is_full(house: House, monkeypatch: pytest.MonkeyPatch):
    job = _running(house)
    monkeypatch.setattr("daemon.files.disk_retry._probe", _no_room)
    answer = house.ask("cancel", job=job.id)
    assert answer["ok"] and "No space left" in answer["waits_for"]
    monkeypatch.undo()
    house.clock.seconds += 10
    house.turn()
    assert house.ask("status")["storage_problem"] is None


def test_cancel_that_is_carried_out_waits_for_nothing(house: House):
    job = _running(house)
    assert house.ask("cancel", job=job.id) == {"ok": True, "cancelled": job.id, "waits_for": None}


def test_retry_of_all_stops_at_a_full_disk_and_says_what_it_did(house: House, monkeypatch: pytest.MonkeyPatch):
    _running(house)
    _drop(house, "y.txt", "z.txt")
    failed = [_fail_next(house) for _ in range(3)]
    real, calls = house.store.reopen, []

    def reopen(job: Any) -> Any:
        calls.append(job.id)
        if len(calls) > 1:
            raise StorageError("The job log is full.", "Free some space.")
        return real(job)

    monkeypatch.setattr(house.store, "reopen", reopen)
    answer = house.ask("retry", failed=True)
    assert answer["ok"] and len(answer["retried"]) == 1
    refused = [each["job"] for each in answer["refused"]]
    assert sorted([*answer["retried"], *refused]) == sorted(job.id for job in failed)
    assert all("The job log is full" in each["why"] for each in answer["refused"])
    assert len(calls) == 2, "the third would fail, too"
    for each in answer["refused"]:
        job = house.store.get(each["job"])
        assert job.state is JobState.FAILED
        assert (house.settings.outbox / job.result_path / job.name).read_text() == job.name


def test_retry_of_one_at_a_full_disk_is_refused_with_the_reason(house: House, monkeypatch: pytest.MonkeyPatch):
    _running(house)
    job = _fail_next(house)
    monkeypatch.setattr(house.folders, "fetch_back", _no_room)
    answer = house.ask("retry", job=job.id)
    assert answer["ok"] is False and answer["exit_code"] == STORAGE
    assert "No space left" in answer["error"] and "space" in answer["error"]
    assert house.store.get(job.id).state is JobState.FAILED


def test_recipe_of_a_job_that_is_queued_again_is_set_though_the_disk_fills_up(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    _running(house)
    job = _fail_next(house)

    def refuses(*_: Any, **__: Any) -> None:
        raise StorageError("The job log is full.")

    monkeypatch.setattr(house.store, "reassign", refuses)
    assert house.ask("retry", job=job.id)["retried"] == [job.id]
    assert house.store.get(job.id).state is not JobState.FAILED
