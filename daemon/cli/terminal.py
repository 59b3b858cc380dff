"""Terminal output: the live view of a run, log lines, and the format of times, amounts and names.

Names and texts come from the people who drop files: unprintable characters are shown as escapes, so that none can
control the terminal or imitate another line.
"""

import io
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import IO, TYPE_CHECKING, cast

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.markup import escape
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from daemon.cli import logs
from daemon.core.names import printable_lines
from daemon.server import api

if TYPE_CHECKING:
    from daemon.server.service import Service

_Line = tuple[str, api.Amount | None]  # the text and the progress of something

_SHORTEST_NAME = 12  # columns
WIDE = 100  # columns
_FILE_WIDTH = 160  # columns of a table that goes into a file
_LINE_END_SPACES = re.compile(r" +$", re.MULTILINE)


def out() -> Console:
    """Stdout: as wide as the terminal; in a file or a pipe, as wide as a table needs, without trailing spaces."""
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH, file=cast(IO[str], _Trimmed()))


class _Trimmed(io.TextIOBase):
    """Stdout without trailing spaces, which would make a wide table fold in a narrow pager."""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # Rich decides from it whether to draw lines in ASCII
        return sys.stdout.encoding

    def write(self, text: str) -> int:
        sys.stdout.write(_LINE_END_SPACES.sub("", text))
        return len(text)

    def flush(self) -> None:
        sys.stdout.flush()


def set_up_logging(console: Console, *, verbose: bool) -> None:
    """Log to a terminal, above the live view."""
    logs.set_up(verbose=verbose, handler=_ConsoleHandler(console))


class _ConsoleHandler(logging.Handler):
    """Prints log lines above the live view."""

    def __init__(self, console: Console):
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        style = {logging.WARNING: "yellow", logging.ERROR: "red"}.get(record.levelno, "dim")
        self._console.print(Text(self.format(record), style=style), soft_wrap=True)


class LiveView:
    """The state of a running service, redrawn in place; `on_change` is the callback for the service."""

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
        self._header = Text("")
        self._live = Live(console=console, get_renderable=lambda: Group(self._header, self._progress), transient=True)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def on_change(self, service: "Service") -> None:
        app = service.app
        jobs = app.store.counts()
        counts = (f"{jobs[state]} {state}" for state in ("queued", "running", "done", "failed") if jobs.get(state))
        self._header = safe_text(" · ".join(counts), style="bold")
        running = {row.job: _running_line(row) for row in app.status.running()}
        self._show(running | _loading_lines(app.status.workers()))

    def _show(self, lines: Mapping[str, _Line]) -> None:
        for key in [key for key in self._tasks if key not in lines]:
            self._progress.remove_task(self._tasks.pop(key))
        for key, (text, amount) in lines.items():
            if key not in self._tasks:
                self._tasks[key] = self._progress.add_task(text, total=None, amount="")
            done, total = (amount.done, amount.total) if amount else (0.0, None)
            self._progress.update(self._tasks[key], completed=done, total=total, amount=amount_of(amount))


def _running_line(row: api.RunningJob) -> _Line:
    return f"{escape(row.file)} [dim]{row.processor}[/dim]", row.progress


def _loading_lines(workers: Iterable[api.WorkerStatus]) -> dict[str, _Line]:
    return {
        f"worker {worker.pid}": (f"[dim]{worker.processor} is loading[/dim]", worker.loading)
        for worker in workers
        if worker.state == "loading"
    }


# ---------------------------------------------------------------------------------------------- formats


def amount_of(amount: api.Amount | None) -> str:
    """Progress in words: "3 of 10 pages"; "" if unknown."""
    if amount is None:
        return ""
    if amount.unit == "bytes":
        total = f" of {amount.total / 1e6:.0f}" if amount.total else ""
        return f"{amount.done / 1e6:.0f}{total} MB"
    total = f" of {amount.total:.0f}" if amount.total else ""
    return f"{amount.done:.0f}{total} {amount.unit}"


def local_time(iso: str | None) -> str:
    """An ISO time of the job log in local time, to the second."""
    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M:%S") if iso else ""


def short_time(iso: str | None) -> str:
    """An ISO time of the job log in local time, to the minute, without the year if that is the current one."""
    if not iso:
        return ""
    moment = datetime.fromisoformat(iso).astimezone()
    return moment.strftime("%m-%d %H:%M" if moment.year == datetime.now().year else "%Y-%m-%d")


def zone_name() -> str:
    """The name of the local time zone, such as "CET"."""
    return datetime.now().astimezone().tzname() or "local"


class OneLine:
    """One line of text that cannot control the terminal. If it is too long, it lacks its end, or with `keep_end` its
    middle: a file's name keeps its beginning and its suffix."""

    def __init__(self, text: str, *, keep_end: bool, style: str = ""):
        self._text, self._keep_end, self._style = " ".join(printable_lines(text).split()), keep_end, style

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        width = cell_len(self._in(options.encoding))
        return Measurement(min(width, _SHORTEST_NAME), min(width, options.max_width))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        mark = "…" if options.encoding.startswith("utf") else "..."
        shown = cut(self._in(options.encoding), options.max_width, mark, keep_end=self._keep_end)
        yield Text(shown, style=self._style, no_wrap=True, overflow="crop")

    def _in(self, encoding: str) -> str:
        """The text, in which escapes replace the characters that the terminal's encoding lacks."""
        return self._text.encode(encoding, "backslashreplace").decode(encoding)


def cut(text: str, width: int, mark: str = "…", *, keep_end: bool) -> str:
    """`text` in at most `width` columns of a terminal; if it is longer, with `mark` instead of its end or middle."""
    room = width - len(mark)
    if cell_len(text) <= width:
        return text
    if room < 2:
        return set_cell_size(text, max(0, width))
    end = ""
    for character in reversed(text) if keep_end else ():
        if cell_len(character + end) > room // 2:
            break
        end = character + end
    return f"{set_cell_size(text, room - cell_len(end)).rstrip()}{mark}{end}"


def span(seconds: float) -> str:
    """A duration, to the second."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m" if hours else f"{minutes}m {rest:02d}s" if minutes else f"{rest}s"


def clock(seconds: float) -> str:
    """A time since the epoch in local time, to the second."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def safe_text(text: str, style: str = "") -> Text:
    """Text that cannot control the terminal, whatever it contains."""
    return Text(printable_lines(text), style=style)
