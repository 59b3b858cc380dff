"""`inboxd correct`: shows what a result says, by number, and corrects it."""

import json
import os
import pwd
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.context import load_settings_for_viewing, print_json
from daemon.cli.options import ConfigOption, JobArgument, JsonOption
from daemon.config.settings import Settings
from daemon.config.toml import literal
from daemon.core.errors import UsageError
from daemon.queue.reader import JobLog
from daemon.queue.rows import JobRow
from processors.corrections import fields
from processors.corrections.fields import Type

if TYPE_CHECKING:
    from daemon.results.corrections import Change

_TYPES = (fields.RECEIPT, fields.RECEIPT_ITEM, fields.INVOICE, fields.INVOICE_LINE)
_TEXTS = {"reference", *(name for types in _TYPES for name, kind in types.items() if kind is Type.TEXT)}
_MAX_BYTES = 4 * 1024 * 1024  # of a file of changes


def correct(
    job: JobArgument,
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="[VALUES]...", help="The new values as NAME=VALUE, or the new text of a line."),
    ] = None,
    row: Annotated[int | None, typer.Option(min=1, help="Correct this row of a statement.")] = None,
    item: Annotated[
        int | None,
        typer.Option(min=1, help="Correct this item of a receipt or line of an invoice; the next number adds one."),
    ] = None,
    page: Annotated[int | None, typer.Option(min=1, help="The page of --line (default: 1).")] = None,
    line: Annotated[int | None, typer.Option(min=1, help="Correct this line of the text of a page.")] = None,
    segment: Annotated[int | None, typer.Option(min=1, help="Correct this segment of a transcript.")] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Record that a person has confirmed what is there.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the item: the document has no such item.")] = False,
    changes_file: Annotated[
        Path | None,
        typer.Option("--from", help="Make the changes of a JSON file, as in docs/api.md; - is standard input."),
    ] = None,
    by: Annotated[str, typer.Option(help="Who corrects (default: your user name).")] = "",
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Correct the result of a job: rows of a statement, fields and items of a receipt or an invoice, lines, segments.

    Without values, show the result with its numbers. The corrected files are in the folder corrected/ beside the
    result, which never changes itself. The checks run again, and the reasons for a review that remain are printed.

    Examples: `inboxd correct 1f3a --row 2 debit=18.00`, `inboxd correct 1f3a total=7.50 date=2024-06-08`,
    `inboxd correct 1f3a --segment 4 "Good morning"`."""
    settings = load_settings_for_viewing(config_file)
    places = {"row": row, "item": item, "line": line, "segment": segment}
    changes = _from_file(changes_file) if changes_file else _changes(places, page, values or [], confirm, remove)
    with JobLog(settings.database) as log:
        found = log.find(job)
    if not changes:
        _show(found, settings, as_json=as_json)
        return
    record = _record(found, changes, by or _user_name(), settings)
    if as_json:
        print_json(record)
    else:
        _report(found, record, len(changes))


def _changes(
    places: Mapping[str, int | None], page: int | None, values: Sequence[str], confirm: bool, remove: bool
) -> "list[Change]":
    """The change that the command line describes; none: nothing is to be corrected.

    Raises:
        UsageError: it is incomplete, or describes several.
    """
    named = {name: number for name, number in places.items() if number is not None}
    if len(named) > 1 or (page is not None and "line" not in named):
        raise UsageError("Name one place: --row, --item, --line (with --page) or --segment.")
    if not named and not values and not confirm and not remove:
        return []
    [(kind, number)] = named.items() or [("fields", 0)]
    if kind in ("line", "segment"):
        if len(values) != 1 or confirm or remove:
            raise UsageError(f"Write the new text of the {kind} in quotes, as one argument.")
        place = {"page": page or 1, "line": number} if kind == "line" else {"segment": number}
        return [{**place, "text": values[0]}]
    if remove:
        if kind != "item" or values or confirm:
            raise UsageError("--remove removes one item: write it with --item NUMBER only.")
        return [{"item": number, "values": None}]
    if bool(values) == confirm:
        raise UsageError("Write the new values, such as total=7.50, or --confirm if what is there is right.")
    read = _values(values)
    return [{"fields": read} if kind == "fields" else {kind: number, "values": read}]


def _values(pairs: Sequence[str]) -> dict[str, str | None]:
    """The values of NAME=VALUE; without a value, a date or an amount is not printed.

    Raises:
        UsageError: one has no "=".
    """
    found: dict[str, str | None] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise UsageError(f"{literal(pair)} is not NAME=VALUE.", "Write it as description='Card Pike Lane'.")
        found[name] = value if value or name in _TEXTS else None
    return found


def _from_file(path: Path) -> "list[Change]":
    """The changes of a file: a list, or an object that has one as `changes`.

    Raises:
        UsageError: it cannot be read, or has none.
    """
    try:
        with sys.stdin.buffer if str(path) == "-" else path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        read = json.loads(content) if len(content) <= _MAX_BYTES else None
    except (OSError, ValueError) as error:
        raise UsageError(f"The changes cannot be read: {error}.", "See docs/api.md.") from error
    changes = read.get("changes") if isinstance(read, dict) else read
    if not isinstance(changes, list) or not changes or not all(isinstance(each, dict) for each in changes):
        raise UsageError("The file has no list of changes.", 'Write [{"row": 2, "values": {"debit": "18.00"}}].')
    return changes


def _record(row: JobRow, changes: "Sequence[Change]", by: str, settings: Settings) -> Mapping[str, object]:
    from daemon.results import corrections
    from daemon.server import client, correction_client

    try:
        return correction_client.correct(row, changes, by, settings)
    except corrections.InvalidCorrection as error:
        raise UsageError(
            error.what, error.fix or f"Run `inboxd correct {row['id'][:8]}` to see the numbers."
        ) from error
    except client.Refused as refused:
        raise UsageError(refused.what, refused.fix) from refused


def _user_name() -> str:
    """The name of the person who runs the command."""
    if name := os.environ.get("SUDO_USER"):
        return name
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _show(row: JobRow, settings: Settings, *, as_json: bool) -> None:
    """Print the document as people have corrected it, with the numbers of its rows, items, lines or segments."""
    from daemon.results import document_files
    from daemon.server import correction_client

    result = correction_client.result_of(row, settings)
    document = document_files.load(result)
    if as_json:
        print_json(result.corrections or {"job": row["id"], "changes": [], "files": []})
        return
    if document is None:
        raise UsageError("This result has nothing to correct here.", "Edit its files instead.")
    from daemon.cli import correct_view, terminal

    terminal.out().print(correct_view.view(row, document, result))


def _report(row: JobRow, record: Mapping[str, object], count: int) -> None:
    """Print what was recorded, and what remains to be reviewed."""
    from daemon.cli import correct_view, terminal

    terminal.out().print(correct_view.report(row, record, count))
