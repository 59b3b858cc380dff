"""The page of one job: the original beside the result."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daemon.files import corrected_files
from daemon.files.flat import shown
from daemon.queue.rows import EventRow, JobRow
from daemon.results import document_files, documents, result_files
from daemon.server import api
from daemon.web.api.jobs import file_href, find_row
from daemon.web.backend import Backend, backend_of
from daemon.web.errors import WebError
from daemon.web.pages import correction_view, document_view, follow_up, rows
from daemon.web.pages.formats import Formats, clock_of
from daemon.web.pages.templating import base_of, formats_of, render_values, status_of

_LABELS = {".xlsx": "Excel", ".md": "Markdown", ".txt": "Text"}
_ORDER = (".xlsx", ".csv", ".ofx", ".srt", ".vtt", ".txt", ".md", ".tsv", ".json")
_MOST_PAGE_LINKS = 40

Loaded = tuple[result_files.Result | None, documents.Document | None, str | None]  # with its document, or its text


@dataclass(frozen=True, kw_only=True)
class Link:
    """A file to download."""

    href: str
    label: str
    size: str


async def job_page(request: Request) -> Response:
    backend, row = backend_of(request), await find_row(request)
    loaded = await to_thread.run_sync(_load, row, backend, correction_view.is_as_read(request))
    events = await backend.read(lambda log: log.events(row["id"]))
    status = await status_of(backend)
    around = {
        "tab": "jobs",
        "reviews": await backend.reviews(),
        "available": status is not None,
        "closed": status.closed if status else None,
    }

    def render() -> Response:  # in a thread: a long transcript takes seconds, and other requests must not wait for it
        return render_values(request, "job.html", _values(request, row, loaded, events) | around)

    return await to_thread.run_sync(render)


def _values(request: Request, row: JobRow, loaded: Loaded, events: Sequence[EventRow]) -> dict[str, object]:
    """The values of the template."""
    backend, formats = backend_of(request), formats_of(request)
    result, document, text = loaded
    pages = min(row["pages"] or 1, 10_000)
    page = _page_number(request, pages, document_view.first_page(document))
    has_original = result is not None and result.original is not None
    values: dict[str, object] = {
        "row": row,
        "job": rows.listed(row, formats, backend.events.running),
        "made": _made(row, document, formats),
        "reasons": _reasons(row, result, document),
        "note": (result.facts.get("note") or "") if result else "",
        "result": result,
        "document": document,
        "text": text,
        "text_lines": [],
        "boxes": [],
        "downloads": list(_downloads(row, result, base_of(request), formats)),
        "original": f"{base_of(request)}/api/v1/jobs/{row['id']}/original" if has_original else "",
        "has_pages": has_original and row["kind"] == "image",
        "pages": pages,
        "page": page,
        "page_links": _page_links(page, pages),
        "can_review": row["state"] == "done" and bool(row["review"]),
        "events": [_step(event, formats) for event in events],
        "details": list(_details(row, result, formats)),
    }
    all_rows = request.query_params.get("rows") == "all"
    values |= document_view.view(document, page, formats, all_rows=all_rows)
    values["all_rows"] = all_rows
    values["can_ask"] = follow_up.can_ask(row, result, backend.settings)
    values["asked"] = follow_up.asked(row, result) if result is not None else ""
    values |= correction_view.view(request, result, document, formats)
    return values


def _load(row: JobRow, backend: Backend, as_read: bool) -> Loaded:
    result = result_files.find(row, backend.settings)
    if result is None or row["state"] != "done":
        return result, None, None
    return result, document_files.load(result, as_read=as_read), document_files.load_text(result, as_read=as_read)


def _reasons(row: JobRow, result: result_files.Result | None, document: documents.Document | None) -> list[str]:
    """The reasons for a review. After a correction of a receipt or an invoice, the checks of the corrected values
    replace those of the values as they were read.
    """
    found = [str(each) for each in json.loads(row["review"] or "[]")]
    if result is None or not isinstance(document, documents.Receipt | documents.Invoice):
        return found
    as_read = document_files.load(result, as_read=True) if result_files.corrections_of(result) else None
    if not isinstance(as_read, documents.Receipt | documents.Invoice) or as_read == document:
        return found
    return [*document.reasons, *(each for each in found if each not in as_read.reasons)]


def _page_number(request: Request, pages: int, first: int) -> int:
    text = request.query_params.get("page", str(first))
    return min(max(1, int(text)), pages) if text.isascii() and text.isdecimal() and len(text) < 9 else 1


def _page_links(page: int, pages: int) -> Sequence[int]:
    first = max(1, min(page - _MOST_PAGE_LINKS // 2, pages - _MOST_PAGE_LINKS + 1))
    return range(first, min(pages, first + _MOST_PAGE_LINKS - 1) + 1)


def _made(row: JobRow, document: documents.Document | None, formats: Formats) -> str:
    """The line below the name: the amount of work, and its duration."""
    if row["state"] != "done" or row["run_seconds"] is None:
        return ""
    took = f"{formats.number(round(row['run_seconds'], 1 if row['run_seconds'] < 10 else 0))} s"
    if row["media_seconds"]:
        language = document.language if isinstance(document, documents.Transcript) else None
        spoken = formats.language_name(language) if language else ""
        return f"{clock_of(row['media_seconds'])} of sound, transcribed in {took}" + (f" · {spoken}" if spoken else "")
    pages = row["pages"]
    return f"{pages} page{'s' if pages != 1 else ''} read in {took}" if pages else f"done in {took}"


def _downloads(row: JobRow, result: result_files.Result | None, base: str, formats: Formats) -> Iterator[Link]:
    if result is None:
        return
    job = f"{base}/api/v1/jobs/{row['id']}"

    def place(file: result_files.ResultFile) -> tuple[int, str]:
        suffix = _suffix(file.name)
        is_document = file.size_bytes is None
        return (100 if is_document else _ORDER.index(suffix) if suffix in _ORDER else 50), file.name

    for file in sorted(result.files, key=place):
        suffix = _suffix(file.name)
        label = file.name if file.size_bytes is None else _LABELS.get(suffix, suffix.removeprefix(".").upper())
        if file.name.endswith(".pages.json"):
            label = "Model's answers"
        if file.name.startswith(f"{corrected_files.FOLDER}/"):
            label = f"Corrected {label}" if file.size_bytes is not None else corrected_files.RECORD
        size = formats.size(file.size_bytes) if file.size_bytes is not None else ""
        yield Link(href=file_href(job, file.name), label=label or file.name, size=size)
    if result.original is not None:
        yield Link(href=f"{job}/original", label="Original", size=formats.size(row["size_bytes"]))


def _suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if stem and dot else ""


@dataclass(frozen=True, kw_only=True)
class Step:
    clock: str
    text: str


def _step(event: EventRow, formats: Formats) -> Step:
    at = datetime.fromtimestamp(event["at"] / 1e6, UTC).isoformat()
    detail = f": {event['detail']}" if event["detail"] else ""
    return Step(clock=formats.clock(at, seconds=True), text=f"{event['event'].capitalize()}{detail}")


def _details(row: JobRow, result: result_files.Result | None, formats: Formats) -> Iterator[tuple[str, str]]:
    facts = (
        ("Recipe", row["recipe"]),
        ("Processor", row["processor"]),
        ("Engine", row["engine"]),
        ("Model", row["model"] if row["model"] != api.NO_MODEL else None),
        ("Device", "CPU" if row["device"] == "cpu" else row["device"]),
        ("Size", formats.size(row["size_bytes"])),
        ("Type", row["media_type"]),
        ("Attempts", str(row["attempts"])),
        ("Received from", row["source"]),
        ("Reason", row["error_kind"]),
        ("Result", shown(row["result_path"] or "")),
        ("SHA-256", row["sha256"]),
        ("Same content as", row["duplicate_of"]),
    )
    yield from ((name, value) for name, value in facts if value)
    options = result.facts.get("options") if result else None
    origins = result.facts.get("options_from") if result else None
    if isinstance(options, dict) and isinstance(origins, dict):
        chosen = [f"{name} = {options[name]}" for name in options if origins.get(name, "default") != "default"]
        if chosen:
            yield "Options", ", ".join(chosen)


# ---------------------------------------------------------------------------------------------- pages


async def page_image(request: Request) -> Response:
    """The picture of a page of the original."""
    backend, row = backend_of(request), await find_row(request)
    result = await to_thread.run_sync(result_files.find, row, backend.settings)
    text = request.path_params["number"]
    if result is None or row["kind"] != "image" or not re.fullmatch(r"[0-9]{1,6}", text):
        raise WebError(404, "no_result", "There is no page to show.")
    number = int(text)
    turn = await to_thread.run_sync(_turn_of, result, number) if row["state"] == "done" else 0
    descriptor = await to_thread.run_sync(result.open_original)
    picture = await backend.previews.page(row["id"], descriptor, number, row["media_type"], turn)
    headers = {"Cache-Control": "private, max-age=3600", "Content-Security-Policy": "default-src 'none'; sandbox"}
    return Response(picture, media_type="image/jpeg", headers=headers)


def _turn_of(result: result_files.Result, number: int) -> int:
    """The degrees by which the processor turned the page before it read it; boxes are places on the turned page."""
    document = document_files.load(result)
    if not isinstance(document, documents.TextPages):
        return 0
    turned = next((page.turned for page in document.pages if page.number == number), 0)
    return turned if turned in (90, 180, 270) else 0


ROUTES = [Route("/jobs/{job}", job_page), Route("/jobs/{job}/pages/{number}", page_image)]
