"""`inboxd run` and `inboxd process`: the daemon in the foreground, and a few files without it."""

import logging
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon import config
from daemon.cli import completion, logs
from daemon.cli.context import DEFAULT_CONFIGS, enter_config_folder, load_settings, own_command, print_json
from daemon.cli.jobs import with_reasons
from daemon.cli.options import OPTION_HELP, ConfigOption, JsonOption, completes
from daemon.core.errors import JobsFailed, UsageError
from daemon.core.times import iso
from daemon.queue.reader import JobLog
from daemon.queue.rows import ShownRow

if TYPE_CHECKING:
    from daemon.cli.terminal import LiveView
    from daemon.server.service import Service

_STANDARD_INPUT = "standard-input"  # its name as a file, and the name of its result


def run(
    config_file: ConfigOption = None,
    drain: Annotated[bool, typer.Option(help="Process everything in the inbox, print a table and exit.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also log the processors' messages.")] = False,
) -> None:
    """Run the daemon in the foreground, as systemd does.

    Ctrl-C lets running jobs finish; a second Ctrl-C stops immediately."""
    from daemon.queue.queries import now_us
    from daemon.server.service import serve

    settings = load_settings(config_file)
    if settings.source is None:
        print(
            f"There is no config.toml, so the defaults apply (`inboxd init` writes one). Put files into "
            f"{settings.inbox}; results appear in {settings.outbox}.",
            file=sys.stderr,
        )
    shown_from = Path.cwd()
    served = enter_config_folder(settings)
    started = now_us()
    if not drain:
        logs.set_up(verbose=verbose)
        serve(served)
        return
    _drain(served, verbose=verbose)
    _summarize(settings, started, shown_from)


def _drain(settings: config.Settings, *, verbose: bool) -> None:
    """Process everything in the inbox; on a terminal, with a live view."""
    from rich.console import Console

    from daemon.cli import terminal
    from daemon.server.service import serve

    console = Console(stderr=True)
    if not console.is_terminal:
        logs.set_up(verbose=verbose)
        serve(settings, drain=True)
        return
    terminal.set_up_logging(console, verbose=verbose)
    with terminal.LiveView(console) as view:
        serve(settings, drain=True, on_change=view.on_change)


def _summarize(settings: config.Settings, started: int, shown_from: Path) -> None:
    """Print the table at the end of a drain: the jobs that ended in this run, and those that are waiting."""
    from daemon.cli import terminal, views

    with JobLog(settings.database) as log:
        rows = [
            row
            for row in reversed(log.jobs())
            if (row["finished_at"] or "9") >= iso(started) or row["state"] == "queued"
        ]
    if not rows:
        print("The inbox contained nothing to process.", file=sys.stderr)
        return
    outbox = f"{os.path.relpath(settings.outbox, shown_from)}/"
    terminal.out().print(views.results_table(rows, outbox=outbox))
    option = "" if settings.source in (None, *DEFAULT_CONFIGS) else f" --config {shlex.quote(str(settings.source))}"
    inboxd = own_command(shown_from)
    _raise_unless_done(rows, f"See `{inboxd} jobs{option}` and `{inboxd} show JOB{option}`.")


def _raise_unless_done(rows: Sequence[ShownRow], fix: str = "") -> None:
    """Raise JobsFailed if some jobs failed or are waiting."""
    failed = sum(row["state"] in ("failed", "cancelled") for row in rows)
    waiting = sum(row["state"] == "queued" for row in rows)
    if failed or waiting:
        parts = [f"{failed} failed" if failed else "", f"{waiting} waiting" if waiting else ""]
        files = "1 file" if len(rows) == 1 else f"{len(rows)} files"
        raise JobsFailed(f"{files}: {', '.join(filter(None, parts))}.", fix)


def process(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="The files to process, folders of files, or - for the standard input. inboxd does not change them."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for the results.")] = Path("results"),
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            "-r",
            help="Use this recipe instead of the one that config.toml selects; from folders, take the files that it "
            "supports.",
            autocompletion=completes(completion.recipes),
        ),
    ] = None,
    option: Annotated[list[str] | None, typer.Option("--option", help=OPTION_HELP)] = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Process files once, without inbox and daemon, and write the results to a folder."""
    from daemon.cli import process_files
    from daemon.cli.submit import read_options

    settings, options = load_settings(config_file), read_options(option or ())
    paths, output, shown_from = [file.absolute() for file in files if str(file) != "-"], output.absolute(), Path.cwd()
    enter_config_folder(settings)
    with tempfile.TemporaryDirectory(prefix="inboxd-") as folder, _LateView() as view:
        paths = process_files.files_in(paths, fitting=process_files.fits(settings, recipe))
        if Path("-") in files:
            paths.append(_standard_input(Path(folder)))
        rows = process_files.process(
            settings, paths, recipe=recipe, options=options, output=output, on_change=view.on_change
        )
    from daemon.cli import terminal, views

    shown: list[ShownRow] = [{**row, "file": _shown_path(Path(row["file"]), shown_from)} for row in rows]
    if as_json:
        print_json([with_reasons(row) for row in shown])
    else:
        outbox = f"{os.path.relpath(output, shown_from)}/"
        terminal.out().print(views.results_table(shown, outbox=outbox))
    _raise_unless_done(rows)


class _LateView:
    """The live view and the log of errors. They import their library only while the first worker starts."""

    def __init__(self) -> None:
        self._view: LiveView | None = None

    def __enter__(self) -> "_LateView":
        self._log_errors_only()
        return self

    def __exit__(self, *_: object) -> None:
        if self._view is not None:
            self._view.__exit__()

    def on_change(self, service: "Service") -> None:
        if self._view is None:
            self._view = self._open()
        self._view.on_change(service)

    def _open(self) -> "LiveView":
        from rich.console import Console

        from daemon.cli import terminal

        console = Console(stderr=True)
        self._log_errors_only(lambda: terminal.set_up_logging(console, verbose=False))
        return terminal.LiveView(console).__enter__()

    def _log_errors_only(self, set_up: Callable[[], None] = lambda: logs.set_up(verbose=False)) -> None:
        set_up()
        logging.getLogger().setLevel(logging.ERROR)


def _standard_input(folder: Path) -> Path:
    """The standard input as a file in `folder`.

    Raises:
        UsageError: it is a terminal.
    """
    if sys.stdin.isatty():
        raise UsageError("The standard input is a terminal.", "Write: inboxd process - < FILE")
    path = folder / _STANDARD_INPUT
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return path


def _shown_path(path: Path, shown_from: Path) -> str:
    return "-" if path.name == _STANDARD_INPUT else os.path.relpath(path, shown_from)
