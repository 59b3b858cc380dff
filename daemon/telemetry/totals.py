"""Totals of all jobs, counted from the job log, for metrics, which must neither shrink nor restart.

`[retention]` removes rows of the job log, and a retried job leaves its state, so a count of rows would shrink. Events
are only ever added: those since the last count are added to the totals saved in state/totals.json, together with a
cursor (see `cursor`). Without that file, or in a rebuilt job log, everything is counted again; in one restored from a
copy, counting continues.
"""

import contextlib
import json
import logging
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

from daemon.core.errors import InboxdError
from daemon.queue import cursor
from daemon.queue.cursor import Cursor
from daemon.queue.reader import JobLog
from daemon.queue.rows import EndRow

Labels = tuple[str, ...]  # the values of a metric's labels
_Seconds = defaultdict[Labels, float]

log = logging.getLogger(__name__)

_SEPARATOR = "\x1f"  # between the parts of a key in the file: in no name of a recipe or a processor
_REQUEUED = "queued again: "  # the event of a failed attempt that is retried


@dataclass(kw_only=True)
class Totals:
    """Totals up to an event. Keys are tuples of labels."""

    cursor: Cursor | None = None  # the last event counted; None: nothing yet
    ended: Counter[Labels] = field(default_factory=Counter)  # (state, recipe) -> jobs
    failures: Counter[Labels] = field(default_factory=Counter)  # (kind, "final" or "again") -> attempts
    run_seconds: _Seconds = field(default_factory=lambda: defaultdict(float))  # processor -> of the runs below
    runs: Counter[Labels] = field(default_factory=Counter)  # processor -> last attempts of jobs that ended
    pages: Counter[Labels] = field(default_factory=Counter)  # processor -> pages read
    media_seconds: _Seconds = field(default_factory=lambda: defaultdict(float))  # processor -> of audio transcribed


_TABLES = ("ended", "failures", "run_seconds", "runs", "pages", "media_seconds")


def count(database: Path, file: Path) -> Totals:
    """The saved totals, plus the events in the job log since then.

    Raises:
        UsageError, StorageError, StoreError: the job log cannot be read.
    """
    with JobLog(database) as jobs:
        totals = read(file, database)
        if totals.cursor is None or not totals.cursor.reads(jobs):
            totals = Totals()
        last = (totals.cursor or Cursor(log=jobs.identity(), event=0, at=0)).found_in(jobs)
        for event in jobs.ends_after(last.event):
            _add(totals, event)
            last = replace(last, event=event["number"], at=event["at"])
        totals.cursor = last
    return totals


def save(database: Path, file: Path) -> None:
    """Count and save the totals before rows of the job log are removed; if that fails, some are not counted."""
    try:
        write(count(database, file), file)
    except (OSError, InboxdError) as error:
        log.warning("cannot save the totals of the metrics: %s", error)


def write(totals: Totals, file: Path) -> None:
    """Write the totals, atomically.

    Raises:
        OSError: it failed; the next count continues from the last saved totals.
    """
    tables = {name: {_SEPARATOR.join(key): value for key, value in getattr(totals, name).items()} for name in _TABLES}
    facts = {**(totals.cursor.as_dict() if totals.cursor else {}), **tables}
    cursor.save(facts, file)


def read(file: Path, database: Path) -> Totals:
    """The saved totals; empty if there is no valid file."""
    totals = Totals()
    with contextlib.suppress(OSError, ValueError, AttributeError, TypeError, KeyError):
        found = json.loads(file.read_bytes())
        tables = {name: {tuple(key.split(_SEPARATOR)): value for key, value in found[name].items()} for name in _TABLES}
        totals = Totals(
            cursor=Cursor.parse(found, file, database),
            ended=Counter(tables["ended"]),
            failures=Counter(tables["failures"]),
            run_seconds=defaultdict(float, tables["run_seconds"]),
            runs=Counter(tables["runs"]),
            pages=Counter(tables["pages"]),
            media_seconds=defaultdict(float, tables["media_seconds"]),
        )
    return totals


def _add(totals: Totals, event: EndRow) -> None:
    name = event["event"]
    if name.startswith(_REQUEUED):
        totals.failures[name.removeprefix(_REQUEUED), "again"] += 1
        return
    totals.ended[name, event["recipe"] or ""] += 1
    if name == "failed":
        totals.failures[event["error_kind"] or "error", "final"] += 1
    processor = (event["processor"] or "",)
    if event["run_seconds"] is not None:
        totals.runs[processor] += 1
        totals.run_seconds[processor] += max(0.0, event["run_seconds"])
    if name == "done":
        totals.pages[processor] += event["pages"] or 0
        totals.media_seconds[processor] += event["media_seconds"] or 0.0
