"""Handing uploads over to the daemon, whose disk may delay the record of a job."""

from collections.abc import Iterator, Mapping

import anyio
import pytest
from web_site import Site

from daemon.core.messages import Request
from daemon.server.control_socket import ControlServer
from daemon.web import backend
from daemon.web.backend import Backend, UploadOptions
from daemon.web.errors import WebError


class Daemon:
    """Answers each command with the next of its replies, and the last one again and again."""

    def __init__(self, site: Site):
        self.replies: list[Mapping[str, object]] = []
        self.asked: list[Request] = []
        self.server = ControlServer(site.settings.socket, self._answer)
        self.server.start()

    def _answer(self, request: Request) -> None:
        self.asked.append(request)
        assert request.reply is not None
        request.reply.put(self.replies.pop(0) if len(self.replies) > 1 else self.replies[0])


@pytest.fixture
def daemon(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    monkeypatch.setattr(backend, "_RECORD_PAUSE_SECONDS", 0.001)
    made = Daemon(site)
    yield made
    made.server.stop()


def submit(site: Site) -> str:
    async def run() -> str:
        made: Backend = site.app.state.backend
        made.receiver.prepare()
        upload = made.receiver.create("a.txt")
        await upload.write(b"text")
        await upload.finish()
        return await made.submit(upload, UploadOptions(source="api"))

    return anyio.run(run)


def test_record_that_a_disk_delays_is_waited_for(site: Site, daemon: Daemon):
    waiting = {"ok": True, "job": "1", "waits_for": "the disk is full"}
    daemon.replies = [waiting, waiting, {"ok": True, "job": "1", "waits_for": None}]
    assert submit(site) == "1"
    assert len(daemon.asked) == 3 and len({request.arguments["file"] for request in daemon.asked}) == 1


def test_record_that_does_not_come_is_an_error_that_names_the_job(site: Site, daemon: Daemon):
    daemon.replies = [{"ok": True, "job": "1", "waits_for": "the disk is full"}]
    with pytest.raises(WebError, match="as job 1, but cannot record the job yet: the disk is full") as error:
        submit(site)
    assert (error.value.status, error.value.headers["X-Inboxd-Job"]) == (503, "1")
