"""Errors in the shape of FastAPI's programs: {"detail": "…"}."""

from starlette.responses import JSONResponse, Response

from daemon.web.errors import WebError


def detail_shape(error: WebError) -> Response:
    return JSONResponse({"detail": str(error)}, error.status, error.headers)
