"""What a worker's bytes mean: messages out of its stdout, last words out of its stderr. Pure; time is passed in.

A worker is not trusted: its library, or another program named by `python`, may write anything at all. What is kept is
bounded, what is handed on is bounded by what was asked, and who breaks the rules too often is `Unintelligible`.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from processors import protocol
from processors.contract import WorkProgress

log = logging.getLogger(__name__)

_FAULTS = 20  # lines that are no messages, and answers to nothing, after which there is no hope
_TAIL_BYTES = 16 * 1024  # of stderr: those before are forgotten
_LAST_LINES, _LINE_CHARACTERS = 20, 1000


class Unintelligible(Exception):
    """It does not speak as a worker must; the message says how."""


@dataclass(kw_only=True)
class Allowance:
    """So many of something at once, and so many a second (a token bucket)."""

    a_second: float
    at_once: float
    _left: float | None = None
    _at: float = 0.0

    def grants(self, now: float) -> bool:
        left = self.at_once if self._left is None else self._left + (now - self._at) * self.a_second
        self._left, self._at = min(self.at_once, left), now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass(kw_only=True)
class Hearing:
    """One worker's stdout."""

    number: int
    _line: bytearray = field(default_factory=bytearray)  # of which the end is not there yet
    _loads_owed: int = 1
    _answers_owed: int = 0
    _ends_owed: int = 0
    _faults: int = 0
    _progress: Allowance = field(default_factory=lambda: Allowance(a_second=50, at_once=100))

    def expect(self, jobs: int) -> None:
        """A batch of so many jobs is being sent."""
        self._answers_owed += jobs
        self._ends_owed += 1

    def take(self, chunk: bytes, now: float) -> Iterator[Any]:
        """The messages that are complete with `chunk`; of its progress, as much as anyone could look at.

        Raises:
            Unintelligible: it is to be ended.
        """
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            message = self._understand(bytes(self._line + line))
            self._line.clear()
            if message is not None and (not isinstance(message, WorkProgress) or self._progress.grants(now)):
                yield message
        self._line += rest
        if len(self._line) > protocol.LINE_BYTES:
            self._line.clear()
            raise Unintelligible(f"a line of more than {protocol.LINE_BYTES >> 20} MB")

    def _understand(self, line: bytes) -> Any:
        try:
            message = protocol.decode(line)
        except ValueError as error:
            self._blame(str(error))
            return None
        match message:
            case WorkProgress():
                return message
            case protocol.WorkerLoaded() | protocol.LoadFailed():
                self._loads_owed, is_owed = 0, self._loads_owed > 0
            case protocol.WorkFinished() | protocol.WorkFailed():
                self._answers_owed, is_owed = self._answers_owed - 1, self._answers_owed > 0
            case protocol.BatchDone():
                self._ends_owed, is_owed = max(0, self._ends_owed - 1), self._ends_owed > 0
            case _:
                is_owed = False
        if is_owed:
            return message
        self._blame(f"{type(message).__name__}, which was not asked for")
        # an answer too many may stand before a good one of the same batch: which is which, `dispatch` knows
        return message if isinstance(message, protocol.WorkFinished | protocol.WorkFailed) else None

    def _blame(self, what: str) -> None:
        self._faults += 1
        log.warning("worker %d says what it must not: %s", self.number, what)
        if self._faults >= _FAULTS:
            raise Unintelligible(what)


@dataclass(kw_only=True)
class LastWords:
    """One worker's stderr: goes to the log when that is verbose; its end is kept."""

    number: int
    log: logging.Logger
    _tail: bytes = b""
    _logged: Allowance = field(default_factory=lambda: Allowance(a_second=200, at_once=5000))

    def take(self, chunk: bytes, now: float) -> None:
        if self.log.isEnabledFor(logging.DEBUG):
            for line in chunk.splitlines():
                if self._logged.grants(now):
                    self.log.debug("worker %d: %s", self.number, _text(line))
        self._tail = (self._tail + chunk)[-_TAIL_BYTES:]

    def __str__(self) -> str:
        lines = [_text(line) for line in self._tail.splitlines()]
        return "\n".join([line for line in lines if line][-_LAST_LINES:])


def _text(line: bytes) -> str:
    return line[: 4 * _LINE_CHARACTERS].decode(errors="replace").rstrip()[:_LINE_CHARACTERS]
