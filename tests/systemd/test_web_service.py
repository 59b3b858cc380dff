"""`inboxd install --web` on a real systemd: the console starts at its first connection, in a sandbox of its own."""

from collections.abc import Iterator

import pytest
from installed import Installed
from sandbox import wait_for

pytestmark = pytest.mark.long

_REQUEST = """
import sys, urllib.request
urllib.request.urlopen("http://127.0.0.1:8100/health", timeout=60)  # the first start creates the token
token = open("/var/lib/inboxd/state/web-token").read().strip()
data = open(sys.argv[2], "rb").read() if sys.argv[2:] else None
method = "PUT" if data else "GET"
request = urllib.request.Request("http://127.0.0.1:8100" + sys.argv[1], data, {"X-Api-Key": token}, method=method)
print(urllib.request.urlopen(request, timeout=60).read().decode())
"""


@pytest.fixture
def web(service: Installed) -> Iterator[Installed]:
    """The service with its console."""
    service.inboxd("install", "--web")
    yield service
    service.systemctl("disable", "--now", "inboxd-web.socket", "inboxd-web.service", check=False)


def _ask(service: Installed, *arguments: str) -> str:
    return service.lab.run("python3", "-c", _REQUEST, *arguments).stdout


def _state(service: Installed, unit: str) -> str:
    return service.systemctl("is-active", unit, check=False).stdout.strip()


def test_console_starts_at_the_first_connection_and_again_after_a_stop(web: Installed):
    assert (_state(web, "inboxd-web.socket"), _state(web, "inboxd-web.service")) == ("active", "inactive")
    assert '"ready"' in _ask(web, "/ready")
    assert _state(web, "inboxd-web.service") == "active"
    web.systemctl("stop", "inboxd-web.service")
    assert '"ready"' in _ask(web, "/ready")
    web.systemctl("restart", "inboxd")  # the console stays, and finds the daemon again
    wait_for(lambda: '"ready"' in _ask(web, "/ready"), "the daemon")


def test_file_submitted_to_the_console_is_processed_by_the_service(web: Installed):
    web.lab.path("root/letter.txt").write_text("fine\n")
    assert '"letter.txt"' in _ask(web, "/api/v1/files/letter.txt", "/root/letter.txt")
    assert web.ended("letter.txt")["state"] == "done"


def test_console_can_neither_write_elsewhere_nor_gain_rights(web: Installed):
    _ask(web, "/ready")
    pid = web.systemctl("show", "--property", "MainPID", "--value", "inboxd-web.service").stdout.strip()
    status = web.lab.path(f"proc/{pid}/status").read_text() if web.lab.path(f"proc/{pid}").exists() else ""
    status = status or web.lab.run("cat", f"/proc/{pid}/status").stdout
    assert "NoNewPrivs:\t1" in status and "CapEff:\t0000000000000000" in status
    assert web.lab.run("ps", "-o", "user=", "-p", pid).stdout.strip() == "inboxd"
    writes = web.lab.run("nsenter", "-t", pid, "-m", "touch", "/etc/x", "/opt/inboxd/x", check=False)
    assert writes.stderr.count("Read-only file system") == 2


def test_uninstall_removes_the_console(web: Installed):
    shown = web.inboxd("uninstall").stdout
    for unit in ("inboxd.service", "inboxd-web.service", "inboxd-web.socket"):
        assert f"removed     /etc/systemd/system/{unit}\n" in shown
        assert _state(web, unit) == "inactive"
    web.lab.run("/opt/inboxd/.venv/bin/inboxd", "install")
    web.configure()
