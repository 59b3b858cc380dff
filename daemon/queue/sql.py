"""The SQL of the store for each job's path through the queue, as text that is built once.

Building, keying and looking up the same statements in SQLAlchemy for each call took four times as long as running them.
A `?` stands for a value; `store` passes them in the order given here.
"""

from dataclasses import fields

from daemon.core.job import Job

JOB_COLUMNS = tuple(field.name for field in fields(Job))
CHANGING_COLUMNS = tuple(name for name in JOB_COLUMNS if name not in ("id", "received_at"))

_COLUMNS = ", ".join(JOB_COLUMNS)
# The jobs of a recipe that may start now. Values: recipe, now.
_MAY_START = (
    "state = 'queued' AND recipe IS ? AND waiting_for IS NULL AND run_at <= ? AND sha256 IS NOT NULL "
    "AND result_path IS NULL"  # otherwise its failure must be withdrawn first
)
_IN_QUEUE_ORDER = "ORDER BY priority DESC, received_at, id"

INSERT_JOB = f"INSERT INTO jobs ({_COLUMNS}) VALUES ({', '.join('?' * len(JOB_COLUMNS))})"
INSERT_EVENT = "INSERT INTO events (job, at, event, detail) VALUES (?, ?, ?, ?)"
INSERT_ATTEMPT = (
    "INSERT INTO attempts (job, attempt, processor, engine, model, device, node, worker_pid, started_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
# Values: finished_at, outcome, error, job, attempt.
END_ATTEMPT = (
    "UPDATE attempts SET finished_at = ?, outcome = ?, error = ? WHERE job = ? AND attempt = ? AND finished_at IS NULL"
)
# Values: CHANGING_COLUMNS, id, then those of the condition that follows.
SAVE_IF = f"UPDATE jobs SET {', '.join(f'{name} = ?' for name in CHANGING_COLUMNS)} WHERE id = ? AND "
# Only what a start changes: each column that is written touches its indexes. Values as listed, then id.
START = (
    "UPDATE jobs SET state = 'running', attempt = ?, lease = ?, started_at = ?, processor = ?, engine = ?, model = ?, "
    "device = ?, node = ?, waiting_for = NULL WHERE id = ? AND state = 'queued'"
)
SET_REVIEWED = "UPDATE jobs SET reviewed_at = ? WHERE id = ?"
# Values: state, finished_at, id, attempt, lease.
FINISH = (
    "UPDATE jobs SET state = ?, lease = NULL, finished_at = ? "
    "WHERE id = ? AND attempt = ? AND lease IS ? AND state = 'publishing'"
)
# `SAVE_IF` to publish a result, with only the columns that it changes. Values: those columns, id, attempt, lease.
RESULT_COLUMNS = ("result_path", "excerpt", "review", "pages", "media_seconds")
INTEND_RESULT = (
    "UPDATE jobs SET state = 'publishing', outcome = 'done', error = NULL, error_kind = NULL, interruptions = 0, "
    f"{', '.join(f'{name} = ?' for name in RESULT_COLUMNS)} "
    "WHERE id = ? AND attempt = ? AND lease IS ? AND state = 'running'"
)

GET = f"SELECT {_COLUMNS} FROM jobs WHERE id = ?"
KNOWN = "SELECT id FROM jobs WHERE id IN (SELECT value FROM json_each(?))"
# Value: a JSON list of ids.
HOLDERS = "SELECT id, attempt, lease, state FROM jobs WHERE id IN (SELECT value FROM json_each(?))"
QUEUED = f"SELECT {_COLUMNS} FROM jobs WHERE {_MAY_START} {_IN_QUEUE_ORDER} LIMIT ?"
SMALLEST_QUEUED = f"SELECT {_COLUMNS} FROM jobs WHERE {_MAY_START} AND alone = 0 ORDER BY size_bytes LIMIT 1"
# Values: recipe, now, the number at which to stop counting.
COUNT_QUEUED = f"SELECT count(*) FROM (SELECT 1 FROM jobs WHERE {_MAY_START} LIMIT ?)"
NEXT_RUN_AT = "SELECT min(run_at) FROM jobs WHERE state = 'queued' AND run_at > ?"
# What queued jobs wait for, and the first files of each group. Values: files of a group, rows.
WAITING_GROUPS = """
    SELECT waiting_for, jobs, folder, name
    FROM (
        SELECT
            waiting_for, folder, name, count(*) OVER (PARTITION BY waiting_for) AS jobs,
            row_number() OVER (PARTITION BY waiting_for ORDER BY received_at, id) AS place
        FROM jobs WHERE state = 'queued' AND waiting_for IS NOT NULL
    )
    WHERE place <= ? ORDER BY jobs DESC, waiting_for, place LIMIT ?
"""
# The parked jobs, in the order of an index of queued jobs. Values: run_at and id of the previous job, maximum number.
WAITING = (
    f"SELECT {_COLUMNS} FROM jobs WHERE state = 'queued' AND waiting_for IS NOT NULL "
    "AND (run_at, rowid) > (?, coalesce((SELECT rowid FROM jobs WHERE id = ?), 0)) ORDER BY run_at, rowid LIMIT ?"
)
WAITING_FOR = f"SELECT {_COLUMNS} FROM jobs WHERE state = 'queued' AND waiting_for = ?"
COUNT_WAITING = "SELECT count(*) FROM jobs WHERE state = 'queued' AND waiting_for IS NOT NULL"
# One step through the index for each recipe instead of one for each job ("loose index scan"; SQLite has none of its
# own: https://sqlite.org/queryplanner-ng.html).
QUEUED_RECIPES = """
    WITH RECURSIVE found (recipe) AS (
        SELECT min(recipe) FROM jobs WHERE state = 'queued' AND recipe IS NOT NULL
        UNION ALL
        SELECT (SELECT min(recipe) FROM jobs WHERE state = 'queued' AND recipe > found.recipe)
        FROM found WHERE found.recipe IS NOT NULL
    )
    SELECT recipe FROM found WHERE recipe IS NOT NULL
    UNION ALL
    SELECT * FROM (SELECT recipe FROM jobs WHERE state = 'queued' AND recipe IS NULL LIMIT 1)
"""


def is_attempt(states: int) -> str:
    """The fence: exactly this attempt, and no later one, holds the job. Values: attempt, lease, then the states."""
    return f"attempt = ? AND lease IS ? AND state IN ({', '.join('?' * states)})"
