"""The daemon's process: start, loop, signals, stop. Read this first, then `loop`, and `app` for the parts.

Threads and child processes only put messages into one mailbox, and only the main thread changes state. The main thread
waits for a message, applies it, and then does what has become possible: it takes settled files, gives workers their
next jobs, and kills workers that hang.
"""

import collections
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from daemon.config.settings import Settings
from daemon.core.errors import ConfigError, StartOver, StorageError
from daemon.core.messages import Signalled
from daemon.files.folders import Folders
from daemon.notify.systemd import Notifier
from daemon.scheduling import devices
from daemon.server.backlog import Backlog
from daemon.server.first_worker import start_first_worker
from daemon.server.mailbox import Mailbox
from daemon.workers.launcher import Launcher

if TYPE_CHECKING:
    from daemon.server.app import App
    from daemon.server.loop import Loop

log = logging.getLogger(__name__)

_SCAN_SECONDS = 30.0  # at the start, until all folders are watched
_REAP_SECONDS = 5.0  # at the stop, for killed workers to exit
_CLOSE_SECONDS = 15.0  # at the stop, for the last commits, on a slow disk
_STARTS, _STARTS_SECONDS = 5, 60.0  # this many starts within this time: the process ends
_START_AGAIN = "Start again once that is over: nothing is lost."
_START_AGAIN_SECONDS = 3.0  # between tries to start while a disk error prevents the start
_START_SECONDS = 60.0  # of such tries; then the process ends, and the service manager must restart it
_DRAIN_TRIES = 5  # a drain ends after this many failed writes to a disk (about 8 s)


def serve(settings: Settings, *, drain: bool = False, on_change: Callable[["Service"], None] | None = None) -> None:
    """Run a `Service`; if it must start over, run another one. See `Service` for the options and errors."""
    starts: collections.deque[float] = collections.deque(maxlen=_STARTS)
    give_up = time.monotonic() + _START_SECONDS
    reported = ""  # the error that prevents the start
    while True:
        starts.append(time.monotonic())
        service = Service(settings, drain=drain, on_change=on_change)
        try:
            service.run()
            return
        except StartOver as error:
            if service.was_asked_to_stop():
                return
            if len(starts) == _STARTS and starts[-1] - starts[0] < _STARTS_SECONDS:
                raise
            log.error("%s Starting again from the contents of the folders.", error)
        except (OSError, StorageError) as error:
            from daemon.files.disk_retry import describe

            trouble = error if isinstance(error, StorageError) else StorageError(describe(error), _START_AGAIN)
            if time.monotonic() > give_up or not service.may_wait():
                raise trouble from error
            if str(trouble) != reported:
                log.error("%s The start is tried again until then.", reported := str(trouble))
            if service.stop_requested_during_wait(trouble):
                return


