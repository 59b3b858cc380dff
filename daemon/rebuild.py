"""Rows made anew from the folders, where the job log was lost, damaged, or put back from an older copy.

A result's result.json, or a failure's error.json, tells of its job. What was only taken needs no row to be safe:
`recovery` records it again. Runs at the start, before `recovery`, which must not take a job that has a result for new.
"""

import itertools
import json
import logging
import os
import uuid
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon import backup
from daemon.folders import Folders
from daemon.inbox import as_recorded
from daemon.model import Job, JobState
from daemon.store import Store
from processors.base import Kind

log = logging.getLogger(__name__)

_AT_ONCE = 500  # rows in one transaction
_DOCUMENTS = ("result.json", "error.json")


class Rebuild:
    """One look through the outbox, if there is need for it."""

    def __init__(self, store: Store, folders: Folders):
        self._store = store
        self._folders = folders

    def run(self) -> int:
        """The number of rows made or mended.

        Raises:
            StorageError: the job log cannot be written.
        """
        wanted = None if self._store.is_new else self._lost()
        if wanted is not None and not wanted:
            return 0
        jobs, count = self._jobs(wanted), 0
        while batch := list(itertools.islice(jobs, _AT_ONCE)):
            self._store.restore(batch)
            count += len(batch)
        count += self._adopt_history()
        if count:
            log.warning("%d jobs were recorded again from the results in %s", count, self._folders.outbox.path)
        return count

    def _adopt_history(self) -> int:
        """What the newest copy of the job log tells of jobs that have left no trace in the folders."""
        copy = backup.newest(self._folders.backups) if self._store.is_new else None
        if copy is None:
            return 0
        if damage := backup.check(copy):
            log.warning("%s is damaged, too, and not used: %s", copy, damage)
            return 0
        count = self._store.adopt_history(copy, but_not=self._folders.inbox.taken_ids())
        log.warning("%d jobs were recorded again from %s", count, copy)
        return count

    def _lost(self) -> set[str]:
        """The jobs that have not ended by their rows, and whose files are not there: the job log is older than they."""
        taken = set(self._folders.inbox.taken_ids())
        return {
            job.id for job in self._store.open_jobs() if job.id not in taken and job.state is not JobState.PUBLISHING
        }

    def _jobs(self, wanted: Collection[str] | None) -> Iterator[Job]:
        """What the documents in the outbox tell of, or of the `wanted` among it."""
        seen = set()
        for path in _documents(self._folders.outbox.path):
            try:
                job = _job(path, self._folders.outbox.path)
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                log.warning("%s tells of no job: %r", path, error)
                continue
            if job.id not in seen and (wanted is None or job.id in wanted):
                seen.add(job.id)
                yield job


def _documents(outbox: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(outbox):
        found = [name for name in _DOCUMENTS if name in files and not Path(folder, name).is_symlink()]
        folders[:] = [] if found else sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in found[:1])


def _job(path: Path, outbox: Path) -> Job:
    """The job of a document.

    Raises:
        OSError, ValueError, KeyError, TypeError: it is not one of ours.
    """
    facts: dict[str, Any] = json.loads(path.read_bytes())
    if path.name == "result.json":
        state = JobState.DONE
    else:
        state = JobState.CANCELLED if facts["error_kind"] == "cancelled" else JobState.FAILED
    changed = path.stat().st_mtime_ns
    folder, _, name = _text(facts["file"]).rpartition("/")
    return Job(
        id=str(uuid.UUID(_text(facts["job"]))),
        name=name,
        folder=folder,
        kind=Kind(facts["kind"]) if facts["kind"] else None,
        media_type=_text(facts["media_type"]),
        recipe=_optional(facts["recipe"], str),
        state=state,
        attempt=int(facts["attempt"]),
        inode=0,
        size_bytes=int(facts["size_bytes"]),
        mtime_ns=as_recorded(changed),
        sha256=_optional(facts["sha256"], str),
        processor=_optional(facts["processor"], str),
        engine=_optional(facts.get("engine"), str),
        model=_optional(facts.get("model"), str),
        device=_optional(facts.get("device"), str),
        received_at=_microseconds(facts["received_at"]),
        started_at=_microseconds(facts["started_at"]) if facts["started_at"] else None,
        finished_at=changed // 1000,
        outcome=state,
        result_path=str(path.parent.relative_to(outbox)),
        excerpt=_text(facts.get("excerpt", ""))[:500],
        review=tuple(_text(reason) for reason in facts.get("review", [])),
        pages=_optional(facts.get("pages"), int),
        media_seconds=_optional(facts.get("media_seconds"), (int, float)),
        error_kind=_optional(facts.get("error_kind"), str),
        error=_optional(facts.get("error"), str),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value.encode("utf-8", "backslashreplace").decode()


def _optional(value: Any, kind: type | tuple[type, ...]) -> Any:
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind}")
    return value


def _microseconds(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp() * 1e6)
