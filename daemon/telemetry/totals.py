"""What was ever done, counted from the job log: for metrics, which must neither shrink nor begin anew.

Rows of the job log are removed by `[retention]`, and a job that is tried again leaves the state it was in, so counting
rows would make totals shrink. Its events are only ever added: those since the last count are added to what is
remembered in state/totals.json, together with a cursor (see `cursor`). Without that file everything is counted again,
as is a rebuilt job log; in one restored from a copy, counting continues.
"""

import contextlib
import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from daemon.core.errors import InboxdError
from daemon.queue import cursor
from daemon.queue.cursor import Cursor
from daemon.queue.reader import JobLog

log = logging.getLogger(__name__)

_SEPARATOR = "\x1f"  # between the parts of a key in the file: no recipe and no processor is named so
_AGAIN = "queued again: "  # the event of a failed attempt after which the job is tried again


@dataclass(kw_only=True)
class Totals:
    """Counted up to an event. Keys are tuples of labels."""

    cursor: Cursor | None = None  # the last event counted; None: nothing yet
    ended: Counter = field(default_factory=Counter)  # (state, recipe) -> jobs
    failures: Counter = field(default_factory=Counter)  # (kind, "final" or "again") -> attempts
    run_seconds: Counter = field(default_factory=Counter)  # processor -> of the last attempts of jobs that ended
    runs: Counter = field(default_factory=Counter)  # processor -> those attempts
    pages: Counter = field(default_factory=Counter)  # processor -> pages read
    media_seconds: Counter = field(default_factory=Counter)  # processor -> of sound heard


_TABLES = ("ended", "failures", "run_seconds", "runs", "pages", "media_seconds")


def count(database: Path, memory: Path) -> Totals:
    """What is remembered, and what the job log has had since.

    Raises:
        UsageError, StorageError, StoreError: the job log cannot be read.
    """
    with JobLog(database) as jobs:
        totals = recall(memory, database)
        if totals.cursor is None or not totals.cursor.reads(jobs):
            totals = Totals(cursor=Cursor(log=jobs.identity(), event=0, at=0))
        totals.cursor = totals.cursor.found_in(jobs)
        for event in jobs.events_after(totals.cursor.event):
            _add(totals, event)
            totals.cursor = replace(totals.cursor, event=event["number"], at=event["at"])
    return totals


def save(database: Path, memory: Path) -> None:
    """Count, and remember it, before rows of the job log are removed; where that cannot be, some are not counted."""
    try:
        remember(count(database, memory), memory)
    except (OSError, InboxdError) as error:
        log.warning("the totals could not be saved: %s", error)


def remember(totals: Totals, memory: Path) -> None:
    """Write what was counted, by a rename: a crash leaves the file as it was, or new.

    Raises:
        OSError: it cannot be written; the next count begins where the last one that was written ended.
    """
    tables = {name: {_SEPARATOR.join(key): value for key, value in getattr(totals, name).items()} for name in _TABLES}
    facts = {**(totals.cursor.as_dict() if totals.cursor else {}), **tables}
    cursor.save(facts, memory)


def recall(memory: Path, database: Path) -> Totals:
    """What was remembered; nothing, if there is no file that can be understood."""
    totals = Totals()
    with contextlib.suppress(OSError, ValueError, AttributeError, TypeError, KeyError):
        found = json.loads(memory.read_bytes())
        tables = {
            name: Counter({tuple(key.split(_SEPARATOR)): value for key, value in found[name].items()})
            for name in _TABLES
        }
        totals = Totals(cursor=Cursor.parse(found, memory, database), **tables)
    return totals


def _add(totals: Totals, event: Mapping[str, Any]) -> None:
    name = event["event"]
    if name.startswith(_AGAIN):
        totals.failures[name.removeprefix(_AGAIN), "again"] += 1
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
