"""The daemon process as its manager and its users see it: readiness, promptness, signals."""

import signal
import socket
from pathlib import Path

import pytest
from forked_inboxd import Inboxd
from sandbox import Place, wait_for


@pytest.fixture
def manager(tmp_path: Path):
    """A notify socket, as systemd has one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(30)
        yield listener


def _start(place: Place, manager: socket.socket, **environment: str) -> Inboxd:
    environment = {**place.environment(), "NOTIFY_SOCKET": manager.getsockname(), **environment}
    with (place.home / "daemon.log").open("ab") as log:
        arguments = ["run", "--config", str(place.config)]
        daemon = Inboxd(arguments, cwd=place.home, env=environment, stdout=log, stderr=log)
    place.adopt(daemon)
    return daemon


def _hear(manager: socket.socket, word: bytes) -> None:
    while word not in manager.recv(65536):
        pass


def test_file_dropped_right_after_readiness_is_taken_by_its_event(place: Place, manager):
    place.write_config(Place.TEXT.replace("settle_seconds = 0.3", "settle_seconds = 3600"))
    _start(place, manager)
    _hear(manager, b"READY=1")
    place.drop("first.txt")
    assert place.ended("first.txt")["state"] == "done"


def test_copied_file_is_taken_by_its_event_once_it_has_settled(place: Place, manager):
    place.write_config(Place.TEXT.replace('probe = "300ms"', 'probe = "300ms"\nrescan = "1h"'))
    _start(place, manager)
    _hear(manager, b"READY=1")
    (place.inbox / "copied.txt").write_text("written in place")
    assert place.ended("copied.txt")["state"] == "done"


def test_queued_jobs_start_immediately_after_a_start(place: Place, manager):
    place.write_config(Place.TEXT.replace('"plaintext"', '"fakes.misbehaving"\nunavailable_until = "weights"'))
    place.drop("a.txt", "fine")
    place.drain(check=1)
    (place.home / "weights").touch()
    never = place.config.read_text().replace('probe = "300ms"', 'probe = "1h"\nrescan = "1h"\nunload = "1h"')
    place.write_config(never)
    _start(place, manager)
    assert place.ended("a.txt")["state"] == "done"


def test_stop_is_announced_and_clean(place: Place, manager):
    daemon = _start(place, manager)
    _hear(manager, b"READY=1")
    daemon.send_signal(signal.SIGTERM)
    _hear(manager, b"STOPPING=1")
    assert daemon.wait(30) == 0
    assert not (place.state / "inboxd.sock").exists()


def test_start_over_is_not_announced_as_a_stop(place: Place, manager):
    place.write_config(Place.TEXT + 'rescan = "200ms"\n')
    _start(place, manager)
    _hear(manager, b"READY=1")
    for file in place.state.glob("jobs.db*"):
        file.unlink()
    heard = []
    while b"READY=1" not in heard:
        heard.append(manager.recv(65536))
    assert any(word.startswith(b"RELOADING=1") for word in heard)
    assert not any(word.startswith(b"STOPPING=1") for word in heard)


def test_manager_is_asked_for_as_long_as_running_jobs_may_take_to_finish(place: Place, manager):
    place.write_config(Place.TEXT + '[workers]\nstop_seconds = "10m"\n')
    daemon = _start(place, manager)
    _hear(manager, b"READY=1")
    daemon.send_signal(signal.SIGTERM)
    _hear(manager, b"EXTEND_TIMEOUT_USEC=620000000")
    assert daemon.wait(30) == 0


def test_watchdog_is_pinged_while_there_is_nothing_to_do(place: Place, manager):
    _start(place, manager, WATCHDOG_USEC="400000")
    for _ in range(3):
        _hear(manager, b"WATCHDOG=1")


def test_status_line_reports_the_counts_to_the_manager(place: Place, manager):
    _start(place, manager)
    _hear(manager, b"READY=1")
    place.drop("a.txt")
    _hear(manager, b"1 done")


def test_hangup_retries_waiting_jobs_at_once(make_place, manager):
    place = make_place(
        """
        [inbox]
        text = "m"
        settle_seconds = 0.1
        [recipes.m]
        processor = "fakes.misbehaving"
        unavailable_until = "weights"
        [schedule]
        probe = "1h"
        """
    )
    place.drop("a.txt", "fine")
    daemon = _start(place, manager)
    wait_for(lambda: (place.row("a.txt") or {}).get("waiting_for"), "the job to wait")
    (place.home / "weights").touch()
    daemon.send_signal(signal.SIGHUP)
    assert place.ended("a.txt")["state"] == "done"


def test_interrupt_twice_stops_at_once(make_place, manager):
    place = make_place(
        """
        [inbox]
        text = "m"
        settle_seconds = 0.1
        [recipes.m]
        processor = "fakes.misbehaving"
        [workers]
        stop_seconds = "1h"
        """
    )
    place.drop("hangs.txt", "hang")
    daemon = _start(place, manager)
    wait_for(lambda: (place.row("hangs.txt") or {}).get("state") == "running", "the job to run")
    daemon.send_signal(signal.SIGINT)
    _hear(manager, b"STOPPING=1")
    daemon.send_signal(signal.SIGINT)
    assert daemon.wait(30) == 0
    assert place.row("hangs.txt")["state"] == "queued"


def test_no_process_is_left_behind(place: Place, manager):
    daemon = _start(place, manager)
    place.drop("a.txt")
    place.ended("a.txt")
    workers = [row["worker_pid"] for row in place.rows("SELECT worker_pid FROM attempts")]
    daemon.send_signal(signal.SIGTERM)
    daemon.wait(30)
    assert workers and not any(Path(f"/proc/{pid}").exists() for pid in workers)
