"""The schema of config.toml: its tables, their keys, defaults and limits."""

import ipaddress
import math
import re
from pathlib import Path
from typing import Annotated, Literal

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
from processors.quantities import Seconds, parse_duration, parse_size

Originals = Literal["keep", "archive", "delete"]
ResultLayout = Literal["folder", "flat"]
Duplicates = Literal["process", "skip", "reuse"]
Unsupported = Literal["pass", "leave", "fail"]
_MAX_PRIORITY = 1_000_000
_MAX_PATTERNS = 1000
Priority = Annotated[StrictInt, Field(ge=-_MAX_PRIORITY, le=_MAX_PRIORITY)]
_PlainTable = Annotated[dict[str, object], AfterValidator(check_plain)]  # that a row of the job log can store


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
        ValueError: it has control characters, which none of these may have; open(2) and execve(2) refuse a NUL.
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


def _check_pattern(pattern: str) -> str:
    if not pattern.strip("*?/"):
        raise ValueError(f'"{pattern}" would ignore every file: write a name, such as "*.bak"')
    if pattern.startswith("/") or ".." in pattern.split("/"):
        raise ValueError(
            f'"{pattern}" is not relative to the inbox: write it without "/" at its start, and without ".."'
        )
    return pattern


Pattern = Annotated[str, AfterValidator(check_line), AfterValidator(_check_pattern), Field(max_length=255)]
Line = Annotated[str, AfterValidator(check_line)]  # a program or an address
PlainPath = Annotated[Path, BeforeValidator(_check_line_if_text)]
Argument = Annotated[str, AfterValidator(_check_argument)]  # of a program; may be a script with several lines


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Paths(_Table):
    """`[paths]`: where everything is; relative paths start at the folder of config.toml."""

    inbox: PlainPath = Path("inbox")
    outbox: PlainPath = Path("outbox")
    state: PlainPath = Path("state")  # jobs.db, the control socket, archived originals
    models: PlainPath | None = None  # downloaded weights; default: models in the state folder


class FolderTable(_Table):
    """`[inbox.folders.NAME]`: a folder in the inbox. Keys that it leaves out have the values of the folder above it."""

    image: str | None = None  # recipe for images and PDF files; "": none
    audio: str | None = None  # recipe for audio and video
    text: str | None = None  # recipe for plain text
    priority: Priority | None = None  # higher goes first
    originals: Originals | None = None
    layout: ResultLayout | None = None
    duplicates: Duplicates | None = None
    unsupported: Unsupported | None = None
    wait_for_done: bool | None = None
    wait_for_sidecar: Seconds | None = None
    options: _PlainTable = Field(default_factory=dict)  # of those recipes that have them


class OptionsFile(BaseModel):
    """`.inboxd.toml` in a folder, or NAME.toml beside NAME. All other keys are options of the recipe."""

    model_config = ConfigDict(extra="allow", frozen=True)

    recipe: str | None = None  # for every kind; "": none
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
    layout: ResultLayout = "folder"  # of results in the outbox
    duplicates: Duplicates = "process"  # of a file with the same recipe and options
    unsupported: Unsupported = (
        "pass"  # of a file without a recipe: pass it to the outbox with a note, leave it, or fail
    )
    wait_for_done: bool = False  # take NAME only once NAME.done exists, for producers that cannot rename
    wait_for_sidecar: Seconds = 0.0  # how long a file waits for its sidecars
    options: _PlainTable = Field(default_factory=dict)
    settle_seconds: Seconds = 2.0
    ignore: tuple[Pattern, ...] = Field(default=(), max_length=_MAX_PATTERNS)  # names and paths that are never taken
    folders: dict[str, FolderTable] = Field(default_factory=dict)


class RetryTable(_Table):
    """`[retry]`: retries after a failure that may be temporary."""

    attempts: int = Field(default=3, ge=1)  # including the first
    backoff: Seconds = 30.0  # before the second attempt; doubled for each further one
    backoff_max: Seconds = 3600.0


class WorkersTable(_Table):
    """`[workers]`: the processes that run the models."""

    at_once: int = Field(default=2, ge=1)  # processors loaded at the same time
    memory: str = ""  # for all loaded models, such as a GPU's "14GB"; "": no limit; see `memory` of a processor
    patience: Seconds = 600.0  # the longest that a job waits while another loaded model works on its own queue
    short: str = ""  # files up to this size ("5MB") may use a second worker of the processor while the first is busy
    stop_seconds: Seconds = 20.0  # how long a stop waits for running jobs before it requeues them

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
    """`[schedule]`: periodic tasks."""

    rescan: Seconds = Field(default=30.0, gt=0)  # of the complete inbox, as events may be lost
    probe: Seconds = Field(default=15.0, gt=0)  # checks whether missing weights and servers are available now
    unload: Seconds = Field(default=15.0, gt=0)  # of workers that have been idle for `keep_alive`
    active: Annotated[str, AfterValidator(_normalize_hours)] = ""  # when jobs may start: "22:00-06:00"; "": always
    nightly: Annotated[str, AfterValidator(_check_clock)] = "03:30"  # for the backup of the job log and for retention
    digest: Annotated[str, AfterValidator(_check_clock_or_none)] = ""  # "08:00": when hooks get a daily summary
    backups: int = Field(default=7, ge=0)  # nightly copies of the job log to keep in state/backups

    @property
    def hours(self) -> Hours:
        return Hours.parse(self.active)


