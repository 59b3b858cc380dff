"""Sends numbered job events and progress to subscribers on long-lived connections, as lines of JSON.

One thread serves all subscribers. It reads the events from the job log, so each subscriber needs only a position in the
log and a small buffer. The main thread only wakes that thread, and passes it the progress, which exists only in memory.
"""

import collections
import contextlib
import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError

from daemon import __version__
from daemon.core.errors import InboxdError
from daemon.core.messages import Subscribed
from daemon.queue.reader import JobLog
from daemon.server import feed_lines
from daemon.server.subscriber import Subscriber, encode

log = logging.getLogger(__name__)

MAX_SUBSCRIBERS = 32  # at once
MAX_REPLAY = 10_000  # events that a new subscriber may be behind; it must read earlier ones from the job log
SAMPLE_SECONDS = 0.2  # between two reports of progress
HEARTBEAT_SECONDS = 15.0  # without another line, after which a subscriber gets a heartbeat
STALL_SECONDS = 10.0  # that a subscriber may leave a full connection unread
_PAGE = 200  # events read at once
_RETRY_SECONDS = 1.0  # after the job log could not be read
_STOP_SECONDS = 1.0


class Feed:
    """The subscribers. `update`, `next_sample` and `start`/`stop` are called by the main thread only."""

    def __init__(self, database: Path, post: Callable[[Subscribed], None]):
        self._database = database
        self._post = post
        self._slots = threading.BoundedSemaphore(MAX_SUBSCRIBERS)
        self._arrivals: collections.deque[Subscriber] = collections.deque()  # accepted, by other threads
        self._subscribers: set[Subscriber] = set()
        self._thread: threading.Thread | None = None
        self._wake_fd = -1
        self._is_stopping = False
        self._log: JobLog | None = None  # only the thread uses this and the next two
        self._latest = 0  # number of the latest event
        self._readable_at = 0.0  # when the job log may be read again
        self._progress: feed_lines.ProgressLine | None = None  # the latest, made by the main thread
        self._sampled_at = 0.0
        self._is_sample_due = False

    # ---------------------------------------------------------------------------------------- the main thread

    def start(self) -> None:
        self._wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._serve, name="feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send the subscribers a last line, and close their connections."""
        if self._thread is None:
            return
        self._is_stopping = True
        self._wake()
        self._thread.join(_STOP_SECONDS)
        if not self._thread.is_alive():
            os.close(self._wake_fd)
        self._thread = None

    def update(self, now: float, report: Callable[[], feed_lines.ProgressLine]) -> None:
        """Wake the thread after an iteration of the main loop, which may have committed events or made progress.

        now: monotonic seconds. report: returns the current progress; called at most every `SAMPLE_SECONDS`.
        """
        if not self._subscribers and not self._arrivals:
            self._progress = None  # it would be outdated when the next subscriber comes
            return
        self._is_sample_due = now < self._sampled_at + SAMPLE_SECONDS
        if not self._is_sample_due:
            self._sampled_at = now
            progress = report()
            if progress != self._progress:
                self._progress = progress
        self._wake()

    def next_sample(self) -> float | None:
        """The latest time for the next call of `update`, in monotonic seconds; None: the next iteration suffices."""
        return self._sampled_at + SAMPLE_SECONDS if self._is_sample_due and self._subscribers else None

    # ---------------------------------------------------------------------------------------- the control socket

    def adopt(self, connection: socket.socket, arguments: Mapping[str, object]) -> dict[str, object] | None:
        """Take over a connection whose request was `subscribe`, or return the refusal. Any thread may call this."""
        try:
            command = feed_lines.Subscribe.model_validate(dict(arguments))
        except ValidationError:
            return _refusal("The arguments of subscribe are wrong.", 'Send {"after": NUMBER}, or none.')
        if self._thread is None or self._is_stopping:
            return _refusal("The daemon is starting or stopping.", "Try again in a moment.")
        if not self._slots.acquire(blocking=False):
            return _refusal(f"There are {MAX_SUBSCRIBERS} subscribers already.", "Close one of them.")
        own = socket.socket(fileno=connection.detach())
        own.setblocking(False)
        self._arrivals.append(Subscriber(connection=own, after=command.after))
        self._wake()
        self._post(Subscribed())  # the main loop must report the progress, which nobody may have needed before
        return None

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # the counter is at its maximum, so the thread is awake
            os.eventfd_write(self._wake_fd, 1)

    # ---------------------------------------------------------------------------------------- the thread

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_fd, selectors.EVENT_READ)
            while not self._is_stopping:
                ready = selector.select(self._pause(time.monotonic()))
                now = time.monotonic()
                for key, _ in ready:
                    if key.data is None:
                        os.eventfd_read(self._wake_fd)
                    elif not _is_open(key.data.connection):
                        self._close(key.data, selector)
                try:
                    self._turn(selector, now)
                except Exception:  # error boundary: disconnect all subscribers, which then subscribe again
                    log.exception("internal error; all subscribers are disconnected")
                    for each in list(self._subscribers):
                        self._close(each, selector)
            for each in (*self._subscribers, *self._arrivals):
                each.drop("The daemon is stopping.", 0.0)
                with contextlib.suppress(OSError):
                    each.send(0.0)
                each.connection.close()
        self._close_log()

    def _turn(self, selector: selectors.BaseSelector, now: float) -> None:
        while self._arrivals:
            each = self._arrivals.popleft()
            each.active_at = each.line_at = now
            self._subscribers.add(each)
            selector.register(each.connection, selectors.EVENT_READ, each)
        if not self._subscribers:
            self._close_log()
            return
        self._add_events(now)
        for each in list(self._subscribers):
            try:
                each.send(now)  # first, because only an empty buffer gets progress
                self._add_rest(each, now)
                each.send(now)
            except OSError as error:
                log.debug("a subscriber disconnected: %s", error)
                self._close(each, selector)
                continue
            if each.closes_at is not None and (not each.buffer or now >= each.closes_at):
                self._close(each, selector)
                continue
            if each.closes_at is None and each.buffer and now >= each.active_at + STALL_SECONDS:
                each.drop("It read too slowly.", now)
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if each.buffer else 0)
            if selector.get_key(each.connection).events != wanted:
                selector.modify(each.connection, wanted, each)

    def _pause(self, now: float) -> float | None:
        """Seconds until the thread has something to do without an event of a socket; None: nothing."""
        if self._arrivals or any(each.has_room and each.last != self._latest for each in self._readers(now)):
            return 0.0
        moments = [self._readable_at] if self._readable_at > now else []
        for each in self._subscribers:
            if each.closes_at is not None:
                moments.append(each.closes_at)
            elif each.buffer:
                moments.append(each.active_at + STALL_SECONDS)
            else:
                moments.append(each.line_at + HEARTBEAT_SECONDS)
        return max(0.0, min(moments) - now) if moments else None

    def _readers(self, now: float) -> Iterable[Subscriber]:
        """The subscribers to consider for new events; none while the job log cannot be read."""
        return self._subscribers if now >= self._readable_at else ()

    def _add_events(self, now: float) -> None:
        """Put the events that subscribers do not have yet into their buffers."""
        if now < self._readable_at:
            return
        pages: dict[int, tuple[list[bytes], int]] = {}
        try:
            if self._log is None:
                self._log = JobLog(self._database)
            latest = self._log.last_event()
            for each in self._subscribers:
                self._greet(each, latest, now)
                while each.has_room and each.last is not None and each.last < latest:
                    if each.last not in pages:
                        pages[each.last] = self._page(self._log, each.last, latest)
                    lines, each.last = pages[each.last]
                    each.put(lines, now)
            self._latest = latest
        except InboxdError as error:
            log.debug("the events cannot be read: %s", error)
            self._close_log()
            self._readable_at = now + _RETRY_SECONDS

    def _page(self, jobs: JobLog, after: int, latest: int) -> tuple[list[bytes], int]:
        """The next events as lines, and the number to continue after."""
        rows = jobs.events_after(after, limit=_PAGE)
        return [encode(feed_lines.EventLine(**row)) for row in rows], rows[-1]["number"] if rows else latest

    def _greet(self, each: Subscriber, latest: int, now: float) -> None:
        """Put the first line into the buffer of a new subscriber; drop one that is too far behind."""
        if each.last is None:
            after = latest if each.after is None or each.after > latest else each.after  # the job log was replaced
            each.last = after
            each.put([encode(feed_lines.SubscribedLine(version=__version__, pid=os.getpid(), last=latest))], now)
            if latest - after > MAX_REPLAY:
                each.last = latest
                each.put([encode(feed_lines.SkippedLine(after=after, last=latest))], now)
        elif each.closes_at is None and latest - each.last > 2 * MAX_REPLAY:
            each.drop("It read too slowly.", now)

    def _add_rest(self, each: Subscriber, now: float) -> None:
        """Send progress and heartbeats to the subscribers that have read everything."""
        if each.buffer or each.closes_at is not None or each.last is None:
            return
        if self._progress is not None and each.shown is not self._progress:
            each.shown = self._progress
            each.put([encode(self._progress)], now)
        elif now >= each.line_at + HEARTBEAT_SECONDS:
            each.put([encode(feed_lines.HeartbeatLine(last=each.last))], now)

    def _close(self, each: Subscriber, selector: selectors.BaseSelector) -> None:
        if each not in self._subscribers:
            return
        selector.unregister(each.connection)
        each.connection.close()
        self._slots.release()
        self._subscribers.discard(each)

    def _close_log(self) -> None:
        if self._log is not None:
            self._log.__exit__()
            self._log = None


def _is_open(connection: socket.socket) -> bool:
    """False if the other side has closed the connection. Discards any input."""
    try:
        return bool(connection.recv(65536))
    except BlockingIOError:
        return True
    except OSError:
        return False


def _refusal(error: str, fix: str) -> dict[str, object]:
    return {"ok": False, "error": error, "fix": fix, "exit_code": os.EX_TEMPFAIL}
