"""A file whose content was done before, by the same recipe and options: skipped, or given the earlier result."""

import json
import logging
from pathlib import Path
from typing import Any

from daemon import durable
from daemon.config import Settings
from daemon.folders import Folders
from daemon.journal import about
from daemon.model import Job
from daemon.publishing import Publishing
from daemon.stages import Assignment
from daemon.store import Store
from processors import wire

log = logging.getLogger(__name__)

NOTE = "duplicate.txt"
_REUSED_BYTES = 64 * 2**20  # limit, because the main thread copies them


class Duplicates:
    """Looks at queued jobs before they start. Called by the main thread only."""

    def __init__(self, settings: Settings, store: Store, folders: Folders, publishing: Publishing):
        self.settings = settings
        self._store = store
        self._folders = folders
        self._publishing = publishing

    def may_start(self, job: Job) -> bool:
        """False: it waits for an equal one that is before it, to share its result."""
        return not self._counts(job) or not self._store.is_before_in_queue(job)

    def settles(self, job: Job, assignment: Assignment) -> bool:
        """True: an earlier result served, and the job is done with it."""
        if not self._counts(job) or (earlier := self._store.done_before(job)) is None:
            return False
        with_files = self.settings.folder(job.folder).duplicates == "reuse"
        try:
            finished = self._finished(job, earlier, assignment, with_files=with_files)
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.info("%s %s: its earlier result cannot be used: %s", job.id[:8], job.path, error, extra=about(job))
            return False
        self._publishing.publish_duplicate(job, earlier, finished)
        return True

    def _counts(self, job: Job) -> bool:
        """Is an earlier result wanted for it? Not where it was begun already."""
        return self.settings.folder(job.folder).duplicates != "process" and job.sha256 is not None and not job.attempt

    def _finished(self, job: Job, earlier: Job, assignment: Assignment, *, with_files: bool) -> wire.WorkFinished:
        """The earlier job's outcome as this one's, its files staged.

        Raises:
            OSError, ValueError, KeyError, TypeError: the result was moved away, removed or changed.
        """
        result = self._folders.outbox.path / earlier.result_path
        facts: dict[str, Any] = json.loads((result / "result.json").read_bytes())
        if facts["job"] != earlier.id:
            raise ValueError("another job's result has its name")
        if (facts["options"], facts["processor_options"]) != (assignment.shown_options, assignment.processor_options):
            raise ValueError("it was made with other options")
        if with_files and sum(file["size_bytes"] for file in facts["files"]) > _REUSED_BYTES:
            raise ValueError("its files are large: copying them would delay all other jobs")
        staging = self._folders.outbox.prepare_attempt(job)
        files = facts["files"] if with_files else [_note(staging, job, earlier)]
        for file in facts["files"] if with_files else ():
            durable.make_folder((staging / file["name"]).parent)  # no second name: people edit their results
            durable.copy(result / file["name"], staging / file["name"], file["sha256"])
        return wire.WorkFinished(
            job=job.id,
            attempt=job.attempt,
            files=files,
            excerpt=earlier.excerpt,
            review=list(earlier.review),
            pages=earlier.pages,
            media_seconds=earlier.media_seconds,
            details=facts.get("details") or {},
            seconds=0.0,
        )


def _note(staging: Path, job: Job, earlier: Job) -> dict[str, Any]:
    text = f"{job.path} has the same content as {earlier.path}, whose result is in {earlier.result_path}.\n"
    content = text.encode("utf-8", "backslashreplace")
    durable.write_file(staging / NOTE, content)
    return {"name": NOTE, "sha256": durable.sha256_of(staging / NOTE), "size_bytes": len(content)}
