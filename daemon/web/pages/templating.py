"""Renders the pages of the console, with HTML escaping, and with formats and colors that the browser asks for."""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from urllib.parse import urlencode

import jinja2
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from daemon.core.errors import InboxdError
from daemon.server import api
from daemon.web.backend import Backend, backend_of
from daemon.web.errors import WebError
from daemon.web.pages.formats import Formats, locale_of

STATIC = Path(__file__).parents[1] / "static"
_LOOKS = ("auto", "light", "dark")


def _icon(name: str, css: str = "", label: str = "") -> Markup:
    role = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    return Markup('<svg class="{}" {}><use href="#i-{}"/></svg>').format(f"i {css}".strip(), role, name)


def _state(of: object) -> Markup:
    return Markup('<span class="state {}">{} <span class="t">{}</span></span>').format(
        getattr(of, "css", ""), _icon(getattr(of, "icon", "")), getattr(of, "word", "")
    )


_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(STATIC.parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
)
_TEMPLATES.globals.update(icon=_icon, state=_state)


@cache
def _version_of(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def formats_of(request: Request) -> Formats:
    return Formats(locale_of(request.headers.get("accept-language", "")))


def base_of(request: Request) -> str:
    """The path below which the console is served; "" is the top."""
    return str(request.scope.get("root_path", ""))


def render(request: Request, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    return render_values(request, template, values, status=status)


def render_values(request: Request, template: str, values: Mapping[str, object], *, status: int = 200) -> HTMLResponse:
    base = base_of(request)
    look = request.cookies.get("look", "auto")
    backend = backend_of(request)
    context: Mapping[str, object] = {
        "base": base,
        "static": lambda name: f"{base}/static/{name}?v={_version_of(name)}",
        "look": look if look in _LOOKS else "auto",
        "formats": formats_of(request),
        "needs_token": backend.access.needs_token,
        "available": backend.events.is_available is not False,
        "closed": None,
        "reviews": 0,
        "tab": "",
        **values,
    }
    page = _TEMPLATES.get_template(template).render(context)
    return HTMLResponse(page.encode(errors="replace"), status)  # people edit results: half of a surrogate pair


def wants_page(request: Request) -> bool:
    """True for a browser that opens an address, False for a program or a script."""
    is_navigation = request.headers.get("sec-fetch-mode", "navigate") == "navigate"
    return is_navigation and "text/html" in request.headers.get("accept", "")


def error_page(request: Request, error: WebError) -> Response:
    """An error as a page; a missing token leads to the sign-in."""
    if error.status == 401 and request.method == "GET":
        path = request.scope["path"].removeprefix(base_of(request))
        return RedirectResponse(f"{base_of(request)}/login?{_return_to(path, request.url.query)}", 303)
    if error.status in (421, 403):  # not even the frame of the console
        return HTMLResponse(
            Markup("<!doctype html><title>inboxd</title><p>{} {}</p>").format(error.what, error.fix), 403
        )
    response = render(request, "error.html", status=error.status, error=error)
    response.headers.update(error.headers)
    return response


def _return_to(path: str, query: str) -> str:
    return urlencode({"to": f"{path}?{query}" if query else path})


async def status_of(backend: Backend) -> api.StatusReply | None:
    """The status of the daemon; None: the daemon is unavailable."""
    try:
        return await backend.ask(api.Status(), api.StatusReply, seconds=5)
    except InboxdError:
        return None
