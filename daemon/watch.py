"""`inboxd watch`: what the daemon does, redrawn each second; into a pipe, a line for each end of a job."""

import time
from collections.abc import Iterator
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.text import Text

from daemon import control
from daemon.config import Settings
from daemon.errors import NotRunning, UsageError
from daemon.joblog import JobLog
from daemon.names import printable_lines
from daemon.terminal import jobs_table, local_time, out, status_view

_EVERY_SECONDS = 1.0
_RECENT = 10


def watch(settings: Settings, *, seconds: float | None = None) -> None:
    """Show until Ctrl-C, or for so many seconds; a daemon that is stopped and started again is shown again."""
    until = None if seconds is None else time.monotonic() + seconds
    console = out()
    if not console.is_terminal:
        for line in _ends(settings, until):
            print(line, flush=True)
        return
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for _ in _turns(until):
            live.update(_view(settings, rows=max(3, console.height - 12)), refresh=True)


def _turns(until: float | None) -> Iterator[None]:
    while until is None or time.monotonic() < until:
        yield
        time.sleep(_EVERY_SECONDS)


def _view(settings: Settings, rows: int) -> Group:
    try:
        answer = control.ask(settings.socket, "status", timeout=5)
        head: Any = status_view(answer)
    except NotRunning as error:
        head = Text(f"{error.what} {error.fix}", style="red")
    return Group(head, Text(""), _recent(settings, min(rows, _RECENT)), Text("\nCtrl-C ends.", style="dim"))


def _recent(settings: Settings, count: int) -> Any:
    try:
        with JobLog(settings.database) as log:
            found = log.jobs(states=("done", "failed", "cancelled"), limit=count)
    except UsageError as error:
        return Text(error.what)
    return jobs_table(found) if found else Text("No results yet.", style="dim")


def _ends(settings: Settings, until: float | None) -> Iterator[str]:
    """A line for each job that ends from now on."""
    told: int | None = None
    for _ in _turns(until):
        try:
            with JobLog(settings.database) as log:
                last = log.last_event()
                ends = [] if told is None or told > last else log.ends_after(told, limit=10_000)
        except UsageError:
            continue
        told = ends[-1][0] if ends else last
        for _, row in ends:
            words = row["error"] or row["result_path"] or ""
            line = f"{local_time(row['finished_at'])} {row['id'][:8]} {row['state']} {row['file']}: {words}"
            yield " ".join(printable_lines(line).split())
