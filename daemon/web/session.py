"""Sign-in, sign-out, and the actions of the console's buttons in a browser without scripts."""

from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from daemon.server import api
from daemon.web import submit
from daemon.web.actions import act_on_daemon
from daemon.web.auth import COOKIE, SESSION_SECONDS, address_of
from daemon.web.backend import backend_of
from daemon.web.errors import WebError
from daemon.web.jobs import find_row
from daemon.web.templating import base_of, render

_MAX_FORM_BYTES = 16 * 1024


async def login_page(request: Request) -> Response:
    if not backend_of(request).access.needs_token:
        return RedirectResponse(f"{base_of(request)}/", 303)
    return render(request, "login.html", to=request.query_params.get("to", "/"), problem="")


async def login(request: Request) -> Response:
    """Set the cookie, if the token is right."""
    fields = await small_form(request)
    access, to = backend_of(request).access, fields.get("to", "/")
    try:
        is_right = access.is_token(fields.get("token", "").strip(), address_of(request))
        problem = "" if is_right else "The token is wrong. Copy the complete line from the file."
    except WebError as error:
        problem = str(error)
    if problem:
        return render(request, "login.html", status=401, to=to, problem=problem)
    is_local = to.startswith("/") and not to.startswith(("//", "/\\"))
    response = RedirectResponse(base_of(request) + (to if is_local else "/"), 303)
    response.set_cookie(
        COOKIE,
        access.session(),
        max_age=SESSION_SECONDS if fields.get("stay") else None,
        path=f"{base_of(request)}/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response


async def logout(request: Request) -> Response:
    response = RedirectResponse(f"{base_of(request)}/login", 303)
    response.delete_cookie(COOKIE, path=f"{base_of(request)}/")
    return response


async def small_form(request: Request) -> dict[str, str]:
    """The fields of a small form; an empty field is "".

    Raises:
        WebError: it is too long.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > _MAX_FORM_BYTES:
            raise WebError(413, "too_large", "The form is too long.")
    return {
        name: values[-1]
        for name, values in parse_qs(content.decode("utf-8", "replace"), keep_blank_values=True).items()
    }


# ---------------------------------------------------------------------------------------------- buttons


async def act_on_job(request: Request) -> Response:
    """Carry out a command for a job, and show the job."""
    row = await find_row(request)
    backend = backend_of(request)
    match request.path_params["action"]:
        case "retry":
            reply = await backend.ask(api.Retry(job=row["id"]), api.RetryReply)
            if reply.refused:
                raise WebError(409, "refused", reply.refused[0].why)
        case "cancel":
            await backend.ask(api.Cancel(job=row["id"]), api.CancelReply)
        case "reviewed" | "unreviewed" as action:
            command = api.Reviewed(job=row["id"], reviewed=action == "reviewed")
            await backend.ask(command, api.ReviewedReply)
        case _:
            raise WebError(404, "not_found", "There is no such action.")
    return RedirectResponse(f"{base_of(request)}/jobs/{row['id']}", 303)


async def act(request: Request) -> Response:
    """Carry out a command for the daemon, and show the system."""
    await act_on_daemon(backend_of(request), request.path_params["action"])
    return RedirectResponse(f"{base_of(request)}/system", 303)


async def upload(request: Request) -> Response:
    """Upload the files of the form, and show the list."""
    await submit.upload_form(request)
    return RedirectResponse(f"{base_of(request)}/", 303)


ROUTES = [
    Route("/login", login_page),
    Route("/login", login, methods=["POST"]),
    Route("/logout", logout, methods=["POST"]),
    Route("/upload", upload, methods=["POST"]),
    Route("/jobs/{job}/{action}", act_on_job, methods=["POST"]),
    Route("/actions/{action}", act, methods=["POST"]),
]
