"""Requests to several servers: real ones, each a process."""

import collections
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from fake_servers import KEY, FakeServer

from processors.contract import Unavailable
from processors.remote import ServerOptions, client
from processors.remote.client import Server, SlowAnswer

ASKED = {"model": "tiny", "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "text", "text": "?"}]}]}


@pytest.fixture(scope="module")
def servers():
    made = [FakeServer("model_server") for _ in range(2)]
    yield made
    for server in made:
        server.stop()


@pytest.fixture
def gone() -> str:
    server = FakeServer("model_server")
    server.stop()
    return f"{server.root}/v1"


@pytest.fixture(autouse=True)
def _key_and_short_pauses(monkeypatch):
    monkeypatch.setenv("TEST_KEY", KEY)
    monkeypatch.setattr(client, "_FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def connect():
    made = []

    def connect(*urls: str, slots: int | None = None, **options: object) -> Server:
        given = ServerOptions(engine="openai", base_url=urls, api_key_env="TEST_KEY", **options)
        made.append(Server(given, "model server", "processors.vlm", slots=slots))
        return made[-1]

    yield connect
    for server in made:
        server.close()


def url(server: FakeServer) -> str:
    return f"{server.root}/v1"


def ask(server: Server) -> httpx2.Response:
    return server.ask(
        lambda client: client.post("chat/completions", json=ASKED), lambda reply: reply.status_code == 500
    )


def counted(servers: list[FakeServer]) -> list[int]:
    return [len(server.asked()["asked"]) for server in servers]


def test_servers_share_the_requests_within_the_limit_of_each(servers, connect):
    server = connect(*map(url, servers), slots=2)
    before = counted(servers)
    for each in servers:
        each.behave(*[{"together": 2}] * 2)
    with ThreadPoolExecutor(max_workers=12) as threads:
        responses = list(threads.map(lambda _: ask(server), range(12)))
    assert collections.Counter(response.status_code for response in responses) == {200: 12}
    taken = [after - earlier for after, earlier in zip(counted(servers), before, strict=True)]
    assert sum(taken) == 12 and min(taken) >= 2
    assert [each.asked()["most_at_once"] for each in servers] == [2, 2]


def test_request_goes_to_another_server_if_one_is_gone_or_overloaded(servers, connect, gone):
    server = connect(gone, *map(url, servers))
    servers[0].behave({"status": 503, "says": "full"}, {"drop": True})
    before = counted(servers)
    assert [ask(server).status_code for _ in range(3)] == [200, 200, 200]
    after = counted(servers)
    assert after[1] - before[1] >= 2
    servers[0].behave()


def test_server_that_fails_for_good_is_only_asked_again_after_a_rest(servers, connect, gone):
    server = connect(gone, url(servers[0]))
    tried = []
    for _ in range(3):
        server.ask(lambda client: tried.append(client.base_url) or client.get("models"), lambda response: False)
    assert [str(each).startswith(gone) for each in tried] == [True, False, False, False]


def test_server_that_hangs_is_replaced_and_not_asked_again(servers, connect):
    server = connect(*map(url, servers), request_timeout=0.3)
    servers[0].behave({"hang": True})
    before = counted(servers)
    with pytest.raises(SlowAnswer, match=f"{servers[0].root}/v1 did not respond within 0.3 s"):
        ask(server)  # it answers other requests: another server would take as long
    assert counted(servers)[1] == before[1]
    servers[0].behave()


def test_frozen_server_is_replaced(servers, connect, monkeypatch):
    monkeypatch.setattr(client, "_CONNECT_SECONDS", 0.3)
    with Frozen() as frozen:
        server = connect(frozen.url, url(servers[0]), request_timeout=0.3)
        assert ask(server).status_code == 200
        alone = connect(frozen.url, request_timeout=0.3)
        with pytest.raises(Unavailable, match="did not respond within 0.3 s. Check its log, or raise"):
            ask(alone)
    assert frozen.connections <= 4, "the request was not sent again"


def test_message_names_each_server_if_none_responds(connect, gone, servers):
    other = gone.replace("127.0.0.1", "localhost")
    server = connect(gone, other)
    with pytest.raises(Unavailable) as raised:
        ask(server)
    assert str(raised.value).startswith(f"No model server responds: {gone} (") and f", {other} (" in str(raised.value)
    assert str(raised.value).endswith("Start one, or correct `base_url` in [processors.vlm]; the jobs wait.")


def test_one_server_that_responds_is_enough(connect, gone, servers):
    assert connect(gone, url(servers[0])).models().status_code == 200
    with pytest.raises(Unavailable, match="No model server responds"):
        connect(gone, gone.replace("127.0.0.1", "localhost")).models()


def test_message_names_the_server_that_rejects_the_key(connect, servers, monkeypatch):
    monkeypatch.setenv("TEST_KEY", "another")
    server = connect(*map(url, servers))
    with pytest.raises(Unavailable, match=f"^The model server {servers[0].root}/v1 rejects the API key"):
        server.models()


@pytest.mark.parametrize("wrong", [[], ["http://a/v1", "b"], ["http://a/v1", "http://a/v1"], 7])
def test_wrong_addresses_are_refused(wrong):
    with pytest.raises(ValueError, match="base_url"):
        ServerOptions(engine="openai", base_url=wrong)


class Frozen:
    """A server that accepts connections and never answers."""

    def __enter__(self) -> "Frozen":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self.connections = 0
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._held.append(connection)
            self.connections += 1

    def __exit__(self, *exception: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for connection in self._held:
            connection.close()
