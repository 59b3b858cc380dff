"""Checks of the commands in [[hooks]]."""

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from daemon.config.settings import Settings
from daemon.doctor.finding import FAIL, OK, Findings
from daemon.doctor.installation import Installation


def hooks(settings: Settings, _: Installation | None) -> Findings:
    """Check that the program of each hook exists, and that this user may start it."""
    for number, hook in enumerate(settings.hooks, 1):
        program = (hook.command or ("notify-send",))[0] if not hook.webhook else ""
        if not program or _is_found(program, settings):
            shown = program or urlsplit(hook.webhook).netloc  # its path may be a secret
            yield OK, f"number {number}: {shown}, on {', '.join(hook.on)}", ""
        elif _place(program, settings).is_file():
            yield FAIL, f"number {number} cannot start: {program} is not executable", f"chmod +x {program}"
        else:
            fix = "Install it, or correct `command` in [[hooks]]: write the full path."
            yield FAIL, f"number {number} cannot start: {program} was not found", fix


def _is_found(program: str, settings: Settings) -> bool:
    return shutil.which(str(_place(program, settings)) if os.sep in program else program) is not None


def _place(program: str, settings: Settings) -> Path:
    """The path of a program, relative to the folder of config.toml, in which the daemon runs."""
    return (settings.source.resolve().parent if settings.source else Path.cwd()) / program
