"""The daemon's metrics, in the text format of Prometheus. The only module that imports prometheus_client.

Sources: the running daemon for its state (`live`: its reply to the command `metrics`), the job log for the queue,
`totals` for counters, the kernel and nvidia-smi for memory. The metrics of a source that cannot be read are left out,
and `inboxd_source_up` is 0 for it: a gap in a graph is better than a misleading zero.

Names: https://prometheus.io/docs/practices/naming/
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypedDict

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)

from daemon.core.errors import InboxdError
from daemon.queue.reader import JobLog
from daemon.telemetry import gpu
from daemon.telemetry.histogram import Counts
from daemon.telemetry.totals import Totals, count
from processors.memory import resident_bytes

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class LiveWorker(TypedDict):
    """A worker in `Live`."""

    processor: str
    pid: int
    state: str
    jobs: int


class LiveDevice(TypedDict):
    """A device in `Live`."""

    name: str
    loaded: int
    memory_bytes: int
    jobs: int


class Live(TypedDict):
    """The daemon's reply to the command `metrics`."""

    version: str
    pid: int
    uptime_seconds: float
    unclaimed: int
    oldest_unclaimed_ns: int | None
    left_in_inbox: int
    polled_folders: int
    claims: Counts  # in seconds
    workers: list[LiveWorker]
    worker_starts: dict[str, int]  # by processor
    worker_ends: list[tuple[str, str, int]]  # processor, why, how many
    devices: list[LiveDevice]
    parked: dict[str, str]
    closed: bool
    storage_problem: bool
    config_problem: bool


