"""The events for browsers and programs, of a job log that may be replaced."""

import anyio
from web_site import Site

from daemon.web.backend import Backend
from daemon.web.events import Message


def test_listener_that_has_seen_a_replaced_job_log_gets_the_events_of_the_new_one(site: Site):
    async def run() -> list[int | None]:
        made: Backend = site.app.state.backend
        hub = made.events
        hub._last = 5
        hub._show("daemon", "{}")
        stream = hub.listen(after=100)
        seen = [(await anext(stream)).number]  # type: ignore[union-attr]
        for number in (6, 7):
            hub._last = number
            hub._send(Message(kind="job", data="{}", number=number))
            seen.append((await anext(stream)).number)  # type: ignore[union-attr]
        await stream.aclose()
        return seen

    with anyio.from_thread.start_blocking_portal() as portal:
        assert portal.call(run) == [None, 6, 7]
