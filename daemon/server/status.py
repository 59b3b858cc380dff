"""Reports the state of the daemon: the replies to `status` and `metrics`, and one line for the service manager."""

import itertools
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from daemon import __version__
from daemon.config.current import CurrentSettings
from daemon.core.clock import Clock
from daemon.core.errors import StorageError
from daemon.core.job import Job
from daemon.core.names import printable, printable_path
from daemon.files.disk_retry import DiskRetry
from daemon.files.folders import Folders
from daemon.intake.intake import Intake
from daemon.intake.watcher import Watcher
from daemon.queue.store import Store
from daemon.scheduling.devices import Device
from daemon.scheduling.dispatcher import Dispatcher
from daemon.scheduling.pause import Pause
from daemon.scheduling.pools import Pools
from daemon.scheduling.progress import ProgressBoard
from daemon.server import api, feed_lines
from daemon.telemetry.exporter import Exporter
from daemon.workers.supervisor import Worker, Workers
from processors.contract import WorkProgress

K = TypeVar("K")

_SHOWN_FILES = 5  # of those that wait for the same thing
_SHOWN_GROUPS = 100  # of those
_SHOWN_PROBLEMS = 500  # files per kind of problem, because the main thread collects them


@dataclass(kw_only=True)
class Problems:
    """Problems that the operator must solve; each is None while there is no such problem."""

    config: str | None = None  # why the last reload was refused
    backup: str | None = None  # why last night's copy of the job log was not made