def _parse_age(value: object) -> float | None:
    if value in ("", None):
        return None
    seconds = parse_duration(value)
    if seconds <= 0:
        raise ValueError('must be greater than 0; "" means never remove')
    return seconds


Age = Annotated[float | None, BeforeValidator(_parse_age)]  # seconds; None: never remove


class RetentionTable(_Table):
    """`[retention]`: how long after the end of a job things are kept; `[schedule] nightly` removes them."""

    results: Age = None  # folders in the outbox, including originals in them
    failed: Age = None  # the same in outbox/failed
    archive: Age = None  # archived originals
    history: Age = None  # rows of the job log


class Hook(_Table):
    """`[[hooks]]`: a notification when a job ends. Exactly one of `command`, `webhook` and `desktop`."""

    on: tuple[Literal["done", "review", "failed", "digest"], ...] = ("review", "failed", "digest")
    command: tuple[Argument, ...] = ()  # a program and its arguments; reads the job as JSON on stdin
    webhook: Line = ""  # http(s)://…: the address to post the same JSON to
    desktop: bool = False  # a desktop notification (notify-send), for a per-user service
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
                'set exactly one of command = ["program", "argument"], webhook = "https://…", desktop = true'
            )
        if self.webhook and not self.webhook.startswith(("http://", "https://")):
            raise ValueError("webhook must begin with http:// or https://")
        return self

    @property
    def method(self) -> Literal["command", "webhook", "desktop"]:
        return "command" if self.command else "webhook" if self.webhook else "desktop"

    @property
    def name(self) -> str:
        """For the log; a webhook's without the part of its address that may be secret."""
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
    if not port.isascii() or not port.isdecimal() or len(port) > 5 or not 0 < int(port) < 65536:
        raise ValueError('write an address and a port, such as "127.0.0.1:9461", or the path of a Unix socket')
    if not _is_loopback(host):
        raise ValueError(
            "anyone who can connect can read the metrics, so they are served on this machine only: "
            'write "127.0.0.1:9461", and use a proxy with authentication for other machines'
        )
    return text


def _check_textfile(path: str) -> str:
    if path and not path.endswith(".prom"):
        raise ValueError('node_exporter reads only files that end in ".prom"')
    return path


class MetricsTable(_Table):
    """`[metrics]`: metrics for Prometheus. `inboxd metrics` prints them at any time."""

    textfile: Annotated[Line, AfterValidator(_check_textfile)] = ""  # for node_exporter's textfile collector
    every: Seconds = Field(default=15.0, ge=1)  # how often to write that file
    listen: Annotated[Line, AfterValidator(_check_listen)] = ""  # "127.0.0.1:9461", or the path of a Unix socket


def _check_web_listen(text: str) -> str:
    if text.startswith("/"):
        return text
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or len(port) > 5 or not 0 <= int(port) < 65536:
        raise ValueError('write an address and a port, such as "127.0.0.1:8100", or the path of a Unix socket')
    return text


def _check_network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise ValueError('write an address or a network, such as "127.0.0.1" or "10.0.0.0/8"') from None
    return text


def _check_prefix(text: str) -> str:
    if text and (not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", text) or {".", ".."} & set(text.split("/"))):
        raise ValueError('write the path below which a proxy serves the console, such as "/inboxd"')
    return text


def _parse_limit(value: object) -> int:
    size = parse_size(value) if isinstance(value, str) else value
    if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
        raise ValueError('write an amount, such as "4GB"')
    return size


Limit = Annotated[int, BeforeValidator(_parse_limit)]  # bytes


class WebTable(_Table):
    """`[web]`: the console and the HTTP API, which `inboxd web` serves."""

    listen: Annotated[Line, AfterValidator(_check_web_listen)] = "127.0.0.1:8100"  # or the path of a Unix socket
    token: bool = True  # ask for the access token, which is in state/web-token
    hosts: tuple[Line, ...] = ()  # further host names under which browsers reach it
    trusted_proxies: tuple[Annotated[Line, AfterValidator(_check_network)], ...] = ()  # whose X-Forwarded-* are used
    prefix: Annotated[Line, AfterValidator(_check_prefix)] = ""  # "/inboxd": the path below which a proxy serves it
    upload_max: Limit = 4 * 10**9  # bytes of a request
    keep_free: Limit = 10**9  # bytes of the inbox's disk that uploads leave free

    @property
    def is_local(self) -> bool:
        """Only programs on this machine can connect."""
        return self.listen.startswith("/") or _is_loopback(self.listen.rpartition(":")[0])

    @model_validator(mode="after")
    def _check(self) -> "WebTable":
        if not self.token and not self.is_local:
            raise ValueError("token = false is possible only with a loopback address: anyone could read all results")
        return self


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class File(_Table):
    """The complete config.toml."""

    paths: Paths = Paths()
    inbox: InboxTable = InboxTable()
    recipes: dict[str, dict[str, object]] = Field(default_factory=dict)
    processors: dict[str, dict[str, object]] = Field(default_factory=dict)
    retry: RetryTable = RetryTable()
    workers: WorkersTable = WorkersTable()
    schedule: ScheduleTable = ScheduleTable()
    retention: RetentionTable = RetentionTable()
    hooks: tuple[Hook, ...] = ()
    metrics: MetricsTable = MetricsTable()
    web: WebTable = WebTable()
