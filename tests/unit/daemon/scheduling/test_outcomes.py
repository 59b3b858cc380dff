"""What each outcome means for its job, its batch mates and its worker. The daemon's real parts, driven by hand."""

import contextlib
import errno
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench import TABLES, Bench
from manual_daemon import finished

from daemon import config
from daemon.core.messages import WorkerMessage
from daemon.scheduling import retry
from daemon.scheduling.outcomes import what_loaded
from daemon.workers.supervisor import WorkerState
from processors import protocol
from processors.contract import FailureKind, WorkProgress
from processors.steps.saved import FIRST_RESULTS

# ---------------------------------------------------------------------------------------- failures of a job


def test_error_is_retried_after_a_pause_that_doubles_up_to_its_limit(bench: Bench):
    bench.begin("x.txt")
    for charged, pause in ((1, 30), (2, 50)):
        bench.fail_file("x.txt")
        bench.end_batch()
        job = bench.job("x.txt")
        assert (job.state, job.charged, job.attempt) == ("queued", charged, charged)
        assert job.run_at == bench.clock.now_us() + pause * 10**6
        bench.wait(pause - 1)
        assert bench.job("x.txt").state == "queued"
        bench.wait(1)
        assert bench.job("x.txt").state == "running"
    bench.fail_file("x.txt")
    job = bench.job("x.txt")
    assert (job.state, job.charged, job.error_kind, job.error) == ("failed", 3, "error", "x.txt failed")


def test_error_resets_the_count_of_interruptions(bench: Bench):
    bench.drop("x.txt")
    bench.store.reassign(bench.job("x.txt"), interruptions=3)
    bench.load()
    bench.fail_file("x.txt")
    assert bench.job("x.txt").interruptions == 0


def test_bad_input_fails_at_once(bench: Bench):
    bench.begin("x.txt")
    bench.fail_file("x.txt", FailureKind.BAD_INPUT)
    job = bench.job("x.txt")
    assert (job.state, job.charged, job.error_kind) == ("failed", 1, "bad_input")


def test_error_in_a_batch_is_retried_alone_uncharged(bench: Bench):
    bench.begin("x.txt", "y.txt")
    bench.fail_file("x.txt")
    job = bench.job("x.txt")
    assert (job.state, job.charged, job.alone) == ("queued", 0, True)


def test_error_that_only_its_own_job_can_cause_is_charged_in_a_batch(bench: Bench):
    bench.begin("x.txt", "y.txt")
    bench.fail_file("x.txt", is_its_own=True)
    job = bench.job("x.txt")
    assert (job.state, job.charged, job.alone) == ("queued", 1, False)


def test_job_without_an_outcome_at_the_end_of_its_batch_counts_as_an_error(bench: Bench):
    bench.begin("x.txt")
    bench.end_batch()
    job = bench.job("x.txt")
    assert (job.state, job.charged) == ("queued", 1)
    assert bench.worker().state is WorkerState.IDLE and not bench.dispatcher.is_busy


def test_cancelled_job_without_an_outcome_at_the_end_of_its_batch_ends(bench: Bench):
    bench.begin("x.txt")
    assert bench.ask("cancel", job=bench.job("x.txt").id)["ok"]
    bench.end_batch()
    assert bench.job("x.txt").state == "cancelled"


@pytest.mark.parametrize("wrong", ["job", "attempt"])
def test_outcome_of_a_job_that_the_worker_does_not_have_changes_nothing(bench: Bench, wrong: str):
    bench.begin("x.txt")
    job = bench.job("x.txt")
    named = {"job": job.id, "attempt": job.attempt} | {wrong: "other" if wrong == "job" else job.attempt + 1}
    bench.receive(1, protocol.WorkFailed(**named, kind=FailureKind.BAD_INPUT, message="It is broken."))
    assert bench.job("x.txt") == job and bench.dispatcher.is_busy


def test_outcome_from_a_worker_that_has_exited_changes_nothing(bench: Bench):
    bench.begin("x.txt")
    late = finished(bench, bench.job("x.txt"))
    bench.exit_worker(1)
    before = bench.job("x.txt")
    assert bench.app.outcomes.accept(WorkerMessage(worker=1, message=late)) is None
    bench.receive(1, late)
    assert bench.job("x.txt") == before and not bench.dispatcher.is_busy


