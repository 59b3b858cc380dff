"""Shared by the commands: reading config.toml, requests to the running daemon, JSON on stdout."""

import dataclasses
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from daemon import config
from daemon.core.errors import ConfigError, InboxdError, UsageError
from daemon.server import api, client

R = TypeVar("R", bound=api.Reply)
C = TypeVar("C", api.Retry, api.Prune)
P = TypeVar("P", api.RetryReply, api.PruneReply)

_USER_CONFIG = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # as `install --user`
DEFAULT_CONFIGS = (Path("config.toml"), Path(_USER_CONFIG, "inboxd/config.toml"), Path("/etc/inboxd/config.toml"))


def own_command(folder: Path) -> str:
    """The command to type for this program: `inboxd`, or its path, as it was typed in `folder`, if PATH leads
    elsewhere, as after `make install`."""
    typed, found = sys.argv[0], shutil.which("inboxd")
    is_script = Path(typed).name == "inboxd"  # not `python -m daemon.cli`
    is_found = found is not None and os.path.exists(folder / typed) and os.path.samefile(found, folder / typed)
    return shlex.quote(typed) if is_script and not is_found else "inboxd"


def find_config(path: Path | None) -> Path | None:
    """`path`, or else the first of the default files that exists; None: there is none."""
    return path or next((each for each in DEFAULT_CONFIGS if os.path.exists(each)), None)


def load_settings(path: Path | None) -> config.Settings:
    """The settings of `path` or of the first default file that exists; without one, the defaults.

    Raises:
        ConfigError: `path` does not exist, or the file is wrong.
    """
    return config.load(find_config(path))


def load_settings_for_viewing(path: Path | None) -> config.Settings:
    """The same for a command that only reads the job log or asks the daemon: a mistake in config.toml, which the
    daemon may not have read yet, must not hide the daemon's state."""
    try:
        return load_settings(path)
    except ConfigError as error:
        found = find_config(path)
        if found is None:
            raise
        settings = config.load_paths(found)
        print(f"inboxd: {error.what} The running daemon keeps its previous settings.", file=sys.stderr)
        return settings


def enter_config_folder(settings: config.Settings) -> config.Settings:
    """Make the folder of config.toml the current one: relative paths in it, such as a model's, start there.

    The result names config.toml by its absolute path, because `reload` reads it again from this folder."""
    if settings.source is None:
        return settings
    absolute = dataclasses.replace(settings, source=settings.source.absolute())
    os.chdir(settings.source.resolve().parent)
    return absolute


def ask(
    settings: config.Settings, command: api.Command, reply: type[R], *, refusal: type[InboxdError] = UsageError
) -> R:
    """Send a command to the running daemon and return its reply.

    Raises:
        NotRunning: no daemon replies.
        InboxdError: the daemon refused the command; of the type `refusal`, with the daemon's exit code.
    """
    try:
        return client.ask(settings.socket, command, reply)
    except client.Refused as refused:
        error = refusal(refused.what, refused.fix)
        error.exit_code = error.exit_code if refused.code is None else refused.code
        raise error from refused


def ask_all(settings: config.Settings, command: C, reply: type[P]) -> Iterator[P]:
    """Send a long command, which the daemon carries out in portions, until nothing is left; yield the replies.

    Raises:
        NotRunning, InboxdError: as `ask`.
    """
    rest: int | None = None
    while True:
        answer = ask(settings, command.model_copy(update={"rest": rest}), reply)
        yield answer
        if (rest := answer.rest) is None:
            return


def print_json(value: object) -> None:
    """Print `value` as JSON; in ASCII, so that no file name or text can control the terminal."""
    print(json.dumps(value, indent=2, default=str))