class Service:
    """One daemon for one inbox.

    drain: end when all files are processed. on_change: called after each iteration. first_recipe: that of the first
    job, if it is known; the job's worker then starts while this process imports the rest of itself.
    """

    app: "App"  # once it has started
    _loop: "Loop"

    def __init__(
        self,
        settings: Settings,
        *,
        drain: bool = False,
        on_change: Callable[["Service"], None] | None = None,
        first_recipe: str | None = None,
    ):
        self._first_recipe = first_recipe
        self._launcher: Launcher | None = None  # of the first worker, if that starts early
        self._settings = settings  # at the start: see `app.settings`
        self._drain = drain
        self._on_change = on_change
        self._mailbox = Mailbox()
        self._backlog = Backlog(self._mailbox)
        self._notifier = Notifier()
        self._stop_requests = 0
        self._must_start_over = False
        self._is_ready = False
        self._next_ping = 0.0
        self._ended = 0  # jobs, when the hooks were last woken
        self._folders = Folders(inbox=settings.inbox, outbox=settings.outbox, state=settings.state)

    def run(self) -> None:
        """Run until a signal, or with `drain` until all is done.

        Raises:
            StartOver: somebody replaced jobs.db or a folder. A new `Service` continues with the files that exist now.
            InboxdError: the daemon cannot start; it has changed nothing.
        """
        self._listen_to_signals()  # first, so that a signal can end a start that waits for a disk
        self._open()
        try:
            self._start()
            while not self._is_finished():
                self._loop.apply_all(wait=self._pause())
                self._loop.advance()
            log.info("stopping")
        except StartOver:
            self._must_start_over = True
            raise
        finally:
            self._stop()

    # ---------------------------------------------------------------------------------------- start and stop

    def _open(self) -> None:
        """Check the folders, lock them against a second daemon, open the job log, build the parts."""
        try:
            os.umask(os.umask(0o077) | 0o022)  # others may read published results, but not change them
            self._folders.prepare()
            self._folders.lock()
            gpus = devices.discover()
            if self._first_recipe is not None:
                self._launcher = start_first_worker(
                    self._settings, self._first_recipe, self._folders, gpus, self._mailbox.put
                )
            from daemon.server.app import build
            from daemon.server.loop import Loop

            self.app = build(
                self._settings,
                folders=self._folders,
                mailbox=self._mailbox,
                spawn=self._launcher,
                gpus=gpus,
                notifier=self._notifier,
                ignore_pause=self._drain,
            )
        except BaseException:
            self._end_early()
            self._folders.unlock()  # the caller may try the start again
            raise
        self._loop = Loop(self.app, self._backlog, on_signal=self._on_signal, on_turn=self._report)

    def _end_early(self) -> None:
        """End the first worker if no job has needed it."""
        if self._launcher is not None:
            self._launcher.end_early()

    def _start(self) -> None:
        app, loop = self.app, self._loop
        app.rebuild.run()
        app.hooks.start()  # before any job of this run ends: a new hook reports jobs from here on
        app.recovery.run()
        latest_wait = app.clock.now_us() + int(self._settings.retry.backoff_max * 1e6)
        loop.guard(app.store.bound_waits, latest_wait)
        loop.guard(app.dispatcher.probe, at_once=True)
        app.cluster.apply(self._settings)
        app.watcher.start()
        app.timetable.start()
        app.feed.start()
        app.control.start()
        app.exporter.apply(self._settings)
        app.intake.check_all(app.clock.monotonic())
        loop.advance()
        until = time.monotonic() + _SCAN_SECONDS
        while app.intake.is_scanning and time.monotonic() < until and app.disk_retry.next_try() is None:
            if self.was_asked_to_stop():
                return
            loop.advance()  # ready means watching: a file that arrives from now on gives a hint
        self._notifier.ready()
        self._is_ready = True
        log.info("ready: %s -> %s", self._settings.inbox, self._settings.outbox)

    def _stop(self) -> None:
        """Let running jobs finish for `stop_seconds` (after a second signal: not at all), put the rest back into the
        queue, and close everything."""
        app, apply_all = self.app, self._loop.apply_all
        stop_seconds = app.settings.value.workers.stop_seconds
        if self._must_start_over:  # a service manager that gets the notice of a stop expects the process to exit
            self._notifier.reloading()
        elif self._is_ready:
            self._notifier.stopping(within_seconds=stop_seconds + _REAP_SECONDS + _CLOSE_SECONDS)
        with contextlib.suppress(StartOver):  # the next start handles what has replaced the files
            until = time.monotonic() + (0 if self._must_start_over else stop_seconds)
            while self._has_unfinished_work() and self._stop_requests < 2 and time.monotonic() < until:
                apply_all(wait=min(0.5, until - time.monotonic()))
        with contextlib.suppress(StartOver):
            app.dispatcher.put_back_running()
        until = time.monotonic() + _REAP_SECONDS
        while len(app.workers) and time.monotonic() < until:
            with contextlib.suppress(StartOver):
                apply_all(wait=until - time.monotonic())
        self._end_early()
        app.cluster.stop()
        is_quiet = all([app.intake.stop(), app.background.stop()])
        for part in (app.control, app.feed, app.exporter, app.timetable, app.watcher, app.backup, app.hooks):
            part.stop()
        app.store.close()
        if app.store.is_damaged:
            app.store.set_aside()
        app.folders.unlock(is_quiet=is_quiet)

    def _has_unfinished_work(self) -> bool:
        return self.app.dispatcher.is_busy or self.app.background.pending > 0

    def may_wait(self) -> bool:
        """True if a start that failed because of a disk may be tried again: only under a service manager, whose status
        shows the cause.
        """
        return not self._is_ready and not self._drain and self._notifier.has_manager

    def stop_requested_during_wait(self, trouble: StorageError) -> bool:
        """Report the problem to the service manager and wait. True if a signal to stop arrived meanwhile."""
        self._notifier.status(f"waiting: {trouble}")
        return self.was_asked_to_stop(within_seconds=_START_AGAIN_SECONDS)

    # ---------------------------------------------------------------------------------------- signals

    def _listen_to_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _: self._mailbox.put(Signalled(number=number)))
        # sent when a writer opens a file on which `regular_files.writer_has` holds a lease; ends the process by default
        signal.signal(signal.SIGIO, signal.SIG_IGN)

    def was_asked_to_stop(self, *, within_seconds: float = 0.0) -> bool:
        """True if a signal to stop has arrived, even if the loop has not applied it yet. Waits for `within_seconds`."""
        self._backlog.collect(wait=within_seconds)
        return self._stop_requests > 0 or any(each.number != signal.SIGHUP for each in self._backlog.signals)

    def _on_signal(self, number: int) -> None:
        name = signal.Signals(number).name
        if number == signal.SIGHUP:
            log.info("%s: reloading config.toml, scanning the inbox, probing what waits", name)
            with contextlib.suppress(ConfigError):  # reported already
                self.app.reloader.reload()
            self.app.commands.probe()
            return
        self._stop_requests += 1
        log.info("%s: %s", name, "running jobs may finish" if self._stop_requests == 1 else "stopping at once")

    # ---------------------------------------------------------------------------------------- each turn

    def _report(self) -> None:
        """Ping the service manager's watchdog, show the status, and wake the hooks.

        No other code pings the watchdog, because the ping means that the main loop works.
        """
        now = time.monotonic()
        if self._notifier.watchdog_seconds is not None and now >= self._next_ping:
            self._notifier.ping()
            self._next_ping = now + self._notifier.watchdog_seconds
        self._notifier.status(self.app.status.one_line())
        if (ended := self.app.store.count_ended()) != self._ended:
            self._ended = ended
            self.app.hooks.wake()
        if self._on_change:
            self._on_change(self)

    def _pause(self) -> float:
        pause = self._loop.pause()
        if self._notifier.watchdog_seconds is None:
            return pause
        return max(0.0, min(pause, self._next_ping - time.monotonic()))

    def _is_finished(self) -> bool:
        if self._stop_requests:
            return True
        is_idle = self.app.intake.is_quiet or self.app.disk_retry.trouble is not None
        return self._drain and is_idle and not self.is_working

    @property
    def is_working(self) -> bool:
        """True while at least one job can continue. A job that waits for weights or a server cannot."""
        disk_retry, store = self.app.disk_retry, self.app.store
        if disk_retry.next_try() is not None:
            return disk_retry.tries < _DRAIN_TRIES
        counts = store.counts()
        unfinished = counts.get("queued", 0) + counts.get("running", 0) + counts.get("publishing", 0)
        try:
            return unfinished > store.count_waiting() or (unfinished > 0 and self.app.pools.cluster.is_connecting)
        except StorageError as error:
            disk_retry.note(error)
            return True
