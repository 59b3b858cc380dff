"""Takes complete files out of the inbox and records them in the queue.

The claimer first moves files to .taken, and then records many of them in one transaction. A crash between the two steps
leaves a taken file without a row; `recovery` records that file. A file that cannot be described or recorded returns to
the inbox.
"""

import functools
import logging
import time
from pathlib import Path

from daemon.core import regular_files
from daemon.core.errors import InboxdError
from daemon.core.job import Entry, Job
from daemon.core.journald import about
from daemon.core.names import printable
from daemon.files.disk_retry import DiskRetry, describe
from daemon.files.folders import Folders
from daemon.files.taken import OriginalGone
from daemon.intake.describer import Describer
from daemon.intake.filetype import sniff
from daemon.intake.hasher import Checksums
from daemon.intake.pending_files import UNEXPECTED, PendingFiles, Ready
from daemon.queue.store import Store, new_id
from daemon.telemetry.histogram import Histogram

log = logging.getLogger(__name__)

_TAKE_AT_ONCE = 256  # maximum files in one transaction: 15 times as many per second as one by one
_TAKE_BYTES = 64 * 2**20  # per transaction: these bytes are synced first, and a slow disk must not block the loop
_TAKE_SECONDS = 0.25  # per call, so that a flood of files does not keep the main loop from other work
_RECORD_SECONDS = 0.5  # per transaction, for its fsyncs: after a slower one, the next group has half as many files
_DESCRIBE_SECONDS = 0.5  # per transaction: options files may take long to read
_CLAIM_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)  # seconds


