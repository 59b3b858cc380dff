"""Corrects a result, for the web process and `inboxd correct`: prepares the corrected files; the daemon places them."""

from collections.abc import Mapping, Sequence

from daemon.config.settings import Settings
from daemon.core.errors import UsageError
from daemon.queue.rows import JobRow
from daemon.results import corrections, result_files
from daemon.server import api, client

_SECONDS = 20.0


class NoResult(UsageError):
    """The job has no result to correct."""


def result_of(row: JobRow, settings: Settings) -> result_files.Result:
    """Open the result of a job that is done.

    Raises:
        NoResult: the job has no result.
        DamagedResult: the result cannot be read.
    """
    result = result_files.find(row, settings) if row["state"] == "done" else None
    if result is None:
        raise NoResult("This job has no result.", f"The job is {row['state']}.")
    return result


def correct(row: JobRow, changes: Sequence[corrections.Change], by: str, settings: Settings) -> Mapping[str, object]:
    """Record changes of a result; return corrections.json.

    Raises:
        NoResult, InvalidCorrection: the changes do not fit the result.
        NotRunning, Refused, StorageError: the daemon did not place the corrected files.
    """
    result = result_of(row, settings)
    with corrections.prepared(row, result, changes, by, settings) as (name, revision):
        command = api.Correct(job=row["id"], prepared=name, revision=revision)
        client.ask(settings.socket, command, api.CorrectReply, timeout=_SECONDS)
    return result_of(row, settings).corrections or {}
