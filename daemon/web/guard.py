"""Checks every request before a route sees it.

The guard checks the Host header (against DNS rebinding), the headers Origin and Sec-Fetch-Site (against requests from
other websites) and the access token. It adds the security headers to each response. There is no CORS: no other website
may read a response.
"""

import ipaddress
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.config.settings import Settings
from daemon.web.auth import Access
from daemon.web.errors import WebError

Respond = Callable[[Request, WebError], Response]

_OPEN = ("/health", "/login", "/static/")  # paths that need no token
_READS = {"GET", "HEAD"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """ASGI middleware that answers a forbidden request itself. `respond`: renders the error for the request."""

    def __init__(self, app: ASGIApp, settings: Settings, access: Access, respond: Respond):
        self._app = app
        self._prefix = settings.web.prefix
        self._access = access
        self._respond = respond
        host = settings.web.listen.rpartition(":")[0].strip("[]").lower()
        self._public = {name.lower() for name in settings.web.hosts}
        self._hosts = {"localhost", host, *self._public}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._enter_prefix(scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_headers(MutableHeaders(scope=message))
            await send(message)

        try:
            self._check(HTTPConnection(scope))
        except WebError as error:
            await self._respond(Request(scope), error)(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    def _is_same_site(self, connection: HTTPConnection) -> bool:
        """False if a browser reports that another website sent the request. Programs send neither header."""
        if connection.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return False
        origin = connection.headers.get("origin")
        if origin is None:
            return True
        site = origin.partition("://")[2].lower()  # a proxy may have replaced the Host header
        return site == connection.headers.get("host", "").lower() or _host_of(site) in self._public

    def _enter_prefix(self, scope: Scope) -> None:
        """Serve below `[web] prefix`, whether or not the proxy has removed it from the path."""
        if not self._prefix:
            return
        scope["root_path"] = self._prefix
        if scope["path"] != self._prefix and not scope["path"].startswith(f"{self._prefix}/"):
            scope["path"] = self._prefix + scope["path"]

    def _check(self, connection: HTTPConnection) -> None:
        """Raise WebError if no route may answer the request."""
        if {"content-length", "transfer-encoding"}.issubset(connection.headers.keys()):  # smuggling: RFC 9112, 6.1
            what = "The request has both Content-Length and Transfer-Encoding."
            raise WebError(400, "two_lengths", what, "Send only one of them.", {"Connection": "close"})
        host = _host_of(connection.headers.get("host", ""))
        if host not in self._hosts and not _is_own_address(host, connection):
            fix = "Add the name to [web] hosts in config.toml."
            raise WebError(421, "unknown_host", "inboxd web does not serve this host name.", fix)
        if connection.scope["method"] not in _READS and not self._is_same_site(connection):
            fix = "Open the console, and repeat the action there."
            raise WebError(403, "other_site", "Another website sent this request.", fix)
        path = inner_path(connection.scope)
        if not path.startswith(_OPEN) and not self._access.is_allowed(connection):
            fix = "Send it as `Authorization: Bearer TOKEN`. The file web-token in the state folder contains the token."
            headers = {"WWW-Authenticate": 'Bearer realm="inboxd"'}
            raise WebError(401, "token_needed", "The access token is missing or wrong.", fix, headers)


def inner_path(scope: Scope) -> str:
    """The path without the prefix; "/" for a request that has none (`OPTIONS *`, `GET http://…`)."""
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return path if path.startswith("/") else "/"


def add_headers(headers: MutableHeaders) -> None:
    """Add the security headers, except those that the response has already."""
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Cache-Control", "no-store")


def _host_of(header: str) -> str:
    """The host of a Host header, without its port."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower().rstrip(".")


def _is_own_address(host: str, connection: HTTPConnection) -> bool:
    """True for a loopback address, and for the address that the client connected to.

    DNS rebinding needs a host name, so numeric addresses are safe.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    server = connection.scope.get("server") or ("", 0)
    return address.is_loopback or host == server[0]
