"""Commands that check, copy and clean up: `inboxd verify`, `backup`, `metrics`, `doctor`, `prune`, `config check`."""

import codecs
import dataclasses
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, cast

import typer

from daemon import config
from daemon.cli.context import ask, ask_all, find_config, load_settings, print_json
from daemon.cli.options import ConfigOption, JsonOption
from daemon.core.errors import NotRunning, StorageError, StoreError
from daemon.core.names import printable, printable_lines
from daemon.queue.reader import JobLog
from daemon.server import api, control_socket

_SHOWN_REMOVALS = 200
_STATUS_SECONDS = 2.0
_VERIFY_FIX = (
    "See the history of a job with `inboxd show JOB`, and the log with `journalctl -u inboxd -p warning`. Restart the\n"
    "daemon after a failed recovery; restore files that are missing or changed from a backup."
)
_PLURALS = {
    "result": ("result", "results"),
    "failure": ("failure", "failures"),
    "archived original": ("archived original", "archived originals"),
    "history": ("row of the job log", "rows of the job log"),
}


def verify(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check that every file is unchanged and in exactly one place."""
    from daemon.files.folders import Folders
    from daemon.recovery.verify import Verification

    settings = load_settings(config_file)
    folders = Folders(inbox=settings.inbox, outbox=settings.outbox, state=settings.state)
    verdict = Verification(folders, settings.database, is_running=_is_running(settings)).run()
    if as_json:
        print_json({"clean": verdict.is_clean, **dataclasses.asdict(verdict)})
    else:
        for finding in verdict.findings:
            print(f"{'ERROR' if finding.is_error else 'note '} {finding.job[:8]} {printable_lines(finding.what)}")
        errors = sum(finding.is_error for finding in verdict.findings)
        outcome = f"{errors} error{'' if errors == 1 else 's'}" if errors else "no errors"
        print(f"{verdict.jobs} jobs, {verdict.bytes_checked / 1e6:.1f} MB read: {outcome}.")
        if errors:
            print(_VERIFY_FIX)
    if not verdict.is_clean:
        raise typer.Exit(1)


def _is_running(settings: config.Settings) -> bool:
    try:
        control_socket.ask(settings.socket, "status", timeout=_STATUS_SECONDS)
    except NotRunning:
        return False
    return True


def backup(
    to: Annotated[
        str | None, typer.Argument(help="The file or folder to write to (default: jobs-DATE.db in state/backups).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    config_file: ConfigOption = None,
) -> None:
    """Check and back up the job log.

    The command works while the daemon runs. The daemon also does the same every night."""
    from daemon.files.disk_retry import describe
    from daemon.queue import backup as copies
    from daemon.queue import backup_target

    settings = load_settings(config_file)
    with JobLog(settings.database):
        pass  # fail early if there is no readable job log
    try:
        target = backup_target.find_target(to, settings, force=force)
        if damage := copies.check(settings.database):
            raise StoreError(
                f"The job log {settings.database} is damaged: {damage}.",
                "Restart the daemon: it sets the damaged file aside and rebuilds the job log from the folders.",
            )
        print(printable(str(copies.write(settings.database, target))))
    except OSError as error:
        raise StorageError("Cannot copy the job log.", describe(error)) from error


def metrics(config_file: ConfigOption = None) -> None:
    """Print the daemon's metrics for Prometheus.

    With [metrics] in config.toml, the daemon also writes them to a file or serves them over HTTP."""
    from daemon.telemetry import metrics as prometheus

    settings = load_settings(config_file)
    live = cast(prometheus.Live, ask(settings, api.Metrics(), api.MetricsReply).to_wire())
    print(prometheus.render(live, database=settings.database, saved_totals=settings.totals), end="")


def doctor(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check the installation and suggest fixes.

    The checks cover config.toml, folders, disks, limits, the job log, the daemon, models, memory, the GPU and the
    service. They change nothing. The exit code is 1 if a check failed."""
    from daemon.cli import terminal, views
    from daemon.doctor import checks as installation_checks

    found = find_config(config_file)
    if found is not None and found.resolve().parent.is_dir():
        found = found.absolute()
        os.chdir(found.resolve().parent)  # relative paths in config.toml start there
    checks = []
    for check in installation_checks.run_all(found):
        checks.append(check)
        if not as_json:
            terminal.out().print(views.check_line(check))
    counts = Counter(check.verdict for check in checks)
    if as_json:
        print_json([vars(check) for check in checks])
    else:
        print(doctor_summary(counts))
    if counts["FAIL"]:
        raise typer.Exit(1)


def doctor_summary(counts: Mapping[str, int]) -> str:
    """ "1 failed, 2 warnings, 8 passed.", from the numbers of verdicts."""
    warnings = counts.get("warn", 0)
    plural = "" if warnings == 1 else "s"
    return f"{counts.get('FAIL', 0)} failed, {warnings} warning{plural}, {counts.get('ok', 0)} passed."


def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove results and records that are older than the ages in [retention] in config.toml.

    The daemon does this every night."""
    replies = list(ask_all(load_settings(config_file), api.Prune(dry_run=dry_run), api.PruneReply))
    counts = sum((Counter(reply.counts) for reply in replies), Counter[str]())
    first = [each for reply in replies for each in reply.first][:_SHOWN_REMOVALS]
    reply = api.PruneReply(removed=not dry_run, counts=dict(counts), first=first)
    if as_json:
        print_json(reply.to_wire())
        return
    for removal in reply.first:
        why_kept = f": kept, because {removal.kept}" if removal.kept else ""
        print(printable_lines(f"{removal.what} {removal.path}{why_kept}"))
    print(prune_summary(reply.counts, dry_run=dry_run))


def prune_summary(counts: Mapping[str, int], *, dry_run: bool) -> str:
    """A sentence about what `prune` removed, or would remove with `dry_run`; `counts` is the daemon's reply."""
    if not counts:
        return "Nothing is old enough to remove; [retention] in config.toml sets the ages."
    parts = [f"{n} {_PLURALS.get(what, (what, what))[n != 1]}" for what, n in counts.items() if what != "kept"]
    kept = f" Kept: {counts['kept']}." if "kept" in counts else ""
    return f"{'Would remove' if dry_run else 'Removed'}: {', '.join(parts) or 'nothing'}.{kept}"


def check_config(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check config.toml: one line if it is valid, else its mistakes.

    With --json, also the resulting settings."""
    settings = _checked_settings(config_file)
    if as_json:
        print_json(config.describe(settings))
        return
    print(f"{settings.source or 'The defaults'}: no errors.")


def show_config(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show all settings, with the defaults of those that config.toml leaves out, as JSON."""
    shown = config.describe(_checked_settings(config_file))
    is_utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
    print(json.dumps(shown, indent=2, ensure_ascii=as_json or not is_utf8, default=str))


def _checked_settings(config_file: Path | None) -> config.Settings:
    from daemon.files.folders import refuse_overlap

    settings = load_settings(config_file)
    refuse_overlap(inbox=settings.inbox, outbox=settings.outbox, state=settings.state)
    return settings
