"""The man page inboxd(1), generated from the help of the commands; `make manual` writes it to docs/inboxd.1."""

import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

import typer

from daemon import __version__
from daemon.cli import main
from daemon.core import errors

_FILES = (
    (
        "./config.toml, ~/.config/inboxd/config.toml, /etc/inboxd/config.toml",
        "the settings: inboxd uses the first of these files that exists",
    ),
    ("inbox/, outbox/, state/", "set by [paths] in config.toml; in /var/lib/inboxd for the installed service"),
    ("outbox/failed/…/error.txt", "why a file failed, beside the unchanged original"),
    ("state/jobs.db", "the job log: an SQLite database to query (see the view job_log)"),
    ("state/backups/", "nightly backups of the job log"),
    ("state/layouts/", "remembered layouts of bank statements"),
    ("state/inboxd.sock", "the socket through which these commands reach the daemon"),
)
_VARIABLES = (("INBOXD_CONFIG", "the config.toml to use, like --config"),)
_STATUS = (
    (0, "success"),
    (
        1,
        "some jobs failed, are waiting, or could not be retried or cancelled; or verify or doctor found errors",
    ),
    (errors.UsageError.exit_code, "usage error: an unknown command, option, job, file or name"),
    (
        errors.StoreError.exit_code,
        "the job log is damaged or has another version; models verify: a model is damaged",
    ),
    (os.EX_NOINPUT, "models: the named model is not stored here"),
    (
        errors.NotRunning.exit_code,
        "the command needs the daemon, but none is running; models: no source is reachable",
    ),
    (os.EX_SOFTWARE, "internal error in inboxd; the log has the traceback"),
    (os.EX_CANTCREAT, "models: the disk is full, or the folder of the models is not writable"),
    (errors.StorageError.exit_code, "a disk is full, read-only, failing or unavailable, or the job log is locked"),
    (errors.AlreadyRunning.exit_code, "another daemon uses these folders"),
    (errors.ConfigError.exit_code, "config.toml is missing or invalid, or inboxd cannot use the folders"),
)
_DESCRIPTION = (
    "inboxd watches folders. Once a file in an inbox folder is complete, the daemon detects its type by its content "
    "and processes it with the recipe that config.toml selects for its folder and type. A vision-language model or OCR "
    "reads images and PDF pages; Whisper transcribes audio and video. The complete result appears as a folder in the "
    "outbox, and each job is a row in the job log."
)
_SEE_ALSO = "README.md and docs/, in the clone, or in the folder daemon/resources of the installed package"


def text() -> str:
    """The page in man(7) format."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    command = typer.main.get_command(main.app)
    yield f'.TH INBOXD 1 "" "inboxd {__version__}" "User Commands"'
    what = _plain(command.help)
    yield from (".nh", ".ad l", ".SH NAME", _roff(f"inboxd - {what[:1].lower()}{what[1:]}"))
    yield from (".SH SYNOPSIS", ".B inboxd", r"\fICOMMAND\fR [\fIOPTION\fR]... [\fIARGUMENT\fR]...")
    yield from (".SH DESCRIPTION", _roff(_DESCRIPTION))
    yield ".SH COMMANDS"
    for name, each in _commands(command):
        yield from _of_command(name, each)
    yield from _table("FILES", _FILES)
    yield from _table("ENVIRONMENT", _VARIABLES)
    yield from _table("EXIT STATUS", ((str(code), what) for code, what in _STATUS))
    yield from (".SH SEE ALSO", _roff(_SEE_ALSO), ".br", r"\fBsystemctl\fR(1), \fBjournalctl\fR(1)")


def _commands(command: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """All commands by full name; those in groups as "config check"."""
    for name, each in command.commands.items():
        if hasattr(each, "commands"):
            yield from _commands(each, f"{above}{name} ")
        else:
            yield f"{above}{name}", each


def _of_command(name: str, command: Any) -> Iterator[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
    words = [_argument(each) for each in arguments]
    yield from (".SS " + _roff(" ".join(["inboxd", name, *words])), _roff(_plain(command.help)))
    for each in (*arguments, *options):
        if each.help:
            yield from (".TP", _flags(each), _roff(_plain(each.help)))


def _argument(argument: Any) -> str:
    name = (argument.metavar or argument.name).upper()
    name += "..." if argument.nargs == -1 and not name.endswith(("...", "…")) else ""
    return name if argument.required else f"[{name}]"


def _flags(parameter: Any) -> str:
    """The flags in man(7) format: "--config, -c FILE"."""
    if parameter.param_type_name == "argument":
        return rf"\fI{_roff(_argument(parameter))}\fR"
    names = ", ".join(rf"\fB{_roff(name)}\fR" for name in (*parameter.opts, *parameter.secondary_opts))
    name = parameter.name.removeprefix("config_").removeprefix("as_")
    return names if parameter.is_flag else rf"{names} \fI{_roff(name.upper())}\fR"


def _table(title: str, rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield f".SH {title}"
    for name, what in rows:
        yield from (".TP", rf"\fB{_roff(name)}\fR", _roff(what))


def _plain(help_text: str | None) -> str:
    return " ".join((help_text or "").replace("`", "").split())


def _roff(words: str) -> str:
    """Text for man(7): backslashes, hyphens, and a dot or a quote at the beginning of a line are escaped."""
    escaped = words.replace("\\", r"\e").replace("-", r"\-").replace("…", "...")
    return re.sub(r"^([.'])", r"\\&\1", escaped)


if __name__ == "__main__":
    print(text(), end="")