def test_result_and_job_log_state_the_same_seconds_for_each_job_of_a_batch(bench: Bench):
    bench.begin("x.txt", "y.txt")
    for name, seconds in (("x.txt", 3.0), ("y.txt", 5.0)):
        job = bench.job(name)
        bench.clock.seconds += 3.0 if name == "x.txt" else 2.0
        bench.finish(1, job)
        result = json.loads((bench.settings.outbox / job.name.removesuffix(".txt") / "result.json").read_text())
        assert result["run_seconds"] == seconds
        with contextlib.closing(sqlite3.connect(bench.settings.database)) as rows:
            assert rows.execute("SELECT run_seconds FROM job_log WHERE id = ?", [job.id]).fetchone() == (seconds,)


# ---------------------------------------------------------------------------------------- the boundary of one job


@pytest.mark.parametrize("how", ["failed", "exited", "cancelled", "lies", "gone", "failed while the disk is full"])
def test_job_that_cannot_even_be_given_up_is_parked_and_status_shows_why(
    make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, how: str
):
    bench = make_bench(retry={"attempts": 1})
    bench.begin("x.txt")
    job = bench.job("x.txt")
    errors: list[Exception] = [OSError(errno.ENOSPC, "an injected error")] if "full" in how else []

    def fail(*_: Any, **__: Any) -> Any:
        raise errors.pop() if errors else KeyError("an injected error")

    monkeypatch.setattr(bench.folders.outbox, "free_result_path", fail)
    match how:
        case "exited":
            bench.exit_worker(1)
        case "cancelled":
            bench.dispatcher.cancel(job)
            bench.exit_worker(1)
        case "lies":
            bench.receive(1, finished(bench, job, lies=True))
        case "gone":
            bench.folders.taken.release(job.id)
            bench.receive(1, finished(bench, job))
        case _:
            bench.fail_file("x.txt", FailureKind.BAD_INPUT)
    bench.wait(9)
    job = bench.job("x.txt")
    assert job.state == "queued" and "Internal error" in (job.waiting_for or "")
    assert bench.ask("status")["waiting"][0]["files"] == ["x.txt"]


# ---------------------------------------------------------------------------------------- memory


def test_batch_that_ran_out_of_memory_is_halved_and_goes_to_a_fresh_worker(bench: Bench):
    bench.begin("a.txt", "b.txt", "c.txt", "d.txt")
    for name in ("a.txt", "b.txt", "c.txt", "d.txt"):
        bench.fail_file(name, FailureKind.OUT_OF_MEMORY)
    assert [(job.state, job.charged, job.alone) for job in bench.all_jobs()] == [("queued", 0, False)] * 4
    assert bench.worker().state is WorkerState.ENDING and bench.connection().is_closed
    bench.exit_worker(1)
    bench.turn()
    bench.load(2)
    assert len(bench.worker(2).jobs) == 2


def test_job_that_exceeds_the_memory_limit_alone_is_charged_and_stays_on_its_device(bench: Bench):
    bench.begin("x.txt")
    bench.worker().kill(FailureKind.OUT_OF_MEMORY)
    bench.exit_worker(1)
    job = bench.job("x.txt")
    assert (job.state, job.charged, job.is_for_cpu) == ("queued", 1, False)
    assert bench.workers.ends["plaintext", "out_of_memory"] == 1


# ---------------------------------------------------------------------------------------- ends of workers


def test_crash_of_a_job_alone_in_its_worker_is_charged(bench: Bench):
    bench.begin("x.txt")
    bench.exit_worker(1)
    job = bench.job("x.txt")
    assert (job.state, job.charged, job.alone) == ("queued", 1, False)
    assert bench.workers.ends["plaintext", "crashed"] == 1 and not bench.dispatcher.is_busy


def test_batch_whose_worker_crashed_is_retried_one_by_one(bench: Bench):
    bench.begin("x.txt", "y.txt")
    bench.exit_worker(1)
    assert [(job.state, job.charged, job.alone) for job in bench.all_jobs()] == [("queued", 0, True)] * 2
    bench.turn()
    bench.load(2)
    assert len(bench.worker(2).jobs) == 1


