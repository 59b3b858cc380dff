"""Streams responses as server-sent events while a job runs."""

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from daemon.core.errors import InboxdError
from daemon.web.compat.work import JOB_HEADER
from daemon.web.errors import WebError, api_shape, translate

_PULSE_SECONDS = 15.0  # without a line, before a comment: proxies close silent connections
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def stream(messages: AsyncIterator[dict[str, object]], job_id: str, *, end: str = "") -> Response:
    """Send messages as server-sent events. An error is sent as an event, because the status is already sent."""

    async def lines() -> AsyncIterator[str]:
        following: asyncio.Task[dict[str, object] | None] | None = None
        try:
            while True:
                following = following or asyncio.create_task(_next(messages))
                done, _ = await asyncio.wait([following], timeout=_PULSE_SECONDS)
                if not done:
                    yield ": waiting\n\n"
                    continue
                message, following = following.result(), None
                if message is None:
                    break
                yield f"data: {json.dumps(message)}\n\n"
        finally:
            if following is not None:
                following.cancel()
        if end:
            yield f"data: {end}\n\n"

    headers = {**_HEADERS, JOB_HEADER: job_id}
    return StreamingResponse(lines(), media_type="text/event-stream", headers=headers)


async def _next(messages: AsyncIterator[dict[str, object]]) -> dict[str, object] | None:
    """The next message, an error as the last message, or None at the end."""
    try:
        return await anext(messages, None)
    except (WebError, InboxdError, OSError) as error:
        message: dict[str, object] = json.loads(bytes(api_shape(translate(error)).body))
        return message
