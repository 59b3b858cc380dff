"""Errors of the HTTP API: `WebError`, the format in which clients get it, and the HTTP status of an InboxdError."""

import errno
from collections.abc import Callable, Mapping

from starlette.responses import JSONResponse, Response

from daemon.core.errors import InboxdError, NotRunning, StorageError, StoreError, UsageError
from daemon.results.result_files import DamagedResult, FileMissing
from daemon.server.client import Refused

_FULL = (errno.ENOSPC, errno.EDQUOT)


class WebError(Exception):
    """The response to a request that failed: HTTP status, a code for programs, what went wrong, and what to do."""

    def __init__(self, status: int, code: str, what: str, fix: str = "", headers: Mapping[str, str] | None = None):
        super().__init__(f"{what} {fix}".rstrip())
        self.status = status
        self.code = code
        self.what = what
        self.fix = fix
        self.headers = dict(headers or {})


Shape = Callable[[WebError], Response]  # renders an error in the format of one API


def api_shape(error: WebError) -> Response:
    """Render an error as OpenAI's API does, with a field `fix`: {"error": {"message", "type", "code", "fix"}}."""
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    body = {"message": str(error), "type": kind, "code": error.code, "fix": error.fix}
    return JSONResponse({"error": body}, error.status, error.headers)


def translate(error: Exception) -> WebError:
    """Return the HTTP error for any exception."""
    match error:
        case WebError():
            return error
        case NotRunning():
            return WebError(503, "daemon_unavailable", error.what, error.fix, {"Retry-After": "5"})
        case Refused():
            return WebError(409, "refused", error.what, error.fix)
        case FileMissing():
            return WebError(404, error.code, error.what, error.fix)
        case DamagedResult():
            return WebError(500, "damaged_result", error.what, error.fix)
        case UsageError():
            return WebError(404, "not_found", error.what, error.fix)
        case StorageError() | StoreError():
            return WebError(503, "storage", error.what, error.fix, {"Retry-After": "10"})
        case InboxdError():
            return WebError(500, "internal", error.what, error.fix)
        case OSError() if error.errno in _FULL:
            return WebError(507, "disk_full", "The disk of the inbox is full.", "Free some space, then try again.")
    return WebError(500, "internal", "inboxd web failed to answer.", "See `journalctl -u inboxd-web`.")
