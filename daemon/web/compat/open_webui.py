"""Open WebUI's external document loader: PUT /process with the file as the body.

Open WebUI: Admin settings, Documents, content extraction engine "External", with the address of `inboxd web` and the
token as the key. It expects {"page_content", "metadata"}; see open_webui/retrieval/loaders/external_document.py.
"""

from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from daemon.web.backend import backend_of
from daemon.web.compat.work import submit, wait_for
from daemon.web.errors import WebError
from daemon.web.forms import received_body


async def process(request: Request) -> Response:
    backend = backend_of(request)
    backend.require_daemon()
    name = unquote(request.headers.get("x-filename", "")) or "document"
    async with received_body(request, backend.receiver, name) as upload:
        if upload.size_bytes == 0:
            raise WebError(422, "empty", "The file is empty.")
        shown = upload.name
        job_id = await submit(backend, upload, {})
    finished = await wait_for(request, job_id)
    text = await finished.text(".md", ".txt")
    if text is None or not text.strip():
        raise WebError(422, "no_text", "No extractable text.", headers=finished.headers)
    row = finished.row
    metadata = {"source": shown, "job": job_id, "recipe": row["recipe"], "pages": row["pages"], "review": row["review"]}
    metadata = {name: value for name, value in metadata.items() if value is not None}
    return JSONResponse({"page_content": text, "metadata": metadata}, headers=finished.headers)


ROUTES = [Route("/process", process, methods=["PUT"])]
