"""Rebuilds rows from the folders after the job log was lost, damaged, or restored from an older copy.

The result.json of a result, or the error.json of a failure, describes its job. Files that were only taken need no row
to be safe: `startup` records them again. Runs at the start, before `startup`, which must not mistake a job that has a
result for a new one.
"""

import itertools
import logging
import os
import re
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path

from daemon.core import names
from daemon.core.job import DROPPED, Job, JobState
from daemon.files import result_reader
from daemon.files.flat import RECORDS
from daemon.files.folders import Folders
from daemon.files.inbox import as_recorded
from daemon.files.originals import ORIGINAL
from daemon.files.result_names import FAILED
from daemon.queue import backup
from daemon.queue.store import Store
from processors import protocol
from processors.contract import Kind

log = logging.getLogger(__name__)

_AT_ONCE = 500  # rows in one transaction
_LATEST_US = 253_402_300_799_000_000  # the end of the year 9999, the last that ISO 8601 can express
_MOST_ATTEMPTS = 2**31
_SHA256 = re.compile("[0-9a-f]{64}")


class Rebuild:
    """One search of the outbox, if it is necessary."""

    def __init__(self, store: Store, folders: Folders):
        self._store = store
        self._folders = folders

    def run(self) -> int:
        """Rebuild missing rows and correct wrong ones; return how many.

        Raises:
            StorageError: the job log cannot be written.
        """
        wanted = None if self._store.is_new else self._lost()
        if wanted is not None and not wanted:
            return 0
        jobs, restored = self._jobs(wanted), set()
        while batch := list(itertools.islice(jobs, _AT_ONCE)):
            self._store.restore(batch)
            restored |= {job.id for job in batch}
        count = len(restored)
        count += self._adopt_history()
        if count:
            log.warning("%d jobs were recorded again from the results in %s", count, self._folders.outbox.path)
        return count

    def _adopt_history(self) -> int:
        """Import jobs that left no trace in the folders from the newest copy of the job log."""
        copy = backup.newest(self._folders.backups) if self._store.is_new else None
        if copy is None:
            return 0
        if damage := backup.check(copy):
            log.warning("%s is damaged as well and is not used: %s", copy, damage)
            return 0
        count = self._store.adopt_history(copy, but_not=list(self._folders.taken.job_ids()))
        log.warning("%d jobs were recorded again from %s", count, copy)
        return count

    def _lost(self) -> set[str]:
        """Jobs that, according to their rows, have not ended, but have no files: the job log is older than their
        ends."""
        taken = set(self._folders.taken.job_ids())
        return {
            job.id for job in self._store.open_jobs() if job.id not in taken and job.state is not JobState.PUBLISHING
        }

    def _jobs(self, wanted: Collection[str] | None) -> Iterator[Job]:
        """The jobs that documents in the outbox describe, or the `wanted` ones among them. A job comes again if a
        better document for it is found."""
        best: dict[str, tuple[bool, bool, int]] = {}
        for job, is_ours in self._described():
            if wanted is not None and job.id not in wanted:
                continue
            rank = (is_ours, _is_in_place(job), job.finished_at or 0)
            if job.id in best:
                log.warning("%s %s: several results name this job, one in %s", job.id[:8], job.path, job.result_path)
            if job.id not in best or rank > best[job.id]:
                best[job.id] = rank
                yield job

    def _described(self) -> Iterator[tuple[Job, bool]]:
        """The jobs of all documents in the outbox, and whether this user wrote the document. A result contains no other
        result, but perhaps an original whose name is that of a document."""
        outbox = self._folders.outbox.path
        waiting = [outbox, outbox / RECORDS] if (outbox / RECORDS).is_dir() else [outbox]
        while waiting:
            folder = waiting.pop()
            below, files = _list(folder)
            name = _document_name(folder.relative_to(outbox))
            found = _read(folder / name, outbox) if name in files else None
            if found is not None:
                yield found
                continue
            waiting += [folder / each for each in sorted(below, reverse=True) if name not in files or each != ORIGINAL]


