"""Starts the worker of the first job early, while this process imports the rest of itself, which takes as long."""

from collections.abc import Callable, Sequence

from daemon.config.current import CurrentSettings
from daemon.config.settings import Settings
from daemon.core.clock import SystemClock
from daemon.core.messages import WorkerExited, WorkerMessage
from daemon.files.folders import Folders
from daemon.scheduling.assignment import Assignment
from daemon.scheduling.pools import Pools
from daemon.telemetry.gpu import Gpu
from daemon.workers.launcher import Launcher


def start_first_worker(
    settings: Settings,
    recipe: str,
    folders: Folders,
    gpus: Sequence[Gpu],
    post: Callable[[WorkerMessage | WorkerExited], None],
) -> Launcher:
    """Return a launcher that has started the worker for a job of `recipe`. If it cannot run now, nothing is started."""
    current = CurrentSettings(settings)
    launcher = Launcher(post, descriptors=folders.held, settings=current)
    pools = Pools(current, SystemClock(), gpus)
    assigned = pools.assign(recipe)
    if isinstance(assigned, Assignment):
        pool = assigned.pool
        launcher.start_early(pool.processor, pool.options, pools.seat(pool.slots[0]))
    return launcher
