import contextlib
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_job

from daemon.core.errors import StartOver, StoreError
from daemon.core.job import JobState
from daemon.queue import sql
from daemon.queue.queries import now_us
from daemon.queue.reader import JobLog
from daemon.queue.store import Store


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "jobs.db")
    yield opened
    opened.close()


def _start(store: Store, job):
    return store.start([job], processor="plaintext", worker_pid=1, engine="e", model="m", device="d")[0]


def test_job_is_read_back_as_it_was_written(store: Store):
    job = make_job(name="ünï\ncode", review=("look", "twice"), alone=True, outcome=JobState.DONE, media_seconds=1.5)
    store.insert([job])
    assert store.get(job.id) == job


def test_queue_is_ordered_by_priority_then_age(store: Store):
    old, new, urgent = make_job(), make_job(), make_job(priority=5)
    store.insert([new, urgent, old])
    assert [job.id for job in store.queued("count", now=now_us(), limit=9)] == [urgent.id, old.id, new.id]


def test_queue_leaves_out_what_may_not_start(store: Store):
    later, parked, unhashed = make_job(run_at=now_us() + 10**9), make_job(waiting_for="x"), make_job(sha256=None)
    store.insert([later, parked, unhashed, make_job(recipe="other")])
    assert store.queued("count", now=now_us(), limit=9) == []
    assert store.next_run_at(now=now_us()) == later.run_at
    assert [job.id for job in store.waiting(limit=9)] == [parked.id]


def test_queue_is_read_through_its_index(store: Store):
    plan = store._connection.exec_driver_sql(
        "EXPLAIN QUERY PLAN SELECT * FROM jobs WHERE state = 'queued' AND recipe IS 'x' AND waiting_for IS NULL "
        "AND run_at <= 1 AND sha256 IS NOT NULL ORDER BY priority DESC, received_at, id LIMIT 5"
    ).all()
    details = " ".join(row[3] for row in plan)
    assert "jobs_queue" in details and "TEMP B-TREE" not in details


def test_outcome_of_a_stale_attempt_is_refused(store: Store):
    job = make_job()
    store.insert([job])
    stale = _start(store, job)
    again = store.requeue(stale, outcome="timeout", charged=1)
    fresh = _start(store, again)
    assert store.intend(stale, outcome=JobState.DONE, attempt_outcome="finished", result_path="r") is None
    assert store.requeue(stale, outcome="error") is None
    assert store.get(job.id) == fresh
    done = store.finish(store.intend(fresh, outcome=JobState.DONE, attempt_outcome="finished", result_path="r"))
    assert store.get(job.id) == done and done.state is JobState.DONE


def _outcomes(store: Store, job):
    """Each way for an attempt to end or to go on, by name."""
    publishing = replace(job, state=JobState.PUBLISHING, outcome=JobState.DONE, result_path="other")
    return {
        "queued again": lambda: store.requeue(job, outcome="error", charged=1),
        "intent": lambda: store.intend(job, outcome=JobState.DONE, attempt_outcome="finished", result_path="other"),
        "new name": lambda: store.rename_intent(publishing, "another"),
        "end": lambda: store.finish(publishing),
    }


@pytest.mark.parametrize("outcome", ["queued again", "intent", "new name", "end"])
@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.PUBLISHING])
def test_outcome_of_the_same_attempt_number_with_another_lease_is_refused(store: Store, outcome: str, state: str):
    """After the job log was lost and rebuilt, attempts are counted from 1 again."""
    job = make_job()
    store.insert([job])
    fresh = _start(store, job)
    stale = replace(fresh, lease="of the other life")
    if state is JobState.PUBLISHING:
        fresh = store.intend(fresh, outcome=JobState.DONE, attempt_outcome="finished", result_path="r")
    _outcomes(store, stale)[outcome]()
    assert store.get(job.id) == fresh


def test_job_is_not_failed_by_a_stale_view_of_it(store: Store):
    job = make_job()
    store.insert([job])
    again = store.requeue(_start(store, job), outcome="error")
    assert store.intend(job, outcome=JobState.FAILED, attempt_outcome="error", result_path="r") is None
    assert store.get(job.id) == again


