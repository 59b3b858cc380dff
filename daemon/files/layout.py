"""The folders of one daemon together: are they as the promises need them, and is it alone on them?

How files move within them is `inbox`'s and `outbox`'s.
"""

import errno
import fcntl
import logging
import os
import time
from pathlib import Path

from daemon.core import durable, names
from daemon.core.errors import AlreadyRunning, LayoutError, StartOver, StorageError
from daemon.core.job import Job, Original
from daemon.files import beneath
from daemon.files.inbox import Inbox, OriginalGone
from daemon.files.outbox import FAILED, LOCK_FILE, Outbox, originals_in

log = logging.getLogger(__name__)

_PASSES = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}  # a later start may do
_WRITABLE = "Mount it writable; for a service, open it to that as well: systemd/inboxd.service.d/folders.conf"
_LOCK_SECONDS = 1.0  # a lock that is held for longer is a living daemon's


class Folders:
    """The inbox, the outbox and the state folder of one daemon."""

    def __init__(self, *, inbox: Path, outbox: Path, state: Path):
        self.inbox = Inbox(inbox)
        self.outbox = Outbox(outbox, archive=state / "archive", inbox=inbox)
        self.state = state
        self.kept = state / "kept"  # <uuid>/: what processors keep of a job from attempt to attempt
        self.backups = state / "backups"  # copies of the job log
        self._locks: list[int] = []  # descriptors of locked files
        self._identities: dict[Path, tuple[int, int]] = {}  # device and inode of what is locked

    def prepare(self) -> None:
        """Make the folders that are missing and check that the promises can be kept in them.

        Raises:
            LayoutError: they cannot; says how to change config.toml or the permissions.
        """
        refuse_overlap(inbox=self.inbox.path, outbox=self.outbox.path, state=self.state)
        for folder in self._all():
            try:
                self._make(folder)
            except OSError as error:
                if error.errno in _PASSES:
                    fix = _WRITABLE if error.errno == errno.EROFS else ""
                    raise StorageError(f"The folder {folder} cannot be made: {error.strerror}.", fix) from error
                raise LayoutError(
                    f"The folder {folder} cannot be made: {error.strerror}.",
                    "Make it yourself, give this user write permission there, or change [paths] in config.toml.",
                ) from error
            if os.statvfs(folder).f_flag & os.ST_RDONLY:
                raise StorageError(f"The folder {folder} is on a read-only file system.", _WRITABLE)
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise LayoutError(
                    f"The folder {folder} cannot be read and written by this user (uid {os.geteuid()}).",
                    f"Give it permission, for example: chown {os.geteuid()} {folder}",
                )
        taken = self.inbox.own.place
        if self.inbox.path.stat().st_dev != taken.stat().st_dev:
            raise LayoutError(
                f"{self.inbox.path} and {taken} are on different file systems: inboxd cannot move files between them.",
                f"Unmount {taken} and remove it; inboxd creates it again.",
            )
        for folder in (self.inbox.path, self.outbox.path):
            beneath.protect_names(folder)
        beneath.close_to_writers(self.state)
        self._make_failed()

    def _make_failed(self) -> None:
        """Make outbox/failed; where something else has its name, failures go to "failed (2)"."""
        failed = self.outbox.path / FAILED
        try:
            with beneath.opened(self.outbox.path, failed, make=True):
                beneath.close_to_writers(failed)
        except NotADirectoryError:
            log.warning("%s is not a folder: failures go beside it", failed)

    def _make(self, folder: Path) -> None:
        """Create a folder if it is missing; the daemon's own folders are private to this user."""
        if folder not in (self.inbox.own.place, self.outbox.own.place):
            durable.make_folder(folder, mode=0o700 if folder == self.state else 0o777)
            return
        if folder.is_symlink():
            raise LayoutError(
                f"{folder} is a symbolic link: files moved there would end up elsewhere.",
                "Remove the link; inboxd creates a folder in its place.",
            )
        if folder.is_dir() and folder.stat().st_uid != os.geteuid():
            raise LayoutError(
                f"{folder} belongs to another user (uid {folder.stat().st_uid}), who could modify its contents.",
                f"If another inboxd uses it, stop that one; otherwise rename {folder}: inboxd creates a new one.",
            )
        beneath.make_private(folder)

    def _all(self) -> tuple[Path, ...]:
        inbox, outbox = self.inbox, self.outbox
        return inbox.path, outbox.path, self.state, inbox.own.place, outbox.own.place

    def lock(self) -> None:
        """Be the only daemon of these folders, until the process ends.

        Raises:
            AlreadyRunning: another daemon is.
        """
        self.inbox.hold()
        self.outbox.own.hold()
        locks = {
            self.inbox.taken / LOCK_FILE: f"on {self.inbox.path}",
            self.outbox.staging / LOCK_FILE: f"on {self.outbox.path}",
            self.state / LOCK_FILE: f"with {self.state}",
        }
        for path, what in locks.items():
            try:
                self._locks.append(_locked(path))
            except BlockingIOError as error:
                owner = path.read_text(errors="replace").strip() or "?"
                self.unlock()
                raise AlreadyRunning(
                    f"inboxd is already running {what} (process {owner}).",
                    "Stop it with `systemctl stop inboxd`, with Ctrl-C in its terminal, or by `kill` and that number.",
                ) from error
        for path in locks:
            _write_owner(path)
        for place in (*self._all(), self.inbox.own.place / LOCK_FILE, self.outbox.own.place / LOCK_FILE):
            facts = place.lstat()
            self._identities[place] = (facts.st_dev, facts.st_ino)

    def check(self) -> None:
        """Are these still the folders that were locked?

        Raises:
            OSError, StorageError: one is away, as when its file system is unmounted: it will be back.
            StartOver: one was removed, or replaced by another.
        """
        if self._identities and _facts(self.inbox.path) is None:  # never made anew here: somebody may have moved it
            raise StorageError(f"The inbox {self.inbox.path} is not there.", "Move it back, or make it anew.")
        held = [own for own in (self.inbox.own, self.outbox.own) if own.descriptor is not None]
        for own in held:
            own.refresh()  # a held folder stays ours, whatever has its name now
        for place, identity in self._identities.items():
            if any(place.is_relative_to(own.place) for own in held):
                continue
            there = place
            while (facts := _facts(there)) is None:
                there = there.parent
            if (facts.st_dev, facts.st_ino) == identity:
                continue
            if facts.st_dev != identity[0]:
                raise StorageError(f"{place} is not there: its file system is away.", "Mount it again.")
            raise StartOver(f"{place} was removed or replaced while the daemon ran.")

    def original(self, job_id: str) -> Original:
        """Where a job's original and sidecars lie; an inbox that is away for a moment is not taken for a removed file.

        Raises:
            OriginalGone: not in .taken, while that is there.
            OSError, StorageError, StartOver: see `check`.
        """
        try:
            return self.inbox.original(job_id)
        except OriginalGone:
            self.check()
            return self.inbox.original(job_id)

    @property
    def held(self) -> tuple[int, ...]:
        """Descriptors of the daemon's own folders, through which the workers' paths lead."""
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

    def fetch_back(self, job: Job) -> None:
        """Link or copy the original of a failed job from outbox/failed to .taken, durably, for a retry. May take long;
        may be called from another thread.

        Raises:
            OriginalGone: it no longer exists, or its content has changed.
            OSError: not possible now; the caller releases the incomplete folder in .taken.
        """
        assert job.result_path is not None
        assert job.sha256 is not None
        result = self.outbox.path / job.result_path
        found = [path for path in originals_in(result) if path.is_file() and not path.is_symlink()]
        main = [path for path in found if not names.is_sidecar(path.name, {other.name for other in found})]
        if len(main) != 1 or durable.sha256_of(main[0]) != job.sha256:
            raise OriginalGone(f"the original is not in {result} any more")
        self.inbox.release(job.id)
        home = self.inbox.home_for(job.id, job.folder)
        for path in found:
            durable.link_or_copy(path, home / path.name, durable.sha256_of(path))
        self.inbox.fsync_home(job.id)


