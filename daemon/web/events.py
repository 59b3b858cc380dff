"""The events of jobs for browsers and programs: one task subscribes to the daemon, and every listener gets a copy.

`EventHub` disconnects a listener that reads too slowly. The client may connect again and name the last event that it
has seen. Events have the numbers of the job log, so the numbers stay valid after a restart.
"""

import asyncio
import contextlib
import functools
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass

from daemon.config.settings import Settings
from daemon.core.errors import InboxdError
from daemon.core.job import JobState
from daemon.queue.reader import JobLog
from daemon.queue.rows import JobRow, NumberedEventRow
from daemon.server import api, client, feed_lines
from daemon.web import job_log
from daemon.web.errors import WebError

log = logging.getLogger(__name__)

MAX_LISTENERS = 400
_UNAVAILABLE_SECONDS = 1.0  # between two attempts to reach the daemon
_PENDING = 500  # messages for a listener that reads slowly
_ENDED = {str(state) for state in JobState if state.is_final}
_BATCH = 500  # earlier events read from the job log at once
_PAUSE_SECONDS = 15.0  # without a message, after which `listen` yields None: the route then sends a comment


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message to browsers. `number`: the event's number in the job log; None: the job log does not record it."""

    kind: str  # "job", "progress", "workers" or "daemon"
    data: str  # JSON
    number: int | None = None

    def to_wire(self) -> str:
        """The message as a server-sent event."""
        number = f"id: {self.number}\n" if self.number is not None else ""
        return f"{number}event: {self.kind}\ndata: {self.data}\n\n"


class Listener:
    """The messages for one connection, in order."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Message] = asyncio.Queue(_PENDING)
        self.is_too_slow = False

    def put(self, message: Message) -> None:
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self.is_too_slow = True

    async def get(self, seconds: float) -> Message | None:
        """Wait up to `seconds` for the next message; None: none arrived in that time."""
        try:
            return await asyncio.wait_for(self._queue.get(), seconds)
        except TimeoutError:
            return None


class EventHub:
    """Subscribes to the events of the daemon, and passes them on to all listeners."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic):
        self._settings = settings
        self._clock = clock
        self._listeners: set[Listener] = set()
        self._waiters: dict[str, set[asyncio.Event]] = {}  # by job
        self._last: int | None = None  # number of the last event that was passed on
        self._shown: dict[str, str] = {}  # data of the last unnumbered message, by kind
        self.running: list[api.RunningJob] = []
        self.is_available: bool | None = None  # the daemon answers; None: not known yet

    async def run(self) -> None:
        """Subscribe to the daemon, and subscribe again after errors, until cancelled."""
        while True:
            try:
                async with contextlib.aclosing(client.subscribe(self._settings.socket, self._last)) as lines:
                    async for line in lines:
                        await self._receive(line)
            except InboxdError as error:
                log.debug("no events: %s", error)
            self._set_available(False)
            self._wake_all()  # the jobs that they wait for may have ended before the daemon stopped
            await asyncio.sleep(_UNAVAILABLE_SECONDS)

    async def _receive(self, line: feed_lines.Line) -> None:
        match line:
            case feed_lines.SubscribedLine():
                if self._last is None or self._last > line.last:  # a replaced job log restarts its numbers
                    self._last = line.last
                self._set_available(True)
                self._wake_all()  # the jobs that they wait for may have ended while there was no subscription
            case feed_lines.EventLine():
                self._pass_on(line.job, line.event, line.number, line.model_dump_json(exclude={"type"}))
            case feed_lines.SkippedLine():
                await self._catch_up(line.after, line.last)
            case feed_lines.ProgressLine():
                self.running = line.running
                self._show("progress", json.dumps([job.to_wire() for job in line.running]))
                self._show("workers", json.dumps([worker.to_wire() for worker in line.workers]))

    def _pass_on(self, job: str, event: str, number: int, data: str) -> None:
        self._last = number
        self._send(Message(kind="job", data=data, number=number))
        if event in _ENDED:
            for waiter in self._waiters.get(job, ()):
                waiter.set()

    async def _catch_up(self, after: int, last: int) -> None:
        """Read the events from the job log that were too many for the daemon to send, and pass them on."""
        while after < last:
            rows = await job_log.read(self._settings.database, functools.partial(_events_after, after))
            for row in rows:
                self._pass_on(row["job"], row["event"], row["number"], json.dumps(row))
            if not rows:
                return
            after = rows[-1]["number"]

    def _set_available(self, is_available: bool) -> None:
        if is_available != self.is_available:
            self.is_available = is_available
            if not is_available:
                self.running = []
        self._show("daemon", json.dumps({"available": is_available}))

    def _show(self, kind: str, data: str) -> None:
        """Pass on an unnumbered message, if it differs from the last one of its kind."""
        if self._shown.get(kind) != data:
            self._shown[kind] = data
            self._send(Message(kind=kind, data=data))

    def _send(self, message: Message) -> None:
        for listener in self._listeners:
            listener.put(message)

    def _wake_all(self) -> None:
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.set()

    # ---------------------------------------------------------------------------------------- for the routes

    async def listen(self, after: int | None) -> AsyncGenerator[Message | None]:
        """Yield the events after number `after` (None: from now on) and the unnumbered messages.

        Yields None after each `_PAUSE_SECONDS` without a message. Ends if the caller reads too slowly.

        Raises:
            WebError: `MAX_LISTENERS` connections listen already.
        """
        if len(self._listeners) >= MAX_LISTENERS:
            raise WebError(503, "too_many_listeners", "Too many connections read the events.", "Close some of them.")
        listener = Listener()
        for kind, data in self._shown.items():
            listener.put(Message(kind=kind, data=data))
        self._listeners.add(listener)
        try:
            last = after
            if after is not None:
                async for message in self._past(after):
                    last = message.number
                    yield message
            while not listener.is_too_slow:
                found = await listener.get(_PAUSE_SECONDS)
                if found is None or found.number is None or self._is_after(last, found.number):
                    yield found
        finally:
            self._listeners.discard(listener)

    def _is_after(self, last: int | None, number: int) -> bool:
        """True if a listener that has seen event `last` has not seen event `number`.

        That is also true of a lower number if the job log was replaced, because its numbers then start again.
        """
        return last is None or number > last or (self._last is not None and last > self._last)

    async def _past(self, after: int) -> AsyncIterator[Message]:
        """Yield the events in the job log after number `after`."""
        while True:
            rows = await job_log.read(self._settings.database, functools.partial(_events_after, after))
            for row in rows:
                after = row["number"]
                yield Message(kind="job", data=json.dumps(row), number=after)
            if len(rows) < _BATCH:
                return

    async def wait_for_end(self, job_id: str, seconds: float) -> JobRow:
        """Return the row of a job once the job has ended, or after `seconds` at the latest.

        Raises:
            UsageError: there is no such job.
        """
        until = self._clock() + seconds
        changed = asyncio.Event()
        self._waiters.setdefault(job_id, set()).add(changed)
        try:
            while True:
                changed.clear()
                row = await job_log.read(self._settings.database, lambda log: log.find(job_id))
                left = until - self._clock()
                if row["state"] in _ENDED or left <= 0:
                    return row
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), left)
        finally:
            self._waiters[job_id].discard(changed)
            if not self._waiters[job_id]:
                del self._waiters[job_id]


def _events_after(number: int, log: JobLog) -> list[NumberedEventRow]:
    return log.events_after(number, limit=_BATCH)
