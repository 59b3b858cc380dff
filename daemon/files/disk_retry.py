"""What becomes of a step that a full, read-only, failing or absent disk does not allow: it is kept, and made again.

A step is a call that may be repeated until it succeeds, such as "publish this result". It is tried again after a
growing pause, at most `_PAUSE_MAX` seconds after the cause has gone. No job is started while a small file cannot be
written where the daemon writes (`trouble`); where it can, a step that still fails is that job's own misfortune and
keeps nobody else waiting.
"""

import contextlib
import errno
import functools
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon.core import durable
from daemon.core.errors import InboxdError, LogLocked, StorageError
from daemon.files.layout import Folders
from daemon.queue.store import Store

log = logging.getLogger(__name__)

_PAUSE, _PAUSE_MAX = 0.5, 4.0  # seconds between two tries; doubled each time
_TRIES = 6  # of a step, while all else can be written
_PROBE_BYTES = 64 * 1024
_PROBES = (".probe", ".probe.2")  # a small file, before and after it is renamed
_PASSES = {  # a step that fails for one of these is never hopeless: there will be room again
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN),
}


@dataclass(kw_only=True)
class _Kept:
    """A step that could not be made yet."""

    step: Callable[[], None]
    hopeless: Callable[[Exception], None] | None
    why: str
    tries: int = 0


class Storage:
    """The steps that wait, and whether the daemon's folders and its job log can be written. One thread only.

    clock: monotonic seconds.
    """

    def __init__(self, folders: Folders, store: Store, *, clock: Callable[[], float]):
        self._folders = folders
        self._store = store
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._pause = _PAUSE
        self._next_try: float | None = None
        self._tries = 0  # since all was well
        self.trouble: str | None = None  # why no job is started; None: all can be written
        self._is_locked = False  # the job log, by another program: each attempt would wait for the lock
        self.can_take = True  # can drops be taken? They can while only the outbox is full

    def make(
        self,
        key: str,
        step: Callable[[], None],
        *,
        hopeless: Callable[[Exception], None] | None = None,
        failed: int = 0,
    ) -> bool:
        """Make `step` now, or as soon as it can be made; True: it was made.

        key: names the step; a later one of the same key takes its place.
        hopeless: called with the error instead, once the step has failed often while all else could be written.
        failed: how often it has failed already, where a part of it is done elsewhere.

        Raises:
            StartOver: what the daemon works on was replaced.
        """
        self._kept.pop(key, None)
        return self._try(key, _Kept(step=step, hopeless=hopeless, why="", tries=max(0, failed - 1)))

    def note(self, error: OSError | StorageError, *, can_take: bool = False) -> None:
        """Something could not be done that the main loop will come back to by itself: begin nothing for a while."""
        if self._examine():
            self._tell(describe(error))
            self.can_take = can_take
        self._wait()

    def examine(self) -> bool:
        """Check now whether everything can be written; if not, `problem` gives the reason and the check is repeated."""
        if self._examine():
            return True
        self._wait()
        return False

    def retry(self, *, at_once: bool = False) -> None:
        """Make the steps that wait, if their pause is over or `at_once`."""
        if self._next_try is None or (self._clock() < self._next_try and not at_once):
            return
        self._next_try = None
        if not self._examine():
            self._wait()
            return
        for key in list(self._kept):
            self._try(key, self._kept.pop(key))
        if self._next_try is None:
            self._pause, self._tries = _PAUSE, 0

    def next_try(self) -> float | None:
        """When `retry` has something to do, by the clock; None: not before something fails."""
        return self._next_try

    def sweep(self) -> None:
        """Remove what an examination left that the last run did not live to end."""
        for folder in (*self._probed(), self._folders.outbox.path):  # the last: of an older version
            with contextlib.suppress(OSError):
                _sweep(folder)

    @property
    def tries(self) -> int:
        """How often in a row something could not be written."""
        return self._tries

    @property
    def problem(self) -> str | None:
        """What cannot be written, and what waits for it, in words; None: all is well."""
        if self.trouble is not None:
            return self.trouble
        if not self._kept:
            return None
        return f"{len(self._kept)} steps wait: {next(iter(self._kept.values())).why}"

    # ---------------------------------------------------------------------------------------- below

    def _try(self, key: str, kept: _Kept) -> bool:
        if self._is_locked and self._next_try is not None:
            kept.tries = max(kept.tries, 1)
            kept.why = self.trouble or ""
            self._kept[key] = kept
            return False
        try:
            kept.step()
            return True
        except (OSError, StorageError) as error:
            kept.tries += 1
            kept.why = describe(error)
            self._is_locked = isinstance(error, LogLocked)
            if kept.hopeless and kept.tries >= _TRIES and getattr(error, "errno", None) not in (None, *_PASSES):
                log.error("%s: given up: %s", key, kept.why)
                last = functools.partial(kept.hopeless, error)
                return self._try(key, _Kept(step=last, hopeless=None, why=kept.why))
            level = logging.WARNING if kept.tries == 1 else logging.DEBUG
            log.log(level, "%s: %s It will be tried again.", key, kept.why)
            self._kept[key] = kept
            self._wait()
            if self.trouble is None and kept.tries == 1:
                self._examine()
            return False
        except InboxdError:
            raise
        except Exception as error:  # error boundary: one step; at the first attempt, its owner handles it
            if kept.tries == 0:
                raise
            log.exception("%s: it cannot be done", key)
            if kept.hopeless is not None:
                kept.hopeless(error)
            return False

    def _probed(self) -> tuple[Path, ...]:
        return (self._folders.inbox.taken, self._folders.state, self._folders.outbox.staging)

    def _examine(self) -> bool:
        """Find out whether all can be written; False: there is trouble."""
        self.can_take = self._is_locked = False
        try:
            self._folders.check()
            self._store.check()
            *first, last = self._probed()
            for folder in first:
                _probe(folder)
            self.can_take = True
            _probe(last)
        except (OSError, StorageError) as error:
            self._is_locked = isinstance(error, LogLocked)
            self._tell(describe(error))
            return False
        self._tell(None)
        return True

    def _wait(self) -> None:
        now = self._clock()
        if self._next_try is None:
            self._next_try = now + self._pause
            self._pause = min(2 * self._pause, _PAUSE_MAX)
            self._tries += 1

    def _tell(self, trouble: str | None) -> None:
        if trouble != self.trouble:
            if trouble is not None:
                log.error("%s Work continues automatically once this is resolved.", trouble)
            else:
                log.warning("the job log and all folders are available again: work continues")
        self.trouble = trouble


