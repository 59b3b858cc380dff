"""A worker process that cannot be started."""

import time
from pathlib import Path

import pytest

from daemon.workers.launcher import Launcher
from daemon.workers.supervisor import Seat, Workers
from processors.contract import Options


@pytest.mark.parametrize("python", ["\0", "a\0b", "/there/is/none"])
def test_interpreter_that_cannot_be_run_raises_oserror(tmp_path: Path, python: str):
    workers = Workers(Launcher(print), tmp_path, clock=time.monotonic)
    with pytest.raises(OSError):
        workers.spawn("plaintext", Options(python=python), Seat())
    assert len(workers) == 0
