"""The commands of the daemon with their arguments and replies, shared by the control socket, the command line and HTTP.

On the wire, a command is {"command": NAME, "arguments": {…}}, and its answer is {"ok": true, …} with the fields of the
reply, or {"ok": false, "error": …, "fix": …, "exit_code": …}. A new version may add fields, but removes none.
"""

from daemon.server.api.base import Command, Done, Reply, Text
from daemon.server.api.control import (
    Pause,
    PauseReply,
    Probe,
    RecipeDescription,
    Recipes,
    RecipesReply,
    Reload,
    ReloadReply,
    Resume,
    ResumeReply,
    Unload,
    UnloadReply,
)
from daemon.server.api.jobs import (
    Cancel,
    CancelReply,
    Correct,
    CorrectReply,
    Prune,
    PruneReply,
    RefusedJob,
    Removed,
    Retry,
    RetryReply,
    Reviewed,
    ReviewedReply,
    Submit,
    SubmitReply,
)
from daemon.server.api.state import (
    NO_MODEL,
    Amount,
    ClusterStatus,
    DeviceStatus,
    Events,
    EventsReply,
    Histogram,
    JobEvent,
    Metrics,
    MetricsReply,
    NodeStatus,
    RunningJob,
    Status,
    StatusReply,
    WaitingJobs,
    WorkerCount,
    WorkerStatus,
)
