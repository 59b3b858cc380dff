"""Decides when a file has stopped changing, by comparing its metadata from check to check.

Pure: the caller passes paths, fingerprints and the time. File times are only compared with each other, never with a
clock, so neither a clock step nor an mtime in the future can delay a file. `pending_files` does the checks, and tests
whether a writer still has the file open.
"""

from dataclasses import dataclass
from pathlib import Path

Fingerprint = tuple[int, int, int, int]  # inode, size in bytes, mtime_ns, ctime_ns
_SIZE = 1


@dataclass(kw_only=True, slots=True)
class _Seen:
    """The results of the checks of one path."""

    fingerprint: Fingerprint | None = None  # of the last check; None: no check yet, only a hint
    changed_at: float = 0.0  # when a check first saw this fingerprint
    complete: bool = False  # it was renamed in and has not changed since the first check after that


class Settling:
    """The files that a program may still be writing, and since when each is unchanged. One thread only.

    Times are monotonic seconds. Only checks detect changes, so the caller checks the file once more before it takes it.
    """

    def __init__(self, settle_seconds: float):
        self.settle_seconds = settle_seconds
        self._seen: dict[Path, _Seen] = {}

    def see(self, path: Path, fingerprint: Fingerprint, now: float) -> None:
        """Record a check of `path`."""
        seen = self._seen.setdefault(path, _Seen())
        if seen.fingerprint is None:
            seen.fingerprint, seen.changed_at = fingerprint, now
        elif seen.fingerprint != fingerprint:
            seen.fingerprint, seen.changed_at, seen.complete = fingerprint, now, False
        seen.changed_at = min(seen.changed_at, now)  # a clock that stepped back must not prolong the wait

    def complete(self, path: Path) -> None:
        """Record that a file was renamed to `path`, and is therefore complete until a check finds a change.

        Call it after the check that the hint caused. If there was none yet, the first check does not count as a change.
        """
        self._seen.setdefault(path, _Seen()).complete = True

    def stir(self, path: Path, now: float) -> None:
        """Record a hint that `path` is being written: it was created, or a writer closed it and may reopen it.

        The settle time starts again even if the metadata is unchanged: within one tick of the kernel's clock, a write
        may change neither the size nor the times.
        """
        seen = self._seen.get(path)
        if seen is not None and seen.fingerprint is not None:
            seen.changed_at, seen.complete = now, False

    def seconds_left(self, path: Path, now: float) -> float:
        """Seconds until `path` is ready if nothing changes; 0: it is ready; `settle_seconds` before the first check.

        A hint never makes an empty file complete: many programs first create the file, and reopen it to write to it.
        """
        seen = self._seen.get(path)
        if seen is None or seen.fingerprint is None:
            return self.settle_seconds
        seen.changed_at = min(seen.changed_at, now)
        is_complete = seen.complete and seen.fingerprint[_SIZE] > 0
        return 0.0 if is_complete else max(0.0, seen.changed_at + self.settle_seconds - now)

    def ready(self, path: Path, now: float) -> bool:
        """True if no check has found `path` changed for `settle_seconds`, or since a hint that it is complete."""
        seen = self._seen.get(path)
        return seen is not None and seen.fingerprint is not None and self.seconds_left(path, now) <= 0

    def forget(self, path: Path) -> None:
        """Forget one path: it was taken, or is gone."""
        self._seen.pop(path, None)
