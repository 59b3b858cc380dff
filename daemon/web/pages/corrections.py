"""Corrections of results: API v1, and the forms of the console. The daemon places the corrected files."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from urllib.parse import quote, unquote

from anyio import CapacityLimiter, to_thread
from babel.numbers import NumberFormatError, parse_decimal
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from daemon.queue.rows import JobRow
from daemon.results import corrections, documents, result_files
from daemon.server import api, client
from daemon.web.api.jobs import find_row
from daemon.web.backend import backend_of
from daemon.web.errors import WebError
from daemon.web.pages.formats import Formats
from daemon.web.pages.templating import base_of, formats_of
from daemon.web.small_bodies import small_form

NAME_COOKIE = "by"
_MAX_BYTES = 256 * 1024
_SECONDS = 20.0
_AT_ONCE = CapacityLimiter(2)
AMOUNTS = ("debit", "credit", "balance")
FIELDS = ("date", "description", "reference", *AMOUNTS)

Changes = Sequence[corrections.Change]


async def _correct(request: Request, row: JobRow, changes: Changes, by: str) -> None:
    """Record changes of a result.

    Raises:
        WebError: they do not fit the result.
        NotRunning, Refused, StorageError: the daemon did not place them.
    """
    settings = backend_of(request).settings

    def run() -> None:
        result = result_files.find(row, settings) if row["state"] == "done" else None
        if result is None:
            raise WebError(404, "no_result", "There is no result of this job.")
        with corrections.prepared(row, result, changes, by, settings) as (name, revision):
            command = api.Correct(job=row["id"], prepared=name, revision=revision)
            client.ask(settings.socket, command, api.CorrectReply, timeout=_SECONDS)

    try:
        await to_thread.run_sync(run, limiter=_AT_ONCE)
    except corrections.InvalidCorrection as error:
        raise WebError(422, "wrong_correction", error.what, error.fix) from error


# ---------------------------------------------------------------------------------------------- API v1


async def show_corrections(request: Request) -> Response:
    """Show the corrections of a result, with who made them and when."""
    row = await find_row(request)
    result = await to_thread.run_sync(result_files.find, row, backend_of(request).settings)
    record = result.corrections if result is not None else None
    return JSONResponse(record or {"job": row["id"], "changes": [], "files": []})


async def correct(request: Request) -> Response:
    """Correct rows of a statement, lines of a text or segments of a transcript."""
    row = await find_row(request)
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > _MAX_BYTES:
            raise WebError(413, "too_large", f"The corrections exceed {_MAX_BYTES} bytes.")
    try:
        order = json.loads(content)
        changes, by = order["changes"], order.get("by", "")
        if not isinstance(changes, list) or not all(isinstance(each, dict) for each in changes):
            raise TypeError("changes")
        if not isinstance(by, str) or not result_files.is_unicode(order):
            raise TypeError("by")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        fix = 'Send JSON: {"by": "Ann", "changes": [{"row": 2, "values": {"debit": "18.00"}}]}'
        raise WebError(400, "bad_parameter", "The corrections cannot be read.", fix) from error
    await _correct(request, row, changes, by)
    return await show_corrections(request)


# ---------------------------------------------------------------------------------------------- the console


async def correct_by_form(request: Request) -> Response:
    """Record the correction of a form, and show the place."""
    row = await find_row(request)
    fields = await small_form(request)
    change, anchor = await to_thread.run_sync(_change_of, fields, row, request)
    by = fields.get("by", "").strip()
    await _correct(request, row, [change], by)
    page = fields.get("page", "")
    query = f"?page={quote(page)}" if page.isascii() and page.isdecimal() else ""
    response = RedirectResponse(f"{base_of(request)}/jobs/{row['id']}{query}{anchor}", 303)
    path = f"{base_of(request)}/"
    response.set_cookie(NAME_COOKIE, quote(by[:100]), max_age=365 * 86400, path=path, httponly=True, samesite="strict")
    return response


def name_of(request: Request) -> str:
    """The name that was entered with the last correction in this browser."""
    return unquote(request.cookies.get(NAME_COOKIE, ""))[:100]


def _change_of(fields: Mapping[str, str], row: JobRow, request: Request) -> tuple[corrections.Change, str]:
    """The change that a form describes, and the anchor of its place.

    Raises:
        WebError: a field is wrong.
    """
    if "row" in fields:
        number = _number(fields, "row")
        values = _row_values(fields, _shown_row(row, number, request), formats_of(request))
        return {"row": number, "values": values}, f"#r{number}"
    if "segment" in fields:
        return {"segment": _number(fields, "segment"), "text": fields.get("text", "")}, "#tr"
    change = {"page": _number(fields, "page"), "line": _number(fields, "line"), "text": fields.get("text", "")}
    return change, "#tx"


def _number(fields: Mapping[str, str], name: str) -> int:
    text = fields.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 9):
        raise WebError(400, "bad_parameter", f"{name} has a wrong value.")
    return int(text)


def _shown_row(row: JobRow, number: int, request: Request) -> documents.StatementRow:
    result = result_files.find(row, backend_of(request).settings)
    document = documents.load(result) if result is not None else None
    accounts = document.statements if isinstance(document, documents.Statement) else ()
    rows = [each for account in accounts for each in account.rows]
    if not 1 <= number <= len(rows):
        raise WebError(404, "no_such_row", f"There is no row {number}.")
    return rows[number - 1]


def _row_values(fields: Mapping[str, str], shown: documents.StatementRow, formats: Formats) -> dict[str, str | None]:
    """The values that differ from those shown; none: the person has confirmed the row."""
    values: dict[str, str | None] = {}
    for name in FIELDS:
        if name not in fields:
            continue
        text = fields[name].strip()
        entered = _amount(text, name, formats) if name in AMOUNTS else text
        value = entered if entered or name in ("description", "reference") else None
        if value != getattr(shown, name):
            values[name] = value
    return values


def _amount(text: str, name: str, formats: Formats) -> str:
    """An amount as 1234.50, or as the browser's language writes it."""
    if not text:
        return ""
    try:
        return str(Decimal(text))
    except InvalidOperation:
        pass
    try:
        return str(parse_decimal(text, locale=formats.locale, strict=True))
    except NumberFormatError as error:
        raise WebError(422, "wrong_correction", f"The {name} must be a number, such as 1234.50.") from error


API = [
    Route("/api/v1/jobs/{job}/corrections", show_corrections),
    Route("/api/v1/jobs/{job}/corrections", correct, methods=["POST"]),
]
PAGES = [Route("/jobs/{job}/correct", correct_by_form, methods=["POST"])]
