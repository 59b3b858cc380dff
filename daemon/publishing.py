"""The last part of a file's way: stage, commit the intent, publish by one rename, done; the same for what failed.

Each part is a step of `storage`: where it cannot be made (disk full, read-only, away) it is kept and made again, and
no work is done twice for it.
"""

import functools
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from daemon import __version__, durable, result
from daemon.config import Settings
from daemon.errors import StorageError
from daemon.folders import Folders
from daemon.inbox import OriginalGone, as_recorded
from daemon.journal import about
from daemon.model import Job, JobState, Original
from daemon.outbox import original_place
from daemon.storage import Storage
from daemon.store import Store
from processors import base, wire

log = logging.getLogger(__name__)

_BY_COMMAND = ("cancelled", "It was cancelled by command.")


class Publishing:
    """Carries results and failures into the outbox. Called by the main thread only."""

    def __init__(self, settings: Settings, store: Store, folders: Folders, storage: Storage):
        self.settings = settings
        self._store = store
        self._folders = folders
        self._storage = storage

    def publish_result(
        self,
        job: Job,
        finished: wire.WorkFinished,
        told: Mapping[str, Any],
        *,
        hopeless: Callable[[Exception], None],
    ) -> None:
        """The whole way from a worker's outcome to `done`; an outcome of an attempt that is over changes nothing.

        told: more for result.json: how it was made (see there).
        hopeless: called if the result cannot be staged although the disks can be written.
        """

        def step() -> None:
            self._publish_result(job, finished, told)

        self._storage.make(f"result of {job.path} ({job.id[:8]})", step, hopeless=hopeless)

    def publish_duplicate(self, job: Job, earlier: Job, finished: wire.WorkFinished) -> None:
        """The way of a queued job to `done` with what an `earlier` one of the same content came to."""
        made_by = {name: getattr(earlier, name) for name in ("processor", "engine", "model", "device")}
        job = replace(job, **made_by, duplicate_of=earlier.id)
        told = {"note": f"The same content as {earlier.path}: see {earlier.result_path}."}
        self._publish_result(job, finished, told)

    def _publish_result(self, job: Job, finished: wire.WorkFinished, told: Mapping[str, Any]) -> None:
        if not self._may_end(job):
            return
        try:
            original = self._folders.original(job.id)
        except OriginalGone as error:
            self.give_up(job, base.FailureKind.ERROR, f"The file was removed from inbox/.taken: {error}.")
            return
        if changes := _changes(job, original):
            log.warning("%s %s changed meanwhile; it is queued again", job.id[:8], job.path, extra=about(job))
            self._folders.inbox.fsync_taken([job.id], [])
            self._store.requeue(
                job,
                outcome="changed",
                detail="the file changed while it was processed",
                **changes,
                run_at=self._store.now() + int(self.settings.settle_seconds * 1e6),
            )
            return
        self._stage_result(job, finished, original, told)
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
        if publishing is not None:
            self.complete(publishing)

    def _may_end(self, job: Job) -> bool:
        """Does this attempt still hold its job? The commit of the intent is the fence; this spares a stale outcome's
        work, and the staging folder of a later attempt."""
        current = self._store.get(job.id)
        if current is None or (current.attempt, current.lease) != (job.attempt, job.lease) or current.state.is_final:
            late = "%s %s: the outcome of attempt %d came too late"
            log.warning(late, job.id[:8], job.path, job.attempt, extra=about(job))
            return False
        if current.state is JobState.PUBLISHING:  # an error hid that the intent was committed
            self.complete(current)
            return False
        return True

    def _stage_result(
        self,
        job: Job,
        finished: wire.WorkFinished,
        original: Original,
        told: Mapping[str, Any],
    ) -> None:
        for file in finished.files:
            if not self._folders.outbox.holds(job, file["name"], file["size_bytes"]):
                raise ValueError(f"its worker names an output that is not there, {file['name']!r}")
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
            **told,
            version=__version__,
        )
        self._folders.outbox.stage(job, original if policy == "keep" else None, place, {"result.json": document})

    def cancel(self, job: Job) -> None:
        """Give a job up by command."""
        self.give_up(job, *_BY_COMMAND)

    def cancel_now(self, job: Job) -> None:
        """The same for a caller that tries again itself.

        Raises:
            OSError, StorageError: it cannot be done now; the job is as it was.
        """
        self._give_up(job, *_BY_COMMAND)

    def give_up(self, job: Job, kind: str, message: str) -> None:
        """Publish the original below outbox/failed, with error.txt; from running or from queued."""
        step = functools.partial(self._give_up, job, kind, message)
        self._storage.make(f"failure of {job.path} ({job.id[:8]})", step)

    def _give_up(self, job: Job, kind: str, message: str) -> None:
        if not self._may_end(job):
            return
        cancelled = kind == "cancelled"
        try:
            original = self._folders.original(job.id)
        except OriginalGone:
            original = None
        self._withdraw(job.id)
        changes = _changes(job, original)
        job = replace(job, **changes)
        self._folders.outbox.prepare_attempt(job)
        place = original_place(original, ["error.txt", "error.json"]) if original else "."
        where = {"path": _within(place, original)} if original else None
        documents = {
            "error.txt": result.error_txt(job, kind, message),
            "error.json": result.error_json(job, kind, message, original=where, version=__version__),
        }
        self._folders.outbox.stage(job, original, place, documents)
        publishing = self._store.intend(
            job,
            outcome=JobState.CANCELLED if cancelled else JobState.FAILED,
            attempt_outcome=kind,
            result_path=self._folders.outbox.free_result_path(job, failed=True),
            error_kind=kind,
            error=message,
            waiting_for=None,
            **changes,
        )
        if publishing is not None:
            self.complete(publishing)

    def complete(self, job: Job) -> None:
        """publishing -> done: rename, commit, release. Recovery goes on here, too."""
        self._storage.make(f"publishing of {job.path} ({job.id[:8]})", functools.partial(self._complete, job.id))

    def _complete(self, job_id: str) -> None:
        job = self._store.get(job_id)  # with the name that an earlier try may have given it
        if job is None or job.state is not JobState.PUBLISHING:
            return
        job = self._rename(job)
        self._folders.outbox.fsync_result(job)  # the rename may be an earlier run's that died before this
        done = self._store.finish(job)  # publish before finish: a row that says done has its result
        level = logging.INFO if done.state is JobState.DONE else logging.WARNING
        what = done.error or done.result_path
        log.log(level, "%s %s: %s: %s", done.id[:8], done.path, done.state, what, extra=about(done))
        self._storage.make(f"removal of inbox/.taken/{job_id}", functools.partial(self.release, job_id))

    def _rename(self, job: Job) -> Job:
        while self._folders.outbox.is_staged(job):
            try:
                self._folders.outbox.publish(job)
            except FileExistsError:
                free = self._folders.outbox.free_result_path(job, failed=job.outcome is not JobState.DONE)
                job = self._store.rename_intent(job, free)
        return job

    def release(self, job_id: str) -> None:
        """Remove what is left of a job that has ended: the taken original, the staging of its attempts, and what they
        kept. Nothing, if it was queued again meanwhile: then that original is the only one."""
        job = self._store.get(job_id)
        if job is not None and not job.state.is_final:
            return
        self._folders.inbox.release(job_id)
        self._folders.outbox.discard_attempts(job_id)
        durable.remove_tree(self._folders.kept / job_id)

    # ---------------------------------------------------------------------------------------- trying again

    def retry(self, job: Job) -> Job:
        """A failed job is queued again, with its original fetched back from outbox/failed.

        Raises:
            OriginalGone: the original is not there any more.
            OSError: it cannot be moved.
        """
        try:
            self._folders.fetch_back(job)
            queued = self._store.reopen(job)
        except (OSError, StorageError):
            self._storage.make(f"removal of inbox/.taken/{job.id}", functools.partial(self.release, job.id))
            raise
        self.withdraw(queued)
        return self._store.get(job.id) or queued

    def withdraw(self, job: Job) -> None:
        """The second half of a retry, which recovery repeats: remove the folder below outbox/failed. Until that is
        done the job does not start: else its original could be published a second time."""
        key = f"withdrawal of outbox/{job.result_path} ({job.id[:8]})"
        self._storage.make(key, functools.partial(self._withdraw, job.id))

    def _withdraw(self, job_id: str) -> None:
        job = self._store.get(job_id)
        if job is None or job.state is not JobState.QUEUED or job.result_path is None:
            return
        self._folders.outbox.withdraw(job.result_path)
        self._store.forget_result(job)


def _changes(job: Job, original: Original | None) -> dict[str, Any]:
    """What of the row is not true any more of its original: a program that had the file open has written on."""
    if original is None:
        return {}
    facts = original.path.stat()
    mtime_ns = as_recorded(facts.st_mtime_ns)
    if (facts.st_size, mtime_ns) == (job.size_bytes, job.mtime_ns):
        return {}
    return {"sha256": durable.sha256_of(original.path), "size_bytes": facts.st_size, "mtime_ns": mtime_ns}


def _within(place: str, original: Original) -> str:
    """Where an original lies, relative to its result."""
    return f"{place}/{original.path.name}".removeprefix("./")