class Claimer:
    """Takes the pending files that are complete. Called by the main thread only; `now` is monotonic seconds."""

    def __init__(
        self,
        store: Store,
        folders: Folders,
        disk_retry: DiskRetry,
        files: PendingFiles,
        describer: Describer,
        checksums: Checksums,
    ):
        self._store = store
        self._inbox = folders.inbox
        self._taken = folders.taken
        self._disk_retry = disk_retry
        self._files = files
        self._describer = describer
        self._checksums = checksums
        self._group = _TAKE_AT_ONCE  # files in the next transaction
        self.claims = Histogram(bounds=_CLAIM_BOUNDS)  # seconds from a file's last change until it is taken

    @property
    def can_take(self) -> bool:
        """True if complete files are waiting and the disks allow taking them."""
        return self._files.has_ready and self._disk_retry.can_take

    def take_ready(self, now: float) -> int:
        """Take complete files for a limited time; return how many were taken."""
        taken, started = 0, time.monotonic()
        while self.can_take:
            taken += self._take_group(self._files.first_ready(min(self._group, _TAKE_AT_ONCE)), now)
            if time.monotonic() - started >= _TAKE_SECONDS:
                break
        return taken

    def record(self, jobs: list[Job], *, event: str = "queued") -> None:
        """Insert taken files into the queue, and request the checksums of the large ones."""
        self._store.insert(jobs, event=event)
        for job in jobs:
            recipe = job.recipe or "no recipe"
            log.info("%s %s: taken (%s, %s)", job.id[:8], job.path, job.media_type, recipe, extra=about(job))
        self.hash_missing(jobs)

    def record_submitted(self, job: Job, entry: Entry, source: Path) -> None:
        """Record a file that was submitted and moved to .taken, now or as soon as the disks allow.

        source: the folder that it came from. entry: the file; its path is the one in the inbox to which the file
        returns if it cannot be recorded.
        """
        self.claims.observe(max(0.0, time.time() - entry.ctime_ns / 1e9))
        step = functools.partial(self._make_one_durable, job, entry, source)
        self._disk_retry.run(f"record {job.id}", step, on_give_up=functools.partial(self._reject, job, entry))

    def return_taken(self, job_id: str, path: Path) -> None:
        """Return a taken file that has no row to `path`, now or as soon as possible."""
        self._files.returning(path)
        self._disk_retry.run(f"return of {job_id}", functools.partial(self._put_back, job_id, path))

    def hash_missing(self, jobs: list[Job]) -> None:
        """Request the checksums of the originals of jobs that have none."""
        for job in jobs:
            if job.sha256 is None:
                self._checksums.request(job.id, self._original(job))

    def _original(self, job: Job) -> Path:
        try:
            return self._taken.original(job.id).path
        except OriginalGone:  # the hasher reports it
            return self._taken.path / job.id

    # ---------------------------------------------------------------------------------------- take

    def _take_group(self, ready: list[Ready], now: float) -> int:
        taken: list[tuple[Job, Entry]] = []
        started, left_bytes = time.monotonic(), _TAKE_BYTES
        for number, each in enumerate(ready):
            if number and (time.monotonic() - started >= _DESCRIBE_SECONDS or left_bytes <= 0):
                break
            entry = each.entry
            with self._inbox.holding():
                job = self._take_or_leave(entry, now) if self._files.claim(each, now) else None
            if job is not None:
                self.claims.observe(max(0.0, time.time() - entry.ctime_ns / 1e9))
                self._files.forget(entry.path)
                taken.append((job, entry))
                left_bytes -= min(entry.size_bytes, regular_files.HASH_INLINE_BYTES)
        if taken:
            step = functools.partial(self._make_durable, taken)
            self._disk_retry.run(f"record {taken[0][0].id}", step, on_give_up=lambda _: self._make_each_durable(taken))
        return len(taken)

    def _take_or_leave(self, entry: Entry, now: float) -> Job | None:
        """Take a file and return its row; None: the file stays in the inbox."""
        try:
            return self._take_one(entry.path, now)
        except FileNotFoundError:
            self._files.check_again(entry.path, now)  # perhaps only a sidecar has disappeared
        except OSError as error:
            self._files.cannot_take(entry.path, error, now)
        except InboxdError:
            raise
        except Exception as error:  # error boundary of one file
            self._files.set_aside(entry.path, entry, error)
        return None

    def _take_one(self, path: Path, now: float) -> Job | None:
        """Move a file to .taken and return its row; None: the file waits for something, such as its prompt.

        Raises:
            OSError: the file was not moved, or is being returned to the inbox.
        """
        with self._inbox.opened(path.parent) as folder:
            content = sniff(path, folder)
        sidecars = self._files.own_sidecars(path)
        choice = self._files.choose(path, content, sidecars, now)
        if choice is None:
            return None
        job_id = new_id()
        try:
            taken = self._taken.take(job_id, path, [sidecar.path for sidecar in sidecars])
            for sidecar in sidecars:
                self._files.review(sidecar.path)  # a sidecar that was taken no longer waits
            return self._describer.describe(job_id, taken, content, choice)
        except InboxdError:
            raise
        except Exception:  # the caller reports it
            self.return_taken(job_id, path)
            raise

    # ---------------------------------------------------------------------------------------- make durable, record

    def _make_durable(self, taken: list[tuple[Job, Entry]]) -> None:
        """Sync moved files and their folders, and then record the files: the second step of taking. Safe to repeat."""
        jobs, started = [job for job, _ in taken], time.monotonic()
        try:
            self._taken.fsync([job.id for job in jobs], {entry.path.parent for _, entry in taken})
            self.record(self._store.missing(jobs))
        except (OSError, InboxdError):
            raise
        except Exception:  # error boundary: find out which file causes the error
            self._make_each_durable(taken)
        if time.monotonic() - started > _RECORD_SECONDS:
            self._group = max(1, len(taken) // 2)
        elif len(taken) >= self._group:
            self._group = min(2 * self._group, _TAKE_AT_ONCE)

    def _make_each_durable(self, taken: list[tuple[Job, Entry]]) -> None:
        """Record the files one by one, so that only the one that fails returns to the inbox."""
        for job, entry in taken:
            step = functools.partial(self._make_one_durable, job, entry)
            self._disk_retry.run(f"record {job.id}", step, on_give_up=functools.partial(self._reject, job, entry))

    def _make_one_durable(self, job: Job, entry: Entry, source: Path | None = None) -> None:
        try:
            self._taken.fsync([job.id], [source or entry.path.parent])
            self.record(self._store.missing([job]))
        except (OSError, InboxdError):
            raise
        except Exception as error:  # error boundary of one file
            self._reject(job, entry, error)

    # ---------------------------------------------------------------------------------------- return

    def _reject(self, job: Job, entry: Entry, error: Exception) -> None:
        """Return a taken file that cannot be recorded, unless its row was already committed."""
        if not self._store.missing([job]):
            log.error("%s %s: %s", job.id[:8], job.path, printable(str(error)), extra=about(job))
            return
        self.return_taken(job.id, entry.path)
        why = f"it cannot be added to the job log: {describe(error)}" if isinstance(error, OSError) else UNEXPECTED
        self._files.set_aside(entry.path, entry, error, why)

    def _put_back(self, job_id: str, path: Path) -> None:
        self._taken.put_back(job_id)
        self._files.returned(path)
