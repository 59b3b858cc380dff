"""The rows that readers of jobs.db get, as dicts by column; see `migrations` for the tables and the view."""

from typing import TypedDict


class ShownRow(TypedDict):
    """The columns of a job that tables of jobs show; also made for a file that never became a job."""

    file: str  # the path, relative to the inbox
    kind: str | None
    recipe: str | None
    state: str
    review: str | None  # JSON array of reasons
    run_seconds: float | None
    result_path: str | None  # relative to the outbox
    error: str | None
    excerpt: str
    waiting_for: str | None


class JobRow(ShownRow):
    """A row of the view `job_log`. Times are ISO texts, UTC."""

    id: str
    folder: str
    processor: str | None
    engine: str | None
    model: str | None
    device: str | None
    node: str | None  # of the cluster; None: the daemon's machine
    attempts: int
    received_at: str
    started_at: str | None
    finished_at: str | None
    wait_seconds: float | None
    size_bytes: int
    media_seconds: float | None
    pages: int | None
    sha256: str | None
    error_kind: str | None
    media_type: str
    duplicate_of: str | None
    source: str  # "inbox": dropped; else the program that submitted it
    reviewed_at: str | None  # when a person closed the review


class PagedRow(JobRow):
    """A row of the view `job_log`, with its position in the order of the list."""

    received_us: int  # microseconds since the epoch


class AttemptRow(TypedDict):
    """A row of the table `attempts`. Times are microseconds since the epoch, here and below."""

    job: str
    attempt: int
    processor: str
    engine: str | None
    model: str | None
    device: str | None
    node: str | None
    worker_pid: int | None
    started_at: int
    finished_at: int | None
    outcome: str | None
    error: str | None


class EventRow(TypedDict):
    """A row of the table `events`, of a known job."""

    at: int
    event: str
    detail: str | None


class NumberedEventRow(EventRow):
    """A row of the table `events`, with its number and its job."""

    number: int
    job: str
    file: str


class EndRow(TypedDict):
    """The end of a job, or of an attempt that will be retried."""

    number: int
    at: int
    event: str
    recipe: str | None
    processor: str | None
    error_kind: str | None
    pages: int | None
    media_seconds: float | None
    run_seconds: float | None


class QueueRow(TypedDict):
    """The queued jobs of a recipe ("": without a recipe)."""

    recipe: str
    jobs: int
    oldest: int  # when the first of them was received
    parked: int


class WaitingGroup(TypedDict):
    """The queued jobs that wait for the same thing."""

    why: str
    jobs: int
    files: list[str]  # the paths of the first of them, relative to the inbox


class PlacedRow(TypedDict):
    """The expected location of the files of a job."""

    id: str
    name: str
    folder: str
    state: str
    attempt: int
    sha256: str | None
    outcome: str | None
    result_path: str | None
