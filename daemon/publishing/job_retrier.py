"""Queues failed jobs again: fetches the original back from outbox/failed, then removes the failure's folder there."""

import functools
import logging
from collections.abc import Callable
from dataclasses import replace

from daemon.core.background import Background
from daemon.core.errors import StartOver, StorageError
from daemon.core.job import Job, JobState
from daemon.core.journald import about
from daemon.files.disk_retry import DiskRetry
from daemon.files.folders import Folders
from daemon.publishing import preparation
from daemon.queue.store import Store

log = logging.getLogger(__name__)


class JobRetrier:
    """Called by the main thread only. `release` removes the taken files of a job that has ended."""

    def __init__(
        self,
        store: Store,
        folders: Folders,
        disk_retry: DiskRetry,
        background: Background,
        *,
        release: Callable[[str], None],
    ):
        self._store = store
        self._folders = folders
        self._disk_retry = disk_retry
        self._background = background
        self._release = release
        self._fetching: set[str] = set()  # jobs whose large originals are being fetched back

    def is_busy_with(self, job_id: str) -> bool:
        """True while the background fetches this job's original back."""
        return job_id in self._fetching

    def retry(self, job: Job, then: Callable[[Job], None]) -> None:
        """See `Publisher.retry`."""
        if job.size_bytes <= preparation.INLINE_BYTES:
            try:
                sha256 = self._folders.fetch_back(job)
                self._reopen(replace(job, sha256=sha256), then)
            except (OSError, StorageError):
                self._release_later(job)
                raise
            return

        def fetched(outcome: str | Exception) -> None:
            self._fetching.discard(job.id)
            try:
                if isinstance(outcome, Exception):
                    raise outcome
                self._reopen(replace(job, sha256=outcome), then)
            except StartOver:
                raise
            except Exception as error:  # error boundary: one job
                log.error("%s %s cannot be retried: %s", job.id[:8], job.path, error, extra=about(job))
                self._release_later(job)

        self._fetching.add(job.id)
        try:
            fetch = functools.partial(self._folders.fetch_back, job)
            self._background.run(fetch, fetched, size_bytes=job.size_bytes)
        except OSError:
            self._fetching.discard(job.id)
            raise

    def _reopen(self, job: Job, then: Callable[[Job], None]) -> None:
        queued = self._store.reopen(job)
        self.withdraw(queued)
        then(self._store.get(job.id) or queued)

    def _release_later(self, job: Job) -> None:
        step = functools.partial(self._release, job.id)
        self._disk_retry.run(f"removal of inbox/.taken/{job.id}", step, must_end=True)

    def withdraw(self, job: Job) -> None:
        """The second half of a retry, which recovery repeats: remove the folder below outbox/failed. The job does not
        start before that is done: otherwise its original could be published a second time."""
        key = f"withdrawal of outbox/{job.result_path} ({job.id})"
        self._disk_retry.run(key, functools.partial(self.withdraw_now, job.id), must_end=True)

    def withdraw_now(self, job_id: str) -> None:
        """Withdraw the failure of a job that is queued again; nothing happens if there is none.

        Raises:
            OSError, StorageError: it cannot be done now.
        """
        job = self._store.get(job_id)
        if job is None or job.state is not JobState.QUEUED or job.result_path is None:
            return
        self._folders.outbox.withdraw(job.result_path)
        self._store.forget_result(job)
