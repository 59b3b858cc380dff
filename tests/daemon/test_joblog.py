"""Reading the job log beside a daemon, or after one that was killed."""

import subprocess
import sys
from pathlib import Path

import pytest

from daemon.errors import UsageError
from daemon.joblog import JobLog

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


def test_job_log_whose_first_start_was_killed_is_none_yet(tmp_path: Path):
    database = tmp_path / "jobs.db"
    killed = subprocess.run([sys.executable, "-c", _KILLED_WHILE_IT_MADE_ITS_TABLES, str(database)])
    assert killed.returncode == 9
    with pytest.raises(UsageError, match="no job log"):
        JobLog(database)
