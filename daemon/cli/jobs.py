"""Commands about jobs: `inboxd jobs`, `show`, `retry`, `cancel`."""

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli import completion
from daemon.cli.context import ask, ask_all, load_settings, load_settings_for_viewing, print_json
from daemon.cli.options import ConfigOption, JobArgument, JsonOption, UnfinishedJobArgument, completes
from daemon.config.toml import literal
from daemon.core.errors import ConfigError, UsageError
from daemon.core.job import JobState
from daemon.core.names import printable
from daemon.publishing import result_documents
from daemon.queue.reader import JobLog
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
    review: Annotated[bool, typer.Option(help="Only results that someone should review.")] = False,
    since: Annotated[
        str | None,
        typer.Option(
            help='Only files received since this date or time, such as 2026-11-23 or "2026-11-23 18:00" (local time).'
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="Maximum number of jobs (0 = no limit).")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List jobs, newest first."""
    _check_states(state or ())
    since = None if since is None else to_utc(since)
    settings = load_settings_for_viewing(config_file)
    with JobLog(settings.database) as log:
        if recipe is not None:
            _check_recipe(recipe, log, config_file)
        rows = log.jobs(
            states=state or (),
            recipe=recipe,
            folder=folder,
            file=file,
            source=source,
            review=review,
            since=since,
            limit=limit,
        )
    if as_json:
        print_json(rows)
        return
    from daemon.cli import terminal, views

    terminal.out().print(views.jobs_table(rows) if rows else "No matching jobs.")


def _check_states(states: Sequence[str]) -> None:
    for state in states:
        if state not in set(JobState):
            raise UsageError(f"Unknown state {literal(state)}.", f"Known states: {', '.join(JobState)}.")


def _check_recipe(recipe: str, log: JobLog, config_file: Path | None) -> None:
    """Raise UsageError if neither config.toml nor the job log knows the recipe."""
    used = log.recipes()
    if recipe in used:
        return
    with contextlib.suppress(ConfigError):  # a wrong config.toml: any recipe may be in it
        known = sorted({*used, *load_settings(config_file).recipes})
        if recipe not in known:
            raise UsageError(f"Unknown recipe {literal(recipe)}.", f"Known recipes: {', '.join(known)}.")


def to_utc(text: str) -> str:
    """An ISO date or time, in local time unless it names a zone, as the job log writes times.

    Raises:
        UsageError: it is not one.
    """
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"--since {literal(text)} is not a date or time.",
            'Write it as 2026-11-23 or "2026-11-23 18:00", in local time.',
        ) from error
    return result_documents.iso((moment - _EPOCH) // timedelta(microseconds=1))


def show(job: JobArgument, config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show one job: its record, attempts and events."""
    settings = load_settings_for_viewing(config_file)
    with JobLog(settings.database) as log:
        row = log.find(job)
        attempts, events = log.attempts(row["id"]), log.events(row["id"])
    if as_json:
        print_json({**row, "attempts_made": attempts, "events": events})
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
    undo: Annotated[bool, typer.Option("--undo", help="Record that the result is still to be reviewed.")] = False,
    config_file: ConfigOption = None,
) -> None:
    """Record that somebody has reviewed the result of a job.

    The result stays as it is; lists no longer count it as needing a review."""
    command = api.Reviewed(job=job, reviewed=not undo)
    reply = ask(load_settings_for_viewing(config_file), command, api.ReviewedReply)
    print(f"{'Not reviewed' if undo else 'Reviewed'}: {printable(reply.file)} ({reply.job[:8]}).")
