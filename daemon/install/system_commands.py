"""Runs systemctl and the other programs that an installation needs, and checks that there is a systemd."""

import os
import subprocess
from pathlib import Path

from daemon.core.errors import SetupError
from daemon.install.service_paths import ServicePaths


def check_manager(paths: ServicePaths) -> None:
    """Check that there is a systemd that this user may control."""
    if not paths.is_for_user and os.geteuid() != 0:
        raise SetupError(
            "Only root can install or remove a system service.", "Use sudo, or --user for your own service."
        )
    if not Path("/run/systemd/system").is_dir():  # sd_booted(3)
        raise SetupError("This machine does not run systemd.", "Start `inboxd run` from your own service manager.")
    if paths.is_for_user and run([*paths.systemctl, "show-environment"]).returncode != 0:
        raise SetupError(
            "This user has no systemd instance (`systemctl --user` does not answer).",
            "Log in as this user, not with su or sudo. Or run, as root: loginctl enable-linger USER; "
            "then, as the user: export XDG_RUNTIME_DIR=/run/user/$(id -u)",
        )


def systemctl(paths: ServicePaths, *arguments: str, fix: str = "Fix that, then run the command again.") -> None:
    run_or_raise([*paths.systemctl, *arguments], fix)


def run_or_raise(command: list[str], fix: str = "Fix that, then run the command again.") -> None:
    done = run(command)
    if done.returncode:
        what = (done.stderr or done.stdout).strip()
        raise SetupError(f"`{' '.join(command)}` failed ({done.returncode}): {what}", fix)


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise SetupError(
            f"The program {command[0]} is missing.",
            "Without systemd, start `inboxd run` from your own service manager.",
        ) from error
