"""The messages that reach the main loop through its mailbox. No I/O."""

import queue
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from processors.cluster.nodes import Node
from processors.contract import FailureKind
from processors.protocol import Message


@dataclass(frozen=True, kw_only=True)
class Hint:
    """Something changed in a folder of the inbox, as far as the watcher knows."""

    folder: Path
    name: str | None = None  # the entry, if it is known
    complete: bool = False  # renamed in (for a folder, with its contents): complete immediately


@dataclass(frozen=True, kw_only=True)
class CheckAll:
    """Events were lost, or it is time: scan the whole inbox."""

    why: str


@dataclass(frozen=True, kw_only=True)
class WorkerMessage:
    """A message of `processors.protocol` from a worker."""

    worker: int
    message: Message


@dataclass(frozen=True, kw_only=True)
class WorkerExited:
    """A worker's process has exited, and all its messages have been delivered."""

    worker: int
    exit_status: int  # negative: killed by that signal
    stderr_tail: str
    why: FailureKind = FailureKind.CRASHED  # the failure of the jobs it had
    reason: str = ""  # for people, where more is known than the exit status


@dataclass(frozen=True, kw_only=True)
class ClusterChanged:
    """The living nodes of the Ray cluster have changed, or it cannot be reached: `problem` gives the reason."""

    nodes: tuple[Node, ...]
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Hashed:
    """A large original's SHA-256 has been computed, or could not be."""

    job: str
    sha256: str | None
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class BackgroundDone:
    """The task of `Background` with this number has ended; `outcome` is its return value or its exception."""

    number: int
    outcome: object


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request from the control socket or the exporter; its answer is put into `reply`."""

    command: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    reply: queue.SimpleQueue[Mapping[str, object]] | None = None


@dataclass(frozen=True, kw_only=True)
class Subscribed:
    """Somebody subscribes to events and progress: the loop turns, and so reports the progress."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """It is time for `task` of the timetable."""

    task: str


@dataclass(frozen=True, kw_only=True)
class BackedUp:
    """The nightly check of jobs.db has ended. `damage`: reported by SQLite; `error`: why it could not be checked or
    copied."""

    path: Path | None
    damage: str
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Signalled:
    """A signal reached the process."""

    number: int
