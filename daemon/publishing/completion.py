"""The last steps of a job, once its intent is committed: publish by one rename, commit the end, remove the original."""

import functools
import logging
from collections.abc import Sequence

from daemon.core import durable
from daemon.core.job import Job, JobState
from daemon.core.journald import about
from daemon.files import flat
from daemon.publishing.shared import Shared

log = logging.getLogger(__name__)


class Completion:
    """Called by the main thread only."""

    def __init__(self, shared: Shared):
        self._store, self._folders, self._disk_retry = shared.store, shared.folders, shared.disk_retry
        self._preparations, self._is_busy_with = shared.preparations, shared.is_busy_with

    def may_end(self, job: Job) -> bool:
        """Check that this attempt still holds its job; if its intent is committed already, complete it. The commit of
        the intent is the fence; this avoids work for a stale outcome, and protects the staging folder of a later
        attempt."""
        current = self._store.get(job.id)
        if current is None or (current.attempt, current.lease) != (job.attempt, job.lease) or current.state.is_final:
            late = "%s %s: the outcome of attempt %d came too late"
            log.warning(late, job.id[:8], job.path, job.attempt, extra=about(job))
            self._preparations.forget(job.id)
            if current is not None and current.attempt == job.attempt:
                self._release_ended(current)
            return False
        if current.state is JobState.PUBLISHING:  # an error hid that the intent was committed
            self.complete(current)
            return False
        return True

    def complete(self, job: Job) -> None:
        """See `Publisher.complete`."""
        self._preparations.forget(job.id)
        step = functools.partial(self._complete, job.id)
        self._disk_retry.run(f"publishing of {job.path} ({job.id})", step, must_end=True)

    def _complete(self, job_id: str) -> None:
        job = self._store.get(job_id)  # with the path that an earlier try may have assigned to it
        if job is None or job.state is not JobState.PUBLISHING:
            self._release_ended(job)
            return
        job = self._rename(job)
        self._folders.outbox.fsync_results(job.result_path)  # a run that was killed before this may have renamed it
        done = self._store.finish(job)  # publish before finish: each row in state done has its result
        level = logging.INFO if done.state is JobState.DONE else logging.WARNING
        what = done.error or done.result_path
        log.log(level, "%s %s: %s: %s", done.id[:8], done.path, done.state, what, extra=about(done))
        self.release_later([job_id])

    def _rename(self, job: Job) -> Job:
        while self._folders.outbox.is_staged(job):
            try:
                self._folders.outbox.publish(job)
            except (FileExistsError, NotADirectoryError):  # something else now has the result's name, or its folder's
                is_flat, failed = flat.is_flat(job.result_path or ""), job.outcome is not JobState.DONE
                free = self._folders.outbox.free_result_path(job, failed=failed, is_flat=is_flat)
                job = self._store.rename_intent(job, free)
        return job

    def _release_ended(self, job: Job | None) -> None:
        """Release a job whose end was committed although an error was reported."""
        if job is not None and job.state.is_final and not self._is_busy_with(job.id):
            self.release_later([job.id])

    def release_later(self, job_ids: Sequence[str]) -> None:
        others = f" and {len(job_ids) - 1} more" if len(job_ids) > 1 else ""
        step = functools.partial(self.release, *job_ids)
        self._disk_retry.run(f"removal of inbox/.taken/{job_ids[0]}{others}", step, must_end=True)

    def release(self, *job_ids: str) -> None:
        """Remove the taken originals of jobs that have ended, their staging folders and their checkpoints. A job that
        was queued again in the meantime stays unchanged, because its original is the only copy."""
        still_open = self._store.still_open(job_ids)
        ended = [job_id for job_id in job_ids if job_id not in still_open]
        self._folders.taken.release(*ended)
        self._folders.outbox.discard_attempts(*ended)
        for job_id in ended:
            durable.remove_tree(self._folders.checkpoints / job_id)
