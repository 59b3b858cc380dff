"""Carries out the tasks of the timetable: rescan, probe, unload, tidy, digest, and those of the night."""

import logging
import time
from collections.abc import Iterator

from daemon import search
from daemon.core import messages
from daemon.core.errors import StartOver, StorageError
from daemon.recovery.retention import Removal
from daemon.search import child
from daemon.server import timetable
from daemon.server.app import App
from daemon.telemetry import totals

log = logging.getLogger(__name__)

_DAY_US = 24 * 3600 * 1_000_000
_PRUNE_SECONDS = 0.02  # in one iteration of the loop
_SLOWEST_BYTES = 2**62  # the thread of the background that only the largest files use: see `Background`


class Tasks:
    """Carries out due tasks. Called by the main thread only."""

    def __init__(self, app: App):
        self._app = app
        self._removals: Iterator[Removal] | None = None  # of this night, bit by bit

    def run(self, task: str) -> None:
        """Carry out a task that is due. Each task uses the current state, so it may run late, or twice."""
        app = self._app
        match task:
            case timetable.RESCAN:
                app.folders.check()
                app.store.check_file()
                app.intake.check_all(app.clock.monotonic())
            case timetable.PROBE:
                app.recovery.find_lost()
                app.dispatcher.probe()
            case timetable.UNLOAD:
                app.dispatcher.idle_workers.end_unused()
            case timetable.TIDY:
                app.store.tidy()
                app.folders.incoming.tidy(app.clock.now_us() / 1e6)
            case timetable.DIGEST:
                app.hooks.send_digest(since_us=app.clock.now_us() - _DAY_US)
            case timetable.NIGHTLY:
                settings = app.settings.value
                totals.save(settings.database, settings.totals)  # before rows of the job log are removed
                app.backup.start(keep=settings.schedule.backups)
                self._removals = app.retention.due()

    @property
    def is_pruning(self) -> bool:
        """True while results remain to be removed."""
        return self._removals is not None

    def prune(self) -> None:
        """Remove some of the results that are older than [retention] allows."""
        until = time.monotonic() + _PRUNE_SECONDS
        while self._removals is not None and time.monotonic() < until:
            try:
                if (removal := next(self._removals, None)) is None:
                    self._removals = None
                    self._sweep_search_index()
                else:
                    self._app.retention.remove(removal)
                    _log_removal(removal)
            except (OSError, StorageError):
                self._removals = None  # until the next night
                raise

    def _sweep_search_index(self) -> None:
        """Remove documents that no longer exist from the index of `inboxd search`, if there is an index."""
        settings = self._app.settings.value
        if (settings.state / search.NAME).exists():
            self._app.background.run(lambda: child.sweep(settings), lambda _: None, size_bytes=_SLOWEST_BYTES)

    def on_backup(self, backup: messages.BackedUp) -> None:
        """Record how the nightly check and backup of the job log ended.

        Raises:
            StartOver: the job log is damaged.
        """
        store, problems = self._app.store, self._app.problems
        if backup.damage:
            store.is_damaged = True
            raise StartOver(f"The job log {store.path} is damaged: {backup.damage}.")
        if backup.error:
            problems.backup = f"the nightly copy of the job log was not made: {backup.error}"
            log.error("%s", problems.backup)
        else:
            problems.backup = None
            log.info("the job log is intact%s", f"; copied to {backup.path}" if backup.path else "")


def _log_removal(removal: Removal) -> None:
    level = logging.WARNING if removal.why_not else logging.INFO
    log.log(level, "%s %s: %s", removal.what, removal.path, removal.why_not or "removed, because it was old enough")
