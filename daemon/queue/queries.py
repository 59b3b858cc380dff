"""The daemon's queries of jobs.db; `store` adds the changes. Readers in other processes use `reader`."""

import collections
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from daemon.core.job import Job, JobState
from daemon.queue import sql
from daemon.queue.database import Database
from daemon.queue.rows import NumberedEventRow, WaitingGroup
from daemon.queue.tables import ENDED, events_table, job_of, jobs_table, row_of

Values = tuple[object, ...]  # the values of a statement, in order


def now_us() -> int:
    """Microseconds since the epoch, UTC."""
    return time.time_ns() // 1000


class Queries(Database):
    """Only the main thread uses it. Every method raises the same errors as those of `Store`."""

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

    # ---------------------------------------------------------------------------------------- jobs

    def find(self, prefix: str) -> list[Job]:
        """The jobs whose id begins with `prefix`; at most two, which shows that it is ambiguous."""
        query = sa.select(jobs_table).where(jobs_table.c.id.startswith(prefix, autoescape=True)).limit(2)
        return [job_of(row) for row in self._connection.execute(query)]

    def get(self, job_id: str) -> Job | None:
        row = self._run(sql.GET, (job_id,)).fetchone()
        return job_of(row) if row else None

    def held(self, jobs: Sequence[Job], state: JobState) -> list[Job]:
        """Those of `jobs` that are in `state`, held by the attempts that `jobs` describe: the fence, for several."""
        holders = self._holders([job.id for job in jobs])
        return [job for job in jobs if holders.get(job.id) == (job.attempt, job.lease, state)]

    def still_open(self, job_ids: Sequence[str]) -> set[str]:
        """Those of the jobs that have not ended."""
        return {job_id for job_id, (_, _, state) in self._holders(job_ids).items() if state not in ENDED}

    def queued(self, recipe: str | None, *, now: int, limit: int) -> list[Job]:
        """The jobs of a recipe that may start now, in the order of the queue."""
        return [job_of(row) for row in self._run(sql.QUEUED, (recipe, now, limit))]

    def count_queued(self, recipe: str | None, *, now: int, limit: int) -> int:
        """The number of the jobs of a recipe that may start now, up to `limit`."""
        return int(self._run(sql.COUNT_QUEUED, (recipe, now, limit)).scalar_one())

    def smallest_queued(self, recipe: str | None, *, now: int) -> Job | None:
        """The smallest job of a recipe that may start now and need not be alone."""
        row = self._run(sql.SMALLEST_QUEUED, (recipe, now)).fetchone()
        return job_of(row) if row else None

    def done_before(self, job: Job) -> Job | None:
        """The latest done job with the same content, recipe and overrides that has a result of its own."""
        query = sa.select(jobs_table).where(
            _same_work(job), jobs_table.c.state == "done", jobs_table.c.duplicate_of.is_(None)
        )
        query = query.where(jobs_table.c.result_path.is_not(None)).order_by(jobs_table.c.finished_at.desc()).limit(1)
        row = self._connection.execute(query).one_or_none()
        return job_of(row) if row else None

    def is_before_in_queue(self, job: Job) -> bool:
        """True if a job with the same content, recipe and overrides is ahead in the queue and waits for nothing."""
        earlier = sa.tuple_(jobs_table.c.received_at, jobs_table.c.id) < sa.tuple_(job.received_at, job.id)
        query = sa.select(jobs_table.c.id).where(_same_work(job), jobs_table.c.waiting_for.is_(None)).limit(1)
        open_and_earlier = (jobs_table.c.state == "queued") & earlier
        running = jobs_table.c.state.in_(["running", "publishing"])
        return self._connection.execute(query.where(open_and_earlier | running)).first() is not None

    def queued_recipes(self) -> set[str | None]:
        """The recipes of queued jobs."""
        return {row[0] for row in self._run(sql.QUEUED_RECIPES)}

    def waiting(self, *, after: Job | None = None, limit: int) -> list[Job]:
        """The queued jobs that are parked. `after`: the last one of the previous call."""
        place = (after.run_at, after.id) if after else (-1, "")
        return [job_of(row) for row in self._run(sql.WAITING, (*place, limit))]

    def waiting_for(self, why: str) -> list[Job]:
        """The queued jobs that are parked for exactly this reason."""
        return [job_of(row) for row in self._run(sql.WAITING_FOR, (why,))]

    def waiting_groups(self, *, files: int, limit: int) -> list[WaitingGroup]:
        """What parked jobs wait for, the most frequent reason first, with the first `files` of each group. At most
        `limit` groups, because each job may have a different reason."""
        groups: dict[str, WaitingGroup] = {}
        for row in self._run(sql.WAITING_GROUPS, (files, files * limit)):
            group = groups.setdefault(row.waiting_for, WaitingGroup(why=row.waiting_for, jobs=row.jobs, files=[]))
            group["files"].append(f"{row.folder}/{row.name}".removeprefix("/"))
        return [*groups.values()][:limit]

    def next_run_at(self, *, now: int) -> int | None:
        """The time at which the next job that waits for its backoff may start."""
        run_at: int | None = self._run(sql.NEXT_RUN_AT, (now,)).scalar_one()
        return run_at

    def open_jobs(self) -> list[Job]:
        """All jobs that have not ended, in the order of the queue."""
        query = sa.select(jobs_table).where(jobs_table.c.state.in_(["queued", "running", "publishing"]))
        query = query.order_by(jobs_table.c.priority.desc(), jobs_table.c.received_at, jobs_table.c.id)
        return [job_of(row) for row in self._connection.execute(query)]

    def failed(self) -> list[Job]:
        query = (
            sa.select(jobs_table)
            .where(jobs_table.c.state.in_(["failed", "cancelled"]))
            .order_by(jobs_table.c.received_at)
        )
        return [job_of(row) for row in self._connection.execute(query)]

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
        position = sa.tuple_(jobs_table.c.finished_at, jobs_table.c.id) > sa.tuple_(after[1], after[0])
        query = sa.select(jobs_table).where(jobs_table.c.state.in_(states), jobs_table.c.finished_at < before, position)
        if with_result:
            query = query.where(jobs_table.c.result_path.is_not(None))
        return [
            job_of(row)
            for row in self._connection.execute(query.order_by(jobs_table.c.finished_at, jobs_table.c.id).limit(limit))
        ]

    def counts(self) -> dict[str, int]:
        """The number of jobs in each state; counted in memory, because the main loop asks at every turn."""
        return {state: count for state, count in self._counts.items() if count}

    def count_ended(self) -> int:
        return sum(self._counts[state] for state in ENDED)

    def count_waiting(self) -> int:
        return int(self._run(sql.COUNT_WAITING).scalar_one())

    # ---------------------------------------------------------------------------------------- events

    def last_event(self) -> int:
        """The number of the latest event; 0: there is none."""
        return int(
            self._connection.execute(sa.select(sa.func.coalesce(sa.func.max(events_table.c.id), 0))).scalar_one()
        )

    def events_after(self, number: int, *, limit: int) -> list[NumberedEventRow]:
        """The first events after one, in order, with the files of their jobs."""
        query = sa.select(events_table, jobs_table.c.folder, jobs_table.c.name).join(
            jobs_table, jobs_table.c.id == events_table.c.job
        )
        query = query.where(events_table.c.id > number).order_by(events_table.c.id).limit(limit)
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
        query = sa.select(jobs_table.c.state, sa.func.count()).group_by(jobs_table.c.state)
        return collections.Counter({state: count for state, count in self._connection.execute(query)})

    def _holders(self, job_ids: Sequence[str]) -> dict[str, tuple[int, str | None, str]]:
        """Attempt, lease and state of jobs, by id."""
        rows = self._run(sql.HOLDERS, (json.dumps(job_ids),))
        return {row.id: (row.attempt, row.lease, row.state) for row in rows}

    def _run(self, statement: str, values: Values | list[Values] = ()) -> sa.CursorResult[Any]:
        """Run a statement of `sql`: with a tuple of values once, with a list of tuples once for each."""
        return self._connection.exec_driver_sql(statement, values)


def _same_work(job: Job) -> sa.ColumnElement[bool]:
    overrides = row_of(job)["overrides"]
    return (
        (jobs_table.c.sha256 == job.sha256)
        & jobs_table.c.recipe.is_not_distinct_from(job.recipe)
        & (jobs_table.c.overrides == overrides)
        & (jobs_table.c.id != job.id)
    )
