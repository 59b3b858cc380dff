"""Corrections of results: API v1, and the forms of the console. The daemon places the corrected files."""

import json
from collections.abc import Sequence
from urllib.parse import quote, unquote

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from daemon.queue.rows import JobRow
from daemon.results import corrections, result_files
from daemon.server import correction_client
from daemon.web.api.jobs import find_row
from daemon.web.backend import backend_of
from daemon.web.errors import WebError
from daemon.web.pages.correction_forms import change_of
from daemon.web.pages.templating import base_of, formats_of
from daemon.web.small_bodies import small_form

NAME_COOKIE = "by"
_MAX_BYTES = 256 * 1024
_AT_ONCE = CapacityLimiter(2)

Changes = Sequence[corrections.Change]


async def _correct(request: Request, row: JobRow, changes: Changes, by: str) -> None:
    """Record changes of a result.

    Raises:
        WebError: the changes do not fit the result.
        NotRunning, Refused, StorageError: the daemon did not place the corrected files.
    """
    settings = backend_of(request).settings
    try:
        await to_thread.run_sync(lambda: correction_client.correct(row, changes, by, settings), limiter=_AT_ONCE)
    except correction_client.NoResult as error:
        raise WebError(404, "no_result", error.what, error.fix) from error
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
    """Correct rows of a statement, fields and items of a receipt or an invoice, lines of a text, or segments."""
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
    """Record the correction in a form, and show the corrected place."""
    row = await find_row(request)
    fields = await small_form(request)
    settings, formats = backend_of(request).settings, formats_of(request)

    def read() -> tuple[corrections.Change, str]:
        return change_of(fields, result_files.find(row, settings), formats)

    change, anchor = await to_thread.run_sync(read)
    by = fields.get("by", "").strip()
    await _correct(request, row, [change], by)
    page = fields.get("page", "")
    query = f"?page={quote(page)}" if page.isascii() and page.isdecimal() else "?"
    query += "&rows=all" if fields.get("rows") == "all" else ""
    response = RedirectResponse(f"{base_of(request)}/jobs/{row['id']}{query.removesuffix('?')}{anchor}", 303)
    path = f"{base_of(request)}/"
    response.set_cookie(NAME_COOKIE, quote(by[:100]), max_age=365 * 86400, path=path, httponly=True, samesite="strict")
    return response


def name_of(request: Request) -> str:
    """The name that was entered with the last correction in this browser."""
    return unquote(request.cookies.get(NAME_COOKIE, ""))[:100]


API = [
    Route("/api/v1/jobs/{job}/corrections", show_corrections),
    Route("/api/v1/jobs/{job}/corrections", correct, methods=["POST"]),
]
PAGES = [Route("/jobs/{job}/correct", correct_by_form, methods=["POST"])]
