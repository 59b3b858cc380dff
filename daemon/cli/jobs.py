"""Commands about jobs: `inboxd jobs`, `show`, `retry`, `cancel`, `reviewed`."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli import completion, times
from daemon.cli.context import ask, ask_all, load_settings, load_settings_for_viewing, print_json
from daemon.cli.options import ConfigOption, JobArgument, JsonOption, UnfinishedJobArgument, completes
from daemon.config.settings import Settings
from daemon.config.toml import literal
from daemon.config.validation import nearest
from daemon.core.errors import ConfigError, UsageError
from daemon.core.job import JobState
from daemon.core.names import printable
from daemon.queue.reader import JobFilter, JobLog
from daemon.server import api

_RETRYABLE = ("failed", "cancelled", "queued")
_EPOCH = datetime.fromtimestamp(0, UTC)


def jobs(
    config_file: ConfigOption = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            help="Only jobs in this state: queued, running, publishing, done, failed or cancelled. May be repeated.",
            autocompletion=completes(lambda _: completion.states()),
        ),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Only jobs of this recipe.", autocompletion=completes(completion.recipes))
    ] = None,
    folder: Annotated[
        str | None,
        typer.Option(
            help="Only files from this inbox folder and its subfolders.",
            autocompletion=completes(completion.folders),
        ),
    ] = None,
    file: Annotated[str | None, typer.Option(help="Only files whose name contains this text.")] = None,
    source: Annotated[
        str | None,
        typer.Option(help='Only files from this source: "inbox" (dropped) or a program, such as "web" or "cli".'),
    ] = None,
    review: Annotated[
        bool, typer.Option("--review", help="Only results that someone should review, with the reasons.")
    ] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Only failed jobs; the same as --state failed.")] = False,
    since: Annotated[
        str | None,
        typer.Option(
            help="Only files received since this date or time, such as 2026-11-23, "
            '"2026-11-23 18:00" (local time), yesterday, 3h or 7d.'
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="Maximum number of jobs (0 = no limit).")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List jobs, newest first."""
    states = [*(state or ()), *(["failed"] if failed else [])]
    _check_states(states)
    since_us = None if since is None else to_microseconds(since)
    settings = load_settings_for_viewing(config_file)
    with JobLog(settings.database) as log:
        if recipe is not None:
            _check_recipe(recipe, log, config_file)
        wanted = JobFilter(
            states=states,
            recipe=recipe,
            folder=folder,
            file=file,
            source=source,
            review=review,
            since_us=since_us,
        )
        rows = log.jobs(wanted, limit=limit + 1 if limit > 0 else None)
        has_more = 0 < limit < len(rows)
        rows = rows[:limit] if has_more else rows
        if folder is not None and not rows:
            _check_folder(folder, log, settings)
    if as_json:
        print_json([with_reasons(row) for row in rows])
        return
    from daemon.cli import terminal, views

    table = views.reviews_table if review else views.JobsTable
    terminal.out().print(table(rows) if rows else "No matching jobs.")
    if has_more:
        terminal.out().print("There are older jobs: -n 0 lists all.")


def with_reasons(row: Mapping[str, object]) -> dict[str, object]:
    """A row for JSON output: the reasons for a review as a list."""
    return {**row, "review": json.loads(str(row["review"] or "[]"))}


def _check_states(states: Sequence[str]) -> None:
    for state in states:
        if state not in set(JobState):
            hint = nearest(state, JobState)
            raise UsageError(f"Unknown state {literal(state)}.", f"{hint}Known states: {', '.join(JobState)}.")


def _check_folder(folder: str, log: JobLog, settings: Settings) -> None:
    """Raise UsageError if neither the inbox, nor config.toml, nor the job log has the folder."""
    known = {*log.folders(), *settings.folders} - {""}
    if folder in known or (settings.inbox / folder).is_dir() or any(each.startswith(f"{folder}/") for each in known):
        return
    names = f"Known folders: {', '.join(map(printable, sorted(known)))}." if known else "There are no folders yet."
    raise UsageError(f"Unknown folder {literal(folder)}.", f"{nearest(folder, known)}{names}")


