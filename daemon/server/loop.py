"""One iteration of the main loop: apply the messages, then do what has become possible. Only this code changes state.

Any step may fail because of a disk. The loop then notes the error, starts no jobs until the disk works again, and
repeats the step.
"""

import functools
import logging
import time
from collections.abc import Callable

from daemon.core import messages
from daemon.core.errors import StorageError
from daemon.publishing.finished_attempt import FinishedAttempt
from daemon.server.app import App
from daemon.server.backlog import Backlog
from daemon.server.tasks import Tasks
from processors import contract, protocol
from processors.contract import FailureKind

log = logging.getLogger(__name__)

_APPLY_SECONDS = 0.03  # for messages, before the loop checks the inbox again
_GROUP = 32  # maximum number of results that are published together


def _nothing(*_: object) -> None: ...


class Loop:
    """The iterations of the main loop. on_signal: called with the number of each signal; on_turn: in each iteration."""

    def __init__(
        self,
        app: App,
        backlog: Backlog,
        *,
        on_signal: Callable[[int], None] = _nothing,
        on_turn: Callable[[], None] = _nothing,
    ):
        self._app = app
        self._backlog = backlog
        self._on_signal = on_signal
        self._on_turn = on_turn
        self._tasks = Tasks(app)
        backlog.on_hint = lambda hint: app.intake.on_hint(hint, app.clock.monotonic())

    def apply_all(self, *, wait: float) -> None:
        """Apply the waiting messages; if there is none, wait up to `wait` seconds for one.

        All signals and hints are applied. All others share `_APPLY_SECONDS` per call: the outcomes of a batch, each
        with its commits and fsyncs, must not delay a new file.
        """
        self._backlog.collect(wait=0.0 if self._backlog.has_messages else max(0.0, wait))
        while self._backlog.signals:
            self.guard(self._on_signal, self._backlog.signals.popleft().number)
        until = time.monotonic() + _APPLY_SECONDS
        while self._backlog.has_messages:
            if results := self._accept_results():
                self._publish(results)
            elif self._backlog.has_messages:
                self.guard(self._apply, self._backlog.next_message())
            if time.monotonic() >= until:
                break

    def _accept_results(self) -> list[FinishedAttempt]:
        """Accept the next results in the backlog, to publish them together; apply the progress messages among them."""
        results: list[FinishedAttempt] = []

        def take(received: messages.WorkerMessage) -> None:
            if not isinstance(received.message, protocol.WorkFinished):
                self._apply(received)
            elif (result := self._app.outcomes.accept(received)) is not None:
                results.append(result)

        while len(results) < _GROUP and isinstance(received := self._backlog.first(), messages.WorkerMessage):
            if not isinstance(received.message, protocol.WorkFinished | contract.WorkProgress):
                break
            self._backlog.next_message()
            self.guard(take, received)
        return results

    def _publish(self, results: list[FinishedAttempt]) -> None:
        """Publish results together. If the results end a worker's batch, first give that worker its next batch."""
        received = self._backlog.first()
        if isinstance(received, messages.WorkerMessage) and isinstance(received.message, protocol.BatchDone):
            self.guard(self._apply, self._backlog.next_message())
            self.guard(self._app.dispatcher.feed)
        self.guard(self._app.outcomes.publish, results)

    def advance(self) -> None:
        """Do everything that is possible now. Then there is nothing to do until a message or the end of `pause`."""
        app = self._app
        self._follow_clock()
        self.guard(self._retry_storage)
        self.guard(app.intake.step, app.clock.monotonic())
        app.workers.kill_overdue()
        self.guard(app.dispatcher.feed)
        self.guard(self._tasks.prune)
        self.guard(self._on_turn)
        app.feed.update(time.monotonic(), app.status.progress)

    def guard(self, step: Callable[..., object], *arguments: object, **options: object) -> None:
        """Run a step that a disk error may stop; a later iteration repeats it."""
        try:
            step(*arguments, **options)
        except (OSError, StorageError) as error:
            log.debug("%s", step, exc_info=True)
            self._app.disk_retry.note(error)

    def pause(self) -> float:
        """Seconds until the next thing to do if no message comes."""
        try:
            return self._until_next()
        except StorageError as error:
            self._app.disk_retry.note(error)
            return 0.0

    def _follow_clock(self) -> None:
        if step := self._app.timetable.follow_clock():
            log.warning("the clock was set by %+.0f s: waiting jobs keep the time they have left to wait", step)
            shift = functools.partial(self._app.store.shift_waits, int(step * 1e6))
            self._app.disk_retry.run(f"shift of the waits by {step} s", shift)

    def _retry_storage(self) -> None:
        disk_retry = self._app.disk_retry
        was_in_trouble = disk_retry.trouble is not None
        disk_retry.retry()
        if was_in_trouble and disk_retry.trouble is None:
            self._app.intake.check_all(self._app.clock.monotonic())  # the inbox was not scanned meanwhile

    def _apply(self, message: object) -> None:
        app = self._app
        match message:
            case messages.CheckAll():
                log.warning("scanning the whole inbox: %s", message.why)
                app.intake.check_all(app.clock.monotonic())
            case messages.WorkerMessage():
                app.outcomes.on_message(message)
            case messages.WorkerExited():
                app.outcomes.on_worker_exit(message)
            case messages.ClusterChanged():
                app.dispatcher.use_cluster(message)
            case messages.Hashed():
                self._on_hashed(message)
            case messages.BackgroundDone():
                app.background.finish(message)
            case messages.Request():
                self._answer(message)
            case messages.BackedUp():
                self._tasks.on_backup(message)
            case messages.Due():
                self._tasks.run(message.task)

    def _answer(self, request: messages.Request) -> None:
        answer = self._app.commands.answer(request)
        if request.reply is not None:
            request.reply.put(answer)

    def _on_hashed(self, hashed: messages.Hashed) -> None:
        error = self._app.intake.hashed(hashed)
        if error is not None and (job := self._app.store.get(hashed.job)) is not None:
            self._app.publishing.give_up(job, FailureKind.ERROR, f"Cannot read the file: {error}.")

    def _until_next(self) -> float:
        app, now = self._app, self._app.clock.monotonic()
        if self._tasks.is_pruning or app.dispatcher.has_more:
            return 0.0
        pauses = [
            app.settings.value.schedule.rescan
        ]  # for the case that the system clock was set back: see `timetable`
        if (seconds := app.intake.next_check(now)) is not None:
            pauses.append(seconds)
        if (sample := app.feed.next_sample()) is not None:
            pauses.append(sample - time.monotonic())
        if (deadline := app.workers.next_deadline()) is not None:
            pauses.append(deadline - now)
        if app.dispatcher.again_at is not None:
            pauses.append(app.dispatcher.again_at - now)
        if (next_try := app.disk_retry.next_try()) is not None:
            pauses.append(next_try - now)
        elif (run_at := app.store.next_run_at(now=app.clock.now_us())) is not None:
            pauses.append((run_at - app.clock.now_us()) / 1e6 + 0.001)
        return max(0.0, min(pauses))
