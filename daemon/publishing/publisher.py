"""The last part of a file's way: stage, commit the intent, publish by one rename, done; the same for what failed.

Each part is a step of `storage`: if it fails (disk full, read-only, unavailable) it is saved and retried, and no work
is done twice. A large original that must be copied, or has no checksum yet, is prepared in the background first; then
the step is repeated from its beginning, so that it sees any change in the meantime.
"""

import functools
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daemon import __version__
from daemon.config.current import CurrentSettings
from daemon.core import durable
from daemon.core.background import Background
from daemon.core.errors import InboxdError, StorageError
from daemon.core.job import Job, JobState, Original
from daemon.core.journald import about
from daemon.files.disk_retry import Storage
from daemon.files.inbox import HASH_INLINE_BYTES, OriginalGone, as_recorded
from daemon.files.layout import Folders
from daemon.files.outbox import DOCUMENTS, original_place
from daemon.publishing import result_json
from daemon.queue.store import Store
from processors import contract, protocol

log = logging.getLogger(__name__)

_BY_COMMAND = ("cancelled", "Cancelled with `inboxd cancel`.")


@dataclass(kw_only=True)
class _Preparation:
    """A large original that the background copies into its result folder, or whose checksum it computes."""

    attempt: int
    home: Path | None  # destination folder
    sha256: str | None = None  # set on success
    error: OSError | None = None  # set on failure

    @property
    def is_pending(self) -> bool:
        return self.sha256 is None and self.error is None


