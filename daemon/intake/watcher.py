"""Turns inotify events into hints for the intake. The only module that imports watchdog.

Hints only save time: a lost, repeated or wrong hint never loses a file, because the inbox is also scanned periodically.
The watcher reads no folder, and decides nothing except to ignore events about ignored names.

Uses watchdog's `InotifyFD` instead of its observers, which delay events by half a second to pair renames, and do not
report a queue overflow.
"""

import errno
import logging
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyEvent, InotifyFD, Mask, WatchDescriptor

from daemon.core.messages import CheckAll, Hint
from daemon.core.names import printable
from daemon.intake.ignored_names import is_ignored

log = logging.getLogger(__name__)

_MASK = Mask(
    InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_MOVED_TO
    | InotifyConstants.IN_CREATE
    | InotifyConstants.IN_DELETE_SELF
    | InotifyConstants.IN_MOVE_SELF
    | InotifyConstants.IN_ONLYDIR
    | InotifyConstants.IN_DONT_FOLLOW
)
_OUR_CALLBACK = CallbackId(0)
_LIMITS = {  # inotify_add_watch(2), inotify_init(2)
    errno.ENOSPC: ("watched folders", "fs.inotify.max_user_watches=1048576"),
    errno.EMFILE: ("instances", "fs.inotify.max_user_instances=1024"),
}

# File systems that other machines may change, while inotify(7) reports only the changes by this machine. On overlay, it
# does not report changes to a lower layer.
_REMOTE_TYPES = re.compile(
    r"nfs\d?|cifs|smb3|smbfs|fuse(\..+)?|9p|overlay|vboxsf|virtiofs|vmhgfs|afs|ceph|glusterfs|lustre|gpfs|beegfs|ocfs2"
)


@dataclass(frozen=True, kw_only=True)
class _Watch:
    """One watched folder."""

    descriptor: WatchDescriptor
    identity: tuple[int, int]  # device and inode, to detect that another folder has this path now


