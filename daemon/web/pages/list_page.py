"""The list of jobs, and its rows alone for a script that updates them in place."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daemon.core.errors import UsageError
from daemon.core.names import is_job_id
from daemon.queue.reader import JobFilter, JobLog
from daemon.queue.rows import JobRow, PagedRow
from daemon.web.api.jobs import cursor_of, parse_cursor
from daemon.web.backend import backend_of
from daemon.web.pages import rows
from daemon.web.pages.templating import base_of, formats_of, render, status_of

_PAGE_ROWS = 60
_MOST_ROWS = 100  # of a request for some
_TABS = (  # name, icon, class, word
    ("", "", "", "All"),
    ("review", "look", "look", "Needs review"),
    ("working", "work", "work", "Working"),
    ("waiting", "wait", "wait", "Waiting"),
    ("failed", "fail", "fail", "Failed"),
    ("done", "done", "done", "Done"),
)
_STATES = {"working": ("running", "publishing"), "waiting": ("queued",), "failed": ("failed",), "done": ("done",)}
_NOTHING: dict[str, int] = {"all": 0, "review": 0, "working": 0, "waiting": 0, "failed": 0, "done": 0}


@dataclass(frozen=True, kw_only=True)
class Tab:
    name: str
    icon: str
    css: str
    word: str
    count: int
    href: str
    is_current: bool


@dataclass(frozen=True, kw_only=True)
class ListQuery:
    """The tab, search and filters of the list, from the address of the page."""

    state: str = ""  # of `_TABS`
    q: str = ""
    folder: str = ""
    recipe: str = ""

    @classmethod
    def of(cls, request: Request) -> "ListQuery":
        values = {name: request.query_params.get(name, "")[:200] for name in ("q", "folder", "recipe")}
        state = request.query_params.get("state", "")
        return cls(state=state if state in {name for name, *_ in _TABS} else "", **values)

    @property
    def is_filtered(self) -> bool:
        return bool(self.state or self.q or self.folder or self.recipe)

    def filter(self) -> JobFilter:
        return JobFilter(
            states=_STATES.get(self.state, ()),
            review=self.state == "review",
            file=self.q or None,
            folder=self.folder or None,
            recipe=self.recipe or None,
        )

    def href(self, base: str, **changes: str) -> str:
        values = {"state": self.state, "q": self.q, "folder": self.folder, "recipe": self.recipe, **changes}
        query = urlencode({name: value for name, value in values.items() if value})
        return f"{base}/{'?' + query if query else ''}"


@dataclass(frozen=True, kw_only=True)
class _Found:
    """The rows, counts and names that the list shows, from the job log."""

    rows: list[PagedRow]
    tallies: dict[str, int]
    folders: list[str]
    recipes: list[str]


async def jobs_page(request: Request) -> Response:
    backend, formats, query, base = backend_of(request), formats_of(request), ListQuery.of(request), base_of(request)
    before = parse_cursor(request.query_params.get("before"))

    def read(log: JobLog) -> _Found:
        return _Found(
            rows=log.page(query.filter(), before=before, limit=_PAGE_ROWS + 1),
            tallies=log.tallies(),
            folders=log.recent_folders(),
            recipes=log.recent_recipes(),
        )

    async def found_or_nothing() -> _Found:
        try:
            return await backend.read(read)
        except UsageError:  # there is no job log before the first start of the daemon
            return _Found(rows=[], tallies=_NOTHING, folders=[], recipes=[])

    found, status = await asyncio.gather(found_or_nothing(), status_of(backend))
    settings = backend.settings
    has_older = len(found.rows) > _PAGE_ROWS
    sections = [
        (heading, [rows.listed(row, formats, backend.events.running) for row in of_day])
        for heading, of_day in rows.sections(found.rows[:_PAGE_ROWS], formats)
    ]
    return render(
        request,
        "jobs.html",
        tab="jobs",
        tabs=list(_tabs(query, found.tallies, base)),
        sections=sections,
        query=query,
        is_filtered=query.is_filtered or before is not None,
        folders=sorted(name for name in {*found.folders, *settings.folders} if name),
        recipes=sorted({*found.recipes, *settings.recipes}),
        all_recipes=sorted(settings.recipes),
        inbox_folders=sorted({*settings.folders, *found.folders, ""}),
        older=query.href(base, before=cursor_of(found.rows[_PAGE_ROWS - 1])) if has_older else None,
        inbox=str(settings.inbox),
        upload_max=settings.web.upload_max,
        reviews=found.tallies["review"],
        notice=_notice(request),
        back=query.href("").partition("?")[2],
        available=status is not None,
        closed=status.closed if status else None,
    )


def _notice(request: Request) -> str:
    """The outcome of a command for several jobs, as a sentence for the page."""
    counts = [request.query_params.get(name, "") for name in ("done", "refused")]
    if not all(each.isascii() and each.isdecimal() and len(each) < 5 for each in counts):
        return ""
    done, refused = map(int, counts)
    parts = [f"Done for {done} job{'s' if done != 1 else ''}."]
    if refused:
        why = request.query_params.get("why", "")[:300]
        parts.append(f"Not possible for {refused}: {why}")
    return " ".join(parts)


def _tabs(query: ListQuery, tallies: dict[str, int], base: str) -> Iterator[Tab]:
    for name, icon, css, word in _TABS:
        yield Tab(
            name=name or "all",
            icon=icon,
            css=css,
            word=word,
            count=tallies[name or "all"],
            href=query.href(base, state=name),
            is_current=name == query.state,
        )


async def some_rows(request: Request) -> Response:
    """The rows of the jobs that `ids` names, as the list shows them, and the counts of the tabs."""
    ids = [each for each in request.query_params.get("ids", "").split(",") if is_job_id(each)][:_MOST_ROWS]
    backend, formats = backend_of(request), formats_of(request)

    def read(log: JobLog) -> tuple[list[JobRow], dict[str, int]]:
        return log.some(ids), log.tallies()

    found, tallies = await backend.read(read)
    listed = [rows.listed(row, formats, backend.events.running) for row in found]
    counts = {name: (count, formats.number(count)) for name, count in tallies.items()}
    return render(request, "rows.html", jobs=listed, counts=counts)


ROUTES = [Route("/", jobs_page), Route("/rows", some_rows)]
