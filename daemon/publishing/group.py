"""Publishes several results together, which share their commits and most of their fsyncs.

Each part is complete for all results before the next part begins for any: stage all; make all durable; commit all
intents; rename all; fsync the folders they were renamed into; commit all ends; remove all originals. The order is
therefore, for each single result, that of `publisher`, and a crash leaves each job in a state that `recovery` knows.

A result that needs more than that (sidecars, an archived or altered original, a large copy, the flat folders), or on
which a part fails, leaves the group: it is returned, and the caller publishes it alone, continuing from the step that
it has reached.
"""

import logging
from collections.abc import Callable, Sequence

from daemon import __version__
from daemon.config.current import CurrentSettings
from daemon.core import parallel
from daemon.core.errors import InboxdError, StorageError
from daemon.core.job import Job, JobState, Original
from daemon.core.journald import about
from daemon.files.folders import Folders
from daemon.files.originals import RESULT, original_folder, path_within
from daemon.publishing import result_documents
from daemon.publishing.finished_attempt import FinishedAttempt
from daemon.publishing.original_changes import changes
from daemon.queue.store import Store

log = logging.getLogger(__name__)


class GroupPublisher:
    """Called by the main thread only.

    may_join: decides whether a job's original is free, and can be linked or copied quickly.
    release: removes the originals of jobs that have ended, as soon as the disks allow.
    """

    def __init__(
        self,
        settings: CurrentSettings,
        store: Store,
        folders: Folders,
        *,
        may_join: Callable[[Job, Original], bool],
        release: Callable[[Sequence[str]], None],
    ):
        self._settings = settings
        self._store = store
        self._folders = folders
        self._may_join = may_join
        self._release = release

    def publish(self, results: Sequence[FinishedAttempt]) -> list[FinishedAttempt]:
        """Publish results up to `done`; return those that must be published alone.

        Raises:
            StartOver: the daemon's files were replaced.
        """
        done: set[str] = set()
        try:
            done = self._publish(results)
        except (OSError, StorageError):
            log.debug("%d results cannot be published together", len(results), exc_info=True)
        except InboxdError:
            raise
        except Exception:  # error boundary: the group; the jobs have their own
            log.exception("%d results cannot be published together", len(results))
        return [result for result in results if result.job.id not in done]

    def _publish(self, results: Sequence[FinishedAttempt]) -> set[str]:
        """Return the ids of the jobs that have ended."""
        staged = self._stage(results)
        if not staged:
            return set()
        self._folders.outbox.fsync_staging()
        published = [job for job in self._store.intend_results(self._name(staged)) if self._rename(job)]
        if not published:
            return set()
        self._folders.outbox.fsync_results(*(job.result_path for job in published))
        ended = self._store.finish_results(published)
        for job in ended:
            log.info("%s %s: %s: %s", job.id[:8], job.path, job.state, job.result_path, extra=about(job))
        ids = [job.id for job in ended]
        self._release(ids)
        return set(ids)

    def _stage(self, results: Sequence[FinishedAttempt]) -> list[FinishedAttempt]:
        """Stage results; return those that are durable."""
        running = {job.id for job in self._store.held([result.job for result in results], JobState.RUNNING)}
        staged, make_durable = [], []
        try:
            for result in results:
                if result.job.id in running and (step := self._try_to_stage(result)) is not None:
                    make_durable.append(step)
                    staged.append(result)
        finally:
            errors = parallel.run_all(make_durable)  # in any case, because it also closes the files that they hold open
        return [result for result, error in zip(staged, errors, strict=True) if error is None]

    def _try_to_stage(self, result: FinishedAttempt) -> Callable[[], None] | None:
        """Stage one result, and return the step that makes it durable; None: it must be published alone."""
        try:
            return self._stage_one(result)
        except InboxdError:
            raise
        except Exception:  # error boundary: one job; its own attempt reports the error
            log.debug("%s %s leaves its group", result.job.id[:8], result.job.path, exc_info=True)
            return None

    def _stage_one(self, result: FinishedAttempt) -> Callable[[], None] | None:
        job, outbox = result.job, self._folders.outbox
        folder = self._settings.value.folder(job.folder)
        if folder.layout == "flat":
            return None
        policy = folder.originals
        original = self._folders.taken.original(job.id)
        if policy == "archive" or outbox.has_archived(job) or original.sidecars:
            return None
        if changes(job, original) or not self._may_join(job, original):
            return None
        if not all(outbox.has_output(job, file["name"], file["size_bytes"]) for file in result.finished.files):
            return None
        place = original_folder(original, [*(file["name"] for file in result.finished.files), RESULT])
        is_kept = policy == "keep"
        document = result_documents.result_json(
            job,
            result.finished,
            run_seconds=result.run_seconds,
            original={"policy": policy, "path": path_within(place, original) if is_kept else None},
            **result.made_by,
            version=__version__,
        )
        return outbox.stage_unsynced(job, original if is_kept else None, place, document)

    def _name(self, results: Sequence[FinishedAttempt]) -> list[Job]:
        """The jobs of the results with a free path for each."""
        reserved: list[str] = []
        for result in results:
            reserved.append(self._folders.outbox.free_result_path(result.job, failed=False, reserved=reserved))
        return [
            result.job.changed(result_path=path, **result.facts) for result, path in zip(results, reserved, strict=True)
        ]

    def _rename(self, job: Job) -> bool:
        try:
            self._folders.outbox.publish(job)
        except OSError:
            log.debug("%s %s leaves its group", job.id[:8], job.path, exc_info=True)
            return False
        return True
