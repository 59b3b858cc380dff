"""The daemon's replies as models, through a real socket."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from daemon.core.errors import NotRunning
from daemon.core.messages import Request
from daemon.server import api, client
from daemon.server.control_socket import ControlServer

Serve = Callable[[Mapping[str, object]], Path]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A function that answers each request on a socket with the same reply, and returns the socket's path."""
    servers = []

    def start(reply: Mapping[str, object]) -> Path:
        def answer(request: Request) -> None:
            request.reply.put(dict(reply))

        servers.append(ControlServer(tmp_path / "socket", answer))
        servers[-1].start()
        return tmp_path / "socket"

    yield start
    for server in servers:
        server.stop()


def test_reply_is_returned_as_its_model(serve: Serve):
    path = serve({"ok": True, "cancelled": "7418f7bc", "waits_for": None})
    reply = client.ask(path, api.Cancel(job="7418"), api.CancelReply)
    assert (reply.cancelled, reply.waits_for) == ("7418f7bc", None)


def test_field_of_a_newer_daemon_is_ignored(serve: Serve):
    path = serve({"ok": True, "closed": "Paused.", "since": 1})
    assert client.ask(path, api.Resume(), api.ResumeReply).closed == "Paused."


def test_refusal_names_its_fix_and_exit_code(serve: Serve):
    path = serve({"ok": False, "error": "It is done.", "fix": "Nothing to do.", "exit_code": 64})
    with pytest.raises(client.Refused) as raised:
        client.ask(path, api.Cancel(job="7418"), api.CancelReply)
    assert (raised.value.what, raised.value.fix, raised.value.code) == ("It is done.", "Nothing to do.", 64)


def test_reply_that_lacks_a_field_names_the_versions(serve: Serve):
    path = serve({"ok": True})
    with pytest.raises(client.Refused, match="Cannot read the daemon's reply to 'cancel'") as raised:
        client.ask(path, api.Cancel(job="7418"), api.CancelReply)
    assert "different versions" in raised.value.fix


def test_status_of_an_older_daemon_has_defaults_for_what_it_does_not_report():
    older = {"version": "1", "pid": 1, "uptime_seconds": 1, "inbox": "in", "outbox": "out", "jobs": {}}
    reply = api.StatusReply.model_validate({**older, "running": [], "workers": [], "waiting": [], "closed": None})
    assert reply.problems() == [] and reply.unplaced == {}


def test_error_reports_that_no_daemon_is_running(tmp_path: Path):
    with pytest.raises(NotRunning, match="No inboxd is running here") as raised:
        client.ask(tmp_path / "socket", api.Status(), api.StatusReply)
    assert "--config" in raised.value.fix
