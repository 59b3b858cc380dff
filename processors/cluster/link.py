"""The interface through which a near half calls its far half. No I/O: see `ray_link` for the implementation."""

from typing import Protocol


class Lost(Exception):
    """The far half, its node or the connection is gone; the message says which. The job's file did not cause this."""


class FarError(Exception):
    """A call failed on the far half; the message is that of its exception."""


class Reply(Protocol):
    """A call in progress."""

    def wait(self, seconds: float) -> object:
        """Wait for the value that the call returns.

        Raises:
            Lost: no value arrived within `seconds`, or none can arrive any more.
            FarError: the call failed.
        """
        ...


class Link(Protocol):
    """The connection to one far half."""

    def call(self, method: str, *arguments: object) -> Reply:
        """Start a call of a method of `far.FarHalf`. Calls may run at the same time and in any order, so wait for a
        call before you start one that depends on it."""
        ...

    def close(self) -> None:
        """End the far half, and disconnect."""
        ...