def render(live: Live, *, database: Path, saved_totals: Path) -> str:
    """The metrics as text. `saved_totals`: state/totals.json, which is only read."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(live, database, saved_totals))
    return generate_latest(registry).decode()


class _Collector:
    """Collects all metrics once."""

    def __init__(self, live: Live, database: Path, saved_totals: Path):
        self._live = live
        self._database = database
        self._saved_totals = saved_totals

    def describe(self) -> Iterable[Metric]:
        return []  # or else registering would collect

    def collect(self) -> Iterator[Metric]:
        up = _gauge("source_up", "Whether this source of metrics could be read.", "source")
        for source, read in (
            ("daemon", lambda: _of_daemon(self._live)),
            ("queue", lambda: _of_queue(self._database)),
            ("totals", lambda: _of_totals(count(self._database, self._saved_totals))),
            ("gpu", _of_gpus),
        ):
            metrics = _try(read)
            yield from metrics or []
            up.add_metric([source], metrics is not None)
        yield up


def _try(read: Callable[[], Iterable[Metric]]) -> list[Metric] | None:
    try:
        return list(read())
    except (OSError, InboxdError, gpu.GpuError):
        return None


def _of_daemon(live: Live) -> Iterator[Metric]:
    yield InfoMetricFamily("inboxd", "The running daemon.", {"version": live["version"]})
    started = time.time() - live["uptime_seconds"]
    yield _gauge("start_time_seconds", "When the daemon started, in seconds since the epoch.", value=started)
    yield _gauge("uptime_seconds", "Time since the daemon started.", value=live["uptime_seconds"])
    memory = resident_bytes(live["pid"], and_descendants=False)
    yield _gauge("resident_memory_bytes", "Resident memory of the daemon.", value=memory)
    yield _gauge("unclaimed_files", "Files found in the inbox and not taken yet.", value=live["unclaimed"])
    oldest = live["oldest_unclaimed_ns"]
    age = 0.0 if oldest is None else max(0.0, time.time() - oldest / 1e9)
    yield _gauge("oldest_unclaimed_seconds", "Time since the oldest unclaimed file last changed (0 = none).", value=age)
    yield _gauge("left_files", "Files that stay in the inbox; `inboxd status` shows why.", value=live["left_in_inbox"])
    yield _gauge(
        "polled_folders",
        "Folders that are polled or not watched; `inboxd status` shows why.",
        value=live["polled_folders"],
    )
    yield _claims(live["claims"])
    yield _gauge("closed", "1 while paused or outside the active hours.", value=live["closed"])
    for problem, exists in (("storage_problem", live["storage_problem"]), ("config_problem", live["config_problem"])):
        yield _gauge(problem, "1 while there is such a problem; `inboxd status` shows it.", value=exists)
    yield from _of_workers(live)
    yield from _of_devices(live)


def _claims(claims: Counts) -> Metric:
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, number in zip([*map(str, claims["bounds"]), "+Inf"], claims["counts"], strict=True):
        total += number
        buckets.append((bound, total))
    what = "Time from the last change of a file, or its rename into the inbox, until the daemon takes it."
    return HistogramMetricFamily("inboxd_claim_seconds", what, buckets=buckets, sum_value=claims["sum"])


def _of_workers(live: Live) -> Iterator[Metric]:
    workers = _gauge("workers", "Running workers.", "processor", "state")
    memory = _gauge("worker_resident_memory_bytes", "Resident memory of running workers.", "processor")
    held: dict[str, int] = {}
    states: dict[tuple[str, str], int] = {}
    for worker in live["workers"]:
        key = worker["processor"], worker["state"]
        states[key] = states.get(key, 0) + 1
        held[key[0]] = held.get(key[0], 0) + resident_bytes(worker["pid"], and_descendants=True)
    for labels, number in sorted(states.items()):
        workers.add_metric(labels, number)
    for processor, size in sorted(held.items()):
        memory.add_metric([processor], size)
    yield workers
    yield memory
    yield _gauge("running_jobs", "Jobs that are running.", value=sum(each["jobs"] for each in live["workers"]))
    starts = _counter("worker_starts", "Workers started since the daemon started.", "processor")
    for processor, number in sorted(live["worker_starts"].items()):
        starts.add_metric([processor], number)
    yield starts
    ends = _counter(
        "worker_ends", "Workers ended since the daemon started; asked: idle, or to make room.", "processor", "reason"
    )
    for processor, why, number in sorted(live["worker_ends"]):
        ends.add_metric([processor, why], number)
    yield ends
    parked = _gauge(
        "parked",
        "1 while this processor cannot run (weights or a server unavailable); `inboxd status` shows why.",
        "processor",
    )
    for processor in sorted(live["parked"]):
        parked.add_metric([processor], 1)
    yield parked


def _of_devices(live: Live) -> Iterator[Metric]:
    loaded = _gauge("device_models", "Models loaded on the device.", "device")
    needed = _gauge("device_models_bytes", "Memory that these models need, as estimated.", "device")
    jobs = _gauge("device_running_jobs", "Jobs that run on the device.", "device")
    for each in live["devices"]:
        for family, value in ((loaded, each["loaded"]), (needed, each["memory_bytes"]), (jobs, each["jobs"])):
            family.add_metric([each["name"]], value)
    yield from (loaded, needed, jobs)


def _of_queue(database: Path) -> Iterator[Metric]:
    jobs = _gauge("queued_jobs", "Jobs in the queue.", "recipe")
    parked = _gauge("waiting_jobs", "Queued jobs that wait for something unavailable.", "recipe")
    oldest = _gauge("oldest_queued_seconds", "Time since the oldest queued job was taken.", "recipe")
    with JobLog(database) as log:
        for row in log.queue():
            jobs.add_metric([row["recipe"]], row["jobs"])
            parked.add_metric([row["recipe"]], row["parked"])
            oldest.add_metric([row["recipe"]], max(0.0, time.time() - row["oldest"] / 1e6))
    yield from (jobs, parked, oldest)
    yield _gauge("job_log_bytes", "Size of jobs.db.", value=os.stat(database).st_size)


def _of_totals(totals: Totals) -> Iterator[Metric]:
    ended = _counter("jobs_ended", "Jobs that have ended.", "state", "recipe")
    failures = _counter("failures", "Attempts that have failed; verdict again: retried.", "kind", "verdict")
    pages = _counter("pages", "Pages read.", "processor")
    sound = _counter("media_seconds", "Seconds of audio transcribed.", "processor")
    for family, table in ((ended, totals.ended), (failures, totals.failures), (pages, totals.pages)):
        for labels, number in sorted(table.items()):
            family.add_metric(labels, number)
    for labels, seconds in sorted(totals.media_seconds.items()):
        sound.add_metric(labels, seconds)
    runs = SummaryMetricFamily(
        "inboxd_run_seconds", "Duration of the last attempt of jobs that have ended.", labels=["processor"]
    )
    for labels, number in sorted(totals.runs.items()):
        runs.add_metric(labels, count_value=number, sum_value=totals.run_seconds[labels])
    yield from (ended, failures, runs, pages, sound)


def _of_gpus() -> Iterator[Metric]:
    used = _gauge("gpu_memory_used_bytes", "GPU memory in use by all processes.", "gpu", "name")
    total = _gauge("gpu_memory_bytes", "GPU memory.", "gpu", "name")
    busy = _gauge("gpu_busy_ratio", "Share of the last sampling interval in which the GPU was busy.", "gpu", "name")
    for each in gpu.find():
        for family, value in (
            (used, each.memory_used_bytes),
            (total, each.memory_total_bytes),
            (busy, each.busy_share),
        ):
            if value is not None:
                family.add_metric([each.index, each.name], value)
    yield from (used, total, busy)


def _gauge(name: str, what: str, *labels: str, value: float | None = None) -> GaugeMetricFamily:
    if labels:
        return GaugeMetricFamily(f"inboxd_{name}", what, labels=labels)
    return GaugeMetricFamily(f"inboxd_{name}", what, value=float(value or 0))


def _counter(name: str, what: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"inboxd_{name}", what, labels=labels)