class Watcher:
    """Watches folders, without their subfolders, and posts hints about them.

    The reading thread calls `post` with `Hint` and `CheckAll`. Call everything else from one thread.
    """

    # The lock is necessary because the reading thread forgets vanished folders while the main thread adds some, and
    # because a descriptor must be recorded before its first event is looked up.

    def __init__(self, post: Callable[[object], None]):
        self._post = post
        self._lock = threading.Lock()
        self._reader: InotifyFD | None = None
        self._refusal = OSError("the watcher has not been started")  # why nothing reads events
        self._watches: dict[Path, _Watch] = {}
        self._by_descriptor: dict[WatchDescriptor, Path] = {}
        self._by_identity: dict[tuple[int, int], Path] = {}
        self._problems: dict[Path, str] = {}
        self._remote_types: dict[int, str | None] = {}  # by device: reading mountinfo for each folder would be slow
        self._warned: set[str] = set()

    @property
    def watched(self) -> set[Path]:
        """The folders whose changes cause hints."""
        with self._lock:
            return set(self._watches)

    @property
    def problems(self) -> dict[Path, str]:
        """The folders that must be polled, and why: they cannot be watched, or "polled: TYPE" (see `is_remote`)."""
        with self._lock:
            for folder in [folder for folder in self._problems if _identity(folder) is None]:
                self._forget(folder)  # the folder disappeared without an event
            return dict(self._problems)

    def start(self) -> None:
        """Start reading events. Without a free inotify instance, each `watch` fails and the inbox is polled."""
        try:
            self._reader = InotifyFD()
        except OSError as error:
            self._refusal = error
            self._warn_once(_explain(error))
            return
        self._reader.name = "watcher"
        self._reader.start()

    def stop(self) -> None:
        """Stop the reading thread; nothing is posted after that."""
        with self._lock:
            reader, self._reader = self._reader, None
            self._watches.clear()
            self._by_descriptor.clear()
            self._by_identity.clear()
            self._problems.clear()
        if reader is not None:
            reader.stop()
            reader.join()

    def watch(self, folder: Path) -> bool:
        """Watch `folder` from now on; False: it cannot be watched (see `problems`), is a symbolic link, or is gone.

        Call it before each scan of the folder, because earlier changes cause no hints. It costs one lstat if the folder
        is watched already; a folder that replaced another one is watched again.
        """
        with self._lock:
            try:
                facts = folder.lstat()
                identity = (facts.st_dev, facts.st_ino)
                if folder in self._watches and self._watches[folder].identity == identity:
                    return True
                self._forget(folder)
                self._add(folder, identity)
                self._note_remote(folder, facts.st_dev)
            except FileNotFoundError:
                self._forget(folder)  # not a problem: there is nothing to watch
                return False
            except OSError as error:
                self._problems[folder] = _explain(error)
                self._warn_once(self._problems[folder])
                return False
            return True

    def unwatch(self, folder: Path) -> None:
        """Forget `folder`; nothing happens if it is not watched."""
        with self._lock:
            self._forget(folder)

    # ---------------------------------------------------------------------- watchdog's WatchCallback, reading thread

    def on_event(self, event: InotifyEvent) -> None:
        with self._lock:
            folder = self._by_descriptor.get(event.wd)
        if folder is None:
            return
        if event.mask & InotifyConstants.IN_UNMOUNT:
            with self._lock:
                self._remote_types.clear()  # another file system may get the same device number
        elif event.is_move_self:
            self._moved(folder)
        elif event.name:
            name = os.fsdecode(event.name)
            if is_ignored(name):  # on this thread, because a flood of events would block the main thread
                return
            if not event.mask & InotifyConstants.IN_ISDIR:
                self._post(Hint(folder=folder, name=name, complete=event.is_moved_to))
            elif event.is_create or event.is_moved_to:
                self._post(Hint(folder=folder / name, complete=event.is_moved_to))

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """The kernel has removed a watch: its folder was deleted or unmounted."""
        with self._lock:
            folder = self._by_descriptor.get(wd)
            if folder is None:
                return
            self._forget(folder)
        self._post(Hint(folder=folder.parent))

    def on_queue_overflow(self) -> None:
        self._post(CheckAll(why="inotify lost events (fs.inotify.max_queued_events was exceeded)"))

    # ----------------------------------------------------------------------------------------------- with the lock

    def _add(self, folder: Path, identity: tuple[int, int]) -> None:
        if self._reader is None:
            raise self._refusal
        if identity in self._by_identity:  # a moved folder: inotify returns the same descriptor for the same inode
            self._forget(self._by_identity[identity])
        descriptor = self._reader.add_callback(os.fsencode(folder), _MASK, self, _OUR_CALLBACK)
        if descriptor == -1:  # watchdog does not report EACCES
            self._reader.remove_callbacks([(descriptor, _OUR_CALLBACK)])
            shown = printable(str(folder))
            raise PermissionError(f"this user (uid {os.geteuid()}) may not read {shown}")
        self._watches[folder] = _Watch(descriptor=descriptor, identity=identity)
        self._by_descriptor[descriptor] = folder
        self._by_identity[identity] = folder
        self._problems.pop(folder, None)

    def _forget(self, folder: Path) -> None:
        self._problems.pop(folder, None)
        watch = self._watches.pop(folder, None)
        if watch is None:
            return
        self._by_descriptor.pop(watch.descriptor, None)
        self._by_identity.pop(watch.identity, None)
        if self._reader is not None:
            self._reader.remove_callbacks([(watch.descriptor, _OUR_CALLBACK)])

    def _note_remote(self, folder: Path, device: int) -> None:
        if device not in self._remote_types:
            self._remote_types[device] = is_remote(folder)
            if remote_type := self._remote_types[device]:
                log.info("%s does not report changes by other machines: %s is also polled", remote_type, folder)
        if remote_type := self._remote_types[device]:
            self._problems[folder] = f"polled: {remote_type}"

    def _moved(self, folder: Path) -> None:
        """Forget a folder that was moved, and all below it: their watches would report their old paths."""
        with self._lock:
            watch = self._watches.get(folder)
            if watch is None or _identity(folder) == watch.identity:
                return  # already watched again where it is now
            for path in [path for path in self._watches if path.is_relative_to(folder)]:
                self._forget(path)
        self._post(Hint(folder=folder.parent))

    def _warn_once(self, reason: str) -> None:
        if reason not in self._warned:
            self._warned.add(reason)
            log.warning("%s", reason)


def is_remote(path: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> str | None:
    """The type of the file system of `path` ("nfs4", "fuse.sshfs") if inotify does not see all its changes, else None.

    Symbolic links are followed. `mountinfo` has the format of proc_pid_mountinfo(5).
    """
    found = file_system(path, mountinfo)
    return found if _REMOTE_TYPES.fullmatch(found) else None


def file_system(path: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the file system that `path` is on, such as "ext4"; "" if it is unknown."""
    real = os.fsencode(path.resolve())
    best, best_type = b"", ""
    try:
        mounts = mountinfo.read_bytes()
    except OSError:  # /proc is not mounted, or hidden by a sandbox
        return ""
    for line in mounts.splitlines():
        before, _, after = line.partition(b" - ")
        fields = before.split(b" ")
        if len(fields) < 5 or not after:
            continue
        point = re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), fields[4])
        is_above = real == point or real.startswith(point.rstrip(b"/") + b"/")
        if is_above and len(point) >= len(best):  # of two mounts at one path, the later hides the earlier
            best, best_type = point, os.fsdecode(after.split(b" ")[0])
    return best_type


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        facts = folder.lstat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _explain(error: OSError) -> str:
    """The reason why a folder cannot be watched, and how to fix it."""
    if error.errno not in _LIMITS:
        return f"A folder cannot be watched and is only polled: {error}"
    limit, setting = _LIMITS[error.errno]
    return (
        f"inotify's limit of {limit} is reached, so folders are only polled. Raise it: sysctl {setting},"
        " and put the setting into a file in /etc/sysctl.d/."
    )
