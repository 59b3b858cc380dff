"""A cluster whose connections are encrypted (RAY_USE_TLS): files run on its nodes, and nobody can connect without
a certificate of its authority."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requires
from ray_nodes import free_port, load_nodes, require_ray
from sandbox import Place

CONFIG = """
[inbox]
text = "count"
settle_seconds = 0.1
[recipes.count]
processor = "plaintext"
[devices.cpu]
use = false
[cluster]
address = "127.0.0.2:{port}"
token_file = "{token_file}"
"""
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """Create a certificate authority, and its certificate for the addresses of the nodes."""

    def __init__(self, folder: Path):
        folder.mkdir()
        self.certificate, self.of_node, self.key = folder / "ca.crt", folder / "node.crt", folder / "node.key"
        key, request, names = folder / "ca.key", folder / "node.csr", folder / "names"
        names.write_text("subjectAltName = IP:127.0.0.1, IP:127.0.0.2, DNS:localhost\n")
        _openssl("req", "-x509", *_KEY, "-subj", "/CN=authority", "-keyout", key, "-out", self.certificate)
        _openssl("req", *_KEY, "-subj", "/CN=node", "-keyout", self.key, "-out", request)
        signing = ("-CA", self.certificate, "-CAkey", key, "-CAcreateserial", "-extfile", names)
        _openssl("x509", "-req", "-in", request, *signing, "-out", self.of_node)

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Set the environment that Ray needs on all nodes and in the daemon."""
        monkeypatch.setenv("RAY_USE_TLS", "1")
        monkeypatch.setenv("RAY_TLS_SERVER_CERT", str(self.of_node))
        monkeypatch.setenv("RAY_TLS_SERVER_KEY", str(self.key))
        monkeypatch.setenv("RAY_TLS_CA_CERT", str(self.certificate))


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, Path, Authority]]:
    require_ray()
    requires.program("openssl")
    authority, port, token_file = Authority(tmp_path / "authority"), free_port(), tmp_path / "token"
    authority.use(monkeypatch)
    nodes = load_nodes().start(2, port=port, token_file=token_file)
    yield port, token_file, authority
    for node in nodes:
        node.kill()


@pytest.mark.long
def test_files_run_over_tls_and_a_stranger_is_refused(
    cluster: tuple[int, Path, Authority], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    port, token_file, authority = cluster
    config = CONFIG.format(port=port, token_file=token_file)
    with _place(tmp_path / "own", config) as place:
        place.drop("a.txt", "some words")
        place.drain(timeout=180)
        assert place.rows("SELECT node, state FROM job_log") == [{"node": "box1", "state": "done"}]

    assert _is_answered(port, authority) and not _is_answered(port, authority, with_certificate=False)

    Authority(tmp_path / "stranger").use(monkeypatch)
    _check_refused(tmp_path / "other", config)
    monkeypatch.setenv("RAY_USE_TLS", "0")
    _check_refused(tmp_path / "plain", config)


def _place(home: Path, config: str) -> Place:
    home.mkdir()
    return Place(home, config)


def _is_answered(port: int, authority: Authority, *, with_certificate: bool = True) -> bool:
    """True if the head, which must have a certificate of the authority, answers over TLS."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.set_alpn_protocols(["h2"])
    if with_certificate:
        context.load_cert_chain(authority.of_node, authority.key)
    with (
        socket.create_connection(("127.0.0.2", port), 10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.2") as connection,
    ):
        try:
            return bool(connection.recv(1))  # of the settings that an HTTP/2 server sends first
        except (ssl.SSLError, ConnectionError):
            return False


def _check_refused(home: Path, config: str) -> None:
    with _place(home, config) as place:
        place.drop("a.txt", "some words")
        done = place.drain(check=1, timeout=180)
        assert "the Ray cluster cannot be used" in done.stderr
        assert place.rows("SELECT state FROM jobs") == [{"state": "queued"}]
