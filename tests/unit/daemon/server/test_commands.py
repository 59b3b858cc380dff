"""The replies to commands, also to those that are wrong, that fail inside, or that a disk does not allow now."""

import errno
import json
import logging
import os
import queue
from pathlib import Path
from typing import Any

import pytest
from factories import make_job
from manual_daemon import ManualDaemon

from daemon import config
from daemon.cli.views import problem_lines
from daemon.core.errors import StartOver, StorageError
from daemon.core.job import JobState
from daemon.core.messages import Request
from daemon.queue.reader import JobLog
from daemon.recovery.retention import Removal
from daemon.server.api import StatusReply
from processors import protocol
from processors.contract import FailureKind

TABLES = {
    "inbox": {"text": "count", "settle_seconds": 0.0},
    "recipes": {"count": {"processor": "plaintext"}},
    "processors": {"plaintext": {"max_batch": 1}},
}
INTERNAL, STORAGE = 70, 74


@pytest.fixture
def daemon(tmp_path: Path):
    made = ManualDaemon(config.parse(TABLES, source=None, home=tmp_path))
    yield made
    made.store.close()


def _drop(daemon: ManualDaemon, *names: str) -> None:
    for name in names:
        (daemon.settings.inbox / name).write_text(name)
    daemon.intake.check_all(daemon.clock.seconds)
    for _ in range(3):
        daemon.turn()
        daemon.clock.seconds += 1


def _running(daemon: ManualDaemon) -> Any:
    _drop(daemon, "x.txt")
    daemon.load()
    daemon.turn()
    (worker,) = daemon.workers
    (job,) = worker.jobs.values()
    return job


def _fail_next(daemon: ManualDaemon) -> Any:
    (worker,) = daemon.workers
    daemon.turn()
    (job,) = worker.jobs.values()
    daemon.fail(1, job, FailureKind.BAD_INPUT)
    daemon.end_batch()
    return daemon.store.get(job.id)


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
        ("events", {"after": -1}),
        ("events", {"after": -(2**70)}),
    ],
)
def test_wrong_request_is_refused_before_anything_is_done(command: str, arguments: dict, daemon: ManualDaemon):
    answer = daemon.ask(command, **arguments)
    assert answer["ok"] is False and "different versions" in answer["fix"], answer


@pytest.mark.parametrize("command", ["cancel", "retry"])
def test_prefix_that_is_longer_than_any_id_matches_no_job(command: str, daemon: ManualDaemon):
    answer = daemon.ask(command, job="a" * 60_000)
    assert "No job id begins" in answer["error"] and len(answer["error"]) < 100


def test_name_of_an_unknown_command_is_shortened_in_the_refusal(daemon: ManualDaemon):
    assert len(daemon.ask("x" * 60_000)["error"]) < 100


@pytest.mark.parametrize(("reason", "shown"), [("", "Paused: "), ("a game\x07", r"Paused (a game\x07): ")])
def test_pause_is_shown_with_its_reason_if_there_is_one(reason: str, shown: str, daemon: ManualDaemon):
    daemon.ask("pause", reason=reason)
    assert daemon.ask("status")["closed"].startswith(shown)


@pytest.mark.parametrize(
    ("command", "keys"),
    [
        ("probe", set()),
        ("resume", {"closed"}),
        ("pause", {"running"}),
        ("prune", {"removed", "counts", "first", "rest"}),
        ("events", {"pid", "events", "last", "has_more", "running", "workers"}),
        (
            "status",
            {"version", "pid", "uptime_seconds", "inbox", "outbox", "jobs", "running", "workers", "waiting", "closed"}
            | {"config_problem", "backup_problem", "metrics_problem", "storage_problem"}
            | {"left_in_inbox", "ignored_in_inbox", "unplaced", "watch_problems", "not_shown", "devices", "cluster"},
        ),
        (
            "metrics",
            {"version", "pid", "uptime_seconds", "unclaimed", "oldest_unclaimed_ns", "left_in_inbox", "polled_folders"}
            | {"claims", "workers", "worker_starts", "worker_ends", "parked", "devices"}
            | {"closed", "storage_problem", "config_problem"},
        ),
    ],
)
def test_replies_have_the_fields_that_other_versions_know(command: str, keys: set[str], daemon: ManualDaemon):
    answer = daemon.ask(command)
    assert answer.keys() == {"ok"} | keys and answer["ok"]
    assert json.loads(json.dumps(answer)) == answer


