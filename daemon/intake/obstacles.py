"""Files that stay in the inbox because of an error.

inboxd cannot move a blocked file, and retries it after a pause. A file that was set aside caused an unexpected error;
inboxd retries it when it changes.
"""

import os
from pathlib import Path

from daemon.core.job import Entry
from daemon.files.disk_retry import describe
from daemon.files.inbox import Inbox
from daemon.intake.left_files import LeftFiles
from daemon.intake.move_errors import explain_move_error, permissions
from daemon.intake.path_states import Agenda, Block, FileStates, SetAside
from daemon.intake.prerequisites import snapshot

_ERROR_PAUSE, _ERROR_PAUSE_MAX = 0.5, 4.0  # seconds until the next try: doubled after each failure, up to the maximum
_OBSTACLE_PAUSE_MAX = 300.0  # seconds: the maximum where a person must change something in the inbox first
_SET_ASIDE_PAUSE = 5.0  # seconds between checks whether a file that was set aside has changed
PAUSE_PER_LEFT = 0.001  # seconds per file left in the inbox: the minimum pause between checks of one of them


def error_pause(failures: int, left: int, longest: float = _ERROR_PAUSE_MAX) -> float:
    """Seconds until the next try. `failures`: tries so far; `left`: number of files left in the inbox, which lengthens
    the pause; `longest`: maximum in seconds for a few files.
    """
    return max(min(_ERROR_PAUSE * 2.0 ** min(failures - 1, 20), longest), PAUSE_PER_LEFT * left)


class Obstacles:
    """The blocked files and those that were set aside. Called by the main thread only; `now` is monotonic seconds."""

    def __init__(self, inbox: Inbox, states: FileStates, checks: Agenda, left: LeftFiles):
        self._inbox = inbox
        self._states = states
        self._checks = checks
        self._left = left

    def block(self, path: Path, error: OSError, now: float) -> None:
        """Leave a file that cannot be checked or taken, and retry after a pause."""
        why = explain_move_error(self._inbox, path, error)
        self._left.report(path, f"it cannot be taken: {why or describe(self._without_job(error))}")
        state = self._states.of(path)
        state.failures += 1
        if why is None:
            self._checks.set(path, now + error_pause(state.failures, len(self._left)))
            return
        until = now + error_pause(state.failures, len(self._left), _OBSTACLE_PAUSE_MAX)
        state.block = Block(until=until, permissions=permissions(self._inbox, path))
        self._checks.set(path, min(until, now + self._look_pause))

    def _without_job(self, error: OSError) -> OSError:
        """Replace a path below .taken in an error by .taken itself: its job id would differ at each try."""
        names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
        if any(Path(name).is_relative_to(self._inbox.taken) for name in names):
            return OSError(error.errno, error.strerror, str(self._inbox.own.place))
        return error

    def set_aside(self, path: Path, entry: Entry | None, error: Exception, why: str) -> None:
        """Leave a file that caused an error until it changes. `entry`: its state at that time."""
        self._checks.remove(path)
        self._left.report(path, why, error)
        before = None if entry is None else snapshot(self._inbox, entry)
        self._states.of(path).set_aside = SetAside(snapshot=before)
        if entry is not None:
            self._checks.set(path, 0.0)

    def is_set_aside(self, entry: Entry, now: float) -> bool:
        """True if a file that was set aside has not changed; the next check of it is then scheduled."""
        state = self._states.of(entry.path)
        if state.set_aside is None:
            return False
        before = state.set_aside.snapshot
        if before is not None and before == snapshot(self._inbox, entry):
            self._checks.set(entry.path, now + self._look_pause)
            return True
        state.set_aside = None
        if before is not None:
            self._left.clear(entry.path)
        return False

    def is_blocked(self, path: Path, now: float) -> bool:
        """True if a file was blocked, its pause is not over and its permissions have not changed; the next check of it
        is then scheduled.
        """
        state = self._states.of(path)
        if state.block is None:
            return False
        is_changed = state.block.permissions != permissions(self._inbox, path)
        if now < state.block.until and not is_changed:
            self._checks.set(path, min(state.block.until, now + self._look_pause))
            return True
        state.block = None
        if is_changed:
            state.failures = 0
        self._checks.remove(path)
        return False

    @property
    def _look_pause(self) -> float:
        """Seconds between checks of a file that a person must correct first; longer if there are many such files."""
        return max(_SET_ASIDE_PAUSE, PAUSE_PER_LEFT * len(self._left))
