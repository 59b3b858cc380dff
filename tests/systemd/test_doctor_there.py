"""`inboxd doctor` and the aids of the shell, on a service that is really installed."""

import json
from typing import Any

import pytest
from installed import Installed

pytestmark = pytest.mark.long


def _look(service: Installed, user: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """The findings of doctor, by subject."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in json.loads(service.lab.run("/usr/local/bin/inboxd", "doctor", "--json", user=user, check=False).stdout):
        found.setdefault(line["what"], []).append(line)
    return found


def _worst(lines: list[dict[str, Any]]) -> str:
    return max((line["verdict"] for line in lines), key=["ok", "warn", "FAIL"].index)


def test_fresh_installation_passes(service: Installed):
    found = _look(service)
    for what in ("config", "folders", "space", "storage", "daemon", "service"):
        assert _worst(found[what]) == "ok", found[what]


def test_doctor_names_the_user_who_may_run_it(service: Installed):
    found = _look(service, user="stranger")
    assert "cannot be checked" in found["folders"][0]["found"] and "Run doctor as root" in found["folders"][0]["fix"]
    assert found["service"]


def test_edited_unit_and_stopped_service_are_reported(service: Installed):
    service.lab.run("sed", "-i", "s/^WatchdogSec=60$/WatchdogSec=61/", "/etc/systemd/system/inboxd.service")
    service.systemctl("stop", "inboxd")
    found = _look(service)["service"]
    assert "not the unit of this version" in found[0]["found"] and "inboxd install" in found[0]["fix"]
    assert "inactive" in str(found) and "systemctl start inboxd" in str(found) and "daemon-reload" in str(found)
    service.lab.run("sed", "-i", "s/^WatchdogSec=61$/WatchdogSec=60/", "/etc/systemd/system/inboxd.service")
    service.systemctl("daemon-reload")


def test_folder_that_the_service_may_not_write_fails(service: Installed):
    service.lab.run("chown", "root:root", "/var/lib/inboxd/outbox")
    try:
        found = _look(service)["folders"]
        assert [line["verdict"] for line in found] == ["ok", "FAIL", "ok"]
        assert found[1]["fix"] == "chown inboxd /var/lib/inboxd/outbox"
    finally:
        service.lab.run("chown", "inboxd:inboxd", "/var/lib/inboxd/outbox")


def test_man_page_and_completion_are_installed(service: Installed):
    assert "inboxd doctor" in service.lab.run("cat", "/usr/local/share/man/man1/inboxd.1").stdout
    service.lab.run("bash", "-n", "/usr/local/share/bash-completion/completions/inboxd")
