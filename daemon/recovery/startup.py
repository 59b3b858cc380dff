"""Reconciles folders and rows at the start, whatever instant the last run ended at.

Files show what exists, rows show how far it got. Each job is recovered separately: a failure stops neither the others
nor the start. If a disk is the reason, `storage` retries. A taken file that cannot be recorded goes back to the inbox;
one that can neither continue nor go back is logged, shown by `inboxd status`, and left as it is.
"""

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from daemon.core import durable
from daemon.core.errors import InboxdError
from daemon.core.job import Job, JobState
from daemon.core.names import printable, printable_path
from daemon.files.disk_retry import Storage, describe
from daemon.files.inbox import OriginalGone
from daemon.files.layout import Folders
from daemon.intake.filetype import sniff
from daemon.intake.intake import Intake
from daemon.publishing.publisher import Publishing
from daemon.queue.store import Store
from daemon.recovery import unplaced
from daemon.scheduling import retry

log = logging.getLogger(__name__)

_UNEXPECTED = "Internal error during recovery (see the log). inboxd retries at the next start."


@dataclass(kw_only=True)
class Report:
    """What was found and done."""

    adopted: int = 0  # taken files that had no row
    requeued: int = 0  # jobs that were running
    published: int = 0  # jobs whose publishing was completed
    swept: int = 0  # left-overs of jobs that had ended
    returned: int = 0  # originals returned to the inbox: of jobs given up without them, or that cannot be recorded
    unmended: int = 0  # could not be mended; see the log

    def __str__(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in vars(self).items() if count) or "nothing to do"


