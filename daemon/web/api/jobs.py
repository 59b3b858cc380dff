"""API v1: the list of jobs, one job, its files."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from anyio import to_thread
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from daemon.core.job import JobState
from daemon.queue.reader import JobFilter, JobLog
from daemon.queue.rows import JobRow, PagedRow
from daemon.results import result_files
from daemon.web.backend import Backend, backend_of
from daemon.web.downloads import Download, type_of_original, type_of_output
from daemon.web.errors import WebError

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
MAX_WAIT_SECONDS = 300.0
_PARAMETERS = {"state", "recipe", "folder", "file", "review", "since", "before", "limit"}


def parse_filter(query: QueryParams) -> JobFilter:
    """Read the filter of the list from the parameters of a request.

    Raises:
        WebError: a value is invalid.
    """
    states = [state for value in query.getlist("state") for state in value.split(",") if state]
    known = [str(state) for state in JobState]
    if wrong := [state for state in states if state not in known]:
        raise _wrong("state", wrong[0], f"Known states: {', '.join(known)}.")
    since = query.get("since")
    return JobFilter(
        states=states,
        recipe=query.get("recipe") or None,
        folder=query.get("folder") or None,
        file=query.get("file") or None,
        review=_flag("review", query.get("review", "")),
        since_us=_microseconds(since) if since else None,
    )


def _flag(name: str, text: str) -> bool:
    if text not in ("", "0", "1", "true", "false"):
        raise _wrong(name, text, "Write true or false.")
    return text in ("1", "true")


def _microseconds(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise _wrong("since", text, "Write a date such as 2026-11-29, or a time in ISO 8601.") from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1e6)


def parse_number(query: QueryParams, name: str, default: float, most: float) -> float:
    """Read the number `name` from the parameters of a request; return at most `most`, and `default` if it is missing.

    Raises:
        WebError: the value is not a number, or is negative.
    """
    text = query.get(name, "")
    if not text:
        return default
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII):
        raise _wrong(name, text, "Write a number.")
    return min(float(text), most)


def _wrong(name: str, value: str, fix: str) -> WebError:
    return WebError(400, "bad_parameter", f"{name}={value[:100]!r} is not valid.", fix)


# ---------------------------------------------------------------------------------------------- the list


def cursor_of(row: PagedRow) -> str:
    """The cursor from which the next page continues after `row`."""
    return f"{row['received_us']}.{row['id']}"


def parse_cursor(text: str | None) -> tuple[int, str] | None:
    """Read a cursor that `cursor_of` made; None: the request has none.

    Raises:
        WebError: the text is not such a cursor.
    """
    if not text:
        return None
    found = re.fullmatch(r"(\d{1,18})\.([0-9a-f-]{36})", text, re.ASCII)
    if not found:
        raise _wrong("before", text, "Use `next` of the previous page.")
    return int(found[1]), found[2]


async def list_jobs(request: Request) -> Response:
    """List the jobs, newest first."""
    query = request.query_params
    if unknown := [name for name in query if name not in _PARAMETERS]:
        raise _wrong(unknown[0], query[unknown[0]], f"Known parameters: {', '.join(sorted(_PARAMETERS))}.")
    wanted, before = parse_filter(query), parse_cursor(query.get("before"))
    limit = max(1, int(parse_number(query, "limit", DEFAULT_LIMIT, MAX_LIMIT)))
    rows = await backend_of(request).read(lambda log: log.page(wanted, before=before, limit=limit + 1))
    following = cursor_of(rows[limit - 1]) if len(rows) > limit else None
    return JSONResponse({"jobs": [job_facts(row) for row in rows[:limit]], "next": following})


def job_facts(row: JobRow) -> dict[str, object]:
    """A row of the job log as the API shows it: the reasons for a review as a list."""
    facts: dict[str, object] = {name: value for name, value in row.items() if name != "received_us"}
    facts["review"] = json.loads(row["review"] or "[]")
    return facts


# ---------------------------------------------------------------------------------------------- one job


async def find_row(request: Request) -> JobRow:
    """Find the job that the path of a request names.

    Raises:
        UsageError: there is no such job.
    """
    job_id = request.path_params["job"]
    return await backend_of(request).read(lambda log: log.find(job_id))


async def show_job(request: Request) -> Response:
    """Show a job, its files and its history; with `wait`, once it has ended."""
    backend = backend_of(request)
    row = await find_row(request)
    if seconds := parse_number(request.query_params, "wait", 0, MAX_WAIT_SECONDS):
        row = await backend.events.wait_for_end(row["id"], seconds)
    return JSONResponse(await job_document(request, backend, row))


async def job_document(request: Request, backend: Backend, row: JobRow) -> dict[str, object]:
    """A job with its files and its history, as the API shows it."""
    result = await to_thread.run_sync(result_files.find, row, backend.settings)
    base = f"{request.scope.get('root_path', '')}/api/v1/jobs/{row['id']}"

    def history(log: JobLog) -> Mapping[str, object]:
        return {"attempts_made": log.attempts(row["id"]), "events": log.events(row["id"])}

    details = result.facts.get("details") if result else None
    running = next((job for job in backend.events.running if job.job == row["id"]), None)
    files = [
        {"name": each.name, "size_bytes": each.size_bytes, "sha256": each.sha256, "href": file_href(base, each.name)}
        for each in (result.files if result else ())
    ]
    return {
        **job_facts(row),
        "progress": running.progress.to_wire() if running and running.progress else None,
        "files": files,
        "original": {"href": f"{base}/original"} if result and result.original else None,
        "details": details if result_files.is_unicode(details) else None,
        **await backend.read(history),
    }


def file_href(base: str, name: str) -> str:
    return f"{base}/files/{quote(name, errors='replace')}"


async def download(request: Request) -> Response:
    """Download a file of a result."""
    name = request.path_params["name"]
    found = await _result(request)
    return Download(request, await to_thread.run_sync(found.open, name), name=name, media_type=type_of_output(name))


async def download_original(request: Request) -> Response:
    """Download the original of a job that has ended."""
    row = await find_row(request)
    found = await _result(request)
    descriptor = await to_thread.run_sync(found.open_original)
    name = Path(row["file"]).name
    return Download(request, descriptor, name=name, media_type=type_of_original(row["media_type"]))


async def _result(request: Request) -> result_files.Result:
    row = await find_row(request)
    found = await to_thread.run_sync(result_files.find, row, backend_of(request).settings)
    if found is None:
        fix = f"The job is {row['state']}." if not row["result_path"] else "Its folder was moved or removed."
        raise WebError(404, "no_result", "This job has no result.", fix)
    return found


ROUTES = [
    Route("/api/v1/jobs", list_jobs),
    Route("/api/v1/jobs/{job}", show_job),
    Route("/api/v1/jobs/{job}/files/{name:path}", download),
    Route("/api/v1/jobs/{job}/original", download_original),
]
