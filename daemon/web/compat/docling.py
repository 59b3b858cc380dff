"""The part of docling-serve's API that docling's client, Open WebUI and paperless-gpt use: convert one file, at once or
by task.

Reference: https://github.com/docling-project/docling-serve/blob/main/docs/usage.md. A task is a job. Its options for
OCR and pictures are accepted and have no effect: the recipe decides.
"""

import time
from collections.abc import Collection

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from daemon import __version__
from daemon.core.errors import UsageError
from daemon.core.job import JobState
from daemon.queue.rows import JobRow
from daemon.web.api.jobs import MAX_WAIT_SECONDS, parse_number
from daemon.web.backend import backend_of
from daemon.web.compat.docling_document import to_document
from daemon.web.compat.work import FOLDER, Finished, finished, only_file, submit, wait_for
from daemon.web.errors import WebError
from daemon.web.forms import Form, received_form

_FORMATS = ("md", "text", "json")  # that inboxd can return
_STATUS = {
    JobState.QUEUED: "pending",
    JobState.RUNNING: "started",
    JobState.PUBLISHING: "started",
    JobState.DONE: "success",
    JobState.FAILED: "failure",
    JobState.CANCELLED: "failure",
}


async def convert(request: Request) -> Response:
    started = time.monotonic()
    job_id, formats = await _submit(request)
    return await _document(await wait_for(request, job_id), formats, time.monotonic() - started)


async def convert_later(request: Request) -> Response:
    job_id, _ = await _submit(request)
    row = await backend_of(request).read(lambda log: log.find(job_id))
    return JSONResponse(_task(row))


async def poll(request: Request) -> Response:
    seconds = parse_number(request.query_params, "wait", 0, MAX_WAIT_SECONDS)
    row = await _row(request)
    return JSONResponse(_task(await backend_of(request).events.wait_for_end(row["id"], seconds)))


async def show_result(request: Request) -> Response:
    row = await _row(request)
    if not JobState(row["state"]).is_final:
        raise WebError(404, "not_ready", "Task result not found. Please wait for a completion status.")
    found = await finished(backend_of(request), row)
    return await _document(found, _FORMATS, row["run_seconds"] or 0.0)


async def _submit(request: Request) -> tuple[str, Collection[str]]:
    """Submit the file of the form; return the job and the formats of the response."""
    backend = backend_of(request)
    backend.require_daemon()
    async with received_form(request, backend.receiver, {"files"}) as form:
        formats = _formats(form)
        if (target := form.get("target_type", "inbody")) != "inbody":  # docling's client asks for others first
            what = (
                f"target_type={target[:100]!r} requires artifact storage to be configured, which inboxd does not have."
            )
            raise WebError(422, "unsupported", what, "Input should be 'inbody'.")
        return await submit(backend, only_file(form), {}), formats


def _formats(form: Form) -> Collection[str]:
    wanted = form.fields.get("to_formats", ["md"])
    found = [each for each in _FORMATS if each in wanted]
    if not found:
        raise WebError(422, "unsupported", f"Of to_formats, inboxd knows {', '.join(_FORMATS)}.")
    return found


async def _row(request: Request) -> JobRow:
    """Find the job of a task, by its complete id, among the jobs that clients of these APIs submitted."""
    task = request.path_params["task"]
    try:
        row = await backend_of(request).read(lambda log: log.find(task))
    except UsageError:
        row = None
    if row is None or row["id"] != task or row["folder"] != FOLDER:
        raise WebError(404, "not_found", "Task not found.")
    return row


def _task(row: JobRow) -> dict[str, object]:
    return {
        "task_id": row["id"],
        "task_type": "convert",
        "task_status": "failure" if _is_unread(row) else _STATUS[JobState(row["state"])],
        "task_position": None,
        "task_meta": None,
        "error_message": row["error"],
    }


def _is_unread(row: JobRow) -> bool:
    """True if there was no recipe for the file."""
    return row["state"] == JobState.DONE and row["recipe"] is None


async def _document(found: Finished, formats: Collection[str], seconds: float) -> Response:
    markdown, text = await found.text(".md", ".txt"), await found.text(".txt", ".md")
    if text is None:
        what = f"The recipe {found.row['recipe']} wrote no text."
        raise WebError(422, "no_text", what, headers=found.headers)
    name = found.row["file"].rsplit("/", 1)[-1]
    document = {
        "filename": name,
        "md_content": markdown if "md" in formats else None,
        "text_content": text if "text" in formats else None,
        "json_content": to_document(name, markdown or text) if "json" in formats else None,
        "html_content": None,
        "doctags_content": None,
    }
    answer = {"document": document, "status": "success", "errors": [], "processing_time": round(seconds, 3)}
    return JSONResponse({**answer, "timings": {}}, headers=found.headers)


async def refuse_addresses(_: Request) -> Response:
    """Refuse a request to fetch a file from the Internet, as docling-serve would."""
    raise WebError(422, "unsupported", "inboxd does not fetch files by URL.", "Send the file to /v1/convert/file.")


async def version(_: Request) -> Response:
    return JSONResponse({"inboxd": __version__})


ROUTES = [
    Route("/v1/convert/file", convert, methods=["POST"]),
    Route("/v1/convert/file/async", convert_later, methods=["POST"]),
    Route("/v1/convert/source", refuse_addresses, methods=["POST"]),
    Route("/v1/convert/source/async", refuse_addresses, methods=["POST"]),
    Route("/v1/status/poll/{task}", poll),
    Route("/v1/result/{task}", show_result),
    Route("/version", version),
]
