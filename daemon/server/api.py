"""The commands of the daemon with their arguments and replies, shared by the control socket, the command line and HTTP.

On the wire, a command is {"command": NAME, "arguments": {…}}, and its answer is {"ok": true, …} with the fields of the
reply, or {"ok": false, "error": …, "fix": …, "exit_code": …}. A new version may add fields, but removes none.

Models are built when they are first used, as each process uses few of them: building all takes 40 ms.
"""

from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue


def _encodable(text: object) -> object:
    """Escape lone surrogates: JSON and the names of files may contain them, and pydantic refuses them."""
    return text.encode("utf-8", "backslashreplace").decode() if isinstance(text, str) else text


Text = Annotated[str, BeforeValidator(_encodable)]


class Reply(BaseModel):
    """The reply to a command that succeeded."""

    model_config = ConfigDict(populate_by_name=True, defer_build=True)

    def to_wire(self) -> dict[str, object]:
        return self.model_dump(mode="json", by_alias=True)


class Command(BaseModel):
    """Base of the commands; the fields are the arguments."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)

    name: ClassVar[str]  # on the wire


class Done(Reply):
    """The reply to a command that was carried out and has nothing to report."""


# ---------------------------------------------------------------------------------------------- status


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


# ---------------------------------------------------------------------------------------------- jobs


class SubmitReply(Reply):
    job: Text
    waits_for: Text | None  # what prevents the daemon from recording the job; None: the job is recorded durably


class Submit(Command):
    """Take a complete file from the folder .incoming of the inbox, as if it had been dropped into it.

    If the name of the file there is a UUID, that becomes the job's id. A client that lost the reply may then repeat the
    submission: the daemon answers with the same job. With another name, check whether the file is still in .incoming:
    if so, the daemon has not taken it.
    """

    name = "submit"

    file: Text  # its name in .incoming; the client has closed it. A refused file remains there
    folder: Text = ""  # the inbox folder whose rules apply; it need not exist
    file_name: Text  # the name of the original
    options: dict[str, JsonValue] = {}  # what the sidecar NAME.toml may contain: "recipe", and the recipe's options
    priority: int | None = None  # None: that of the folder
    prompt: Text = ""  # what the sidecar NAME.prompt would contain
    password: Text = ""  # the same of NAME.password
    source: Text = "api"  # the program that submits it, as the job log shows it: "web", "cli" …; not "inbox"


class RefusedJob(Reply):
    job: Text
    file: Text
    why: Text


class RetryReply(Reply):
    retried: list[Text]
    refused: list[RefusedJob]
    rest: int | None = None  # of the next request, for the jobs that this one had no time for


class Retry(Command):
    """Queue a failed job again, or with `failed` all of them; a waiting one is tried at once."""

    name = "retry"

    job: Text | None = None  # the first digits of its id
    failed: bool = False
    rest: int | None = None  # of the previous reply, to continue


class CancelReply(Reply):
    cancelled: Text
    waits_for: Text | None  # what delays the cancellation, or its record; None: nothing


class Cancel(Command):
    """Cancel an unfinished job."""

    name = "cancel"

    job: Text


class ReviewedReply(Reply):
    job: Text
    file: Text


class Reviewed(Command):
    """Record that a person has reviewed the result of a job; with `reviewed` false, that it still needs a review."""

    name = "reviewed"

    job: Text
    reviewed: bool = True


class CorrectReply(Reply):
    job: Text
    file: Text


class Correct(Command):
    """Place the corrected files, from a folder in state/corrections, beside the result of a job."""

    name = "correct"

    job: Text
    prepared: Text  # the name of the folder, a UUID; the daemon does not remove it
    revision: Annotated[int, Field(ge=0)]  # how many corrections the result had when they were prepared


# ---------------------------------------------------------------------------------------------- the daemon


class Probe(Command):
    """Check the inbox, the disks, and the weights and servers that parked jobs wait for, now."""

    name = "probe"


class PauseReply(Reply):
    running: int  # jobs that still run


class Pause(Command):
    """Start no more work; running jobs may finish or, with `now`, are put back into the queue."""

    name = "pause"

    reason: Text = ""
    now: bool = False


class ResumeReply(Reply):
    closed: Text | None  # why no work is started nevertheless


class Resume(Command):
    """End the pause."""

    name = "resume"


class UnloadReply(Reply):
    ended: list[Text]  # processors whose idle workers end
    busy: list[Text]  # processors whose workers have jobs, and stay


class Unload(Command):
    """End the workers that have no job, which frees the memory of their models."""

    name = "unload"


class RecipeDescription(Reply):
    """See `daemon.config.recipes.RecipeFacts`. Its JSON Schema is called `schema` on the wire."""

    recipe: Text = Field(alias="name")
    is_built_in: bool
    processor: Text
    runs_on: Text | None
    note: Text
    kinds: list[Text]
    folders: list[Text]
    options: dict[str, JsonValue]
    options_schema: dict[str, JsonValue] = Field(alias="schema")
    settable: list[Text] = []  # an earlier version does not report it


class RecipesReply(Reply):
    recipes: list[RecipeDescription]


class Recipes(Command):
    """Describe the recipes, with the JSON Schemas of their options."""

    name = "recipes"


class ReloadReply(Reply):
    changed: list[Text]  # settings


class Reload(Command):
    """Apply config.toml to everything that starts from now on."""

    name = "reload"


class Removed(Reply):
    what: Text
    path: Text
    kept: Text  # why it is not removed; "": it is removed


class PruneReply(Reply):
    removed: bool  # False: a dry run
    counts: dict[Text, int]
    first: list[Removed]
    rest: int | None = None  # of the next request, for the results that this one had no time for


class Prune(Command):
    """Remove the results that are older than [retention] allows; with `dry_run`, only report them."""

    name = "prune"

    dry_run: bool = True
    rest: int | None = None  # of the previous reply, to continue
