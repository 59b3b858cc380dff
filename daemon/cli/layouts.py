"""`inboxd layouts`: the remembered layouts of statements. They are files in the state folder; no daemon is needed."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from daemon.cli.context import load_settings, print_json
from daemon.cli.options import ConfigOption, JsonOption, LayoutArgument, LayoutArguments
from daemon.cli.plain_help import PlainCommand, PlainGroup
from daemon.core.errors import StorageError, UsageError
from daemon.core.names import printable

if TYPE_CHECKING:
    from processors.statements.layouts.record import RememberedLayout
    from processors.statements.layouts.store import Damaged, LayoutStore

app = typer.Typer(
    cls=PlainGroup,
    help="List, show and forget the remembered layouts of bank statements.",
    invoke_without_command=True,
)


@app.callback()
def _default(context: typer.Context, config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    if context.invoked_subcommand is None:
        list_layouts(config_file, as_json)
        return
    for name in ("config_file", "as_json"):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UsageError("An option comes before the subcommand.", f"Write it after {context.invoked_subcommand}.")


@app.command("list", cls=PlainCommand)
def list_layouts(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the remembered layouts of bank statements, with their banks and how many statements confirmed each.

    `inboxd layouts` does the same."""
    layouts, damaged = _load(_store(config_file))
    if as_json:
        print_json([each.model_dump(mode="json") for each in layouts])
    else:
        from daemon.cli import terminal, views

        terminal.out().print(views.layouts_table(layouts) if layouts else "No layouts are remembered.")
    for file in damaged:
        name = printable(file.name)
        print(f"inboxd: ignored the damaged layout {name}: {file.why}.", file=sys.stderr)
        print(f"To remove it: inboxd layouts forget {name}", file=sys.stderr)


def show(name: LayoutArgument, config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show one layout: its bank, its headings, and where its columns are."""
    layouts, damaged = _load(_store(config_file))
    layout = next((each for each in layouts if each.name == name), None)
    if layout is None:
        raise _unknown(name, next((f"its file is damaged: {each.why}" for each in damaged if each.name == name), ""))
    if as_json:
        print_json(layout.model_dump(mode="json"))
        return
    from daemon.cli import terminal, views

    terminal.out().print(views.layout_view(layout))


def forget(names: LayoutArguments, config_file: ConfigOption = None) -> None:
    """Forget layouts. inboxd remembers a layout again when the balances of a new statement confirm it."""
    store = _store(config_file)
    for name in names:
        try:
            found = store.forget(name)
        except OSError as error:
            raise _unusable(store, error) from error
        if not found:
            raise _unknown(name)
        print(f"Forgot {printable(name)}.")


app.command(cls=PlainCommand)(show)
app.command(cls=PlainCommand)(forget)


def _store(config_file: Path | None) -> "LayoutStore":
    from processors.statements.layouts.store import LayoutStore

    return LayoutStore(load_settings(config_file).layouts)


def _load(store: "LayoutStore") -> "tuple[Sequence[RememberedLayout], Sequence[Damaged]]":
    try:
        return store.load()
    except OSError as error:
        raise _unusable(store, error) from error


def _unusable(store: "LayoutStore", error: OSError) -> StorageError:
    reason = os.strerror(error.errno or 0)
    return StorageError(f"Cannot use {store.folder}: {reason}.", "Run the command as the user that runs the daemon.")


def _unknown(name: str, why: str = "") -> UsageError:
    what = f"No layout {printable(name)} is remembered{why and f', as {why}'}."
    return UsageError(what, "List the layouts with `inboxd layouts`.")
