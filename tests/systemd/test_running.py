"""The service as its administrator handles it: start, status, journal, reload, pause, stop."""

import json

import pytest
from installed import Installed
from sandbox import wait_for

pytestmark = pytest.mark.long

SLOW = Installed.TOML.replace('"fakes.misbehaving"', '"fakes.slow_loader"\nloads_until = "/var/lib/inboxd/loaded"')


def test_daemon_answers_and_takes_files_when_start_has_returned(service: Installed):
    service.systemctl("stop", "inboxd")
    service.systemctl("start", "inboxd")
    service.inboxd("status")
    service.drop("first.txt", "fine")
    assert service.ended("first.txt")["state"] == "done"


def test_status_shows_the_queue_and_the_current_file(service: Installed):
    service.drop("long.txt", "wait_for /var/lib/inboxd/go-on")
    service.running("long.txt")
    service.drop("next.txt", "fine")
    wait_for(lambda: "1 queued, 1 running" in service.shows("StatusText"), "the queue in the status")
    assert "long.txt" in service.shows("StatusText")
    assert 'Status: "1 queued, 1 running' in service.systemctl("status", "inboxd").stdout
    service.lab.path("var/lib/inboxd/go-on").touch()
    assert service.ended("next.txt")["state"] == "done"


def test_stop_returns_a_long_job_to_the_queue_for_the_next_start(service: Installed):
    service.drop("endless.txt", "wait_for /var/lib/inboxd/after-stop")
    service.running("endless.txt")
    service.systemctl("stop", "inboxd")
    assert service.shows("Result") == "success" and service.shows("ExecMainStatus") == "0"
    assert service.row("endless.txt")["state"] == "queued"
    assert service.rows("SELECT charged FROM jobs WHERE name = 'endless.txt'") == [{"charged": 0}]
    service.lab.path("var/lib/inboxd/after-stop").touch()
    service.systemctl("start", "inboxd")
    assert service.ended("endless.txt")["state"] == "done"
    service.inboxd("verify")


def test_stop_waits_for_a_job_that_ends_in_time(service: Installed):
    service.configure(Installed.TOML.replace("stop_seconds = 2", "stop_seconds = 30"))
    service.drop("soon.txt", "wait_for /var/lib/inboxd/soon")
    service.running("soon.txt")
    stopping = service.lab.start("systemctl", "stop", "inboxd")
    wait_for(lambda: service.shows("ActiveState") == "deactivating", "the stop to begin")
    service.lab.path("var/lib/inboxd/soon").touch()
    assert stopping.wait(60) == 0
    assert service.row("soon.txt")["state"] == "done" and service.row("soon.txt")["attempts"] == 1


def test_stop_may_take_longer_than_in_the_unit_if_stop_seconds_is_longer(service: Installed):
    service.write_config(Installed.TOML.replace("stop_seconds = 2", "stop_seconds = 30"))
    service.add_drop_in("[Service]\nTimeoutStopSec=1\n")
    service.drop("later.txt", "wait_for /var/lib/inboxd/later")
    service.running("later.txt")
    stopping = service.lab.start("systemctl", "stop", "inboxd")
    wait_for(lambda: service.shows("ActiveState") == "deactivating", "the stop to begin")
    with pytest.raises(Exception, match="timed out"):
        stopping.wait(3)  # the unit's patience is over long since
    service.lab.path("var/lib/inboxd/later").touch()
    assert stopping.wait(60) == 0
    assert service.row("later.txt")["state"] == "done" and service.shows("Result") == "success"


def test_stop_while_a_model_loads_is_clean_and_loses_nothing(service: Installed):
    service.configure(SLOW)
    service.drop("waits.txt", "fine")
    wait_for(lambda: "fakes.slow_loader" in service.inboxd("status", "--json").stdout, "the model to load")
    service.systemctl("stop", "inboxd")
    assert service.shows("Result") == "success" and service.row("waits.txt")["state"] == "queued"
    service.lab.path("var/lib/inboxd/loaded").touch()
    service.systemctl("start", "inboxd")
    assert service.ended("waits.txt")["state"] == "done"


def test_reload_applies_a_changed_config_to_new_jobs(service: Installed):
    main = service.shows("MainPID")
    service.write_config(Installed.TOML.replace('text = "do"', 'text = "count"'))
    service.systemctl("reload", "inboxd")
    service.drop("counted.txt", "three little words")
    assert service.ended("counted.txt")["recipe"] == "count" and service.shows("MainPID") == main
    assert "Changed settings" in service.journal() and service.shows("ActiveState") == "active"


def test_refused_reload_fails_with_the_reason_and_keeps_the_settings(service: Installed):
    service.write_config(Installed.TOML.replace('text = "do"', 'text = "dance"'))
    refused = service.systemctl("reload", "inboxd", check=False)
    assert refused.returncode != 0 and "systemctl status inboxd" in refused.stderr
    wait_for(lambda: "is not in force" in service.shows("StatusText"), "the problem in the status")
    shown = service.systemctl("status", "inboxd").stdout
    assert "config.toml was changed and is not in force" in shown and "dance" in shown
    assert "dance" in service.journal("--priority", "err")
    service.drop("as-before.txt", "fine")
    assert service.ended("as-before.txt")["recipe"] == "do" and service.shows("ActiveState") == "active"
    service.write_config(Installed.TOML)
    service.systemctl("reload", "inboxd")
    wait_for(lambda: "not in force" not in service.shows("StatusText"), "the problem to go")


def test_pause_survives_a_restart_and_is_shown(service: Installed):
    service.inboxd("pause", "a game")
    service.systemctl("restart", "inboxd")
    service.drop("paused.txt", "fine")
    wait_for(lambda: service.row("paused.txt"), "the drop to be taken")
    wait_for(lambda: "Paused (a game)" in service.shows("StatusText"), "the pause in the status")
    assert service.row("paused.txt")["state"] == "queued"
    service.inboxd("resume")
    assert service.ended("paused.txt")["state"] == "done"


def test_journal_is_filtered_by_job_and_file_and_has_priorities(service: Installed):
    service.drop("damaged.txt", "bad")
    service.drop("sound.txt", "fine")
    damaged, sound = service.ended("damaged.txt"), service.ended("sound.txt")
    told = [json.loads(line) for line in service.journal(f"JOB={damaged['id']}", output="json").splitlines()]
    assert told and {entry["FILE"] for entry in told} == {"damaged.txt"}
    assert {entry["_SYSTEMD_UNIT"] for entry in told} == {"inboxd.service"}
    assert {"RECIPE", "STATE", "LOGGER", "PRIORITY"} <= told[-1].keys() and told[-1]["STATE"] == "failed"
    assert sound["id"] not in service.journal("FILE=damaged.txt", output="json")
    grave = service.journal("--priority", "warning", "FILE=damaged.txt")
    assert "damaged" in grave and service.journal("--priority", "warning", "FILE=sound.txt") == ""
    assert service.journal("--priority", "info", "FILE=sound.txt") != ""
