"""Builds the web application: its routes, the guard in front of them, and the format of error responses.

To add an API, add its routes to `ROUTES`. If its clients expect errors in another format, add that to `SHAPES`, too.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route

from daemon.config.settings import Settings
from daemon.core.errors import InboxdError
from daemon.web import static_files
from daemon.web.api import actions, jobs, openapi, submit, system
from daemon.web.backend import Backend
from daemon.web.compat import docling, open_webui, openai, openai_chat, whisper_asr
from daemon.web.compat.detail import detail_shape
from daemon.web.errors import Shape, WebError, api_shape, translate
from daemon.web.guard import Guard, add_headers, inner_path
from daemon.web.pages import (
    bulk,
    buttons,
    correction_routes,
    follow_up,
    job_page,
    list_page,
    search,
    session,
    system_page,
)
from daemon.web.pages.templating import STATIC, error_page, wants_page

log = logging.getLogger(__name__)

COMPATIBLE: list[BaseRoute] = [
    *openai.ROUTES,
    *openai_chat.ROUTES,
    *docling.ROUTES,
    *open_webui.ROUTES,
    *whisper_asr.ROUTES,
]
API: list[BaseRoute] = [
    *submit.ROUTES,
    *jobs.ROUTES,
    *actions.ROUTES,
    *bulk.API,
    *correction_routes.API,
    *follow_up.API,
    *search.API,
    *system.ROUTES,
]
ROUTES: list[BaseRoute] = [
    *API,
    openapi.route(API),
    *COMPATIBLE,
    *list_page.ROUTES,
    *job_page.ROUTES,
    *search.PAGES,
    *correction_routes.PAGES,
    *follow_up.PAGES,
    *bulk.PAGES,
    *system_page.ROUTES,
    *session.ROUTES,
    *buttons.ROUTES,
    Mount("/static", static_files.VersionedFiles(directory=STATIC)),
]
OTHERS = ("/v1/convert/", "/v1/status/", "/v1/result/", "/asr", "/detect-language")
SHAPES: Mapping[str, Shape] = {"/": api_shape} | dict.fromkeys(OTHERS, detail_shape)


def build(settings: Settings) -> Starlette:
    """Build the application.

    Raises:
        SetupError: the access token cannot be read or created.
    """
    backend = Backend(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(backend.run)
            yield
            tasks.cancel_scope.cancel()

    app = Starlette(
        routes=ROUTES,
        middleware=[Middleware(Guard, settings=settings, access=backend.access, respond=_shaped)],
        exception_handlers=dict.fromkeys((WebError, HTTPException, InboxdError, OSError, Exception), _respond),
        lifespan=lifespan,
    )
    app.state.backend = backend
    return app


async def _respond(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        error = _of_routing(request, error)
    shown = translate(error)
    level = logging.WARNING if shown.status == 500 else logging.DEBUG
    log.log(level, "%s %s: %s", request.method, request.url.path, error, exc_info=shown.status == 500)
    response = _shaped(request, shown)
    add_headers(response.headers)  # Starlette answers an unexpected error outside the Guard
    return response


def _of_routing(request: Request, error: HTTPException) -> WebError:
    """Convert an error of Starlette's routing: the path does not exist, or does not support the method."""
    if error.status_code != 405:
        return WebError(error.status_code, "not_found" if error.status_code == 404 else "refused", error.detail)
    found = [route for route in ROUTES if isinstance(route, Route) and route.matches(request.scope)[0] != Match.NONE]
    methods = sorted({method for route in found for method in route.methods or ()}) or ["GET", "HEAD"]
    what = f"This path does not support the method {request.method}."
    return WebError(405, "method_not_allowed", what, f"Use {' or '.join(methods)}.", {"Allow": ", ".join(methods)})


def _shaped(request: Request, error: WebError) -> Response:
    """Render an error for the client of a request."""
    path = inner_path(request.scope)
    start = max((start for start in SHAPES if path.startswith(start)), key=len)
    if start == "/" and wants_page(request) and not path.startswith("/api/"):
        return error_page(request, error)
    return SHAPES[start](error)