class Publishing:
    """Carries results and failures into the outbox. Called by the main thread only."""

    def __init__(
        self, settings: CurrentSettings, store: Store, folders: Folders, storage: Storage, background: Background
    ):
        self._settings = settings
        self._store = store
        self._folders = folders
        self._storage = storage
        self._background = background
        self._preparations: dict[str, _Preparation] = {}  # by job
        self._failed: Counter[str] = Counter()  # by job, the number of failed preparations
        self._altered: set[str] = set()  # jobs whose originals have not the content of their checksums any more
        self._fetched_back: set[str] = set()  # jobs whose large originals are being fetched back for a retry

    def is_busy_with(self, job_id: str) -> bool:
        """True while the background works on this job; nothing else may start on it until then."""
        preparation = self._preparations.get(job_id)
        return job_id in self._fetched_back or (preparation is not None and preparation.is_pending)

    def publish_result(
        self,
        job: Job,
        finished: protocol.WorkFinished,
        told: Mapping[str, Any],
        *,
        hopeless: Callable[[Exception], None],
    ) -> None:
        """The whole way from a worker's outcome to `done`; an outcome of an attempt that is over changes nothing.

        told: more for result.json: how it was made (see there).
        hopeless: called if the result cannot be staged although the disks can be written.
        """

        self._make_result(job, finished, told, hopeless)

    def publish_duplicate(self, job: Job, earlier: Job, finished: protocol.WorkFinished) -> None:
        """The way of a queued job to `done` with what an `earlier` one of the same content came to."""
        made_by = {name: getattr(earlier, name) for name in ("processor", "engine", "model", "device")}
        job = replace(job, **made_by, duplicate_of=earlier.id)
        told = {"note": f"The same content as {earlier.path}: see {earlier.result_path}."}

        def hopeless(error: Exception) -> None:
            self.give_up(job, contract.FailureKind.ERROR, f"Cannot publish the result: {error}.")

        self._publish_result(job, finished, told, functools.partial(self._make_result, job, finished, told, hopeless))

    def _make_result(
        self,
        job: Job,
        finished: protocol.WorkFinished,
        told: Mapping[str, Any],
        hopeless: Callable[[Exception], None],
    ) -> None:
        """Publish a result now, or as soon as a disk allows it; also once the background has prepared the original."""
        again = functools.partial(self._make_result, job, finished, told, hopeless)
        self._storage.make(
            f"result of {job.path} ({job.id[:8]})",
            functools.partial(self._publish_result, job, finished, told, again),
            hopeless=functools.partial(self._end_in_vain, job, hopeless),
            failed=self._failed[job.id],
        )

    def _publish_result(
        self, job: Job, finished: protocol.WorkFinished, told: Mapping[str, Any], again: Callable[[], None]
    ) -> None:
        if not self._may_end(job):
            return
        try:
            original = self._folders.original(job.id)
        except OriginalGone as error:
            self.give_up(job, contract.FailureKind.ERROR, f"The file was removed from inbox/.taken: {error}.")
            return
        if changes := _changes(job, original):
            self._queue_again(job, original, changes)
            return
        place = original_place(original, [*(file["name"] for file in finished.files), "result.json"])
        try:
            if not self._is_prepared(job, original, self._home(job, place), again):
                return
            self._stage_result(job, finished, original, place, told)
        except durable.CopyDiffers:  # changed, and its size and time put back
            self._queue_again(job, original, _facts(original))
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
        if publishing is not None:
            self.complete(publishing)

    def _queue_again(self, job: Job, original: Original, changes: Mapping[str, Any]) -> None:
        """Discard the result of the old content; the background computes the new checksum of a large file."""
        log.warning("%s %s: changed during processing; queued again", job.id[:8], job.path, extra=about(job))
        self._forget(job.id)
        self._folders.inbox.fsync_taken([job.id], [])
        queued = self._store.requeue(
            job,
            outcome="changed",
            detail="the file changed during processing",
            **changes,
            run_at=self._store.now() + int(self._settings.value.settle_seconds * 1e6),
        )
        if queued is None or queued.sha256 is not None:
            return

        def then(outcome: str | Exception) -> None:
            if isinstance(outcome, Exception):
                self.give_up(queued, contract.FailureKind.ERROR, f"Cannot read the file: {outcome}.")
                return
            step = functools.partial(self._store.set_sha256, job.id, outcome)
            self._storage.make(f"checksum of {job.id[:8]}", step)

        self._background.run(functools.partial(durable.sha256_of, original.path), then)

    def _home(self, job: Job, place: str) -> Path | None:
        """The destination folder of a finished job's original; None: the original is deleted."""
        return {
            "keep": self._folders.outbox.staging / job.staging_name() / place,
            "archive": self._folders.outbox.archive_home(job),
            "delete": None,
        }[self._settings.value.folder(job.folder).originals]

    def _is_prepared(self, job: Job, original: Original, home: Path | None, again: Callable[[], object]) -> bool:
        """True if the original can be staged now; otherwise the background prepares it, then calls `again`.

        Raises:
            OSError: the preparation failed.
        """
        done = self._preparations.get(job.id)
        if done is not None and (done.attempt, done.home) == (job.attempt, home):
            if done.error is not None:
                del self._preparations[job.id]
                raise done.error
            return not done.is_pending
        self._preparations.pop(job.id, None)  # of an earlier attempt, whose folder is gone
        outbox, source = self._folders.outbox, original.path
        is_quick = home is None or outbox.may_link(source, home)
        if source.lstat().st_size <= HASH_INLINE_BYTES or (is_quick and job.sha256):
            return True
        preparation = self._preparations[job.id] = _Preparation(attempt=job.attempt, home=home)

        def then(outcome: str | Exception) -> None:
            if isinstance(outcome, Exception):
                preparation.error = outcome if isinstance(outcome, OSError) else OSError(str(outcome))
                self._failed[job.id] += 1
            else:
                preparation.sha256 = outcome
            try:
                again()
            except (OSError, InboxdError):
                raise
            except Exception as error:  # one of the error boundaries: one job
                log.exception("%s %s: cannot be published", job.id[:8], job.path, extra=about(job))
                self._forget(job.id)
                self.give_up(job, contract.FailureKind.ERROR, f"Cannot publish the result: {error}.")

        try:
            self._background.run(functools.partial(outbox.lay_original, source, home, job.sha256), then)
        except OSError:
            del self._preparations[job.id]
            raise
        return False

    def _end_in_vain(self, job: Job, hopeless: Callable[[Exception], None], error: Exception) -> None:
        """Give up a publishing: what was prepared for it is not for the failure, nor for the next attempt."""
        self._forget(job.id)
        hopeless(error)

    def _is_altered(self, job_id: str) -> bool:
        """Note that an original differs from its checksum; False: that is known, and it differs again."""
        is_new = job_id not in self._altered
        self._altered.add(job_id)
        return is_new

    def _forget(self, job_id: str) -> None:
        self._altered.discard(job_id)
        self._preparations.pop(job_id, None)
        self._failed.pop(job_id, None)

    def _may_end(self, job: Job) -> bool:
        """Does this attempt still hold its job? The commit of the intent is the fence; this spares a stale outcome's
        work, and the staging folder of a later attempt."""
        current = self._store.get(job.id)
        if current is None or (current.attempt, current.lease) != (job.attempt, job.lease) or current.state.is_final:
            late = "%s %s: the outcome of attempt %d came too late"
            log.warning(late, job.id[:8], job.path, job.attempt, extra=about(job))
            self._forget(job.id)
            return False
        if current.state is JobState.PUBLISHING:  # an error hid that the intent was committed
            self.complete(current)
            return False
        return True

    def _stage_result(
        self,
        job: Job,
        finished: protocol.WorkFinished,
        original: Original,
        place: str,
        told: Mapping[str, Any],
    ) -> None:
        for file in finished.files:
            if not self._folders.outbox.holds(job, file["name"], file["size_bytes"]):
                raise ValueError(f"its worker names an output that is not there, {file['name']!r}")
        policy = self._settings.value.folder(job.folder).originals
        where = {
            "keep": _within(place, original),
            "archive": f"archive:{job.folder}/{job.id}/{original.path.name}".replace(":/", ":"),
            "delete": None,
        }[policy]
        is_laid = job.id in self._preparations
        if policy == "archive":
            self._folders.outbox.archive_original(job, original, is_laid=is_laid)
        document = result_json.result_json(
            job,
            finished,
            original={"policy": policy, "path": where},
            **told,
            version=__version__,
        )
        kept = original if policy == "keep" else None
        self._folders.outbox.stage(job, kept, place, {"result.json": document}, is_laid=is_laid)

    def cancel(self, job: Job) -> None:
        """Give a job up by command."""
        self.give_up(job, *_BY_COMMAND)

    def cancel_now(self, job: Job, again: Callable[[], object]) -> None:
        """Cancel for a caller that retries; `again` is called once the background has prepared the file.

        Raises:
            OSError, StorageError: it cannot be done now; the job is as it was.
        """
        if not self.is_busy_with(job.id):
            self._give_up(job, *_BY_COMMAND, again)

    def give_up(self, job: Job, kind: str, message: str) -> None:
        """Publish the original below outbox/failed, with error.txt; from running or from queued."""
        if self.is_busy_with(job.id):  # with its end, on another path
            return

        def step() -> None:
            self._give_up(job, kind, message, again)

        def again() -> None:
            self._storage.make(f"failure of {job.path} ({job.id[:8]})", step)

        again()

    def _give_up(self, job: Job, kind: str, message: str, again: Callable[[], object]) -> None:
        if not self._may_end(job):
            return
        try:
            self._publish_failure(job, kind, message, again)
        except durable.CopyDiffers:
            if not self._is_altered(job.id):
                raise
            again()

    def _publish_failure(self, job: Job, kind: str, message: str, again: Callable[[], object]) -> None:
        """Stage and publish a failure.

        Raises:
            CopyDiffers: the original has not the content of its checksum.
        """
        cancelled = kind == "cancelled"
        try:
            original = self._folders.original(job.id)
        except OriginalGone:
            original = None
        self._withdraw(job.id)
        changes = _changes(job, original)
        if original is not None and job.id in self._altered:
            changes = _facts(original)
        job = replace(job, **changes)
        if job.id not in self._preparations:
            self._folders.outbox.prepare_attempt(job)
        place = original_place(original, DOCUMENTS) if original else "."
        home = self._folders.outbox.staging / job.staging_name() / place
        if original is not None and not self._is_prepared(job, original, home, again):
            return
        if original is not None and job.sha256 is None:  # the content changed, or the checksum was never computed
            done = self._preparations.get(job.id)
            changes["sha256"] = done.sha256 if done else durable.sha256_of(original.path, at_most=HASH_INLINE_BYTES)
            job = replace(job, **changes)
        where = {"path": _within(place, original)} if original else None
        documents = {
            "error.txt": result_json.error_txt(job, kind, message),
            "error.json": result_json.error_json(job, kind, message, original=where, version=__version__),
        }
        self._folders.outbox.stage(job, original, place, documents, is_laid=job.id in self._preparations)
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
        self._forget(job.id)
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
            except (FileExistsError, NotADirectoryError):  # its name was taken meanwhile, or that of its folder
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

    def retry(self, job: Job, then: Callable[[Job], None] = lambda queued: None) -> None:
        """Queue a failed job again, with its original fetched back from outbox/failed. `then` gets the queued job, for
        a large file once the background has fetched it back.

        Raises:
            OriginalGone: the original is not there any more.
            OSError: it cannot be moved.
        """
        if job.size_bytes <= HASH_INLINE_BYTES:
            try:
                self._folders.fetch_back(job)
                self._reopen(job, then)
            except (OSError, StorageError):
                self._release_later(job)
                raise
            return

        def fetched(outcome: Exception | None) -> None:
            self._fetched_back.discard(job.id)
            try:
                if outcome is not None:
                    raise outcome
                self._reopen(job, then)
            except (OriginalGone, OSError, StorageError) as error:
                log.error("%s %s cannot be tried again: %s", job.id[:8], job.path, error, extra=about(job))
                self._release_later(job)

        self._fetched_back.add(job.id)
        try:
            self._background.run(functools.partial(self._folders.fetch_back, job), fetched)
        except OSError:
            self._fetched_back.discard(job.id)
            raise

    def _reopen(self, job: Job, then: Callable[[Job], None]) -> None:
        queued = self._store.reopen(job)
        self.withdraw(queued)
        then(self._store.get(job.id) or queued)

    def _release_later(self, job: Job) -> None:
        self._storage.make(f"removal of inbox/.taken/{job.id}", functools.partial(self.release, job.id))

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
    """The columns of the row that no longer match the original because a program continued writing to it. The
    background computes the new checksum of a large file."""
    if original is None:
        return {}
    facts = original.path.lstat()
    if (facts.st_size, as_recorded(facts.st_mtime_ns)) == (job.size_bytes, job.mtime_ns):
        return {}
    return _facts(original)


def _facts(original: Original) -> dict[str, Any]:
    """What the row holds of an original's content, as it is now."""
    facts = original.path.lstat()
    is_small = facts.st_size <= HASH_INLINE_BYTES
    sha256 = durable.sha256_of(original.path, at_most=HASH_INLINE_BYTES) if is_small else None
    return {"sha256": sha256, "size_bytes": facts.st_size, "mtime_ns": as_recorded(facts.st_mtime_ns)}


def _within(place: str, original: Original) -> str:
    """Where an original lies, relative to its result."""
    return f"{place}/{original.path.name}".removeprefix("./")
