"""The `inboxd` command. Reads the job log itself, read-only; whatever changes something asks the running daemon.

Exit codes: 0 all well; 1 some jobs failed or wait, or `verify` found something; the others are `daemon.core.errors`'.
"""

import codecs
import contextlib
import dataclasses
import io
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon import __version__, config
from daemon.cli import completion
from daemon.core.errors import ConfigError, InboxdError, JobsFailed, NotRunning, StorageError, StoreError, UsageError
from daemon.core.names import printable, printable_lines
from daemon.queue.reader import JobLog
from daemon.server import control_socket

app = typer.Typer(
    help="Drop a file in an inbox folder; get its result in the outbox.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="The settings.", no_args_is_help=True)
app.add_typer(config_app, name="config")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="INBOXD_CONFIG",
        help="config.toml; default: in this folder, ~/.config/inboxd, /etc/inboxd.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="For scripts: JSON on stdout.")]
_OF_THE_USER = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # of `install --user`
_PLACES = (Path("config.toml"), Path(_OF_THE_USER, "inboxd/config.toml"), Path("/etc/inboxd/config.toml"))


def _completes(look: Callable[[Path | None], completion.Completions]) -> Callable[..., completion.Completions]:
    """Completion for a shell, by what `look` finds for the config.toml that the command line names."""

    def complete(ctx: typer.Context, incomplete: str) -> completion.Completions:
        named = ctx.params.get("config_file") or os.environ.get("INBOXD_CONFIG")
        source = Path(named) if named else next((place for place in _PLACES if place.exists()), None)
        return [found for found in look(source) if found[0].startswith(incomplete)]

    return complete


_CLICK_USAGE = 2
_ENDED_BADLY, _UNFINISHED = ("failed", "cancelled", "queued"), ("queued", "running")
AnyJob = Annotated[str, typer.Argument(help="The first digits of its id.", autocompletion=_completes(completion.jobs))]
UnfinishedJob = Annotated[
    str,
    typer.Argument(
        help="The first digits of its id.",
        autocompletion=_completes(lambda source: completion.jobs(source, _UNFINISHED)),
    ),
]


def _show_version(asked: bool) -> None:
    if asked:
        print(f"inboxd {__version__}")
        raise typer.Exit


@app.callback()
def _before_a_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="The version, and nothing else.")
    ] = False,
) -> None: ...


def main() -> None:
    """Run a command; an expected error is told in words, with its exit code."""
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


def _use_utf8_for_names() -> None:
    """Re-execute in Python's UTF-8 mode if the locale has another encoding: config.toml, the job log and the names of
    results are UTF-8 and could not be accessed otherwise. Output to the terminal keeps the terminal's encoding."""
    if sys.flags.utf8_mode or codecs.lookup(sys.getfilesystemencoding()).name == "utf-8":
        return
    for_workers_too = {"PYTHONUTF8": "1"}
    for_the_terminal = {"PYTHONIOENCODING": os.environ.get("PYTHONIOENCODING") or sys.stdout.encoding}
    environment = {**os.environ, **for_workers_too, **for_the_terminal}
    os.execve(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]], environment)


def _settings(path: Path | None) -> config.Settings:
    return config.load(_source(path))


def _settings_to_look(path: Path | None) -> config.Settings:
    """For commands that only look at the job log or ask the daemon: a mistake in config.toml, which it may not even
    have read yet, does not keep a person from seeing what is going on."""
    try:
        return _settings(path)
    except ConfigError as error:
        settings = config.load_paths(_source(path))
        print(f"inboxd: {error.what} A daemon that runs goes by what it said before.", file=sys.stderr)
        return settings


def _source(path: Path | None) -> Path:
    found = path or next((place for place in _PLACES if place.exists()), None)
    if found is None:
        raise UsageError(
            "There is no config.toml in this folder, nor in ~/.config/inboxd or /etc/inboxd.",
            "Name it with --config FILE or INBOXD_CONFIG; an empty file is a valid one.",
        )
    return found


def _enter_home(settings: config.Settings) -> None:
    """What config.toml names relatively (a model's folder, say) starts at its own folder."""
    if settings.source:
        os.chdir(settings.source.resolve().parent)


