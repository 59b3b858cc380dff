"""One connection of `feed`: what it has been sent, and what waits to be sent. Uses no thread of its own."""

import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

from daemon.server import feed_lines

_LAST_LINE_SECONDS = 5.0  # for one that is dropped to read the reason
_BUFFER_BYTES = 64 * 1024  # no more lines are made beyond it


@dataclass(kw_only=True, eq=False)
class Subscriber:
    """A connection. Times are monotonic seconds."""

    connection: socket.socket
    after: int | None  # number of the last event that it has; None: wants only later ones
    last: int | None = None  # number of the last event that was put into the buffer; None: not greeted yet
    buffer: bytearray = field(default_factory=bytearray)
    is_in_line: bool = False  # part of the buffer's first line has been sent
    shown: feed_lines.ProgressLine | None = None
    active_at: float = 0.0  # when it last accepted bytes, or had none to accept
    line_at: float = 0.0  # when it was last sent a line
    closes_at: float | None = None  # it is dropped, and the connection closed then at the latest

    @property
    def has_room(self) -> bool:
        return self.closes_at is None and len(self.buffer) < _BUFFER_BYTES

    def put(self, lines: Iterable[bytes], now: float) -> None:
        if not self.buffer:
            self.active_at = now
        for line in lines:
            self.buffer += line
        self.line_at = now

    def drop(self, why: str, now: float) -> None:
        """Discard all but the rest of the current line, and append a last line."""
        rest = self.buffer[: self.buffer.index(b"\n") + 1] if self.is_in_line else bytearray()
        self.buffer = rest + encode(feed_lines.DroppedLine(why=why))
        self.closes_at = now + _LAST_LINE_SECONDS

    def send(self, now: float) -> None:
        """Send as much as the connection accepts.

        Raises:
            OSError: it is closed.
        """
        while self.buffer:
            try:
                count = self.connection.send(self.buffer)
            except BlockingIOError:
                return
            self.is_in_line = self.buffer[count - 1] != ord("\n")
            del self.buffer[:count]
            self.active_at = now


def encode(line: feed_lines.Line) -> bytes:
    return json.dumps({"ok": True, **line.to_wire()}, ensure_ascii=True).encode() + b"\n"