def test_worker_without_progress_is_killed_and_its_job_charged(bench: Bench):
    bench.begin("x.txt")
    bench.clock.seconds += bench.worker().timeout - 1
    bench.workers.kill_overdue()
    assert not bench.connection().is_killed
    job = bench.job("x.txt")
    progress = WorkProgress(job=job.id, attempt=job.attempt, done=1.0, total=2.0, unit="pages")
    bench.receive(1, progress)
    assert bench.progress.all() == {(1, job.id): progress}
    bench.clock.seconds += bench.worker().timeout - 1
    bench.workers.kill_overdue()
    assert not bench.connection().is_killed, "it has shown progress"
    bench.clock.seconds += 2
    bench.workers.kill_overdue()
    assert bench.connection().is_killed
    bench.exit_worker(1)
    job = bench.job("x.txt")
    assert (job.state, job.charged) == ("queued", 1)
    assert bench.workers.ends["plaintext", "timeout"] == 1 and bench.progress.all() == {}


def test_progress_of_a_job_that_a_worker_does_not_have_is_not_shown(bench: Bench):
    bench.begin("x.txt")
    bench.receive(1, WorkProgress(job="other", attempt=1, done=1.0, total=2.0, unit="pages"))
    assert bench.progress.all() == {}


def test_progress_ends_with_its_job(bench: Bench):
    bench.begin("x.txt")
    job = bench.job("x.txt")
    bench.receive(1, WorkProgress(job=job.id, attempt=job.attempt, done=1.0, total=2.0, unit="pages"))
    bench.receive(1, finished(bench, job))
    assert bench.progress.all() == {}


def test_cancelled_job_ends_and_its_batch_mates_are_not_charged(bench: Bench):
    bench.begin("x.txt", "y.txt")
    assert bench.ask("cancel", job=bench.job("x.txt").id)["ok"]
    assert bench.connection().is_killed
    bench.exit_worker(1)
    assert bench.job("x.txt").state == "cancelled"
    mate = bench.job("y.txt")
    assert (mate.state, mate.charged, mate.alone) == ("queued", 0, False)
    assert bench.workers.ends["plaintext", "asked"] == 1


def test_stop_puts_running_jobs_back_uncharged(bench: Bench):
    bench.begin("x.txt", "y.txt")
    bench.dispatcher.put_back_running()
    assert [(job.state, job.charged, job.alone) for job in bench.all_jobs()] == [("queued", 0, False)] * 2
    assert bench.connection().is_killed and not bench.dispatcher.is_busy
    assert bench.app.dispatcher._attempts._running == {}, "nothing is remembered of an attempt that has ended"
    bench.exit_worker(1)
    assert bench.workers.ends["plaintext", "asked"] == 1 and len(bench.all_jobs()) == 2


# ---------------------------------------------------------------------------------------- what cannot work now


def test_processor_that_is_unavailable_is_parked_and_its_jobs_wait_uncharged(bench: Bench):
    bench.begin("x.txt")
    bench.fail_file("x.txt", FailureKind.UNAVAILABLE)
    bench.end_batch()
    bench.drop("y.txt")
    assert bench.dispatcher.parked == {"plaintext": "x.txt failed"}
    assert [(job.state, job.charged, job.waiting_for) for job in bench.all_jobs()] == [
        ("queued", 0, "x.txt failed"),
        ("queued", 0, "x.txt failed"),
    ]
    for seconds, states in ((9, {"queued"}), (2, {"running"})):
        bench.clock.seconds += seconds
        bench.do("probe")
        bench.turn()
        assert {job.state for job in bench.all_jobs()} == states
    assert bench.dispatcher.parked == {}


@pytest.mark.parametrize("how", ["it reports it", "it exits"])
def test_worker_that_cannot_load_parks_its_processor(bench: Bench, how: str):
    bench.drop("x.txt")
    if how == "it reports it":
        bench.receive(1, protocol.LoadFailed(kind=FailureKind.UNAVAILABLE, message="There are no weights."))
        assert bench.worker().state is WorkerState.ENDING
    bench.exit_worker(1)
    bench.turn()
    (why,) = bench.dispatcher.parked.values()
    assert (why == "There are no weights.") == (how == "it reports it")
    job = bench.job("x.txt")
    assert (job.state, job.charged, job.attempt) == ("queued", 0, 0) and len(bench.workers) == 0


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOENT], ids=str)
def test_failure_to_start_a_worker_is_retried_later(bench: Bench, monkeypatch, code: int):
    """All wait a little where the machine has no room; only its processor where its Python is not there (ENOENT)."""

    def spawn(*_: Any) -> None:
        raise OSError(code, "an injected error")

    with monkeypatch.context() as patch:
        patch.setattr(bench.workers, "spawn", spawn)
        bench.drop("x.txt")
    assert (bench.dispatcher.parked == {}) == (code != errno.ENOENT)
    assert (bench.disk_retry.trouble is None) == (code == errno.ENOENT)
    bench.wait(60)
    bench.do("probe")
    bench.turn()
    bench.load()
    assert bench.job("x.txt").state == "running" and bench.disk_retry.trouble is None


