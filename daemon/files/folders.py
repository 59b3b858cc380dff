"""The folders of one daemon: creates, checks and locks them.

`taken`, `submitted` and `outbox` move the files in them.
"""

import errno
import logging
import os
import time
from pathlib import Path

from daemon.core import copies, durable, names, regular_files
from daemon.core.errors import AlreadyRunning, SetupError, StartOver, StorageError
from daemon.core.job import Job, Original
from daemon.files import reclaim, safe_folders
from daemon.files.inbox import Inbox
from daemon.files.incoming import Incoming
from daemon.files.lock_files import LOCK_FILE, lock_file, write_owner
from daemon.files.originals import originals_in
from daemon.files.outbox import Outbox
from daemon.files.result_names import FAILED
from daemon.files.submitted import SubmittedFiles
from daemon.files.taken import OriginalGone, TakenFiles

log = logging.getLogger(__name__)

_PASSES = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}  # a later start may succeed
_WRITABLE = "Mount it writable; for a service, also allow writing there: systemd/inboxd.service.d/folders.conf"


class Folders:
    """The inbox, the outbox and the state folder of one daemon."""

    def __init__(self, *, inbox: Path, outbox: Path, state: Path):
        self.inbox = Inbox(inbox)
        self.taken = TakenFiles(self.inbox)
        self.incoming = Incoming(inbox / ".incoming")
        self.submitted = SubmittedFiles(self.incoming, self.inbox, self.taken)
        self.outbox = Outbox(outbox, archive=state / "archive", inbox=inbox)
        self.state = state
        self.checkpoints = state / "kept"  # <uuid>/: what a processor saves of a job between its attempts
        self.backups = state / "backups"  # copies of the job log
        self.is_taken_lost = False  # .taken was missing at the start, and other users may have renamed it
        self._locks: list[int] = []  # descriptors of locked files
        self._identities: dict[Path, tuple[int, int]] = {}  # device and inode of what is locked

    def prepare(self) -> None:
        """Create missing folders and check that all are usable.

        Raises:
            SetupError: one is not; says how to change config.toml or the permissions.
            StorageError: one is not now, but may be later.
        """
        refuse_overlap(inbox=self.inbox.path, outbox=self.outbox.path, state=self.state)
        for folder in self._all():
            try:
                self._make(folder)
            except OSError as error:
                if error.errno in _PASSES:
                    fix = _WRITABLE if error.errno == errno.EROFS else ""
                    raise StorageError(f"Cannot create the folder {folder}: {error.strerror}.", fix) from error
                raise SetupError(
                    f"Cannot create the folder {folder}: {error.strerror}.",
                    "Create it, give this user write permission there, or change [paths] in config.toml.",
                ) from error
            if os.statvfs(folder).f_flag & os.ST_RDONLY:
                raise StorageError(f"The folder {folder} is on a read-only file system.", _WRITABLE)
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise SetupError(
                    f"This user (uid {os.geteuid()}) cannot read and write the folder {folder}.",
                    f"Give the user permission, for example: chown {os.geteuid()} {folder}",
                )
        taken = self.inbox.own.place
        if self.inbox.path.stat().st_dev != taken.stat().st_dev:
            raise SetupError(
                f"{self.inbox.path} and {taken} are on different file systems: inboxd cannot move files between them.",
                f"Unmount {taken} and remove it; inboxd creates it again.",
            )
        for folder in (self.inbox.path, self.outbox.path):
            safe_folders.protect_names(folder)
        self.incoming.tidy(time.time())
        safe_folders.close_to_writers(self.state)
        self._make_failed()

    def _make_failed(self) -> None:
        """Create outbox/failed; if something else has its name, failures go to "failed (2)"."""
        failed = self.outbox.path / FAILED
        try:
            with safe_folders.opened(self.outbox.path, failed, make=True):
                safe_folders.close_to_writers(failed)
        except NotADirectoryError:
            log.warning("%s is not a folder: failures go to a folder beside it", failed)

    def _make(self, folder: Path) -> None:
        """Create a folder if it is missing; the daemon's own folders are private to this user."""
        if folder not in (self.inbox.own.place, self.outbox.own.place):
            durable.make_folder(folder, mode=0o700 if folder == self.state else 0o777)
            return
        reclaim.make_room(folder)
        if folder.is_symlink():
            raise SetupError(
                f"{folder} is a symbolic link: files moved there would end up elsewhere.",
                "Remove the link; inboxd creates a folder in its place.",
            )
        if folder.is_dir() and folder.stat().st_uid != os.geteuid():
            raise SetupError(
                f"{folder} belongs to another user (uid {folder.stat().st_uid}), who could modify its contents.",
                f"If another inboxd uses it, stop that one; otherwise rename {folder}: inboxd creates a new one.",
            )
        if folder == self.inbox.own.place and not folder.exists():
            self.is_taken_lost = not safe_folders.is_safe(folder.parent)
        safe_folders.make_private(folder)

    def _all(self) -> tuple[Path, ...]:
        inbox, outbox = self.inbox, self.outbox
        return inbox.path, outbox.path, self.state, inbox.own.place, outbox.own.place

    def lock(self) -> None:
        """Lock the folders for this process, and find again what was in those that another user has renamed.

        Raises:
            AlreadyRunning: another daemon has locked one.
        """
        self.taken.hold()
        self.outbox.own.hold()
        locks = {
            self.taken.path / LOCK_FILE: f"on {self.inbox.path}",
            self.outbox.staging / LOCK_FILE: f"on {self.outbox.path}",
            self.state / LOCK_FILE: f"with {self.state}",
        }
        for path, what in locks.items():
            try:
                self._locks.append(lock_file(path))
            except BlockingIOError as error:
                owner = path.read_text(errors="replace").strip() or "?"
                self.unlock()
                raise AlreadyRunning(
                    f"inboxd is already running {what} (process {owner}).",
                    "Stop it with `systemctl stop inboxd`, Ctrl-C in its terminal, or `kill` and that number.",
                ) from error
        for path in locks:
            write_owner(path)
        for place in (*self._all(), self.inbox.own.place / LOCK_FILE, self.outbox.own.place / LOCK_FILE):
            facts = place.lstat()
            self._identities[place] = (facts.st_dev, facts.st_ino)
        self.reclaim()

    def reclaim(self) -> None:
        """Move jobs' files back from own folders that other users renamed while no daemon was running."""
        for own in (self.inbox.own, self.outbox.own):
            reclaim.reclaim(own, LOCK_FILE)

    def check(self) -> None:
        """Check that these are still the folders that were locked.

        Raises:
            OSError, StorageError: one is unavailable, for example because its file system is unmounted.
            StartOver: one was removed or replaced.
        """
        if self._identities and _facts(self.inbox.path) is None:  # not created again: somebody may have moved it
            raise StorageError(f"The inbox {self.inbox.path} does not exist.", "Move it back, or create it again.")
        held = [own for own in (self.inbox.own, self.outbox.own) if own.descriptor is not None]
        for own in held:
            own.refresh()  # a held folder remains ours, whatever has its name now
        for place, identity in self._identities.items():
            if any(place.is_relative_to(own.place) for own in held):
                continue
            there = place
            while (facts := _facts(there)) is None:
                there = there.parent
            if (facts.st_dev, facts.st_ino) == identity:
                continue
            if facts.st_dev != identity[0]:
                raise StorageError(f"{place} is unavailable: its file system is not mounted.", "Mount it again.")
            raise StartOver(f"{place} was removed or replaced while the daemon was running.")

    def original(self, job_id: str, path: str) -> Original:
        """Find a job's original and its sidecars. An unavailable inbox is not mistaken for a removed file, and what
        somebody put beside the original returns to the inbox. `path`: that of the original, relative to the inbox.

        Raises:
            OriginalGone: it is not in .taken, although that is available.
            OSError, StorageError, StartOver: see `check`.
        """
        try:
            return self.taken.original(job_id)
        except OriginalGone:
            self.check()
            self.taken.return_others(job_id, path)
            return self.taken.original(job_id)

    @property
    def held(self) -> tuple[int, ...]:
        """Descriptors of the daemon's own folders, which the paths given to workers use."""
        found = (self.inbox.own.descriptor, self.outbox.own.descriptor)
        return tuple(descriptor for descriptor in found if descriptor is not None)

    def unlock(self, *, is_quiet: bool = True) -> None:
        """Release the folders for another daemon. `is_quiet`: no thread still uses a path into them, so their
        descriptors may be closed and their numbers reused."""
        while self._locks:
            os.close(self._locks.pop())
        if is_quiet:
            for own in (self.inbox.own, self.outbox.own):
                own.release()

    def fetch_back(self, job: Job) -> str:
        """Link or copy the original of a failed job from outbox/failed to .taken, durably, for a retry; return its
        checksum. May take long; may be called from another thread.

        Raises:
            OriginalGone: it no longer exists, or its content has changed.
            OSError: not possible now; the caller releases the incomplete folder in .taken.
        """
        assert job.result_path is not None
        result = self.outbox.path / job.result_path
        found = [path for path in originals_in(result) if path.is_file() and not path.is_symlink()]
        main = [path for path in found if not names.is_sidecar(path.name, {other.name for other in found})]
        if len(main) != 1 or (job.sha256 is None and main[0].stat().st_size != job.size_bytes):
            raise OriginalGone(f"the original is no longer in {result}")
        sha256 = regular_files.sha256_of(main[0])
        if sha256 != (job.sha256 or sha256):  # None: cancelled before it was computed
            raise OriginalGone(f"the original is no longer in {result}")
        self.taken.release(job.id)
        home = self.taken.home_for(job.id, job.folder)
        for path in found:
            copies.link_or_copy(path, home / path.name, regular_files.sha256_of(path))
        self.taken.fsync_names(job.id)
        return sha256


def refuse_overlap(*, inbox: Path, outbox: Path, state: Path) -> None:
    """Check that the inbox neither contains the outbox or the state folder nor lies in one of them.

    Raises:
        SetupError: it does.
    """
    inbox = inbox.resolve()
    for name, path in (("outbox", outbox.resolve()), ("state folder", state.resolve())):
        if path.is_relative_to(inbox) or inbox.is_relative_to(path):
            raise SetupError(
                f"The inbox {inbox} and the {name} {path} overlap: results would be taken as new files.",
                "Change [paths] in config.toml so that neither contains the other.",
            )


def _facts(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
