"""`inboxd init`: a config.toml to start with. Changes nothing that exists."""

from pathlib import Path
from typing import Annotated

import typer

from daemon import config
from daemon.core.errors import StorageError, UsageError
from daemon.core.names import printable


def init(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="Write FOLDER/config.toml, with the inbox, the outbox and the state beside it. Default: "
            "~/.config/inboxd/config.toml, with these in ~/inboxd."
        ),
    ] = None,
) -> None:
    """Write a config.toml with every setting, its default and an explanation, and create the folders."""
    from daemon.install.install import config_text
    from daemon.install.service_paths import user_paths

    target = folder / "config.toml" if folder else user_paths().config
    text = config_text(None if folder else config.default_home())
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
        settings = config.load(target)
        for each in (settings.inbox, settings.outbox, settings.state):
            each.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UsageError(f"{error.filename} already exists.", "Edit it, or name another folder.") from error
    except OSError as error:
        raise StorageError(f"Cannot write {error.filename}: {error.strerror}.", "Name another folder.") from error
    option = f" --config {target}" if folder and folder.resolve() != Path.cwd() else ""
    print(f"settings    {printable(str(target))}")
    print(f"inbox       {printable(str(settings.inbox))}")
    print(f"outbox      {printable(str(settings.outbox))}")
    print(f"Next: edit the settings, then run `inboxd run{option}`, or `inboxd install --user` for a service.")
