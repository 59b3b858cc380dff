import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_job

from daemon.errors import StartOver, StoreError
from daemon.joblog import JobLog
from daemon.model import JobState
from daemon.store import Store, now_us


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "jobs.db")
    yield opened
    opened.close()


def _start(store: Store, job):
    return store.start([job], processor="plaintext", worker_pid=1, engine="e", model="m", device="d")[0]


def test_a_job_is_read_back_as_it_was_written(store: Store):
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
    assert [job.id for job in store.waiting()] == [parked.id]


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
def test_outcome_of_an_attempt_of_the_same_number_from_another_life_is_refused(store: Store, outcome: str, state: str):
    """After the job log was lost and rebuilt, attempts are counted from 1 again."""
    job = make_job()
    store.insert([job])
    fresh = _start(store, job)
    stale = replace(fresh, lease="of the other life")
    if state is JobState.PUBLISHING:
        fresh = store.intend(fresh, outcome=JobState.DONE, attempt_outcome="finished", result_path="r")
    _outcomes(store, stale)[outcome]()
    assert store.get(job.id) == fresh


@pytest.mark.parametrize("outcome", ["queued again", "intent"])
def test_attempt_ends_only_once(store: Store, outcome: str):
    job = make_job()
    store.insert([job])
    running = _start(store, job)
    publishing = store.intend(running, outcome=JobState.DONE, attempt_outcome="finished", result_path="r")
    assert _outcomes(store, running)[outcome]() is None
    assert store.get(job.id) == publishing and store.counts() == {"publishing": 1}


def test_attempts_and_events_tell_the_story(store: Store, tmp_path: Path):
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


def test_job_log_keeps_the_columns_it_promises(store: Store):
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


def test_damaged_database_is_set_aside_and_made_anew(tmp_path: Path):
    (tmp_path / "jobs.db").write_bytes(b"this is no database" * 100)
    store = Store(tmp_path / "jobs.db")
    assert store.is_new
    assert [path.read_bytes()[:7] for path in tmp_path.glob("jobs.db.damaged-*")] == [b"this is"]
    store.insert([make_job()])
    assert store.counts() == {"queued": 1}
    store.close()


def test_change_is_refused_once_the_file_was_removed_or_replaced(store: Store):
    store.insert([make_job()])
    store.path.unlink()
    with pytest.raises(StartOver, match="removed or replaced"):
        store.insert([make_job()])
    store.path.write_bytes(b"")
    with pytest.raises(StartOver, match="removed or replaced"):
        store.check()


def test_counts_are_those_of_the_table(store: Store, tmp_path: Path):
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


def test_job_that_went_to_the_cpu_begins_anew_when_a_person_has_it_tried_again(store: Store):
    job = make_job(overrides={"options": {"upper": True}})
    store.insert([job])
    moved = store.requeue(_start(store, job), outcome="out_of_memory", overrides=job.moved_to_cpu())
    assert store.get(job.id).is_for_cpu
    failed = store.intend(_start(store, moved), outcome=JobState.FAILED, attempt_outcome="error", result_path="r")
    again = store.reopen(store.finish(failed))
    assert not again.is_for_cpu and again.overrides == job.overrides == store.get(job.id).overrides


def test_look_from_time_to_time_sees_a_removed_file_and_lets_the_disk_sleep(store: Store):
    store.insert([make_job()])
    log = store.path.with_name("jobs.db-wal")
    before = log.stat()
    store.look()
    assert (log.stat().st_size, log.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    store.check()
    assert log.stat().st_mtime_ns > before.st_mtime_ns, "a check does write"
    store.path.unlink()
    with pytest.raises(StartOver, match="removed or replaced"):
        store.look()
