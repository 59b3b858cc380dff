"""Asks the running daemon: sends a command of `api` through the control socket, and returns its reply as a model."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from daemon.core.errors import InboxdError
from daemon.server import api, control_socket

R = TypeVar("R", bound=api.Reply)

SAME_VERSION = (
    "The command and the daemon may be of different versions: compare `inboxd --version` with `inboxd status`."
)


class Refused(InboxdError):
    """The daemon did not carry a command out. `code`: the exit code that it asks for; None: it names none."""

    def __init__(self, what: str, fix: str, code: int | None = None):
        super().__init__(what, fix)
        self.code = code


def ask(path: Path, command: api.Command, reply: type[R], *, timeout: float = control_socket.REPLY_SECONDS) -> R:
    """Send a command to the daemon that listens on `path`, and return its reply.

    Raises:
        NotRunning: no daemon answers within `timeout` seconds, or this user may not use the socket.
        UsageError: the request is longer than the daemon reads.
        Refused: the daemon did not carry the command out, or its reply is that of another version.
    """
    answer = control_socket.ask(path, command.name, timeout, **command.model_dump())
    if not answer.pop("ok"):
        raise Refused(answer["error"], answer.get("fix", ""), answer.get("exit_code"))
    try:
        return reply.model_validate(answer)
    except ValidationError as error:
        raise Refused(f"Cannot read the daemon's reply to {command.name!r}.", SAME_VERSION) from error