def _ask(
    settings: config.Settings, command: str, refusal: type[InboxdError] = UsageError, **arguments: Any
) -> dict[str, Any]:
    """The running daemon's answer; what it refuses is raised as `refusal`."""
    answer = control_socket.ask(settings.socket, command, **arguments)
    if not answer.pop("ok"):
        error = refusal(answer["error"], answer.get("fix", ""))
        error.exit_code = answer.get("exit_code", error.exit_code)
        raise error
    return answer


# ---------------------------------------------------------------------------------------------- running


@app.command()
def run(
    config_file: ConfigOption = None,
    drain: Annotated[bool, typer.Option(help="End when everything in the inbox is done, and show a table.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what the processors say, too.")] = False,
) -> None:
    """Run the daemon in the foreground (systemd does the same). Ctrl-C: running jobs may finish; twice: at once."""
    from rich.console import Console

    from daemon.cli import terminal
    from daemon.queue.store import now_us
    from daemon.server.service import serve

    settings = _settings(config_file)
    shown_from = Path.cwd()
    _enter_home(settings)
    console = Console(stderr=True)
    started = now_us()
    if drain and console.is_terminal:
        terminal.set_up_logging(verbose=verbose, console=console)
        with terminal.LiveView(console) as view:
            serve(settings, drain=True, on_change=view.on_change)
    else:
        terminal.set_up_logging(verbose=verbose)
        serve(settings, drain=drain)
    if drain:
        _summarize(settings, started, shown_from)


def _summarize(settings: config.Settings, started: int, shown_from: Path) -> None:
    """The table at the end of a drain: what was worked on in this run, and what waits."""
    from daemon.cli import terminal, views
    from daemon.publishing import result_json

    with JobLog(settings.database) as log:
        rows = [
            row
            for row in reversed(log.jobs())
            if (row["finished_at"] or "9") >= result_json.iso(started) or row["state"] == "queued"
        ]
    if not rows:
        print("There was nothing in the inbox.", file=sys.stderr)
        return
    outbox = f"{os.path.relpath(settings.outbox, shown_from)}/"
    terminal.out().print(views.jobs_table(rows, outbox=outbox, wide=True))
    chosen = "" if settings.source in (None, *_PLACES) else f" --config {shlex.quote(str(settings.source))}"
    _raise_for(rows, f"See `inboxd jobs{chosen}` and `inboxd show JOB{chosen}`.")


def _raise_for(rows: list[dict[str, Any]], see: str = "") -> None:
    failed = sum(row["state"] in ("failed", "cancelled") for row in rows)
    waiting = sum(row["state"] == "queued" for row in rows)
    if failed or waiting:
        parts = [f"{failed} failed" if failed else "", f"{waiting} waiting" if waiting else ""]
        files = "1 file" if len(rows) == 1 else f"{len(rows)} files"
        raise JobsFailed(f"{files}: {', '.join(filter(None, parts))}.", see)


