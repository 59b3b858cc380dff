"""Retries file operations that fail because a disk is full, read-only, failing or absent.

A step is a call that may be repeated until it succeeds, such as "publish this result". It is retried after a growing
pause, at most `_PAUSE_MAX` seconds after the cause has gone. No job starts while the daemon cannot write a small file
to each of its folders (`trouble`). While it can, a step that still fails affects only its own job.
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
from daemon.files.folders import Folders
from daemon.queue.store import Store

log = logging.getLogger(__name__)

_PAUSE, _PAUSE_MAX = 0.5, 4.0  # seconds between two tries; doubled each time
_TRIES = 6  # of a step, while all else can be written
_PROBE_BYTES = 64 * 1024
_PROBES = (".probe", ".probe.2")  # a small file, before and after it is renamed
_PASSES = {  # a step that fails for one of these reasons is never given up: they pass
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN),
}


@dataclass(kw_only=True)
class _WaitingStep:
    """A step that has failed and will be retried."""

    step: Callable[[], None]
    on_give_up: Callable[[Exception], None] | None
    why: str
    must_end: bool = False
    tries: int = 0


class DiskRetry:
    """The steps that wait, and whether the daemon's folders and its job log are writable. One thread only.

    clock: monotonic seconds.
    """

    def __init__(self, folders: Folders, store: Store, *, clock: Callable[[], float]):
        self._folders = folders
        self._store = store
        self._clock = clock
        self._waiting: dict[str, _WaitingStep] = {}
        self._pause = _PAUSE
        self._next_try: float | None = None
        self._tries = 0  # since everything was writable
        self.trouble: str | None = None  # why no job starts; None: everything is writable
        self._is_locked = False  # another program holds the job log: each try would wait for the lock
        self.can_take = True  # False: files cannot be taken; they can be while only the outbox is full

    def run(
        self,
        key: str,
        step: Callable[[], None],
        *,
        on_give_up: Callable[[Exception], None] | None = None,
        failed: int = 0,
        must_end: bool = False,
    ) -> bool:
        """Run `step` now, or as soon as the disks allow. Return True if it has run.

        key: names the step; a later step with the same key replaces it.
        on_give_up: called with the error if the step keeps failing while everything else is writable.
        failed: how often a part of the step that runs elsewhere has failed already.
        must_end: retry also after an unexpected error, because what is committed already depends on the step.

        Raises:
            StartOver: the daemon's files were replaced.
        """
        self._waiting.pop(key, None)
        tries = max(0, failed - 1)
        return self._try(key, _WaitingStep(step=step, on_give_up=on_give_up, why="", must_end=must_end, tries=tries))

    def note(self, error: OSError | StorageError, *, can_take: bool = False) -> None:
        """Report a failure of something that the main loop repeats anyway: start nothing new for a while."""
        if self._examine():
            self._report(describe(error))
            self.can_take = can_take
        self._wait()

    def examine(self) -> bool:
        """Check now whether everything is writable; if not, `problem` gives the reason, and the check is repeated."""
        if self._examine():
            return True
        self._wait()
        return False

    def retry(self, *, at_once: bool = False) -> None:
        """Run the steps that wait, if their pause is over or `at_once`."""
        if self._next_try is None or (self._clock() < self._next_try and not at_once):
            return
        self._next_try = None
        if not self._examine():
            self._wait()
            return
        for key in list(self._waiting):
            if (waiting := self._waiting.pop(key, None)) is not None:  # else an earlier step has completed it
                self._try(key, waiting)
        if self._next_try is None:
            self._pause, self._tries = _PAUSE, 0

    def next_try(self) -> float | None:
        """The time, by the clock, at which `retry` next has something to do; None if no step waits."""
        return self._next_try

    def sweep(self) -> None:
        """Remove the probe files of a run that was killed during an examination."""
        for folder in (*self._probed(), self._folders.outbox.path):  # the last: by an older version
            with contextlib.suppress(OSError):
                _sweep(folder)

    @property
    def tries(self) -> int:
        """The number of failures in a row."""
        return self._tries

    @property
    def problem(self) -> str | None:
        """The path that cannot be written, or the steps that wait, in words; None if there is no problem."""
        if self.trouble is not None:
            return self.trouble
        if not self._waiting:
            return None
        return f"{len(self._waiting)} steps wait: {next(iter(self._waiting.values())).why}"

    # ---------------------------------------------------------------------------------------- below

    def _try(self, key: str, waiting: _WaitingStep) -> bool:
        if self._is_locked and self._next_try is not None:
            waiting.tries = max(waiting.tries, 1)
            waiting.why = self.trouble or ""
            self._waiting[key] = waiting
            return False
        try:
            waiting.step()
            return True
        except (OSError, StorageError) as error:
            waiting.tries += 1
            waiting.why = describe(error)
            self._is_locked = isinstance(error, LogLocked)
            if waiting.on_give_up and waiting.tries >= _TRIES and getattr(error, "errno", None) not in (None, *_PASSES):
                log.error("%s: given up: %s", key, waiting.why)
                last = functools.partial(waiting.on_give_up, error)
                return self._try(key, _WaitingStep(step=last, on_give_up=None, why=waiting.why))
            level = logging.WARNING if waiting.tries == 1 else logging.DEBUG
            log.log(level, "%s: %s It will be retried.", key, waiting.why)
            self._waiting[key] = waiting
            self._wait()
            if self.trouble is None and waiting.tries == 1:
                self._examine()
            return False
        except InboxdError:
            raise
        except Exception as error:  # error boundary of one step; at the first try, its owner handles it
            if waiting.must_end:
                self._wait_after(error, key, waiting)
                return False
            if waiting.tries == 0:
                raise
            log.exception("%s: unexpected error", key)
            if waiting.on_give_up is not None:
                waiting.on_give_up(error)
            return False

    def _wait_after(self, error: Exception, key: str, waiting: _WaitingStep) -> None:
        """Retry a step later, after an unexpected error, which is logged once."""
        why = f"{key}: internal error: inboxd retries. Its log has the details; please report it."
        if waiting.why != why:
            log.error("%s: unexpected error; it will be retried", key, exc_info=error)
        waiting.why, waiting.tries = why, waiting.tries + 1
        self._waiting[key] = waiting
        self._wait()

    def _probed(self) -> tuple[Path, ...]:
        return (self._folders.taken.path, self._folders.state, self._folders.outbox.staging)

    def _examine(self) -> bool:
        """Return True if everything is writable; otherwise `trouble` says what is not."""
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
            self._report(describe(error))
            return False
        self._report(None)
        return True

    def _wait(self) -> None:
        now = self._clock()
        if self._next_try is None:
            self._next_try = now + self._pause
            self._pause = min(2 * self._pause, _PAUSE_MAX)
            self._tries += 1

    def _report(self, trouble: str | None) -> None:
        if trouble != self.trouble:
            if trouble is not None:
                log.error("%s Work continues automatically once this is resolved.", trouble)
            else:
                log.warning("the job log and all folders are available again: work continues")
        self.trouble = trouble


def _shown(path: str) -> str:
    """Resolve a path through one of our descriptors for display (see `safe_folders.HeldFolder`)."""
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
    """Remove the files of an interrupted probe."""
    for name in _PROBES:
        (folder / name).unlink(missing_ok=True)


def describe(error: OSError | InboxdError) -> str:
    """Describe an error and how to fix it."""
    if isinstance(error, InboxdError):
        return f"{error.what} {error.fix}".strip()
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
