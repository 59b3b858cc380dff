"""The calls from a near half to its far half, whatever carries them. No I/O."""

from typing import Protocol


class Lost(Exception):
    """The far half, its node or the connection is gone; the message says which. No file is at fault."""


class FarError(Exception):
    """The far half could not carry out a call; the message is that of its exception."""


class Reply(Protocol):
    """A call that is under way."""

    def wait(self, seconds: float) -> object:
        """Return its value.

        Raises:
            Lost: there is none within this time, or there will be none.
            FarError: the call failed.
        """
        ...


class Link(Protocol):
    """The connection to one far half."""

    def call(self, method: str, *arguments: object) -> Reply:
        """Call a method of `far.FarHalf`. Calls may run at the same time and in any order: wait for those that come
        before."""
        ...

    def close(self) -> None:
        """End the far half, and disconnect."""
        ...
