"""Brings the search index up to date with the job log and the outbox. Runs in a process of its own for the console and
the daemon (see `child`), because it reads every result.

The first update goes through all results, newest first; then the events of the job log tell which jobs have changed.
Both continue where they were interrupted.
"""

import logging
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.core.errors import InboxdError
from daemon.files import corrected_files
from daemon.queue.cursor import Cursor
from daemon.queue.reader import JobFilter, JobLog
from daemon.queue.rows import JobRow, PagedRow
from daemon.results import result_files
from daemon.results.result_files import Folders
from daemon.search import index
from daemon.search.index import Index
from daemon.search.passages import Passage, passages_of

log = logging.getLogger(__name__)

_BATCH = 50  # results in one transaction
_EVENTS = 500
_SWEEP = 500
_DONE = ("done",)


@dataclass(frozen=True, kw_only=True)
class _Folders:
    outbox: Path
    state: Path


Notify = Callable[[int, int], None]  # how many results are indexed, of how many


def update(folders: Folders, notify: Notify = lambda done, total: None) -> None:
    """Index what has changed since the last update; without an index, build it.

    Raises:
        UsageError: there is no job log yet, or this user may not read it.
        SetupError, StorageError, StoreError: the index or the job log cannot be used now.
    """
    path = folders.state / index.NAME
    with JobLog(_log_of(folders)) as jobs:
        try:
            _update(folders, jobs, path, notify)
        except sqlite3.DatabaseError as error:
            log.warning("The search index is damaged, and is built again: %s", error)
            index.remove(path)
            _update(folders, jobs, path, notify)


def _update(folders: Folders, jobs: JobLog, path: Path, notify: Notify) -> None:
    with index.open_to_write(path) as opened:
        updater = _Updater(folders, jobs, opened)
        while updater.step():
            notify(opened.size(), max(opened.size(), jobs.tallies()["done"]))


def is_current(folders: Folders) -> bool:
    """True if there is nothing to update.

    Raises:
        UsageError, StorageError, StoreError: the job log cannot be read.
    """
    opened = index.open_to_read(folders.state / index.NAME)
    if opened is None:
        return False
    try:
        with opened, JobLog(_log_of(folders)) as jobs:
            state = opened.state()
            if not isinstance(state, dict) or not state["is_complete"]:
                return False
            saved = Cursor.parse(state["cursor"], _log_of(folders), _log_of(folders))
            return saved is not None and saved.position(jobs) == jobs.last_event()
    except sqlite3.Error:
        return False


def sweep(folders: Folders) -> int:
    """Remove results that no longer exist from the index, with all traces; return how many there were.

    Raises:
        UsageError, SetupError, StorageError, StoreError: as `update`.
    """
    removed = 0
    with JobLog(_log_of(folders)) as jobs, index.open_to_write(folders.state / index.NAME) as opened:
        last = ""
        while found := opened.jobs_after(last, _SWEEP):
            last = found[-1]
            rows = {row["id"]: row for row in jobs.some(found)}
            gone = [job for job in found if job not in rows or _stamp(rows[job], folders) is None]
            with opened.transaction():
                for job in gone:
                    opened.remove(job)
            removed += len(gone)
        opened.purge()
    return removed


class _Updater:
    def __init__(self, folders: Folders, jobs: JobLog, opened: Index):
        self._folders = folders
        self._jobs = jobs
        self._index = opened

    def step(self) -> bool:
        """Index a batch of results; False: there is nothing left to do."""
        with self._index.transaction():
            state = self._index.state()
            if not isinstance(state, dict):
                state = {"cursor": Cursor.at_end(self._jobs).as_dict(), "before": None, "is_complete": False}
            step = self._follow if state["is_complete"] else self._scan
            following = step(state)
            if following is not None:
                self._index.set_state(following)
        return following is not None

    def _scan(self, state: Mapping[str, object]) -> Mapping[str, object]:
        """Index the next results of all."""
        position = state["before"]
        before = (int(position[0]), str(position[1])) if isinstance(position, list) else None
        rows = self._jobs.page(JobFilter(states=_DONE), before=before, limit=_BATCH)
        for row in rows:
            self._index_job(row)
        if len(rows) < _BATCH:
            return {**state, "is_complete": True}
        return {**state, "before": [rows[-1]["received_us"], rows[-1]["id"]]}

    def _follow(self, state: Mapping[str, object]) -> Mapping[str, object] | None:
        """Index the jobs of the next events; None: there are none."""
        saved = Cursor.parse(state["cursor"], _log_of(self._folders), _log_of(self._folders))
        position = saved.position(self._jobs) if saved else 0
        events = self._jobs.events_after(position, limit=_EVENTS)
        if not events:
            return None
        ids = list(dict.fromkeys(event["job"] for event in events))
        last = events[-1]
        for row in self._rows(ids):
            self._index_job(row)
        cursor = Cursor(log=self._jobs.identity(), event=last["number"], at=last["at"])
        return {**state, "cursor": cursor.as_dict()}

    def _rows(self, ids: Sequence[str]) -> Iterator[PagedRow]:
        for start in range(0, len(ids), _BATCH):
            yield from self._jobs.some_paged(ids[start : start + _BATCH])

    def _index_job(self, row: PagedRow) -> None:
        stamp = _stamp(row, self._folders)
        if stamp is None:
            self._index.remove(row["id"])
        elif stamp != self._index.stamp(row["id"]):
            self._index.add(row["id"], stamp, row["received_us"], _read(row, self._folders))


def _log_of(folders: Folders) -> Path:
    return folders.state / "jobs.db"


def _stamp(row: JobRow, folders: Folders) -> str | None:
    """What changes with the content of a result; None: there is no result."""
    if row["state"] != "done" or not row["result_path"]:
        return None
    folder = folders.outbox / row["result_path"]
    try:
        facts = (folder / "result.json").lstat()
        corrections = folder / corrected_files.FOLDER / corrected_files.RECORD
        changed_ns = corrections.lstat().st_mtime_ns if corrections.exists() else 0
    except (OSError, ValueError):
        return None
    return f"{row['result_path']} {facts.st_mtime_ns} {facts.st_size} {changed_ns}"


def _read(row: JobRow, folders: Folders) -> list[Passage]:
    """The passages of a result; of one that cannot be read, only its name."""
    try:
        result = result_files.find(row, folders)
        return list(passages_of(row, result)) if result is not None else []
    except (InboxdError, OSError, ValueError) as error:
        log.warning("%s %s: the result cannot be indexed: %s", row["id"][:8], row["file"], error)
        return [Passage(text=row["file"])]


def main(arguments: Sequence[str]) -> int:
    """`update STATE OUTBOX` or `sweep STATE OUTBOX`; prints the progress: "indexed of all"."""
    task, state, outbox = arguments
    folders: Folders = _Folders(state=Path(state), outbox=Path(outbox))
    os.nice(10)
    try:
        if task == "sweep" and (folders.state / index.NAME).exists():
            sweep(folders)
        elif task == "update":
            update(folders, lambda done, total: print(done, total, flush=True))
    except InboxdError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
