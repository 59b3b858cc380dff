"""Sign-in and sign-out."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from daemon.web.auth import COOKIE, SESSION_SECONDS, address_of
from daemon.web.backend import backend_of
from daemon.web.errors import WebError
from daemon.web.pages.templating import base_of, render
from daemon.web.small_bodies import small_form


async def login_page(request: Request) -> Response:
    if not backend_of(request).access.needs_token:
        return RedirectResponse(f"{base_of(request)}/", 303)
    return render(request, "login.html", to=request.query_params.get("to", "/"), problem="")


async def login(request: Request) -> Response:
    """Sign in: set the session cookie if the token is right."""
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


ROUTES = [
    Route("/login", login_page),
    Route("/login", login, methods=["POST"]),
    Route("/logout", logout, methods=["POST"]),
]
