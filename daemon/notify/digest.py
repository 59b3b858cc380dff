"""The daily digest: failures, results to review, and jobs that wait."""

import json
from collections.abc import Mapping
from pathlib import Path

from daemon import __version__
from daemon.core.times import iso
from daemon.notify.hook_calls import Payload
from daemon.queue.reader import JobFilter, JobLog


def digest(database: Path, *, since_us: int) -> Payload | None:
    """The failures and reviews since then (µs since the epoch), and the waiting jobs; None: there are none."""
    with JobLog(database) as jobs:
        failed = jobs.jobs(JobFilter(states=("failed",), finished_since_us=since_us))
        review = jobs.jobs(JobFilter(review=True, finished_since_us=since_us))
        waiting = [row for row in jobs.jobs(JobFilter(states=("queued",))) if row["waiting_for"]]
    if not (failed or review or waiting):
        return None
    return {
        "event": "digest",
        "inboxd": __version__,
        "since": iso(since_us),
        "failed": [_columns(row, "id", "file", "error_kind", "error", "result_path") for row in failed],
        "review": [
            {
                "id": row["id"],
                "file": row["file"],
                "review": json.loads(row["review"] or "[]"),
                "result_path": row["result_path"],
            }
            for row in review
        ],
        "waiting": [_columns(row, "id", "file", "waiting_for") for row in waiting],
    }


def _columns(row: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: row[name] for name in names}
