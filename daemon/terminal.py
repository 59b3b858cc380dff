"""What a person sees in a terminal: the live view of a run, tables, log lines. Imports rich.

Names and texts come from whoever drops files: what is no printable character is shown as an escape, so that none can
act on the terminal or pass for a line of its own.
"""

import logging
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from daemon import journal
from daemon.names import printable_lines

if TYPE_CHECKING:
    from daemon.doctor import Check
    from daemon.service import Service

_STYLES = {"done": "green", "failed": "red", "cancelled": "red", "running": "cyan", "publishing": "cyan"}
_FILE_WIDTH = 160  # columns of a table that goes into a file


def out() -> Console:
    """Stdout: as wide as the terminal, or wide enough for a table in a file or a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH)


def set_up_logging(*, verbose: bool, console: Console | None = None) -> None:
    """Log to journald under systemd; elsewhere to stderr, with the time of day."""
    root = logging.getLogger()
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    if console is None and journal.is_connected():
        root.handlers = [journal.JournalHandler()]
        return
    handler = logging.StreamHandler(sys.stderr) if console is None else _ConsoleHandler(console)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    root.handlers = [handler]


class _Formatter(logging.Formatter):
    """One event, one line that begins at the left."""

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record))


class _ConsoleHandler(logging.Handler):
    """Prints above the live view."""

    def __init__(self, console: Console):
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        style = {logging.WARNING: "yellow", logging.ERROR: "red"}.get(record.levelno, "dim")
        self._console.print(Text(self.format(record), style=style), soft_wrap=True)


class LiveView:
    """The state of a running service, redrawn in place; `on_change` is the service's."""

    def __init__(self, console: Console):
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[amount]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._head = Text("")
        self._live = Live(console=console, get_renderable=lambda: Group(self._head, self._progress), transient=True)
        self._tasks: dict[str, int] = {}

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def on_change(self, service: "Service") -> None:
        status = service.commands.status()
        jobs = status["jobs"]
        counts = (f"{jobs[state]} {state}" for state in ("queued", "running", "done", "failed") if jobs.get(state))
        self._head = _text(" · ".join(counts), style="bold")
        self._show({row["job"]: _running_line(row) for row in status["running"]} | _loading_lines(status["workers"]))

    def _show(self, lines: Mapping[str, tuple[str, Mapping[str, Any] | None]]) -> None:
        for key in [key for key in self._tasks if key not in lines]:
            self._progress.remove_task(self._tasks.pop(key))
        for key, (text, amount) in lines.items():
            if key not in self._tasks:
                self._tasks[key] = self._progress.add_task(text, total=None, amount="")
            done, total = (amount["done"], amount["total"]) if amount else (0, None)
            self._progress.update(self._tasks[key], completed=done, total=total, amount=_amount(amount))


def _running_line(row: Mapping[str, Any]) -> tuple[str, Mapping[str, Any] | None]:
    return f"{escape(row['file'])} [dim]{row['processor']}[/dim]", row["progress"]


def _loading_lines(workers: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, Mapping[str, Any] | None]]:
    return {
        f"worker {worker['pid']}": (f"[dim]{worker['processor']} is loading[/dim]", worker["loading"])
        for worker in workers
        if worker["state"] == "loading"
    }


def _amount(amount: Mapping[str, Any] | None) -> str:
    if not amount:
        return ""
    if amount["unit"] == "bytes":
        done, total = amount["done"] / 1e6, (amount["total"] or 0) / 1e6
        return f"{done:.0f} of {total:.0f} MB" if total else f"{done:.0f} MB"
    total = f" of {amount['total']:.0f}" if amount["total"] else ""
    return f"{amount['done']:.0f}{total} {amount['unit']}"


# ---------------------------------------------------------------------------------------------- tables


def jobs_table(rows: Sequence[Mapping[str, Any]], *, outbox: str = "", wide: bool = False) -> Table:
    """Jobs as a table; `wide`: with the result and its first words (what a run ends with)."""
    table = Table(box=None, header_style="bold", pad_edge=False, expand=False)
    if not wide:
        table.add_column("job", no_wrap=True)
        table.add_column("received", no_wrap=True)
    table.add_column("file", overflow="fold")
    table.add_column("recipe")
    table.add_column("state")
    table.add_column("seconds", justify="right")
    table.add_column("result", overflow="fold")
    if wide:
        table.add_column("first words", overflow="fold", max_width=48)
    for row in rows:
        state = _text(row["state"] + (" (look)" if row["review"] else ""), style=_style(row))
        seconds = f"{row['run_seconds']:.1f}" if row["run_seconds"] is not None else ""
        result = _text((outbox + row["result_path"]) if row["result_path"] else "")
        words = _words(row)
        if wide:
            table.add_row(_text(row["file"]), row["recipe"] or "-", state, seconds, result, words)
        else:
            why = result if row["state"] == "done" else _text(row["waiting_for"] or row["error"] or "", style="dim")
            received = local_time(row["received_at"])
            table.add_row(row["id"][:8], received, _text(row["file"]), row["recipe"] or "-", state, seconds, why)
    return table


