"""The schema of config.toml: its tables, their keys, defaults and limits."""

import math
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from daemon.config.hook import Hook
from daemon.config.hours import Hours
from daemon.config.table import Table
from daemon.config.values import (
    ActiveHours,
    Address,
    Age,
    Amount,
    ClockTime,
    ClockTimeOrNone,
    ClusterAddress,
    Duplicates,
    GpuUuid,
    Limit,
    Line,
    LocalAddress,
    Network,
    Originals,
    PathPrefix,
    Pattern,
    PlainPath,
    PlainTable,
    Priority,
    ResultLayout,
    Textfile,
    Unsupported,
    is_device,
    is_loopback,
    is_of_node,
)
from processors.quantities import Seconds, parse_size

_MAX_PATTERNS = 1000


class Paths(Table):
    """`[paths]`: where everything is; relative paths start at the folder of config.toml."""

    inbox: PlainPath = Path("inbox")
    outbox: PlainPath = Path("outbox")
    state: PlainPath = Path("state")  # jobs.db, the control socket, archived originals
    models: PlainPath | None = None  # downloaded weights; default: models in the state folder


class FolderTable(Table):
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
    options: PlainTable = Field(default_factory=dict)  # of those recipes that have them


class OptionsFile(BaseModel):
    """`.inboxd.toml` in a folder, or NAME.toml beside NAME. All other keys are options of the recipe."""

    model_config = ConfigDict(extra="allow", frozen=True)

    recipe: str | None = None  # for every kind; "": none
    image: str | None = None
    audio: str | None = None
    text: str | None = None
    priority: Priority | None = None


class InboxTable(Table):
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
    options: PlainTable = Field(default_factory=dict)
    settle_seconds: Seconds = 2.0
    ignore: tuple[Pattern, ...] = Field(default=(), max_length=_MAX_PATTERNS)  # names and paths that are never taken
    folders: dict[str, FolderTable] = Field(default_factory=dict)


class RetryTable(Table):
    """`[retry]`: retries after a failure that may be temporary."""

    attempts: int = Field(default=3, ge=1)  # including the first
    backoff: Seconds = 30.0  # before the second attempt; doubled for each further one
    backoff_max: Seconds = 3600.0


class WorkersTable(Table):
    """`[workers]`: the processes that run the models."""

    at_once: int = Field(default=2, ge=1)  # models loaded on each device at the same time
    # for all models loaded on a device, such as "14GB"; "": a GPU's own memory, no limit on the CPU
    memory: Amount = ""
    patience: Seconds = 600.0  # the longest that a job waits while another loaded model works on its own queue
    # files up to this size ("5MB") may use a second worker of the processor while the first is busy
    short: Amount = ""
    stop_seconds: Seconds = 20.0  # how long a stop waits for running jobs before it requeues them

    @property
    def memory_bytes(self) -> float:
        return parse_size(self.memory) if self.memory else math.inf

    @property
    def short_bytes(self) -> float:
        return parse_size(self.short) if self.short else -1


class DeviceTable(Table):
    """`[devices.NAME]`: the CPU ("cpu"), a GPU ("cuda:0"), or one of a node of the cluster ("box2:cpu", "box2:gpu0").
    Keys that it leaves out have the values of `[workers]`."""

    uuid: GpuUuid = ""  # the GPU that has this name; "": by its number
    memory: Amount = ""  # for all models loaded on it
    at_once: int | None = Field(default=None, ge=1)  # models loaded on it at the same time
    use: bool = True  # false: load nothing on it; on the CPU, nothing that a node of the cluster may do

    @property
    def memory_bytes(self) -> float | None:
        return parse_size(self.memory) if self.memory else None


def _check_devices(tables: dict[str, DeviceTable]) -> dict[str, DeviceTable]:
    for name, table in tables.items():
        if not is_device(name):
            raise ValueError(
                f'"{name}" is not a device: write [devices.cpu], [devices."cuda:0"] for the first GPU, or '
                '[devices."NODE:cpu"] or [devices."NODE:gpu0"] for one of a node of the cluster'
            )
        if is_of_node(name) and table.uuid:
            raise ValueError(f'"{name}" is on another machine, where Ray chooses the GPU: it has no `uuid`')
        if name == "cpu" and table.uuid:
            raise ValueError("[devices.cpu] can have no `uuid`: it is not a GPU")
    uuids = [table.uuid for table in tables.values() if table.uuid]
    if len(uuids) > len(set(uuids)):
        raise ValueError("two tables have the same `uuid`: a GPU can have only one name")
    return tables


