"""API v1: commands that change jobs or the daemon, which the daemon carries out."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from daemon.server import api
from daemon.web.backend import Backend, backend_of
from daemon.web.errors import WebError
from daemon.web.jobs import find_row


async def retry(request: Request) -> Response:
    """Queue a failed or cancelled job again."""
    row = await find_row(request)
    reply = await backend_of(request).ask(api.Retry(job=row["id"]), api.RetryReply)
    if reply.refused:
        raise WebError(409, "refused", reply.refused[0].why)
    return JSONResponse(reply.to_wire())


async def cancel(request: Request) -> Response:
    """Cancel a waiting or running job."""
    row = await find_row(request)
    return JSONResponse((await backend_of(request).ask(api.Cancel(job=row["id"]), api.CancelReply)).to_wire())


async def reviewed(request: Request) -> Response:
    """Record that a person has reviewed the result."""
    return await _review(request, is_reviewed=True)


async def unreviewed(request: Request) -> Response:
    """Record that the result still needs a review."""
    return await _review(request, is_reviewed=False)


async def _review(request: Request, *, is_reviewed: bool) -> Response:
    row = await find_row(request)
    command = api.Reviewed(job=row["id"], reviewed=is_reviewed)
    return JSONResponse((await backend_of(request).ask(command, api.ReviewedReply)).to_wire())


async def pause(request: Request) -> Response:
    """Stop starting jobs."""
    return JSONResponse((await act_on_daemon(backend_of(request), "pause")).to_wire())


async def resume(request: Request) -> Response:
    """Start jobs again."""
    return JSONResponse((await act_on_daemon(backend_of(request), "resume")).to_wire())


async def unload(request: Request) -> Response:
    """Free the memory of the models that have no job."""
    return JSONResponse((await act_on_daemon(backend_of(request), "unload")).to_wire())


async def act_on_daemon(backend: Backend, action: str) -> api.Reply:
    """Pause, resume or unload.

    Raises:
        NotRunning, Refused: see `Backend.ask`.
    """
    match action:
        case "pause":
            return await backend.ask(api.Pause(reason=""), api.PauseReply)
        case "resume":
            return await backend.ask(api.Resume(), api.ResumeReply)
        case "unload":
            return await backend.ask(api.Unload(), api.UnloadReply)
    raise WebError(404, "not_found", "There is no such action.")


ROUTES = [
    Route("/api/v1/jobs/{job}/retry", retry, methods=["POST"]),
    Route("/api/v1/jobs/{job}/cancel", cancel, methods=["POST"]),
    Route("/api/v1/jobs/{job}/reviewed", reviewed, methods=["POST"]),
    Route("/api/v1/jobs/{job}/unreviewed", unreviewed, methods=["POST"]),
    Route("/api/v1/pause", pause, methods=["POST"]),
    Route("/api/v1/resume", resume, methods=["POST"]),
    Route("/api/v1/unload", unload, methods=["POST"]),
]
