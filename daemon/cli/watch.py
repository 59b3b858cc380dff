"""`inboxd watch`: the daemon's state, redrawn each second until q or Ctrl-C; in a pipe, a line for each event.

Each time, it asks the daemon and reads the job log again, so it also follows a daemon that restarts.
"""

import contextlib
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from daemon.cli.terminal import OneLine, amount_of, clock, out, safe_text, span
from daemon.cli.views import JobsTable, problem_lines
from daemon.config.settings import Settings
from daemon.core.errors import InboxdError, NotRunning
from daemon.doctor.finding import shown_bytes
from daemon.queue.reader import JobFilter, JobLog
from daemon.server import api, client
from daemon.telemetry import gpu
from processors.memory import resident_bytes

_Part = Text | Table | JobsTable  # of the view, from top to bottom

_EVERY_SECONDS = 1.0
_GPU_EVERY_SECONDS = 10.0
_REPLY_SECONDS = 5.0
_BAR_WIDTH = 20
_MOST = 8  # rows of each part but the last
_NUMBERS = ("queued", "running", "done", "failed", "cancelled")


def watch(settings: Settings, *, seconds: float | None = None) -> None:
    """Show the state until q or Ctrl-C, or for this many seconds."""
    until = None if seconds is None else time.monotonic() + seconds
    console = out()
    if not console.is_terminal:
        for line in _events(settings, until):
            print(line, flush=True)
        return
    gpus = _Throttled(_gpu_lines, _GPU_EVERY_SECONDS)
    with _keys() as quits, Live(console=console, screen=True, auto_refresh=False) as live:
        while until is None or time.monotonic() < until:
            live.update(_view(settings, console.height, gpus()), refresh=True)
            if quits(_EVERY_SECONDS):
                return


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """A function that waits this many seconds, or until q is typed; True: q was typed."""
    try:
        terminal = sys.stdin.fileno()
        before = termios.tcgetattr(terminal)
    except (OSError, ValueError, termios.error):  # no keyboard
        yield _no_key
        return

    def quits(seconds: float) -> bool:
        is_typed, _, _ = select.select([terminal], [], [], seconds)
        if not is_typed:
            return False
        typed = os.read(terminal, 1024)
        return not typed or b"q" in typed.lower()  # b"": the terminal is gone

    tty.setcbreak(terminal)
    try:
        yield quits
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _no_key(seconds: float) -> bool:
    time.sleep(seconds)
    return False


class _Throttled:
    """A function that returns lines and runs at most once per interval; in between, its last result."""

    def __init__(self, look: Callable[[], list[str]], every: float):
        self._look, self._every = look, every
        self._next = 0.0
        self._last: list[str] = []

    def __call__(self) -> list[str]:
        if time.monotonic() >= self._next:
            self._last = self._look()
            self._next = time.monotonic() + self._every
        return self._last


# ---------------------------------------------------------------------------------------------- the view


def _view(settings: Settings, height: int, gpus: list[str]) -> Group:
    try:
        reply = client.ask(settings.socket, api.Status(), api.StatusReply, timeout=_REPLY_SECONDS)
        parts = daemon_parts(reply, gpus)
    except InboxdError as error:
        parts = [safe_text(f"{error.what} {error.fix}", style="red")]
    above = sum(part.row_count + 2 if isinstance(part, Table) else 1 for part in parts)
    return Group(
        *parts, Text(""), *_recent(settings, max(3, height - above - 4)), Text("Press q to quit.", style="dim")
    )


def daemon_parts(reply: api.StatusReply, gpus: list[str]) -> list[_Part]:
    """The activity of a running daemon, from its reply to `status`."""
    counts = " · ".join(f"{reply.jobs[state]} {state}" for state in _NUMBERS if reply.jobs.get(state))
    header = safe_text(f"inboxd {reply.version}, process {reply.pid}, up {span(reply.uptime_seconds)}: ")
    parts: list[_Part] = [header.append(counts or "no jobs yet", style="bold")]
    parts += [safe_text(line, style="dim") for line in gpus]
    if reply.running:
        parts.append(_running(reply.running))
    if reply.workers:
        parts.append(_workers(reply.workers))
    problems = problem_lines(reply)
    parts += problems[:_MOST]
    if len(problems) > _MOST:
        parts.append(safe_text(f"  and {len(problems) - _MOST} more; see `inboxd status`", style="yellow"))
    return parts


def _running(rows: list[api.RunningJob]) -> Table:
    table = _table("file", "recipe", "", "progress", "for", cut="file")
    for row in rows[:_MOST]:
        file = OneLine(row.file, keep_end=True)
        table.add_row(file, safe_text(row.recipe or "-"), *_progress(row.progress), _since(row))
    if len(rows) > _MOST:
        table.add_row(f"and {len(rows) - _MOST} more")
    return table


