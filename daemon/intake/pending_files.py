"""Decides which files in the inbox are complete, and which are left there, set aside or blocked.

An unexpected error in a file or its sidecars affects that file only: it stays in the inbox, with the reason in `left`,
and is retried once it or one of its sidecars changes.
"""

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from daemon.config.current import CurrentSettings
from daemon.config.settings import Settings
from daemon.core import regular_files
from daemon.core.errors import InboxdError
from daemon.core.job import Entry
from daemon.core.names import SIDECAR_SUFFIXES
from daemon.files.inbox import Inbox
from daemon.intake.filetype import Content
from daemon.intake.ignored_names import ignore_patterns
from daemon.intake.left_files import LeftFiles
from daemon.intake.obstacles import PAUSE_PER_LEFT, Obstacles
from daemon.intake.options_files import why_untrusted
from daemon.intake.overrides import Choice
from daemon.intake.path_states import Agenda, FileStates
from daemon.intake.prerequisites import Prerequisites
from daemon.intake.refused_files import RefusedFiles
from daemon.intake.settling import Settling

CHECK_SECONDS = 0.25  # per step for each kind of check and for scans: a large inbox must not delay other work
_HINT_PAUSE = 0.1  # seconds: `install`, wget and copy2 of Python close a file, then set its mode by name
_WRITER_PAUSE = 1.0  # seconds until a file that a writer has open is checked again
_SHORT_PAUSE = 0.05  # seconds until a check that came a rounding error too early is repeated
DRAIN_TRIES = 4  # failures of a file, after which `inboxd run --drain` no longer waits for it
UNEXPECTED = "Internal error (see the log). inboxd retries when this file or one of its sidecars changes."


class Ready(NamedTuple):
    """A complete file, to be taken in this step or soon."""

    entry: Entry
    since: float  # monotonic seconds