def _check_recipe(recipe: str, log: JobLog, config_file: Path | None) -> None:
    """Raise UsageError if neither config.toml nor the job log knows the recipe."""
    used = log.recipes()
    if recipe in used:
        return
    with contextlib.suppress(ConfigError):  # a wrong config.toml: any recipe may be in it
        known = sorted({*used, *load_settings(config_file).recipes})
        if recipe not in known:
            hint = nearest(recipe, known)
            raise UsageError(f"Unknown recipe {literal(recipe)}.", f"{hint}Known recipes: {', '.join(known)}.")


def to_microseconds(text: str) -> int:
    """A time as people write it, in microseconds since the epoch.

    Raises:
        UsageError: it is not one.
    """
    return (times.moment(text, datetime.now().astimezone()) - _EPOCH) // timedelta(microseconds=1)


def show(job: JobArgument, config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show one job: its record, attempts and events."""
    settings = load_settings_for_viewing(config_file)
    with JobLog(settings.database) as log:
        row = log.find(job)
        attempts, events = log.attempts(row["id"]), log.events(row["id"])
    if as_json:
        print_json({**with_reasons(row), "attempts_made": attempts, "events": events})
        return
    from daemon.cli import terminal, views

    terminal.out().print(views.job_view(row, attempts, events, outbox=str(settings.outbox)))


def retry(
    job: Annotated[
        str | None,
        typer.Argument(
            help="The first characters of the job's ID.",
            autocompletion=completes(lambda source: completion.jobs(source, _RETRYABLE)),
        ),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Retry all failed and cancelled jobs.")] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Queue a failed or cancelled job again, or retry a waiting one immediately."""
    if bool(job) == failed:
        raise UsageError(
            "Name a job, or use --failed to retry all failed and cancelled jobs.",
            "See them with `inboxd jobs --state failed`.",
        )
    replies = list(ask_all(load_settings_for_viewing(config_file), api.Retry(job=job, failed=failed), api.RetryReply))
    retried = [each for reply in replies for each in reply.retried]
    reply = api.RetryReply(retried=retried, refused=[each for reply in replies for each in reply.refused])
    if as_json:
        print_json(reply.to_wire())
    else:
        print(f"Queued {_count(len(reply.retried))} again.")
        for refused in reply.refused:
            print(f"Not queued: {refused.job[:8]} {refused.file}: {refused.why}")
    if reply.refused:
        raise typer.Exit(1)


def _count(number: int) -> str:
    return "1 job" if number == 1 else f"{number} jobs"


def cancel(job: UnfinishedJobArgument, config_file: ConfigOption = None) -> None:
    """Cancel a queued or running job and move its file to outbox/failed, unchanged.

    The exit code is 1 if a full disk or a locked job log delays the cancellation."""
    reply = ask(load_settings_for_viewing(config_file), api.Cancel(job=job), api.CancelReply)
    if not reply.waits_for:
        print(f"Cancelled {reply.cancelled[:8]}.")
        return
    print(
        f"{reply.cancelled[:8]} will be cancelled once this is resolved: {reply.waits_for}\n"
        "If the daemon is restarted before that, cancel the job again."
    )
    raise typer.Exit(1)


def reviewed(
    job: JobArgument,
    undo: Annotated[bool, typer.Option("--undo", help="Record that the result still needs a review.")] = False,
    config_file: ConfigOption = None,
) -> None:
    """Record that somebody has reviewed the result of a job.

    The result stays as it is; lists no longer count it as needing a review."""
    command = api.Reviewed(job=job, reviewed=not undo)
    reply = ask(load_settings_for_viewing(config_file), command, api.ReviewedReply)
    print(f"{'Not reviewed' if undo else 'Reviewed'}: {printable(reply.file)} ({reply.job[:8]}).")
