"""The messages that reach the main loop through its mailbox. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processors.contract import FailureKind


@dataclass(frozen=True, kw_only=True)
class LookAt:
    """Something changed in a folder of the inbox."""

    folder: Path
    name: str | None = None  # the entry, if it is known
    complete: bool = False  # renamed in (for a folder, with its contents): complete immediately


@dataclass(frozen=True, kw_only=True)
class LookEverywhere:
    """Events were lost, or it is time: scan the whole inbox."""

    why: str


@dataclass(frozen=True, kw_only=True)
class WorkerSaid:
    """A message of `processors.contract` from a worker."""

    worker: int
    message: Any


@dataclass(frozen=True, kw_only=True)
class WorkerEnded:
    """A worker's process has ended, and all it said has been delivered."""

    worker: int
    exit_status: int  # negative: killed by that signal
    last_words: str  # the end of its stderr
    why: FailureKind = FailureKind.CRASHED  # what its end is to the jobs it had
    reason: str = ""  # in words, where more is known than how it ended


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
    outcome: Any


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A command through the control socket; the answer is put into `reply`."""

    command: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    reply: Any = None  # queue.SimpleQueue of one dict


@dataclass(frozen=True, kw_only=True)
class Due:
    """The timetable says it is time for `task`."""

    task: str


@dataclass(frozen=True, kw_only=True)
class BackedUp:
    """The nightly look at jobs.db is over. `damage`: what was found wrong in it; `error`: why it could not be looked at
    or copied."""

    path: Path | None
    damage: str
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Signalled:
    """A signal reached the process."""

    number: int
