"""`inboxd install` and `uninstall` on a real systemd: what they put where, for whom, and what an upgrade keeps."""

import pytest
from installed import Installed, bring_in
from lab import Lab
from sandbox import wait_for

pytestmark = pytest.mark.long


def test_installation_reports_all_locations_and_admits_the_group(lab: Lab, code: str):
    told = lab.run(f"{code}/.venv/bin/inboxd", "install").stdout
    for path in ("etc/systemd/system/inboxd.service", "etc/inboxd/config.toml", "var/lib/inboxd/inbox"):
        assert f"/{path}\n" in told and lab.path(path).exists()
    assert "journalctl -u inboxd -f" in told and "usermod --append --groups inboxd NAME" in told
    facts = lab.run("stat", "--format", "%U %G %a", *(f"/var/lib/inboxd/{each}" for each in ("", "inbox", "state")))
    assert facts.stdout.splitlines() == ["inboxd inboxd 750", "inboxd inboxd 3770", "inboxd inboxd 700"]
    assert lab.run("systemctl", "is-enabled", "inboxd").stdout == "enabled\n"
    assert lab.run("systemctl", "is-active", "inboxd").stdout == "active\n"


def test_member_of_the_group_drops_and_reads_and_a_stranger_does_not(service: Installed):
    lab, inbox, outbox = service.lab, "/var/lib/inboxd/inbox", "/var/lib/inboxd/outbox"
    lab.path("home/member/letter.txt").write_text("fine\n")
    lab.run("sh", "-c", f"umask 022; cp ~/letter.txt {inbox}", user="member")
    assert service.ended("letter.txt")["state"] == "done"
    assert lab.run("cat", f"{outbox}/letter/letter.out", user="member").stdout == "fine\n"
    assert lab.run("cat", f"{outbox}/letter/letter.txt", user="member").stdout == "fine\n"
    for command in (f"cp /etc/passwd {inbox}", f"ls {inbox}", f"ls {outbox}", f"cat {outbox}/letter/letter.out"):
        refused = lab.run("sh", "-c", command, user="stranger", check=False)
        assert refused.returncode != 0 and "Permission denied" in refused.stderr, command
    assert lab.run("touch", f"{outbox}/mine", user="member", check=False).returncode != 0
    refused = service.inboxd("pause", user="member", check=69)
    assert "Run the command as root" in refused.stderr


def test_folder_of_a_member_is_taken_only_if_the_group_may_write_to_it(service: Installed):
    lab, inbox = service.lab, "/var/lib/inboxd/inbox"
    lab.run("sh", "-c", "umask 002; mkdir ~/open && echo fine >~/open/a.txt", user="member")
    lab.run("sh", "-c", f"umask 002; cp -r ~/open {inbox}", user="member")
    assert service.ended("open/a.txt")["state"] == "done"
    lab.run("sh", "-c", f"umask 022; mkdir ~/shut && echo fine >~/shut/a.txt && cp -r ~/shut {inbox}", user="member")
    wait_for(lambda: "shut/a.txt" in service.inboxd("status").stdout, "status to tell of it")
    assert "read and write permission on it and its folder" in " ".join(service.inboxd("status").stdout.split())
    lab.run("chmod", "-R", "g+w", f"{inbox}/shut", user="member")
    service.systemctl("reload", "inboxd")
    assert service.ended("shut/a.txt")["state"] == "done"


def test_python_in_a_home_folder_is_refused_with_instructions(lab: Lab, service: Installed):
    before = lab.run("systemctl", "show", "inboxd", "--property", "ExecStart,MainPID").stdout
    home = bring_in(lab, "/home/member/inboxd")
    refused = lab.run(f"{home}/.venv/bin/inboxd", "install", check=False)
    assert refused.returncode == 78 and "ProtectHome=" in refused.stderr and "/opt/inboxd" in refused.stderr
    assert lab.run("systemctl", "show", "inboxd", "--property", "ExecStart,MainPID").stdout == before


def test_clone_that_others_may_not_read_is_refused_with_instructions(lab: Lab, service: Installed):
    lab.run("chmod", "o-rx", "/opt/inboxd/daemon")
    refused = lab.run("/opt/inboxd/.venv/bin/inboxd", "install", check=False)
    assert refused.returncode == 78 and "chmod -R o+rX /opt/inboxd" in refused.stderr
    lab.run("chmod", "-R", "o+rX", "/opt/inboxd")
    lab.run("/opt/inboxd/.venv/bin/inboxd", "install")


def test_only_root_installs_the_system_service(service: Installed):
    refused = service.inboxd("install", user="member", check=78)
    assert "sudo" in refused.stderr and "--user" in refused.stderr


def test_upgrade_replaces_the_unit_and_keeps_settings_job_log_and_queue(service: Installed):
    lab = service.lab
    service.configure()
    service.drop("before.txt", "fine")
    service.ended("before.txt")
    service.drop("long.txt", "wait_for /var/lib/inboxd/go")
    service.running("long.txt")
    text = service.config.read_text()
    new = lab.run("sed", "-i", "s/^TasksMax=.*/TasksMax=1234/", "/opt/inboxd/systemd/inboxd.service")
    lab.run("sed", "-i", 's/__version__ = .*/__version__ = "9.9"/', "/opt/inboxd/daemon/__init__.py")
    assert new.returncode == 0 and service.inboxd("status", "--json").stdout.count('"9.9"') == 0
    told = lab.run("/opt/inboxd/.venv/bin/inboxd", "install").stdout
    assert "(unchanged)" in told and service.config.read_text() == text
    assert service.shows("TasksMax") == "1234" and '"9.9"' in service.inboxd("status", "--json").stdout
    assert service.row("before.txt")["state"] == "done"
    lab.path("var/lib/inboxd/go").touch()
    assert service.ended("long.txt")["state"] == "done"
    service.inboxd("verify")


