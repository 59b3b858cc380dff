"""The console's buttons in a browser without scripts: each acts, and then shows the page again."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from daemon.web.api import submit
from daemon.web.api.jobs import find_row
from daemon.web.backend import backend_of
from daemon.web.commands import act_on_daemon, act_on_job
from daemon.web.pages.templating import base_of


async def job_button(request: Request) -> Response:
    """Carry out a command for a job, and show the job."""
    row = await find_row(request)
    await act_on_job(backend_of(request), request.path_params["action"], row["id"])
    return RedirectResponse(f"{base_of(request)}/jobs/{row['id']}", 303)


async def daemon_button(request: Request) -> Response:
    """Carry out a command for the daemon, and show the system."""
    await act_on_daemon(backend_of(request), request.path_params["action"])
    return RedirectResponse(f"{base_of(request)}/system", 303)


async def upload(request: Request) -> Response:
    """Upload the files of the form, and show the list."""
    await submit.upload_form(request)
    return RedirectResponse(f"{base_of(request)}/", 303)


ROUTES = [
    Route("/upload", upload, methods=["POST"]),
    Route("/jobs/{job}/{action}", job_button, methods=["POST"]),
    Route("/actions/{action}", daemon_button, methods=["POST"]),
]
