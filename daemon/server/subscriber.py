"""One connection of `feed`: its position in the job log, and the bytes to send. Uses no thread of its own."""

import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

from daemon.server import feed_lines

_LAST_LINE_SECONDS = 5.0  # for a dropped subscriber to read the reason
_BUFFER_BYTES = 64 * 1024  # of unsent lines, beyond which no events are added


@dataclass(kw_only=True, eq=False)
class Subscriber:
    """A connection. Times are monotonic seconds."""

    connection: socket.socket
    after: int | None  # number of the last event that the client had before; None: it wants only later events
    last: int | None = None  # number of the last event that was put into the buffer; None: no first line yet
    buffer: bytearray = field(default_factory=bytearray)
    is_in_line: bool = False  # part of the buffer's first line has been sent
    shown: feed_lines.ProgressLine | None = None
    active_at: float = 0.0  # when the connection last accepted bytes, or the buffer was last empty
    line_at: float = 0.0  # when a line was last put into the buffer
    closes_at: float | None = None  # when the connection is closed at the latest; None: the subscriber was not dropped

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
        """Drop the subscriber: discard the buffer except the rest of the current line, and append a last line."""
        rest = self.buffer[: self.buffer.index(b"\n") + 1] if self.is_in_line else bytearray()
        self.buffer = rest + encode(feed_lines.DroppedLine(why=why))
        self.closes_at = now + _LAST_LINE_SECONDS

    def send(self, now: float) -> None:
        """Send as much as the connection accepts.

        Raises:
            OSError: the connection is closed.
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
