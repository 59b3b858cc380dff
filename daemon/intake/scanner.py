"""What lies in the inbox, and which of it is complete: hints, looks, scans, settling.

Hints say where to look; only looking shows what is there. An unexpected error in a file, its sidecars or its folder
affects that file only: it stays in the inbox, with the reason in `left`, and is retried once it or one of its sidecars
changes.
"""

import collections
import itertools
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daemon.config.settings import Settings
from daemon.core import durable
from daemon.core.errors import InboxdError
from daemon.core.job import Entry
from daemon.core.messages import LookAt
from daemon.core.names import (
    DONE_SUFFIX,
    MAX_SIDECAR_BYTES,
    OPTIONS_SUFFIX,
    SIDECAR_SUFFIXES,
    printable,
    printable_path,
)
from daemon.files.disk_retry import describe
from daemon.files.layout import Folders
from daemon.intake.filetype import Content
from daemon.intake.obstacles import obstacle, permissions
from daemon.intake.overrides import FOLDER_FILE, WrongOptions, choose, options_of, too_large, why_ignored
from daemon.intake.settling import DOWNLOAD_SUFFIXES, Settling, is_ignored
from daemon.intake.watcher import Watcher

log = logging.getLogger(__name__)

_HINT_PAUSE = 0.1  # seconds: `install`, wget and copy2 of Python close a file, then set its mode by name
_WRITER_PAUSE = 1.0  # seconds until a file that a writer has open is looked at again
_SHORT_PAUSE = 0.05  # seconds until a look that came a rounding error too early is repeated
_ERROR_PAUSE, _ERROR_PAUSE_MAX = 0.5, 4.0  # seconds until what failed is tried again; doubled each time
_OBSTACLE_PAUSE_MAX = 300.0  # the same where a person must change something in the inbox first
_DRAIN_TRIES = 4  # of a file that cannot be taken, before a drain ends without it
_LOOK_SECONDS = 0.25  # each for looks, scans and reasons in one step, so that a large inbox does not hold up all else
_SCAN_PAUSE = 3.0  # a folder rests for so many times the duration of its last scan
_SET_ASIDE_PAUSE = 5.0  # seconds between checks whether a file that was set aside has changed
UNEXPECTED = "Internal error (see the log). inboxd retries when this file or one of its sidecars changes."
_UNEXPECTED_FOLDER = "Internal error in this folder (see the log). inboxd retries periodically."


Ready = tuple[Entry, float]  # a complete file, and since when (monotonic seconds)


