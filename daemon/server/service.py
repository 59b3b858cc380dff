"""The main loop: read this first.

Threads and children only put messages into one mailbox; this thread alone changes state. It waits for a message,
applies it, and then does what has become possible: takes what has settled, feeds the workers, ends those that hang.
"""

import collections
import contextlib
import functools
import logging
import os
import queue
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

from daemon import config
from daemon.config.settings import Settings
from daemon.core import messages
from daemon.core.background import Background
from daemon.core.errors import ConfigError, StartOver, StorageError
from daemon.files.disk_retry import DiskRetry, describe
from daemon.files.layout import Layout
from daemon.intake.intake import Intake
from daemon.intake.watcher import Watcher
from daemon.notify.hooks import Hooks
from daemon.notify.systemd import Notifier
from daemon.publishing import result_json
from daemon.publishing.publisher import Publisher
from daemon.queue.backup import Backup
from daemon.queue.store import Store, now_us
from daemon.recovery.rebuild import Rebuild
from daemon.recovery.retention import Removal, Retention
from daemon.recovery.startup import Recovery
from daemon.scheduling.dispatcher import Dispatch
from daemon.scheduling.pause import Gate
from daemon.server import schedule
from daemon.server.commands import Commands
from daemon.server.control_socket import ControlServer
from daemon.server.mailbox import Mailbox
from daemon.telemetry import totals
from daemon.telemetry.exporter import Exporter
from daemon.workers.supervisor import Workers
from processors.contract import FailureKind

log = logging.getLogger(__name__)

_APPLY_SECONDS = 0.03  # for messages, before the inbox is looked at again
_COLLECT_SECONDS, _COLLECT_MESSAGES = 0.02, 2000  # taken from the mailbox in one turn of the loop
_SCAN_SECONDS = 30.0  # at the start, until all folders are watched
_DAY_US = 24 * 3600 * 1_000_000
_PRUNE_SECONDS = 0.02  # for the removal of what is old enough, likewise
_REAP_SECONDS = 5.0  # at the end, for killed workers to be gone
_CLOSE_SECONDS = 15.0  # at the end, for the last commits, on a slow disk
_STARTS, _STARTS_SECONDS = 5, 60.0  # so many starts within so many seconds, and starting over does not help
_START_AGAIN = "Start again once that is over: nothing is lost."
_START_AGAIN_SECONDS = 3.0  # between two tries of a start that a disk does not allow
_START_SECONDS = 60.0  # after so long it is given up: the manager starts us anew, this seldom without an end
_DRAIN_TRIES = 5  # a drain ends when a disk cannot be written for so many tries (about 8 s)


def serve(settings: Settings, **options: Any) -> None:
    """Run a `Service`, and another one when it must start over; see there for the options and errors."""
    starts: collections.deque[float] = collections.deque(maxlen=_STARTS)
    give_up = time.monotonic() + _START_SECONDS
    told = ""  # of what a start waits for
    while True:
        starts.append(time.monotonic())
        service = Service(settings, **options)
        try:
            service.run()
            return
        except StartOver as error:
            if service.was_asked_to_stop():
                return
            if len(starts) == _STARTS and starts[-1] - starts[0] < _STARTS_SECONDS:
                raise
            log.error("%s Starting over, from what is in the folders.", error)
        except (OSError, StorageError) as error:
            trouble = error if isinstance(error, StorageError) else StorageError(describe(error), _START_AGAIN)
            if time.monotonic() > give_up or not service.may_wait():
                raise trouble from error
            if str(trouble) != told:
                log.error("%s It is tried again until then.", told := str(trouble))
            if service.waited_in_vain(trouble):
                return


