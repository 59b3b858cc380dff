"""The last part of a file's way: stage, commit the intent, publish by one rename, done; the same for what failed.

Where the outbox cannot be written (full, read-only, away), jobs are put back uncharged and nothing is started until a
probe succeeds; a result whose intent is committed stays `publishing` and is published then.
"""

import logging
from collections.abc import Mapping
from typing import Any

from daemon import __version__, result
from daemon.config import Settings
from daemon.durable import sha256_of
from daemon.folders import Folders
from daemon.inbox import OriginalGone
from daemon.model import Job, JobState, Original
from daemon.outbox import original_place
from daemon.store import Store, now_us
from processors import base, wire

log = logging.getLogger(__name__)


class Publishing:
    """Carries results and failures into the outbox. Called by the main thread only."""

    def __init__(self, settings: Settings, store: Store, folders: Folders):
        self.settings = settings
        self._store = store
        self._folders = folders
        self._unpublished: dict[str, Job] = {}
        self.parked_for: str | None = None

    @property
    def is_parked(self) -> bool:
        return self.parked_for is not None

    def publish_result(self, job: Job, finished: wire.WorkFinished, *, options: Mapping[str, Any], note: str) -> None:
        """The whole way from a worker's outcome to `done`; an outcome of an attempt that is over changes nothing."""
        try:
            original = self._folders.inbox.original(job.id)
        except OriginalGone as error:
            self.give_up(job, base.FailureKind.ERROR, f"The file was removed from inbox/.taken: {error}.")
            return
        facts = original.path.stat()
        if (facts.st_size, facts.st_mtime_ns) != (job.size_bytes, job.mtime_ns):
            log.warning("%s %s changed while it was processed; it is queued again", job.id[:8], job.path)
            self._store.requeue(
                job,
                outcome="changed",
                detail="the file changed while it was processed",
                sha256=sha256_of(original.path),
                size_bytes=facts.st_size,
                mtime_ns=facts.st_mtime_ns,
                run_at=now_us() + int(self.settings.settle_seconds * 1e6),
            )
            return
        try:
            self._stage_result(job, finished, original, options, note)
        except OSError as error:
            self.park(job, error)
            return
        publishing = self._store.intend(
            job,
            outcome=JobState.DONE,
            attempt_outcome="finished",
            result_path=self._folders.outbox.free_result_path(job, failed=False),
            excerpt=finished.excerpt[:500],
            review=tuple(finished.review),
            pages=finished.pages,
            media_seconds=finished.media_seconds,
            error=None,
            error_kind=None,
            interruptions=0,
        )
        if publishing is None:
            log.warning("%s %s: the outcome of attempt %d came too late", job.id[:8], job.path, job.attempt)
            return
        self.complete(publishing)

    def _stage_result(
        self,
        job: Job,
        finished: wire.WorkFinished,
        original: Original,
        options: Mapping[str, Any],
        note: str,
    ) -> None:
        policy = self.settings.folder(job.folder).originals
        place = original_place(original, [*(file["name"] for file in finished.files), "result.json"])
        where = {
            "keep": _within(place, original),
            "archive": f"archive:{job.folder}/{job.id}/{original.path.name}".replace(":/", ":"),
            "delete": None,
        }[policy]
        if policy == "archive":
            self._folders.outbox.archive_original(job, original)
        document = result.result_json(
            job,
            finished,
            original={"policy": policy, "path": where},
            options=options,
            note=note,
            version=__version__,
        )
        self._folders.outbox.stage(job, original if policy == "keep" else None, place, {"result.json": document})

    def cancel(self, job: Job) -> None:
        """Give a job up by command."""
        self.give_up(job, "cancelled", "It was cancelled by command.")

    def give_up(self, job: Job, kind: str, message: str) -> None:
        """Publish the original below outbox/failed, with error.txt; from running or from queued."""
        cancelled = kind == "cancelled"
        try:
            original = self._folders.inbox.original(job.id)
        except OriginalGone:
            original = None
        try:
            self._folders.outbox.prepare_attempt(job)
            place = original_place(original, ["error.txt", "error.json"]) if original else "."
            where = {"path": _within(place, original)} if original else None
            documents = {
                "error.txt": result.error_txt(job, kind, message),
                "error.json": result.error_json(job, kind, message, original=where, version=__version__),
            }
            self._folders.outbox.stage(job, original, place, documents)
        except OSError as error:
            self.park(job, error)
            return
        publishing = self._store.intend(
            job,
            outcome=JobState.CANCELLED if cancelled else JobState.FAILED,
            attempt_outcome=kind,
            result_path=self._folders.outbox.free_result_path(job, failed=True),
            error_kind=kind,
            error=message,
            waiting_for=None,
        )
        if publishing is not None:
            self.complete(publishing)

    def complete(self, job: Job) -> None:
        """publishing -> done: rename, commit, release. Recovery goes on here, too."""
        try:
            job = self._rename(job)
        except OSError as error:
            self._unpublished[job.id] = job
            self._park(error)
            return
        done = self._store.finish(job)  # publish before finish: a row that says done has its result
        self._release(done)
        level = logging.INFO if done.state is JobState.DONE else logging.WARNING
        log.log(level, "%s %s: %s: %s", done.id[:8], done.path, done.state, done.error or done.result_path)

    def _rename(self, job: Job) -> Job:
        while self._folders.outbox.is_staged(job):
            try:
                self._folders.outbox.publish(job)
            except FileExistsError:
                free = self._folders.outbox.free_result_path(job, failed=job.outcome is not JobState.DONE)
                job = self._store.rename_intent(job, free)
        return job

    def _release(self, job: Job) -> None:
        try:
            self._folders.inbox.release(job.id)
            self._folders.outbox.discard_attempts(job.id)
        except OSError as error:  # published and done: what is left is removed at the next start
            log.warning("%s %s: inbox/.taken/%s cannot be removed: %s", job.id[:8], job.path, job.id, error)

    # ---------------------------------------------------------------------------------------- parking

    def park(self, job: Job, error: OSError) -> None:
        """Put a job back, uncharged, because the outbox cannot be written."""
        if job.state is JobState.RUNNING:
            self._store.requeue(job, outcome=base.FailureKind.UNAVAILABLE, detail=str(error))
        self._park(error)

    def _park(self, error: OSError) -> None:
        self.parked_for = (
            f"The outbox {self.settings.outbox} cannot be written: {error.strerror or error}. "
            "Free some space there, or mend its permissions; work goes on by itself."
        )
        log.error(self.parked_for)

    def probe(self) -> None:
        """Try again what could not be written."""
        if self.parked_for is None:
            return
        self.parked_for = None
        unpublished, self._unpublished = self._unpublished, {}
        for job in unpublished.values():
            self.complete(job)

    def retry(self, job: Job) -> Job:
        """A failed job is queued again, with its original fetched back from outbox/failed.

        Raises:
            OriginalGone: the original is not there any more.
            OSError: it cannot be moved.
        """
        self._folders.fetch_back(job)
        return self.withdraw(self._store.reopen(job))

    def withdraw(self, job: Job) -> Job:
        """The second half of a retry, which recovery repeats: remove the folder below outbox/failed."""
        assert job.result_path is not None
        self._folders.outbox.withdraw(job.result_path)
        return self._store.forget_result(job)


def _within(place: str, original: Original) -> str:
    """Where an original lies, relative to its result."""
    return f"{place}/{original.path.name}".removeprefix("./")
