"""The shape of config.toml: its tables, their keys, defaults and limits."""

import ipaddress
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    field_validator,
    model_validator,
)

from daemon.config.hours import Hours, parse_clock
from daemon.config.toml import check_plain, has_controls
from processors.units import Seconds, parse_duration, parse_size

Originals = Literal["keep", "archive", "delete"]
Duplicates = Literal["process", "skip", "reuse"]
_MAX_PRIORITY = 1_000_000
Priority = Annotated[StrictInt, Field(ge=-_MAX_PRIORITY, le=_MAX_PRIORITY)]
_PlainTable = Annotated[dict[str, Any], AfterValidator(check_plain)]  # a row of the job log can store it


def _normalize_hours(text: str) -> str:
    return str(Hours.parse(text))


def _check_clock(text: str) -> str:
    parse_clock(text)
    return text


def _check_clock_or_none(text: str) -> str:
    return text and _check_clock(text)


def check_line(text: str) -> str:
    """Return `text` if it may be a path, a program or an address.

    Raises:
        ValueError: it has control characters, which none of these has; open(2) and execve(2) refuse a NUL.
    """
    if has_controls(text):
        raise ValueError("must not contain control characters, such as line breaks")
    return text


def _check_line_if_text(value: object) -> object:
    return check_line(value) if isinstance(value, str) else value


def _check_argument(text: str) -> str:
    if has_controls(text, allowed="\n\t"):
        raise ValueError("must not contain control characters other than line breaks and tabs")
    return text


Line = Annotated[str, AfterValidator(check_line)]  # a program or an address
PlainPath = Annotated[Path, BeforeValidator(_check_line_if_text)]
Argument = Annotated[str, AfterValidator(_check_argument)]  # of a program; may be a script of several lines


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Paths(_Table):
    """Where things lie; relative paths start at the folder of config.toml."""

    inbox: PlainPath = Path("inbox")
    outbox: PlainPath = Path("outbox")
    state: PlainPath = Path("state")  # jobs.db, the control socket, archived originals
    models: PlainPath | None = None  # downloaded weights; default: models in the state folder


class FolderTable(_Table):
    """`[inbox.folders.NAME]`: a folder of the inbox; what it leaves out it takes from the folder above it."""

    image: str | None = None  # recipe for images and PDF files; "" for none
    audio: str | None = None  # recipe for audio and video
    text: str | None = None  # recipe for plain text
    priority: Priority | None = None  # greater goes first
    originals: Originals | None = None
    duplicates: Duplicates | None = None
    wait_for_done: bool | None = None
    wait_for_sidecar: Seconds | None = None
    options: _PlainTable = Field(default_factory=dict)  # of the recipes that have them


class Nearby(BaseModel):
    """`.inboxd.toml` in a folder, or NAME.toml beside NAME. What is no key here is an option of the recipe."""

    model_config = ConfigDict(extra="allow", frozen=True)

    recipe: str | None = None  # whatever the kind; "" for none
    image: str | None = None
    audio: str | None = None
    text: str | None = None
    priority: Priority | None = None


class InboxTable(_Table):
    """`[inbox]`: the top folder, and every folder without a table of its own."""

    image: str = "read"
    audio: str = "transcribe"
    text: str = ""
    priority: Priority = 0
    originals: Originals = "keep"
    duplicates: Duplicates = "process"  # a file whose content was done before, by the same recipe and options
    wait_for_done: bool = False  # take NAME only when there is NAME.done, for producers that cannot rename
    wait_for_sidecar: Seconds = 0.0  # how long a file waits for a sidecar that may still come
    options: _PlainTable = Field(default_factory=dict)
    settle_seconds: Seconds = 2.0
    folders: dict[str, FolderTable] = Field(default_factory=dict)


class RetryTable(_Table):
    """`[retry]`: after a failure that may pass."""

    attempts: int = Field(default=3, ge=1)  # in all, the first included
    backoff: Seconds = 30.0  # before the second attempt; doubled each time
    backoff_max: Seconds = 3600.0


class WorkersTable(_Table):
    """`[workers]`: the processes that hold the models."""

    at_once: int = Field(default=2, ge=1)  # loaded processors at the same time
    memory: str = ""  # that loaded models share, such as a GPU's "14GB"; "" is no bound: see `memory` of a processor
    patience: Seconds = 600.0  # how long a job waits at most while another loaded model goes on with its own queue
    short: str = ""  # a file up to this size ("5MB") may go to a second worker of its kind while the first is busy
    stop_seconds: Seconds = 20.0  # how long a stop waits for running jobs before it puts them back

    @field_validator("memory", "short")
    @classmethod
    def _check_size(cls, text: str) -> str:
        if text and not isinstance(parse_size(text), int):
            raise ValueError('write an amount, such as "14GB"')
        return text

    @property
    def memory_bytes(self) -> float:
        return parse_size(self.memory) if self.memory else math.inf

    @property
    def short_bytes(self) -> float:
        return parse_size(self.short) if self.short else -1


