"""The search: the page of the console, and API v1."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from daemon.core.errors import UsageError
from daemon.search import hits, query
from daemon.web.api.jobs import parse_number
from daemon.web.backend import backend_of
from daemon.web.errors import WebError
from daemon.web.pages.formats import Formats
from daemon.web.pages.templating import base_of, formats_of, render, status_of

_LIMIT, _MOST = 20, 100


def _position(text: str | None) -> int | None:
    """Read the parameter `before`, from which the next page continues.

    Raises:
        WebError: the value is not `next` of a page.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) < 2**63):
        raise WebError(400, "bad_parameter", "`before` has a wrong value.", "Use `next` of the previous page.")
    return int(text)


async def search(request: Request) -> Response:
    """Search the text of all results, newest first."""
    asked = request.query_params
    limit = max(1, int(parse_number(asked, "limit", _LIMIT, _MOST)))
    found = await backend_of(request).searcher.search(
        asked.get("q", ""), before=_position(asked.get("before")), limit=limit
    )
    base = base_of(request)
    results = [_facts(result, base) for result in found.results]
    return JSONResponse(
        {
            "results": results,
            "next": None if found.next is None else str(found.next),
            "indexed": found.indexed,
            "is_complete": found.indexed >= found.total,
        }
    )


def _facts(result: hits.FoundResult, base: str) -> dict[str, object]:
    facts = hits.facts_of(result)
    places = [place_of(result, hit, base) for hit in result.hits]
    listed = facts["hits"]
    assert isinstance(listed, list)
    return {**facts, "hits": [{**hit, "href": href} for hit, href in zip(listed, places, strict=True)]}


def place_of(result: hits.FoundResult, hit: hits.Hit, base: str) -> str:
    """The address in the console of the place where a search found the words."""
    page = f"?page={hit.page}" if hit.page is not None and hit.page > 1 else ""
    return f"{base}/jobs/{result.row['id']}{page}{'#' + hit.anchor if hit.anchor else ''}"


# ---------------------------------------------------------------------------------------------- the page


@dataclass(frozen=True, kw_only=True)
class ShownHit:
    href: str
    place: str  # "page 3", "1:23" or ""
    parts: list[tuple[str, bool]]


@dataclass(frozen=True, kw_only=True)
class ShownResult:
    href: str
    name: str
    folder: str
    received: str
    received_iso: str
    hits: list[ShownHit]
    more: int


async def search_page(request: Request) -> Response:
    backend, formats, base = backend_of(request), formats_of(request), base_of(request)
    text, before = request.query_params.get("q", "")[: query.MAX_CHARS], request.query_params.get("before")
    found, problem = None, ""
    if text:
        try:
            found = await backend.searcher.search(text, before=_position(before), limit=_LIMIT)
        except (WebError, UsageError) as error:
            problem = f"{error.what} {error.fix}"
    status = await status_of(backend)
    following = urlencode({"q": text, "before": found.next}) if found and found.next is not None else None
    return render(
        request,
        "search.html",
        tab="search",
        text=text,
        problem=problem,
        results=list(_shown(found, base, formats)) if found else [],
        is_searched=found is not None,
        older=f"{base}/search?{following}" if following else None,
        missing=max(0, found.total - found.indexed) if found else 0,
        reviews=await backend.reviews(),
        available=status is not None,
        closed=status.closed if status else None,
    )


def _shown(found: hits.Found, base: str, formats: Formats) -> Iterator[ShownResult]:
    for result in found.results:
        row = result.row
        yield ShownResult(
            href=f"{base}/jobs/{row['id']}",
            name=row["file"].rpartition("/")[2],
            folder=row["folder"],
            received=formats.moment(row["received_at"]),
            received_iso=row["received_at"],
            hits=[
                ShownHit(href=place_of(result, hit, base), place=hit.place, parts=list(hit.parts))
                for hit in result.hits
            ],
            more=result.more,
        )


API = [Route("/api/v1/search", search)]
PAGES = [Route("/search", search_page)]