def _progress(found: api.Amount | None) -> tuple[ProgressBar | str, str]:
    """A bar, if the total is known, and the amount in words: pages, seconds, bytes."""
    if found is None:
        return "", ""
    bar = ProgressBar(total=found.total, completed=found.done, width=_BAR_WIDTH) if found.total else ""
    return bar, amount_of(found)


def _since(row: api.RunningJob) -> str:
    return span(max(0.0, time.time() - (row.started_at_us or 0) / 1e6))


def _workers(rows: list[api.WorkerStatus]) -> Table:
    table = _table("worker", "state", "model", "device", "memory", "progress", cut="model")
    for row in rows[:_MOST]:
        name, model = f"{row.processor} ({row.pid})", OneLine(_model(row), keep_end=True)
        memory = shown_bytes(resident_bytes(row.pid, and_descendants=True))
        facts = (row.device or "", memory, amount_of(row.loading))
        table.add_row(safe_text(name), row.state, model, *map(safe_text, facts))
    return table


def _model(row: api.WorkerStatus) -> str:
    return "no model" if row.model == api.NO_MODEL else row.model or ""


def _table(*names: str, cut: str) -> Table:
    """An empty table with one line per row. cut: the column that is cut if the terminal is narrow."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in names:
        table.add_column(name, no_wrap=name != cut, overflow="ellipsis")
    return table


def _recent(settings: Settings, count: int) -> list[_Part]:
    try:
        with JobLog(settings.database) as log:
            found = log.jobs(JobFilter(states=("done", "failed", "cancelled")), by_end=True, limit=count)
    except InboxdError as error:
        return [safe_text(error.what, style="red")]
    return [JobsTable(found)] if found else [Text("No results yet.", style="dim")]


def _gpu_lines() -> list[str]:
    try:
        found = gpu.find()
    except gpu.GpuError as error:
        return [f"GPU: {error}"]
    lines = []
    for each in found:
        used, total = each.memory_used_bytes, each.memory_total_bytes
        memory = f", {shown_bytes(used)} of {shown_bytes(total)} in use" if used is not None and total else ""
        lines.append(f"GPU {each.index}: {each.name}{memory}")
    return lines


# ---------------------------------------------------------------------------------------------- in a pipe


def _events(settings: Settings, until: float | None) -> Iterator[str]:
    """A line for each event of a job, and for each start and end of the daemon, from now on."""
    last: int | None = None
    process: int | None = -1
    while until is None or time.monotonic() < until:
        news = _news(settings, last)
        if news.process != process:
            process = news.process
            yield f"{clock(time.time())} daemon {f'is running: process {process}' if process else 'is not running'}"
        for event in news.events:
            words = f": {event.detail}" if event.detail else ""
            line = f"{clock(event.at / 1e6)} {event.job[:8]} {event.event} {event.file}{words}"
            yield " ".join(str(safe_text(line)).split())
        last = news.last
        if not news.has_more:
            time.sleep(_EVERY_SECONDS)


@dataclass(frozen=True, kw_only=True)
class _News:
    """Events of jobs. `process`: the daemon's; None: none runs. `last`: the number to continue after."""

    process: int | None
    events: list[api.JobEvent]
    last: int | None
    has_more: bool


def _news(settings: Settings, last: int | None) -> _News:
    """The events after the one numbered `last`: from the daemon, or while none runs, from the job log."""
    try:
        reply = client.ask(settings.socket, api.Events(after=last), api.EventsReply, timeout=_REPLY_SECONDS)
    except NotRunning:
        return _news_from_log(settings, last, None)
    except client.Refused:  # of an earlier version, or its disk fails
        return _news_from_log(settings, last, _process(settings))
    return _News(process=reply.pid, events=reply.events, last=reply.last, has_more=reply.has_more)


def _news_from_log(settings: Settings, last: int | None, process: int | None) -> _News:
    try:
        with JobLog(settings.database) as log:
            latest = log.last_event()
            rows = log.events_after(latest if last is None or last > latest else last)
    except InboxdError:  # retried in a second
        return _News(process=process, events=[], last=last, has_more=False)
    events = [api.JobEvent(**row) for row in rows]
    return _News(process=process, events=events, last=events[-1].number if events else latest, has_more=False)


def _process(settings: Settings) -> int | None:
    try:
        return client.ask(settings.socket, api.Status(), api.StatusReply, timeout=_REPLY_SECONDS).pid
    except (NotRunning, client.Refused):
        return None
