"""Reading the job log while a daemon runs, or after it was killed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from factories import make_job

from daemon.core.errors import NoJobLog, UsageError
from daemon.queue.reader import JobFilter, JobLog
from daemon.queue.store import Store

_KILLED_WHILE_IT_MADE_ITS_TABLES = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("CREATE TABLE first (x)")
connection.execute("BEGIN IMMEDIATE")
for number in range(50):
    connection.execute(f"CREATE TABLE t{number} (x)")
assert os.path.getsize(sys.argv[1] + "-journal") > 0
os._exit(9)
"""


def test_job_log_of_an_interrupted_first_start_does_not_exist_yet(tmp_path: Path):
    database = tmp_path / "jobs.db"
    killed = subprocess.run([sys.executable, "-c", _KILLED_WHILE_IT_MADE_ITS_TABLES, str(database)])
    assert killed.returncode == 9
    with pytest.raises(NoJobLog, match="no job log"):
        JobLog(database)


@pytest.mark.parametrize("kept_from_us", ["the file", "its folder"])
def test_inaccessible_job_log_is_reported_with_its_fix(kept_from_us: str, tmp_path: Path):
    folder = tmp_path / "state"
    folder.mkdir()
    database = folder / "jobs.db"
    database.write_bytes(b"")
    (database if kept_from_us == "the file" else folder).chmod(0)
    with as_nobody(tmp_path), pytest.raises(UsageError, match="may not read") as refused:
        JobLog(database)
    folder.chmod(0o755)
    assert "as root" in refused.value.fix


@contextmanager
def as_nobody(reachable: Path) -> Iterator[None]:
    """Root may read everything: be somebody else."""
    if os.geteuid() != 0:
        yield
        return
    outer = reachable.parents[1]  # pytest's own folders are for root only
    for folder in (reachable, reachable.parent, outer):
        folder.chmod(0o755)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        outer.chmod(0o700)


def test_folder_means_this_folder_and_those_below_it(tmp_path: Path):
    """Not those that a pattern of LIKE would match: "_" is any character there, and case does not count."""
    store = Store(tmp_path / "jobs.db")
    store.insert([make_job(folder=folder) for folder in ("a_b", "a_b/sub", "axb/sub", "A_B/sub", "a_bc", "")])
    store.close()
    with JobLog(tmp_path / "jobs.db") as log:
        found = {row["folder"] for row in log.jobs(JobFilter(folder="a_b"))}
    assert found == {"a_b", "a_b/sub"}
