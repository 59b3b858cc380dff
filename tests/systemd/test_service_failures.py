"""What systemd does when the daemon crashes, hangs or cannot start, and the outcome of the files."""

import pytest
from installed import Installed
from sandbox import wait_for

pytestmark = pytest.mark.long


def restarts(service: Installed) -> int:
    return int(service.shows("NRestarts"))


def test_killed_daemon_is_restarted_and_its_job_continues(service: Installed):
    before = restarts(service)
    service.drop("survivor.txt", "wait_for /var/lib/inboxd/risen")
    service.running("survivor.txt")
    service.kill("KILL")
    wait_for(lambda: restarts(service) == before + 1 and service.shows("ActiveState") == "active", "the restart")
    service.lab.path("var/lib/inboxd/risen").touch()
    assert service.ended("survivor.txt")["state"] == "done"
    assert len(service.lab.run("pgrep", "-f", "processors.worker").stdout.split()) == 1  # the old one is gone
    service.inboxd("verify")


def test_hanging_daemon_is_restarted_by_the_watchdog(service: Installed):
    service.add_drop_in("[Service]\nWatchdogSec=2\n")
    service.drop("patient.txt", "wait_for /var/lib/inboxd/awake")
    service.running("patient.txt")
    before, main = restarts(service), service.shows("MainPID")
    service.kill("STOP")
    wait_for(lambda: restarts(service) == before + 1 and service.shows("ActiveState") == "active", "the restart")
    assert service.shows("MainPID") != main and "Watchdog timeout" in service.journal()
    service.lab.path("var/lib/inboxd/awake").touch()
    assert service.ended("patient.txt")["state"] == "done"
    service.inboxd("verify")


def test_working_daemon_is_not_killed_by_a_short_watchdog(service: Installed):
    service.add_drop_in("[Service]\nWatchdogSec=1\n")
    before = restarts(service)
    for number in range(20):
        service.drop(f"many-{number}.txt", "fine")
    for number in range(20):
        service.ended(f"many-{number}.txt")
    assert restarts(service) == before


def test_crash_loop_is_limited(service: Installed):
    service.add_drop_in("[Unit]\nStartLimitBurst=4\n[Service]\nRestartSec=100ms\n")
    assert service.shows("StartLimitBurst") == "4" and service.shows("StartLimitIntervalUSec") == "10min"
    service.systemctl("reset-failed", "inboxd")

    def crash() -> bool:
        if service.shows("ActiveState") == "active":
            service.kill("KILL")
        return service.shows("Result") == "start-limit-hit" or service.shows("ActiveState") == "failed"

    wait_for(crash, "the limit")
    assert restarts(service) <= 5 and "Start request repeated too quickly" in service.journal()
    service.systemctl("reset-failed", "inboxd")
    service.systemctl("start", "inboxd")


def test_invalid_config_at_start_is_reported_once_and_not_retried(service: Installed):
    service.write_config("[inbox")
    before = restarts(service)
    refused = service.systemctl("restart", "inboxd", check=False)
    assert refused.returncode != 0
    assert service.shows("ActiveState") == "failed" and service.shows("ExecMainStatus") == "78"
    assert restarts(service) == before and "not valid TOML" in service.journal("-n", "20")


def test_start_on_a_full_disk_waits_and_reports_the_reason(service: Installed):
    lab, data = service.lab, "/var/lib/inboxd"
    service.systemctl("stop", "inboxd")
    lab.run("sh", "-c", f"mount -t tmpfs -o size=600k,mode=750 small {data} && chown inboxd: {data}")
    lab.run("sh", "-c", f"dd if=/dev/zero of={data}/fill bs=1k", check=False)
    starting = lab.start("systemctl", "start", "inboxd")
    wait_for(lambda: "waiting: " in service.shows("StatusText"), "the reason in the status")
    before, main = restarts(service), service.shows("MainPID")
    assert service.shows("ActiveState") == "activating" and starting.poll() is None
    lab.run("rm", f"{data}/fill")
    assert starting.wait(60) == 0
    assert (restarts(service), service.shows("MainPID")) == (before, main)
    reports = [line for line in service.journal(f"_PID={main}").splitlines() if "retried" in line]
    assert len(reports) == 1
    service.systemctl("stop", "inboxd")
    lab.run("umount", data)


def test_start_that_waits_for_a_disk_can_be_stopped(service: Installed):
    lab, data = service.lab, "/var/lib/inboxd"
    service.systemctl("stop", "inboxd")
    lab.run("sh", "-c", f"mount -t tmpfs -o size=600k,mode=750 small {data} && chown inboxd: {data}")
    lab.run("sh", "-c", f"dd if=/dev/zero of={data}/fill bs=1k", check=False)
    starting = lab.start("systemctl", "start", "inboxd")
    wait_for(lambda: "waiting: " in service.shows("StatusText"), "the reason in the status")
    service.systemctl("stop", "inboxd")
    assert starting.wait(60) != 0
    assert service.shows("ActiveState") == "inactive" and service.shows("Result") == "success"
    lab.run("umount", data)


def test_job_log_lost_while_running_is_rebuilt_without_a_restart(service: Installed):
    service.drop("known.txt", "fine")
    service.ended("known.txt")
    main, before = service.shows("MainPID"), restarts(service)
    service.lab.run("sh", "-c", "rm /var/lib/inboxd/state/jobs.db*")
    service.inboxd("reload")
    service.drop("new.txt", "fine")
    assert service.ended("new.txt")["state"] == "done" and service.row("known.txt")["state"] == "done"
    assert service.shows("MainPID") == main and restarts(service) == before
    assert service.shows("ActiveState") == "active" and service.shows("SubState") == "running"


def test_worker_above_its_memory_limit_is_killed_and_the_service_continues(service: Installed):
    service.configure(Installed.TOML.replace('"fakes.misbehaving"', '"fakes.misbehaving"\nmemory_max = "100MB"'))
    main = service.shows("MainPID")
    service.drop("glutton.txt", "allocate 400")
    service.drop("modest.txt", "fine")
    assert service.ended("glutton.txt")["state"] == "failed" and service.ended("modest.txt")["state"] == "done"
    assert service.row("glutton.txt")["error_kind"] == "out_of_memory"
    assert service.shows("MainPID") == main and service.shows("ActiveState") == "active"


def test_worker_killed_by_the_kernel_does_not_stop_the_service(service: Installed):
    if not service.lab.has_memory_limits():
        pytest.skip("this machine keeps its memory limits to control groups of version 1")
    service.add_drop_in("[Service]\nMemoryMax=300M\nMemorySwapMax=0\n")
    main = service.shows("MainPID")
    service.drop("glutton.txt", "allocate 600")
    service.drop("modest.txt", "fine")
    assert service.ended("glutton.txt")["state"] == "failed" and service.ended("modest.txt")["state"] == "done"
    assert service.shows("MainPID") == main and service.shows("ActiveState") == "active"