class ScheduleTable(_Table):
    """`[schedule]`: what is done from time to time."""

    rescan: Seconds = Field(default=30.0, gt=0)  # of the whole inbox, as events may be lost
    probe: Seconds = Field(default=15.0, gt=0)  # of what parked jobs wait for
    unload: Seconds = Field(default=15.0, gt=0)  # how often idle workers are looked at: see `keep_alive`
    active: Annotated[str, AfterValidator(_normalize_hours)] = ""  # when work may be started: "22:00-06:00"; "" always
    nightly: Annotated[str, AfterValidator(_check_clock)] = "03:30"  # check and copy the job log, and retention
    digest: Annotated[str, AfterValidator(_check_clock_or_none)] = ""  # "08:00": tell hooks what went wrong in a day
    backups: int = Field(default=7, ge=0)  # nightly copies of the job log that are kept, in state/backups

    @property
    def hours(self) -> Hours:
        return Hours.parse(self.active)


def _parse_age(value: object) -> float | None:
    if value in ("", None):
        return None
    seconds = parse_duration(value)
    if seconds <= 0:
        raise ValueError('an age is greater than 0; "" is for ever')
    return seconds


Age = Annotated[float | None, BeforeValidator(_parse_age)]  # seconds; None: for ever


class RetentionTable(_Table):
    """`[retention]`: what is removed by itself, at `[schedule] nightly`, so long after its job has ended."""

    results: Age = None  # folders in the outbox, with the originals that are kept in them
    failed: Age = None  # the same below outbox/failed
    archive: Age = None  # archived originals
    history: Age = None  # rows of the job log


class Hook(_Table):
    """`[[hooks]]`: whom to tell how jobs end. Exactly one of `command`, `webhook` and `desktop`."""

    on: tuple[Literal["done", "review", "failed", "digest"], ...] = ("review", "failed", "digest")
    command: tuple[Argument, ...] = ()  # a program and its arguments; the job comes as JSON on its stdin
    webhook: Line = ""  # http(s)://…: the same JSON is posted there
    desktop: bool = False  # a notification (notify-send), where the service is a person's own
    timeout: Seconds = Field(default=30.0, gt=0)
    attempts: int = Field(default=5, ge=1)

    @field_validator("command")
    @classmethod
    def _check_program(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        for program in command[:1]:
            check_line(program)
        return command

    @model_validator(mode="after")
    def _check(self) -> "Hook":
        if sum(map(bool, (self.command, self.webhook, self.desktop))) != 1:
            raise ValueError(
                'a hook has exactly one of command = ["program", "argument"], webhook = "https://…", desktop'
            )
        if self.webhook and not self.webhook.startswith(("http://", "https://")):
            raise ValueError("a webhook begins with http:// or https://")
        return self

    @property
    def method(self) -> Literal["command", "webhook", "desktop"]:
        return "command" if self.command else "webhook" if self.webhook else "desktop"

    @property
    def name(self) -> str:
        """For the log; of a webhook without what may be a secret in its address."""
        return (
            self.command[0]
            if self.command
            else f"{'/'.join(self.webhook.split('/')[:3])}/…"
            if self.webhook
            else "desktop"
        )


def _check_listen(text: str) -> str:
    if not text or text.startswith("/"):
        return text
    host, _, port = text.rpartition(":")
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        is_loopback = False
    if not port.isascii() or not port.isdecimal() or len(port) > 5 or not 0 < int(port) < 65536:
        raise ValueError('write an address and a port, such as "127.0.0.1:9461", or the path of a Unix socket')
    if not is_loopback:
        raise ValueError(
            "metrics tell what is worked on, to anyone who asks, so they are served on this machine only: "
            'write "127.0.0.1:9461", and let what may read them come through a proxy that asks who it is'
        )
    return text


def _check_textfile(path: str) -> str:
    if path and not path.endswith(".prom"):
        raise ValueError('node_exporter reads only files that end in ".prom"')
    return path


class MetricsTable(_Table):
    """`[metrics]`: for Prometheus. `inboxd metrics` shows them at any time."""

    textfile: Annotated[Line, AfterValidator(_check_textfile)] = ""  # for node_exporter's textfile collector
    every: Seconds = Field(default=15.0, ge=1)  # how often that file is written
    listen: Annotated[Line, AfterValidator(_check_listen)] = ""  # "127.0.0.1:9461", or the path of a Unix socket


class File(_Table):
    """The whole of config.toml."""

    paths: Paths = Paths()
    inbox: InboxTable = InboxTable()
    recipes: dict[str, dict[str, Any]] = Field(default_factory=dict)
    processors: dict[str, dict[str, Any]] = Field(default_factory=dict)
    retry: RetryTable = RetryTable()
    workers: WorkersTable = WorkersTable()
    schedule: ScheduleTable = ScheduleTable()
    retention: RetentionTable = RetentionTable()
    hooks: tuple[Hook, ...] = ()
    metrics: MetricsTable = MetricsTable()
