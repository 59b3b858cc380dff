"""The columns of a job that the methods of `Store` change together."""

from typing import TypedDict

from daemon.core.job import Overrides


class StartFacts(TypedDict, total=False):
    """The facts about an attempt that are known when it starts."""

    engine: str | None
    model: str | None
    device: str | None
    node: str | None


class ContentFacts(TypedDict, total=False):
    """The columns of a job that describe the content of its original."""

    sha256: str | None
    size_bytes: int
    mtime_ns: int


class ResultFacts(TypedDict, total=False):
    """The columns of a job that describe its result."""

    excerpt: str
    review: tuple[str, ...]
    pages: int | None
    media_seconds: float | None
    error_kind: str | None
    error: str | None
    interruptions: int


class JobChanges(ContentFacts, ResultFacts, total=False):
    """Columns of a job that change with its state."""

    recipe: str | None
    charged: int
    alone: bool
    run_at: int
    waiting_for: str | None
    processor: str | None
    engine: str | None
    model: str | None
    device: str | None
    node: str | None
    attempt: int
    result_path: str | None
    overrides: Overrides
    duplicate_of: str | None
