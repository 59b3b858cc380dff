"""`inboxd install` where it cannot be done: it says what to do, and changes nothing. Where it can: tests/systemd."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

IS_BOOTED = Path("/run/systemd/system").is_dir()


def inboxd(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT)}
    environment = {name: value for name, value in environment.items() if not name.startswith(("XDG_", "DBUS_"))}
    return subprocess.run(
        [sys.executable, "-m", "daemon.cli", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )


def test_without_a_manager_to_ask_nothing_is_changed(tmp_path: Path):
    done = inboxd(tmp_path, "install", "--user")
    assert done.returncode == 78, done.stdout + done.stderr
    assert ("make install" if not Path(sys.prefix, "bin", "inboxd").exists() else "systemd") in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(IS_BOOTED, reason="this machine runs under systemd")
def test_service_of_the_system_is_refused_without_systemd_before_anything_is_changed(tmp_path: Path):
    done = inboxd(tmp_path, "install")
    assert done.returncode == 78 and "inboxd" in done.stderr
    assert not Path("/etc/systemd/system/inboxd.service").exists()


def test_removal_where_nothing_is_installed_says_so(tmp_path: Path):
    done = inboxd(tmp_path, "uninstall", "--user")
    assert done.returncode == 0 and "nothing to stop" in done.stdout
