"""`inboxd install` where it is impossible: it names the fix and changes nothing. For the rest see tests/systemd."""

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


def test_install_without_a_service_manager_changes_nothing(tmp_path: Path):
    done = inboxd(tmp_path, "install", "--user")
    assert done.returncode == 78, done.stdout + done.stderr
    assert ("make install" if not Path(sys.prefix, "bin", "inboxd").exists() else "systemd") in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(IS_BOOTED, reason="this machine runs under systemd")
def test_system_service_without_systemd_is_refused_before_any_change(tmp_path: Path):
    done = inboxd(tmp_path, "install")
    assert done.returncode == 78 and "inboxd" in done.stderr
    assert not Path("/etc/systemd/system/inboxd.service").exists()


def test_uninstall_without_a_service_reports_it(tmp_path: Path):
    done = inboxd(tmp_path, "uninstall", "--user")
    assert done.returncode == 0 and "nothing to stop" in done.stdout
