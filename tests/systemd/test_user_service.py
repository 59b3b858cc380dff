"""The service of one user, without root, under that user's own systemd."""

import pytest
from installed import bring_in
from lab import Lab
from sandbox import wait_for

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def ann(lab: Lab) -> dict[str, str]:
    """A user with a clone at home, and a systemd of her own that runs without a login; her environment."""
    lab.run("useradd", "--create-home", "--user-group", "ann")
    bring_in(lab, "/home/ann/clone")
    lab.run("chown", "-R", "ann:ann", "/home/ann")
    lab.run("loginctl", "enable-linger", "ann")
    runtime = f"/run/user/{lab.run('id', '-u', 'ann').stdout.strip()}"
    wait_for(lambda: lab.path(f"{runtime}/systemd/private").exists(), "the user's systemd")
    return {"XDG_RUNTIME_DIR": runtime}


def test_without_a_systemd_of_the_user_the_message_explains_how_to_start_one(lab: Lab, ann: dict[str, str]):
    refused = lab.run("/home/ann/clone/.venv/bin/inboxd", "install", "--user", user="ann", check=False)
    assert refused.returncode == 78 and "loginctl enable-linger" in refused.stderr
    assert not lab.path("home/ann/.config/inboxd").exists()


def test_user_installs_uses_reloads_and_removes_a_service(lab: Lab, ann: dict[str, str]):
    def run(*command: str, check: bool = True) -> str:
        return lab.run(*command, user="ann", environment=ann, check=check).stdout

    told = run("/home/ann/clone/.venv/bin/inboxd", "install", "--user")
    assert "/home/ann/inboxd/inbox" in told and "loginctl enable-linger" in told
    assert run("systemctl", "--user", "is-active", "inboxd") == "active\n"
    config, inbox = lab.path("home/ann/.config/inboxd/config.toml"), lab.path("home/ann/inboxd/inbox")
    config.write_text(
        config.read_text().replace('text = ""', 'text = "do"') + '[recipes.do]\nprocessor = "plaintext"\n'
    )
    run("systemctl", "--user", "reload", "inboxd")
    run("sh", "-c", "echo three little words >~/inboxd/inbox/words.txt")
    result = lab.path("home/ann/inboxd/outbox/words/result.json")
    wait_for(result.exists, "the result")
    assert "1 done" in run("/home/ann/.local/bin/inboxd", "status")  # finds ~/.config/inboxd/config.toml automatically
    assert "words.txt" in run("journalctl", "--user", "-u", "inboxd", "FILE=words.txt", "--no-pager")
    run("systemctl", "--user", "kill", "--signal", "KILL", "inboxd")
    wait_for(lambda: run("systemctl", "--user", "is-active", "inboxd", check=False) == "active\n", "the restart")
    told = run("/home/ann/.local/bin/inboxd", "uninstall", "--user")
    assert "kept        /home/ann/inboxd" in told and inbox.is_dir() and result.exists()
    assert run("systemctl", "--user", "is-active", "inboxd", check=False) == "inactive\n"
