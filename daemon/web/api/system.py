"""API v1: the state of the daemon and of this process, metrics, and the events as a stream."""

import contextlib
import re
from collections.abc import AsyncIterator
from typing import cast

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from daemon import __version__
from daemon.server import api
from daemon.web.backend import backend_of
from daemon.web.errors import WebError

_STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def health(_: Request) -> Response:
    """Check that this process answers."""
    return JSONResponse({"status": "ok", "version": __version__})


async def index(request: Request) -> Response:
    """Describe this API: its version, and its paths."""
    base = str(request.scope.get("root_path", ""))
    paths = sorted({route.path for route in request.app.routes if getattr(route, "path", "").startswith("/api/v1/")})
    facts = {"name": "inboxd", "version": __version__, "openapi": f"{base}/api/v1/openapi.json"}
    return JSONResponse({**facts, "paths": [f"{base}{path}" for path in paths]})


async def ready(request: Request) -> Response:
    """Check that the daemon answers and the job log can be read, so that uploads would be processed."""
    backend = backend_of(request)
    status = await backend.ask(api.Status(), api.StatusReply, seconds=5)
    await backend.read(lambda log: log.version())
    return JSONResponse({"status": "ready", "version": status.version, "closed": status.closed})


async def status(request: Request) -> Response:
    """Show what the daemon does now."""
    return JSONResponse((await backend_of(request).ask(api.Status(), api.StatusReply)).to_wire())


async def recipes(request: Request) -> Response:
    """Describe the recipes, with the JSON Schemas of their options."""
    return JSONResponse((await backend_of(request).ask(api.Recipes(), api.RecipesReply)).to_wire())


async def metrics(request: Request) -> Response:
    """Show the metrics for Prometheus."""
    from daemon.telemetry import metrics as prometheus

    backend = backend_of(request)
    live = cast(prometheus.Live, (await backend.ask(api.Metrics(), api.MetricsReply)).to_wire())
    settings = backend.settings

    def render() -> str:
        return prometheus.render(live, database=settings.database, saved_totals=settings.totals)

    return PlainTextResponse(await to_thread.run_sync(render), media_type="text/plain; version=0.0.4; charset=utf-8")


async def events(request: Request) -> Response:
    """Stream server-sent events. A client that connects again names the last event that it has seen (Last-Event-ID)."""
    after = _last_event(request)
    if request.method == "HEAD":
        return Response(headers=_STREAM_HEADERS, media_type="text/event-stream")
    stream = backend_of(request).events.listen(after)
    first = await anext(stream)  # before the headers are sent: an error can still be a response of its own

    async def content() -> AsyncIterator[str]:
        async with contextlib.aclosing(stream):
            yield "retry: 2000\n\n"
            yield first.to_wire() if first else ":\n\n"
            async for message in stream:
                yield message.to_wire() if message else ":\n\n"

    return StreamingResponse(content(), media_type="text/event-stream", headers=_STREAM_HEADERS)


def _last_event(request: Request) -> int | None:
    text = request.headers.get("last-event-id") or request.query_params.get("after") or ""
    if not text:
        return None
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise WebError(400, "bad_parameter", f"{text[:100]!r} is not the number of an event.")
    return int(text)


ROUTES = [
    Route("/health", health),
    Route("/api/v1", index),
    Route("/ready", ready),
    Route("/metrics", metrics),
    Route("/api/v1/status", status),
    Route("/api/v1/recipes", recipes),
    Route("/api/v1/events", events),
]
