"""Publishes results and failures: stage, commit the intent, publish by one rename, done.

Each part is a step of `disk_retry`: if a disk does not allow it, it is retried, and no work is done twice. A large
original that must be copied, or has no checksum yet, is prepared in the background first; then the step is repeated
from its beginning, so that it sees any change in the meantime.
"""

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from daemon import __version__
from daemon.config.current import CurrentSettings
from daemon.config.values import Originals
from daemon.core import copies, durable, regular_files
from daemon.core.background import Background
from daemon.core.job import Job, JobState, Original
from daemon.core.journald import about
from daemon.files.disk_retry import DiskRetry
from daemon.files.folders import Folders
from daemon.files.originals import original_folder, path_within
from daemon.files.taken import OriginalGone
from daemon.publishing import original_changes, result_documents
from daemon.publishing.completion import Completion
from daemon.publishing.failures import FailurePublisher
from daemon.publishing.finished_attempt import FinishedAttempt
from daemon.publishing.group import GroupPublisher
from daemon.publishing.job_retrier import JobRetrier
from daemon.publishing.preparation import Preparations
from daemon.publishing.result_documents import MadeBy
from daemon.publishing.shared import Shared
from daemon.queue.changes import ContentFacts
from daemon.queue.store import Store
from processors import contract, protocol

log = logging.getLogger(__name__)

NOTE = "note.txt"  # beside an original that was passed on


