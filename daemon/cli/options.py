"""Options and arguments that several commands share, and how the shell completes them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli import completion
from daemon.cli.context import find_config

_UNFINISHED = ("queued", "running")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="INBOXD_CONFIG",
        help="The config.toml to use (default: the first found in this folder, ~/.config/inboxd and /etc/inboxd).",
    ),
]
OPTION_HELP = 'An option of the recipe, such as language="de". May be repeated.'
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
UserOption = Annotated[bool, typer.Option("--user", help="Install or remove a user service, without root.")]


def completes(look: Callable[[Path | None], completion.Completions]) -> Callable[..., completion.Completions]:
    """Completion by what `look` finds for the config.toml that the command line names."""

    def complete(ctx: typer.Context, incomplete: str) -> completion.Completions:
        named = ctx.params.get("config_file") or os.environ.get("INBOXD_CONFIG")
        source = find_config(Path(named) if named else None)
        return [found for found in look(source) if found[0].startswith(incomplete)]

    return complete


JobArgument = Annotated[
    str,
    typer.Argument(help="The first characters of the job's ID.", autocompletion=completes(completion.jobs)),
]
LayoutArgument = Annotated[str, typer.Argument(help="The layout's name.", autocompletion=completes(completion.layouts))]
LayoutArguments = Annotated[
    list[str],
    typer.Argument(metavar="NAME...", help="The layouts' names.", autocompletion=completes(completion.layouts)),
]
UnfinishedJobArgument = Annotated[
    str,
    typer.Argument(
        help="The first characters of the job's ID.",
        autocompletion=completes(lambda source: completion.jobs(source, _UNFINISHED)),
    ),
]