class Service:
    """One daemon on one inbox. `drain`: end when all is done. `on_change`: called after each turn of the loop."""

    def __init__(
        self, settings: Settings, *, drain: bool = False, on_change: Callable[["Service"], None] | None = None
    ):
        self.settings = settings
        self.drain = drain
        self._on_change = on_change
        self._mailbox = Mailbox()
        self._signals: collections.deque[messages.Signalled] = (
            collections.deque()
        )  # out of the mailbox, not yet applied
        self._backlog: collections.deque[Any] = collections.deque()  # all other messages, in the same state
        self._due_tasks: set[str] = set()  # in the backlog
        self._notifier = Notifier()
        self._stop_asked = 0
        self._hurry = False
        self._is_ready = False
        self._next_ping = 0.0
        self._ended = 0  # jobs, as far as the hooks were woken for
        self._removals: Iterator[Removal] | None = None  # of this night, bit by bit
        self.folders = Layout(inbox=settings.inbox, outbox=settings.outbox, state=settings.state)

    def run(self) -> None:
        """Run until a signal, or with `drain` until all is done.

        Raises:
            StartOver: what it works on was replaced (jobs.db, a folder): a new `Service` goes on from what is there.
            InboxdError: it cannot start; nothing was changed.
        """
        self._listen_to_signals()  # first, for this mailbox: a start that waits for a disk can be stopped
        try:
            self._open()
        except BaseException:
            self.folders.unlock()  # there may be another try
            raise
        try:
            self._start()
            while not self._is_finished():
                self._apply_all(wait=self._pause())
                self._advance()
            log.info("stopping")
        except StartOver:
            self._hurry = True
            raise
        finally:
            self._stop()

    # ---------------------------------------------------------------------------------------- start and stop

    def _open(self) -> None:
        """Check the folders, be the only one on them, open the database, build the parts."""
        os.umask(os.umask(0o077) | 0o022)  # others may read published results, but not change them
        self.folders.prepare()
        self.folders.lock()
        post, settings = self._mailbox.put, self.settings
        self.store = Store(settings.database)
        self.storage = DiskRetry(self.folders, self.store, clock=time.monotonic)
        self.workers = Workers(
            post,
            settings.models,
            at_once=settings.workers.at_once,
            clock=time.monotonic,
            descriptors=self.folders.held,
        )
        self.gate = Gate(settings, always_open=self.drain)
        self.background = Background(post)
        self.publishing = Publisher(settings, self.store, self.folders, self.storage, self.background)
        self.dispatch = Dispatch(
            settings,
            self.store,
            self.folders,
            self.storage,
            self.workers,
            self.publishing,
            self.gate,
            monotonic=time.monotonic,
            now_us=now_us,
        )
        self.watcher = Watcher(post)
        self.intake = Intake(settings, self.store, self.folders, self.storage, self.watcher, post, now_us=now_us)
        self.retention = Retention(settings.retention, self.store, self.folders)
        self.timetable = schedule.Timetable(post, settings.schedule)
        self.hooks = Hooks(settings)
        self.backup = Backup(settings.database, self.folders.backups, post)
        self.control = ControlServer(settings.socket, post)
        self.exporter = Exporter(post)
        self.commands = Commands(
            settings,
            store=self.store,
            folders=self.folders,
            storage=self.storage,
            workers=self.workers,
            publishing=self.publishing,
            dispatch=self.dispatch,
            intake=self.intake,
            watcher=self.watcher,
            gate=self.gate,
            retention=self.retention,
            exporter=self.exporter,
            reload=self._reload,
        )

    def _start(self) -> None:
        Rebuild(self.store, self.folders).run()
        self.hooks.start()  # before any job ends in this run: the first hook ever reports from here on
        Recovery(self.store, self.folders, self.storage, self.publishing, self.intake).run()
        latest_wait = now_us() + int(self.settings.retry.backoff_max * 1e6)
        self._guard(self.store.bound_waits, latest_wait)
        self._guard(self.dispatch.probe, at_once=True)
        self.watcher.start()
        self.timetable.start()
        self.control.start()
        self.exporter.use(self.settings)
        self.intake.look_everywhere(time.monotonic())
        self._advance()
        until = time.monotonic() + _SCAN_SECONDS
        while self.intake.is_scanning and time.monotonic() < until and self.storage.next_try() is None:
            if self.was_asked_to_stop():
                return
            self._advance()  # ready means watching: a file that arrives from now on gives a hint
        self._notifier.ready()
        self._is_ready = True
        log.info("ready: %s -> %s", self.settings.inbox, self.settings.outbox)

    def _stop(self) -> None:
        """Let running jobs finish for `stop_seconds` (a second signal: not at all), put the others back, let go."""
        if self._hurry:  # to start over: a manager that is told of a stop expects the process to end
            self._notifier.reloading()
        elif self._is_ready:
            self._notifier.stopping(within_seconds=self.settings.workers.stop_seconds + _REAP_SECONDS + _CLOSE_SECONDS)
        with contextlib.suppress(StartOver):  # what replaced our files tells the next start more than we could
            until = time.monotonic() + (0 if self._hurry else self.settings.workers.stop_seconds)
            while (
                (self.dispatch.is_busy or self.background.pending) and self._stop_asked < 2 and time.monotonic() < until
            ):
                self._apply_all(wait=min(0.5, until - time.monotonic()))
        with contextlib.suppress(StartOver):
            self.dispatch.put_back_running()
        until = time.monotonic() + _REAP_SECONDS
        while len(self.workers) and time.monotonic() < until:
            with contextlib.suppress(StartOver):
                self._apply_all(wait=until - time.monotonic())
        is_quiet = all([self.intake.stop(), self.background.stop()])
        for part in (self.control, self.exporter, self.timetable, self.watcher, self.backup, self.hooks):
            part.stop()
        self.store.close()
        if self.store.is_damaged:
            self.store.set_aside()
        self.folders.unlock(is_quiet=is_quiet)

    def may_wait(self) -> bool:
        """May a start that a disk does not allow be tried again in here? Where a manager shows why it waits."""
        return not self._is_ready and not self.drain and self._notifier.is_heard

    def waited_in_vain(self, trouble: StorageError) -> bool:
        """Tell the manager what is wrong, and wait for a while; was the daemon asked to stop instead?"""
        self._notifier.status(f"waiting: {trouble}")
        return self.was_asked_to_stop(within_seconds=_START_AGAIN_SECONDS)

    def was_asked_to_stop(self, *, within_seconds: float = 0.0) -> bool:
        """Has a signal come, if only after the loop had ended?"""
        self._collect(wait=within_seconds)
        return self._stop_asked > 0 or any(signalled.number != signal.SIGHUP for signalled in self._signals)

    def _listen_to_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _: self._mailbox.put(messages.Signalled(number=number)))
        # sent when a writer opens a file on which `folders.writer_has` holds a lease; by default it ends the process
        signal.signal(signal.SIGIO, signal.SIG_IGN)

    # ---------------------------------------------------------------------------------------- the loop

    def _advance(self) -> None:
        """Do what has become possible; afterwards only a message or the end of `_pause` makes more possible."""
        self._follow_clock()
        self._guard(self._retry)
        self._guard(self.intake.step, time.monotonic())
        self.workers.kill_overdue()
        self._guard(self.dispatch.feed)
        self._guard(self._prune)
        self._guard(self._tell)

    def _follow_clock(self) -> None:
        step = self.timetable.follow_clock()
        if step:
            log.warning("the clock was set by %+.0f s: what waits goes on waiting for as long as it was to", step)
            shift = functools.partial(self.store.shift_waits, int(step * 1e6))
            self.storage.run(f"shift of the waits by {step} s", shift)

    def _retry(self) -> None:
        was_in_trouble = self.storage.trouble is not None
        self.storage.retry()
        if was_in_trouble and self.storage.trouble is None:
            self.intake.look_everywhere(time.monotonic())  # it was not looked at meanwhile

    def _guard(self, step: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Do something that a disk may not allow, and that will be done again by itself."""
        try:
            step(*arguments, **options)
        except (OSError, StorageError) as error:
            log.debug("%s", step, exc_info=True)
            self.storage.note(error)

    def _apply_all(self, *, wait: float) -> None:
        """Apply the messages that are there; if there is none, wait up to `wait` seconds for one.

        Signals come first, then hints, and the others get `_APPLY_SECONDS` at a time: the outcomes of a batch, each
        with its commits and fsyncs, must not keep a new file waiting.
        """
        self._collect(wait=0.0 if self._backlog else max(0.0, wait))
        while self._signals:
            self._guard(self._apply, self._signals.popleft())
        until = time.monotonic() + _APPLY_SECONDS
        while self._backlog:
            self._guard(self._apply, self._backlog.popleft())
            if time.monotonic() >= until:
                break

    def _collect(self, *, wait: float) -> None:
        """Take messages out of the mailbox; hints are applied, all else waits in order.

        Bounded, because a member who causes events as fast as they are read must not stop the loop.
        """
        until = time.monotonic() + wait + _COLLECT_SECONDS
        try:
            for count in range(_COLLECT_MESSAGES):
                self._sort(self._mailbox.get(timeout=0.0 if count else wait))
                if time.monotonic() >= until:
                    return
        except queue.Empty:
            return

    def _sort(self, message: Any) -> None:
        match message:
            case messages.LookAt():
                self.intake.look_at(message, time.monotonic())
            case messages.Signalled():
                self._signals.append(message)
            case messages.Due() if message.task in self._due_tasks:
                pass  # each task looks at the state as it will be then: once is enough
            case messages.Due():
                self._due_tasks.add(message.task)
                self._backlog.append(message)
            case _:
                self._backlog.append(message)

    def _apply(self, message: Any) -> None:
        match message:
            case messages.LookEverywhere():
                log.warning("looking through the whole inbox: %s", message.why)
                self.intake.look_everywhere(time.monotonic())
            case messages.WorkerSaid():
                self.dispatch.hear(message)
            case messages.WorkerEnded():
                self.dispatch.bury(message)
            case messages.Hashed():
                self._hashed(message)
            case messages.BackgroundDone():
                self.background.finish(message)
            case messages.Asked():
                message.reply.put(self.commands.answer(message))
            case messages.BackedUp():
                self._backed_up(message)
            case messages.Due():
                self._due_tasks.discard(message.task)
                self._due(message.task)
            case messages.Signalled():
                self._signalled(message.number)

    def _hashed(self, hashed: messages.Hashed) -> None:
        error = self.intake.hashed(hashed)
        if error is not None and (job := self.store.get(hashed.job)) is not None:
            self.publishing.give_up(job, FailureKind.ERROR, f"Cannot read the file: {error}.")

    def _due(self, task: str) -> None:
        match task:
            case schedule.RESCAN:
                self.folders.check()
                self.store.look()
                self.intake.look_everywhere(time.monotonic())
            case schedule.PROBE:
                self.dispatch.probe()
            case schedule.UNLOAD:
                self.dispatch.end_idle_workers()
            case schedule.TIDY:
                self.store.tidy()
            case schedule.DIGEST:
                self.hooks.tell_digest(since=result_json.iso(now_us() - _DAY_US))
            case schedule.NIGHTLY:
                totals.save(self.settings.database, self.settings.totals)  # before rows of the job log are removed
                self.backup.start(keep=self.settings.schedule.backups)
                self._removals = self.retention.due()

    def _backed_up(self, night: messages.BackedUp) -> None:
        if night.damage:
            self.store.is_damaged = True
            raise StartOver(f"The job log {self.store.path} is damaged: {night.damage}.")
        self.commands.backup_problem = (
            f"the nightly copy of the job log was not made: {night.error}" if night.error else None
        )
        if night.error:
            log.error("%s", self.commands.backup_problem)
        else:
            log.info("the job log is whole%s", f"; copied to {night.path}" if night.path else "")

    def _prune(self) -> None:
        """Remove some of what is old enough by `[retention]`."""
        until = time.monotonic() + _PRUNE_SECONDS
        while self._removals is not None and time.monotonic() < until:
            try:
                if (removal := next(self._removals, None)) is None:
                    self._removals = None
                else:
                    self.retention.remove(removal)
                    level = logging.WARNING if removal.why_not else logging.INFO
                    log.log(
                        level,
                        "%s %s: %s",
                        removal.what,
                        removal.path,
                        removal.why_not or "removed, as it was old enough",
                    )
            except (OSError, StorageError):
                self._removals = None  # until the next night
                raise

    def _signalled(self, number: int) -> None:
        name = signal.Signals(number).name
        if number == signal.SIGHUP:
            log.info("%s: reading config.toml, looking through the inbox, trying again what waits", name)
            with contextlib.suppress(ConfigError):  # told already
                self._reload()
            self.commands.probe()
            return
        self._stop_asked += 1
        log.info("%s: %s", name, "running jobs may finish" if self._stop_asked == 1 else "stopping at once")

    def _reload(self) -> list[str]:
        """Apply config.toml as it is now to all that starts from now on; the names of the settings that changed.

        Raises:
            ConfigError: it is wrong, changes what only a start can, or a part failed to apply it: the previous
                settings are in force.
        """
        self._notifier.reloading()
        old = self.settings
        try:
            new = config.load_again(old)
            changed = config.changes(old, new)
            self._use(new)
        except StartOver:
            raise
        except ConfigError as error:
            self._refuse(f"config.toml was changed and is not in force: {error}")
            raise
        except Exception as error:  # error boundary: a reload must never end a daemon
            log.debug("reload", exc_info=True)
            if self.settings is not old:
                self._use_again(old)
            refusal = ConfigError(
                f"config.toml cannot be applied: {error}. The daemon keeps its previous settings.",
                "Undo the last change; `inboxd run --verbose` logs the details.",
            )
            self._refuse(str(refusal))
            raise refusal from error
        finally:
            self._notifier.ready()
        self.commands.config_problem = None
        log.info("config.toml: %s", f"now in force: {', '.join(changed)}" if changed else "nothing has changed")
        return changed

    def _refuse(self, problem: str) -> None:
        self.commands.config_problem = problem
        log.error("%s", problem)
        self._guard(self._tell)  # now: who has it reloaded looks at the status next

    def _use(self, settings: Settings) -> None:
        """Apply `settings` to all parts, from here on."""
        self.settings = self.commands.settings = self.publishing.settings = settings
        for part in (self.gate, self.intake, self.dispatch):
            part.use(settings)
        self.timetable.use(settings.schedule)
        self.retention.use(settings.retention)
        self.hooks.use(settings)
        self.exporter.use(settings)

    def _use_again(self, settings: Settings) -> None:
        """Go back to `settings`, which were in force, after a failure to apply others."""
        try:
            self._use(settings)
        except Exception:
            log.exception("Cannot go back to the previous settings. Restart the daemon: systemctl restart inboxd.")

    def _pause(self) -> float:
        """Seconds until the next thing to do if no message comes."""
        try:
            return self._until_next()
        except StorageError as error:
            self.storage.note(error)
            return 0.0

    def _until_next(self) -> float:
        now = time.monotonic()
        if self._removals is not None or self.dispatch.has_more:
            return 0.0
        pauses = [self.settings.schedule.rescan]  # the clock of the timetable may have been set back: see there
        if (look := self.intake.next_look(now)) is not None:
            pauses.append(look)
        if (deadline := self.workers.next_deadline()) is not None:
            pauses.append(deadline - now)
        if (next_try := self.storage.next_try()) is not None:
            pauses.append(next_try - now)
        elif (run_at := self.store.next_run_at(now=now_us())) is not None:
            pauses.append((run_at - now_us()) / 1e6 + 0.001)
        if self._notifier.watchdog_seconds is not None:
            pauses.append(self._next_ping - now)
        return max(0.0, min(pauses))

    def _tell(self) -> None:
        """Ping the service manager's watchdog, from here only: it means that this loop turns."""
        now = time.monotonic()
        if self._notifier.watchdog_seconds is not None and now >= self._next_ping:
            self._notifier.ping()
            self._next_ping = now + self._notifier.watchdog_seconds
        self._notifier.status(self.commands.one_line())
        if (ended := self.store.count_ended()) != self._ended:
            self._ended = ended
            self.hooks.wake()
        if self._on_change:
            self._on_change(self)

    def _is_finished(self) -> bool:
        if self._stop_asked:
            return True
        return self.drain and (self.intake.is_quiet or self.storage.trouble is not None) and not self.is_working

    @property
    def is_working(self) -> bool:
        """Is there a job that will go on by itself soon? (One that waits for weights or a server may not.)"""
        if self.storage.next_try() is not None:
            return self.storage.tries < _DRAIN_TRIES
        counts = self.store.counts()
        unfinished = counts.get("queued", 0) + counts.get("running", 0) + counts.get("publishing", 0)
        try:
            return unfinished > self.store.count_waiting()
        except StorageError as error:
            self.storage.note(error)
            return True