def _list(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the folders and of the files in a folder of the outbox, without hidden ones and links."""
    below, files = [], []
    try:
        with os.scandir(folder) as found:
            for item in found:
                if item.is_dir(follow_symlinks=False) and not item.name.startswith("."):
                    below.append(item.name)
                elif item.is_file(follow_symlinks=False):
                    files.append(item.name)
    except OSError as error:
        log.warning("%s cannot be read: %s", names.printable(str(folder)), error.strerror)
    return below, files


def _document_name(folder: Path) -> str:
    """The name of the document that counts in a folder of the outbox, because an original may have the other document's
    name."""
    if folder.parts[:1] == (FAILED,):
        return "error.json" if len(folder.parts) > 1 else ""
    return "result.json" if folder.parts not in ((), (RECORDS,)) else ""


def _is_in_place(job: Job) -> bool:
    """Check that a result's folder has the name that the daemon gave it, perhaps with a number."""
    stem, name = names.result_stem(job.name), Path(job.result_path or "").name
    return name == stem or re.fullmatch(re.escape(stem) + r" \(\d+\)", name) is not None


def _read(path: Path, outbox: Path) -> tuple[Job, bool] | None:
    """The job of a document, and whether this user wrote it; None: it describes no job."""
    try:
        document = result_reader.read(path, root=outbox)
        return _job(document, path, outbox), document.is_ours
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s describes no job: %r", names.printable(str(path)), error)
        return None


def _job(document: result_reader.ResultJson, path: Path, outbox: Path) -> Job:
    """The job of a document.

    Raises:
        ValueError, KeyError, TypeError: inboxd did not write it.
    """
    facts = document.facts
    if path.name == "result.json":
        state = JobState.DONE
    else:
        state = JobState.CANCELLED if facts["error_kind"] == "cancelled" else JobState.FAILED
    folder, _, name = _file(facts["file"]).rpartition("/")
    return Job(
        id=_id(facts["job"]),
        name=name,
        folder=folder,
        kind=Kind(facts["kind"]) if facts["kind"] else None,
        media_type=_text(facts["media_type"]),
        recipe=_optional_text(facts["recipe"]),
        state=state,
        attempt=_count(facts["attempt"], below=_MOST_ATTEMPTS),
        inode=0,
        size_bytes=_count(facts["size_bytes"]),
        mtime_ns=as_recorded(document.changed_ns),
        sha256=_sha256(facts["sha256"]),
        processor=_optional_text(facts["processor"]),
        engine=_optional_text(facts.get("engine")),
        model=_optional_text(facts.get("model")),
        device=_optional_text(facts.get("device")),
        received_at=_microseconds(facts["received_at"]),
        started_at=_microseconds(facts["started_at"]) if facts["started_at"] else None,
        finished_at=min(max(document.changed_ns // 1000, 0), _LATEST_US),
        outcome=state,
        result_path=_utf8(str(path.parent.relative_to(outbox))),
        excerpt=_text(facts.get("excerpt", ""))[:500],
        review=_review(facts.get("review", [])),
        pages=None if facts.get("pages") is None else _count(facts["pages"]),
        media_seconds=_seconds(facts.get("media_seconds")),
        error_kind=_optional_text(facts.get("error_kind")),
        error=_optional_text(facts.get("error")),
        source=names.source_name(facts.get("source")) or DROPPED,
    )


def _id(value: object) -> str:
    job_id = _string(value)
    if not names.is_job_id(job_id):
        raise ValueError(f"{job_id[:100]!r} is not the id of a job")
    return job_id


def _file(value: object) -> str:
    """The path of a file as the daemon records it, relative to the inbox."""
    path = _string(value)
    if not path or not names.is_safe_relative(path):
        raise ValueError(f"{path[:100]!r} is not a file of the inbox")
    return names.printable_path(path)


def _utf8(path: str) -> str:
    path.encode()  # raises UnicodeEncodeError, a ValueError: the job log holds no other text
    return path


def _sha256(value: object) -> str | None:
    if value is None:
        return None
    sha256 = _string(value)
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256[:100]!r} is not a checksum")
    return sha256


def _review(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("its review reasons are not a list")
    return tuple(_text(reason) for reason in value)


def _count(value: object, *, below: int = 2**63) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < below:
        raise ValueError("a number in it is out of range")
    return value


def _seconds(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError("a duration in it is out of range")
    return float(value)


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text in it is a {type(value).__name__}")
    return value


def _text(value: object) -> str:
    """A text, bounded and valid Unicode."""
    return protocol.cut(_string(value))


def _optional_text(value: object) -> str | None:
    return None if value is None else _text(value)


def _microseconds(value: object) -> int:
    text = _string(value)
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text[:100]!r} has no time zone")
    return _count(int(time.timestamp() * 1e6), below=_LATEST_US)
