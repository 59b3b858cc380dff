"""Decodes a worker's output: messages from its stdout, the last lines of its stderr. Pure; time is passed in.

A worker is not trusted: its library, or another program named by `python`, may write anything. Buffers are bounded.
Invalid lines and replies that the daemon did not request count as faults; too many faults raise `ProtocolViolation`.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from processors import protocol
from processors.contract import WorkProgress

log = logging.getLogger(__name__)

_MAX_FAULTS = 20  # maximum number of invalid lines and unrequested replies, after which the daemon kills the worker
_TAIL_BYTES = 16 * 1024  # of stderr: earlier bytes are discarded
_LAST_LINES, _LINE_CHARACTERS = 20, 1000


class ProtocolViolation(Exception):
    """The worker broke the protocol; the message says how."""


@dataclass(kw_only=True)
class RateLimit:
    """A token bucket: bounds the events in a burst and per second."""

    per_second: float
    burst: float
    _left: float | None = None
    _at: float = 0.0

    def allows(self, now: float) -> bool:
        left = self.burst if self._left is None else self._left + (now - self._at) * self.per_second
        self._left, self._at = min(self.burst, left), now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass(kw_only=True)
class Decoder:
    """Decodes one worker's stdout."""

    number: int  # of the worker, for the log
    _line: bytearray = field(default_factory=bytearray)  # incomplete so far
    _loads_owed: int = 1
    _replies_owed: int = 0
    _batch_ends_owed: int = 0
    _faults: int = 0
    _progress: RateLimit = field(default_factory=lambda: RateLimit(per_second=50, burst=100))

    def expect(self, jobs: int) -> None:
        """Expect the replies to a batch of jobs that is being sent."""
        self._replies_owed += jobs
        self._batch_ends_owed += 1

    def feed(self, chunk: bytes, now: float) -> Iterator[protocol.Message]:
        """Yield the messages that `chunk` completes, without progress messages above the rate limit.

        now: monotonic seconds.

        Raises:
            ProtocolViolation: the worker sent too long a line, or too many faults; the caller must kill the worker.
        """
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            message = self._decode(bytes(self._line + line))
            self._line.clear()
            if message is not None and (not isinstance(message, WorkProgress) or self._progress.allows(now)):
                yield message
        self._line += rest
        if len(self._line) > protocol.LINE_BYTES:
            self._line.clear()
            raise ProtocolViolation(f"a line of more than {protocol.LINE_BYTES >> 20} MB")

    def _decode(self, line: bytes) -> protocol.Message | None:
        try:
            message = protocol.decode(line)
        except ValueError as error:
            self._count_fault(str(error))
            return None
        if self._was_requested(message):
            return message
        self._count_fault(f"{type(message).__name__} without a request")
        # a surplus reply may precede a valid one of the same batch: the dispatcher knows which jobs the worker has
        return message if isinstance(message, protocol.WorkFinished | protocol.WorkFailed) else None

    def _was_requested(self, message: protocol.Message) -> bool:
        """Count the message as a reply to a request. False: the daemon has sent no such request."""
        match message:
            case WorkProgress():
                return True
            case protocol.WorkerLoaded() | protocol.LoadFailed():
                self._loads_owed, is_owed = 0, self._loads_owed > 0
            case protocol.WorkFinished() | protocol.WorkFailed():
                self._replies_owed, is_owed = self._replies_owed - 1, self._replies_owed > 0
            case protocol.BatchDone():
                self._batch_ends_owed, is_owed = max(0, self._batch_ends_owed - 1), self._batch_ends_owed > 0
            case _:
                is_owed = False
        return is_owed

    def _count_fault(self, what: str) -> None:
        self._faults += 1
        log.warning("worker %d broke the protocol: %s", self.number, what)
        if self._faults >= _MAX_FAULTS:
            raise ProtocolViolation(what)


@dataclass(kw_only=True)
class StderrTail:
    """The last lines of one worker's stderr; with verbose logging, all of it also goes to the log."""

    number: int
    log: logging.Logger
    _tail: bytes = b""
    _logged: RateLimit = field(default_factory=lambda: RateLimit(per_second=200, burst=5000))

    def feed(self, chunk: bytes, now: float) -> None:
        if self.log.isEnabledFor(logging.DEBUG):
            for line in chunk.splitlines():
                if self._logged.allows(now):
                    self.log.debug("worker %d: %s", self.number, _text(line))
        self._tail = (self._tail + chunk)[-_TAIL_BYTES:]

    def __str__(self) -> str:
        lines = [_text(line) for line in self._tail.splitlines()]
        return "\n".join([line for line in lines if line][-_LAST_LINES:])


def _text(line: bytes) -> str:
    return line[: 4 * _LINE_CHARACTERS].decode(errors="replace").rstrip()[:_LINE_CHARACTERS]
