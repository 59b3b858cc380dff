"""The command `subscribe`, and the lines that the daemon sends in reply. New versions may add fields, but remove none.

`feed` sends the lines, `client` reads them.
"""

from typing import Annotated, Literal

from pydantic import Field

from daemon.server import api


class Subscribe(api.Command):
    """Keep the connection open; send a line for each job event after number `after` (None: from now on), and for each
    change of the progress. The classes below are the lines; there is no other reply."""

    name = "subscribe"

    after: Annotated[int, Field(ge=0)] | None = None


class SubscribedLine(api.Reply):
    """The first line."""

    type: Literal["subscribed"] = "subscribed"
    version: api.Text
    pid: int
    last: int  # number of the latest event


class EventLine(api.JobEvent):
    type: Literal["event"] = "event"


class SkippedLine(api.Reply):
    """There are too many events to send them all: read those after `after` and up to `last` from the job log."""

    type: Literal["skipped"] = "skipped"
    after: int
    last: int


class ProgressLine(api.Reply):
    """The running jobs and the workers: sent when they change, at most five times a second."""

    type: Literal["progress"] = "progress"
    running: list[api.RunningJob]
    workers: list[api.WorkerStatus]


class HeartbeatLine(api.Reply):
    """Nothing has happened for a while."""

    type: Literal["heartbeat"] = "heartbeat"
    last: int  # number of the last event that was sent


class DroppedLine(api.Reply):
    """The last line: subscribe again, after the last event."""

    type: Literal["dropped"] = "dropped"
    why: api.Text


Line = SubscribedLine | EventLine | SkippedLine | ProgressLine | HeartbeatLine | DroppedLine