class Recovery:
    """One pass over .taken, the open rows and the staging folder, before anything else happens."""

    def __init__(self, store: Store, folders: Folders, storage: Storage, publishing: Publishing, intake: Intake):
        self._store = store
        self._folders = folders
        self._storage = storage
        self._publishing = publishing
        self._intake = intake
        self._report = Report()
        self._unplaced: dict[str, str] = {}  # by job, why its recovery failed

    def run(self) -> Report:
        open_jobs = {job.id: job for job in self._store.open_jobs()}
        taken = set(self._folders.inbox.taken_ids())
        for job_id in sorted(taken - set(open_jobs)):
            self._each(job_id, self._sweep_or_adopt, job_id)
        for job in open_jobs.values():
            if job.state is JobState.QUEUED and job.id in taken and job.sha256 and job.result_path is None:
                continue  # it waits as it should; asking again for each of very many would keep the start waiting
            self._each(job.id, self._mend, job, job.id in taken)
        self._sweep_staging()
        self._sweep_kept()
        self._storage.sweep()
        self._record_unplaced()
        if self._report != Report():
            log.warning("recovered after an unclean end: %s", self._report)
        return self._report

    def _each(self, job_id: str, mend: Callable[..., None], *arguments: object) -> None:
        def step() -> None:
            try:
                mend(*arguments)
            except (OSError, InboxdError):  # for `storage`
                raise
            except Exception as error:  # error boundary: one job
                give_up(error)

        def give_up(error: Exception) -> None:
            log.error("%s could not be recovered", job_id[:8], exc_info=error)
            if self._is_given_back(job_id):
                return
            self._report.unmended += 1
            if (self._folders.inbox.taken / job_id).is_dir() or mend == self._mend:  # else no user's file is affected
                self._tell(job_id, describe(error) if isinstance(error, OSError) else _UNEXPECTED)

        self._storage.make(f"recovery of {job_id} ({mend.__name__})", step, hopeless=give_up)

    def _is_given_back(self, job_id: str) -> bool:
        """Return a taken file that cannot be recorded to the inbox, for `intake` to examine like any other file."""
        try:
            if not (self._folders.inbox.taken / job_id).is_dir() or self._store.get(job_id) is not None:
                return False
            self._folders.inbox.put_back(job_id)
        except InboxdError:
            raise
        except Exception as error:  # error boundary of one file
            log.error("%s cannot be returned to the inbox either", job_id[:8], exc_info=error)
            return False
        log.warning("%s returned to the inbox", job_id[:8])
        self._report.returned += 1
        return True

    def _tell(self, job_id: str, why: str) -> None:
        """Report a stuck job or taken file in `status`, and in `verify` after this process has ended."""
        files = [".taken/" + job_id]
        with contextlib.suppress(Exception):  # the name is a courtesy, never worth another failure
            job = self._store.get(job_id)
            home = self._folders.inbox.taken / job_id
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
        """A folder in .taken without an open row: its job has ended, or it was never recorded."""
        job = self._store.get(job_id)
        if job is not None and not job.state.is_final:
            return  # a second try of this: the first recorded it, or it was queued again meanwhile
        if job is not None and self._folders.outbox.lacks_original(job):
            self._folders.inbox.put_back(job_id)  # it was away when the job was given up: nobody else has it
            self._report.returned += 1
            return
        if job is not None:
            self._folders.inbox.release(job_id)  # it ended: its original was published before
            self._report.swept += 1
            return
        self._folders.inbox.finish_take(job_id)
        try:
            original = self._folders.original(job_id)
            entry = self._folders.inbox.look(original.path)
        except OriginalGone:
            entry = None
        if entry is None:  # the rename of the drop itself never came: whatever is here goes back
            self._folders.inbox.put_back(job_id)
            return
        self._folders.inbox.fsync_taken([job_id], [])
        with self._folders.inbox.opened(original.path.parent) as folder:
            content = sniff(original.path, folder)
        self._intake.adopt(job_id, entry, content)
        self._report.adopted += 1

    def _mend(self, job: Job, is_taken: bool) -> None:
        if self._store.get(job.id) != job:
            return  # a second try of this, and the first came far enough for the job to go on
        match job.state:
            case JobState.PUBLISHING:
                self._publishing.complete(job)
                self._report.published += 1
                return
            case JobState.RUNNING:
                job = self._interrupted(job)
                self._report.requeued += 1
        if job is None or job.state is not JobState.QUEUED:
            return
        if job.result_path is not None:  # a retry that was cut short after its commit
            self._publishing.withdraw(job)
        if not is_taken:
            self._publishing.give_up(job, "error", "The file was removed from inbox/.taken while it waited there.")
        elif job.sha256 is None:
            self._check_size(job)

    def _check_size(self, job: Job) -> None:
        """A large file is made durable after its row: a power cut may have kept the row and not all of the file."""
        try:
            size = self._folders.original(job.id).path.stat().st_size
        except OriginalGone as error:
            self._publishing.give_up(job, "error", f"The file was removed from inbox/.taken: {error}.")
            return
        if size == job.size_bytes:
            self._intake.hash_missing([job])
            return
        message = (
            f"Only {size} of {job.size_bytes} bytes are left: the power failed before the file was safely on disk."
        )
        self._publishing.give_up(job, "error", f"{message} Drop it again.")

    def _interrupted(self, job: Job) -> Job | None:
        """running -> queued, not charged; but one that was there at too many ends may be what causes them."""
        queued = self._store.requeue(job, outcome="interrupted", interruptions=job.interruptions + 1)
        if queued is not None and retry.is_quarantined(queued):
            self._publishing.give_up(
                queued,
                "crashed",
                f"inboxd ended uncleanly {queued.interruptions} times in a row while this was processed: set aside.",
            )
            return None
        return queued

    def _sweep_staging(self) -> None:
        """Remove what attempts left that will never be published."""
        for job_id in {name.split(".")[0] for name in self._folders.outbox.attempts()}:
            job = self._store.get(job_id)
            if job is None or job.state is not JobState.PUBLISHING:
                self._each(job_id, self._folders.outbox.discard_attempts, job_id)

    def _sweep_kept(self) -> None:
        """Remove what processors kept of jobs that have ended."""
        kept = self._folders.kept
        for path in kept.iterdir() if kept.is_dir() else ():
            job = self._store.get(path.name)
            if job is None or job.state.is_final:
                self._each(path.name, durable.remove_tree, path)
