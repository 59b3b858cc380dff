"""jobs.db: the rows of the jobs, their attempts and events.

Only the main thread uses it (one writer); readers open the file themselves, read-only. Each method that changes rows is
one transaction, durable when it returns (`synchronous=FULL`). Methods that end an attempt are fenced: they change
nothing, and report that, unless id, attempt and lease are those of the running attempt.

Every method raises `StorageError` if the file cannot be read or written now: nothing was changed, and the call may be
repeated. If the file is damaged or no longer at its path, they raise `StartOver`.
"""

import collections
import json
import secrets
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import sqlalchemy as sa

from daemon.core.job import Job, JobState, Overrides
from daemon.queue import sql
from daemon.queue.database import Database
from daemon.queue.rows import NumberedEventRow
from processors.contract import Kind

_Values = tuple[object, ...]  # those of a statement, in order

_ENDED = [state for state in JobState if state.is_final]
_jobs = sa.table("jobs", *(sa.column(name) for name in sql.JOB_COLUMNS))
_attempts = sa.table(
    "attempts",
    *(sa.column(name) for name in ("job", "attempt", "processor", "engine", "model", "device", "worker_pid")),
    *(sa.column(name) for name in ("started_at", "finished_at", "outcome", "error")),
)
_events = sa.table("events", *(sa.column(name) for name in ("id", "job", "at", "event", "detail")))


def now_us() -> int:
    """Microseconds since the epoch, UTC."""
    return time.time_ns() // 1000


class StartFacts(TypedDict, total=False):
    """The facts about an attempt that are known when it starts."""

    engine: str | None
    model: str | None
    device: str | None


class ContentFacts(TypedDict, total=False):
    """The columns of a job that describe the content of its original."""

    sha256: str | None
    size_bytes: int
    mtime_ns: int


class ResultFacts(TypedDict, total=False):
    """The columns of a job that describe its result."""

    excerpt: str
    review: tuple[str, ...]
    pages: int | None
    media_seconds: float | None
    error_kind: str | None
    error: str | None
    interruptions: int


class JobChanges(ContentFacts, ResultFacts, total=False):
    """Columns of a job that change with its state."""

    recipe: str | None
    charged: int
    alone: bool
    run_at: int
    waiting_for: str | None
    processor: str | None
    engine: str | None
    model: str | None
    device: str | None
    attempt: int
    result_path: str | None
    overrides: Overrides
    duplicate_of: str | None


