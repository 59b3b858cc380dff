"""Intake: turns a file in the inbox into a row in the queue.

The scanner finds files, `pending_files` decides which are complete, the claimer takes and records them, and the hasher
computes the checksums of large ones. In this package, a *check* reads the metadata of one file, a *scan* the entries of
one folder, and a *hint* is a message of the watcher about a change.
"""

from collections.abc import Callable
from pathlib import Path

from daemon.config.current import CurrentSettings
from daemon.config.settings import Settings
from daemon.core.job import DROPPED, Entry, Job
from daemon.core.messages import Hashed, Hint
from daemon.files.disk_retry import DiskRetry
from daemon.files.folders import Folders
from daemon.intake.claimer import Claimer
from daemon.intake.describer import Describer
from daemon.intake.filetype import Content
from daemon.intake.hasher import Checksums, Hasher
from daemon.intake.pending_files import PendingFiles
from daemon.intake.scanner import Scanner
from daemon.intake.submissions import Submission, Submissions
from daemon.intake.watcher import Watcher
from daemon.queue.store import Store
from daemon.telemetry.histogram import Histogram


class Intake:
    """The parts of the intake, as the main loop uses them. Called by the main thread only; `now` is monotonic
    seconds. `hasher`: makes the hasher."""

    def __init__(
        self,
        settings: CurrentSettings,
        store: Store,
        folders: Folders,
        disk_retry: DiskRetry,
        watcher: Watcher,
        post: Callable[[Hashed], None],
        *,
        now_us: Callable[[], int],
        hasher: Hasher | None = None,
    ):
        self._ignored = settings.value.ignore
        self._submitted = folders.submitted
        self.unplaced: dict[str, str] = {}  # why recovery failed, by file in .taken or job
        self._is_outdated = False  # the patterns of `[inbox] ignore` may have changed
        self._hasher = hasher or Hasher(post, folders.taken.path / ".copy.hasher")
        self._checksums = Checksums(store, disk_retry, self._hasher)
        self._describer = Describer(settings, folders, now_us=now_us)
        self._files = PendingFiles(settings, folders.inbox)
        self._scanner = Scanner(settings, folders, watcher, self._files)
        self._claimer = Claimer(store, folders, disk_retry, self._files, self._describer, self._checksums)
        self._submissions = Submissions(settings, store, folders, disk_retry, self._describer, self._claimer)

    def apply(self, settings: Settings) -> None:
        """Use new settings for all files that are taken from now on."""
        self._is_outdated = self._is_outdated or settings.ignore != self._ignored
        self._ignored = settings.ignore
        self._files.apply(settings)

    def step(self, now: float) -> int:
        """Do the checks and scans that are due, and take complete files; return how many files were taken.

        Each of the three has a time limit; the next step continues where this one stopped.
        """
        if self._is_outdated:
            self._is_outdated = False
            self.check_all(now)
        self._files.step(now)
        self._scanner.step(now)
        self._files.step_reviews()
        return self._claimer.take_ready(now)

    def next_check(self, now: float) -> float | None:
        """Seconds until `step` has something to do; None: not before a hint."""
        if self._claimer.can_take or self._is_outdated:
            return 0.0
        pauses = (self._files.next_check(now), self._scanner.next_scan(now))
        return min((pause for pause in pauses if pause is not None), default=None)

    def stop(self) -> bool:
        """Stop the hasher; False: its thread is still running. The intake cannot be used afterwards."""
        return self._hasher.stop()

    # ---------------------------------------------------------------------------------------- the inbox

    def check_all(self, now: float) -> None:
        """Scan the whole inbox, and check whether the reasons why files are left in it still apply."""
        self._scanner.check_all(now)
        self._files.check_all(now)

    def on_hint(self, hint: Hint, now: float) -> None:
        self._scanner.on_hint(hint, now)

    def retry_blocked(self, now: float) -> None:
        """Try again now to take the files that could not be moved out of the inbox."""
        self._files.retry_blocked(now)

    @property
    def left(self) -> dict[Path, str]:
        """Files left in the inbox, and why."""
        return self._files.left.reasons

    @property
    def ignored(self) -> int:
        """The number of files and folders that the last scans ignored, without hidden ones."""
        return self._scanner.ignored

    @property
    def unclaimed(self) -> list[Entry]:
        """The files that were seen and have not been taken, including those that are `left`."""
        return self._files.unclaimed

    @property
    def is_scanning(self) -> bool:
        """True if folders are due to be scanned that `step` had no time for."""
        return self._scanner.is_scanning

    @property
    def is_quiet(self) -> bool:
        """True if no check or scan is due, and no file settles, is ready, or waits for its checksum. A file that is
        left in the inbox does not count after several failures."""
        return self._files.is_quiet and self._scanner.is_quiet and not self._checksums.pending

    # ---------------------------------------------------------------------------------------- submitted files

    def submit(self, submission: Submission) -> tuple[str, str | None]:
        """Take a submitted file; see `Submissions.take`."""
        return self._submissions.take(submission)

    # ---------------------------------------------------------------------------------------- taken files

    @property
    def claims(self) -> Histogram:
        """Seconds from a file's last change until it is taken."""
        return self._claimer.claims

    def hashed(self, hashed: Hashed) -> str | None:
        """Record a checksum, so that its job may start. Return the error if the file is given up as unreadable."""
        return self._checksums.receive(hashed)

    def adopt(self, job_id: str, taken: Entry, content: Content) -> None:
        """Record a taken file that has no row.

        Raises:
            OSError: the file cannot be read.
        """
        source = self._submitted.source_of(taken.path) or DROPPED
        self._claimer.record([self._describer.describe(job_id, taken, content, source=source)], event="recovered")

    def hash_missing(self, jobs: list[Job]) -> None:
        """Request the checksums of the originals of jobs that have none."""
        self._claimer.hash_missing(jobs)