class Scanner:
    """The files in the inbox that have not been taken. Called by the main thread only; `now` is monotonic seconds.

    `settings` returns the current settings.
    """

    def __init__(self, settings: Callable[[], Settings], folders: Folders, watcher: Watcher):
        self._settings = settings
        self._folders = folders
        self._watcher = watcher
        self._settling = Settling(settings().settle_seconds)
        self._seen: dict[Path, dict[Path, Entry]] = {}  # by folder, the last look at each file
        self._complete: set[Path] = set()  # renamed in: complete at the next look
        self._moved_in: set[Path] = set()  # folders renamed in: what the next scan finds there is settled
        self._due: dict[Path, float] = {}  # file -> when to look at it again
        self._ready: dict[Path, tuple[Entry, float]] = {}  # complete, and since when: to be taken in this step or soon
        self._to_scan: dict[Path, float] = {}  # folder -> not before
        self._unscanned = 0  # folders that the last step had no time for
        self._rested: dict[Path, float] = {}  # folder -> when its rest after the last scan ends
        self._unreturned: set[Path] = set()  # half taken: a sidecar may still be in .taken
        self._failures: dict[Path, int] = {}  # how often a file could not be taken, or a folder not be read
        self._refused: set[Path] = set()  # what is left in the inbox for good
        self._to_review: dict[Path, None] = {}  # of these, in order: are the reasons still true?
        self._settled_at: dict[Path, float] = {}  # what waits for a sidecar
        self._aside: dict[Path, Any] = {}  # files that caused an error: `_likeness` at that time; None: unknown
        self._blocked: dict[
            Path, tuple[float, object]
        ] = {}  # what cannot be moved: not before, or `permissions` change
        self._mistakes: dict[Path, tuple[Any, Settings, str]] = {}  # wrong options, with `_likeness` and settings then
        self.left: dict[Path, str] = {}  # files left in the inbox, and why

    def use(self, settings: Settings) -> None:
        """Apply the settings that are kept here; all others are read when they are needed."""
        self._settling.settle_seconds = settings.settle_seconds

    def look_everywhere(self, now: float) -> None:
        self._to_scan[self._folders.inbox.path] = now
        self._rested.clear()
        self._to_review.update(dict.fromkeys(self._refused))
        self._due.update({path: now for path, likeness in self._aside.items() if likeness is None})

    def retry_blocked(self, now: float) -> None:
        """Try again now to take what could not be moved out of the inbox."""
        self._due.update(dict.fromkeys(self._blocked, now))
        self._blocked.clear()

    def look_at(self, hint: LookAt, now: float) -> None:
        inbox = self._folders.inbox.path
        if not hint.folder.is_relative_to(inbox):
            self._to_scan.setdefault(inbox, now)  # the inbox itself was removed or moved
        elif any(is_ignored(part) for part in hint.folder.relative_to(inbox).parts):
            return
        elif hint.name is None:
            self._to_scan.setdefault(hint.folder, now)
            if hint.complete:
                self._moved_in.add(hint.folder)
        elif not is_ignored(hint.name):
            path = hint.folder / hint.name
            if hint.complete:
                self._complete.add(path)
                self._due[path] = now
            else:
                self._complete.discard(path)
                self._settling.stir(path, now)
                self._due[path] = now + min(_HINT_PAUSE, self._settings().settle_seconds)

    def step(self, now: float) -> None:
        """Look at files, scan folders and review reasons that are due, for a limited time."""
        self._look_due(now)
        self._scan_due(now)
        self._review_refused()

    def _look_due(self, now: float) -> None:
        """Look at the files whose time has come, the longest due first; the rest in the next step."""
        until = time.monotonic() + _LOOK_SECONDS
        for path in sorted((path for path, due in self._due.items() if due <= now), key=self._due.__getitem__):
            if path in self._due:  # still, after the looks at others
                self._bounded(self._look, path, now, path=path)
            if time.monotonic() >= until:
                return

    def _review_refused(self) -> None:
        """Check whether what is never taken is still there; the rest in the next step."""
        until = time.monotonic() + _LOOK_SECONDS
        while self._to_review:
            path = next(iter(self._to_review))
            del self._to_review[path]
            self._bounded(self.review, path, path=path)
            if time.monotonic() >= until:
                return

    def _look(self, path: Path, now: float) -> None:
        try:
            entry = self._folders.inbox.look(path)
        except OSError as error:
            self.cannot_take(path, error, now)
            return
        if entry is None:
            self.forget(path)
            self.review(path)
        else:
            self._consider(entry, now)

    def _bounded(self, step: Callable[..., None], *arguments: Any, path: Path, entry: Entry | None = None) -> None:
        """Error boundary of one file: an unexpected error affects only that file."""
        try:
            step(*arguments)
        except InboxdError:  # a disk failed, or the daemon must start over
            raise
        except Exception as error:
            self.set_aside(path, entry, error)

    def next_look(self, now: float) -> float | None:
        """Seconds until `step` has something to do; None: not before a hint."""
        if self._to_review:
            return 0.0
        earliest = min((*self._to_scan.values(), *self._due.values()), default=None)
        return None if earliest is None else max(0.0, earliest - now)

    @property
    def unclaimed(self) -> list[Entry]:
        """The files that were seen and are not taken yet, those that are `left` included."""
        return [entry for files in self._seen.values() for entry in files.values() if entry.path.name[0] != "."]

    @property
    def is_quiet(self) -> bool:
        """True if nothing is to be looked at, settles, or is ready. What is `left` does not count, except if
        it failed only a few times yet."""
        left = {path for path in self.left if not 0 < self._failures.get(path, 0) < _DRAIN_TRIES}
        left -= self._settled_at.keys()  # their time of grace will be over
        pending = (self._due.keys() | self._to_scan.keys()) - left
        return not pending and not self._ready

    # ---------------------------------------------------------------------------------------- looking

    @property
    def is_scanning(self) -> bool:
        """True if folders are due to be scanned that `step` had no time for."""
        return self._unscanned > 0

    def _scan_due(self, now: float) -> None:
        """Scan the folders whose time has come and those below, the longest due first; the rest in the next step."""
        until = time.monotonic() + _LOOK_SECONDS
        due = collections.deque(
            sorted((folder for folder, at in self._to_scan.items() if at <= now), key=self._to_scan.__getitem__)
        )
        try:
            while due:
                due.extend(self._scan_one(due.popleft(), now))
                if time.monotonic() >= until:
                    break
        finally:
            self._unscanned = len(due)
            for folder in due:
                self._to_scan.setdefault(folder, now)

    def _scan_one(self, folder: Path, now: float) -> list[Path]:
        """Scan a folder unless it rests; the folders in it."""
        rest = self._rested.get(folder, 0.0)
        if rest > now:
            self._to_scan[folder] = rest
            return []
        self._to_scan.pop(folder, None)
        try:
            return self._scan(folder, now)
        except (OSError, InboxdError):
            raise
        except Exception as error:  # error boundary of one folder
            self._leave(folder, _UNEXPECTED_FOLDER, error)
            self._to_scan[folder] = now + self._settings().schedule.rescan
            return []

    def _scan(self, folder: Path, now: float) -> list[Path]:
        """Look at each file of a folder; its sub folders, which are to be scanned next."""
        moved_in = folder in self._moved_in
        self._moved_in.discard(folder)
        self._watcher.watch(folder)  # before the scan: what comes after it gives a hint
        started = time.monotonic()
        try:
            entries, folders, others = self._folders.inbox.scan(folder)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                self._leave(folder, f"it cannot be read: {describe(error)}")
                self._to_scan[folder] = now + self._error_pause(folder)
                return []
            if folder == self._folders.inbox.path:
                self._folders.check()
            entries, folders, others = [], [], []
        self.left.pop(folder, None)
        self._failures.pop(folder, None)
        present = {entry.path for entry in entries}
        for path in self._seen.get(folder, {}).keys() - present:
            self.forget(path)
        if moved_in:
            self._moved_in.update(sub for sub in folders if not is_ignored(sub.name))
            self._complete.update(present)
        for entry in entries:
            if is_ignored(entry.path.name):
                self._complete.discard(entry.path)
            else:
                self._bounded(self._consider, entry, now, path=entry.path, entry=entry)
        for path in (*others, *(entry.path for entry in entries if entry.path.name.endswith(SIDECAR_SUFFIXES))):
            if not is_ignored(path.name):
                self._bounded(self.review, path, path=path)
        self._bounded(self.review, folder / FOLDER_FILE, path=folder / FOLDER_FILE)
        self._rested[folder] = now + _SCAN_PAUSE * (time.monotonic() - started)
        return [sub for sub in folders if not is_ignored(sub.name)]

    def _consider(self, entry: Entry, now: float) -> None:
        """After a look at a file: is it to be taken now, or when is it to be looked at again?"""
        path = entry.path
        if path.name.endswith(SIDECAR_SUFFIXES):
            if path not in self._refused:  # else it is known why it lies there alone
                self.forget(path)  # taken with its file
            return
        seen = self._seen.setdefault(path.parent, {})
        changed = seen.get(path) != entry
        seen[path] = entry
        self._ready.pop(path, None)
        if path in self._aside:
            likeness = self._aside[path]
            if likeness is not None and likeness == self._likeness(entry):
                self._due[path] = now + self._look_pause
                return
            del self._aside[path]
            if likeness is not None:
                self.left.pop(path, None)
        if self._is_blocked(path, now):
            return
        self._settling.see(path, (entry.inode, entry.size_bytes, entry.mtime_ns, entry.ctime_ns), now)
        if path in self._complete:
            self._complete.discard(path)
            self._settling.complete(path)
        if not changed and self._due.get(path, now) > now:
            return  # its wait is not over
        if not self._settling.ready(path, now):
            self._due[path] = now + max(_SHORT_PAUSE, self._settling.seconds_left(path, now))
        elif path in self._unreturned or self._is_written(path):
            self._due[path] = now + _WRITER_PAUSE
        else:
            self._ready[path] = entry, now
            self._due.pop(path, None)

    def _is_blocked(self, path: Path, now: float) -> bool:
        """True if a file still cannot be moved and its pause is not over; it is then looked at again later."""
        if path not in self._blocked:
            return False
        until, before = self._blocked[path]
        is_changed = before != permissions(self._folders.inbox, path)
        if now < until and not is_changed:
            self._due[path] = min(until, now + self._look_pause)
            return True
        del self._blocked[path]
        if is_changed:
            self._failures.pop(path, None)
        self._due.pop(path, None)
        return False

    @property
    def _look_pause(self) -> float:
        """Seconds between looks at a file that waits for a person; longer if there are many."""
        return max(_SET_ASIDE_PAUSE, 0.001 * len(self.left))

    def _is_written(self, path: Path) -> bool:
        try:
            with self._folders.inbox.opened(path.parent) as folder:
                return bool(durable.writer_has(path, folder))
        except OSError:  # `take` will tell
            return False

    def review(self, path: Path) -> None:
        """Report why something is never taken or is ignored, as long as it is there."""
        inbox = self._folders.inbox
        try:
            why = (None if path.name == FOLDER_FILE else inbox.refusal(path)) or why_ignored(inbox, path)
        except OSError:  # not now; at the next look
            return
        if why is not None:
            self._refused.add(path)
            self._leave(path, why)
        elif path in self._refused:
            self._refused.discard(path)
            self.left.pop(path, None)

    def forget(self, path: Path) -> None:
        for memory in (self._due, self._ready, self.left, self._failures, self._settled_at, self._blocked):
            memory.pop(path, None)
        if path not in self._unreturned:  # otherwise it is about to be returned
            self._aside.pop(path, None)
        seen = self._seen.get(path.parent, {})
        seen.pop(path, None)
        if not seen:
            self._seen.pop(path.parent, None)
        self._complete.discard(path)
        self._settling.forget(path)

    def _error_pause(self, path: Path, longest: float = _ERROR_PAUSE_MAX) -> float:
        """Seconds until what failed is tried again; longer where that would be much work."""
        failures = self._failures[path] = self._failures.get(path, 0) + 1
        return max(min(_ERROR_PAUSE * 2 ** min(failures - 1, 20), longest), 0.001 * len(self.left))

    def cannot_take(self, path: Path, error: OSError, now: float) -> None:
        why = obstacle(self._folders.inbox, path, error)
        self._leave(path, f"it cannot be taken: {why or describe(self._without_job(error))}")
        if why is None:
            self._due[path] = now + self._error_pause(path)
            return
        until = now + self._error_pause(path, _OBSTACLE_PAUSE_MAX)
        self._blocked[path] = until, permissions(self._folders.inbox, path)
        self._due[path] = min(until, now + self._look_pause)

    def _without_job(self, error: OSError) -> OSError:
        """An error below .taken, without the folder there that is a new one in each try."""
        names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
        if any(Path(name).is_relative_to(self._folders.inbox.taken) for name in names):
            return OSError(error.errno, error.strerror, str(self._folders.inbox.own.place))
        return error

    def _leave(self, path: Path, why: str, error: Exception | None = None) -> None:
        """Report why it stays in the inbox. `error`: an unexpected exception, for the log."""
        why = printable(why)
        if self.left.get(path) != why:
            self.left[path] = why
            shown = printable_path(path.relative_to(self._folders.inbox.path))
            log.log(
                logging.ERROR if error else logging.WARNING, "%s stays in the inbox: %s", shown, why, exc_info=error
            )

    def set_aside(self, path: Path, entry: Entry | None, error: Exception, why: str = UNEXPECTED) -> None:
        """Leave a file that caused an error until it changes. `entry`: its state at that time."""
        self._due.pop(path, None)
        self._ready.pop(path, None)
        self._leave(path, why, error)
        self._aside[path] = None if entry is None else self._likeness(entry)
        if entry is not None:
            self._due[path] = 0.0

    def _likeness(self, entry: Entry) -> Any:
        """Changes when a file or one of its sidecars changes, but not when the file is taken and put back."""
        inbox, path = self._folders.inbox, entry.path
        above = [path.parent, *path.parent.parents]
        beside = [path.with_name(path.name + suffix) for suffix in SIDECAR_SUFFIXES]
        beside += [folder / FOLDER_FILE for folder in above if folder.is_relative_to(inbox.path)]
        found: list[Entry | None] = [entry]
        for each in beside:
            try:
                found.append(inbox.look(each))
            except Exception:  # whatever causes this will change as well
                found.append(None)
        return [each and (each.inode, each.size_bytes, each.mtime_ns) for each in found]

    # ---------------------------------------------------------------------------------------- for the claimer

    @property
    def has_ready(self) -> bool:
        return bool(self._ready)

    def first_ready(self, count: int) -> list[Ready]:
        """The first complete files, in the order in which they are to be taken."""
        return list(itertools.islice(self._ready.values(), count))

    def claim(self, entry: Entry, since: float, now: float) -> bool:
        """Release a ready file to be taken. One that had to wait, for its turn or for a disk, is looked at again;
        False: it is no longer ready."""
        self._ready.pop(entry.path, None)
        if since >= now:
            return True
        self._due[entry.path] = now
        self._bounded(self._look, entry.path, now, path=entry.path, entry=entry)
        return self._ready.pop(entry.path, None) == (entry, now)

    def look_again(self, path: Path, now: float) -> None:
        """Examine a file from the beginning, soon."""
        self.forget(path)
        self._due[path] = now + _SHORT_PAUSE

    def wait(self, path: Path, why: str, now: float) -> None:
        """Leave a complete file until what it waits for may be there."""
        self._leave(path, why)
        self._due[path] = now + max(self._settings().settle_seconds, _WRITER_PAUSE, 0.001 * len(self.left))

    def expect(self, path: Path) -> None:
        """A taken file is about to be returned to `path`."""
        self._unreturned.add(path)

    def has_returned(self, path: Path) -> None:
        """A taken file is back at `path`."""
        self._unreturned.discard(path)
        self._due[path] = 0.0  # look at it again

    def own_sidecars(self, path: Path) -> list[Entry]:
        """The sidecars of a file in the inbox that count; see `nearby`."""
        own = []
        for sidecar in self._folders.inbox.sidecars(path):
            if why_ignored(self._folders.inbox, sidecar.path):
                self.review(sidecar.path)
            else:
                own.append(sidecar)
        return own

    def _likeness_at(self, path: Path) -> Any:
        entry = self._folders.inbox.look(path)
        return entry and self._likeness(entry)

    def missing(self, path: Path, content: Content, sidecars: list[Entry], now: float) -> str | None:
        """What a settled file waits for, in words for whoever dropped it; None: for nothing.

        Raises:
            OSError: a file beside it cannot be read.
        """
        for sidecar in sidecars:
            limit = MAX_SIDECAR_BYTES[sidecar.path.suffix]
            if sidecar.size_bytes > limit:
                return too_large(sidecar.path.name, limit)
        if content.media_type == "application/x-empty":  # Firefox creates an empty NAME while it downloads to NAME.part
            for download in (path.with_name(path.name + suffix) for suffix in DOWNLOAD_SUFFIXES):
                if self._folders.inbox.look(download):
                    return f"it is the placeholder of the unfinished download {download.name}."
        beside = {sidecar.path.suffix: sidecar.path for sidecar in sidecars}
        rules = self._settings().folder(printable_path(path.parent.relative_to(self._folders.inbox.path)))
        if rules.wait_for_done and DONE_SUFFIX not in beside:
            return f"it waits for {path.name}{DONE_SUFFIX}, which says that it is complete."
        if not sidecars and rules.wait_for_sidecar:
            settled = self._settled_at.setdefault(path, now)
            if now < settled + rules.wait_for_sidecar:
                return f"it waits {rules.wait_for_sidecar:g} s for what may come to lie beside it."
        likeness = (tuple(sidecars), self._likeness_at(path))
        if path in self._mistakes and self._mistakes[path][:2] == (likeness, self._settings()):
            return self._mistakes[path][2]  # to parse them again could take a third of a second, and delay all others
        try:
            own = beside.get(OPTIONS_SUFFIX)
            choice = choose(self._settings(), self._folders.inbox, path.parent, content.kind, own)
        except WrongOptions as error:
            why = f"its options are wrong: {error}"
            self._mistakes[path] = likeness, self._settings(), why
            return why
        recipe = self._settings().recipes.get(choice.recipe or "")
        if recipe is None or ".prompt" in beside:
            return None
        if recipe.cls.wants_prompt(options_of(recipe, choice.options)):
            return f"it waits for its question: write {path.name}.prompt beside it."
        return None
