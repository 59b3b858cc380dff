"""The service on a real systemd, from its installation to its stop, in a few seconds."""

from installed import Installed
from lab import Lab


def test_service_is_installed_takes_a_file_and_stops(lab: Lab, code: str):
    told = lab.run(f"{code}/.venv/bin/inboxd", "install").stdout
    for where in ("/var/lib/inboxd/inbox", "/var/lib/inboxd/outbox", "/etc/inboxd/config.toml", "journalctl"):
        assert where in told
    service = Installed(lab)
    assert service.shows("ActiveState") == "active" and "0 queued" in service.shows("StatusText")
    service.configure(Installed.TOML.replace('text = "do"', 'text = "count"'))
    service.drop("words.txt", "three little words")
    assert service.ended("words.txt")["state"] == "done"
    assert service.result("words.txt")["details"]["words"] == 3
    service.systemctl("stop", "inboxd")
    assert service.shows("Result") == "success" and service.shows("ExecMainStatus") == "0"
