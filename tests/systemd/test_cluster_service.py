"""The service on a Ray cluster, with the drop-in that opens what that needs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from installed import Installed
from ray_nodes import require_ray
from sandbox import wait_for

pytestmark = pytest.mark.long

DROP_IN = Path(__file__).parents[2] / "systemd/inboxd.service.d/cluster.conf"
TOML = """
[paths]
inbox = "/var/lib/inboxd/inbox"
outbox = "/var/lib/inboxd/outbox"
state = "/var/lib/inboxd/state"
[inbox]
text = "count"
settle_seconds = 0.2
[recipes.count]
processor = "plaintext"
[devices.cpu]
use = false
[schedule]
probe = "1s"
[cluster]
address = "127.0.0.2:6379"
token_file = "/etc/inboxd/ray-token"
"""
_TOKEN = "RAY_AUTH_TOKEN_PATH=/etc/inboxd/ray-token"
_COMMAND = "#!/opt/inboxd/.venv/bin/python\nfrom ray.scripts.scripts import main\nmain()\n"
_NODE = ["--node-ip-address=127.0.0.2", "--object-store-memory=100000000", "--disable-usage-stats", "--block"]


@pytest.fixture
def nodes(service: Installed) -> Iterator[None]:
    """The head and another node, started as docs/scaling.md says, each a unit of its own."""
    require_ray()
    command = service.lab.path("opt/inboxd/.venv/bin/ray")
    command.write_text(_COMMAND)
    command.chmod(0o755)
    token = service.lab.path("etc/inboxd/ray-token")
    token.write_text("0123456789abcdef" * 4)
    service.lab.run("chown", "inboxd:inboxd", "/etc/inboxd/ray-token")
    service.lab.run("chmod", "600", "/etc/inboxd/ray-token")
    _start(service, "ray-head", "--head", "--port=6379", "--num-cpus=0", "--include-dashboard=false")
    wait_for(lambda: "started" in _journal(service, "ray-head"), "the head", 120)
    _start(service, "ray-box2", "--address=127.0.0.2:6379", "--node-name=box2", "--num-cpus=2")
    wait_for(lambda: "started" in _journal(service, "ray-box2"), "the other node", 120)
    yield
    for unit in ("ray-box2", "ray-head"):
        service.systemctl("kill", "--signal=KILL", unit, check=False)


def _start(service: Installed, unit: str, *arguments: str) -> None:
    run = ("systemd-run", f"--unit={unit}", "--uid=inboxd", "--gid=inboxd", "--setenv=RAY_AUTH_MODE=token")
    service.lab.run(*run, f"--setenv={_TOKEN}", "/opt/inboxd/.venv/bin/ray", "start", *arguments, *_NODE)


def _journal(service: Installed, unit: str) -> str:
    return service.lab.run("journalctl", "--unit", unit, "--output", "cat", "--no-pager").stdout


def test_service_runs_files_on_the_nodes_with_the_drop_in_only(nodes: None, service: Installed):
    service.configure(TOML)
    service.drop("waits.txt", "some words")
    assert "cannot be used yet" in service.waits("waits.txt", 90)
    service.add_drop_in(DROP_IN.read_text())
    assert service.ended("waits.txt", 120)["state"] == "done"
    assert service.rows("SELECT node FROM job_log WHERE file = 'waits.txt'") == [{"node": "box2"}]
    assert "box2" in service.inboxd("cluster").stdout
    verified = service.lab.run("systemd-analyze", "verify", "inboxd.service", check=False)
    assert "test.conf" not in verified.stderr, "the drop-in has lines that systemd does not know"
