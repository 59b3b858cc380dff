"""The tables of jobs.db in SQLAlchemy, and the rows of jobs."""

import json
from typing import Any

import sqlalchemy as sa

from daemon.core.job import Job, JobState
from daemon.queue import sql
from processors.contract import Kind

ENDED = [state for state in JobState if state.is_final]
jobs_table = sa.table("jobs", *(sa.column(name) for name in sql.JOB_COLUMNS))
attempts_table = sa.table(
    "attempts",
    *(sa.column(name) for name in ("job", "attempt", "processor", "engine", "model", "device", "node", "worker_pid")),
    *(sa.column(name) for name in ("started_at", "finished_at", "outcome", "error")),
)
events_table = sa.table("events", *(sa.column(name) for name in ("id", "job", "at", "event", "detail")))


def row_of(job: Job) -> dict[str, object]:
    """The row of a job, by column."""
    row: dict[str, object] = {name: getattr(job, name) for name in sql.JOB_COLUMNS}
    row["review"] = json.dumps(job.review, ensure_ascii=False)
    row["overrides"] = json.dumps(dict(job.overrides), ensure_ascii=False)
    row["alone"] = int(job.alone)
    for name in ("state", "kind", "outcome"):
        row[name] = str(row[name]) if row[name] is not None else None
    return row


def job_of(row: sa.Row[Any]) -> Job:
    """The job of a row with the columns `sql.JOB_COLUMNS`."""
    values: dict[str, Any] = dict(zip(sql.JOB_COLUMNS, row, strict=True))
    values["review"] = tuple(json.loads(values["review"]))
    values["overrides"] = json.loads(values["overrides"])
    values["alone"] = bool(values["alone"])
    values["state"] = JobState(values["state"])
    values["kind"] = Kind(values["kind"]) if values["kind"] else None
    values["outcome"] = JobState(values["outcome"]) if values["outcome"] else None
    return Job(**values)
