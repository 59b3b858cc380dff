"""Scans the folders of the inbox, when a hint or the timetable asks for it.

A hint only names a file or folder to check. An unexpected error in a folder affects that folder only.
"""

import collections
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from daemon.config.current import CurrentSettings
from daemon.core.errors import InboxdError
from daemon.core.messages import Hint
from daemon.core.names import SIDECAR_SUFFIXES
from daemon.files.disk_retry import describe
from daemon.files.folders import Folders
from daemon.files.inbox import Found
from daemon.intake.ignored_names import is_ignored
from daemon.intake.obstacles import error_pause
from daemon.intake.options_files import FOLDER_FILE
from daemon.intake.path_states import Agenda, FolderState
from daemon.intake.pending_files import CHECK_SECONDS, DRAIN_TRIES, PendingFiles
from daemon.intake.watcher import Watcher

_SCAN_PAUSE = 3.0  # after a scan, the folder is not scanned again for this multiple of the scan's duration
_FILES_AT_ONCE = 100  # of a folder, before the time is checked; about 10 ms
_UNEXPECTED = "Internal error in this folder (see the log). inboxd retries periodically."


@dataclass(kw_only=True)
class _Scan:
    """The scan of one folder, which may take several steps."""

    folder: Path
    found: Iterator[Found]
    unseen: set[Path]  # files that earlier checks have found, and this scan has not
    is_moved_in: bool
    subfolders: list[Path] = field(default_factory=list)
    seconds: float = 0.0  # spent on it so far
    is_resumed: bool = False  # the scan took several steps, with other work between them
    ignored: int = 0  # files and folders that are not hidden, but ignored


