"""jobs.db: the rows of the jobs, their attempts and events.

Only the main thread uses it (one writer); readers open the file themselves, read-only. Each method that changes rows is
one transaction, durable when it returns (`synchronous=FULL`). Methods that end an attempt are fenced: they change
nothing, and report that, unless id, attempt and lease are those of the running attempt.

Every method raises `StorageError` if the file cannot be read or written now: nothing was changed, and the call may be
repeated. If the file is damaged or no longer at its path, they raise `StartOver`.
"""

import json
import secrets
import uuid
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import sqlalchemy as sa

from daemon.core.job import Job, JobState
from daemon.queue import history_import, sql
from daemon.queue.changes import JobChanges, StartFacts
from daemon.queue.queries import Queries, Values
from daemon.queue.tables import ENDED, attempts_table, events_table, jobs_table, row_of


class Store(Queries):
    """The jobs in the open database."""

    # ---------------------------------------------------------------------------------------- intake

    def insert(self, jobs: Sequence[Job], *, event: str = "queued") -> None:
        """Record new jobs, all in one transaction."""
        if not jobs:
            return
        with self._transaction():
            self._run(sql.INSERT_JOB, [tuple(row_of(job).values()) for job in jobs])
            self._run(sql.INSERT_EVENT, [(job.id, self._clock(), event, None) for job in jobs])
        self._counts[JobState.QUEUED] += len(jobs)

    def restore(self, jobs: Sequence[Job]) -> None:
        """Record ended jobs as their results describe them; existing rows are corrected."""
        with self._transaction():
            for job in jobs:
                if self._update(jobs_table.c.id == job.id, **row_of(job)) == 0:
                    self._run(sql.INSERT_JOB, tuple(row_of(job).values()))
                self._event(job, "recorded again", job.result_path)
        self._counts = self._count()

    def missing(self, jobs: Sequence[Job]) -> list[Job]:
        """Return those of `jobs` that have no row."""
        known = {row[0] for row in self._run(sql.KNOWN, (json.dumps([job.id for job in jobs]),))}
        return [job for job in jobs if job.id not in known]

    def set_sha256(self, job_id: str, sha256: str) -> None:
        with self._transaction():
            self._update(jobs_table.c.id == job_id, sha256=sha256)

    # ---------------------------------------------------------------------------------------- life cycle of a job

    def start(self, jobs: Sequence[Job], *, processor: str, worker_pid: int, **facts: Unpack[StartFacts]) -> list[Job]:
        """queued -> running, as the next attempt with a new lease; committed before any worker receives it."""
        started = [
            job.changed(
                state=JobState.RUNNING,
                attempt=job.attempt + 1,
                lease=secrets.token_hex(8),
                started_at=self._clock(),
                processor=processor,
                waiting_for=None,
                **facts,
            )
            for job in jobs
        ]
        with self._transaction():
            self._run(sql.START, [_start_values(job) for job in started])
            self._run(sql.INSERT_ATTEMPT, [_attempt_values(job, worker_pid) for job in started])
            self._run(
                sql.INSERT_EVENT, [(job.id, job.started_at, f"running, attempt {job.attempt}", None) for job in started]
            )
        for _ in started:
            self._moved(JobState.QUEUED, JobState.RUNNING)
        return started

    def requeue(self, job: Job, *, outcome: str, detail: str = "", **changes: Unpack[JobChanges]) -> Job | None:
        """running -> queued; `changes`: the cost of the attempt (charged, alone, run_at …). Return None if fenced
        off."""
        queued = replace(job, state=JobState.QUEUED, lease=None, **changes)
        with self._transaction():
            if not self._save(queued, *_is_attempt(job, JobState.RUNNING)):
                return None
            self._end_attempt(job, outcome, detail)
            self._event(job, f"queued again: {outcome}", detail)
        self._moved(job.state, queued.state)
        return queued

    def intend(self, job: Job, *, outcome: JobState, attempt_outcome: str, **facts: Unpack[JobChanges]) -> Job | None:
        """-> publishing: the intent to end in `outcome` with the result at `result_path`. None: fenced off.

        From running, or (a job given up without an attempt) from queued.
        """
        publishing = replace(job, state=JobState.PUBLISHING, outcome=outcome, **facts)
        with self._transaction():
            if not self._save(publishing, *_is_attempt(job, JobState.RUNNING, JobState.QUEUED)):
                return None
            self._end_attempt(job, attempt_outcome, publishing.error or "")
            self._event(publishing, f"publishing as {outcome}", publishing.result_path)
        self._moved(job.state, publishing.state)
        return publishing

    def intend_results(self, jobs: Sequence[Job]) -> list[Job]:
        """running -> publishing with the outcome done, for several jobs in one transaction; `jobs` describe their
        results already. Return those that were not fenced off."""
        with self._transaction():
            held = self.held(jobs, JobState.RUNNING)  # no other thread writes before the commit
            if held:
                now = self._clock()
                self._run(sql.INTEND_RESULT, [_result_values(job) for job in held])
                self._run(sql.END_ATTEMPT, [(now, "finished", None, job.id, job.attempt) for job in held])
                self._run(sql.INSERT_EVENT, [(job.id, now, "publishing as done", job.result_path) for job in held])
        for _ in held:
            self._moved(JobState.RUNNING, JobState.PUBLISHING)
        return [job.changed(state=JobState.PUBLISHING, outcome=JobState.DONE) for job in held]

    def rename_intent(self, job: Job, result_path: str) -> Job:
        """Change the result's path, because something else took its name before it was published."""
        renamed = replace(job, result_path=result_path)
        with self._transaction():
            self._save(renamed, *_is_attempt(job, JobState.PUBLISHING))
        return renamed

    def finish(self, job: Job) -> Job:
        """publishing -> its outcome: the result is in the outbox. If fenced off, return the job unchanged."""
        assert job.outcome is not None
        done = replace(job, state=job.outcome, lease=None, finished_at=self._clock())
        with self._transaction():
            ended = (str(done.state), done.finished_at, job.id, job.attempt, job.lease)
            if self._run(sql.FINISH, ended).rowcount == 0:
                return self.get(job.id) or job
            self._event(done, done.state, done.result_path)
        self._moved(job.state, done.state)
        return done

    def finish_results(self, jobs: Sequence[Job]) -> list[Job]:
        """`finish` for several jobs with the outcome done, in one transaction. Return those not fenced off."""
        with self._transaction():
            held, now = self.held(jobs, JobState.PUBLISHING), self._clock()
            if held:
                ended = str(JobState.DONE)
                self._run(sql.FINISH, [(ended, now, job.id, job.attempt, job.lease) for job in held])
                self._run(sql.INSERT_EVENT, [(job.id, now, ended, job.result_path) for job in held])
        for _ in held:
            self._moved(JobState.PUBLISHING, JobState.DONE)
        return [job.changed(state=JobState.DONE, lease=None, finished_at=now) for job in held]

    def reopen(self, job: Job) -> Job:
        """failed or cancelled -> queued, with all attempts restored; `result_path` stays until `forget_result`. In any
        other state, return the job unchanged."""
        queued = replace(
            job,
            state=JobState.QUEUED,
            charged=0,
            interruptions=0,
            alone=False,
            run_at=0,
            outcome=None,
            finished_at=None,
            error=None,
            error_kind=None,
            overrides=job.moved_back(),
        )
        with self._transaction():
            if not self._save(queued, "state IN ('failed', 'cancelled')"):
                return self.get(job.id) or job
            self._event(queued, "queued by command")
        self._moved(job.state, queued.state)
        return queued

    def set_reviewed(self, job: Job, *, is_reviewed: bool) -> None:
        """Record that a person has closed the review of a result, or has opened it again."""
        at = self._clock() if is_reviewed else None
        with self._transaction():
            self._run(sql.SET_REVIEWED, (at, job.id))
            self._event(job, "reviewed" if is_reviewed else "not reviewed")

    def record_event(self, job: Job, event: str, detail: str) -> None:
        """Record what happened to a job without a change of its state."""
        with self._transaction():
            self._event(job, event, detail)

    def forget_result(self, job: Job, *, event: str = "") -> Job:
        """Record that the job no longer has a result; `event`: why."""
        forgotten = replace(job, result_path=None)
        with self._transaction():
            if self._save(forgotten, "state = ? AND attempt = ?", str(job.state), job.attempt) and event:
                self._event(job, event, job.result_path)
        return forgotten

    def forget_history(self, job_ids: Sequence[str]) -> None:
        """Remove the rows of ended jobs, with their attempts and events."""
        ended = sa.select(jobs_table.c.id).where(jobs_table.c.id.in_(job_ids), jobs_table.c.state.in_(ENDED))
        with self._transaction():
            ids = list(self._connection.execute(ended).scalars())
            for table in (events_table, attempts_table):
                self._connection.execute(table.delete().where(table.c.job.in_(ids)))
            self._connection.execute(jobs_table.delete().where(jobs_table.c.id.in_(ids)))
        self._counts = self._count()

    def adopt_history(self, copy: Path, *, but_not: Collection[str]) -> int:
        """Import from a `copy` of the job log the jobs that had ended and have no row here; return their number.
        `but_not`: jobs that have not ended, according to their files."""
        with history_import.attached(self._connection, copy), self._transaction():
            count = history_import.adopt(self._connection, but_not)
        self._counts = self._count()
        return count

    def reassign(self, job: Job, **changes: Unpack[JobChanges]) -> Job:
        """Change how a queued job is to be processed (recipe …), or what it waits for."""
        changed = replace(job, **changes)
        with self._transaction():
            self._save(changed, "state = 'queued'")
        return changed

    def shift_waits(self, by_us: int) -> None:
        """Adjust the waits for next attempts after the clock was set by `by_us`, so that each keeps its length."""
        waits = (jobs_table.c.state == JobState.QUEUED) & (jobs_table.c.run_at > 0)
        with self._transaction():
            self._update(waits, run_at=sa.func.max(jobs_table.c.run_at + by_us, 1))

    def bound_waits(self, latest: int) -> None:
        """Let no job wait for its next attempt beyond `latest`, because the clock may have been set back between two
        runs."""
        with self._transaction():
            self._update((jobs_table.c.state == JobState.QUEUED) & (jobs_table.c.run_at > latest), run_at=latest)

    def park(self, job_ids: Sequence[str], why: str | None) -> None:
        """Record why queued jobs wait; None: they no longer do."""
        with self._transaction():
            for job_id in job_ids:
                self._update((jobs_table.c.id == job_id) & (jobs_table.c.state == JobState.QUEUED), waiting_for=why)
                self._run(sql.INSERT_EVENT, (job_id, self._clock(), "parked" if why else "resumed", why))

    def note_running(self, job_id: str, why: str) -> None:
        """Record what the end of a running job waits for. After a crash, the job that is queued again keeps this
        record."""
        with self._transaction():
            running = (jobs_table.c.id == job_id) & (jobs_table.c.state == JobState.RUNNING)
            self._update(running, waiting_for=why)

    # ---------------------------------------------------------------------------------------- below

    def _moved(self, old: JobState, new: JobState) -> None:
        """Update `counts` after a commit."""
        self._counts[old] -= 1
        self._counts[new] += 1

    def _save(self, job: Job, condition: str, *values: object) -> bool:
        """Write the whole row where `condition` still holds; False: it does not."""
        row = row_of(job)
        changed = [row[name] for name in sql.CHANGING_COLUMNS]
        return self._run(sql.SAVE_IF + condition, (*changed, job.id, *values)).rowcount == 1

    def _update(self, condition: sa.ColumnElement[bool], **values: object) -> int:
        return self._connection.execute(jobs_table.update().where(condition).values(**values)).rowcount

    def _end_attempt(self, job: Job, outcome: str, error: str) -> None:
        self._run(sql.END_ATTEMPT, (self._clock(), str(outcome), error or None, job.id, job.attempt))

    def _event(self, job: Job, event: str, detail: str | None = None) -> None:
        self._run(sql.INSERT_EVENT, (job.id, self._clock(), str(event), detail or None))


def new_id() -> str:
    """A new job id. On the command line, its first digits suffice."""
    return str(uuid.uuid4())


def _is_attempt(job: Job, *states: JobState) -> tuple[str, *Values]:
    """The fence as a condition, followed by its values."""
    values: Values = (job.attempt, job.lease, *map(str, states))
    return sql.is_attempt(len(states)), *values


def _result_values(job: Job) -> Values:
    row = row_of(job)
    return (*(row[name] for name in sql.RESULT_COLUMNS), job.id, job.attempt, job.lease)


def _start_values(job: Job) -> Values:
    return job.attempt, job.lease, job.started_at, job.processor, job.engine, job.model, job.device, job.node, job.id


def _attempt_values(job: Job, worker_pid: int) -> Values:
    made_by = (job.processor, job.engine, job.model, job.device, job.node)
    return job.id, job.attempt, *made_by, worker_pid, job.started_at
