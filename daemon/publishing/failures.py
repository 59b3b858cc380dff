"""Publishes the originals of failed and cancelled jobs below outbox/failed, with error.txt and error.json."""

import logging
from collections.abc import Callable
from dataclasses import replace

from daemon import __version__
from daemon.core import copies, regular_files
from daemon.core.errors import InboxdError
from daemon.core.job import Job, JobState
from daemon.core.journald import about
from daemon.files.originals import ERROR_DOCUMENTS, original_folder, path_within
from daemon.files.taken import OriginalGone
from daemon.publishing import original_changes, preparation, result_documents
from daemon.publishing.completion import Completion
from daemon.publishing.job_retrier import JobRetrier
from daemon.publishing.park_reasons import CANCELLING, INTERNAL_ERROR
from daemon.publishing.shared import Shared
from processors import contract

log = logging.getLogger(__name__)

_BY_COMMAND = ("cancelled", "Cancelled on request.")


class FailurePublisher:
    """Called by the main thread only."""

    def __init__(self, shared: Shared, completion: Completion, job_retrier: JobRetrier):
        self._store, self._folders, self._disk_retry = shared.store, shared.folders, shared.disk_retry
        self._preparations, self._is_busy_with = shared.preparations, shared.is_busy_with
        self._completion = completion
        self._job_retrier = job_retrier

    def cancel(self, job: Job) -> None:
        """See `Publisher.cancel`."""
        self.give_up(job, *_BY_COMMAND)

    def cancel_now(self, job: Job, again: Callable[[], object]) -> None:
        """See `Publisher.cancel_now`."""
        if not self._is_busy_with(job.id):
            self._give_up(job, *_BY_COMMAND, again)
            if self._is_busy_with(job.id):  # until then it does not start, not even after a restart
                self._store.park([job.id], CANCELLING)

    def give_up(self, job: Job, kind: str, message: str) -> None:
        """See `Publisher.give_up`."""
        if self._is_busy_with(job.id):  # the background ends the job in another way
            return

        def step() -> None:
            try:
                self._give_up(job, kind, message, again)
            except (OSError, InboxdError):  # for `disk_retry`
                raise
            except Exception as error:  # error boundary: one job
                self._park(job, error)

        def again() -> None:
            self._disk_retry.run(f"failure of {job.path} ({job.id})", step)

        again()

    def _park(self, job: Job, error: Exception) -> None:
        log.error("%s %s: cannot give it up", job.id[:8], job.path, exc_info=error, extra=about(job))
        self._preparations.forget(job.id)
        if job.state is JobState.RUNNING:
            outcome = contract.FailureKind.ERROR
            self._store.requeue(job, outcome=outcome, detail=INTERNAL_ERROR, waiting_for=INTERNAL_ERROR)
        else:
            self._store.park([job.id], INTERNAL_ERROR)

    def _give_up(self, job: Job, kind: str, message: str, again: Callable[[], object]) -> None:
        if not self._completion.may_end(job):
            return
        try:
            self._publish_failure(job, kind, message, again)
        except copies.CopyDiffers:
            if not self._preparations.note_altered(job.id):
                raise
            again()

    def _publish_failure(self, job: Job, kind: str, message: str, again: Callable[[], object]) -> None:
        """Stage and publish a failure.

        Raises:
            CopyDiffers: the original does not match its checksum.
        """
        cancelled = kind == "cancelled"
        try:
            original = self._folders.original(job.id, job.path)
        except OriginalGone:
            original = None
            self._folders.taken.put_back(job.id)  # return whatever else is in its folder
        self._job_retrier.withdraw_now(job.id)
        changes = original_changes.changes(job, original)
        if original is not None and self._preparations.is_altered(job.id):
            changes = original_changes.facts(original)
        job = replace(job, **changes)
        if job.id not in self._preparations:
            self._folders.outbox.prepare_attempt(job)
        if original is not None:
            self._folders.outbox.discard_archived(job)
        place = original_folder(original, ERROR_DOCUMENTS) if original else "."
        home = self._folders.outbox.staging / job.staging_name() / place
        # retrying a cancelled job computes its checksum
        if original and not self._preparations.is_ready(job, original, home, again, needs_sha256=not cancelled):
            return
        if original is not None and job.sha256 is None:  # the content changed, or the checksum was never computed
            changes["sha256"] = self._preparations.sha256(job.id)
            if changes["sha256"] is None and not cancelled:
                changes["sha256"] = regular_files.sha256_of(original.path, at_most=preparation.INLINE_BYTES)
            job = replace(job, **changes)
        where = {"path": path_within(place, original)} if original else None
        documents = {
            "error.txt": result_documents.error_txt(job, kind, message, has_original=original is not None),
            "error.json": result_documents.error_json(job, kind, message, original=where, version=__version__),
        }
        self._folders.outbox.stage(job, original, place, documents, is_placed=job.id in self._preparations)
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
            self._completion.complete(publishing)
