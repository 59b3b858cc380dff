"""When has a file stopped changing? Only differences between looks count, never the file's own times.

Pure: paths, fingerprints and the time are passed in, so neither a clock step nor an mtime in the future can hold a file
back. Who looks, and when, is `service`'s; whether a writer still has the file open is `folders`'s.
"""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

MIN_PAUSE = 0.05  # seconds; `next_look` never asks for less, so that no caller can be made to spin

Fingerprint = tuple[int, int, int, int]  # inode, size in bytes, mtime_ns, ctime_ns

_TEMPORARY_SUFFIXES = (
    ".part",  # Firefox, KDE, wget-like tools
    ".partial",  # Edge, rsync --partial-dir
    ".crdownload",  # Chromium
    ".download",  # Safari
    ".opdownload",  # Opera
    ".filepart",  # WinSCP
    ".aria2",  # aria2's control file
    ".!ut",  # µTorrent
    ".tmp",
    ".temp",
    ".swp",  # vim
    ".lock",
    "~",  # backups of Emacs, gedit, vim
)
_TEMPORARY_PREFIXES = (
    ".",  # hidden: also .syncthing.NAME.tmp, rsync's .NAME.XXXXXX, LibreOffice's .~lock.NAME#
    "~$",  # the owner files of Office
    "~syncthing~",  # Syncthing on Windows
)
_NAMES_OF_DESKTOPS = {"thumbs.db", "desktop.ini"}


def is_ignored(name: str) -> bool:
    """True for a name that is never a drop, upper or lower case: hidden (a leading dot), the temporary name of a
    program that is still writing (see the tables above, and GLib's ".goutputstream-"), or a desktop's own file."""
    name = name.lower()
    return (
        name.startswith(_TEMPORARY_PREFIXES)
        or name.endswith(_TEMPORARY_SUFFIXES)
        or name in _NAMES_OF_DESKTOPS
        or ".goutputstream-" in name
    )


@dataclass(kw_only=True, slots=True)
class _Seen:
    """What the looks at one path have shown."""

    fingerprint: Fingerprint | None = None  # of the last look; None: only hinted at
    changed_at: float = 0.0  # the look that first saw this fingerprint
    complete: bool = False  # a hint said so, and no look has found a change since the one that followed it
    settled: bool = False  # `ready` has said so: nothing is left to wait for


class Settling:
    """The paths in sight that may still be written, and how long each has been still. One thread only.

    Times are monotonic seconds. Only looks tell of changes, so the caller takes one more before it takes the file.
    """

    def __init__(self, settle_seconds: float):
        self._settle_seconds = settle_seconds
        self._folders: dict[str, dict[str, _Seen]] = {}  # by folder, so that a folder's pass costs only its own files

    def see(self, path: Path, fingerprint: Fingerprint, now: float) -> None:
        """Record a look at `path`."""
        seen = self._entry(path)
        if seen.fingerprint is None:
            seen.fingerprint, seen.changed_at = fingerprint, now
        elif seen.fingerprint != fingerprint:
            seen.fingerprint, seen.changed_at, seen.complete, seen.settled = fingerprint, now, False, False
        seen.changed_at = min(seen.changed_at, now)  # a clock that stepped back must not prolong the wait

    def complete(self, path: Path) -> None:
        """Note a hint that `path` is whole: it was renamed in, or its writer closed it.

        To be called after the look that the hint led to: it holds until a look finds a change. Before the first look
        it holds from that look on.
        """
        self._entry(path).complete = True

    def ready(self, path: Path, now: float) -> bool:
        """True if no look has found `path` changed for `settle_seconds`, or since a hint that it is complete."""
        folder, name = os.path.split(path)
        seen = self._folders.get(folder, {}).get(name)
        if seen is None or seen.fingerprint is None:
            return False
        seen.changed_at = min(seen.changed_at, now)
        seen.settled = seen.complete or now - seen.changed_at >= self._settle_seconds
        return seen.settled

    def forget(self, path: Path) -> None:
        """Drop what is known of one path: it was taken, or is gone."""
        folder, name = os.path.split(path)
        names = self._folders.get(folder, {})
        names.pop(name, None)
        if not names:
            self._folders.pop(folder, None)

    def forget_missing(self, folder: Path, seen_names: Collection[str]) -> None:
        """Drop all paths directly in `folder` that are not in `seen_names`; with none of them, the folder itself."""
        names = self._folders.get(str(folder), {})
        for name in names.keys() - set(seen_names):
            del names[name]
        if not names:
            self._folders.pop(str(folder), None)

    def next_look(self, now: float) -> float | None:
        """Seconds until `ready` is to be asked again about the earliest path that has not settled; None if all have.

        A path once `ready` is not waited for: whoever cannot take it yet knows for what. At least `MIN_PAUSE`, and at
        most `settle_seconds` (or `MIN_PAUSE`).
        """
        waiting = (seen for names in self._folders.values() for seen in names.values() if not seen.settled)
        earliest = min((seen.changed_at for seen in waiting if seen.fingerprint is not None), default=None)
        if earliest is None:
            return None
        return max(MIN_PAUSE, min(earliest + self._settle_seconds - now, self._settle_seconds))

    def _entry(self, path: Path) -> _Seen:
        folder, name = os.path.split(path)
        names = self._folders.get(folder)
        if names is None:
            names = self._folders[folder] = {}
        seen = names.get(name)
        if seen is None:
            seen = names[name] = _Seen()
        return seen