def test_invalid_settings_stop_an_upgrade_but_not_the_service(service: Installed):
    before = service.shows("MainPID")
    service.write_config("[inbox")
    refused = service.inboxd("install", check=78)
    assert "config.toml" in refused.stderr and service.shows("MainPID") == before != "0"
    service.configure()


def test_another_group_owns_the_folders_also_after_an_upgrade(service: Installed):
    lab = service.lab
    assert "usermod --append --groups media NAME" in service.inboxd("install", "--group", "media").stdout
    lab.run("usermod", "--append", "--groups", "media", "stranger")
    lab.run("sh", "-c", "echo fine >/var/lib/inboxd/inbox/of-media.txt", user="stranger")
    assert service.ended("of-media.txt")["state"] == "done"
    assert lab.run("ls", "/var/lib/inboxd/outbox/of-media", user="stranger").returncode == 0
    service.inboxd("install")
    assert service.shows("Group") == "media"
    service.inboxd("install", "--group", "inboxd")


def test_folders_elsewhere_are_reported_and_work_with_the_drop_in(service: Installed):
    lab = service.lab
    lab.run("install", "-d", "-o", "inboxd", "-g", "inboxd", "-m", "2770", "/srv/scans")
    service.write_config(Installed.TOML.replace("/var/lib/inboxd/inbox", "/srv/scans"))
    refused = service.inboxd("install", check=78)
    assert "journalctl -u inboxd" in refused.stderr and "folders.conf" in refused.stdout
    assert "folders.conf" in service.journal("--priority", "err")
    lab.run(
        "install",
        "-D",
        "-t",
        "/etc/systemd/system/inboxd.service.d",
        "/opt/inboxd/systemd/inboxd.service.d/folders.conf",
    )
    service.systemctl("reset-failed")
    service.inboxd("install")
    lab.path("srv/scans/a.txt").write_text("fine\n")
    assert service.ended("a.txt")["state"] == "done"
    lab.run("rm", "/etc/systemd/system/inboxd.service.d/folders.conf")
    service.systemctl("daemon-reload")
    service.configure()


def test_machine_with_a_gpu_gets_the_drop_in_for_it(service: Installed):
    lab, drop_in = service.lab, "/etc/systemd/system/inboxd.service.d/gpu.conf"
    lab.run("mknod", "/dev/nvidiactl", "c", "195", "255")
    assert drop_in in service.inboxd("install").stdout
    assert service.shows("PrivateDevices") == "no" and "char-nvidia*" in service.shows("DeviceAllow")
    assert service.shows("ActiveState") == "active"
    lab.run("sh", "-c", f"echo '# mine' >>{drop_in}")
    service.inboxd("install")
    assert lab.path(drop_in).read_text().endswith("# mine\n")
    lab.run("rm", "/dev/nvidiactl", drop_in)
    service.systemctl("daemon-reload")


def test_model_server_is_reached_with_the_drop_in_for_the_network_and_not_without(service: Installed):
    lab = service.lab
    server = lab.start("python3", "-m", "http.server", "--bind", "127.0.0.1", "8123")
    knock = "exec 3<>/dev/tcp/127.0.0.1/8123"
    wait_for(lambda: lab.run("bash", "-c", knock, check=False).returncode == 0, "the server")
    service.drop("away.txt", "connect 8123")
    assert service.ended("away.txt")["state"] == "failed"
    service.add_drop_in(lab.path("opt/inboxd/systemd/inboxd.service.d/network.conf").read_text())
    service.drop("there.txt", "connect 8123")
    assert service.ended("there.txt")["state"] == "done", service.row("there.txt")
    server.kill()
    server.wait()


def test_unit_has_no_mistakes_and_a_tight_sandbox(service: Installed):
    lab = service.lab
    service.inboxd("install")
    verified = lab.run("systemd-analyze", "verify", "/etc/systemd/system/inboxd.service")
    assert verified.stdout + verified.stderr == ""
    last = lab.run("systemd-analyze", "security", "inboxd", "--no-pager").stdout.splitlines()[-1]
    assert float(last.split(": ")[1].split()[0]) <= 1.0


def test_removal_leaves_files_settings_and_job_log(service: Installed):
    lab = service.lab
    service.inboxd("install")
    service.drop("last.txt", "fine")
    service.ended("last.txt")
    told = lab.run("/opt/inboxd/.venv/bin/inboxd", "uninstall").stdout
    assert "removed     /etc/systemd/system/inboxd.service" in told and "kept        /var/lib/inboxd" in told
    assert lab.run("systemctl", "is-active", "inboxd", check=False).stdout.strip() == "inactive"
    assert not lab.path("etc/systemd/system/inboxd.service.d").exists()
    assert not lab.path("usr/local/share/man/man1/inboxd.1").exists()
    for kept in ("state/jobs.db", "outbox/last/last.out"):
        assert lab.path(f"var/lib/inboxd/{kept}").exists()
    lab.run("/opt/inboxd/.venv/bin/inboxd", "install")
    assert service.row("last.txt")["state"] == "done"
