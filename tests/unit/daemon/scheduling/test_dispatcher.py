"""Which jobs are started on which workers, and when; what commands and late messages change. The daemon's real parts,
with workers that only receive what they are sent."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench import TABLES, Bench
from manual_daemon import finished

from daemon import config
from daemon.core.errors import StorageError
from daemon.publishing.park_reasons import LOST
from daemon.scheduling import parked_jobs
from daemon.workers.supervisor import WorkerState
from processors import protocol
from processors.contract import FailureKind, WorkProgress

# Two recipes whose workers differ, both of the processor "plaintext".
TWO_POOLS: dict[str, Any] = {
    "inbox": {"folders": {"other": {"text": "other"}}},
    "recipes": {"other": {"processor": "plaintext", "python": "/usr/bin/python3"}},
    "workers": {"at_once": 2},
}


def _names(bench: Bench, worker: int = 1) -> list[str]:
    return [job.name for job in bench.worker(worker).jobs.values()]


def _batches(bench: Bench, worker: int = 1) -> list[list[str]]:
    """The files of each batch that a worker was sent."""
    sent = [message for message in bench.connection(worker).sent if isinstance(message, protocol.Batch)]
    return [[Path(work["source"]).name for work in batch.works] for batch in sent]


def _drop_other(bench: Bench, *names: str) -> None:
    (bench.settings.inbox / "other").mkdir(exist_ok=True)
    bench.drop(*(f"other/{name}" for name in names))


@pytest.fixture
def two_pools(make_bench: Callable[..., Bench]) -> Bench:
    """Two workers of one processor: the first has x.txt, the second y.txt; both are loading."""
    bench = make_bench(**TWO_POOLS)
    bench.drop("x.txt")
    _drop_other(bench, "y.txt")
    assert [worker.processor for worker in bench.workers] == ["plaintext", "plaintext"]
    return bench


# ---------------------------------------------------------------------------------------- starting


def test_no_worker_is_started_without_work(bench: Bench):
    bench.turn()
    assert len(bench.workers) == 0


def test_first_job_starts_a_worker_and_waits_queued_until_it_has_loaded(bench: Bench):
    bench.drop("x.txt")
    assert [type(message) for message in bench.connection().sent] == [protocol.Load]
    assert bench.job("x.txt").state == "queued" and bench.worker().state is WorkerState.LOADING
    bench.load()
    assert bench.job("x.txt").state == "running" and bench.worker().state is WorkerState.BUSY
    assert _batches(bench) == [["x.txt"]]


def test_job_is_committed_as_running_before_its_worker_receives_it(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    bench.drop("x.txt")
    states: list[str] = []
    monkeypatch.setattr(bench.connection(), "send", lambda message: states.append(bench.job("x.txt").state))
    bench.load()
    assert states == ["running"]


def test_running_job_names_what_it_runs_on(bench: Bench):
    bench.begin("x.txt")
    job = bench.job("x.txt")
    assert (job.processor, job.engine, job.model, job.device) == ("plaintext", "fake", "m", "cpu")
    assert (job.attempt, job.started_at) == (1, bench.clock.now_us())


def test_only_one_worker_is_started_for_many_jobs_of_a_recipe(bench: Bench):
    bench.drop("a.txt", "b.txt", "c.txt")
    bench.turn()
    assert len(bench.workers) == 1


def test_jobs_that_wait_go_as_one_batch_up_to_its_limit(bench: Bench):
    bench.drop(*(f"{number}.txt" for number in range(6)))
    bench.load()
    assert len(_names(bench)) == 4
    assert [job.state for job in bench.all_jobs()].count("queued") == 2


def test_rest_of_the_queue_follows_when_the_batch_has_ended(bench: Bench):
    bench.drop(*(f"{number}.txt" for number in range(6)))
    bench.load()
    for job in list(bench.worker().jobs.values()):
        bench.finish(1, job)
    bench.turn()
    assert _names(bench) == [], "the batch is not over: the worker may still be at work"
    bench.end_batch()
    bench.turn()
    assert len(_names(bench)) == 2


def test_older_jobs_go_first(bench: Bench):
    for name in ("b.txt", "a.txt"):
        bench.drop(name)
        bench.clock.seconds += 1
    bench.load()
    assert _names(bench) == ["b.txt", "a.txt"]


def test_greater_priority_goes_first(make_bench: Callable[..., Bench]):
    bench = make_bench(inbox={"folders": {"urgent": {"priority": 5}}}, processors={"plaintext": {"max_batch": 1}})
    bench.drop("old.txt")
    (bench.settings.inbox / "urgent").mkdir()
    bench.clock.seconds += 1
    bench.drop("urgent/new.txt")
    bench.load()
    assert _names(bench) == ["new.txt"]


def test_job_in_its_backoff_is_not_started_before_its_time(bench: Bench):
    bench.begin("x.txt")
    bench.fail_file("x.txt")
    bench.end_batch()
    bench.turn()
    assert _names(bench) == []
    bench.wait(30)
    assert _names(bench) == ["x.txt"] and bench.job("x.txt").attempt == 2


def test_job_that_must_run_alone_shares_no_batch(bench: Bench):
    bench.drop("a.txt")
    bench.clock.seconds += 1
    bench.drop("b.txt")
    bench.store.reassign(bench.job("a.txt"), alone=True)
    bench.load()
    assert _names(bench) == ["a.txt"]


def test_file_without_a_recipe_fails_and_the_error_explains_how_to_assign_one(make_bench: Callable[..., Bench]):
    bench = make_bench(inbox={"text": "", "unsupported": "fail"})
    bench.drop("x.txt")
    job = bench.job("x.txt")
    assert (job.state, job.error_kind) == ("failed", "bad_input")
    assert '[inbox] text = "text"' in job.error and len(bench.workers) == 0


@pytest.mark.parametrize("originals", ["keep", "delete", "archive"])
def test_file_without_a_recipe_is_passed_on_unchanged_with_a_note(make_bench: Callable[..., Bench], originals: str):
    bench = make_bench(inbox={"text": "", "originals": originals})
    (bench.settings.inbox / "note.txt").write_text("the file")
    bench.do("rescan")
    bench.turn()
    (job,) = bench.store.find("")
    assert (job.state, job.error_kind, job.recipe, len(bench.workers)) == ("done", None, None, 0)
    assert '[inbox] text = "text"' in job.review[0]
    result = bench.settings.outbox / job.result_path
    assert (result / "original" / "note.txt").read_text() == "the file", "whatever `originals` says"
    assert job.review[0] in (result / "note.txt").read_text()
    assert json.loads((result / "result.json").read_text())["original"]["policy"] == "keep"


def test_file_that_cannot_be_passed_on_now_is_passed_on_later(make_bench: Callable[..., Bench], monkeypatch):
    bench = make_bench(inbox={"text": ""})
    refused = iter([True, True])

    def refuse(*arguments: Any, real: Any = bench.folders.outbox.stage, **options: Any) -> None:
        if next(refused, False):
            raise OSError(28, "No space left on device")
        real(*arguments, **options)

    monkeypatch.setattr(bench.folders.outbox, "stage", refuse)
    bench.drop("x.txt")
    assert bench.job("x.txt").state == "queued"
    for _ in range(5):
        bench.wait(10)
    assert [job.state for job in bench.store.find("")] == ["done"]


def test_empty_file_fails_as_empty(bench: Bench):
    (bench.settings.inbox / "x.txt").touch()
    bench.do("rescan")
    bench.turn()
    assert "empty (0 bytes)" in bench.job("x.txt").error


def test_disk_error_in_the_preparation_of_a_job_is_not_charged(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    def refuse(_: Any) -> None:
        raise OSError(28, "No space left on device")

    bench.drop("x.txt")
    with monkeypatch.context() as patch:
        patch.setattr(bench.folders.outbox, "prepare_attempt", refuse)
        bench.load()
    assert (bench.job("x.txt").state, bench.job("x.txt").charged) == ("queued", 0)
    assert _batches(bench) == [] and bench.worker().state is WorkerState.IDLE
    bench.wait(10)
    assert bench.job("x.txt").state == "running"


def test_internal_error_in_one_job_does_not_keep_its_batch_mates(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    real = bench.dispatcher._prepare

    def prepare(job: Any, seat: Any) -> Any:
        return real(job, seat) if job.name != "a.txt" else 1 / 0

    bench.drop("a.txt", "b.txt")
    monkeypatch.setattr(bench.dispatcher, "_prepare", prepare)
    bench.load()
    assert _batches(bench) == [["b.txt"]]
    assert bench.job("a.txt").state == "failed" and "Internal error" in bench.job("a.txt").error


def test_started_job_that_cannot_even_be_given_up_is_parked_and_others_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    real = bench.folders.outbox.prepare_attempt  # for its outputs, and for its error.txt

    def prepare(job: Any) -> Any:
        return real(job) if job.name != "a.txt" else 1 / 0

    bench.drop("a.txt", "b.txt")
    monkeypatch.setattr(bench.folders.outbox, "prepare_attempt", prepare)
    bench.load()
    assert _batches(bench) == [["b.txt"]]
    job = bench.job("a.txt")
    assert (job.state, job.charged) == ("queued", 0) and "Internal error" in job.waiting_for


def test_selection_of_candidates_changes_nothing(make_bench: Callable[..., Bench]):
    bench = make_bench(inbox={"folders": {"unbound": {"text": ""}}})
    bench.app.pause.pause("")
    (bench.settings.inbox / "unbound").mkdir()
    bench.drop("x.txt", "unbound/u.txt")
    before = bench.all_jobs()
    candidates = bench.dispatcher._candidates
    selection = candidates.select(candidates.moment())
    assert [job.name for job in selection.unsupported] == ["u.txt"]
    assert [[job.name for job in batch.jobs] for batch in selection.queues] == [["x.txt"]]
    assert bench.all_jobs() == before


# ---------------------------------------------------------------------------------------- joining


def test_job_joins_a_busy_worker_that_permits_it(bench: Bench):
    bench.drop("a.txt")
    bench.load(takes_more_jobs=True)
    bench.drop("b.txt")
    assert _batches(bench) == [["a.txt"], ["b.txt"]]
    assert bench.worker().batches == 2


def test_job_waits_for_a_busy_worker_that_does_not(bench: Bench):
    bench.begin("a.txt")
    bench.drop("b.txt")
    assert _batches(bench) == [["a.txt"]]


def test_worker_with_several_batches_is_idle_after_the_last(bench: Bench):
    bench.drop("a.txt")
    bench.load(takes_more_jobs=True)
    bench.drop("b.txt")
    for name in ("a.txt", "b.txt"):
        bench.finish(1, bench.job(name))
        bench.end_batch()
        assert bench.worker().state is (WorkerState.BUSY if name == "a.txt" else WorkerState.IDLE)


def test_last_place_of_a_worker_is_reserved_for_a_small_file(make_bench: Callable[..., Bench]):
    bench = make_bench(processors={"plaintext": {"max_batch": 2}})
    (bench.settings.inbox / "large.txt").write_text("x" * 1000)
    bench.drop()
    bench.load(takes_more_jobs=True)
    (bench.settings.inbox / "large too.txt").write_text("y" * 900)
    bench.drop()
    assert _names(bench) == ["large.txt"]
    (bench.settings.inbox / "small.txt").write_text("z" * 100)
    bench.drop()
    assert _names(bench) == ["large.txt", "small.txt"]


def test_short_file_gets_a_second_worker_while_the_first_is_busy(make_bench: Callable[..., Bench]):
    bench = make_bench(workers={"at_once": 2, "short": "100B"})
    (bench.settings.inbox / "long.txt").write_text("x" * 1000)
    bench.drop()
    bench.load()
    (bench.settings.inbox / "long too.txt").write_text("y" * 900)
    bench.drop("short.txt")
    bench.load(2)
    assert (_names(bench, 1), _names(bench, 2)) == (["long.txt"], ["short.txt"])


# ---------------------------------------------------------------------------------------- several workers


def test_each_job_goes_to_the_worker_with_the_options_of_its_recipe(two_pools: Bench):
    two_pools.load(1)
    two_pools.load(2)
    assert (_names(two_pools, 1), _names(two_pools, 2)) == (["x.txt"], ["y.txt"])


def test_no_more_workers_are_started_than_configured(make_bench: Callable[..., Bench]):
    bench = make_bench(**{**TWO_POOLS, "workers": {"at_once": 1}})
    bench.drop("x.txt")
    _drop_other(bench, "y.txt")
    assert len(bench.workers) == 1


def test_crash_of_one_worker_leaves_the_jobs_of_another_alone(two_pools: Bench):
    two_pools.load(1)
    two_pools.load(2)
    two_pools.exit_worker(1)
    assert (two_pools.job("x.txt").state, two_pools.job("y.txt").state) == ("queued", "running")
    assert two_pools.dispatcher.is_busy


def test_outcome_from_another_worker_than_the_jobs_own_is_discarded(two_pools: Bench):
    two_pools.load(1)
    two_pools.load(2)
    two_pools.fail(2, two_pools.job("x.txt"), FailureKind.BAD_INPUT)
    assert two_pools.job("x.txt").state == "running"


def test_loading_progress_of_two_workers_of_one_processor_is_separate(two_pools: Bench):
    two_pools.report_progress(1, None, done=0.5)
    two_pools.report_progress(2, None, done=1.5)
    shown = [worker["loading"]["done"] for worker in two_pools.ask("status")["workers"]]
    assert shown == [0.5, 1.5]
    two_pools.load(1)
    assert [bool(worker["loading"]) for worker in two_pools.ask("status")["workers"]] == [False, True]
    two_pools.exit_worker(2)
    assert two_pools.progress.all() == {}


def test_loading_progress_ends_with_its_worker_and_no_other(two_pools: Bench):
    two_pools.report_progress(1, None)
    two_pools.report_progress(2, None)
    two_pools.exit_worker(1)
    assert list(two_pools.progress.all()) == [(2, None)]


# ---------------------------------------------------------------------------------------- late messages


@pytest.mark.parametrize("late", ["finished", "failed", "batch done", "progress", "loaded"])
def test_message_of_a_worker_that_has_exited_changes_nothing(bench: Bench, late: str):
    bench.begin("x.txt")
    job = bench.job("x.txt")
    message = {
        "finished": finished(bench, job),
        "failed": protocol.WorkFailed(job=job.id, attempt=1, kind=FailureKind.BAD_INPUT, message=""),
        "batch done": protocol.BatchDone(),
        "progress": WorkProgress(job=job.id, attempt=1, done=1.0, total=2.0, unit="pages"),
        "loaded": protocol.WorkerLoaded(engine="e", model="m", device="d", seconds=0.0),
    }[late]
    bench.exit_worker(1)
    before = bench.job("x.txt")
    bench.receive(1, message)
    assert bench.job("x.txt") == before and bench.progress.all() == {}


def test_second_outcome_of_a_job_changes_nothing(bench: Bench, caplog: pytest.LogCaptureFixture):
    bench.begin("x.txt")
    job = bench.job("x.txt")
    bench.fail(1, job)
    before = bench.job("x.txt")
    with caplog.at_level(logging.WARNING):
        bench.receive(1, finished(bench, job))
    assert bench.job("x.txt") == before and "which it does not have" in caplog.text


def test_outcome_of_an_earlier_attempt_changes_nothing(bench: Bench):
    bench.begin("x.txt")
    first = bench.job("x.txt")
    bench.fail(1, first)
    bench.end_batch()
    bench.wait(30)
    bench.fail(1, first, FailureKind.BAD_INPUT)
    job = bench.job("x.txt")
    assert (job.state, job.attempt, job.charged) == ("running", 2, 1)


def test_second_report_of_an_exit_changes_nothing(bench: Bench):
    bench.begin("x.txt")
    bench.exit_worker(1)
    before = bench.job("x.txt")
    bench.exit_worker(1)
    assert bench.job("x.txt") == before and sum(bench.workers.ends.values()) == 1


def test_message_postpones_the_timeout_of_its_worker(bench: Bench):
    bench.begin("x.txt")
    deadline = bench.worker().deadline
    bench.clock.seconds += 5
    bench.report_progress(1, bench.job("x.txt"))
    assert bench.worker().deadline == deadline + 5


def test_worker_that_loads_for_too_long_is_killed_and_its_processor_parked(bench: Bench):
    bench.drop("x.txt")
    bench.wait(bench.worker().timeout + 1)
    assert bench.connection().is_killed
    bench.exit_worker(1)
    assert list(bench.dispatcher.parked) == ["plaintext"]
    assert (bench.job("x.txt").state, bench.job("x.txt").charged) == ("queued", 0)


def test_idle_worker_has_no_timeout(bench: Bench):
    bench.begin("x.txt")
    bench.finish(1, bench.job("x.txt"))
    bench.end_batch()
    bench.wait(10 * bench.worker().timeout)
    assert not bench.connection().is_killed


# ---------------------------------------------------------------------------------------- memory


def test_batches_stay_halved_for_the_workers_that_follow(bench: Bench):
    names = ("a.txt", "b.txt", "c.txt", "d.txt")
    bench.begin(*names)
    bench.exit_worker(1, why=FailureKind.OUT_OF_MEMORY, reason="It is full.")
    bench.turn()
    bench.load(2)
    assert len(_names(bench, 2)) == 2
    bench.exit_worker(2, why=FailureKind.OUT_OF_MEMORY, reason="It is full.")
    bench.turn()
    bench.load(3)
    assert len(_names(bench, 3)) == 1
    assert {job.charged for job in bench.all_jobs()} == {0}


def test_job_that_is_out_of_gpu_memory_alone_moves_to_the_cpu(bench: Bench):
    bench.drop("x.txt")
    pool = bench.app.pools.slot_of(bench.worker()).pool
    pool.options = pool.options.model_copy(update={"cpu_fallback": True})
    bench.load(device="cuda:0")
    for worker in (1, 2):
        bench.fail_file("x.txt", FailureKind.OUT_OF_MEMORY, worker)
        job = bench.job("x.txt")
        assert (job.state, job.charged, job.alone, job.is_for_cpu) == ("queued", 0, True, worker == 2)
        bench.exit_worker(worker)
        bench.turn()
        bench.load(worker + 1, device="cuda:0")


def test_reason_of_an_exit_is_the_error_of_its_job(make_bench: Callable[..., Bench]):
    bench = make_bench(retry={"attempts": 1})
    bench.begin("x.txt")
    bench.exit_worker(1, exit_status=3, stderr_tail="first line\nlast line")
    assert bench.job("x.txt").error == "The worker process exited with status 3. last line"


# ---------------------------------------------------------------------------------------- cancelling


def test_queued_job_is_cancelled_at_once(bench: Bench):
    bench.begin("x.txt")
    bench.drop("y.txt")
    assert bench.dispatcher.cancel(bench.job("y.txt"))
    assert bench.job("y.txt").state == "cancelled" and not bench.connection().is_killed


@pytest.mark.parametrize("outcome", ["finished", "failed"])
def test_job_cancelled_while_its_outcome_is_under_way_is_cancelled(bench: Bench, outcome: str):
    bench.begin("a.txt", "b.txt")
    job = bench.job("a.txt")
    bench.dispatcher.cancel(job)
    if outcome == "finished":
        bench.receive(1, finished(bench, job))
    else:
        bench.fail_file("a.txt", FailureKind.ERROR)
    bench.exit_worker(1)
    assert bench.store.get(job.id).state == "cancelled"
    mate = bench.job("b.txt")
    assert (mate.state, mate.charged, mate.alone) == ("queued", 0, False)


def test_job_that_finished_before_it_could_be_cancelled_stays_done(bench: Bench):
    bench.begin("x.txt")
    job = bench.job("x.txt")
    bench.finish(1, job)
    bench.dispatcher.cancel(job)
    assert bench.store.get(job.id).state == "done" and not bench.connection().is_killed


def test_next_job_on_a_fresh_worker_is_not_taken_for_a_cancelled_one(bench: Bench):
    bench.begin("x.txt", "y.txt")
    bench.dispatcher.cancel(bench.job("x.txt"))
    bench.exit_worker(1)
    bench.turn()
    bench.load(2)
    assert _names(bench, 2) == ["y.txt"]
    bench.exit_worker(2)
    job = bench.job("y.txt")
    assert (job.state, job.charged) == ("queued", 1), "this exit was a crash"


# ---------------------------------------------------------------------------------------- parking and pausing


def test_probe_of_a_processor_that_stays_unavailable_keeps_its_jobs_waiting(bench: Bench):
    bench.begin("x.txt")
    bench.fail_file("x.txt", FailureKind.UNAVAILABLE)
    bench.end_batch()
    bench.do("probe")
    assert bench.job("x.txt").waiting_for == "x.txt failed"


def test_reason_of_a_waiting_job_follows_that_of_its_processor(bench: Bench):
    """As after a reload: the job no longer waits for weights, but for a server that does not respond."""
    bench.begin("x.txt", "y.txt")
    bench.fail_file("x.txt", FailureKind.UNAVAILABLE)
    bench.fail_file("y.txt", FailureKind.UNAVAILABLE)
    bench.end_batch()
    bench.store.reassign(bench.job("y.txt"), waiting_for="The weights are missing.")
    bench.do("probe")
    assert bench.job("y.txt").waiting_for == bench.job("x.txt").waiting_for == "x.txt failed"


def test_probe_at_once_does_not_wait_for_the_pause(bench: Bench):
    bench.begin("x.txt")
    bench.fail_file("x.txt", FailureKind.UNAVAILABLE)
    bench.end_batch()
    bench.ask("probe")
    bench.turn()
    assert bench.job("x.txt").state == "running"


def test_probe_checks_many_jobs_bit_by_bit(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parked_jobs, "_PROBE_JOBS", 2)
    names = [f"{number}.txt" for number in range(5)]
    bench.drop(*names)
    cancelled = bench.job("0.txt").id
    bench.store.park([bench.job(name).id for name in names], "a reason")
    bench.store.park([cancelled], LOST)
    bench.guard(bench.dispatcher.probe)
    waiting = [bench.store.count_waiting()]
    bench.guard(bench.dispatcher.feed)
    assert bench.dispatcher.has_more, "the loop does not sleep"
    waiting.append(bench.store.count_waiting())
    bench.guard(bench.dispatcher.feed)
    waiting.append(bench.store.count_waiting())
    assert not bench.dispatcher.has_more and waiting[0] > waiting[1] > waiting[2] - 1 == 0
    assert bench.job("0.txt").waiting_for == LOST


def test_reason_of_jobs_that_wait_follows_config_toml(bench: Bench, tmp_path: Path):
    bench.begin("x.txt")
    bench.fail_file("x.txt", FailureKind.UNAVAILABLE)
    bench.end_batch()
    without = {**TABLES, "inbox": {"settle_seconds": 0.0}, "recipes": {}}
    bench.app.settings.replace(config.parse(without, source=None, home=tmp_path))
    bench.do("probe")
    assert "no recipe 'count'" in bench.job("x.txt").waiting_for


def test_busy_worker_finishes_its_batch_while_the_daemon_is_paused(bench: Bench):
    bench.begin("x.txt")
    bench.ask("pause")
    bench.turn()
    assert bench.worker().state is WorkerState.BUSY
    bench.finish(1, bench.job("x.txt"))
    bench.end_batch()
    bench.turn()
    assert bench.worker().state is WorkerState.ENDING


def test_stop_clears_what_is_shown_of_running_jobs(bench: Bench):
    bench.begin("x.txt")
    bench.report_progress(1, bench.job("x.txt"))
    bench.dispatcher.put_back_running()
    assert bench.progress.all() == {} and bench.ask("status")["running"] == []


# ---------------------------------------------------------------------------------------- new settings


def _reconfigure(bench: Bench, tmp_path: Path, **plaintext: Any) -> None:
    tables = {**TABLES, "processors": {"plaintext": {**TABLES["processors"]["plaintext"], **plaintext}}}
    bench.app.settings.replace(config.parse(tables, source=None, home=tmp_path))


def test_idle_worker_ends_when_its_options_change(bench: Bench, tmp_path: Path):
    bench.begin("x.txt")
    bench.finish(1, bench.job("x.txt"))
    bench.end_batch()
    _reconfigure(bench, tmp_path, python="/usr/bin/python3")
    assert bench.worker().state is WorkerState.ENDING


def test_worker_that_was_loading_ends_once_loaded_if_its_options_changed_meanwhile(bench: Bench, tmp_path: Path):
    bench.drop("x.txt")
    _reconfigure(bench, tmp_path, python="/usr/bin/python3")
    bench.load()
    assert bench.connection().is_closed and _batches(bench) == []
    bench.exit_worker(1)
    bench.turn()
    assert bench.worker(2).state is WorkerState.LOADING


def test_worker_stays_when_an_option_changes_that_it_need_not_load(bench: Bench, tmp_path: Path):
    bench.begin("x.txt")
    _reconfigure(bench, tmp_path, max_batch=1, timeout=7)
    assert bench.worker().timeout == 7
    bench.finish(1, bench.job("x.txt"))
    bench.end_batch()
    bench.drop("a.txt", "b.txt")
    assert len(_names(bench)) == 1


def test_running_job_is_retried_by_the_rules_in_force_when_it_fails(bench: Bench, tmp_path: Path):
    bench.begin("x.txt")
    tables = {**TABLES, "retry": {"attempts": 1}}
    bench.app.settings.replace(config.parse(tables, source=None, home=tmp_path))
    bench.fail_file("x.txt")
    assert bench.job("x.txt").state == "failed"


# ---------------------------------------------------------------------------------------- disks


def test_feed_asks_to_be_called_again_at_once_only_while_it_can_act(bench: Bench):
    bench.dispatcher.has_more = True
    bench.disk_retry.note(StorageError("The disk is full."))
    bench.disk_retry.trouble = "The disk is full."
    bench.dispatcher.feed()
    assert not bench.dispatcher.has_more


def test_job_is_queued_again_once_the_job_log_can_be_written(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    requeue, errors = bench.store.requeue, [StorageError("The job log is full.")]

    def refuse_once(*arguments: Any, **changes: Any) -> Any:
        if errors:
            raise errors.pop()
        return requeue(*arguments, **changes)

    bench.begin("x.txt")
    monkeypatch.setattr(bench.store, "requeue", refuse_once)
    bench.exit_worker(1)
    assert bench.job("x.txt").state == "running"
    bench.wait(10)
    assert (bench.job("x.txt").state, bench.job("x.txt").charged) == ("queued", 1)


def test_worker_gets_what_it_needs_to_know_of_a_job(bench: Bench):
    bench.begin("x.txt")
    job = bench.job("x.txt")
    (works,) = [message for message in bench.connection().sent if isinstance(message, protocol.Batch)]
    (work,) = works.works
    assert (work["job"], work["attempt"], work["recipe"], work["stem"]) == (job.id, 1, "count", "x")
    assert (work["kind"], work["media_type"]) == ("text", "text/plain")