@pytest.mark.parametrize("outcome", ["queued again", "intent"])
def test_attempt_ends_only_once(store: Store, outcome: str):
    job = make_job()
    store.insert([job])
    running = _start(store, job)
    publishing = store.intend(running, outcome=JobState.DONE, attempt_outcome="finished", result_path="r")
    assert _outcomes(store, running)[outcome]() is None
    assert store.get(job.id) == publishing and store.counts() == {"publishing": 1}


def test_stale_end_and_retry_change_nothing(store: Store):
    job = make_job()
    store.insert([job])
    started = _start(store, job)
    publishing = store.intend(started, outcome=JobState.DONE, attempt_outcome="finished", result_path="x")
    done = store.finish(publishing)
    events = len(JobLog(store.path).events(done.id))
    assert store.finish(publishing) == done  # a second time
    assert store.reopen(replace(done, state=JobState.FAILED)) == done  # it has not failed
    assert len(JobLog(store.path).events(done.id)) == events
    assert store.counts() == {"done": 1}


def test_attempts_and_events_are_recorded(store: Store, tmp_path: Path):
    job = make_job()
    store.insert([job])
    again = store.requeue(_start(store, job), outcome="crashed", detail="SIGSEGV", charged=1)
    store.finish(store.intend(_start(store, again), outcome=JobState.DONE, attempt_outcome="finished", result_path="r"))
    with JobLog(tmp_path / "jobs.db") as log:
        assert [(row["attempt"], row["outcome"]) for row in log.attempts(job.id)] == [(1, "crashed"), (2, "finished")]
        assert [row["event"] for row in log.events(job.id)][-1] == "done"
        row = log.find(job.id[:8])
    assert (row["state"], row["attempts"], row["file"]) == ("done", 2, job.path)
    assert row["finished_at"].endswith("Z") and row["run_seconds"] >= 0


def test_job_log_has_its_documented_columns(store: Store):
    columns = store._connection.exec_driver_sql("SELECT * FROM job_log").keys()
    promised = "id file folder kind recipe processor engine model device state review attempts received_at started_at "
    promised += (
        "finished_at wait_seconds run_seconds size_bytes media_seconds pages sha256 result_path error_kind error"
    )
    assert list(columns)[: len(promised.split())] == promised.split()


def test_every_commit_is_durable(store: Store):
    assert store._connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL
    assert store._connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"


def test_failed_transaction_leaves_nothing_behind(store: Store):
    good, bad = make_job(), make_job(state="nonsense")
    with pytest.raises(Exception, match="CHECK"):
        store.insert([good, bad])
    assert store.get(good.id) is None
    store.insert([good])
    assert store.get(good.id) == good


