"""An environment that inboxd shares with python-daemon is refused, whichever was installed first."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

_THEIRS = {
    "after": {"__init__.py": "from .daemon import DaemonContext\n", "daemon.py": "class DaemonContext: pass\n"},
    "before": {"daemon.py": "class DaemonContext: pass\n"},  # inboxd has replaced the __init__.py
}


@pytest.mark.parametrize("installed", _THEIRS)
def test_package_mixed_with_python_daemon_is_refused(installed: str, tmp_path: Path):
    shutil.copytree(ROOT / "daemon", tmp_path / "daemon", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in _THEIRS[installed].items():
        (tmp_path / "daemon" / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "daemon.cli", "--version"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 78 and done.stdout == ""
    assert "python-daemon" in done.stderr and "pipx install inboxd" in done.stderr
    assert "Traceback" not in done.stderr
