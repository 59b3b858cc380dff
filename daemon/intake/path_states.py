"""The state of each path in the inbox, and when to check it again. Pure: no I/O, no clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.config.settings import Settings
from daemon.core.job import Entry

# Inode, size in bytes and mtime_ns of a file and of each file that may belong to it; None: it does not exist.
Snapshot = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SetAside:
    """A file caused an error: it is left until it changes."""

    snapshot: Snapshot | None  # at that time; None: unknown


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A file cannot be moved out of the inbox."""

    until: float  # monotonic seconds: the next try, unless the permissions change first
    permissions: object  # of the file and its folder at that time; see `move_errors.permissions`


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """The options of a file are wrong."""

    snapshot: Snapshot  # of the files they were read from
    sidecars: tuple[Entry, ...]
    settings: Settings  # with which the options were checked
    why: str  # the message for the person who wrote the options


@dataclass(kw_only=True, slots=True)
class FileState:
    """The state of one path in the inbox that is not a folder."""

    entry: Entry | None = None  # at the last check; None: not seen yet, or not a file to be taken
    is_renamed_in: bool = False  # complete at the next check
    is_returning: bool = False  # taken, and on its way back: a sidecar may still be in .taken
    is_refused: bool = False  # never taken as it is (a link, say), or ignored
    failures: int = 0  # how often it could not be checked or taken
    grace_since: float | None = None  # complete; since then it waits for a sidecar that may follow
    set_aside: SetAside | None = None
    block: Block | None = None
    mistake: Mistake | None = None


@dataclass(kw_only=True, slots=True)
class FolderState:
    """The state of one folder of the inbox."""

    rests_until: float = 0.0  # monotonic seconds: no scan before this time
    is_moved_in: bool = False  # it was renamed in: what the next scan finds in it is complete
    failures: int = 0  # how often it could not be read
    ignored: int = 0  # entries that its last scan ignored, without hidden ones


class FileStates:
    """The state of each path about which something is known, by folder."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[Path, FileState]] = {}

    def __iter__(self) -> Iterator[tuple[Path, FileState]]:
        for files in self._folders.values():
            yield from files.items()

    def get(self, path: Path) -> FileState | None:
        return self._folders.get(path.parent, {}).get(path)

    def of(self, path: Path) -> FileState:
        """The state of a path, for the caller to change; created if there is none."""
        folder = path.parent
        files = self._folders.get(folder)
        if files is None:
            files = self._folders[folder] = {}
        state = files.get(path)
        if state is None:
            state = files[path] = FileState()
        return state

    def seen_in(self, folder: Path) -> set[Path]:
        """The files of a folder that the last checks have found."""
        return {path for path, state in self._folders.get(folder, {}).items() if state.entry is not None}

    def discard_empty(self, path: Path) -> None:
        """Remove the state of a path if it contains no information."""
        if self.get(path) == FileState():
            self.forget(path)

    def forget(self, path: Path) -> None:
        """Forget the results of checks. Remember only that the path is refused, or that its file is about to return."""
        files = self._folders.get(path.parent, {})
        old = files.pop(path, None)
        if old is not None and (old.is_refused or old.is_returning):
            set_aside = old.set_aside if old.is_returning else None
            files[path] = FileState(is_refused=old.is_refused, is_returning=old.is_returning, set_aside=set_aside)
        if not files:
            self._folders.pop(path.parent, None)


class Agenda:
    """Paths, and when each is due (monotonic seconds)."""

    def __init__(self) -> None:
        self._due: dict[Path, float] = {}

    def __contains__(self, path: Path) -> bool:
        return path in self._due

    def paths(self) -> set[Path]:
        return set(self._due)

    def set(self, path: Path, at: float) -> None:
        self._due[path] = at

    def add(self, path: Path, at: float) -> None:
        """Schedule a path at `at`, unless it is scheduled already."""
        self._due.setdefault(path, at)

    def remove(self, path: Path) -> None:
        self._due.pop(path, None)

    def is_later(self, path: Path, now: float) -> bool:
        """True if the path is scheduled and not due yet."""
        return self._due.get(path, now) > now

    def due(self, now: float) -> list[Path]:
        """The paths that are due, the longest due first."""
        return sorted((path for path, at in self._due.items() if at <= now), key=self._due.__getitem__)

    def seconds_left(self, now: float) -> float | None:
        """Seconds until the next path is due; None: there is none."""
        earliest = min(self._due.values(), default=None)
        return None if earliest is None else max(0.0, earliest - now)
