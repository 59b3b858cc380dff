"""The job, its states and its files. No I/O.

Times are integers, microseconds since the epoch in UTC, as in the database; `daemon.queue.store` turns them into text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypedDict

from processors.contract import Kind

DROPPED = "inbox"  # the source of a job whose file was put into the inbox


class JobState(StrEnum):
    """The state of a job; see the table of file states in docs/life-cycle.md."""

    QUEUED = "queued"  # taken, waits for a worker
    RUNNING = "running"  # a worker processes it
    PUBLISHING = "publishing"  # the intent is committed, the rename may or may not have happened
    DONE = "done"  # the result was published
    FAILED = "failed"  # the original and error.txt were published below outbox/failed
    CANCELLED = "cancelled"  # by command: the original was published below outbox/failed

    @property
    def is_final(self) -> bool:
        return self in _FINAL


_FINAL = {JobState.DONE, JobState.FAILED, JobState.CANCELLED}


class Overrides(TypedDict, total=False):
    """The options in which a job differs from its recipe; stored as JSON."""

    options: Mapping[str, object]  # from the options files near the original
    origins: Mapping[str, str]  # the options file of each of them; "recipe" for the recipe
    sidecars: Mapping[str, str]  # SHA-256 of the sidecars that are part of the content, by suffix
    device: str  # another one than its recipe's


@dataclass(frozen=True, kw_only=True)
class Job:
    """The record of one file: one row of the table `jobs`."""

    id: str  # UUID; also the name of its folder in inbox/.taken
    name: str  # the file's name, made printable; the true bytes are the name on disk
    folder: str  # the inbox folder it came from, relative to the inbox; "" is the top
    kind: Kind | None  # None: not one of the kinds
    media_type: str  # by content
    recipe: str | None  # None: no recipe is assigned to this folder and kind
    state: JobState
    priority: int = 0  # greater goes first
    attempt: int = 0  # attempts started, ever; names the staging folder
    charged: int = 0  # attempts that count toward the limit
    interruptions: int = 0  # attempts in a row that ended with the daemon
    alone: bool = False  # must not share a batch: it may have killed the last one
    lease: str | None = None  # token of the attempt that may report an outcome
    run_at: int = 0  # earliest start (retry backoff)
    waiting_for: str | None = None  # why it is parked, and how to fix that
    inode: int
    size_bytes: int
    mtime_ns: int
    sha256: str | None = None  # of the original; None until computed
    processor: str | None = None  # as started; may differ from the recipe's (OCR instead of the VLM)
    engine: str | None = None
    model: str | None = None
    device: str | None = None
    node: str | None = None  # of the cluster; None: the daemon's machine
    received_at: int
    started_at: int | None = None  # of the last attempt
    finished_at: int | None = None
    outcome: JobState | None = None  # while publishing: the state it ends in
    result_path: str | None = None  # relative to the outbox
    excerpt: str = ""  # the first words of the result
    review: tuple[str, ...] = ()  # reasons why a person should look at it
    pages: int | None = None
    media_seconds: float | None = None
    error_kind: str | None = None
    error: str | None = None
    # the recipe and options from files near the original; and "device", if the job needs another one than its recipe's
    overrides: Overrides = field(default_factory=Overrides)
    duplicate_of: str | None = None  # the job with the same content whose result it shares
    source: str = DROPPED  # the program that submitted it

    @property
    def path(self) -> str:
        """The path of the file, relative to the inbox."""
        return f"{self.folder}/{self.name}" if self.folder else self.name

    @property
    def is_for_cpu(self) -> bool:
        """True if it runs on the CPU because it did not fit into the GPU's memory."""
        return self.overrides.get("device") == "cpu"

    def moved_to_cpu(self) -> Overrides:
        """Its overrides when it is moved to the CPU."""
        return {**self.overrides, "device": "cpu"}

    def moved_back(self) -> Overrides:
        """Its overrides when it starts over after a retry by command."""
        overrides = self.overrides.copy()
        overrides.pop("device", None)
        return overrides

    def staging_name(self) -> str:
        return f"{self.id}.{self.attempt}"

    def changed(self, **values: object) -> "Job":
        """`dataclasses.replace` in a tenth of its time, for the steps that every job takes: it calls no `__init__`."""
        assert values.keys() <= self.__dict__.keys()
        job = object.__new__(Job)
        job.__dict__.update(self.__dict__, **values)
        return job


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A regular file in the inbox, as last seen. Any change of the file changes one of these."""

    path: Path
    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, kw_only=True)
class Original:
    """A taken file in .taken, and its sidecars by kind ("prompt")."""

    path: Path
    sidecars: Mapping[str, Path]
