"""Commands that report what the daemon does: status, metrics and events."""

from typing import Annotated

from pydantic import Field

from daemon.server.api.base import Command, Reply, Text


class Amount(Reply):
    """Progress; `total` is None if unknown."""

    done: float
    total: float | None
    unit: Text


class RunningJob(Reply):
    job: Text
    file: Text
    recipe: Text | None
    processor: Text
    attempt: int
    started_at_us: int | None  # microseconds since the epoch
    progress: Amount | None


NO_MODEL = "none"  # `model` of a worker whose processor needs no model


class WorkerStatus(Reply):
    processor: Text
    state: Text
    pid: int
    model: Text | None
    device: Text | None
    loading: Amount | None
    node: Text | None = None  # of the cluster; None: the daemon's machine


class DeviceStatus(Reply):
    """A device, with the models and jobs on it."""

    name: Text  # "cpu", "cuda:0"
    model: Text  # of a GPU: "NVIDIA H200"; "": unknown
    loaded: int  # number of models, including those that are loading or being unloaded
    at_once: int  # maximum of `loaded`
    memory_bytes: int  # estimated memory of these models
    memory_limit_bytes: int | None  # None: no limit
    jobs: int  # number of jobs that run on the device
    node: Text | None = None  # of the cluster; None: the daemon's machine
    is_lost: bool = False  # its node has left the cluster
    parked: dict[Text, Text] = {}  # what a processor that cannot work on the device now waits for, by processor


class NodeStatus(Reply):
    """A node of the cluster besides the daemon's machine."""

    name: Text
    host: Text
    cpus: int
    gpus: int
    gpu_model: Text
    is_lost: bool


class ClusterStatus(Reply):
    address: Text
    was_seen: bool  # the cluster has answered since the daemon started
    problem: Text  # why the daemon cannot reach the cluster; "": it can
    nodes: list[NodeStatus]


class WaitingJobs(Reply):
    """Jobs that wait for the same thing."""

    why: Text = Field(alias="for")
    count: int
    files: list[Text]  # the first of these jobs' files


class StatusReply(Reply):
    version: Text
    pid: int
    uptime_seconds: float
    inbox: Text
    outbox: Text
    jobs: dict[Text, int]  # by state
    running: list[RunningJob]
    workers: list[WorkerStatus]
    waiting: list[WaitingJobs]
    closed: Text | None  # why the daemon starts no jobs now; None: it does
    # These have defaults because a daemon of an older version may not report them.
    config_problem: Text | None = None
    backup_problem: Text | None = None
    metrics_problem: Text | None = None
    storage_problem: Text | None = None
    left_in_inbox: dict[Text, Text] = {}  # the reason, by path; also in `unplaced` and `watch_problems`
    ignored_in_inbox: int = 0  # files and folders without hidden ones
    unplaced: dict[Text, Text] = {}
    watch_problems: dict[Text, Text] = {}
    devices: list[DeviceStatus] = []  # GPUs first
    cluster: ClusterStatus | None = None
    not_shown: dict[Text, int] = {}  # number of entries omitted from the three fields with reasons, by field

    def problems(self) -> list[str]:
        """The problems that the operator has to solve."""
        found = [self.storage_problem, self.config_problem, self.backup_problem, self.metrics_problem]
        if self.cluster is not None:
            found.append(self.cluster.problem)
        return [problem for problem in found if problem]


class Status(Command):
    """Report what the daemon does now."""

    name = "status"


class WorkerCount(Reply):
    processor: Text
    pid: int
    state: Text
    jobs: int


class Histogram(Reply):
    bounds: list[float]  # upper ones
    counts: list[int]  # of the values in each range; the last count: values above all bounds
    sum: float


class MetricsReply(Reply):
    version: Text
    pid: int
    uptime_seconds: float
    unclaimed: int
    oldest_unclaimed_ns: int | None
    left_in_inbox: int
    polled_folders: int
    claims: Histogram  # in seconds
    workers: list[WorkerCount]
    worker_starts: dict[Text, int]  # by processor
    worker_ends: list[tuple[Text, Text, int]]  # processor, reason, number of workers
    devices: list[DeviceStatus] = []  # a daemon of an older version does not report these
    parked: dict[Text, Text]  # the reason why its jobs wait, by processor
    closed: bool
    storage_problem: bool
    config_problem: bool


class Metrics(Command):
    """Report the values for metrics that only the daemon knows. All other metrics are computed from the job log."""

    name = "metrics"


class JobEvent(Reply):
    """A row of the table `events`. All readers see the same number, also after a restart."""

    number: int
    at: int  # microseconds since the epoch
    job: Text
    file: Text
    event: Text
    detail: Text | None


class EventsReply(Reply):
    pid: int
    events: list[JobEvent]  # in order; the next request continues after `last`
    last: int  # number of the last event in `events`; if that is empty, the number to continue after
    has_more: bool  # the job log already has further events
    running: list[RunningJob]
    workers: list[WorkerStatus]


class Events(Command):
    """Report the events after number `after` (None: only the number to continue after), and the progress of jobs."""

    name = "events"

    after: Annotated[int, Field(ge=0)] | None = None