def _shown(path: str) -> str:
    """Resolve a path through one of our descriptors for display (see `beneath.HeldFolder`)."""
    match = re.match(r"/proc/self/fd/\d+", path)
    with contextlib.suppress(OSError):
        return os.readlink(match[0]) + path[match.end() :] if match else path
    return path


def _probe(folder: Path) -> None:
    """Write, name, rename and remove a small file."""
    try:
        _sweep(folder)
        first, second = (folder / name for name in _PROBES)
        durable.write_file(first, bytes(_PROBE_BYTES))
        durable.rename_noreplace(first, second)
        durable.fsync_folder(folder)
        second.unlink()
    except OSError as error:
        if error.filename is None:  # write(2) and fsync(2) have only a descriptor
            error.filename = str(folder)
        raise


def _sweep(folder: Path) -> None:
    """Remove what a probe that was cut short left behind."""
    for name in _PROBES:
        (folder / name).unlink(missing_ok=True)


def describe(error: OSError | InboxdError) -> str:
    """What is wrong and what mends it."""
    if isinstance(error, InboxdError):
        return f"{error.what} {error.fix}"
    where = _shown(os.fsdecode(error.filename2 or error.filename or ""))
    advice = {
        errno.ENOSPC: "Free some space there.",
        errno.EDQUOT: "Free some space there, or raise the quota.",
        errno.EROFS: "Mount it writable again.",
        errno.EMFILE: "Raise the limit of open files (LimitNOFILE=).",
        errno.ENFILE: "Raise the limit of open files (sysctl fs.file-max).",
        errno.EACCES: f"Give this user (uid {os.geteuid()}) read and write permission on it and its folder.",
        errno.EPERM: f"Give this user (uid {os.geteuid()}) read and write permission on it and its folder.",
        errno.EIO: "The disk may be failing: see `dmesg`.",
    }.get(error.errno or 0, "")
    return f"{where or 'A file'} cannot be read or written: {error.strerror or error}. {advice}".strip()