def refuse_overlap(*, inbox: Path, outbox: Path, state: Path) -> None:
    """Check that the inbox neither contains the outbox or the state folder nor lies in one of them.

    Raises:
        LayoutError: it does.
    """
    inbox = inbox.resolve()
    for name, path in (("outbox", outbox.resolve()), ("state folder", state.resolve())):
        if path.is_relative_to(inbox) or inbox.is_relative_to(path):
            raise LayoutError(
                f"The inbox {inbox} and the {name} {path} overlap: results would be taken as new files.",
                "Change [paths] in config.toml so that neither contains the other.",
            )


def _locked(path: Path) -> int:
    """Create the file if necessary, and lock it; its descriptor.

    It is read-only, so that an administrator can remount the file system read-only while the daemon runs. NFS maps
    flock(2) to a lock of fcntl(2), which needs a descriptor for writing.

    Raises:
        BlockingIOError: another process has the lock and keeps it.
    """
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | flags, 0o600))
    for access in (os.O_RDONLY, os.O_RDWR):
        descriptor = os.open(path, access | flags)
        try:
            _flock(descriptor)
            return descriptor
        except OSError as error:
            os.close(descriptor)
            if error.errno != errno.EBADF or access == os.O_RDWR:
                raise
    raise AssertionError("unreachable")


def _write_owner(path: Path) -> None:
    """Write this process's id into a lock file that it holds."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_TRUNC)
    try:
        os.write(descriptor, f"{os.getpid()}\n".encode())
    finally:
        os.close(descriptor)


def _flock(descriptor: int) -> None:
    """Lock it, with some patience: a process that a killed daemon was about to start holds its lock until its exec.

    Raises:
        BlockingIOError: another process has the lock and keeps it.
    """
    until = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.01)


def _facts(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
