"""Outcomes that cross a command on their way; the daemon's parts are driven by hand."""

from pathlib import Path

import pytest
from manual_daemon import HandDaemon

from daemon import config
from processors.contract import FailureKind

TOML = """
[inbox]
text = "count"
settle_seconds = 0.0
[recipes.count]
processor = "plaintext"
max_batch = 3
"""


@pytest.fixture
def running(tmp_path: Path):
    """A daemon whose one worker has two jobs."""
    (tmp_path / "config.toml").write_text(TOML)
    daemon = HandDaemon(config.load(tmp_path / "config.toml"), lambda: 1000.0)
    for name in ("a.txt", "b.txt"):
        (daemon.settings.inbox / name).write_text(name)
    daemon.look()
    daemon.go_on()
    (worker,) = daemon.workers
    daemon.load(worker)
    daemon.go_on()
    assert len(worker.jobs) == 2
    yield daemon, worker
    daemon.store.close()


@pytest.mark.parametrize("outcome", ["finished", "failed"])
def test_job_that_was_cancelled_is_so_though_its_outcome_was_on_its_way(running, outcome: str):
    daemon, worker = running
    first, second = worker.jobs.values()
    daemon.dispatch.cancel(first)
    if outcome == "finished":
        daemon.finish(worker, first)
    else:
        daemon.fail(worker, first, FailureKind.ERROR)
    daemon.bury(worker)
    assert daemon.store.get(first.id).state == "cancelled"
    mate = daemon.store.get(second.id)
    assert (mate.state, mate.charged, mate.alone) == ("queued", 0, False)
