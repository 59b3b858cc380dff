"""What is sent to journald."""

import logging
import socket
import struct
from pathlib import Path

import pytest
from factories import make_job

from daemon.core.journald import JournalHandler, about


@pytest.fixture
def journald(tmp_path: Path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "socket"))
        yield listener


def fields(datagram: bytes) -> dict[str, str]:
    """A datagram of the native protocol, taken apart."""
    found = {}
    while datagram:
        name, _, rest = datagram.partition(b"\n")
        length = struct.unpack_from("<Q", rest)[0]
        found[name.decode()] = rest[8 : 8 + length].decode()
        assert rest[8 + length : 9 + length] == b"\n"
        datagram = rest[9 + length :]
    return found


def logger(address: str) -> logging.Logger:
    made = logging.Logger("daemon.scheduling.dispatcher")
    made.addHandler(JournalHandler(address))
    return made


def test_message_about_a_job_has_its_fields(journald: socket.socket):
    job = make_job(name="a\nb.txt", folder="bank")
    logger(journald.getsockname()).warning("%s failed\nbadly", job.path, extra=about(job))
    told = fields(journald.recv(65536))
    assert told["JOB"] == job.id and told["FILE"] == job.path and told["STATE"] == job.state
    assert told["PRIORITY"] == "4" and told["LOGGER"] == "daemon.scheduling.dispatcher" and "badly" in told["MESSAGE"]


def test_message_without_a_job_has_no_fields(journald: socket.socket):
    logger(journald.getsockname()).info("ready")
    told = fields(journald.recv(65536))
    assert told["MESSAGE"] == "ready" and told["PRIORITY"] == "6" and "JOB" not in told


def test_without_a_journal_messages_go_to_stderr_with_their_priority(tmp_path: Path, capsys: pytest.CaptureFixture):
    logger(str(tmp_path / "nobody")).error("first\nsecond")
    lines = capsys.readouterr().err.splitlines()
    assert lines and all(line.startswith("<3>") for line in lines)
