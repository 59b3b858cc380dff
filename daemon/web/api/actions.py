"""API v1: commands that change jobs or the daemon, which the daemon carries out."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from daemon.web.api.jobs import find_row
from daemon.web.backend import backend_of
from daemon.web.commands import act_on_daemon, act_on_job


async def retry(request: Request) -> Response:
    """Queue a failed or cancelled job again."""
    return await _act_on_job(request, "retry")


async def cancel(request: Request) -> Response:
    """Cancel a waiting or running job."""
    return await _act_on_job(request, "cancel")


async def reviewed(request: Request) -> Response:
    """Record that a person has reviewed the result."""
    return await _act_on_job(request, "reviewed")


async def unreviewed(request: Request) -> Response:
    """Record that the result still needs a review."""
    return await _act_on_job(request, "unreviewed")


async def _act_on_job(request: Request, action: str) -> Response:
    row = await find_row(request)
    return JSONResponse((await act_on_job(backend_of(request), action, row["id"])).to_wire())


async def pause(request: Request) -> Response:
    """Start no more jobs until the daemon is resumed."""
    return JSONResponse((await act_on_daemon(backend_of(request), "pause")).to_wire())


async def resume(request: Request) -> Response:
    """Start jobs again."""
    return JSONResponse((await act_on_daemon(backend_of(request), "resume")).to_wire())


async def unload(request: Request) -> Response:
    """Unload the models that no job is using, to free their memory."""
    return JSONResponse((await act_on_daemon(backend_of(request), "unload")).to_wire())


ROUTES = [
    Route("/api/v1/jobs/{job}/retry", retry, methods=["POST"]),
    Route("/api/v1/jobs/{job}/cancel", cancel, methods=["POST"]),
    Route("/api/v1/jobs/{job}/reviewed", reviewed, methods=["POST"]),
    Route("/api/v1/jobs/{job}/unreviewed", unreviewed, methods=["POST"]),
    Route("/api/v1/pause", pause, methods=["POST"]),
    Route("/api/v1/resume", resume, methods=["POST"]),
    Route("/api/v1/unload", unload, methods=["POST"]),
]
