"""Subscriptions to a real daemon: nothing is missed across restarts, and the control socket stays free."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sandbox import Place, wait_for

from daemon.core.errors import NotRunning
from daemon.server import api, client, feed_lines

TOML = """
[inbox]
text = "odd"
settle_seconds = 0.0
[recipes.odd]
processor = "fakes.misbehaving"
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Place(tmp_path, TOML) as made:
        yield made


async def follow(place: Place, until: str, after: int | None = None) -> list[feed_lines.Line]:
    """The lines until an event of that kind."""
    lines: list[feed_lines.Line] = []
    async for line in client.subscribe(place.settings().socket, after):
        lines.append(line)
        if isinstance(line, feed_lines.SubscribedLine) and after is None:
            place.drop("a.txt", "fine")
        if isinstance(line, feed_lines.EventLine) and line.event == until:
            break
    return lines


async def workers_of(place: Place) -> list[Any]:
    """The workers of the first progress that has some."""
    async for line in client.subscribe(place.settings().socket, 0):
        if isinstance(line, feed_lines.ProgressLine) and line.workers:
            return line.workers
    return []


def test_life_of_a_job_is_followed_live(place: Place):
    place.start()
    lines = asyncio.run(asyncio.wait_for(follow(place, "done"), 60))
    events = [line.event for line in lines if isinstance(line, feed_lines.EventLine)]
    assert events == ["queued", "running, attempt 1", "publishing as done", "done"]
    assert any(isinstance(line, feed_lines.ProgressLine) for line in lines)
    assert asyncio.run(asyncio.wait_for(workers_of(place), 60)), "the worker stays loaded"


def test_subscriber_misses_nothing_while_the_daemon_is_replaced(place: Place):
    daemon = place.start()
    first = asyncio.run(asyncio.wait_for(follow(place, "queued"), 60))
    last = next(line.number for line in first if isinstance(line, feed_lines.EventLine))
    place.ended("a.txt")
    daemon.kill()
    daemon.wait()
    with pytest.raises(NotRunning):
        asyncio.run(follow(place, "done", after=last))
    place.start()
    lines = asyncio.run(asyncio.wait_for(follow(place, "done", after=last), 60))
    numbers = [line.number for line in lines if isinstance(line, feed_lines.EventLine)]
    assert numbers == list(range(last + 1, numbers[-1] + 1))


def test_end_of_the_daemon_ends_a_subscription(place: Place):
    daemon = place.start()

    async def until_it_ends() -> list[feed_lines.Line]:
        lines: list[feed_lines.Line] = []
        with pytest.raises(NotRunning):
            async for line in client.subscribe(place.settings().socket):
                lines.append(line)
                if len(lines) == 1:
                    daemon.terminate()
        return lines

    lines = asyncio.run(asyncio.wait_for(until_it_ends(), 60))
    assert isinstance(lines[-1], feed_lines.DroppedLine)


def test_subscriptions_leave_the_places_of_commands_free(place: Place):
    place.start()
    socket = place.settings().socket

    async def crowd() -> None:
        each = [client.subscribe(socket) for _ in range(20)]
        for subscription in each:
            assert isinstance(await anext(subscription), feed_lines.SubscribedLine)
        reply = await asyncio.to_thread(client.ask, socket, api.Status(), api.StatusReply)
        assert reply.pid
        for subscription in each:
            await subscription.aclose()

    asyncio.run(crowd())
    wait_for(lambda: client.ask(socket, api.Status(), api.StatusReply), "an answer")


def test_wrong_subscription_is_refused(place: Place):
    place.start()
    with pytest.raises(client.Refused, match="arguments of subscribe"):
        asyncio.run(anext(client.subscribe(place.settings().socket, -1)))