def _words(row: Mapping[str, Any]) -> Text:
    """What a row says for itself: why it failed or waits, what to look at, or its first words."""
    if row["state"] != "done":
        return _text(row["waiting_for"] or row["error"] or "", style="red" if row["error"] else "yellow")
    words = " ".join(row["excerpt"].split())
    return _text(words[:140] + ("…" if len(words) > 140 else ""))


def _style(row: Mapping[str, Any]) -> str:
    return "yellow" if row["review"] else _STYLES.get(row["state"], "")


def local_time(iso: str | None) -> str:
    """An ISO time of the job log in this machine's zone, to the second."""
    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M:%S") if iso else ""


def status_view(answer: Mapping[str, Any]) -> Group:
    """The answer to the command `status`."""
    jobs = answer["jobs"]
    counts = " · ".join(f"{jobs.get(state, 0)} {state}" for state in ("queued", "running", "done", "failed"))
    head = _text(f"inboxd {answer['version']}, process {answer['pid']}, up {_span(answer['uptime_seconds'])}: ")
    parts: list[Any] = [
        head.append(counts, style="bold"),
        _text(f"{answer['inbox']} -> {answer['outbox']}", style="dim"),
    ]
    if answer["closed"]:
        parts.append(_text(f"  {answer['closed']}", style="yellow"))
    for row in answer["running"]:
        seconds = time.time() - row["started_at_us"] / 1e6
        amount = _amount(row["progress"])
        parts.append(_text(f"  {row['file']}: {row['recipe']}, {_span(seconds)} {amount}".rstrip(), style="cyan"))
    for worker in answer["workers"]:
        model = f", {worker['model']} on {worker['device']}" if worker["model"] else f" {_amount(worker['loading'])}"
        parts.append(_text(f"  {worker['processor']} (process {worker['pid']}) is {worker['state']}{model}".rstrip()))
    for group in answer["waiting"]:
        files = ", ".join(group["files"]) + (", …" if group["count"] > len(group["files"]) else "")
        parts.append(_text(f"  {group['count']} waiting ({files}): {group['for']}", style="yellow"))
    parts += [
        _text(f"  {answer[key]}", style="red")
        for key in ("storage_problem", "config_problem", "backup_problem", "metrics_problem")
        if answer[key]
    ]
    for problems in ("left_in_inbox", "watch_problems"):
        parts += [_text(f"  {name}: {why}", style="yellow") for name, why in answer[problems].items()]
    return Group(*parts)


def job_view(
    row: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]], *, outbox: str
) -> Group:
    """All about one job."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in row.items():
        if value not in (None, ""):
            shown = f"{outbox}/{value}" if name == "result_path" else str(value)
            table.add_row(name, _text(local_time(shown) if name.endswith("_at") else shown))
    lines = [
        _text(
            f"attempt {attempt['attempt']}: {attempt['processor']} ({attempt['engine']}, {attempt['model']}, "
            f"{attempt['device']}): {attempt['outcome'] or 'running'} {attempt['error'] or ''}"
        )
        for attempt in attempts
    ]
    lines += [
        _text(f"{_clock(event['at'])} {event['event']}{': ' + event['detail'] if event['detail'] else ''}", style="dim")
        for event in events
    ]
    return Group(table, *lines)


def check_line(check: "Check") -> Table:
    """One line of `inboxd doctor`, the mend below it."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for width in (4, 9):
        table.add_column(width=width)
    table.add_column(overflow="fold")
    found = _text(check.found)
    if check.fix and check.verdict != "ok":
        found.append_text(_text(f"\n-> {check.fix}", style="bold"))
    style = {"ok": "green", "warn": "yellow"}.get(check.verdict, "bold red")
    table.add_row(Text(check.verdict, style=style), check.what, found)
    return table


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m" if hours else f"{minutes}m {rest:02d}s" if minutes else f"{rest}s"


def _clock(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _text(text: str, style: str = "") -> Text:
    return Text(printable_lines(text), style=style)
