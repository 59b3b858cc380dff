"""`inboxd models`: runs the program that manages weights, as a child: fetching may need torch."""

import contextlib
import os
import sys

import typer

from daemon.cli.context import load_settings
from daemon.cli.options import ConfigOption
from daemon.core.errors import NotRunning
from daemon.server import control_socket

_PROBE_SECONDS = 5.0


def models(context: typer.Context, config_file: ConfigOption = None) -> None:
    """Manage the weights of models: list, fetch NAME, convert NAME FROM (weights of faster-whisper), verify [NAME],
    remove NAME."""
    from daemon.workers.launcher import run_module

    settings = load_settings(config_file)
    arguments = context.args if set(context.args) - {"--json"} else ["list", *context.args]
    os.environ["PYTHONIOENCODING"] = f"{sys.stdout.encoding}:backslashreplace"  # same as for our own output
    code = run_module("processors.models_cli", ["--models", str(settings.models), *arguments])
    if code == 0 and "fetch" in arguments:
        with contextlib.suppress(NotRunning):
            control_socket.ask(settings.socket, "probe", timeout=_PROBE_SECONDS)  # jobs may be waiting for these
    raise typer.Exit(code)
