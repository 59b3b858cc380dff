"""`inboxd submit`: hands files to the running daemon with their options, and waits for their results."""

import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue, TypeAdapter

from daemon.cli import completion
from daemon.cli.context import ask, load_settings_for_viewing, print_json
from daemon.cli.options import OPTION_HELP, ConfigOption, JsonOption, completes
from daemon.config import toml
from daemon.config.settings import Settings
from daemon.config.toml import literal
from daemon.core import copies
from daemon.core.errors import JobsFailed, NotRunning, UsageError
from daemon.core.job import JobState
from daemon.core.names import printable
from daemon.files.incoming import Incoming
from daemon.queue.reader import JobLog
from daemon.queue.rows import JobRow
from daemon.server import api, client, feed_lines

_RECONNECT_SECONDS = 1.0
_SOURCE = "cli"
_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)


def submit(
    files: Annotated[list[Path], typer.Argument(help="The files to submit. inboxd copies them.")],
    folder: Annotated[
        str,
        typer.Option(
            help="The inbox folder whose recipes apply, and the outbox folder of the result.",
            autocompletion=completes(completion.folders),
        ),
    ] = "",
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", "-r", help="Use this recipe.", autocompletion=completes(completion.recipes)),
    ] = None,
    option: Annotated[list[str] | None, typer.Option("--option", "-o", help=OPTION_HELP)] = None,
    prompt: Annotated[str, typer.Option(help="The question or instruction for the model.")] = "",
    priority: Annotated[int | None, typer.Option(help="Jobs with a higher number start first.")] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait for the results.")] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Submit files to the daemon directly, with options, and print the IDs of their jobs.

    The options are those that a file NAME.toml beside the file could contain. With --wait, the exit code is 1 if a
    job fails."""
    settings = load_settings_for_viewing(config_file)
    options: dict[str, JsonValue] = {} if recipe is None else {"recipe": recipe}
    options |= read_options(option or ())
    jobs = [
        _submit(
            settings,
            file,
            api.Submit(
                file=str(uuid.uuid4()),
                folder=folder,
                file_name=printable(file.absolute().name),
                options=options,
                priority=priority,
                prompt=prompt,
                source=_SOURCE,
            ),
            is_quiet=wait or as_json,
        )
        for file in files
    ]
    if not wait:
        if as_json:
            print_json([{"job": job} for job in jobs])
        return
    rows = _wait_for_results(settings, jobs)
    if as_json:
        print_json(rows)
    else:
        from daemon.cli import terminal, views

        terminal.out().print(views.results_table(rows, outbox=f"{os.path.relpath(settings.outbox)}/"))
    if failed := sum(row["state"] != JobState.DONE for row in rows):
        raise JobsFailed(f"{failed} of {len(rows)} failed.", "Run `inboxd show JOB` for the reason.")


def read_options(pairs: Sequence[str]) -> dict[str, JsonValue]:
    """The options of the command line. A value that is not TOML is text.

    Raises:
        UsageError: one has no "=".
    """
    options: dict[str, JsonValue] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name.strip():
            raise UsageError(f"--option {literal(pair)} is not NAME=VALUE.", "Write it as --option language=de")
        options[name.strip()] = _value(value.strip())
    return options


def _value(text: str) -> JsonValue:
    try:
        parsed = toml.parse(f"value = {text}".encode())
        return _JSON.validate_python(parsed["value"]) if parsed.keys() == {"value"} else text
    except ValueError:  # not TOML, or a date
        return text


def _submit(settings: Settings, file: Path, command: api.Submit, *, is_quiet: bool) -> str:
    """Submit one file; return the id of its job.

    Raises:
        UsageError: the file cannot be read, or the daemon refuses it.
        NotRunning: no daemon replies.
    """
    ask(settings, api.Status(), api.StatusReply)  # do not copy a large file if no daemon runs
    upload = _copy(settings, file, command.file)
    try:
        reply = ask(settings, command, api.SubmitReply)
    except UsageError:
        upload.unlink(missing_ok=True)
        raise
    if not is_quiet:
        print(f"{reply.job} {command.file_name}")
    return reply.job


def _copy(settings: Settings, file: Path, name: str) -> Path:
    """Copy a file to where the daemon takes it from."""
    incoming = Incoming(settings.inbox / ".incoming")
    upload = incoming.path / name
    try:
        copies.copy(file, upload, None)
        owner = incoming.path.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:  # the daemon must be able to read it
            os.chown(upload, owner.st_uid, owner.st_gid)
    except OSError as error:
        upload.unlink(missing_ok=True)
        raise UsageError(
            f"Cannot submit {printable(str(file))}: {error.strerror or error}.",
            "Name a regular file that you may read, and run the command as root or as the daemon's user.",
        ) from error
    return upload


def _wait_for_results(settings: Settings, jobs: Sequence[str]) -> list[JobRow]:
    """The rows of the jobs, once all have ended; also across a restart of the daemon."""
    import asyncio  # only for --wait

    async def results() -> list[JobRow]:
        while True:
            try:
                async for line in client.subscribe(settings.socket):
                    if isinstance(line, feed_lines.SubscribedLine | feed_lines.EventLine | feed_lines.SkippedLine):
                        rows = _rows(settings, jobs)
                        if all(JobState(row["state"]).is_final for row in rows):
                            return rows
            except NotRunning:
                await asyncio.sleep(_RECONNECT_SECONDS)

    return asyncio.run(results())


def _rows(settings: Settings, jobs: Sequence[str]) -> list[JobRow]:
    with JobLog(settings.database) as log:
        return [log.find(job) for job in jobs]
