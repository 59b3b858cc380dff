"""The access token, and who gets past the border of the web process."""

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from starlette.testclient import TestClient
from starlette.types import Message
from web_site import TOKEN, Site

from daemon.core.errors import ConfigError, SetupError
from daemon.web import auth, server

MakeSite = Callable[[str], Site]


def test_token_is_created_once_and_private(tmp_path: Path):
    path = tmp_path / "state" / "web-token"
    token = auth.load_token(path)
    assert len(token) >= 40
    assert path.stat().st_mode & 0o777 == 0o600
    assert auth.load_token(path) == token


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [("short", 0o600, "at least"), ("x" * 40, 0o644, "other users"), ("", 0o600, "at least")],
)
def test_unsafe_token_is_refused_with_its_fix(content: str, mode: int, why: str, tmp_path: Path):
    path = tmp_path / "web-token"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(SetupError, match=why) as refused:
        auth.load_token(path)
    assert "Remove the file" in refused.value.fix


def test_token_behind_a_link_is_refused(tmp_path: Path):
    (tmp_path / "elsewhere").write_text("x" * 40)
    (tmp_path / "web-token").symlink_to("elsewhere")
    with pytest.raises(SetupError, match="cannot be read"):
        auth.load_token(tmp_path / "web-token")


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/v1/status", "/metrics", "/ready", "/api/v1/events", "/nothing"])
def test_everything_else_than_health_needs_the_token(path: str, site: Site):
    refused = site.stranger.get(path)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "token_needed")
    assert site.stranger.get("/health").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": f"Bearer {TOKEN}"}, {"authorization": f"bearer  {TOKEN} "}, {"X-Api-Key": TOKEN}],
)
def test_token_is_accepted_in_either_header(headers: dict[str, str], site: Site):
    assert site.stranger.get("/api/v1/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"X-Api-Key": f"{TOKEN}x"},
        {"X-Api-Key": TOKEN[:-1]},
        {"Cookie": f"inboxd={TOKEN}"},
        {"Cookie": "inboxd=9999999999."},
        {"Cookie": "inboxd=9999999999.00"},
        {"Cookie": "inboxd=.é"},
    ],
)
def test_anything_else_is_not(headers: dict[str, str], site: Site):
    encoded = {name: value.encode() for name, value in headers.items()}
    assert site.stranger.get("/api/v1/jobs", headers=encoded).status_code == 401


def _send_wrong_tokens(client: TestClient, headers: Callable[[int], dict[str, str]] = lambda number: {}) -> list[int]:
    """The statuses of 13 requests with different wrong tokens."""
    return [
        client.get("/api/v1/jobs", headers={"X-Api-Key": f"wrong {number}", **headers(number)}).status_code
        for number in range(13)
    ]


_LIMITED = [401] * 10 + [429] * 3


def test_wrong_tokens_are_slowed_down_and_the_right_one_is_not(site: Site):
    assert _send_wrong_tokens(site.stranger) == _LIMITED
    refused = site.stranger.get("/api/v1/jobs", headers={"X-Api-Key": "wrong again"})
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) <= 61
    assert site.stranger.get("/api/v1/jobs", headers={"X-Api-Key": TOKEN}).status_code == 200
    assert site.stranger.get("/api/v1/jobs", headers={"X-Api-Key": "wrong again"}).status_code == 429
    assert site.stranger.post("/login", data={"token": TOKEN}, follow_redirects=False).status_code == 303
    session = site.app.state.backend.access.session()
    assert site.stranger.get("/api/v1/jobs", headers={"Cookie": f"inboxd={session}"}).status_code == 200


def _behind_proxy(site: Site, address: str) -> TestClient:
    """A client at `address` of what `inboxd web` serves."""
    configured = server.configure(site.app, site.settings)
    configured.load()
    return TestClient(configured.loaded_app, "http://127.0.0.1:8100", client=(address, 5))


def _forwarded(number: int) -> dict[str, str]:
    return {"X-Forwarded-For": f"10.0.0.{number}"}