def test_failure_to_write_outputs_is_charged_only_if_the_disk_works_throughout(bench: Bench):
    bench.begin("x.txt")
    for _ in range(10):
        bench.fail_file("x.txt", FailureKind.STORAGE)
        bench.end_batch()
        assert bench.job("x.txt").charged == 0 and bench.job("x.txt").state == "queued"
        bench.wait(10)
    bench.fail_file("x.txt", FailureKind.STORAGE)
    assert bench.job("x.txt").charged == 1
    last = "SELECT outcome FROM attempts ORDER BY attempt DESC LIMIT 1"
    assert bench.store._connection.exec_driver_sql(last).scalar_one() == "error", "not: the disk"


def test_failure_while_the_inbox_is_absent_is_not_charged(bench: Bench):
    bench.folders.lock()
    bench.begin("x.txt")
    away = bench.settings.inbox.with_name("away")
    bench.settings.inbox.rename(away)
    bench.fail_file("x.txt", FailureKind.BAD_INPUT)
    away.rename(bench.settings.inbox)
    bench.wait(10)
    job = bench.job("x.txt")
    assert job.state in ("queued", "running") and job.charged == 0


def test_failure_is_tried_again_if_a_disk_hides_whether_there_is_a_first_result(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    bench.begin("x.txt")
    stat = Path.stat

    def fail(path: Path, **options: Any) -> Any:
        if path.name == FIRST_RESULTS:
            raise OSError(errno.EIO, "injected", str(path))
        return stat(path, **options)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "stat", fail)
        bench.fail_file("x.txt", FailureKind.BAD_INPUT)
    bench.end_batch()
    bench.wait(10)
    assert (bench.job("x.txt").state, bench.job("x.txt").charged) == ("running", 0)
    bench.fail_file("x.txt", FailureKind.BAD_INPUT)
    assert bench.job("x.txt").state == "failed"


