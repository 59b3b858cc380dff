"""The client of the daemon: sends a command of `api` through the control socket, and returns the reply as a model."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from daemon.core.errors import InboxdError
from daemon.server import api, control_socket, feed_lines

R = TypeVar("R", bound=api.Reply)

SILENCE_SECONDS = 45.0  # three heartbeats: after this time without a line, the client closes a subscription
_MAX_LINE_BYTES = 4 * 1024 * 1024
_LINES: TypeAdapter[feed_lines.Line] = TypeAdapter(
    Annotated[feed_lines.Line, Field(discriminator="type")], config=ConfigDict(defer_build=True)
)

SAME_VERSION = (
    "The command and the daemon may be of different versions: compare `inboxd --version` with `inboxd status`."
)


class Refused(InboxdError):
    """The daemon did not carry out a command. `code`: the exit code that its reply proposes; None: none."""

    def __init__(self, what: str, fix: str, code: int | None = None):
        super().__init__(what, fix)
        self.code = code


async def subscribe(path: Path, after: int | None = None) -> AsyncGenerator[feed_lines.Line, None]:
    """Yield the lines of a subscription: the events of jobs after number `after` (None: from now on), and the progress;
    see `feed_lines.Subscribe`.

    Raises:
        NotRunning: no daemon listens, this user may not use the socket, or the connection has ended. Subscribe again,
            with the number of the last event as `after`.
        Refused: the daemon did not accept the subscription, or is of another version.
    """
    import asyncio  # `ask` does not need asyncio, which takes time to import

    with control_socket.explained(path, SILENCE_SECONDS):
        connection = await asyncio.to_thread(control_socket.connect, path)
        connection.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=connection, limit=_MAX_LINE_BYTES)
        try:
            request = {"command": feed_lines.Subscribe.name, "arguments": {"after": after}}
            writer.write(json.dumps(request).encode() + b"\n")
            while line := await asyncio.wait_for(reader.readline(), SILENCE_SECONDS):
                yield _parse_line(line)
            raise ConnectionResetError("the daemon has closed the connection")
        finally:
            writer.close()


def _parse_line(line: bytes) -> feed_lines.Line:
    fields = json.loads(line)
    if not fields.pop("ok"):
        raise Refused(fields["error"], fields.get("fix", ""), fields.get("exit_code"))
    try:
        return _LINES.validate_python(fields)
    except ValidationError as error:
        raise Refused("Cannot read a line of the daemon.", SAME_VERSION) from error


def ask(path: Path, command: api.Command, reply: type[R], *, timeout: float = control_socket.REPLY_SECONDS) -> R:
    """Send a command to the daemon that listens on `path`, and return its reply.

    Raises:
        NotRunning: no daemon answers within `timeout` seconds, or this user may not use the socket.
        UsageError: the request is longer than the daemon reads.
        Refused: the daemon did not carry out the command, or its reply does not match this version of inboxd.
    """
    answer = control_socket.ask(path, command.name, timeout, **command.model_dump())
    if not answer.pop("ok"):
        raise Refused(answer["error"], answer.get("fix", ""), answer.get("exit_code"))
    try:
        return reply.model_validate(answer)
    except ValidationError as error:
        raise Refused(f"Cannot read the daemon's reply to {command.name!r}.", SAME_VERSION) from error
