"""Imports the history of a copy of the job log, such as a backup, into the open job log."""

import contextlib
import json
from collections.abc import Collection, Iterator
from pathlib import Path

import sqlalchemy as sa

from daemon.queue.tables import attempts_table, events_table, jobs_table

_TABLES = {jobs_table.name: "id", attempts_table.name: "job", events_table.name: "job"}  # the column with the job's id


@contextlib.contextmanager
def attached(connection: sa.Connection, copy: Path) -> Iterator[None]:
    """Make the tables of `copy` available as `copy.NAME`, read-only. No transaction may be open before and after."""
    connection.exec_driver_sql("ATTACH DATABASE ? AS copy", (f"{copy.resolve().as_uri()}?mode=ro",))
    try:
        yield
    finally:
        connection.exec_driver_sql("DETACH DATABASE copy")


def adopt(connection: sa.Connection, but_not: Collection[str]) -> int:
    """Import the jobs in the attached copy that had ended and have no row here, except `but_not`; return their number.
    The caller opens and commits the transaction."""
    shared = {table: _shared_columns(connection, table) for table in _TABLES}
    connection.exec_driver_sql("CREATE TEMP TABLE adopted (id TEXT PRIMARY KEY)")
    connection.exec_driver_sql(
        "INSERT INTO adopted SELECT id FROM copy.jobs WHERE state IN ('done', 'failed', 'cancelled') "
        "AND id NOT IN (SELECT id FROM main.jobs) AND id NOT IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(but_not)),),
    )
    for table, key in _TABLES.items():
        is_numbered = table == events_table.name  # events get new numbers, in the same order
        columns = ", ".join(name for name in shared[table] if not (is_numbered and name == "id"))
        connection.exec_driver_sql(
            f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM copy.{table} "
            f"WHERE {key} IN (SELECT id FROM adopted)" + (" ORDER BY id" if is_numbered else "")
        )
    count = connection.exec_driver_sql("SELECT count(*) FROM adopted").scalar_one()
    connection.exec_driver_sql("DROP TABLE adopted")
    return int(count)


def _shared_columns(connection: sa.Connection, table: str) -> list[str]:
    """The columns that the table has in both job logs: the copy may be of an older version."""
    here, there = (
        [row[1] for row in connection.exec_driver_sql(f"PRAGMA {schema}.table_info({table})")]
        for schema in ("main", "copy")
    )
    return [name for name in here if name in there]