def test_jobs_that_wait_are_grouped_by_what_they_wait_for(daemon: ManualDaemon):
    _running(daemon)
    _drop(daemon, "y.txt", "z.txt")
    for name in ("y.txt", "z.txt"):
        (job,) = [job for job in daemon.store.open_jobs() if job.name == name]
        daemon.store.park([job.id], "The weights are missing.")
    (group,) = daemon.ask("status")["waiting"]
    assert (group["for"], group["count"], sorted(group["files"])) == ("The weights are missing.", 2, ["y.txt", "z.txt"])


def test_status_of_very_many_files_that_wait_or_stay_is_short_and_complete_in_number(daemon: ManualDaemon):
    _running(daemon)
    waiting = [make_job(waiting_for="The weights are missing.", name=f"{n:05}.txt") for n in range(2000)]
    daemon.store.insert([*waiting, *(make_job(waiting_for=f"Reason {n}.") for n in range(500))])
    inbox = daemon.settings.inbox
    daemon.intake.left.update({inbox / f"{n}.txt": "It has no prompt." for n in range(100_000)})
    daemon.intake.unplaced.update({f"{n}": "It was lost." for n in range(1_000)})
    answer = daemon.ask("status")
    assert len(json.dumps(answer)) < 200_000
    first, *others = answer["waiting"]
    assert (first["for"], first["count"]) == ("The weights are missing.", 2000)
    assert first["files"] == [job.name for job in waiting[:5]] and len(others) == 99
    assert list(answer["left_in_inbox"].items())[:2] == [("0.txt", "It has no prompt."), ("1.txt", "It has no prompt.")]
    for name, total in (("left_in_inbox", 100_000), ("unplaced", 1_000)):
        assert len(answer[name]) + answer["not_shown"][name] == total
    lines = [str(line) for line in problem_lines(StatusReply.model_validate(answer))]
    assert "  left in the inbox: and 99500 more" in lines and "  not recovered: and 500 more" in lines


def test_text_with_lone_surrogates_is_reported_escaped(daemon: ManualDaemon):
    daemon.disk_retry.trouble = "Cannot write inbox/\udcff."
    assert daemon.ask("status")["storage_problem"] == "Cannot write inbox/\\udcff."


@pytest.mark.parametrize("command", ["retry", "cancel"])
def test_id_with_lone_surrogates_matches_no_job(command: str, daemon: ManualDaemon):
    answer = daemon.ask(command, job="\ud800")
    assert answer["ok"] is False and answer["error"].startswith("No job id begins with"), answer