class StatusReport:
    """Reads the state of the parts, and changes nothing. Called by the main thread only."""

    def __init__(
        self,
        settings: CurrentSettings,
        store: Store,
        folders: Folders,
        disk_retry: DiskRetry,
        workers: Workers,
        pools: Pools,
        dispatcher: Dispatcher,
        progress: ProgressBoard,
        pause: Pause,
        intake: Intake,
        watcher: Watcher,
        exporter: Exporter,
        problems: Problems,
        clock: Clock,
    ):
        self._settings = settings
        self._store = store
        self._folders = folders
        self._disk_retry = disk_retry
        self._workers = workers
        self._pools = pools
        self._dispatcher = dispatcher
        self._progress = progress
        self._pause = pause
        self._intake = intake
        self._watcher = watcher
        self._exporter = exporter
        self._problems = problems
        self._clock = clock
        self._started = clock.monotonic()

    def status(self) -> api.StatusReply:
        settings = self._settings.value
        left, watch_problems = self._intake.left, self._watcher.problems
        sizes = {"left_in_inbox": len(left), "unplaced": len(self._intake.unplaced)}
        sizes["watch_problems"] = len(watch_problems)
        return api.StatusReply(
            version=__version__,
            pid=os.getpid(),
            uptime_seconds=round(self._clock.monotonic() - self._started, 1),
            inbox=str(settings.inbox),
            outbox=str(settings.outbox),
            jobs=self._store.counts(),
            running=self.running(),
            workers=self.workers(),
            devices=self.devices(),
            cluster=self.cluster(),
            waiting=self._waiting(),
            closed=self._pause.reason,
            config_problem=self._problems.config,
            backup_problem=self._problems.backup,
            metrics_problem=self._exporter.problem,
            storage_problem=self._disk_retry.problem,
            left_in_inbox={
                printable_path(path.relative_to(self._folders.inbox.path)): why for path, why in _first(left)
            },
            ignored_in_inbox=self._intake.ignored,
            unplaced=dict(_first(self._intake.unplaced)),
            watch_problems={printable(str(folder)): why for folder, why in _first(watch_problems)},
            not_shown={name: size - _SHOWN_PROBLEMS for name, size in sizes.items() if size > _SHOWN_PROBLEMS},
        )

    def metrics(self) -> api.MetricsReply:
        unclaimed = [entry.ctime_ns for entry in self._intake.unclaimed]
        return api.MetricsReply(
            version=__version__,
            pid=os.getpid(),
            uptime_seconds=self._clock.monotonic() - self._started,
            unclaimed=len(unclaimed),
            oldest_unclaimed_ns=min(unclaimed, default=None),
            left_in_inbox=len(self._intake.left),
            polled_folders=len(self._watcher.problems),
            claims=api.Histogram(**self._intake.claims.as_dict()),
            workers=[
                api.WorkerCount(processor=worker.processor, pid=worker.pid, state=worker.state, jobs=len(worker.jobs))
                for worker in self._workers
            ],
            worker_starts=dict(self._workers.starts),
            worker_ends=[(processor, why, count) for (processor, why), count in self._workers.ends.items()],
            devices=self.devices(),
            parked=self._dispatcher.parked,
            closed=self._pause.reason is not None,
            storage_problem=self._disk_retry.problem is not None,
            config_problem=self._problems.config is not None,
        )

    def running(self) -> list[api.RunningJob]:
        """The running jobs, with their progress."""
        return [self._running(worker, job) for worker in self._workers for job in worker.jobs.values()]

    def workers(self) -> list[api.WorkerStatus]:
        """The workers, with the progress of those that load."""
        return [self._worker(worker) for worker in self._workers]

    def devices(self) -> list[api.DeviceStatus]:
        """The devices, and what is on each."""
        return [self._device(device) for device in self._pools.devices]

    def cluster(self) -> api.ClusterStatus | None:
        """The state of the cluster in config.toml; None: config.toml names none."""
        cluster = self._pools.cluster
        if not cluster.address:
            return None
        nodes = [
            api.NodeStatus(
                name=each.node.name,
                host=each.node.host,
                cpus=each.node.cpus,
                gpus=each.node.gpus,
                gpu_model=each.node.gpu_model,
                is_lost=each.lost_at is not None,
            )
            for each in cluster.nodes
        ]
        return api.ClusterStatus(
            address=cluster.address, was_seen=cluster.was_seen, problem=cluster.problem, nodes=nodes
        )

    def progress(self) -> feed_lines.ProgressLine:
        """The running jobs and the workers, for subscribers."""
        return feed_lines.ProgressLine(running=self.running(), workers=self.workers())

    def one_line(self) -> str:
        """The state in a line, for the service manager."""
        return ". ".join(filter(None, (self._counts_and_files(), self._pause.reason, self._problems.config)))

    def _counts_and_files(self) -> str:
        counts = self._store.counts()
        names = [job.path for worker in self._workers for job in worker.jobs.values()]
        line = f"{counts.get('queued', 0)} queued, {len(names)} running, {counts.get('done', 0)} done, "
        line += f"{counts.get('failed', 0)} failed"
        return f"{line}: {', '.join(names[:3])}" if names else line

    def _running(self, worker: Worker, job: Job) -> api.RunningJob:
        return api.RunningJob(
            job=job.id,
            file=job.path,
            recipe=job.recipe,
            processor=worker.processor,
            attempt=job.attempt,
            started_at_us=job.started_at,
            progress=_amount(self._progress.of_job(worker.number, job.id)),
        )

    def _worker(self, worker: Worker) -> api.WorkerStatus:
        return api.WorkerStatus(
            processor=worker.processor,
            state=worker.state,
            pid=worker.pid,
            model=worker.loaded.model if worker.loaded else None,
            device=_device_of(worker),
            node=worker.seat.node,
            loading=_amount(self._progress.of_loading(worker.number)),
        )

    def _device(self, device: Device) -> api.DeviceStatus:
        there = [slot for slot in self._pools.slots() if device.name in (each.name for each in slot.devices)]
        held = [slot for slot in there if slot.worker is not None]
        return api.DeviceStatus(
            name=device.name,
            model=device.model,
            loaded=len(held),
            at_once=device.at_once,
            memory_bytes=int(sum(slot.memory_bytes for slot in held)),
            memory_limit_bytes=int(device.memory_bytes) if math.isfinite(device.memory_bytes) else None,
            jobs=sum(len(slot.worker.jobs) for slot in held if slot.worker),
            node=device.node.name if device.node is not None else None,
            is_lost=device.is_lost,
            parked={slot.pool.processor: slot.why_parked for slot in there if slot.is_parked and not slot.is_lost},
        )

    def _waiting(self) -> list[api.WaitingJobs]:
        """The waiting jobs, grouped by what they wait for."""
        try:
            groups = self._store.waiting_groups(files=_SHOWN_FILES, limit=_SHOWN_GROUPS)
        except StorageError:  # `storage_problem` reports it
            return []
        return [api.WaitingJobs(**{"for": each["why"]}, count=each["jobs"], files=each["files"]) for each in groups]


def _first(problems: Mapping[K, str]) -> Iterator[tuple[K, str]]:
    """Yield the first problems by path, up to the number that a reply contains."""
    return itertools.islice(problems.items(), _SHOWN_PROBLEMS)


def _device_of(worker: Worker) -> str | None:
    """The device on which a worker computes; None: the worker has not reported it yet."""
    if worker.loaded is not None:
        return worker.loaded.device
    return worker.seat.device if worker.seat.has_own_gpu or worker.seat.remote is not None else None


def _amount(progress: WorkProgress | None) -> api.Amount | None:
    return api.Amount(done=progress.done, total=progress.total, unit=progress.unit) if progress else None