class Store(Database):
    """The jobs in the open database."""

    def __init__(self, path: Path, *, clock: Callable[[], int] = now_us):
        """Open it, or create it.

        Raises:
            StorageError: it cannot be read or written now.
            StoreError: it was written by a newer inboxd.
        """
        self._clock = clock
        super().__init__(path)

    def _open(self) -> None:
        super()._open()
        self._counts = self._count()

    def now(self) -> int:
        """The time of the clock that the rows use, microseconds since the epoch."""
        return self._clock()

    # ---------------------------------------------------------------------------------------- intake

    def insert(self, jobs: Sequence[Job], *, event: str = "queued") -> None:
        """Record new jobs, all in one transaction."""
        if not jobs:
            return
        with self._transaction():
            self._run(sql.INSERT_JOB, [tuple(_row(job).values()) for job in jobs])
            self._run(sql.INSERT_EVENT, [(job.id, self._clock(), event, None) for job in jobs])
        self._counts[JobState.QUEUED] += len(jobs)

    def restore(self, jobs: Sequence[Job]) -> None:
        """Record ended jobs as their results describe them; existing rows are corrected."""
        with self._transaction():
            for job in jobs:
                if self._update(_jobs.c.id == job.id, **_row(job)) == 0:
                    self._run(sql.INSERT_JOB, tuple(_row(job).values()))
                self._event(job, "recorded again", job.result_path)
        self._counts = self._count()

    def missing(self, jobs: Sequence[Job]) -> list[Job]:
        """Return those of `jobs` that have no row."""
        known = {row[0] for row in self._run(sql.KNOWN, (json.dumps([job.id for job in jobs]),))}
        return [job for job in jobs if job.id not in known]

    def set_sha256(self, job_id: str, sha256: str) -> None:
        with self._transaction():
            self._update(_jobs.c.id == job_id, sha256=sha256)

    # ---------------------------------------------------------------------------------------- life cycle of a job

    def start(self, jobs: Sequence[Job], *, processor: str, worker_pid: int, **facts: Unpack[StartFacts]) -> list[Job]:
        """queued -> running, as the next attempt with a new lease; committed before any worker receives it."""
        started = [
            replace(
                job,
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
        """running -> queued; `changes`: the cost of the attempt (charged, alone, run_at …). None: fenced off."""
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
            held = self.held(jobs, JobState.RUNNING)  # nobody else writes before the commit
            if held:
                now = self._clock()
                self._run(sql.INTEND_RESULT, [_result_values(job) for job in held])
                self._run(sql.END_ATTEMPT, [(now, "finished", None, job.id, job.attempt) for job in held])
                self._run(sql.INSERT_EVENT, [(job.id, now, "publishing as done", job.result_path) for job in held])
        for _ in held:
            self._moved(JobState.RUNNING, JobState.PUBLISHING)
        return [replace(job, state=JobState.PUBLISHING, outcome=JobState.DONE) for job in held]

    def rename_intent(self, job: Job, result_path: str) -> Job:
        """Change the result's path: something else got its name before it was published."""
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
        return [replace(job, state=JobState.DONE, lease=None, finished_at=now) for job in held]

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

    def forget_result(self, job: Job, *, event: str = "") -> Job:
        """Record that the job no longer has a result; `event`: why."""
        forgotten = replace(job, result_path=None)
        with self._transaction():
            if self._save(forgotten, "state = ? AND attempt = ?", str(job.state), job.attempt) and event:
                self._event(job, event, job.result_path)
        return forgotten

    def forget_history(self, job_ids: Sequence[str]) -> None:
        """Remove the rows of ended jobs, with their attempts and events."""
        ended = sa.select(_jobs.c.id).where(_jobs.c.id.in_(job_ids), _jobs.c.state.in_(_ENDED))
        with self._transaction():
            ids = list(self._connection.execute(ended).scalars())
            for table in (_events, _attempts):
                self._connection.execute(table.delete().where(table.c.job.in_(ids)))
            self._connection.execute(_jobs.delete().where(_jobs.c.id.in_(ids)))
        self._counts = self._count()

    def adopt_history(self, copy: Path, *, but_not: Collection[str]) -> int:
        """Import from a `copy` of the job log the jobs that had ended and have no row here; return their number.
        `but_not`: jobs that have not ended, according to their files."""
        names = (_jobs.name, _attempts.name, _events.name)
        self._connection.exec_driver_sql("ATTACH DATABASE ? AS copy", (f"{copy.resolve().as_uri()}?mode=ro",))
        try:
            with self._transaction():
                shared = {name: ", ".join(self._shared_columns(name)) for name in names}
                self._connection.exec_driver_sql("CREATE TEMP TABLE adopted (id TEXT PRIMARY KEY)")
                self._connection.exec_driver_sql(
                    "INSERT INTO adopted SELECT id FROM copy.jobs WHERE state IN ('done', 'failed', 'cancelled') "
                    "AND id NOT IN (SELECT id FROM main.jobs) AND id NOT IN (SELECT value FROM json_each(?))",
                    (json.dumps(sorted(but_not)),),
                )
                for name, key in zip(names, ("id", "job", "job"), strict=True):
                    columns = shared[name] if name != "events" else shared[name].replace("id, ", "", 1)
                    self._connection.exec_driver_sql(
                        f"INSERT INTO main.{name} ({columns}) SELECT {columns} FROM copy.{name} "
                        f"WHERE {key} IN (SELECT id FROM adopted)" + (" ORDER BY id" if name == "events" else "")
                    )
                count = self._connection.exec_driver_sql("SELECT count(*) FROM adopted").scalar_one()
                self._connection.exec_driver_sql("DROP TABLE adopted")
        finally:
            self._connection.exec_driver_sql("DETACH DATABASE copy")
        self._counts = self._count()
        return int(count)

    def _shared_columns(self, table: str) -> list[str]:
        columns = [
            [row[1] for row in self._connection.exec_driver_sql(f"PRAGMA {schema}.table_info({table})")]
            for schema in ("main", "copy")
        ]
        return [name for name in columns[0] if name in columns[1]]

    def reassign(self, job: Job, **changes: Unpack[JobChanges]) -> Job:
        """Change how a queued job is to be processed (recipe …), or what it waits for."""
        changed = replace(job, **changes)
        with self._transaction():
            self._save(changed, "state = 'queued'")
        return changed

    def shift_waits(self, by_us: int) -> None:
        """Adjust the waits for next attempts after the clock was set by `by_us`, so that each keeps its length."""
        waits = (_jobs.c.state == JobState.QUEUED) & (_jobs.c.run_at > 0)
        with self._transaction():
            self._update(waits, run_at=sa.func.max(_jobs.c.run_at + by_us, 1))

    def bound_waits(self, latest: int) -> None:
        """Let no job wait for its next attempt beyond `latest`: the clock may have been set back between two runs."""
        with self._transaction():
            self._update((_jobs.c.state == JobState.QUEUED) & (_jobs.c.run_at > latest), run_at=latest)

    def park(self, job_ids: Sequence[str], why: str | None) -> None:
        """Record why queued jobs wait; None: they no longer do."""
        with self._transaction():
            for job_id in job_ids:
                self._update((_jobs.c.id == job_id) & (_jobs.c.state == JobState.QUEUED), waiting_for=why)
                self._run(sql.INSERT_EVENT, (job_id, self._clock(), "parked" if why else "resumed", why))

    # ---------------------------------------------------------------------------------------- queries

    def find(self, prefix: str) -> list[Job]:
        """The jobs whose id begins with `prefix`; at most two, which shows that it is ambiguous."""
        query = sa.select(_jobs).where(_jobs.c.id.startswith(prefix, autoescape=True)).limit(2)
        return [_job(row) for row in self._connection.execute(query)]

    def get(self, job_id: str) -> Job | None:
        row = self._run(sql.GET, (job_id,)).fetchone()
        return _job(row) if row else None

    def held(self, jobs: Sequence[Job], state: JobState) -> list[Job]:
        """Those of `jobs` that are in `state`, held by the attempts that `jobs` describe: the fence, for several."""
        holders = self._holders([job.id for job in jobs])
        return [job for job in jobs if holders.get(job.id) == (job.attempt, job.lease, state)]

    def still_open(self, job_ids: Sequence[str]) -> set[str]:
        """Those of the jobs that have not ended."""
        return {job_id for job_id, (_, _, state) in self._holders(job_ids).items() if state not in _ENDED}

    def queued(self, recipe: str | None, *, now: int, limit: int) -> list[Job]:
        """The jobs of a recipe that may start now, in the order of the queue."""
        return [_job(row) for row in self._run(sql.QUEUED, (recipe, now, limit))]

    def smallest_queued(self, recipe: str | None, *, now: int) -> Job | None:
        """The smallest job of a recipe that may start now and need not be alone."""
        row = self._run(sql.SMALLEST_QUEUED, (recipe, now)).fetchone()
        return _job(row) if row else None

    def done_before(self, job: Job) -> Job | None:
        """The latest done job with the same content, recipe and overrides that has a result of its own."""
        query = sa.select(_jobs).where(_same_work(job), _jobs.c.state == "done", _jobs.c.duplicate_of.is_(None))
        query = query.where(_jobs.c.result_path.is_not(None)).order_by(_jobs.c.finished_at.desc()).limit(1)
        row = self._connection.execute(query).one_or_none()
        return _job(row) if row else None

    def is_before_in_queue(self, job: Job) -> bool:
        """Check for a job with the same content, recipe and overrides that goes first and waits for nothing."""
        earlier = sa.tuple_(_jobs.c.received_at, _jobs.c.id) < sa.tuple_(job.received_at, job.id)
        query = sa.select(_jobs.c.id).where(_same_work(job), _jobs.c.waiting_for.is_(None)).limit(1)
        open_and_earlier = (_jobs.c.state == "queued") & earlier
        running = _jobs.c.state.in_(["running", "publishing"])
        return self._connection.execute(query.where(open_and_earlier | running)).first() is not None

    def queued_recipes(self) -> set[str | None]:
        """The recipes of queued jobs."""
        return {row[0] for row in self._run(sql.QUEUED_RECIPES)}

    def waiting(self) -> list[Job]:
        """The queued jobs that are parked."""
        query = sa.select(_jobs).where(_jobs.c.state == "queued", _jobs.c.waiting_for.is_not(None))
        return [_job(row) for row in self._connection.execute(query)]

    def next_run_at(self, *, now: int) -> int | None:
        """The time at which the next job that waits for its backoff may start."""
        run_at: int | None = self._run(sql.NEXT_RUN_AT, (now,)).scalar_one()
        return run_at

    def open_jobs(self) -> list[Job]:
        """All jobs that have not ended, in the order of the queue."""
        query = sa.select(_jobs).where(_jobs.c.state.in_(["queued", "running", "publishing"]))
        query = query.order_by(_jobs.c.priority.desc(), _jobs.c.received_at, _jobs.c.id)
        return [_job(row) for row in self._connection.execute(query)]

    def failed(self) -> list[Job]:
        query = sa.select(_jobs).where(_jobs.c.state.in_(["failed", "cancelled"])).order_by(_jobs.c.received_at)
        return [_job(row) for row in self._connection.execute(query)]

    def ended(
        self,
        states: Sequence[JobState],
        *,
        before: int,
        after: tuple[str, int],
        limit: int,
        with_result: bool = True,
    ) -> list[Job]:
        """Jobs that ended in `states` before a time, oldest first, starting behind `after` (id and finished_at)."""
        position = sa.tuple_(_jobs.c.finished_at, _jobs.c.id) > sa.tuple_(after[1], after[0])
        query = sa.select(_jobs).where(_jobs.c.state.in_(states), _jobs.c.finished_at < before, position)
        if with_result:
            query = query.where(_jobs.c.result_path.is_not(None))
        return [
            _job(row) for row in self._connection.execute(query.order_by(_jobs.c.finished_at, _jobs.c.id).limit(limit))
        ]

    def counts(self) -> dict[str, int]:
        """The number of jobs in each state; counted in memory, because the main loop asks at every turn."""
        return {state: count for state, count in self._counts.items() if count}

    def count_ended(self) -> int:
        return sum(self._counts[state] for state in _ENDED)

    def count_waiting(self) -> int:
        return int(self._run(sql.COUNT_WAITING).scalar_one())

    # ---------------------------------------------------------------------------------------- events

    def last_event(self) -> int:
        """The number of the latest event; 0: there is none."""
        return int(self._connection.execute(sa.select(sa.func.coalesce(sa.func.max(_events.c.id), 0))).scalar_one())

    def events_after(self, number: int, *, limit: int) -> list[NumberedEventRow]:
        """The first events after one, in order, with the files of their jobs."""
        query = sa.select(_events, _jobs.c.folder, _jobs.c.name).join(_jobs, _jobs.c.id == _events.c.job)
        query = query.where(_events.c.id > number).order_by(_events.c.id).limit(limit)
        return [
            {
                "number": id_,
                "at": at,
                "job": job,
                "event": event,
                "detail": detail,
                "file": f"{folder}/{name}".removeprefix("/"),
            }
            for id_, job, at, event, detail, folder, name in self._connection.execute(query)
        ]

    # ---------------------------------------------------------------------------------------- below

    def _count(self) -> collections.Counter[str]:
        query = sa.select(_jobs.c.state, sa.func.count()).group_by(_jobs.c.state)
        return collections.Counter({state: count for state, count in self._connection.execute(query)})

    def _moved(self, old: JobState, new: JobState) -> None:
        """Update `counts` after a commit."""
        self._counts[old] -= 1
        self._counts[new] += 1

    def _holders(self, job_ids: Sequence[str]) -> dict[str, tuple[int, str | None, str]]:
        """Attempt, lease and state of jobs, by id."""
        rows = self._run(sql.HOLDERS, (json.dumps(job_ids),))
        return {row.id: (row.attempt, row.lease, row.state) for row in rows}

    def _run(self, statement: str, values: _Values | list[_Values] = ()) -> sa.CursorResult[Any]:
        """Run a statement of `sql`: with a tuple of values once, with a list of tuples once for each."""
        return self._connection.exec_driver_sql(statement, values)

    def _save(self, job: Job, condition: str, *values: object) -> bool:
        """Write the whole row where `condition` still holds; False: it does not."""
        row = _row(job)
        changed = [row[name] for name in sql.CHANGING_COLUMNS]
        return self._run(sql.SAVE_IF + condition, (*changed, job.id, *values)).rowcount == 1

    def _update(self, condition: sa.ColumnElement[bool], **values: object) -> int:
        return self._connection.execute(_jobs.update().where(condition).values(**values)).rowcount

    def _end_attempt(self, job: Job, outcome: str, error: str) -> None:
        self._run(sql.END_ATTEMPT, (self._clock(), str(outcome), error or None, job.id, job.attempt))

    def _event(self, job: Job, event: str, detail: str | None = None) -> None:
        self._run(sql.INSERT_EVENT, (job.id, self._clock(), str(event), detail or None))


def new_id() -> str:
    """A new job id. On the command line, its first digits suffice."""
    return str(uuid.uuid4())


def _is_attempt(job: Job, *states: JobState) -> tuple[str, *_Values]:
    """The fence as a condition, followed by its values."""
    values: _Values = (job.attempt, job.lease, *map(str, states))
    return sql.is_attempt(len(states)), *values


def _result_values(job: Job) -> _Values:
    row = _row(job)
    return (*(row[name] for name in sql.RESULT_COLUMNS), job.id, job.attempt, job.lease)


def _start_values(job: Job) -> _Values:
    return job.attempt, job.lease, job.started_at, job.processor, job.engine, job.model, job.device, job.id


def _attempt_values(job: Job, worker_pid: int) -> _Values:
    return job.id, job.attempt, job.processor, job.engine, job.model, job.device, worker_pid, job.started_at


def _same_work(job: Job) -> sa.ColumnElement[bool]:
    overrides = _row(job)["overrides"]
    return (
        (_jobs.c.sha256 == job.sha256)
        & _jobs.c.recipe.is_not_distinct_from(job.recipe)
        & (_jobs.c.overrides == overrides)
        & (_jobs.c.id != job.id)
    )


def _row(job: Job) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(job, name) for name in sql.JOB_COLUMNS}
    row["review"] = json.dumps(job.review, ensure_ascii=False)
    row["overrides"] = json.dumps(dict(job.overrides), ensure_ascii=False)
    row["alone"] = int(job.alone)
    for name in ("state", "kind", "outcome"):
        row[name] = str(row[name]) if row[name] is not None else None
    return row


def _job(row: sa.Row[Any]) -> Job:
    values: dict[str, Any] = dict(zip(sql.JOB_COLUMNS, row, strict=True))
    values["review"] = tuple(json.loads(values["review"]))
    values["overrides"] = json.loads(values["overrides"])
    values["alone"] = bool(values["alone"])
    values["state"] = JobState(values["state"])
    values["kind"] = Kind(values["kind"]) if values["kind"] else None
    values["outcome"] = JobState(values["outcome"]) if values["outcome"] else None
    return Job(**values)
