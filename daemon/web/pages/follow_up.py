"""A further question about a document: a new job with the same original, and with the earlier questions as context."""

import os
from pathlib import Path

from anyio import to_thread
from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from daemon.config.settings import Settings
from daemon.queue.rows import JobRow
from daemon.results import document_files, result_files
from daemon.results.result_files import Result
from daemon.web.api.jobs import find_row, job_document
from daemon.web.backend import UploadOptions, backend_of
from daemon.web.compat.work import has_option, recipes_for
from daemon.web.errors import WebError
from daemon.web.pages.templating import base_of
from daemon.web.small_bodies import small_form
from processors.contract import Kind

RECIPE = "ask"
_MAX_QUESTION_BYTES = 4 * 1024
_MAX_CONTEXT_CHARS = 8000  # a prompt has at most 16 KiB: see processors/vlm/prompts.py
_MAX_PROMPT_BYTES = 15 * 1024
_CHUNK_BYTES = 1 << 20
_ANSWERED, _ASKED = "The answer was:", "The question was:"
_BEFORE, _NOW = "Earlier, about the same document:", "Answer this question now:"


def can_ask(row: JobRow, result: Result | None, settings: Settings) -> bool:
    """True if a person can ask a question about the document of a job."""
    has_document = result is not None and result.original is not None and row["state"] == "done"
    is_known = RECIPE in recipes_for(settings, Kind.IMAGE) and has_option(settings, RECIPE, "prompt")
    return has_document and row["kind"] == "image" and is_known


def prompt_for(question: str, before: str, answer: str) -> str:
    """The prompt of a question. before: the prompt of the previous question, with its context; "": there was none."""
    if not before:
        return question
    context = before.removeprefix(f"{_BEFORE}\n\n").replace(f"{_NOW}\n", f"{_ASKED}\n")
    if _ASKED not in context:
        context = f"{_ASKED}\n{context}"
    whole = f"{context}\n\n{_ANSWERED}\n{answer.strip()}"[-_MAX_CONTEXT_CHARS:]
    whole = whole.encode()[-(_MAX_PROMPT_BYTES - _MAX_QUESTION_BYTES) :].decode(errors="ignore")
    return f"{_BEFORE}\n\n{whole}\n\n{_NOW}\n{question}"


async def _ask(request: Request, row: JobRow, question: str) -> str:
    """Submit a question about the document of a job; return the id of the new job.

    Raises:
        WebError: the question is empty or too long, or there is no document to ask about.
        NotRunning, Refused: the daemon did not take the document.
    """
    backend = backend_of(request)
    question = question.strip()
    if not question or len(question.encode("utf-8", "replace")) > _MAX_QUESTION_BYTES:
        raise WebError(400, "bad_parameter", f"Ask a question of up to {_MAX_QUESTION_BYTES} bytes.")
    result = await to_thread.run_sync(result_files.find, row, backend.settings)
    if result is None or not can_ask(row, result, backend.settings):
        fix = f"The document must be an image or a PDF that is still there, and the recipe {RECIPE} must exist."
        raise WebError(409, "cannot_ask", "No question can be asked about this job.", fix)
    answer = await to_thread.run_sync(lambda: document_files.load_text(result))
    prompt = prompt_for(question, asked(row, result), answer or "")
    options: dict[str, JsonValue] = {"recipe": RECIPE}
    source = "web" if "sec-fetch-site" in request.headers else "api"
    upload_options = UploadOptions(folder=row["folder"], options=options, prompt=prompt, source=source)
    descriptor = await to_thread.run_sync(result.open_original)
    with os.fdopen(descriptor, "rb") as original:
        async with backend.receiver.slot():
            backend.receiver.check_size(os.fstat(descriptor).st_size)
            upload = backend.receiver.create(Path(row["file"]).name)
            try:
                while chunk := await to_thread.run_sync(original.read, _CHUNK_BYTES):
                    await upload.write(chunk)
                await upload.finish()
                return await backend.submit(upload, upload_options)
            finally:
                upload.discard()


def asked(row: JobRow, result: Result) -> str:
    """The prompt of the job, if it was a question."""
    details = result.facts.get("details")
    prompt = details.get("prompt") if isinstance(details, dict) else None
    return prompt if row["recipe"] == RECIPE and isinstance(prompt, str) and result_files.is_unicode(prompt) else ""


async def ask(request: Request) -> Response:
    """Ask a further question about the document of a job."""
    row = await find_row(request)
    job = await _ask(request, row, (await small_form(request)).get("question", ""))
    backend = backend_of(request)
    new = await backend.read(lambda log: log.find(job))
    return JSONResponse(await job_document(request, backend, new), 201)


async def ask_by_form(request: Request) -> Response:
    """Ask a further question, and show its job."""
    row = await find_row(request)
    job = await _ask(request, row, (await small_form(request)).get("question", ""))
    return RedirectResponse(f"{base_of(request)}/jobs/{job}", 303)


API = [Route("/api/v1/jobs/{job}/ask", ask, methods=["POST"])]
PAGES = [Route("/jobs/{job}/ask", ask_by_form, methods=["POST"])]
