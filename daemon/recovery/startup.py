"""Reconciles folders and rows at the start, whenever the last run was killed.

Files show what exists, rows show how far it got. Each job is recovered separately: a failure affects neither the others
nor the start. If a disk is the reason, `disk_retry` retries. A taken file that cannot be recorded returns to the inbox;
one that can neither be recorded nor returned is logged, shown by `inboxd status`, and left unchanged.
"""

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from daemon.core import durable
from daemon.core.errors import InboxdError
from daemon.core.job import Job, JobState
from daemon.core.journald import about
from daemon.core.names import printable, printable_path
from daemon.files.disk_retry import DiskRetry, describe
from daemon.files.folders import Folders
from daemon.files.taken import OriginalGone
from daemon.intake.filetype import sniff
from daemon.intake.intake import Intake
from daemon.publishing.park_reasons import CANCELLING, LOST
from daemon.publishing.publisher import Publisher
from daemon.queue.store import Store
from daemon.recovery import unplaced
from daemon.scheduling import retry

log = logging.getLogger(__name__)

_UNEXPECTED = "Internal error during recovery (see the log). inboxd retries at the next start."


@dataclass(kw_only=True)
class Report:
    """A report of what the recovery found and did."""

    adopted: int = 0  # taken files that had no row
    requeued: int = 0  # jobs that were running
    published: int = 0  # jobs whose publishing was completed
    swept: int = 0  # leftovers of jobs that had ended
    returned: int = 0  # originals returned to the inbox: of jobs that failed without them, or that cannot be recorded
    lost: int = 0  # jobs that wait for their files, because .taken was renamed
    unrecovered: int = 0  # could not be recovered; see the log

    def __str__(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in vars(self).items() if count) or "nothing to do"