class PendingFiles:
    """The files in the inbox that have not been taken. Called by the main thread only; `now` is monotonic seconds."""

    def __init__(self, settings: CurrentSettings, inbox: Inbox):
        self._settings = settings
        self._inbox = inbox
        self._settling = Settling(settings.value.settle_seconds)
        self._prerequisites = Prerequisites(settings, inbox)
        self._states = FileStates()
        self._checks = Agenda()
        self._ready: dict[Path, Ready] = {}  # in the order in which they are to be taken
        self.left = LeftFiles(inbox.path)
        self._refused = RefusedFiles(inbox, self._states, self.left)
        self._obstacles = Obstacles(inbox, self._states, self._checks, self.left)

    def apply(self, settings: Settings) -> None:
        self._settling.settle_seconds = settings.settle_seconds

    def check_all(self, now: float) -> None:
        """Check refused files, which no folder scan finds, and files whose state was unknown when they
        caused an error.
        """
        self._refused.review_all()
        for path, state in self._states:
            if state.set_aside is not None and state.set_aside.snapshot is None:
                self._checks.set(path, now)

    def retry_blocked(self, now: float) -> None:
        """Try again now to take the blocked files."""
        for path, state in self._states:
            if state.block is not None:
                state.block = None
                self._checks.set(path, now)

    def hint(self, path: Path, now: float, *, complete: bool) -> None:
        """Note that something changed at `path`. `complete`: a file was renamed to it, and is therefore complete."""
        if complete:
            self.renamed_in(path)
            self._checks.set(path, now)
            return
        self.not_renamed_in(path)
        self._settling.stir(path, now)
        self._checks.set(path, now + min(_HINT_PAUSE, self._settings.value.settle_seconds))

    def renamed_in(self, path: Path) -> None:
        """Note that the file was renamed into the folder, so that it is complete at the next check."""
        self._states.of(path).is_renamed_in = True

    def not_renamed_in(self, path: Path) -> None:
        if state := self._states.get(path):
            state.is_renamed_in = False

    def step(self, now: float) -> None:
        """Check the files that are due, the longest due first; the rest in the next step."""
        until = time.monotonic() + CHECK_SECONDS
        for path in self._checks.due(now):
            if path in self._checks:  # the check of another file may have removed it
                with self._inbox.holding():
                    self.guard(self._check, path, now, path=path)
            if time.monotonic() >= until:
                return

    def step_reviews(self) -> None:
        """Check whether refused files are still there; the rest in the next step."""
        until = time.monotonic() + CHECK_SECONDS
        while (path := self._refused.next_due()) is not None:
            self.guard(self._refused.review, path, path=path)
            if time.monotonic() >= until:
                return

    def next_check(self, now: float) -> float | None:
        """Seconds until a step has something to do; None: not before a hint."""
        return 0.0 if self._refused.has_due else self._checks.seconds_left(now)

    def guard(self, step: Callable[..., None], *arguments: object, path: Path, entry: Entry | None = None) -> None:
        """Error boundary of one file: an unexpected error affects only that file."""
        try:
            step(*arguments)
        except InboxdError:  # a disk failed, or the daemon must start over
            raise
        except Exception as error:
            self.set_aside(path, entry, error)

    @property
    def unclaimed(self) -> list[Entry]:
        """The files that were seen and have not been taken, including those that are `left`."""
        return [state.entry for path, state in self._states if state.entry is not None and path.name[0] != "."]

    def awaits(self, path: Path) -> bool:
        """True if `inboxd run --drain` must wait for this file: it is not left in the inbox, has failed only a few
        times, or still waits for a sidecar that may follow.
        """
        if path not in self.left.reasons:
            return True
        state = self._states.get(path)
        return state is not None and (0 < state.failures < DRAIN_TRIES or state.grace_since is not None)

    @property
    def is_quiet(self) -> bool:
        """True if no file needs a check, settles, or is ready, except files that a drain need not wait for."""
        return not self._ready and not any(self.awaits(path) for path in self._checks.paths())

    # ---------------------------------------------------------------------------------------- checks

    def seen_in(self, folder: Path) -> set[Path]:
        """The files of a folder that the last checks have found."""
        return self._states.seen_in(folder)

    def _check(self, path: Path, now: float) -> None:
        try:
            entry = self._inbox.entry(path)
        except OSError as error:
            self.cannot_take(path, error, now)
            return
        if entry is None:
            self.forget(path)
            self.review(path)
        else:
            self.consider(entry, now)

    def consider(self, entry: Entry, now: float) -> None:
        """After a check of a file, decide whether it is ready, or when to check it again."""
        path = entry.path
        if self.is_ignored(path):  # a pattern may be new
            self.forget(path)
            return
        state = self._states.of(path)
        if path.name.endswith(SIDECAR_SUFFIXES):
            if not state.is_refused:  # a refused sidecar keeps its reason
                self.forget(path)  # a sidecar is taken with its file
            return
        is_changed = state.entry != entry
        state.entry = entry
        self._ready.pop(path, None)
        if state.set_aside is not None and self._obstacles.is_set_aside(entry, now):
            return
        if state.block is not None and self._obstacles.is_blocked(path, now):
            return
        self._settling.see(path, (entry.inode, entry.size_bytes, entry.mtime_ns, entry.ctime_ns), now)
        if state.is_renamed_in:
            state.is_renamed_in = False
            self._settling.complete(path)
        if not is_changed and self._checks.is_later(path, now):
            return
        if not self._settling.ready(path, now):
            self._checks.set(path, now + max(_SHORT_PAUSE, self._settling.seconds_left(path, now)))
        elif state.is_returning or self._is_written(path):
            self._checks.set(path, now + _WRITER_PAUSE)
        else:
            self._ready[path] = Ready(entry, now)
            self._checks.remove(path)

    def is_ignored(self, path: Path) -> bool:
        """True if a pattern of `[inbox] ignore` matches a path in the inbox, or a folder that holds it."""
        patterns = ignore_patterns(self._settings.value.ignore)
        return patterns is not None and patterns.match(path.relative_to(self._inbox.path))

    def _is_written(self, path: Path) -> bool:
        try:
            with self._inbox.opened(path.parent) as folder:
                return bool(regular_files.writer_has(path, folder))
        except OSError:  # `take` reports it
            return False

    def review(self, path: Path) -> None:
        """See `RefusedFiles.review`."""
        self._refused.review(path)

    def forget(self, path: Path) -> None:
        """Forget a file that was taken or is gone."""
        self._checks.remove(path)
        self._ready.pop(path, None)
        self.left.clear(path)
        self._states.forget(path)
        self._settling.forget(path)

    # ---------------------------------------------------------------------------------------- errors

    def cannot_take(self, path: Path, error: OSError, now: float) -> None:
        """Leave a file that cannot be checked or taken, and retry after a pause."""
        self._obstacles.block(path, error, now)

    def set_aside(self, path: Path, entry: Entry | None, error: Exception, why: str = UNEXPECTED) -> None:
        """Leave a file that caused an error until it changes. `entry`: its state at that time."""
        self._ready.pop(path, None)
        self._obstacles.set_aside(path, entry, error, why)

    # ---------------------------------------------------------------------------------------- for the claimer

    @property
    def has_ready(self) -> bool:
        return bool(self._ready)

    def first_ready(self, count: int) -> list[Ready]:
        """The first complete files, in the order in which they are to be taken."""
        return list(itertools.islice(self._ready.values(), count))

    def claim(self, ready: Ready, now: float) -> bool:
        """Remove a complete file from the ready ones, for the caller to take; False: it is no longer complete.

        A file that was found ready in an earlier step is checked again first, because it may have changed since.
        """
        entry = ready.entry
        self._ready.pop(entry.path, None)
        if ready.since >= now:
            return True
        self._checks.set(entry.path, now)
        self.guard(self._check, entry.path, now, path=entry.path, entry=entry)
        return self._ready.pop(entry.path, None) == Ready(entry, now)

    def own_sidecars(self, path: Path) -> list[Entry]:
        """The sidecars of a file that inboxd uses (see `options_files.why_untrusted`). Reports the ignored ones."""
        own = []
        for sidecar in self._inbox.sidecars(path):
            if why_untrusted(self._inbox, sidecar.path):
                self.review(sidecar.path)
            else:
                own.append(sidecar)
        return own

    def choose(self, path: Path, content: Content, sidecars: list[Entry], now: float) -> Choice | None:
        """Choose the recipe and options of a complete file. None: the file waits for something, such as its prompt, and
        its next check is scheduled.

        Raises:
            OSError: a sidecar or options file cannot be read.
        """
        found = self._prerequisites.check(path, self._states.of(path), content, sidecars, now)
        if isinstance(found, Choice):
            return found
        self.left.report(path, found)
        pause = max(self._settings.value.settle_seconds, _WRITER_PAUSE, PAUSE_PER_LEFT * len(self.left))
        self._checks.set(path, now + pause)
        return None

    def check_again(self, path: Path, now: float) -> None:
        """Forget what is known about a file, and schedule a check of it soon."""
        self.forget(path)
        self._checks.set(path, now + _SHORT_PAUSE)

    def returning(self, path: Path) -> None:
        """Note that a taken file is about to return to `path`."""
        self._states.of(path).is_returning = True

    def returned(self, path: Path) -> None:
        """Note that a taken file is back at `path`."""
        self._states.of(path).is_returning = False
        self._checks.set(path, 0.0)
