"""Three nodes of a Ray cluster on this machine, for trying [cluster] out: `make nodes`; Ctrl-C stops them.

The daemon is connected through the first node, the head, which runs no workers; the others are `box1` and `box2`. Ray
listens on all addresses of the machine, so the cluster requires a token, which is in state/ray-token.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HOST = "127.0.0.2"  # a loopback address that Ray does not replace by the address of the machine, as it does 127.0.0.1
PORT = 6399
TOKEN_FILE = Path(__file__).parents[1] / "state" / "ray-token"
CPUS = 2  # that each node offers
_STORE_BYTES = 100 * 2**20  # of shared memory, for chunks under way; Ray would reserve 30 % of the memory
_MARK = "INBOXD_NODE"  # in the environment of all processes of a node
_START_SECONDS, _TRIES = 60.0, 4
_SETTINGS = {  # a node that does not answer counts as dead after 15 s; by default, after a minute
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "2000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "5",
    "RAY_worker_niceness": "0",  # by default, 15: the nodes share the machine with other programs
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
}


class LocalNode:
    """A node in processes of its own."""

    def __init__(
        self,
        name: str,
        *,
        port: int = PORT,
        token_file: Path = TOKEN_FILE,
        is_head: bool = False,
        cpus: int = CPUS,
        gpus: int = 0,
        head: str = HOST,
        host: str = HOST,
        prefix: Sequence[str] = (),
    ):
        """head, host: addresses of the head and of this node. prefix: of the command, such as `ip netns exec NAME`."""
        self.name = name
        role = ["--head", f"--port={port}", "--include-dashboard=false"] if is_head else [f"--address={head}:{port}"]
        self._mark = f"{name}-{os.getpid()}-{time.monotonic_ns()}"
        self._temp = tempfile.mkdtemp(prefix="ray-")  # short: paths of sockets are below it
        self._log = Path(self._temp, "start.log")
        self._process = subprocess.Popen(
            [
                *(*prefix, Path(sys.executable).with_name("ray"), "start", *role, "--block", "--disable-usage-stats"),
                *(f"--node-name={name}", f"--node-ip-address={host}", f"--num-cpus={cpus}", f"--num-gpus={gpus}"),
                *(f"--object-store-memory={_STORE_BYTES}", *([f"--temp-dir={self._temp}"] if is_head else [])),
            ],
            env={**os.environ, **_SETTINGS, "RAY_AUTH_TOKEN_PATH": str(token_file), _MARK: self._mark},
            stdin=subprocess.DEVNULL,
            stdout=self._log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def pids(self) -> list[int]:
        """All its processes, those of workers included."""
        found, parents = set(), {}
        for path in Path("/proc").glob("[1-9]*"):
            with contextlib.suppress(OSError):
                parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                if f"{_MARK}={self._mark}\0".encode() in (path / "environ").read_bytes():
                    found.add(int(path.name))
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more  # Ray's processes change their titles, which overwrites their environment
        return sorted(found)

    def signal(self, number: int) -> None:
        """Send a signal to all its processes."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """End it as a power cut does."""
        for _ in range(5):  # processes that are being started
            self.signal(signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self._temp, ignore_errors=True)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def has_joined(self) -> bool:
        return self.is_running and b"Ray runtime started" in self._log.read_bytes()


def start(count: int, *, port: int = PORT, token_file: Path = TOKEN_FILE, cpus: int = CPUS) -> list[LocalNode]:
    """A head, and `count` - 1 other nodes."""
    make_token(token_file)
    nodes = [start_node("head", port=port, token_file=token_file, is_head=True, cpus=0)]
    for number in range(1, count):
        nodes.append(start_node(f"box{number}", port=port, token_file=token_file, cpus=cpus))
    return nodes


def start_node(
    name: str,
    *,
    port: int,
    token_file: Path,
    is_head: bool = False,
    cpus: int = CPUS,
    head: str = HOST,
    host: str = HOST,
    prefix: Sequence[str] = (),
) -> LocalNode:
    """Start a node, and wait until it has joined. On a busy machine, Ray may give its own start up: try again."""
    for _ in range(_TRIES):
        node = LocalNode(
            name, port=port, token_file=token_file, is_head=is_head, cpus=cpus, head=head, host=host, prefix=prefix
        )
        until = time.monotonic() + _START_SECONDS
        while node.is_running and time.monotonic() < until:
            if node.has_joined:
                return node
            time.sleep(0.1)
        node.kill()
    raise SystemExit(f"The node {name} does not start.")


def make_token(path: Path) -> None:
    """Write a new token, for this user only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    nodes = start(3)
    print(f"Three nodes run, with the head at {HOST}:{PORT}. In another terminal: make demo CLUSTER={HOST}:{PORT}")
    print("Ctrl-C stops them.", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()
    for node in nodes:
        node.kill()


if __name__ == "__main__":
    main()