class Recovery:
    """One pass over .taken, the open rows and the staging folder, before anything else."""

    def __init__(self, store: Store, folders: Folders, disk_retry: DiskRetry, publishing: Publisher, intake: Intake):
        self._store = store
        self._folders = folders
        self._disk_retry = disk_retry
        self._publishing = publishing
        self._intake = intake
        self._report = Report()
        self._unplaced: dict[str, str] = {}  # by job, why its recovery failed

    def run(self) -> Report:
        open_jobs = {job.id: job for job in self._store.open_jobs()}
        taken = set(self._folders.taken.job_ids())
        for job_id in sorted(taken - set(open_jobs)):
            self._each(job_id, self._sweep_or_adopt, job_id)
        for job in open_jobs.values():
            if job.id in taken and _may_start(job):
                continue  # it waits correctly; one more query for each of very many jobs would delay the start
            self._each(job.id, self._recover, job, job.id in taken)
        self._sweep_staging()
        self._sweep_checkpoints()
        self._disk_retry.sweep()
        self._record_unplaced()
        if self._report != Report():
            log.warning("recovered after an unclean shutdown: %s", self._report)
        return self._report

    def _each(self, job_id: str, recover: Callable[..., None], *arguments: object) -> None:
        def step() -> None:
            try:
                recover(*arguments)
            except (OSError, InboxdError):  # for `disk_retry`
                raise
            except Exception as error:  # error boundary: one job
                give_up(error)

        def give_up(error: Exception) -> None:
            log.error("%s could not be recovered", job_id[:8], exc_info=error)
            if self._is_given_back(job_id):
                return
            self._report.unrecovered += 1
            is_about_a_file = job_id in self._folders.taken.job_ids() or recover == self._recover
            if is_about_a_file:
                self._record_failure(job_id, describe(error) if isinstance(error, OSError) else _UNEXPECTED)

        self._disk_retry.run(f"recovery of {job_id} ({recover.__name__})", step, on_give_up=give_up)

    def _is_given_back(self, job_id: str) -> bool:
        """Return a taken file that cannot be recorded to the inbox, for `intake` to examine like any other file."""
        try:
            if not self._folders.taken.has(job_id) or self._store.get(job_id) is not None:
                return False
            self._folders.taken.put_back(job_id)
        except InboxdError:
            raise
        except Exception as error:  # error boundary of one file
            log.error("%s cannot be returned to the inbox either", job_id[:8], exc_info=error)
            return False
        log.warning("%s returned to the inbox", job_id[:8])
        self._report.returned += 1
        return True

    def _record_failure(self, job_id: str, why: str) -> None:
        """Report a job or taken file that cannot be recovered in `status`, and in `verify` after this process has
        ended."""
        files = [".taken/" + job_id]
        with contextlib.suppress(Exception):  # the names are only information, and no reason for another failure
            job = self._store.get(job_id)
            home = self._folders.taken.path / job_id
            taken = [f".taken/{path.relative_to(home.parent)}" for path in home.rglob("*") if path.is_file()]
            files = [job.path] if job else [printable_path(path) for path in taken] or files
        self._unplaced[job_id] = why = printable(why)
        self._intake.unplaced.update(dict.fromkeys(files, why))
        self._record_unplaced()

    def _record_unplaced(self) -> None:
        try:
            unplaced.write(self._folders.state, self._unplaced)
        except OSError as error:
            log.error("cannot write unplaced.json: %s", error)

    def _sweep_or_adopt(self, job_id: str) -> None:
        """Handle a folder in .taken without an open row: its job has ended, or it was never recorded."""
        job = self._store.get(job_id)
        if job is not None and not job.state.is_final:
            return  # this is a retry: the first try recorded the job, or it was queued again in the meantime
        self._folders.submitted.finish_take(job_id)
        if job is not None and self._folders.outbox.lacks_original(job):
            # the file was unavailable when the job failed, so this is the only copy
            self._folders.taken.put_back(job_id)
            self._report.returned += 1
            return
        if job is not None:
            self._folders.taken.release(job_id)  # it ended: its original was published before
            self._report.swept += 1
            return
        self._folders.taken.finish_take(job_id)
        try:
            original = self._folders.original(job_id, "")  # without a row, its path is not known
            entry = self._folders.inbox.entry(original.path)
        except OriginalGone:
            entry = None
        if entry is None:  # the file itself was not renamed: everything here returns
            self._folders.taken.put_back(job_id)
            return
        self._folders.taken.fsync([job_id], [])
        with self._folders.inbox.opened(original.path.parent) as folder:
            content = sniff(original.path, folder)
        self._intake.adopt(job_id, entry, content)
        self._report.adopted += 1

    def _recover(self, job: Job, is_taken: bool) -> None:
        if self._store.get(job.id) != job:
            return  # this is a retry, and the first try did enough for the job to continue
        match job.state:
            case JobState.PUBLISHING:
                self._publishing.complete(job)
                self._report.published += 1
                return
            case JobState.RUNNING:
                queued = self._interrupted(job)
                self._report.requeued += 1
                if queued is None:
                    return
                job = queued
        if job.state is not JobState.QUEUED:
            return
        if job.result_path is not None:  # a retry by command that was interrupted after its commit
            self._publishing.withdraw(job)
        if job.waiting_for == CANCELLING:
            self._publishing.cancel(job)
        elif not is_taken and (self._folders.is_taken_lost or job.waiting_for == LOST):
            self._store.park([job.id], LOST)
            self._report.lost += 1
        elif not is_taken:
            self._publishing.give_up(job, "error", "The file was removed from inbox/.taken while it was queued.")
        else:
            self._resume(job)

    def _resume(self, job: Job) -> None:
        """Let a job start whose file is in .taken."""
        if job.waiting_for == LOST:
            self._store.park([job.id], None)
            log.warning("%s %s: its file is back", job.id[:8], job.path, extra=about(job))
        if job.sha256 is None:
            self._check_size(job)

    def find_lost(self) -> None:
        """Look again for the files of jobs that wait because `.taken` was renamed."""
        lost = self._store.waiting_for(LOST)
        if not lost:
            return
        self._folders.reclaim()
        taken = set(self._folders.taken.job_ids())
        for job in lost:
            if job.id in taken:
                self._each(job.id, self._resume, job)

    def _check_size(self, job: Job) -> None:
        """Check a large file, which is made durable after its row: a power cut may have preserved only the row."""
        try:
            size = self._folders.original(job.id, job.path).path.stat().st_size
        except OriginalGone as error:
            self._publishing.give_up(job, "error", f"The file was removed from inbox/.taken: {error}.")
            return
        if size == job.size_bytes:
            self._intake.hash_missing([job])
            return
        message = f"Only {size} of {job.size_bytes} bytes remain: the power failed before all of them were on disk."
        self._publishing.give_up(job, "error", f"{message} Submit it again.")

    def _interrupted(self, job: Job) -> Job | None:
        """Queue an interrupted job again, uncharged; give it up if it was running at too many crashes, because it may
        be their cause."""
        queued = self._store.requeue(job, outcome="interrupted", interruptions=job.interruptions + 1)
        if queued is not None and retry.is_quarantined(queued):
            self._publishing.give_up(
                queued,
                "crashed",
                f"inboxd crashed or was killed {queued.interruptions} times in a row while it processed this file.",
            )
            return None
        return queued

    def _sweep_staging(self) -> None:
        """Remove staging folders that will never be published."""
        for job_id in {name.split(".")[0] for name in self._folders.outbox.attempts()}:
            job = self._store.get(job_id)
            if job is None or job.state is not JobState.PUBLISHING:
                self._each(job_id, self._folders.outbox.discard_attempts, job_id)

    def _sweep_checkpoints(self) -> None:
        """Remove the checkpoints of jobs that have ended."""
        checkpoints = self._folders.checkpoints
        for path in checkpoints.iterdir() if checkpoints.is_dir() else ():
            job = self._store.get(path.name)
            if job is None or job.state.is_final:
                self._each(path.name, durable.remove_tree, path)


def _may_start(job: Job) -> bool:
    """True if nothing must be done before a job can start."""
    is_complete = job.sha256 is not None and job.result_path is None and job.waiting_for not in (CANCELLING, LOST)
    return job.state is JobState.QUEUED and is_complete
