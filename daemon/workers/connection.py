"""The talk with one worker process, on a thread of its own: messages in and out, its memory, its end.

It does nothing to the jobs: what is said, and at last WorkerEnded, goes into the mailbox. Whatever the process does,
its end is delivered, and the daemon neither waits for it nor grows by it: no write blocks, what is kept of its words is
bounded, its end is told by the process itself (pidfd_open(2)), not by pipes that a grandchild may hold open. One that
breaks the rules of the wire, or takes more memory than it may, is killed with all it started.
"""

import contextlib
import errno
import logging
import os
import queue
import selectors
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daemon.core.messages import WorkerEnded, WorkerSaid
from daemon.workers import memory
from daemon.workers.decoder import Hearing, LastWords, Unintelligible
from processors import protocol
from processors.contract import FailureKind

log = logging.getLogger(__name__)

_CHUNK_BYTES = 64 * 1024
_LAST_CHUNKS = 64  # read of what stands in the pipes of a process that has ended; others may go on filling them
_LAST_SECONDS = 10.0  # for a worker that closed its input or its output to be gone
_HUNTS = 100  # for what a worker left behind


class Conversation:
    """`mark`: what stands in the environment of the worker and of all it starts. `limit`: the bytes of memory they may
    hold, and `limit_words` that tell it, and how to raise it."""

    def __init__(
        self,
        number: int,
        post: Callable[[Any], None],
        *,
        mark: str,
        log_name: str,
        limit: int,
        limit_words: str,
    ):
        self._number, self._post = number, post
        self._process: Any = None  # subprocess.Popen, its pipes unbuffered
        self._mark, self._limit_words = mark, limit_words
        self._to_say: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._is_released = False
        self._selector = selectors.DefaultSelector()
        self._unsent = bytearray()
        self._is_closing = False  # its input, once all is sent
        self._hearing = Hearing(number=number)
        self._last_words = LastWords(number=number, log=logging.getLogger(log_name))
        self._is_over = False
        self._why: FailureKind | None = None  # it was killed here, for this
        self._reason = ""
        self._gone_by: float | None = None  # when a worker that closed a pipe must have ended
        self._memory = memory.Watch(limit)
        self._thread = threading.Thread(target=self._run, name=f"worker-{number}", daemon=True)

    # ---------------------------------------------------------------------------------------- for the main thread

    def start(self, process: Any) -> None:
        """Listen to `process` from now on.

        Raises:
            OSError: no thread could be started; the process is ended.
        """
        self._process = process
        try:
            self._thread.start()
        except RuntimeError as error:
            _kill_group(process.pid)
            process.wait()
            raise OSError(errno.EAGAIN, str(error)) from error

    def say(self, message: Any) -> None:
        """Send a message, as soon as the process reads; never waits for it."""
        if self._is_released:
            return
        self._to_say.put(message)
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Close the worker's input once all is said."""
        self.say(None)

    def release(self) -> None:
        """The end was delivered: what is said from now on is said to nobody."""
        self._is_released = True
        os.close(self._wake)
        self._selector.close()

    # ---------------------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        try:
            self._converse()
        except Exception:  # one worker's end must always be delivered
            log.exception("worker %d: it cannot be listened to", self._number)
        self._bury()

    def _converse(self) -> None:
        process, pidfd = self._process, os.pidfd_open(self._process.pid)
        try:
            self._selector.register(pidfd, selectors.EVENT_READ, self._see_the_end)
            self._selector.register(self._wake, selectors.EVENT_READ, self._speak)
            self._selector.register(process.stdout, selectors.EVENT_READ, self._hear)
            self._selector.register(process.stderr, selectors.EVENT_READ, self._hear_errors)
            for pipe in (process.stdin, process.stdout, process.stderr):
                os.set_blocking(pipe.fileno(), False)
            while not self._is_over:
                for key, _ in self._selector.select(self._pause()):
                    key.data()
                self._look_at_the_time()
        finally:
            os.close(pidfd)

    def _see_the_end(self) -> None:
        self._is_over = True

    def _pause(self) -> float | None:
        times = [at for at in (self._memory.next_look, self._gone_by) if at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _look_at_the_time(self) -> None:
        now = time.monotonic()
        if self._gone_by is not None and now >= self._gone_by:
            self._gone_by = None
            self._give_up(FailureKind.CRASHED, "The worker process closed its pipes and lived on, so it was ended.")
        if (held := self._memory.look(self._process.pid, now)) and self._why is None:
            log.error("worker %d holds %.2f GB of memory, more than it may; killed", self._number, held / 1e9)
            self._give_up(FailureKind.OUT_OF_MEMORY, self._limit_words)

    def _give_up(self, why: FailureKind, reason: str) -> None:
        if self._why is None:
            self._why, self._reason = why, reason
            _kill_group(self._process.pid)

    # ---------------------------------------------------------------------------------------- speaking

    def _speak(self) -> None:
        """Write as much as the pipe takes; the rest when it takes more."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        while not self._to_say.empty():
            self._take_up(self._to_say.get())
        stdin = self._process.stdin
        if stdin.closed:
            return
        try:
            while self._unsent:
                del self._unsent[: os.write(stdin.fileno(), self._unsent[:_CHUNK_BYTES])]
        except BlockingIOError:
            with contextlib.suppress(KeyError):  # it is watched already
                self._selector.register(stdin, selectors.EVENT_WRITE, self._speak)
            return
        except OSError:  # EPIPE: it closed its input, or has just died
            self._expect_end()
            self._is_closing = True
        self._unwatch(stdin)
        if self._is_closing:
            stdin.close()

    def _take_up(self, message: Any) -> None:
        if message is None:
            self._is_closing = True
            return
        if isinstance(message, protocol.Batch):
            self._hearing.expect(len(message.works))
            self._memory.next_look = 0.0
        self._unsent += protocol.encode(message)

    # ---------------------------------------------------------------------------------------- listening

    def _hear(self) -> None:
        chunk = self._read(self._process.stdout)
        if self._why is FailureKind.CRASHED:
            return
        try:
            for message in self._hearing.take(chunk, time.monotonic()):
                if isinstance(message, protocol.WorkerLoaded | protocol.BatchDone):
                    self._memory.next_look = None
                self._post(WorkerSaid(worker=self._number, message=message))
        except Unintelligible as error:
            self._give_up(FailureKind.CRASHED, f"The worker process did not speak as a worker must: {error}.")

    def _hear_errors(self) -> None:
        self._last_words.take(self._read(self._process.stderr), time.monotonic())

    def _read(self, pipe: Any) -> bytes:
        try:
            chunk = os.read(pipe.fileno(), _CHUNK_BYTES)
        except BlockingIOError:
            return b""
        if not chunk:
            self._unwatch(pipe)
            if pipe is self._process.stdout:
                self._expect_end()
        return chunk

    def _expect_end(self) -> None:
        """Its input or its output is closed: nothing can come of it any more."""
        self._gone_by = self._gone_by or time.monotonic() + _LAST_SECONDS

    def _unwatch(self, pipe: Any) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(pipe)

    # ---------------------------------------------------------------------------------------- the end

    def _bury(self) -> None:
        """Kill what it started, hear its last words, and deliver its end."""
        process = self._process
        _kill_group(process.pid)  # while the ended leader is not reaped, its number names this group and no other
        _kill_marked(self._mark)
        with contextlib.suppress(Exception):  # its last words are not worth its end
            for _ in range(_LAST_CHUNKS):
                self._hear()
                self._hear_errors()
        status = process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()
        if self._why is None and status == -signal.SIGKILL and self._memory.has_kernel_killed():
            self._why = FailureKind.OUT_OF_MEMORY
            self._reason = f"The system ran out of memory. {self._limit_words}"
        self._post(
            WorkerEnded(
                worker=self._number,
                exit_status=status,
                last_words=str(self._last_words),
                why=self._why or FailureKind.CRASHED,
                reason=self._reason,
            )
        )


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _kill_marked(mark: str) -> None:
    """Kill what left the group (setsid(2)): it still has the mark in its environment.

    Until none was found twice: one that forks and ends while the list is read is in it no more, its child not yet.
    """
    misses = 0
    for _ in range(_HUNTS):
        found = [int(path.parent.name) for path in Path("/proc").glob("[1-9]*/environ") if _holds(path, mark)]
        misses = 0 if found else misses + 1
        if misses == 2:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)  # for them to be gone; nobody waits for this thread


def _holds(environment: Path, mark: str) -> bool:
    try:
        return mark.encode() in environment.read_bytes()
    except OSError:  # another user's, or it has ended
        return False