Devices = Annotated[dict[str, DeviceTable], AfterValidator(_check_devices)]


class ClusterTable(Table):
    """`[cluster]`: a Ray cluster whose nodes run workers, too."""

    address: ClusterAddress = ""  # of its head: "HOST:PORT", or "auto": the one of this machine; "": no cluster
    token_file: PlainPath | None = None  # with the token that the cluster requires
    models: PlainPath | None = None  # downloaded weights on the nodes; default: the same path as on this machine
    shared: PlainPath | None = None  # a folder that the nodes have at the same path: they read the originals there


class ScheduleTable(Table):
    """`[schedule]`: periodic tasks."""

    rescan: Seconds = Field(default=30.0, gt=0)  # of the complete inbox, as events may be lost
    probe: Seconds = Field(default=15.0, gt=0)  # checks whether missing weights and servers are available now
    unload: Seconds = Field(default=15.0, gt=0)  # of workers that have been idle for `keep_alive`
    active: ActiveHours = ""  # when jobs may start: "22:00-06:00"; "": always
    nightly: ClockTime = "03:30"  # for the backup of the job log and for retention
    digest: ClockTimeOrNone = ""  # "08:00": when hooks get a daily summary
    backups: int = Field(default=7, ge=0)  # nightly copies of the job log to keep in state/backups

    @property
    def hours(self) -> Hours:
        return Hours.parse(self.active)


class RetentionTable(Table):
    """`[retention]`: how long after the end of a job its data is stored; `[schedule] nightly` removes it."""

    results: Age = None  # folders in the outbox, including originals in them
    failed: Age = None  # the same in outbox/failed
    archive: Age = None  # archived originals
    history: Age = None  # rows of the job log


class MetricsTable(Table):
    """`[metrics]`: metrics for Prometheus. `inboxd metrics` prints them at any time."""

    textfile: Textfile = ""  # for node_exporter's textfile collector
    every: Seconds = Field(default=15.0, ge=1)  # how often to write that file
    listen: LocalAddress = ""  # "127.0.0.1:9461", or the path of a Unix socket


class WebTable(Table):
    """`[web]`: the console and the HTTP API, which `inboxd web` serves."""

    listen: Address = "127.0.0.1:8100"  # or the path of a Unix socket
    token: bool = True  # ask for the access token, which is in state/web-token
    hosts: tuple[Line, ...] = ()  # further host names under which browsers reach it
    trusted_proxies: tuple[Network, ...] = ()  # whose X-Forwarded-* are used
    prefix: PathPrefix = ""  # "/inboxd": the path below which a proxy serves it
    upload_max: Limit = 4 * 10**9  # bytes of a request
    keep_free: Limit = 10**9  # bytes of the inbox's disk that uploads leave free

    @property
    def is_local(self) -> bool:
        """Only programs on this machine can connect."""
        return self.listen.startswith("/") or is_loopback(self.listen.rpartition(":")[0])

    @model_validator(mode="after")
    def _check(self) -> "WebTable":
        if not self.token and not self.is_local:
            raise ValueError("token = false is possible only with a loopback address: anyone could read all results")
        return self


class File(Table):
    """The complete config.toml."""

    paths: Paths = Paths()
    inbox: InboxTable = InboxTable()
    recipes: dict[str, dict[str, object]] = Field(default_factory=dict)
    processors: dict[str, dict[str, object]] = Field(default_factory=dict)
    retry: RetryTable = RetryTable()
    workers: WorkersTable = WorkersTable()
    devices: Devices = Field(default_factory=dict)
    cluster: ClusterTable = ClusterTable()
    schedule: ScheduleTable = ScheduleTable()
    retention: RetentionTable = RetentionTable()
    hooks: tuple[Hook, ...] = ()
    metrics: MetricsTable = MetricsTable()
    web: WebTable = WebTable()

    @model_validator(mode="after")
    def _check_cpu(self) -> "File":
        cpu = self.devices.get("cpu")
        if cpu is not None and not cpu.use and not self.cluster.address:
            raise ValueError("[devices.cpu] use = false needs a [cluster]: without one, some processors need the CPU")
        return self
