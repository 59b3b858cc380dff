"""Open WebUI's external document loader: PUT /process with the file as the body.

Open WebUI: Admin settings, Documents, content extraction engine "External", with the address of `inboxd web` and the
token as the key. It expects {"page_content", "metadata"}; see open_webui/retrieval/loaders/external_document.py.
"""

from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from daemon.web.backend import backend_of
from daemon.web.compat.work import Finished, submit, wait_for
from daemon.web.errors import WebError
from daemon.web.forms import received_body

_NO_TEXT = "No extractable text."  # Open WebUI looks for these words


async def process(request: Request) -> Response:
    backend = backend_of(request)
    backend.require_daemon()
    name = unquote(request.headers.get("x-filename", "")) or "document"
    async with received_body(request, backend.receiver, name) as upload:
        if upload.size_bytes == 0:
            raise WebError(422, "empty", f"{_NO_TEXT} The file is empty.")
        shown = upload.name
        job_id = await submit(backend, upload, {})
    finished = await _finished(request, job_id)
    text = await finished.text(".md", ".txt")
    if text is None or not text.strip():
        raise WebError(422, "no_text", _NO_TEXT, headers=finished.headers)
    row = finished.row
    metadata = {"source": shown, "job": job_id, "recipe": row["recipe"], "pages": row["pages"], "review": row["review"]}
    metadata = {name: value for name, value in metadata.items() if value is not None}
    return JSONResponse({"page_content": text, "metadata": metadata}, headers=finished.headers)


async def _finished(request: Request, job_id: str) -> Finished:
    """Wait until the job is done. If the file has no text, the error contains the words on which Open WebUI reads the
    file itself.
    """
    try:
        return await wait_for(request, job_id)
    except WebError as error:
        if error.status == 422:
            raise WebError(422, error.code, f"{_NO_TEXT} {error.what}", error.fix, error.headers) from error
        raise


ROUTES = [Route("/process", process, methods=["PUT"])]
