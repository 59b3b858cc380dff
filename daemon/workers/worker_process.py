"""The I/O loop of one worker process, on a thread of its own: messages in and out, its memory, its exit.

The thread changes no job: it puts the messages, and finally WorkerExited, into the mailbox. Whatever the worker does,
the thread reports its exit, never blocks on a write, and uses bounded buffers. It watches the process itself
(pidfd_open(2)), not its pipes, which a grandchild may hold open. It kills a worker that breaks the protocol or exceeds
its memory limit, with all its descendants.
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
from typing import IO, TYPE_CHECKING

from daemon.core.messages import WorkerExited, WorkerMessage
from daemon.workers.decoder import Decoder, ProtocolViolation, StderrTail
from processors import memory, protocol
from processors.contract import FailureKind

if TYPE_CHECKING:
    import subprocess

log = logging.getLogger(__name__)

_CHUNK_BYTES = 64 * 1024
_LAST_CHUNKS = 64  # limit of what is read after the exit of the process, because its descendants may continue to write
_EXIT_SECONDS = 10.0  # for a worker that closed its stdin or stdout to exit
_HUNTS = 100  # maximum number of searches of /proc for processes that a worker left behind


class WorkerProcess:
    """One worker process, as the main thread sees it.

    mark: a variable in the environment of the worker and of all its descendants. limit: bytes of memory that they may
    hold; limit_message: reports that limit, and how to raise it.
    """

    def __init__(
        self,
        number: int,
        post: Callable[[WorkerMessage | WorkerExited], None],
        *,
        mark: str,
        log_name: str,
        limit: int,
        limit_message: str,
    ):
        self._number, self._post = number, post
        self._process: subprocess.Popen[bytes]  # its pipes unbuffered; from `start` on
        self._mark, self._limit_message = mark, limit_message
        self._outgoing: queue.SimpleQueue[protocol.Message | None] = queue.SimpleQueue()  # None: close stdin
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._is_released = False
        self._selector = selectors.DefaultSelector()
        self._unsent = bytearray()
        self._is_closing = False  # close stdin once everything is sent
        self._decoder = Decoder(number=number)
        self._stderr_tail = StderrTail(number=number, log=logging.getLogger(log_name))
        self._has_exited = False
        self._why: FailureKind | None = None  # why this thread killed the worker; None: it did not
        self._reason = ""
        self._exit_by: float | None = None  # when a worker that closed a pipe must have exited
        self._memory = memory.MemoryMonitor(limit)
        self._thread = threading.Thread(target=self._run, name=f"worker-{number}", daemon=True)

    # ---------------------------------------------------------------------------------------- for the main thread

    def start(self, process: "subprocess.Popen[bytes]") -> None:
        """Read from `process` from now on.

        Raises:
            OSError: no thread could be started; the process was killed.
        """
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        self._process = process
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        try:
            self._thread.start()
        except RuntimeError as error:
            _kill_group(process.pid)
            process.wait()
            raise OSError(errno.EAGAIN, str(error)) from error

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: protocol.Message | None) -> None:
        """Queue a message for the process; None: close its stdin. Never blocks. If the process is gone, the message is
        discarded, and the exit is reported.
        """
        if self._is_released:
            return
        self._outgoing.put(message)
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Close the worker's stdin once everything is sent, so that it exits after its current work."""
        self.send(None)

    def kill(self) -> None:
        """Kill the process and its group now."""
        if self._process.returncode is None:  # not reaped yet, so no other process has its number
            _kill_group(self._process.pid)

    def release(self) -> None:
        """Close the descriptors after the exit was reported. Messages that are sent afterwards are discarded."""
        self._is_released = True
        os.close(self._wake)
        self._selector.close()

    # ---------------------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        try:
            self._serve()
        except Exception:  # a worker's exit must always be reported
            log.exception("worker %d: cannot read from it", self._number)
        self._finish()

    def _serve(self) -> None:
        pidfd = os.pidfd_open(self._process.pid)
        try:
            self._selector.register(pidfd, selectors.EVENT_READ, self._on_exit)
            self._selector.register(self._wake, selectors.EVENT_READ, self._write)
            self._selector.register(self._stdout, selectors.EVENT_READ, self._read_stdout)
            self._selector.register(self._stderr, selectors.EVENT_READ, self._read_stderr)
            for pipe in (self._stdin, self._stdout, self._stderr):
                os.set_blocking(pipe.fileno(), False)
            while not self._has_exited:
                for key, _ in self._selector.select(self._pause()):
                    key.data()
                self._check_limits()
        finally:
            os.close(pidfd)

    def _on_exit(self) -> None:
        self._has_exited = True

    def _pause(self) -> float | None:
        times = [at for at in (self._memory.next_check, self._exit_by) if at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _check_limits(self) -> None:
        now = time.monotonic()
        if self._exit_by is not None and now >= self._exit_by:
            self._exit_by = None
            self._kill(FailureKind.CRASHED, "The worker process closed its pipes without exiting, so inboxd killed it.")
        if (held := self._memory.check(self._process.pid, now)) and self._why is None:
            log.error("worker %d holds %.2f GB of memory, more than its limit; killed", self._number, held / 1e9)
            self._kill(FailureKind.OUT_OF_MEMORY, self._limit_message)

    def _kill(self, why: FailureKind, reason: str) -> None:
        if self._why is None:
            self._why, self._reason = why, reason
            _kill_group(self._process.pid)

    # ---------------------------------------------------------------------------------------- writing

    def _write(self) -> None:
        """Write as much as the pipe accepts, and the rest when it accepts more."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        while not self._outgoing.empty():
            self._encode(self._outgoing.get())
        if self._stdin.closed:
            return
        try:
            while self._unsent:
                del self._unsent[: os.write(self._stdin.fileno(), self._unsent[:_CHUNK_BYTES])]
        except BlockingIOError:
            with contextlib.suppress(KeyError):  # the pipe is registered already
                self._selector.register(self._stdin, selectors.EVENT_WRITE, self._write)
            return
        except OSError:  # EPIPE: it closed its stdin, or has just died
            self._expect_end()
            self._is_closing = True
        self._unwatch(self._stdin)
        if self._is_closing:
            self._stdin.close()

    def _encode(self, message: protocol.Message | None) -> None:
        if message is None:
            self._is_closing = True
            return
        if isinstance(message, protocol.Batch):
            self._decoder.expect(len(message.works))
            self._memory.next_check = 0.0
        self._unsent += protocol.encode(message)

    # ---------------------------------------------------------------------------------------- reading

    def _read_stdout(self) -> None:
        chunk = self._read(self._stdout)
        if self._why is FailureKind.CRASHED:
            return
        try:
            for message in self._decoder.feed(chunk, time.monotonic()):
                if isinstance(message, protocol.WorkerLoaded | protocol.BatchDone):
                    self._memory.next_check = None
                self._post(WorkerMessage(worker=self._number, message=message))
        except ProtocolViolation as error:
            self._kill(FailureKind.CRASHED, f"The worker process broke the protocol: {error}.")

    def _read_stderr(self) -> None:
        self._stderr_tail.feed(self._read(self._stderr), time.monotonic())

    def _read(self, pipe: IO[bytes]) -> bytes:
        try:
            chunk = os.read(pipe.fileno(), _CHUNK_BYTES)
        except BlockingIOError:
            return b""
        if not chunk:
            self._unwatch(pipe)
            if pipe is self._stdout:
                self._expect_end()
        return chunk

    def _expect_end(self) -> None:
        """Expect the worker to exit soon: it has closed its stdin or stdout, and can do no more work."""
        self._exit_by = self._exit_by or time.monotonic() + _EXIT_SECONDS

    def _unwatch(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(pipe)

    # ---------------------------------------------------------------------------------------- the exit

    def _finish(self) -> None:
        """Kill the descendants of the exited worker, read the rest of its output, and report its exit."""
        process = self._process
        _kill_group(process.pid)  # until the leader is reaped, its number names this group and no other
        _kill_marked(self._mark)
        with contextlib.suppress(Exception):  # the report of the exit matters more than the last output
            for _ in range(_LAST_CHUNKS):
                self._read_stdout()
                self._read_stderr()
        status = process.wait()
        for pipe in (self._stdin, self._stdout, self._stderr):
            pipe.close()
        if self._why is None and status == -signal.SIGKILL and self._memory.has_kernel_killed():
            self._why = FailureKind.OUT_OF_MEMORY
            self._reason = f"The system ran out of memory. {self._limit_message}"
        self._post(
            WorkerExited(
                worker=self._number,
                exit_status=status,
                stderr_tail=str(self._stderr_tail),
                why=self._why or FailureKind.CRASHED,
                reason=self._reason,
            )
        )


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _kill_marked(mark: str) -> None:
    """Kill descendants that left the process group with setsid(2), found by `mark` in their environment.

    Repeat until two searches in a row find none: one search can miss a process that forks and exits meanwhile, and its
    child as well.
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
        time.sleep(0.01)  # for them to exit; nobody waits for this thread


def _holds(environment: Path, mark: str) -> bool:
    try:
        return mark.encode() in environment.read_bytes()
    except OSError:  # the process belongs to another user, or has exited
        return False
