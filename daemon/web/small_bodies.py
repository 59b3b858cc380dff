"""Reads request bodies that fit into memory: small forms, and JSON. `forms` receives files."""

from urllib.parse import parse_qs

from starlette.requests import Request

from daemon.web.errors import WebError

_MAX_FORM_BYTES = 16 * 1024


async def small_body(request: Request, limit: int, problem: str) -> bytes:
    """Read the body.

    Raises:
        WebError: the body is longer than `limit` bytes; `problem` is the message.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > limit:
            raise WebError(413, "too_large", problem)
    return bytes(content)


async def small_form(request: Request) -> dict[str, str]:
    """Read the fields of a URL-encoded form, with the last value of each; an empty field is "".

    Raises:
        WebError: the form is longer than 16 KiB.
    """
    content = (await small_body(request, _MAX_FORM_BYTES, "The form is too long.")).decode("utf-8", "replace")
    return {name: values[-1] for name, values in parse_qs(content, keep_blank_values=True).items()}