@app.command()
def process(
    files: Annotated[list[Path], typer.Argument(help="The files; they are left as they are.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the result folders go.")] = Path("results"),
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe", "-r", help="Instead of what config.toml binds.", autocompletion=_completes(completion.recipes)
        ),
    ] = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Process files once, without inbox and daemon; results go to a folder."""
    import logging

    from rich.console import Console

    from daemon.cli import oneshot, terminal, views

    settings = _settings(config_file)
    console = Console(stderr=True)
    terminal.set_up_logging(verbose=False, console=console)
    logging.getLogger().setLevel(logging.ERROR)
    files, output, shown_from = [file.absolute() for file in files], output.absolute(), Path.cwd()
    _enter_home(settings)
    with terminal.LiveView(console) as view:
        rows = oneshot.process(settings, files, recipe=recipe, output=output, on_change=view.on_change)
    shown = [{**row, "file": os.path.relpath(row["file"], shown_from)} for row in rows]
    if as_json:
        _print_json(shown)
    else:
        outbox = f"{os.path.relpath(output, shown_from)}/"
        terminal.out().print(views.jobs_table(shown, outbox=outbox, wide=True))
    _raise_for(rows)


# ---------------------------------------------------------------------------------------------- looking


@app.command()
def status(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """What the daemon does now: queue, running files, what waits and why."""
    settings = _settings_to_look(config_file)
    try:
        answer = _ask(settings, "status")
    except NotRunning:
        _tell_last_counts(settings)
        raise
    if as_json:
        _print_json(answer)
        return
    from daemon.cli import terminal, views

    terminal.out().print(views.status_view(answer))


def _tell_last_counts(settings: config.Settings) -> None:
    """What the job log says while no daemon runs."""
    with contextlib.suppress(InboxdError), JobLog(settings.database) as log:
        counts = ", ".join(f"{count} {state}" for state, count in log.counts().items())
        print(f"The job log says: {counts or 'no jobs'}.", file=sys.stderr)


@app.command()
def jobs(
    config_file: ConfigOption = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            help="queued, running, done, failed, cancelled; repeatable.",
            autocompletion=_completes(lambda _: completion.states()),
        ),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Only of this recipe.", autocompletion=_completes(completion.recipes))
    ] = None,
    folder: Annotated[
        str | None,
        typer.Option(
            help="Only from this inbox folder and those in it.", autocompletion=_completes(completion.folders)
        ),
    ] = None,
    file: Annotated[str | None, typer.Option(help="Only files with this in their name.")] = None,
    review: Annotated[bool, typer.Option(help="Only results that a person should look at.")] = False,
    since: Annotated[str | None, typer.Option(help="Received on or after this ISO date or time (UTC).")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="At most so many; 0: all.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """The job log, the newest first."""
    settings = _settings_to_look(config_file)
    with JobLog(settings.database) as log:
        rows = log.jobs(
            states=state or (), recipe=recipe, folder=folder, file=file, review=review, since=since, limit=limit
        )
    if as_json:
        _print_json(rows)
        return
    from daemon.cli import terminal, views

    terminal.out().print(views.jobs_table(rows) if rows else "No such jobs.")


@app.command()
def show(job: AnyJob, config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """All about one job: its row, attempts and events."""
    settings = _settings_to_look(config_file)
    with JobLog(settings.database) as log:
        row = log.find(job)
        attempts, events = log.attempts(row["id"]), log.events(row["id"])
    if as_json:
        _print_json({**row, "attempts_made": attempts, "events": events})
        return
    from daemon.cli import terminal, views

    terminal.out().print(views.job_view(row, attempts, events, outbox=str(settings.outbox)))


@app.command()
def verify(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Prove that every drop is in exactly one place, and whole."""
    from daemon.files.layout import Layout
    from daemon.recovery.verify import Verification

    settings = _settings(config_file)
    try:
        control_socket.ask(settings.socket, "status", timeout=2)
        is_running = True
    except NotRunning:
        is_running = False
    folders = Layout(inbox=settings.inbox, outbox=settings.outbox, state=settings.state)
    verdict = Verification(folders, settings.database, is_running=is_running).run()
    if as_json:
        _print_json({"clean": verdict.is_clean, **dataclasses.asdict(verdict)})
    else:
        for finding in verdict.findings:
            print(f"{'WRONG' if finding.is_error else 'note '} {finding.job[:8]} {printable_lines(finding.what)}")
        wrong = sum(finding.is_error for finding in verdict.findings)
        print(
            f"{verdict.jobs} jobs, {verdict.bytes_checked / 1e6:.1f} MB read: {f'{wrong} wrong' if wrong else 'clean'}"
        )
    if not verdict.is_clean:
        raise typer.Exit(1)


