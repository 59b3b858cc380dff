"""One call of a command hook: what it is given, and when it has succeeded or failed."""

import os
import signal
from pathlib import Path

import pytest

from daemon.config.schema import Hook
from daemon.notify import hooks

_PAYLOAD = {"event": "done", "id": "1"}


def call(script: str, *, timeout: float = 60.0) -> None:
    hooks._run(Hook(command=("sh", "-c", script), timeout=timeout), _PAYLOAD)


def test_command_that_leaves_a_process_in_the_background_has_succeeded(tmp_path: Path):
    left = tmp_path / "left"
    try:
        call(f"sleep 1000 & echo $! > {left}; echo started", timeout=10.0)
    finally:
        os.kill(int(left.read_text()), signal.SIGKILL)


def test_failed_command_is_reported_with_the_end_of_its_output():
    with pytest.raises(hooks.CallFailed, match=r"^exit status 3: x+\s+it broke$") as caught:
        call("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo it broke >&2; exit 3")
    assert len(str(caught.value)) < 600


def test_command_receives_the_event_as_json_and_in_its_environment(tmp_path: Path):
    call(f'(cat; echo; echo "$INBOXD_EVENT $INBOXD_JOB") > {tmp_path}/given')
    assert (tmp_path / "given").read_text() == '{"event": "done", "id": "1"}\ndone 1\n'


def test_command_that_hangs_is_killed():
    with pytest.raises(hooks.CallFailed, match="killed after its timeout of 0.2 s"):
        call("exec sleep 1000", timeout=0.2)


def test_command_that_does_not_exist_is_reported():
    with pytest.raises(hooks.CallFailed, match="cannot start"):
        hooks._run(Hook(command=("/nowhere",)), _PAYLOAD)
