"""The page about the daemon: workers, memory, recipes, throughput, health, settings."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daemon import __version__
from daemon.config.recipes import RecipeFacts, describe_recipes
from daemon.config.settings import Settings
from daemon.core.errors import InboxdError
from daemon.queue.reader import JobLog
from daemon.server import api
from daemon.telemetry import gpu
from daemon.web.backend import Backend, backend_of
from daemon.web.pages.formats import Formats
from daemon.web.pages.templating import formats_of, render, status_of

if TYPE_CHECKING:
    from daemon.doctor import checks

_HOUR_US = 3_600_000_000
_HOURS = 24
_ORIGINALS = {"keep": "kept beside the result", "archive": "moved to state/archive", "delete": "deleted"}


@dataclass(frozen=True, kw_only=True)
class Memory:
    name: str
    about: str
    used: str
    total: str
    share: float  # percent


async def system_page(request: Request) -> Response:
    backend, formats = backend_of(request), formats_of(request)
    status, (ends, reviews), memory, recipes, found = await asyncio.gather(
        status_of(backend),
        _recorded(backend),
        to_thread.run_sync(_memory, formats),
        to_thread.run_sync(describe_recipes, backend.settings),
        _checks(backend, request),
    )
    return render(
        request,
        "system.html",
        tab="system",
        reviews=reviews,
        daemon=status,
        available=status is not None,
        closed=status.closed if status else None,
        problem="Start it: inboxd run in a terminal, or systemctl start inboxd if it is installed as a service.",
        problems=status.problems() if status else [],
        uptime=_uptime(status.uptime_seconds) if status else "",
        version=__version__,
        free=formats.size(_free_bytes(backend.settings.outbox)),
        memory=memory,
        devices=list(_devices(status, formats)) if status else [],
        workers=list(_workers(status)) if status else [],
        recipes=_sorted(recipes),
        throughput=throughput(ends, time.time_ns() // 1000),
        checks=found,
        passed=[check for check in found or () if check.verdict == "ok"],
        settings=list(_settings(backend.settings)),
        source=str(backend.settings.source or "config.toml"),
    )


async def _recorded(backend: Backend) -> tuple[list[int], int]:
    """The times at which jobs ended in the last day, and the number of results that need a review."""

    def read(log: JobLog) -> tuple[list[int], int]:
        return log.ends_since(time.time_ns() // 1000 - _HOURS * _HOUR_US), log.tallies()["review"]

    try:
        return await backend.read(read)
    except InboxdError:
        return [], 0


async def _checks(backend: Backend, request: Request) -> "list[checks.Check] | None":
    """The findings of `inboxd doctor`; None: the request does not ask for them."""
    if request.query_params.get("check") != "1":
        return None

    def run() -> "list[checks.Check]":
        from daemon.doctor import checks  # only here: it takes memory

        return list(checks.run_all(backend.settings.source))

    return await to_thread.run_sync(run)


def _sorted(recipes: Sequence[RecipeFacts]) -> list[RecipeFacts]:
    """Sort the recipes: those that inbox folders use come first."""
    return sorted(recipes, key=lambda each: (not each["folders"], each["name"]))


@dataclass(frozen=True, kw_only=True)
class Worker:
    processor: str
    state: str
    busy: bool
    model: str | None
    device: str | None
    jobs: Sequence[api.RunningJob]


def _workers(status: api.StatusReply) -> Iterator[Worker]:
    for each in status.workers:
        jobs = [job for job in status.running if job.processor == each.processor] if each.state == "busy" else []
        yield Worker(
            processor=each.processor,
            state=each.state,
            busy=each.state == "busy",
            model=each.model,
            device=each.device,
            jobs=jobs,
        )


def _devices(status: api.StatusReply, formats: Formats) -> Iterator[tuple[str, str]]:
    """For each device, its name and a sentence about its loaded models, with their estimated memory."""
    for each in status.devices:
        name = "CPU" if each.name == "cpu" else f"{each.name} {each.model}".rstrip()
        limit = f" of {formats.size(each.memory_limit_bytes)}" if each.memory_limit_bytes is not None else ""
        models = f"{each.loaded} of {each.at_once} models, about {formats.size(each.memory_bytes)}{limit}"
        yield name, f"{models}; {each.jobs} running"


def _memory(formats: Formats) -> list[Memory]:
    """The memory of each GPU, and of the machine."""
    found = []
    try:
        gpus = gpu.find()
    except gpu.GpuError:
        gpus = []
    for each in gpus:
        if each.memory_used_bytes is not None and each.memory_total_bytes:
            busy = f", {formats.percent(each.busy_share)} busy" if each.busy_share is not None else ""
            about = f"{each.name}{busy}"
            found.append(_bar(f"GPU {each.index}", about, each.memory_used_bytes, each.memory_total_bytes, formats))
    facts = _meminfo()
    if total := facts.get("MemTotal"):
        found.append(_bar("Main memory", "", total - facts.get("MemAvailable", 0), total, formats))
    return found


def _bar(name: str, about: str, used: int, total: int, formats: Formats) -> Memory:
    share = round(100 * used / total, 1)
    return Memory(name=name, about=about, used=formats.size(used), total=formats.size(total), share=share)


def _meminfo() -> dict[str, int]:
    """Bytes by name; see proc_meminfo(5)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    return {line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}


@dataclass(frozen=True, kw_only=True)
class Bar:
    x: int
    y: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Throughput:
    jobs: int
    most: int
    bars: Sequence[Bar]


def throughput(ends: Sequence[int], now: int) -> Throughput:
    """The jobs that ended in each of the last 24 hours."""
    hours = Counter(min(_HOURS - 1, max(0, (now - at) // _HOUR_US)) for at in ends)
    most = max(hours.values(), default=0)
    heights = [40 * hours[_HOURS - 1 - hour] / most if most else 0.0 for hour in range(_HOURS)]
    bars = [Bar(x=10 * hour + 1, y=40 - height, height=max(height, 0.6)) for hour, height in enumerate(heights)]
    return Throughput(jobs=len(ends), most=most, bars=bars)


def _uptime(seconds: float) -> str:
    minutes = int(seconds // 60)
    days, hours = divmod(minutes // 60, 24)
    parts = [(days, "day"), (hours, "hour"), (minutes % 60, "minute")]
    shown = [f"{count} {word}{'s' if count != 1 else ''}" for count, word in parts if count][:2]
    return " ".join(shown) or "less than a minute"


def _free_bytes(folder: Path) -> int:
    try:
        disk = os.statvfs(folder)
    except OSError:
        return 0
    return disk.f_bavail * disk.f_frsize


def _settings(settings: Settings) -> Iterator[tuple[str, str]]:
    retention = settings.retention
    ages = {"results": retention.results, "failures": retention.failed, "archive": retention.archive}
    removed = [f"{name} after {age / 86400:g} days" for name, age in ages.items() if age]
    yield "Inbox", str(settings.inbox)
    yield "Outbox", str(settings.outbox)
    yield "Originals", _ORIGINALS[settings.folder("").originals]
    yield "Retention", ", ".join(removed) or "inboxd removes nothing"
    yield "Models at once", str(settings.workers.at_once)
    yield "Active hours", settings.schedule.active or "always"
    yield "Largest upload", f"{settings.web.upload_max:,} bytes"


ROUTES = [Route("/system", system_page)]