@app.command()
def backup(
    to: Annotated[
        str | None, typer.Argument(help="File or folder to write to (default: today's copy in state/backups).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    config_file: ConfigOption = None,
) -> None:
    """Check and back up the job log; works while the daemon runs. The daemon does this every night."""
    from daemon.files.disk_retry import describe
    from daemon.queue import backup, backup_target

    settings = _settings(config_file)
    with JobLog(settings.database):
        pass  # fail early if there is no readable job log
    try:
        target = backup_target.find_target(to, settings, force=force)
        if damage := backup.check(settings.database):
            raise StoreError(
                f"The job log {settings.database} is damaged: {damage}.",
                "Restart the daemon: it sets the damaged file aside and rebuilds the job log from the folders.",
            )
        print(printable(str(backup.write(settings.database, target))))
    except OSError as error:
        raise StorageError("The job log could not be copied.", describe(error)) from error


@app.command()
def metrics(config_file: ConfigOption = None) -> None:
    """What the daemon does and did, for Prometheus. See [metrics] in config.toml for a file, or HTTP."""
    from daemon.telemetry import metrics as prometheus

    settings = _settings(config_file)
    print(prometheus.render(_ask(settings, "metrics"), database=settings.database, memory=settings.totals), end="")


@app.command()
def watch(
    seconds: Annotated[float | None, typer.Option(help="End after so long; default: at q or Ctrl-C.")] = None,
    config_file: ConfigOption = None,
) -> None:
    """What the daemon does, live: queue, workers, progress, results. Into a pipe: a line for each event."""
    from daemon.cli import watch as live

    with contextlib.suppress(KeyboardInterrupt):
        live.watch(_settings_to_look(config_file), seconds=seconds)


@app.command()
def doctor(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Is everything as it must be? Disks, limits, the job log, models, GPU, the service; and what mends what is not."""
    from daemon.cli import terminal, views
    from daemon.doctor import checks as examination

    found = config_file or next((place for place in _PLACES if place.exists()), None)
    if found is not None and found.resolve().parent.is_dir():
        found = found.absolute()
        os.chdir(found.resolve().parent)  # what config.toml names relatively starts there
    checks = []
    for check in examination.examine(found):
        checks.append(check)
        if not as_json:
            terminal.out().print(views.check_line(check))
    if as_json:
        _print_json([vars(check) for check in checks])
    verdicts = [check.verdict for check in checks]
    if not as_json:
        print(f"{verdicts.count('FAIL')} to mend, {verdicts.count('warn')} to look at, {verdicts.count('ok')} well.")
    if "FAIL" in verdicts:
        raise typer.Exit(1)


# ---------------------------------------------------------------------------------------------- changing


@app.command()
def retry(
    job: Annotated[
        str | None,
        typer.Argument(
            help="The first digits of its id.",
            autocompletion=_completes(lambda source: completion.jobs(source, _ENDED_BADLY)),
        ),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All failed and cancelled jobs.")] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try a failed job again; one that waits is tried at once."""
    if bool(job) == failed:
        raise UsageError("Name a job, or --failed for all.", "See them with `inboxd jobs --state failed`.")
    answer = _ask(_settings_to_look(config_file), "retry", job=job, failed=failed)
    if as_json:
        _print_json(answer)
    else:
        print(f"{len(answer['retried'])} queued again.")
        for refused in answer["refused"]:
            print(f"{refused['job'][:8]} {refused['file']}: {refused['why']}")
    if answer["refused"]:
        raise typer.Exit(1)


@app.command()
def cancel(job: UnfinishedJob, config_file: ConfigOption = None) -> None:
    """Cancel a queued or running job; its file moves to outbox/failed unchanged. Exit code 1: a full disk or a locked
    job log delays it."""
    answer = _ask(_settings_to_look(config_file), "cancel", job=job)
    if not answer.get("waits_for"):
        print(f"Cancelled {answer['cancelled'][:8]}.")
        return
    print(
        f"{answer['cancelled'][:8]} will be cancelled once this is resolved: {answer['waits_for']}\n"
        "If the daemon is restarted before that, cancel the job again."
    )
    raise typer.Exit(1)


@app.command()
def pause(
    reason: Annotated[str, typer.Argument(help="Shown by `inboxd status`.")] = "",
    now: Annotated[bool, typer.Option("--now", help="Running jobs, too, are put back into the queue.")] = False,
    config_file: ConfigOption = None,
) -> None:
    """Start no more work, and free the models' memory; drops are taken and wait. It outlives a restart."""
    answer = _ask(_settings_to_look(config_file), "pause", reason=reason, now=now)
    running = answer["running"]
    print(f"Paused; {running} running job{'' if running == 1 else 's'} will finish." if running else "Paused.")


@app.command()
def resume(config_file: ConfigOption = None) -> None:
    """Work again after `inboxd pause`."""
    closed = _ask(_settings_to_look(config_file), "resume")["closed"]
    print(f"Resumed. {closed or ''}".rstrip())


@app.command()
def reload(config_file: ConfigOption = None) -> None:
    """Apply config.toml as it is now to all that starts from now on. A wrong one is refused, and the old one stays."""
    try:
        settings = _settings(config_file)
    except ConfigError:
        if main := os.environ.get(
            "MAINPID"
        ):  # ExecReload=: the daemon is to refuse it, too, and show why as its status
            os.kill(int(main), signal.SIGHUP)
        raise
    changed = _ask(settings, "reload", ConfigError)["changed"]
    print("\n".join(["Now in force:", *changed]) if changed else "Nothing has changed.")


@app.command()
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove what is old enough by [retention]; the daemon does so each night by itself."""
    answer = _ask(_settings(config_file), "prune", dry_run=dry_run)
    if as_json:
        _print_json(answer)
        return
    for removal in answer["first"]:
        print(
            printable_lines(
                f"{removal['what']} {removal['path']}{': stays, as ' * bool(removal['kept'])}{removal['kept']}"
            )
        )
    counts = ", ".join(f"{count} {what}" for what, count in answer["counts"].items()) or "nothing is old enough"
    print(f"{'Would go' if dry_run else 'Removed'}: {counts}.")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def models(context: typer.Context, config_file: ConfigOption = None) -> None:
    """The models' weights: list, fetch NAME, convert NAME FROM (faster-whisper's), verify, remove NAME."""
    from daemon.workers.supervisor import run_module

    settings = _settings(config_file)
    asked = context.args if set(context.args) - {"--json"} else ["list", *context.args]
    os.environ["PYTHONIOENCODING"] = f"{sys.stdout.encoding}:backslashreplace"  # same as for our own output
    code = run_module("processors.models_cli", ["--models", str(settings.models), *asked])
    if code == 0 and "fetch" in context.args:
        with contextlib.suppress(NotRunning):
            control_socket.ask(settings.socket, "probe", timeout=5)  # what waited for these weights goes on
    raise typer.Exit(code)


# ---------------------------------------------------------------------------------------------- the service

UserOption = Annotated[bool, typer.Option("--user", help="A service of your own, without root.")]


@app.command()
def install(
    user: UserOption = False,
    group: Annotated[
        str | None, typer.Option(help="Its members may drop files and read results; default: as it is, or inboxd.")
    ] = None,
) -> None:
    """Install, or upgrade, the systemd service of this inboxd, start it, and show where everything is."""
    from daemon.install import install as service

    place = service.user_place(os.environ) if user else service.system_place()
    service.install(place, group=group, tell=print)
    service.write_aids(place, completion_scripts(), tell=print)


def completion_scripts() -> dict[str, str]:
    """By shell: what makes it ask us what a word may become."""
    from typer.completion import get_completion_script

    variable = "_INBOXD_COMPLETE"
    return {
        shell: get_completion_script(prog_name="inboxd", complete_var=variable, shell=shell)
        for shell in ("bash", "zsh", "fish")
    }


@app.command()
def uninstall(user: UserOption = False) -> None:
    """Remove the systemd service. Files, settings and the job log stay."""
    from daemon.install import install as service

    service.uninstall(service.user_place(os.environ) if user else service.system_place(), tell=print)


@config_app.command("check")
def config_check(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check config.toml and show the settings in force."""
    settings = _settings(config_file)
    shown = config.describe(settings)
    if as_json:
        _print_json(shown)
        return
    print(json.dumps(shown, indent=2, ensure_ascii=codecs.lookup(sys.stdout.encoding).name != "utf-8"))
    print(f"{settings.source or 'The defaults'}: no mistakes found.", file=sys.stderr)


@app.command()
def version() -> None:
    """The version."""
    print(f"inboxd {__version__}")


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, default=str))  # in ASCII: what is in a name or a text cannot act on a terminal