def test_fault_in_a_handler_is_logged_and_answered_as_an_internal_error(
    daemon: ManualDaemon, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken(**_: object) -> list[Any]:
        return None + 1  # type: ignore[operator]

    monkeypatch.setattr(daemon.store, "waiting_groups", broken)
    with caplog.at_level(logging.ERROR):
        answer = daemon.ask("status")
    assert answer["ok"] is False and answer["exit_code"] == INTERNAL
    assert "Internal error" in answer["error"] and "TypeError" not in answer["error"]
    assert "different versions" not in answer["fix"] and "journalctl" in answer["fix"]
    assert "unsupported operand" in caplog.text and "Traceback" in caplog.text
    monkeypatch.undo()
    assert daemon.ask("status")["ok"], "the daemon goes on"


def test_start_over_is_answered_and_raised(daemon: ManualDaemon, monkeypatch: pytest.MonkeyPatch):
    def gone(_: str) -> None:
        raise StartOver("The job log was removed.")

    monkeypatch.setattr(daemon.store, "find", gone)
    replies: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with pytest.raises(StartOver):
        daemon.app.commands.answer(Request(command="cancel", arguments={"job": "abcd"}, reply=replies))
    answer = replies.get_nowait()
    assert answer["ok"] is False and "restarting" in answer["fix"] and answer["exit_code"] == StartOver.exit_code


def test_cancel_of_a_queued_job_reports_the_disk_it_waits_for(daemon: ManualDaemon, monkeypatch: pytest.MonkeyPatch):
    _running(daemon)
    _drop(daemon, "y.txt")
    (queued,) = daemon.store.find(next(job.id for job in daemon.store.open_jobs() if job.state is JobState.QUEUED))
    monkeypatch.setattr(daemon.folders.outbox, "stage", _no_room)
    answer = daemon.ask("cancel", job=queued.id)
    assert answer["ok"] and "No space left" in answer["waits_for"]
    assert daemon.store.get(queued.id).state is JobState.QUEUED
    monkeypatch.undo()
    daemon.clock.seconds += 10
    daemon.turn()
    assert daemon.store.get(queued.id).state is JobState.CANCELLED


def test_job_that_starts_before_its_cancellation_can_be_recorded_is_still_cancelled(
    daemon: ManualDaemon, monkeypatch: pytest.MonkeyPatch
):
    """Only outbox/failed cannot be written, so that other work goes on, and this job begins."""
    first = _running(daemon)
    _drop(daemon, "y.txt")
    queued = next(job for job in daemon.store.open_jobs() if job.id != first.id)
    monkeypatch.setattr(daemon.folders.outbox, "stage", _no_room)
    assert daemon.ask("cancel", job=queued.id)["waits_for"]
    monkeypatch.undo()
    (worker,) = daemon.workers
    daemon.receive(
        1, protocol.WorkFailed(job=first.id, attempt=first.attempt, kind=FailureKind.BAD_INPUT, message="Broken.")
    )
    daemon.receive(1, protocol.BatchDone())
    daemon.dispatcher.feed()
    assert daemon.store.get(queued.id).state is JobState.RUNNING
    daemon.clock.seconds += 10
    daemon.turn()
    daemon.exit_worker(worker.number)
    assert daemon.store.get(queued.id).state is JobState.CANCELLED


def test_cancel_of_a_running_job_reports_a_full_disk(daemon: ManualDaemon, monkeypatch: pytest.MonkeyPatch):
    job = _running(daemon)
    monkeypatch.setattr("daemon.files.disk_retry._probe", _no_room)
    answer = daemon.ask("cancel", job=job.id)
    assert answer["ok"] and "No space left" in answer["waits_for"]
    monkeypatch.undo()
    daemon.clock.seconds += 10
    daemon.turn()
    assert daemon.ask("status")["storage_problem"] is None


def test_cancel_that_was_carried_out_waits_for_nothing(daemon: ManualDaemon):
    job = _running(daemon)
    assert daemon.ask("cancel", job=job.id) == {"ok": True, "cancelled": job.id, "waits_for": None}


def test_retry_of_all_stops_at_a_full_disk_and_reports_what_it_did(
    daemon: ManualDaemon, monkeypatch: pytest.MonkeyPatch
):
    _running(daemon)
    _drop(daemon, "y.txt", "z.txt")
    failed = [_fail_next(daemon) for _ in range(3)]
    real, calls = daemon.store.reopen, []

    def reopen(job: Any) -> Any:
        calls.append(job.id)
        if len(calls) > 1:
            raise StorageError("The job log is full.", "Free some space.")
        return real(job)

    monkeypatch.setattr(daemon.store, "reopen", reopen)
    answer = daemon.ask("retry", failed=True)
    assert answer["ok"] and len(answer["retried"]) == 1
    refused = [each["job"] for each in answer["refused"]]
    assert sorted([*answer["retried"], *refused]) == sorted(job.id for job in failed)
    assert all("The job log is full" in each["why"] for each in answer["refused"])
    assert len(calls) == 2, "the third would fail, too"
    for each in answer["refused"]:
        job = daemon.store.get(each["job"])
        assert job.state is JobState.FAILED
        assert (daemon.settings.outbox / job.result_path / job.name).read_text() == job.name


def test_retry_of_very_many_is_done_in_portions(daemon: ManualDaemon, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("daemon.server.portions._SECONDS", 0.0)  # one job each
    _running(daemon)
    _drop(daemon, "y.txt", "z.txt")
    failed = {_fail_next(daemon).id for _ in range(3)}
    first = daemon.ask("retry", failed=True)
    by_hand = min(failed - set(first["retried"]))
    assert daemon.ask("retry", job=by_hand)["ok"]
    retried, rest = [*first["retried"], by_hand], first["rest"]
    while rest is not None:
        answer = daemon.ask("retry", failed=True, rest=rest)
        retried += answer["retried"]
        assert len(answer["retried"]) <= 1 and answer["refused"] == []
        rest = answer["rest"]
    assert len(first["retried"]) == 1 and sorted(retried) == sorted(failed)
    outdated = daemon.ask("retry", failed=True, rest=first["rest"] - 1)
    assert not outdated["ok"] and "started again" in outdated["error"]


def test_prune_of_very_much_is_done_in_portions(daemon: ManualDaemon, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("daemon.server.portions._SECONDS", 0.0)
    removals = [Removal(what="failure", path=str(number)) for number in range(3)]
    monkeypatch.setattr(daemon.app.retention, "due", lambda: iter(removals))
    paths, rest = [], None
    while True:
        answer = daemon.ask("prune", rest=rest)
        paths += [each["path"] for each in answer["first"]]
        if (rest := answer["rest"]) is None:
            break
    assert paths == ["0", "1", "2"]


def test_retry_of_one_at_a_full_disk_is_refused_with_the_reason(daemon: ManualDaemon, monkeypatch: pytest.MonkeyPatch):
    _running(daemon)
    job = _fail_next(daemon)
    monkeypatch.setattr(daemon.folders, "fetch_back", _no_room)
    answer = daemon.ask("retry", job=job.id)
    assert answer["ok"] is False and answer["exit_code"] == STORAGE
    assert "No space left" in answer["error"] and "space" in answer["error"]
    assert daemon.store.get(job.id).state is JobState.FAILED


def test_recipe_of_a_job_that_is_queued_again_is_set_though_the_disk_fills_up(
    daemon: ManualDaemon, monkeypatch: pytest.MonkeyPatch
):
    _running(daemon)
    job = _fail_next(daemon)

    def refuses(*_: Any, **__: Any) -> None:
        raise StorageError("The job log is full.")

    monkeypatch.setattr(daemon.store, "reassign", refuses)
    assert daemon.ask("retry", job=job.id)["retried"] == [job.id]
    assert daemon.store.get(job.id).state is not JobState.FAILED


def test_unload_ends_idle_workers_and_leaves_busy_ones(daemon: ManualDaemon):
    job = _running(daemon)
    assert daemon.ask("unload") == {"ok": True, "ended": [], "busy": ["plaintext"]}
    daemon.finish(1, job)
    daemon.end_batch()
    assert daemon.ask("unload") == {"ok": True, "ended": ["plaintext"], "busy": []}
    assert daemon.connection().is_closed, "the daemon asked it to exit"
    daemon.exit_worker(1, exit_status=0)
    assert daemon.ask("unload") == {"ok": True, "ended": [], "busy": []}
    _drop(daemon, "next.txt")
    (worker,) = daemon.workers
    assert worker.number == 2, "the next file starts another"


def test_recipes_are_described_with_the_schemas_of_their_options(daemon: ManualDaemon):
    answer = daemon.ask("recipes")
    found = {recipe["name"]: recipe for recipe in answer["recipes"]}
    assert set(found) >= {"count", "read", "transcribe", "bank-statement", "receipt", "invoice"}
    count = found["count"]
    assert (count["processor"], count["runs_on"], count["kinds"], count["folders"]) == (
        *("plaintext", "plaintext"),
        *(["text"], [""]),
    )
    assert count["schema"]["properties"]["upper"]["type"] == "boolean" and count["options"] == {
        "then": [],
        "upper": False,
    }
    assert found["describe"]["runs_on"] is None and "models fetch" in found["describe"]["note"]


def test_file_is_submitted_and_runs_like_any_other(daemon: ManualDaemon):
    (daemon.settings.inbox / ".incoming" / "upload").write_text("some text\n")
    answer = daemon.ask("submit", file="upload", folder="a", file_name="x.txt", options={"upper": True}, priority=7)
    assert answer == {"ok": True, "job": answer["job"], "waits_for": None}
    job = daemon.store.get(answer["job"])
    assert job is not None and (job.path, job.priority) == ("a/x.txt", 7)
    assert job.overrides["options"] == {"upper": True} and job.source == "api"
    daemon.turn()
    daemon.load()
    daemon.turn()
    assert [running.id for worker in daemon.workers for running in worker.jobs.values()] == [job.id]


def test_refused_submission_shows_what_is_wrong(daemon: ManualDaemon):
    (daemon.settings.inbox / ".incoming" / "upload").write_text("some text\n")
    answer = daemon.ask("submit", file="upload", file_name="x.txt", options={"recipe": "nope"})
    assert not answer["ok"] and answer["error"].startswith('Its options are wrong: x.txt.toml: unknown recipe "nope"')
    assert answer["exit_code"] == 64
    assert not daemon.ask("submit", file="upload", file_name="x.txt", options={"a": [None]})["ok"]
    assert not daemon.ask("submit", file="upload", file_name="x.txt", folder="../outbox")["ok"]
    assert (daemon.settings.inbox / ".incoming" / "upload").exists() and not daemon.store.counts()


def test_uploads_that_nobody_submits_are_removed_daily(daemon: ManualDaemon):
    stale = daemon.settings.inbox / ".incoming" / "upload"
    stale.touch()
    os.utime(stale, (0, 0))
    daemon.do("tidy")
    assert not stale.exists()


def test_retry_of_a_job_that_waits_for_its_backoff_starts_it_now(daemon: ManualDaemon):
    job = _running(daemon)
    daemon.fail(1, job)
    daemon.end_batch()
    assert daemon.store.get(job.id).run_at > daemon.clock.now_us()
    daemon.turn()
    assert daemon.store.get(job.id).state is JobState.QUEUED
    assert daemon.ask("retry", job=job.id)["ok"]
    daemon.turn()
    assert daemon.store.get(job.id).state is JobState.RUNNING


@pytest.mark.parametrize("is_chosen", [False, True])
def test_retry_applies_a_corrected_config_unless_the_file_chose_its_recipe(daemon: ManualDaemon, is_chosen: bool):
    if is_chosen:
        (daemon.settings.inbox / "x.txt.toml").write_text('recipe = "count"')
    job = _running(daemon)
    daemon.fail(1, job, FailureKind.BAD_INPUT)
    daemon.end_batch()
    recipes = {"count": {"processor": "plaintext"}, "other": {"processor": "plaintext"}}
    tables = {**TABLES, "inbox": {"text": "other", "settle_seconds": 0.0}, "recipes": recipes}
    daemon.app.settings.replace(config.parse(tables, source=None, home=daemon.settings.inbox.parent))
    assert daemon.ask("retry", job=job.id)["ok"]
    assert daemon.store.get(job.id).recipe == ("count" if is_chosen else "other")


def test_retry_of_no_job_is_refused(daemon: ManualDaemon):
    answer = daemon.ask("retry")
    assert not answer["ok"] and answer["error"].startswith("No job id begins with ''") and answer["exit_code"] == 64


def test_review_of_a_done_job_is_closed_and_opened_again(daemon: ManualDaemon):
    done = make_job(state=JobState.DONE, review=("Row 3",))
    daemon.store.insert([done, failed := make_job(state=JobState.FAILED)])
    assert daemon.ask("reviewed", job=done.id) == {"ok": True, "job": done.id, "file": done.path}
    with JobLog(daemon.settings.database) as log:
        assert log.find(done.id)["reviewed_at"] and log.tallies()["review"] == 0
        assert [event["event"] for event in log.events(done.id)][-1] == "reviewed"
    assert daemon.ask("reviewed", job=done.id, reviewed=False)["ok"]
    with JobLog(daemon.settings.database) as log:
        assert log.find(done.id)["reviewed_at"] is None and log.tallies()["review"] == 1
    refused = daemon.ask("reviewed", job=failed.id)
    assert not refused["ok"] and "is failed" in refused["error"]