def test_failure_that_cannot_be_judged_ends_its_job(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    bench.begin("x.txt")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(retry, "decide", fail)
    bench.fail_file("x.txt")
    assert bench.job("x.txt").state == "failed" and "nternal error" in bench.job("x.txt").error


def test_failure_of_a_job_whose_original_was_removed_is_final(bench: Bench):
    bench.begin("x.txt")
    bench.folders.taken.original(bench.job("x.txt").id).path.unlink()
    bench.fail_file("x.txt", FailureKind.BAD_INPUT)
    assert bench.job("x.txt").state == "failed" and bench.job("x.txt").error_kind == "bad_input"


def test_original_removed_before_the_start_fails_its_job_alone(bench: Bench):
    bench.drop("x.txt", "y.txt")
    bench.folders.taken.original(bench.job("x.txt").id).path.unlink()
    bench.load()
    assert bench.job("x.txt").state == "failed" and "removed" in bench.job("x.txt").error
    assert [job.name for job in bench.worker().jobs.values()] == ["y.txt"]


def test_nothing_is_started_while_the_disks_cannot_be_written(bench: Bench):
    away = bench.settings.outbox.with_name("away")
    bench.settings.outbox.rename(away)
    bench.disk_retry.note(OSError(5, "an injected error"))
    bench.drop("x.txt")
    bench.turn()
    assert len(bench.workers) == 0 and bench.disk_retry.trouble is not None
    away.rename(bench.settings.outbox)
    bench.wait(10)
    bench.do("rescan")
    bench.turn()
    assert len(bench.workers) == 1


# ---------------------------------------------------------------------------------------- idle workers


def test_idle_worker_ends_after_keep_alive(bench: Bench):
    bench.begin("x.txt")
    bench.receive(1, finished(bench, bench.job("x.txt")))
    bench.do("unload")
    assert bench.worker().state is WorkerState.BUSY, "its batch is not over"
    bench.end_batch()
    for seconds, state in ((99, WorkerState.IDLE), (1, WorkerState.ENDING)):
        bench.clock.seconds += seconds
        bench.do("unload")
        assert bench.worker().state is state
    bench.exit_worker(1)
    assert bench.workers.ends["plaintext", "asked"] == 1 and bench.dispatcher.parked == {}


def test_pause_ends_idle_workers_and_starts_none(bench: Bench):
    bench.begin("x.txt")
    bench.receive(1, finished(bench, bench.job("x.txt")))
    bench.end_batch()
    assert bench.ask("pause", reason="")["ok"]
    bench.drop("y.txt")
    assert bench.worker().state is WorkerState.ENDING and bench.job("y.txt").state == "queued"
    bench.exit_worker(1)
    bench.turn()
    assert len(bench.workers) == 0
    assert bench.ask("resume")["ok"]
    bench.turn()
    assert len(bench.workers) == 1


def test_worker_whose_options_have_changed_ends_when_it_is_idle(make_bench: Callable[..., Bench], tmp_path: Path):
    bench = make_bench()
    bench.begin("x.txt")
    python = {**TABLES, "processors": {"plaintext": {"python": "/usr/bin/python3"}}}
    bench.app.settings.replace(config.parse(python, source=None, home=tmp_path))
    assert bench.worker().state is WorkerState.BUSY
    bench.receive(1, finished(bench, bench.job("x.txt")))
    bench.end_batch()
    assert bench.worker().state is WorkerState.ENDING
    bench.exit_worker(1)
    assert [pool for pool in bench.app.dispatcher._pools if pool.is_retired] == [], "nothing is remembered of it"
    bench.drop("y.txt")
    assert len(bench.workers) == 1 and bench.worker(2).state is WorkerState.LOADING


ONE_AT_A_TIME: dict[str, Any] = {
    "inbox": {"folders": {"other": {"text": "other"}}},
    "recipes": {"other": {"processor": "plaintext", "python": "/usr/bin/python3"}},
    "workers": {"at_once": 1, "patience": 100},
}


@pytest.mark.parametrize("waited", [99, 101])
def test_other_work_waits_for_a_loaded_worker_no_longer_than_patience(make_bench: Callable[..., Bench], waited: int):
    bench = make_bench(**ONE_AT_A_TIME)
    bench.begin("x.txt")
    (bench.settings.inbox / "other").mkdir()
    bench.drop("other/y.txt")
    bench.clock.seconds += waited
    bench.drop("z.txt")
    bench.receive(1, finished(bench, bench.job("x.txt")))
    bench.end_batch()
    bench.turn()
    assert bench.worker().state is (WorkerState.BUSY if waited < 100 else WorkerState.ENDING)
    assert bench.job("z.txt").state == ("running" if waited < 100 else "queued")


def test_idle_worker_ends_to_make_room_for_another_with_work(make_bench: Callable[..., Bench]):
    bench = make_bench(**ONE_AT_A_TIME)
    bench.begin("x.txt")
    (bench.settings.inbox / "other").mkdir()
    bench.drop("other/y.txt")
    assert bench.worker().state is WorkerState.BUSY and len(bench.workers) == 1
    bench.receive(1, finished(bench, bench.job("x.txt")))
    bench.end_batch()
    bench.turn()
    assert bench.worker().state is WorkerState.ENDING
    bench.exit_worker(1)
    bench.turn()
    bench.load(2)
    assert [job.name for job in bench.worker(2).jobs.values()] == ["y.txt"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty (0 bytes)."),
        (b"\x00\x01\x02\x03 nothing that is known", "inboxd does not know this type of file, or"),
    ],
)
def test_file_that_no_recipe_is_for_fails_with_the_reason(make_bench: Callable[..., Bench], content: bytes, words: str):
    bench = make_bench(inbox={"unsupported": "fail"})
    (bench.settings.inbox / "x").write_bytes(content)
    bench.do("rescan")
    for _ in range(3):
        bench.wait(1)
    job = bench.job("x")
    assert (job.state, job.error_kind) == ("failed", "bad_input") and job.error.startswith(words)


def test_log_names_the_engine_alone_if_a_worker_has_no_model():
    without = protocol.WorkerLoaded(engine="kreuzberg 4.10", model="none", device="cpu", seconds=1.0)
    speech = protocol.WorkerLoaded(engine="openai-whisper", model="turbo", device="cpu", seconds=1.0)
    assert what_loaded(without, "cpu") == "kreuzberg 4.10 (cpu)"
    assert what_loaded(speech, "cpu") == "turbo (openai-whisper, cpu)"
