"""API v1: uploads, which become jobs."""

import json
import re
import time
from collections.abc import Mapping

from pydantic import JsonValue
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from daemon.core.errors import InboxdError, UsageError
from daemon.web.api.jobs import MAX_WAIT_SECONDS, job_document, parse_number
from daemon.web.backend import Backend, UploadOptions, backend_of
from daemon.web.errors import WebError, translate
from daemon.web.forms import receive_part, received_body, received_form
from daemon.web.uploads import Upload

_OFFSET = "Upload-Offset"
_JOB = "X-Inboxd-Job"


def parse_upload_options(request: Request, fields: Mapping[str, str], *, folder: str = "") -> UploadOptions:
    """Read the options of an upload from the fields of a form, or from the parameters of a request.

    Raises:
        WebError: a value is invalid.
    """
    options = _parse_options(fields.get("options", ""))
    if recipe := fields.get("recipe", ""):
        options["recipe"] = recipe
    priority = fields.get("priority", "")
    if priority and not re.fullmatch(r"-?\d{1,7}", priority, re.ASCII):
        raise WebError(400, "bad_parameter", f"priority={priority[:100]!r} is not an integer.")
    return UploadOptions(
        folder=fields.get("folder", folder).strip("/"),
        options=options,
        priority=int(priority) if priority else None,
        prompt=fields.get("prompt", ""),
        password=fields.get("password", ""),
        source="web" if "sec-fetch-site" in request.headers else "api",  # only browsers send it
    )


def _parse_options(text: str) -> dict[str, JsonValue]:
    try:
        options = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        options = None
    if not isinstance(options, dict):
        fix = 'Write a JSON object, such as {"language": "de"}.'
        raise WebError(400, "bad_parameter", f"options={text[:100]!r} is not valid.", fix)
    return options


async def upload_form(request: Request) -> Response:
    """Upload a form with any number of files in the field `file`."""
    backend = backend_of(request)
    backend.require_daemon()
    taken: list[str] = []
    refused: list[tuple[str, WebError]] = []
    async with received_form(request, backend.receiver, {"file"}) as form:
        options = parse_upload_options(request, {name: values[-1] for name, values in form.fields.items()})
        if not form.files:
            raise WebError(400, "no_file", "The form has no file.", "Send files in the field `file`.")
        for _, upload in form.files:
            try:
                taken.append(await backend.submit(upload, options))
            except InboxdError as error:
                refused.append((upload.name, _refusal(error)))
    if not taken:
        raise refused[0][1]
    until = time.monotonic() + _wait_seconds(request)  # for all of them
    answer = {
        "jobs": [await _answer(request, backend, job_id, until - time.monotonic()) for job_id in taken],
        "refused": [{"file": name, "error": error.what, "fix": error.fix} for name, error in refused],
    }
    return JSONResponse(answer, 201, {_JOB: ",".join(taken)})


def _refusal(error: InboxdError) -> WebError:
    """Turn the daemon's refusal of a submission into an error of the client, because its sender can correct it."""
    shown = translate(error)
    return WebError(422, "refused", shown.what, shown.fix) if shown.code == "refused" else shown


def _wait_seconds(request: Request) -> float:
    return parse_number(request.query_params, "wait", 0, MAX_WAIT_SECONDS)


async def _answer(request: Request, backend: Backend, job_id: str, seconds: float) -> dict[str, object]:
    """Describe the job of an upload, once the job has ended or after `seconds` at the latest."""
    row = await backend.events.wait_for_end(job_id, seconds)
    return await job_document(request, backend, row)


async def upload_file(request: Request) -> Response:
    """Upload a raw body as one file. To send it in several parts, name the upload by a UUID in `upload`."""
    backend = backend_of(request)
    folder, _, name = request.path_params["name"].rpartition("/")
    options = parse_upload_options(request, request.query_params, folder=folder)
    if upload_id := _upload_id(request):
        return await _upload_part(request, backend, options, name, upload_id)
    backend.require_daemon()
    async with received_body(request, backend.receiver, name) as upload:
        return await _submitted(request, backend, upload, options)


async def _submitted(request: Request, backend: Backend, upload: Upload, options: UploadOptions) -> Response:
    try:
        job_id = await backend.submit(upload, options)
    except InboxdError as error:
        raise _refusal(error) from error
    return JSONResponse(await _answer(request, backend, job_id, _wait_seconds(request)), 201, {_JOB: job_id})


async def _upload_part(
    request: Request, backend: Backend, options: UploadOptions, name: str, upload_id: str
) -> Response:
    if await _is_job(backend, upload_id):  # the response to the last part was lost, so the client has sent it again
        return JSONResponse(await _answer(request, backend, upload_id, _wait_seconds(request)), 200, {_JOB: upload_id})
    first, end, total = _content_range(request)
    if total > backend.receiver.max_bytes:
        raise WebError(413, "too_large", f"The upload is larger than {backend.receiver.max_bytes} bytes.")
    backend.require_daemon()
    with backend.receiver.resumed(name, upload_id) as upload:
        if first != upload.size_bytes:
            fix = f"Continue at byte {upload.size_bytes}."
            headers = {_OFFSET: str(upload.size_bytes)}
            if upload.size_bytes == 0:
                upload.discard()
            raise WebError(409, "wrong_offset", f"The upload has {upload.size_bytes} bytes so far.", fix, headers)
        await receive_part(request, backend.receiver, upload)
        if upload.size_bytes != end:
            upload.discard()
            raise WebError(400, "wrong_length", "The body does not have the length that Content-Range states.")
        if upload.size_bytes < total:
            upload.close()
            return JSONResponse({"received_bytes": end}, 202, {_OFFSET: str(end)})
        await upload.finish()
        return await _submitted(request, backend, upload, options)


def _content_range(request: Request) -> tuple[int, int, int]:
    """Offsets of the first byte and after the last byte of this part, and the size of the complete file, in bytes."""
    text = request.headers.get("content-range", "")
    found = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", text, re.ASCII)
    if not found or not int(found[1]) <= int(found[2]) < int(found[3]):
        fix = "Write it as: Content-Range: bytes 0-1048575/4194304"
        raise WebError(400, "bad_range", "An upload in parts needs a Content-Range header.", fix)
    return int(found[1]), int(found[2]) + 1, int(found[3])


async def upload_offset(request: Request) -> Response:
    """Show how many bytes of an upload in parts have arrived."""
    backend = backend_of(request)
    upload_id = _upload_id(request)
    if await _is_job(backend, upload_id):
        return Response(status_code=200, headers={_JOB: upload_id})
    size = backend.receiver.size_of(upload_id)
    return Response(status_code=404) if size is None else Response(status_code=200, headers={_OFFSET: str(size)})


def _upload_id(request: Request) -> str:
    """The UUID of an upload in parts, in lower case as the daemon writes it: some programs write capital letters."""
    return request.query_params.get("upload", "").lower()


async def _is_job(backend: Backend, upload_id: str) -> bool:
    try:
        row = await backend.read(lambda log: log.find(upload_id))
    except UsageError:
        return False
    return row["id"] == upload_id


class _AnyName(PathConvertor):
    """A file name in a path, which may contain any character, even a line feed."""

    regex = r"[\s\S]*"


register_url_convertor("any", _AnyName())
ROUTES = [
    Route("/api/v1/files", upload_form, methods=["POST"]),
    Route("/api/v1/files/{name:any}", upload_offset, methods=["HEAD"]),
    Route("/api/v1/files/{name:any}", upload_file, methods=["PUT"]),
]
