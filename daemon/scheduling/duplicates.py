"""Duplicates: files whose content was processed before, by the same recipe and options. They get the earlier result, or
a note that names it."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon import __version__
from daemon.config.current import CurrentSettings
from daemon.core import copies, durable, regular_files
from daemon.core.errors import InboxdError
from daemon.core.job import Job, JobState
from daemon.core.journald import about
from daemon.files import result_reader, safe_folders
from daemon.files.flat import FilePlaces, shown
from daemon.files.folders import Folders
from daemon.publishing.publisher import Publisher
from daemon.queue.store import Store
from daemon.scheduling.assignment import Assignment
from processors import protocol, wellformed

log = logging.getLogger(__name__)

NOTE = "duplicate.txt"
_REUSED_BYTES = 64 * 2**20  # limit, because the main thread copies them
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """A queued job with the same content as an earlier finished job."""

    job: Job
    earlier: Job
    assignment: Assignment


class Duplicates:
    """Finds the duplicates among queued jobs, and publishes them. Called by the main thread only."""

    def __init__(self, settings: CurrentSettings, store: Store, folders: Folders, publishing: Publisher):
        self._settings = settings
        self._store = store
        self._folders = folders
        self._publishing = publishing
        self._unusable: set[str] = set()  # jobs whose earlier result could not be used: they are processed

    def may_start(self, job: Job) -> bool:
        """False if the job waits for an identical job ahead of it, to share its result."""
        return not self._is_wanted(job) or not self._store.is_before_in_queue(job)

    def find(self, job: Job, assignment: Assignment) -> Duplicate | None:
        """Return the job with the earlier one whose result it could share, if there is one."""
        if job.id in self._unusable or not self._is_wanted(job) or (earlier := self._store.done_before(job)) is None:
            return None
        return Duplicate(job=job, earlier=earlier, assignment=assignment)

    def publish(self, duplicate: Duplicate) -> None:
        """Publish the earlier result, or the note, as the job's own. If that result cannot be used, `find` no longer
        returns the job, so that it is processed."""
        job = duplicate.job
        with_files = self._settings.value.folder(job.folder).duplicates == "reuse"
        try:
            finished = self._stage(duplicate, with_files=with_files)
            self._publishing.publish_duplicate(job, duplicate.earlier, finished)
        except InboxdError:
            raise
        except Exception as error:  # error boundary: whatever the earlier result contains, this file is processed
            log.info("%s %s: its earlier result cannot be used: %s", job.id[:8], job.path, error, extra=about(job))
            if self._is_queued(job):
                self._unusable.add(job.id)

    def forget(self, job_id: str) -> None:
        """Forget a job that has started."""
        self._unusable.discard(job_id)

    def _is_queued(self, job: Job) -> bool:
        """True while the job is queued. (An error may come after its result was recorded.)"""
        current = self._store.get(job.id)
        return current is not None and current.state is JobState.QUEUED

    def _is_wanted(self, job: Job) -> bool:
        """True if an earlier result may be used for the job: its folder allows it, and the job was never started."""
        return (
            self._settings.value.folder(job.folder).duplicates != "process"
            and job.sha256 is not None
            and not job.attempt
        )

    def _stage(self, duplicate: Duplicate, *, with_files: bool) -> protocol.WorkFinished:
        """Stage the earlier job's files for this one, and return its outcome.

        Raises:
            OSError, ValueError, KeyError: the result was moved, removed or changed.
        """
        job, earlier, assignment = duplicate.job, duplicate.earlier, duplicate.assignment
        assert earlier.result_path is not None  # `find` wants one
        result = self._folders.outbox.path / earlier.result_path
        document = result_reader.read(result / "result.json", root=self._folders.outbox.path)
        facts = document.facts
        if facts["job"] != earlier.id or not document.is_ours:
            raise ValueError("another job's result has its name, or another user wrote it")
        has_options = assignment.has_options(facts["options"], is_of_this_version=facts["inboxd"] == __version__)
        if not has_options or facts["processor_options"] != assignment.processor_options:
            raise ValueError("it was made with other options")
        details = facts.get("details") or {}
        if not isinstance(details, dict):
            raise ValueError("its details are not a JSON object")
        files = _files(facts) if with_files else []
        places = FilePlaces(earlier.result_path, earlier.name, facts)
        staging = self._folders.outbox.prepare_attempt(job)
        for file in files:
            source = self._folders.outbox.path / places.path(file["name"])
            self._copy(source, staging / file["name"], file)
        return protocol.WorkFinished(
            job=job.id,
            attempt=job.attempt,
            files=files if with_files else [_note(staging, job, earlier)],
            excerpt=earlier.excerpt,
            review=list(earlier.review),
            pages=earlier.pages,
            media_seconds=earlier.media_seconds,
            details={name: wellformed.finite(value) for name, value in details.items()},
        )

    def _copy(self, source: Path, target: Path, file: protocol.OutputFile) -> None:
        """Copy an output of an earlier result, without following links: a copy, because people edit their results.

        Raises:
            OSError, ValueError: it is not as result.json describes it.
        """
        durable.make_folder(target.parent)
        with safe_folders.opened(self._folders.outbox.path, source.parent) as folder:
            held = Path(f"/proc/self/fd/{folder}") / source.name
            copies.copy(held, target, file["sha256"], at_most=file["size_bytes"])
        if target.stat().st_size != file["size_bytes"]:
            raise ValueError(f"{source.name!r} does not have the size in result.json")


def _files(facts: Mapping[str, Any]) -> list[protocol.OutputFile]:
    """The outputs that result.json lists, each checked.

    Raises:
        ValueError: the daemon does not write outputs like these, or they are too large.
    """
    if not isinstance(facts["files"], list):
        raise ValueError("its files are not a list")
    files = [protocol.output_file(file) for file in facts["files"]]
    if not all(_SHA256.fullmatch(file["sha256"]) and file["size_bytes"] >= 0 for file in files):
        raise ValueError("a checksum or a size in it is not valid")
    if sum(file["size_bytes"] for file in files) > _REUSED_BYTES:
        raise ValueError("its files are large: copying them would delay all other jobs")
    return files


def _note(staging: Path, job: Job, earlier: Job) -> protocol.OutputFile:
    where = shown(earlier.result_path or "")
    text = f"{job.path} has the same content as {earlier.path}, whose result is in {where}.\n"
    content = text.encode("utf-8", "backslashreplace")
    durable.write_file(staging / NOTE, content)
    return protocol.OutputFile(name=NOTE, sha256=regular_files.sha256_of(staging / NOTE), size_bytes=len(content))
