"""`inboxd models`: runs the program that manages weights, as a child: fetching may need torch."""

import contextlib
import os
import sys

import typer

from daemon.cli.context import load_settings
from daemon.cli.options import ConfigOption
from daemon.config.settings import Settings
from daemon.core.errors import NotRunning
from daemon.server import control_socket

_PROBE_SECONDS = 5.0


def models(context: typer.Context, config_file: ConfigOption = None) -> None:
    """Manage the weights of models: list, fetch NAME, convert NAME FROM (weights of faster-whisper), verify [NAME],
    remove NAME. With a cluster, the list includes its nodes, and --nodes repeats a command on them."""
    from daemon.workers.launcher import run_module

    settings = load_settings(config_file)
    arguments = context.args if set(context.args) - {"--json"} else ["list", *context.args]
    os.environ["PYTHONIOENCODING"] = f"{sys.stdout.encoding}:backslashreplace"  # same as for our own output
    code = run_module("processors.models_cli", ["--models", str(settings.models), *_cluster(settings), *arguments])
    if code == 0 and "fetch" in arguments:
        with contextlib.suppress(NotRunning):
            control_socket.ask(settings.socket, "probe", timeout=_PROBE_SECONDS)  # jobs may be waiting for these
    raise typer.Exit(code)


def _cluster(settings: Settings) -> list[str]:
    """The arguments that name the cluster; none without one."""
    table = settings.cluster
    if not table.address:
        return []
    named = {"cluster": table.address, "token-file": settings.token_file, "node-models": table.models}
    return [f"--{name}={value}" for name, value in named.items() if value is not None]