class Publisher:
    """Moves results and failures to the outbox. Called by the main thread only."""

    def __init__(
        self,
        settings: CurrentSettings,
        store: Store,
        folders: Folders,
        disk_retry: DiskRetry,
        background: Background,
    ):
        self._settings = settings
        self._store = store
        self._folders = folders
        self._disk_retry = disk_retry
        self._background = background
        self._preparations = Preparations(folders.outbox, background, on_error=self._cannot_publish)
        shared = Shared(
            store=store,
            folders=folders,
            disk_retry=disk_retry,
            preparations=self._preparations,
            is_busy_with=self.is_busy_with,
        )
        self._completion = Completion(shared)
        self._job_retrier = JobRetrier(store, folders, disk_retry, background, release=self._completion.release)
        self._group = GroupPublisher(
            settings, store, folders, may_join=self._may_join_group, release=self._completion.release_later
        )
        self._failures = FailurePublisher(shared, self._completion, self._job_retrier)

    def is_busy_with(self, job_id: str) -> bool:
        """True while the background works on this job; nothing else may start on it until then."""
        return self._job_retrier.is_busy_with(job_id) or self._preparations.is_pending(job_id)

    def publish_results(self, results: Sequence[FinishedAttempt]) -> list[FinishedAttempt]:
        """Publish the results of running jobs, up to `done`, together as far as possible. Return those that remain to
        be published by `publish_result`."""
        return list(results) if len(results) < 2 else self._group.publish(results)

    def _may_join_group(self, job: Job, original: Original) -> bool:
        is_kept = self._settings.value.folder(job.folder).originals == "keep"
        home = self._folders.outbox.staging / job.staging_name() if is_kept else None
        return not self.is_busy_with(job.id) and self._preparations.is_quick(job, original, home)

    def publish_result(self, result: FinishedAttempt) -> None:
        """Publish the result of a running job, up to `done`. The outcome of an attempt that has ended changes
        nothing."""
        self._make_result(result)

    def publish_duplicate(self, job: Job, earlier: Job, finished: protocol.WorkFinished) -> None:
        """Publish the result of an `earlier` job with the same content for a queued job."""
        job = replace(
            job,
            processor=earlier.processor,
            engine=earlier.engine,
            model=earlier.model,
            device=earlier.device,
            duplicate_of=earlier.id,
        )
        made_by = MadeBy(note=f"The same content as {earlier.path}: see {earlier.result_path}.")

        def on_give_up(error: Exception) -> None:
            self.give_up(job, contract.FailureKind.ERROR, f"Cannot publish the result: {error}.")

        self._publish_result(FinishedAttempt(job=job, finished=finished, made_by=made_by, on_give_up=on_give_up))

    def pass_on(self, job: Job, why: str) -> None:
        """Publish the original of a queued job that no recipe applies to, unchanged, with a note that says why."""
        note = self._folders.outbox.prepare_attempt(job) / NOTE
        note.unlink(missing_ok=True)  # of an earlier try
        content = result_documents.note_txt(job, why)
        durable.write_file(note, content)
        file = protocol.OutputFile(name=NOTE, sha256=regular_files.sha256_of(note), size_bytes=len(content))
        finished = protocol.WorkFinished(
            job=job.id,
            attempt=job.attempt,
            files=[file],
            excerpt=why,
            review=[why],
            pages=None,
            media_seconds=None,
            details={},
        )

        def on_give_up(error: Exception) -> None:
            self.give_up(job, contract.FailureKind.ERROR, f"Cannot publish the file: {error}.")

        self._make_result(FinishedAttempt(job=job, finished=finished, made_by=MadeBy(), on_give_up=on_give_up))

    def _make_result(self, result: FinishedAttempt) -> None:
        """Publish a result now, or as soon as the disks allow, or once the background has prepared the original."""
        job = result.job
        self._disk_retry.run(
            f"result of {job.path} ({job.id})",
            functools.partial(self._publish_result, result),
            on_give_up=functools.partial(self._end_publishing, job, result.on_give_up),
            failed=self._preparations.failures(job.id),
        )

    def _publish_result(self, result: FinishedAttempt) -> None:
        job = result.job
        if not self._completion.may_end(job):
            return
        try:
            original = self._folders.original(job.id, job.path)
        except OriginalGone as error:
            self.give_up(job, contract.FailureKind.ERROR, f"The file was removed from inbox/.taken: {error}.")
            return
        if changes := original_changes.changes(job, original):
            self._queue_again(job, original, changes)
            return
        place = original_folder(original, [*(file["name"] for file in result.finished.files), "result.json"])
        again = functools.partial(self._make_result, result)
        try:
            if not self._preparations.is_ready(job, original, self._home(job, place), again):
                return
            self._stage_result(result, original, place)
        except copies.CopyDiffers:  # somebody changed it, and restored its size and time
            self._queue_again(job, original, original_changes.facts(original))
            return
        publishing = self._store.intend(
            job,
            outcome=JobState.DONE,
            attempt_outcome="finished",
            result_path=self._folders.outbox.free_result_path(
                job, failed=False, is_flat=self._settings.value.folder(job.folder).layout == "flat"
            ),
            **result.facts,
        )
        if publishing is not None:
            self._completion.complete(publishing)

    def _queue_again(self, job: Job, original: Original, changes: ContentFacts) -> None:
        """Discard the result of the old content; the background computes the new checksum of a large file."""
        log.warning("%s %s: changed during processing; queued again", job.id[:8], job.path, extra=about(job))
        self._preparations.forget(job.id)
        self._folders.taken.fsync([job.id], [])
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
            self._disk_retry.run(f"checksum of {job.id}", step)

        self._background.run(
            functools.partial(regular_files.sha256_of, original.path), then, size_bytes=queued.size_bytes
        )

    def _home(self, job: Job, place: str) -> Path | None:
        """The destination folder of a finished job's original; None: the original is deleted."""
        return {
            "keep": self._folders.outbox.staging / job.staging_name() / place,
            "archive": self._folders.outbox.archive_folder(job),
            "delete": None,
        }[self._policy(job)]

    def _policy(self, job: Job) -> Originals:
        """The policy for the original of a finished job; without a recipe, it is the only file in its result."""
        return self._settings.value.folder(job.folder).originals if job.recipe else "keep"

    def _end_publishing(self, job: Job, on_give_up: Callable[[Exception], None], error: Exception) -> None:
        """Give up publishing a result. Neither the failure nor the next attempt can use what was prepared for it."""
        self._preparations.forget(job.id)
        on_give_up(error)

    def _cannot_publish(self, job: Job, error: Exception) -> None:
        self._preparations.forget(job.id)
        self.give_up(job, contract.FailureKind.ERROR, f"Cannot publish the result: {error}.")

    def _stage_result(self, result: FinishedAttempt, original: Original, place: str) -> None:
        job = result.job
        for file in result.finished.files:
            if not self._folders.outbox.has_output(job, file["name"], file["size_bytes"]):
                raise ValueError(f"the worker reported an output that does not exist: {file['name']!r}")
        policy = self._policy(job)
        where = {
            "keep": path_within(place, original),
            "archive": f"archive:{job.folder}/{job.id}/{original.path.name}".replace(":/", ":"),
            "delete": None,
        }[policy]
        is_placed = job.id in self._preparations
        if policy == "archive":
            self._folders.outbox.archive_original(job, original, is_placed=is_placed)
        else:
            self._folders.outbox.discard_archived(job)
        document = result_documents.result_json(
            job,
            result.finished,
            run_seconds=result.run_seconds,
            original={"policy": policy, "path": where},
            **result.made_by,
            version=__version__,
        )
        staged = original if policy == "keep" else None
        self._folders.outbox.stage(job, staged, place, {"result.json": document}, is_placed=is_placed)

    def give_up(self, job: Job, kind: str, message: str) -> None:
        """Publish the original of a running or queued job below outbox/failed, with error.txt. If that fails
        unexpectedly, the job is parked: it waits in the queue, and `status` shows why."""
        self._failures.give_up(job, kind, message)

    def cancel(self, job: Job) -> None:
        """Cancel a job by command."""
        self._failures.cancel(job)

    def cancel_now(self, job: Job, again: Callable[[], object]) -> None:
        """Cancel a job for a caller that retries; `again` is called once the background has prepared the file.

        Raises:
            OSError, StorageError: it cannot be done now; the job is unchanged.
        """
        self._failures.cancel_now(job, again)

    def complete(self, job: Job) -> None:
        """Finish a job whose intent is committed: rename, commit, release. Recovery continues here."""
        self._completion.complete(job)

    def retry(self, job: Job, then: Callable[[Job], None] = lambda queued: None) -> None:
        """Queue a failed job again, with its original fetched back from outbox/failed. `then` gets the queued job; if
        the file is large, only after the background has fetched it back.

        Raises:
            OriginalGone: the original no longer exists.
            OSError: it cannot be moved.
        """
        self._job_retrier.retry(job, then)

    def withdraw(self, job: Job) -> None:
        """The second half of a retry, which recovery repeats."""
        self._job_retrier.withdraw(job)
