"""The `inboxd` command: its subcommands, its exit codes, its encoding.

Commands read the job log themselves, read-only. A command that changes something sends a request to the running daemon.
Exit codes: 0 success; 1 some jobs failed or are waiting, or a check found errors; `daemon.core.errors` has the others.
"""

import codecs
import gc
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import typer

from daemon import __version__
from daemon.cli import correct, init, jobs, layouts, maintenance, models, run, search, service, submit, web
from daemon.cli.plain_help import PlainCommand, PlainGroup
from daemon.core.errors import InboxdError

app = typer.Typer(
    cls=PlainGroup,
    help="Drop a file in an inbox folder; get its result in the outbox.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # Rich's own markup would swallow [retention] and other names of tables
)
config_app = typer.Typer(cls=PlainGroup, help="Check and show the settings.", no_args_is_help=True)

_CLICK_USAGE = 2
_GROUPS: Mapping[str, Sequence[Callable[..., None]]] = {  # the sections of `inboxd --help`, in order
    "Work": (run.run, run.process, submit.submit, web.web),
    "Look": (
        service.status,
        jobs.jobs,
        jobs.show,
        search.search,
        service.watch,
        service.recipes,
        service.cluster,
        maintenance.metrics,
    ),
    "Steer": (
        *(jobs.retry, jobs.cancel, jobs.reviewed, correct.correct),
        *(service.pause, service.resume, service.unload, service.reload),
    ),
    "Maintain": (maintenance.doctor, maintenance.verify, maintenance.backup, maintenance.prune),
    "Install": (init.init, service.install, service.uninstall, service.completion),
}

for _group, _commands in _GROUPS.items():
    for _command in _commands:
        app.command(cls=PlainCommand, rich_help_panel=_group)(_command)
# the options after `models` are those of another program, which prints its own help
app.command(
    cls=PlainCommand,
    rich_help_panel="Maintain",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)(models.models)
app.add_typer(layouts.app, name="layouts", rich_help_panel="Maintain")
app.add_typer(config_app, name="config", rich_help_panel="Maintain")
config_app.command("check", cls=PlainCommand)(maintenance.check_config)
config_app.command("show", cls=PlainCommand)(maintenance.show_config)


@app.command(cls=PlainCommand, rich_help_panel="Install")
def version() -> None:
    """Show the version."""
    print(f"inboxd {__version__}")


def _print_version(requested: bool) -> None:
    if requested:
        version()
        raise typer.Exit


@app.callback()
def _before_a_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None: ...


def main() -> None:
    """Run a command; report an expected error in words, with its exit code."""
    _use_utf8_for_names()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # escape what the encoding of the terminal or pipe lacks
    try:
        app(standalone_mode=True)
    except InboxdError as error:
        print(f"inboxd: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except SystemExit as ended:  # Click exits with 2 on a usage error
        raise SystemExit(os.EX_USAGE if ended.code == _CLICK_USAGE else ended.code) from None
    except BrokenPipeError:  # `inboxd jobs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    finally:
        gc.freeze()  # otherwise the interpreter searches all modules for cycles before it ends, which takes 0.1 s


def _use_utf8_for_names() -> None:
    """Re-execute in Python's UTF-8 mode if the locale has another encoding: config.toml, the job log and the names of
    results are UTF-8 and could not be accessed otherwise. Output to the terminal keeps the terminal's encoding."""
    if sys.flags.utf8_mode or codecs.lookup(sys.getfilesystemencoding()).name == "utf-8":
        return
    for_workers_too = {"PYTHONUTF8": "1"}
    for_the_terminal = {"PYTHONIOENCODING": os.environ.get("PYTHONIOENCODING") or sys.stdout.encoding}
    environment = {**os.environ, **for_workers_too, **for_the_terminal}
    os.execve(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]], environment)
