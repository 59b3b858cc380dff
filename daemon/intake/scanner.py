"""Scans the folders of the inbox, when a hint or the timetable asks for it.

Hints only say where to look. An unexpected error in a folder affects that folder only.
"""

import collections
import time
from collections.abc import Callable
from pathlib import Path

from daemon.config.settings import Settings
from daemon.core.errors import InboxdError
from daemon.core.job import Entry
from daemon.core.messages import LookAt
from daemon.core.names import SIDECAR_SUFFIXES
from daemon.files.disk_retry import describe
from daemon.files.layout import Layout
from daemon.intake.overrides import FOLDER_FILE
from daemon.intake.readiness import DRAIN_TRIES, LOOK_SECONDS, PendingFiles
from daemon.intake.settling import is_ignored
from daemon.intake.state import Agenda, FolderState
from daemon.intake.watcher import Watcher

_SCAN_PAUSE = 3.0  # a folder rests for this multiple of the duration of its last scan
_UNEXPECTED = "Internal error in this folder (see the log). inboxd retries periodically."


class Scanner:
    """Called by the main thread only; `now` is monotonic seconds. `settings` returns the current settings."""

    def __init__(self, settings: Callable[[], Settings], layout: Layout, watcher: Watcher, files: PendingFiles):
        self._settings = settings
        self._layout = layout
        self._inbox = layout.inbox
        self._watcher = watcher
        self._files = files
        self._folders: dict[Path, FolderState] = {}
        self._scans = Agenda()
        self._unscanned = 0  # folders that the last step had no time for

    def look_everywhere(self, now: float) -> None:
        """Scan the whole inbox at the next step."""
        self._scans.set(self._inbox.path, now)
        for state in self._folders.values():
            state.rests_until = 0.0
        self._folders = {folder: state for folder, state in self._folders.items() if state != FolderState()}

    def look_at(self, hint: LookAt, now: float) -> None:
        """Scan a folder, or look at a file, at the next step."""
        if not hint.folder.is_relative_to(self._inbox.path):
            self._scans.add(self._inbox.path, now)  # the inbox itself was removed or moved
        elif any(is_ignored(part) for part in hint.folder.relative_to(self._inbox.path).parts):
            return
        elif hint.name is None:
            self._scans.add(hint.folder, now)
            if hint.complete:
                self._state(hint.folder).is_moved_in = True
        elif not is_ignored(hint.name):
            self._files.hint(hint.folder / hint.name, now, complete=hint.complete)

    def step(self, now: float) -> None:
        """Scan the folders that are due and those below, the longest due first; the rest in the next step."""
        until = time.monotonic() + LOOK_SECONDS
        due = collections.deque(self._scans.due(now))
        try:
            while due:
                due.extend(self._scan_unless_resting(due.popleft(), now))
                if time.monotonic() >= until:
                    break
        finally:
            self._unscanned = len(due)
            for folder in due:
                self._scans.add(folder, now)

    def next_scan(self, now: float) -> float | None:
        """Seconds until `step` has something to do; None: not before a hint."""
        return self._scans.seconds_left(now)

    @property
    def is_scanning(self) -> bool:
        """True if folders are due to be scanned that `step` had no time for."""
        return self._unscanned > 0

    @property
    def is_quiet(self) -> bool:
        """True if no folder is to be scanned, except folders that a drain need not wait for."""
        return not any(self._awaits(folder) for folder in self._scans.paths())

    def _awaits(self, folder: Path) -> bool:
        state = self._folders.get(folder)
        return folder not in self._files.left.reasons or (state is not None and 0 < state.failures < DRAIN_TRIES)

    def _state(self, folder: Path) -> FolderState:
        return self._folders.setdefault(folder, FolderState())

    def _scan_unless_resting(self, folder: Path, now: float) -> list[Path]:
        """Scan a folder; return its subfolders."""
        state = self._state(folder)
        if state.rests_until > now:
            self._scans.set(folder, state.rests_until)
            return []
        self._scans.remove(folder)
        try:
            return self._scan(folder, state, now)
        except (OSError, InboxdError):
            raise
        except Exception as error:  # error boundary of one folder
            self._files.left.report(folder, _UNEXPECTED, error)
            self._scans.set(folder, now + self._settings().schedule.rescan)
            return []

    def _scan(self, folder: Path, state: FolderState, now: float) -> list[Path]:
        """Look at each file of a folder; return its subfolders, which are to be scanned next."""
        is_moved_in, state.is_moved_in = state.is_moved_in, False
        self._watcher.watch(folder)  # before the scan: what comes after it gives a hint
        started = time.monotonic()
        try:
            entries, subfolders, others = self._inbox.scan(folder)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                self._files.left.report(folder, f"it cannot be read: {describe(error)}")
                state.failures += 1
                self._scans.set(folder, now + self._files.error_pause(state.failures))
                return []
            if folder == self._inbox.path:
                self._layout.check()
            entries, subfolders, others = [], [], []
        self._files.left.clear(folder)
        state.failures = 0
        subfolders = [subfolder for subfolder in subfolders if not is_ignored(subfolder.name)]
        if is_moved_in:
            for subfolder in subfolders:
                self._state(subfolder).is_moved_in = True
        self._look_at_files(folder, entries, others, now, is_moved_in=is_moved_in)
        state.rests_until = now + _SCAN_PAUSE * (time.monotonic() - started)
        return subfolders

    def _look_at_files(
        self, folder: Path, entries: list[Entry], others: list[Path], now: float, *, is_moved_in: bool
    ) -> None:
        for path in self._files.seen_in(folder) - {entry.path for entry in entries}:
            self._files.forget(path)
        entries = [entry for entry in entries if not is_ignored(entry.path.name)]
        for entry in entries:
            if is_moved_in:
                self._files.renamed_in(entry.path)
            self._files.guard(self._files.consider, entry, now, path=entry.path, entry=entry)
        sidecars = [entry.path for entry in entries if entry.path.name.endswith(SIDECAR_SUFFIXES)]
        for path in (*others, *sidecars, folder / FOLDER_FILE):
            if path.name == FOLDER_FILE or not is_ignored(path.name):
                self._files.guard(self._files.review, path, path=path)