class Scanner:
    """Scans folders step by step. Called by the main thread only; `now` is monotonic seconds."""

    def __init__(self, settings: CurrentSettings, folders: Folders, watcher: Watcher, files: PendingFiles):
        self._settings = settings
        self._folders = folders
        self._inbox = folders.inbox
        self._watcher = watcher
        self._files = files
        self._states: dict[Path, FolderState] = {}
        self._scans = Agenda()
        self._scan: _Scan | None = None  # that the last step had no time to complete
        self._unscanned = 0  # folders that the last step had no time for

    def check_all(self, now: float) -> None:
        """Scan the whole inbox at the next step."""
        self._scans.set(self._inbox.path, now)
        for state in self._states.values():
            state.rests_until, state.ignored = 0.0, 0
        self._states = {folder: state for folder, state in self._states.items() if state != FolderState()}

    def on_hint(self, hint: Hint, now: float) -> None:
        """Scan a folder, or check a file, at the next step."""
        if not hint.folder.is_relative_to(self._inbox.path):
            self._scans.add(self._inbox.path, now)  # the inbox itself was removed or moved
        elif self._is_in_ignored(hint.folder):
            return
        elif hint.name is None:
            self._scans.add(hint.folder, now)
            if hint.complete:
                self._state(hint.folder).is_moved_in = True
        elif not is_ignored(hint.name):
            self._files.hint(hint.folder / hint.name, now, complete=hint.complete)

    def step(self, now: float) -> None:
        """Scan the folders that are due and those below, the longest due first; the rest in the next step."""
        until = time.monotonic() + CHECK_SECONDS
        due = collections.deque(self._scans.due(now))
        try:
            while self._scan is not None or due:
                scan = self._scan or self._begin(due.popleft(), now)
                self._scan = None
                if scan is not None and not self._advance(scan, now):
                    self._scan = scan
                elif scan is not None:
                    due.extend(scan.subfolders)
                if time.monotonic() >= until:
                    break
        finally:
            self._unscanned = len(due)
            for folder in due:
                self._scans.add(folder, now)

    def next_scan(self, now: float) -> float | None:
        """Seconds until `step` has something to do; None: not before a hint."""
        return 0.0 if self._scan is not None else self._scans.seconds_left(now)

    @property
    def ignored(self) -> int:
        """The number of files and folders that the last scans ignored, without hidden ones."""
        return sum(state.ignored for state in self._states.values())

    @property
    def is_scanning(self) -> bool:
        """True if the last `step` had no time for some folders that are due."""
        return self._unscanned > 0 or self._scan is not None

    @property
    def is_quiet(self) -> bool:
        """True if no folder needs a scan, except folders that a drain need not wait for."""
        return self._scan is None and not any(self._awaits(folder) for folder in self._scans.paths())

    def _awaits(self, folder: Path) -> bool:
        state = self._states.get(folder)
        return folder not in self._files.left.reasons or (state is not None and 0 < state.failures < DRAIN_TRIES)

    def _state(self, folder: Path) -> FolderState:
        return self._states.setdefault(folder, FolderState())

    def _begin(self, folder: Path, now: float) -> _Scan | None:
        """Begin to scan a folder. None: it was scanned too recently, or an unexpected error occurred."""
        state = self._state(folder)
        if state.rests_until > now:
            self._scans.set(folder, state.rests_until)
            return None
        self._scans.remove(folder)
        is_moved_in, state.is_moved_in = state.is_moved_in, False
        try:
            self._watcher.watch(folder)  # before the scan, so that every later change causes a hint
        except (OSError, InboxdError):
            raise
        except Exception as error:  # error boundary of one folder
            self._give_up(folder, error, now)
            return None
        found = self._inbox.scan(folder)
        return _Scan(folder=folder, found=found, unseen=self._files.seen_in(folder), is_moved_in=is_moved_in)

    def _advance(self, scan: _Scan, now: float) -> bool:
        """Check the next files of a folder. True: the scan has ended."""
        started = time.monotonic()
        try:
            found = list(itertools.islice(scan.found, _FILES_AT_ONCE))
            with self._inbox.holding():
                for each in found:
                    self._look_at_one(scan, each, now)
        except FileNotFoundError:  # the files that were in it are gone
            if scan.folder == self._inbox.path:
                self._folders.check()
            found, scan.subfolders, scan.ignored = [], [], 0
        except OSError as error:
            self._files.left.report(scan.folder, f"it cannot be read: {describe(error)}")
            state = self._state(scan.folder)
            state.failures += 1
            self._scans.set(scan.folder, now + error_pause(state.failures, len(self._files.left)))
            scan.subfolders = []
            return True
        except InboxdError:
            raise
        except Exception as error:  # error boundary of one folder
            self._give_up(scan.folder, error, now)
            return True
        if has_ended := len(found) < _FILES_AT_ONCE:
            self._end(scan, now)
        scan.seconds += time.monotonic() - started
        if has_ended:
            self._state(scan.folder).rests_until = now + _SCAN_PAUSE * scan.seconds
        scan.is_resumed = True
        return has_ended

    def _is_in_ignored(self, folder: Path) -> bool:
        relative = folder.relative_to(self._inbox.path)
        return any(is_ignored(part) for part in relative.parts) or self._files.is_ignored(folder)

    def _look_at_one(self, scan: _Scan, found: Found, now: float) -> None:
        path, entry = found.path, found.entry
        scan.unseen.discard(path)
        if is_ignored(path.name) or self._files.is_ignored(path):
            scan.ignored += 1
            self._files.forget(path)  # the patterns may be new
            return
        if found.is_folder:
            scan.subfolders.append(path)
            return
        if entry is not None:
            if scan.is_moved_in:
                self._files.renamed_in(path)
            self._files.guard(self._files.consider, entry, now, path=path, entry=entry)
        if entry is None or path.name.endswith(SIDECAR_SUFFIXES):
            self._files.guard(self._files.review, path, path=path)

    def _end(self, scan: _Scan, now: float) -> None:
        """Forget the files that are gone. After a scan in several steps, check them again: a file may have come back
        between two steps.
        """
        for path in scan.unseen:
            if scan.is_resumed:
                self._files.check_again(path, now)
            else:
                self._files.forget(path)
        self._files.guard(self._files.review, scan.folder / FOLDER_FILE, path=scan.folder / FOLDER_FILE)
        self._files.left.clear(scan.folder)
        self._state(scan.folder).failures = 0
        self._state(scan.folder).ignored = scan.ignored
        for subfolder in scan.subfolders if scan.is_moved_in else ():
            self._state(subfolder).is_moved_in = True

    def _give_up(self, folder: Path, error: Exception, now: float) -> None:
        self._files.left.report(folder, _UNEXPECTED, error)
        self._scans.set(folder, now + self._settings.value.schedule.rescan)