def test_database_of_a_newer_version_is_refused(tmp_path: Path):
    Store(tmp_path / "jobs.db").close()
    connection = sqlite3.connect(tmp_path / "jobs.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="newer inboxd"):
        Store(tmp_path / "jobs.db")


def test_damaged_database_is_set_aside_and_rebuilt(tmp_path: Path):
    (tmp_path / "jobs.db").write_bytes(b"this is no database" * 100)
    store = Store(tmp_path / "jobs.db")
    assert store.is_new
    assert [path.read_bytes()[:7] for path in tmp_path.glob("jobs.db.damaged-*")] == [b"this is"]
    store.insert([make_job()])
    assert store.counts() == {"queued": 1}
    store.close()


def test_changes_are_refused_after_the_file_was_replaced(store: Store):
    store.insert([make_job()])
    store.path.unlink()
    with pytest.raises(StartOver, match="removed or replaced"):
        store.insert([make_job()])
    store.path.write_bytes(b"")
    with pytest.raises(StartOver, match="removed or replaced"):
        store.check()


def test_counts_match_the_table(store: Store, tmp_path: Path):
    jobs = [make_job() for _ in range(4)]
    store.insert(jobs)
    done = store.finish(
        store.intend(_start(store, jobs[0]), outcome=JobState.DONE, attempt_outcome="f", result_path="a")
    )
    store.requeue(_start(store, jobs[1]), outcome="error")
    _start(store, jobs[2])
    failed = store.intend(jobs[3], outcome=JobState.FAILED, attempt_outcome="bad_input", result_path="b")
    store.reopen(store.finish(failed))
    assert done.state is JobState.DONE
    with JobLog(tmp_path / "jobs.db") as log:
        assert store.counts() == log.counts() == {"done": 1, "queued": 2, "running": 1}


def test_job_moved_to_the_cpu_starts_over_after_a_retry(store: Store):
    job = make_job(overrides={"options": {"upper": True}})
    store.insert([job])
    moved = store.requeue(_start(store, job), outcome="out_of_memory", overrides=job.moved_to_cpu())
    assert store.get(job.id).is_for_cpu
    failed = store.intend(_start(store, moved), outcome=JobState.FAILED, attempt_outcome="error", result_path="r")
    again = store.reopen(store.finish(failed))
    assert not again.is_for_cpu and again.overrides == job.overrides == store.get(job.id).overrides


def test_periodic_check_detects_a_removed_file_without_writing(store: Store):
    store.insert([make_job()])
    log = store.path.with_name("jobs.db-wal")
    before = log.stat()
    store.check_file()
    assert (log.stat().st_size, log.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    store.check()
    assert log.stat().st_mtime_ns > before.st_mtime_ns, "a check does write"
    store.path.unlink()
    with pytest.raises(StartOver, match="removed or replaced"):
        store.check_file()


# ---------------------------------------------------------------------------------------- waiting


def test_waits_keep_their_length_when_the_clock_is_set(store: Store):
    soon, late, now = make_job(run_at=1_000), make_job(run_at=9_000), make_job(run_at=0)
    store.insert([soon, late, now])
    store.shift_waits(500)
    assert [store.get(job.id).run_at for job in (soon, late, now)] == [1_500, 9_500, 0]
    store.shift_waits(-2_000)
    assert [store.get(job.id).run_at for job in (soon, late, now)] == [1, 7_500, 0], "a wait stays one, if over"
    store.bound_waits(7_000)
    assert [store.get(job.id).run_at for job in (soon, late, now)] == [1, 7_000, 0]


def test_jobs_that_do_not_wait_keep_their_times_when_the_clock_is_set(store: Store):
    job = make_job(run_at=1_000)
    store.insert([job])
    running = _start(store, job)
    store.shift_waits(500)
    store.bound_waits(10)
    assert store.get(job.id) == running


def test_waiting_job_starts_at_its_time(store: Store):
    job = make_job(run_at=1_000)
    store.insert([job])
    assert store.queued("count", now=999, limit=9) == [] and store.next_run_at(now=999) == 1_000
    assert store.queued("count", now=1_000, limit=9) == [job] and store.next_run_at(now=1_000) is None


def test_parked_jobs_are_read_in_portions_without_sorting_them(store: Store):
    jobs = [make_job(waiting_for=f"reason {number % 2}") for number in range(5)]
    store.insert([jobs[0], make_job(), *jobs[1:]])
    assert store.waiting(limit=2) == jobs[:2]
    assert store.waiting(after=jobs[1], limit=2) == jobs[2:4]
    assert store.waiting(after=jobs[3], limit=2) == jobs[4:]
    assert store.waiting_for("reason 1") == jobs[1::2]
    plan = store._run(f"EXPLAIN QUERY PLAN {sql.WAITING}", (-1, "", 2)).fetchall()
    assert "USING INDEX jobs_run_at" in str(plan) and "TEMP B-TREE" not in str(plan)


def test_parked_jobs_are_counted_and_resumed(store: Store, tmp_path: Path):
    parked, running, other = make_job(), make_job(), make_job()
    store.insert([parked, running, other])
    running = _start(store, running)
    store.park([parked.id, running.id], "the server is unavailable")
    assert store.get(parked.id).waiting_for == "the server is unavailable"
    assert store.get(running.id) == running and store.get(other.id) == other, "only what is queued waits"
    assert (store.count_waiting(), [job.id for job in store.waiting(limit=9)]) == (1, [parked.id])
    store.park([parked.id], None)
    assert store.get(parked.id) == parked and store.count_waiting() == 0
    with JobLog(tmp_path / "jobs.db") as log:
        events = [(row["event"], row["detail"]) for row in log.events(parked.id)]
    assert events == [("queued", None), ("parked", "the server is unavailable"), ("resumed", None)]


def test_only_queued_jobs_are_reassigned(store: Store):
    job = make_job()
    store.insert([job])
    assert store.reassign(job, recipe="other") == store.get(job.id) == replace(job, recipe="other")
    running = _start(store, store.get(job.id))
    store.reassign(running, recipe="third")
    assert store.get(job.id) == running


# ---------------------------------------------------------------------------------------- queries


def test_job_is_found_by_the_first_digits_of_its_id(store: Store):
    store.insert([make_job(id="abc1"), make_job(id="abc2"), make_job(id="abc3"), make_job(id="a%c")])
    assert [job.id for job in store.find("abc1")] == ["abc1"]
    assert len(store.find("abc")) == 2, "more than one is too many"
    assert [job.id for job in store.find("a%")] == ["a%c"] and store.find("x") == []


def test_smallest_job_may_start_and_need_not_be_alone(store: Store):
    jobs = {size: make_job(size_bytes=size) for size in (7, 5, 9)}
    hindered = [
        make_job(size_bytes=1, alone=True),
        make_job(size_bytes=1, run_at=10),
        make_job(size_bytes=1, recipe="x"),
    ]
    store.insert([*jobs.values(), *hindered])
    assert store.smallest_queued("count", now=5) == jobs[5]
    assert store.smallest_queued("none", now=5) is None


def test_queue_respects_its_limit_and_lists_its_recipes(store: Store):
    store.insert([make_job(), make_job(), make_job(recipe=None), make_job(recipe="x", state=JobState.DONE)])
    assert (
        len(store.queued("count", now=now_us(), limit=1)) == 1 and len(store.queued(None, now=now_us(), limit=9)) == 1
    )
    assert store.queued_recipes() == {"count", None}


def test_job_does_not_start_before_its_failure_is_withdrawn(store: Store):
    store.insert([make_job(result_path="failed/x")])
    assert store.queued("count", now=now_us(), limit=9) == []


def _done(store: Store, job, **facts):
    store.insert([job])
    facts = {"result_path": job.name, **facts}
    return store.finish(store.intend(_start(store, job), outcome=JobState.DONE, attempt_outcome="finished", **facts))


def test_earlier_result_is_the_latest_of_the_same_content_recipe_and_options(store: Store):
    same = [_done(store, make_job()) for _ in range(2)]
    for other in ({"sha256": "1" * 64}, {"recipe": "other"}, {"overrides": {"options": {"upper": True}}}):
        _done(store, make_job(**other))
    _done(store, make_job(), duplicate_of=same[0].id)
    store.forget_result(_done(store, make_job()))
    job = make_job()
    store.insert([job])
    assert store.done_before(job) == max(same, key=lambda each: (each.finished_at, each.id))
    assert store.done_before(make_job(sha256="2" * 64)) is None


def test_duplicates_wait_for_earlier_or_running_ones(store: Store):
    first, second = make_job(), make_job()
    store.insert([first, second])
    assert store.is_before_in_queue(second) and not store.is_before_in_queue(first)
    store.park([first.id], "a reason")
    assert not store.is_before_in_queue(second), "one that waits keeps nobody waiting"
    running = _start(store, second)
    store.park([first.id], None)
    assert store.is_before_in_queue(store.get(first.id))
    store.intend(running, outcome=JobState.DONE, attempt_outcome="finished", result_path="r")
    assert store.is_before_in_queue(store.get(first.id))


def test_jobs_that_ended_are_listed_oldest_first_and_page_by_page(store: Store):
    jobs = [_done(store, make_job()) for _ in range(3)]
    open_job, lost = make_job(), store.forget_result(_done(store, make_job()))
    store.insert([open_job])
    jobs.sort(key=lambda job: (job.finished_at, job.id))

    def ended(after=("", 0), before=2**62, **how) -> list[str]:
        return [job.id for job in store.ended([JobState.DONE], before=before, after=after, limit=2, **how)]

    assert ended() == [job.id for job in jobs[:2]]
    assert ended(after=(jobs[1].id, jobs[1].finished_at)) == [jobs[2].id]
    assert lost.id in ended(after=(jobs[1].id, jobs[1].finished_at), with_result=False)
    assert ended(before=jobs[0].finished_at) == []
    assert store.ended([JobState.FAILED], before=2**62, after=("", 0), limit=9) == []
    assert store.count_ended() == 4 and store.failed() == []


def test_failed_and_cancelled_jobs_are_listed_by_age(store: Store):
    late, early = make_job(received_at=2), make_job(received_at=1)
    store.insert([late, early, make_job()])
    for job, outcome in ((late, JobState.FAILED), (early, JobState.CANCELLED)):
        store.finish(store.intend(job, outcome=outcome, attempt_outcome="x", result_path="r"))
    assert [job.id for job in store.failed()] == [early.id, late.id]


def test_history_is_removed_of_ended_jobs_only(store: Store, tmp_path: Path):
    ended, spared, running = _done(store, make_job()), _done(store, make_job()), make_job()
    store.insert([running])
    running = _start(store, running)
    store.forget_history([ended.id, running.id])
    assert store.get(ended.id) is None and store.get(spared.id) == spared and store.get(running.id) == running
    with JobLog(tmp_path / "jobs.db") as log:
        for job, count in ((ended, 0), (spared, 1), (running, 1)):
            assert len(log.attempts(job.id)) == count and bool(log.events(job.id)) == bool(count)
        assert store.counts() == log.counts()


def test_attempt_records_its_end_once(store: Store, tmp_path: Path):
    job = make_job()
    store.insert([job])
    again = store.requeue(_start(store, job), outcome="crashed", detail="SIGSEGV")
    failed = store.intend(
        _start(store, again), outcome=JobState.FAILED, attempt_outcome="error", result_path="r", error="It broke."
    )
    store.finish(failed)
    with JobLog(tmp_path / "jobs.db") as log:
        told = [(row["outcome"], row["error"]) for row in log.attempts(job.id)]
        events = [(row["event"], row["detail"]) for row in log.events(job.id)]
    assert told == [("crashed", "SIGSEGV"), ("error", "It broke.")]
    assert events[1:3] == [("running, attempt 1", None), ("queued again: crashed", "SIGSEGV")]
    assert events[-2:] == [("publishing as failed", "r"), ("failed", "r")]


def test_retried_job_has_all_its_attempts_again(store: Store):
    job = make_job(charged=2, interruptions=3, alone=True, run_at=7)
    store.insert([job])
    failed = store.intend(job, outcome=JobState.FAILED, attempt_outcome="error", result_path="r", error="It broke.")
    ended = store.finish(replace(failed, error_kind="error"))
    again = store.reopen(ended)
    fresh = (again.charged, again.interruptions, again.alone, again.run_at, again.error, again.error_kind)
    assert fresh == (0, 0, False, 0, None, None) and (again.outcome, again.finished_at) == (None, None)
    assert (again.state, again.result_path) == (JobState.QUEUED, "r") and store.get(job.id) == again
    assert store.forget_result(again).result_path is None and store.get(job.id).result_path is None


def test_only_failed_jobs_are_reopened(store: Store):
    done = _done(store, make_job())
    store.reopen(done)
    assert store.get(done.id) == done


def test_intent_of_a_job_that_ran_is_renamed_and_finished_in_place(store: Store):
    job = make_job()
    store.insert([job])
    intent = store.intend(_start(store, job), outcome=JobState.DONE, attempt_outcome="finished", result_path="r")
    renamed = store.rename_intent(intent, "r (2)")
    assert store.get(job.id) == renamed == replace(intent, result_path="r (2)")
    done = store.finish(renamed)
    assert (done.state, done.lease, done.result_path) == (JobState.DONE, None, "r (2)")
    assert done.started_at <= done.finished_at and store.get(job.id) == done


def test_jobs_without_a_row_are_missing(store: Store):
    there, absent = make_job(), make_job()
    store.insert([there])
    assert store.missing([there, absent]) == [absent]
    store.set_sha256(there.id, "5" * 64)
    assert store.get(there.id) == replace(there, sha256="5" * 64)


def test_history_of_unknown_ended_jobs_is_imported_from_a_copy(store: Store, tmp_path: Path):
    known, taken, lost, running = make_job(), make_job(), make_job(), make_job()
    with contextlib.closing(Store(tmp_path / "copy.db")) as copy:
        ended = {job.id: _done(copy, job) for job in (known, taken, lost)}
        copy.insert([running])
        _start(copy, running)
        with JobLog(tmp_path / "copy.db") as log:
            story = [(row["event"], row["detail"]) for row in log.events(lost.id)]
    store.insert([known])
    assert store.adopt_history(tmp_path / "copy.db", but_not=[taken.id]) == 1
    assert store.get(lost.id) == ended[lost.id] and store.get(known.id) == known
    assert store.get(taken.id) is None and store.get(running.id) is None
    with JobLog(tmp_path / "jobs.db") as log:
        assert [(row["attempt"], row["outcome"]) for row in log.attempts(lost.id)] == [(1, "finished")]
        assert [(row["event"], row["detail"]) for row in log.events(lost.id)] == story
        assert log.attempts(running.id) == log.attempts(taken.id) == log.events(taken.id) == []
        assert store.counts() == log.counts() == {"done": 1, "queued": 1}
    assert store.adopt_history(tmp_path / "copy.db", but_not=[taken.id]) == 0


def test_jobs_are_restored_from_their_results(store: Store, tmp_path: Path):
    unknown, wrong = make_job(state=JobState.DONE, result_path="a"), make_job()
    store.insert([wrong])
    right = replace(wrong, state=JobState.FAILED, result_path="failed/b", error="It broke.")
    store.restore([unknown, right])
    assert store.get(unknown.id) == unknown and store.get(right.id) == right
    with JobLog(tmp_path / "jobs.db") as log:
        assert store.counts() == log.counts() == {"done": 1, "failed": 1}
        assert [(row["event"], row["detail"]) for row in log.events(unknown.id)] == [("recorded again", "a")]


def test_stale_attempts_are_refused_among_others_in_one_transaction(store: Store):
    jobs = [make_job() for _ in range(4)]
    store.insert(jobs)
    started = [_start(store, job) for job in jobs]
    store.requeue(started[0], outcome="timeout")
    store.intend(started[1], outcome=JobState.DONE, attempt_outcome="finished", result_path="taken")
    results = [replace(job, result_path=f"r{number}", review=("look",)) for number, job in enumerate(started)]
    stale_lease = replace(results[2], lease="another")
    publishing = store.intend_results([*results[:2], stale_lease, results[3]])
    assert [job.id for job in publishing] == [jobs[3].id]
    assert [store.get(job.id).state for job in jobs] == ["queued", "publishing", "running", "publishing"]
    assert store.get(jobs[3].id) == publishing[0] and store.get(jobs[1].id).result_path == "taken"
    done = store.finish_results([*publishing, replace(results[2], state=JobState.PUBLISHING)])
    assert [store.get(job.id) for job in done] == done and [job.id for job in done] == [jobs[3].id]
    assert store.finish_results(publishing) == [] and store.intend_results([]) == []
    assert store.counts() == {"queued": 1, "publishing": 1, "running": 1, "done": 1}
    assert store.still_open([job.id for job in jobs]) == {job.id for job in jobs[:3]}


def test_rows_have_the_time_in_microseconds():
    assert abs(now_us() / 1e6 - time.time()) < 5
