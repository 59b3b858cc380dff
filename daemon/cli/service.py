"""Commands about the daemon and its systemd service: status, watch, pause, resume, reload, install, uninstall."""

import contextlib
import os
import signal
import sys
from typing import Annotated

import typer

from daemon import config
from daemon.cli.context import ask, load_settings, load_settings_for_viewing, print_json
from daemon.cli.jobs import to_microseconds
from daemon.cli.options import ConfigOption, JsonOption, UserOption
from daemon.config.recipes import describe_recipes
from daemon.config.toml import literal
from daemon.core.errors import ConfigError, InboxdError, NotRunning, UsageError
from daemon.core.times import iso
from daemon.queue.reader import JobLog
from daemon.server import api

_RECENT_DAYS = 7


def status(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the queue, the running jobs, and the reason for each job or file that waits."""
    settings = load_settings_for_viewing(config_file)
    try:
        reply = ask(settings, api.Status(), api.StatusReply)
    except NotRunning:
        _print_recorded_counts(settings)
        raise
    if as_json:
        print_json(reply.to_wire())
        return
    from daemon.cli import terminal, views

    terminal.out().print(views.status_view(reply))
    with contextlib.suppress(InboxdError), JobLog(settings.database) as log:
        for line in views.attention_lines(*log.attention(iso(to_microseconds(f"{_RECENT_DAYS}d"))), days=_RECENT_DAYS):
            print(line)


def _print_recorded_counts(settings: config.Settings) -> None:
    """Print the counts in the job log, for when no daemon is running."""
    with contextlib.suppress(InboxdError), JobLog(settings.database) as log:
        counts = ", ".join(f"{count} {state}" for state, count in log.counts().items())
        print(f"Jobs in the job log: {counts or 'none'}.", file=sys.stderr)


def watch(
    seconds: Annotated[
        float | None, typer.Option(help="Stop after this many seconds (default: run until q or Ctrl-C).")
    ] = None,
    config_file: ConfigOption = None,
) -> None:
    """Show live what the daemon is doing: queue, workers, progress, results.

    If the output is a pipe, print one line for each event."""
    from daemon.cli import watch as live

    with contextlib.suppress(KeyboardInterrupt):
        live.watch(load_settings_for_viewing(config_file), seconds=seconds)


def pause(
    reason: Annotated[str, typer.Argument(help="The reason that `inboxd status` shows.")] = "",
    now: Annotated[bool, typer.Option("--now", help="Also put running jobs back in the queue.")] = False,
    config_file: ConfigOption = None,
) -> None:
    """Stop starting jobs and free the models' memory.

    The daemon still queues new files. The pause lasts until `inboxd resume`, even if the daemon restarts."""
    command = api.Pause(reason=reason, now=now)
    running = ask(load_settings_for_viewing(config_file), command, api.PauseReply).running
    print(f"Paused; {running} running job{'' if running == 1 else 's'} will finish." if running else "Paused.")


def resume(config_file: ConfigOption = None) -> None:
    """Start jobs again after `inboxd pause`."""
    closed = ask(load_settings_for_viewing(config_file), api.Resume(), api.ResumeReply).closed
    print(f"Resumed. {closed or ''}".rstrip())


def unload(config_file: ConfigOption = None) -> None:
    """Free the memory of the models that have no job now.

    The daemon loads a model again when the next file needs it. To keep the memory free, use `inboxd pause`."""
    reply = ask(load_settings_for_viewing(config_file), api.Unload(), api.UnloadReply)
    print(f"Unloaded: {', '.join(reply.ended)}." if reply.ended else "No model is idle.")
    if reply.busy:
        print(f"Still at work: {', '.join(reply.busy)}. To stop them as well: inboxd pause --now")


def cluster(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the nodes of the Ray cluster, their devices, and the workers that run there."""
    reply = ask(load_settings_for_viewing(config_file), api.Status(), api.StatusReply)
    if as_json:
        print_json(reply.cluster.to_wire() if reply.cluster is not None else {})
        return
    if reply.cluster is None:
        print("No cluster is configured. To use one, set [cluster] address in config.toml: see docs/scaling.md.")
        return
    from daemon.cli import terminal, views

    terminal.out().print(views.cluster_view(reply))


def recipes(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the recipes: what each is for, which folders use it, and whether it can run now.

    With --json, also the options of each recipe and their JSON Schema."""
    found = describe_recipes(load_settings(config_file))
    if as_json:
        print_json(found)
        return
    from daemon.cli import terminal, views

    terminal.out().print(views.recipes_view(found))


def reload(config_file: ConfigOption = None) -> None:
    """Apply config.toml to everything that starts from now on.

    If config.toml is invalid, the daemon keeps its previous settings."""
    try:
        settings = load_settings(config_file)
    except ConfigError:
        if daemon := os.environ.get("MAINPID"):  # ExecReload=: the daemon refuses it too, and shows why in its status
            os.kill(int(daemon), signal.SIGHUP)
        raise
    changed = ask(settings, api.Reload(), api.ReloadReply, refusal=ConfigError).changed
    print("\n".join(["Changed settings:", *(f"  {line}" for line in changed)]) if changed else "No settings changed.")


def install(
    user: UserOption = False,
    group: Annotated[
        str | None,
        typer.Option(
            help="The group whose members may drop files and read results (default: that of the service, or inboxd)."
        ),
    ] = None,
    with_web: Annotated[bool, typer.Option("--web", help="Also install the console and the HTTP API.")] = False,
) -> None:
    """Install or upgrade the systemd service, start it, and show where everything is."""
    from daemon.install import install as service
    from daemon.install import service_paths

    paths = service_paths.user_paths(os.environ) if user else service_paths.system_paths()
    service.install(paths, group=group, report=print, with_web=with_web)
    service.write_help_files(paths, completion_scripts(), report=print)


def completion(
    shell: Annotated[
        str | None, typer.Argument(help="bash, zsh or fish (default: the shell that SHELL names).")
    ] = None,
) -> None:
    """Print the script that completes inboxd's commands in a shell. `inboxd install` installs it.

    For bash: source <(inboxd completion bash)"""
    name = shell or os.path.basename(os.environ.get("SHELL", ""))
    scripts = completion_scripts()
    if name not in scripts:
        raise UsageError(f"There is no completion for {literal(name)}.", f"Known shells: {', '.join(scripts)}.")
    print(scripts[name])


def completion_scripts() -> dict[str, str]:
    """Return the completion scripts, by shell."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # typer imports it there

    variable = "_INBOXD_COMPLETE"
    return {
        shell: get_completion_script(prog_name="inboxd", complete_var=variable, shell=shell)
        for shell in ("bash", "zsh", "fish")
    }


def uninstall(user: UserOption = False) -> None:
    """Remove the systemd service. Files, settings and the job log remain."""
    from daemon.install import install as service
    from daemon.install import service_paths

    service.uninstall(service_paths.user_paths(os.environ) if user else service_paths.system_paths(), report=print)