def test_address_that_a_client_claims_evades_no_limit(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    assert _send_wrong_tokens(_behind_proxy(site, "127.0.0.1"), _forwarded) == _LIMITED


@pytest.mark.parametrize("trusted", ["127.0.0.1", "127.0.0.0/8"])
def test_address_that_a_trusted_proxy_reports_is_used(trusted: str, make_site: MakeSite):
    site = make_site(f'trusted_proxies = ["{trusted}"]')
    assert _send_wrong_tokens(_behind_proxy(site, "127.0.0.1"), _forwarded) == [401] * 13
    assert _send_wrong_tokens(_behind_proxy(site, "192.0.2.1"), _forwarded) == _LIMITED
    headers = {"X-Forwarded-Proto": "https"}
    login = _behind_proxy(site, "127.0.0.1").post(
        "/login", data={"token": TOKEN}, headers=headers, follow_redirects=False
    )
    assert "Secure" in login.headers["set-cookie"]


@pytest.mark.parametrize("trusted", ["*", "proxy.lan", "10.0.0.1/8", "unix", ""])
def test_proxy_that_is_no_address_is_refused(trusted: str, make_site: MakeSite):
    with pytest.raises(ConfigError, match="trusted_proxies"):
        make_site(f'trusted_proxies = ["{trusted}"]')


@pytest.mark.parametrize("path", ["/health", "/api/v1/jobs", "/login"])
def test_request_with_two_lengths_is_refused_and_ends_the_connection(path: str, site: Site):
    headers = {"Content-Length": "4", "Transfer-Encoding": "chunked"}
    answer = site.client.request("POST" if path == "/login" else "GET", path, headers=headers)
    assert (answer.status_code, answer.headers["connection"]) == (400, "close")


def test_program_with_an_old_token_blocks_nobody(site: Site):
    for _ in range(30):
        assert site.stranger.get("/api/v1/jobs", headers={"X-Api-Key": "the-old-token"}).status_code == 401
    assert site.client.get("/api/v1/jobs").status_code == 200


@pytest.mark.parametrize("cookies", ["inboxd=1.x; inboxd={}", "inboxd={}; inboxd=1.x", "a=b;inboxd={};c"])
def test_cookie_of_another_program_on_the_host_ends_no_session(cookies: str, site: Site):
    session = site.app.state.backend.access.session()
    assert site.stranger.get("/api/v1/jobs", headers={"Cookie": cookies.format(session)}).status_code == 200


@pytest.mark.parametrize("path", ["http://evil/api/v1/jobs", "*", "v1/jobs"])
def test_request_without_a_path_is_an_error_and_no_crash(path: str, site: Site):
    sent: list[Message] = []
    scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"host", b"127.0.0.1")], "query_string": b""}

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    anyio.run(site.app, scope, receive, send)
    assert sent[0]["status"] == 401


def test_unexpected_error_confines_the_browser(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(site.app.state.backend, "read", None)
    client = TestClient(site.app, "http://127.0.0.1:8100", raise_server_exceptions=False)
    answer = client.get("/api/v1/jobs", headers={"X-Api-Key": TOKEN})
    assert answer.status_code == 500
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


def test_session_ends_and_a_new_token_ends_all(make_site: MakeSite):
    site = make_site("")
    now = 1_000_000_000.0
    access = auth.Access(site.settings, clock=lambda: now)
    session = access.session()
    assert access._is_session(session)
    now += auth.SESSION_SECONDS
    assert not access._is_session(session)
    now -= 1
    assert access._is_session(session)
    site.settings.web_token.write_text("another-token-of-the-tests")
    assert not auth.Access(site.settings, clock=lambda: now)._is_session(session)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil.example", "10.0.0.9"])
def test_unknown_host_is_refused(host: str, site: Site):
    refused = site.client.get("/health", headers={"Host": host})
    assert (refused.status_code, refused.json()["error"]["code"]) == (421, "unknown_host")


@pytest.mark.parametrize("host", ["localhost", "localhost:8100", "127.0.0.1:9", "[::1]:8100", "LOCALHOST", "inbox.lan"])
def test_own_and_configured_hosts_are_served(host: str, make_site: MakeSite):
    assert make_site('hosts = ["inbox.lan"]').client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8101"},
    ],
)
def test_write_from_another_website_is_refused(headers: dict[str, str], site: Site):
    refused = site.client.post("/api/v1/jobs/x/retry", headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "other_site")


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8100"}, {"Sec-Fetch-Site": "none"}]
)
def test_write_of_the_console_and_of_programs_passes_the_border(headers: dict[str, str], site: Site):
    assert site.client.post("/api/v1/nothing", headers=headers).status_code == 404


def test_every_response_confines_the_browser(site: Site):
    for response in (site.client.get("/api/v1/jobs"), site.stranger.get("/api/v1/jobs"), site.client.get("/none")):
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert "unsafe" not in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("listen", ["0.0.0.0:8100", "192.168.1.5:80", "[::]:8100", "inbox.lan:8100"])
def test_other_addresses_need_the_token(listen: str, make_site: MakeSite):
    with pytest.raises(ConfigError, match="loopback"):
        make_site(f'listen = "{listen}"\ntoken = false')


def test_token_may_be_off_on_this_machine(make_site: MakeSite):
    assert make_site("token = false").stranger.get("/api/v1/jobs").status_code == 200


@pytest.mark.parametrize("path", ["/inboxd/api/v1/jobs", "/api/v1/jobs"])
def test_prefix_may_be_removed_by_the_proxy_or_not(path: str, make_site: MakeSite):
    site = make_site('prefix = "/inboxd"')
    job = site.add(files={"a.txt": "text"})
    assert site.client.get(path).status_code == 200
    files = site.client.get(f"{path}/{job.id}").json()["files"]
    assert files[0]["href"] == f"/inboxd/api/v1/jobs/{job.id}/files/a.txt"
    assert site.client.get(files[0]["href"]).text == "text"
    assert site.stranger.get("/inboxd/health").status_code == 200
    assert site.stranger.get("/inboxd/api/v1/jobs").status_code == 401


def test_umask_does_not_open_the_token(tmp_path: Path):
    before = os.umask(0)
    try:
        auth.load_token(tmp_path / "web-token")
    finally:
        os.umask(before)
    assert (tmp_path / "web-token").stat().st_mode & 0o077 == 0
