"""The systemd service of a daemon: its unit, its user, and its state in systemd."""

import contextlib
import json
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from daemon.install.service_paths import ServicePaths, system_paths, user_paths

T = TypeVar("T")

_SECONDS = 10.0  # for systemctl and journalctl to answer


@dataclass(frozen=True, kw_only=True)
class Installation:
    """An installed service."""

    paths: ServicePaths
    text: str  # of its unit
    drop_ins: str  # their texts, joined

    @property
    def command(self) -> str:
        """The program that it runs."""
        found = re.search(r"^ExecStart=(.*?) run --config ", self.text, flags=re.MULTILINE)
        return found[1].strip('"') if found else ""

    @property
    def user(self) -> pwd.struct_passwd | None:
        """The user that it runs as; None: the current one."""
        found = re.search(r"^User=(\S+)$", self.text, flags=re.MULTILINE)
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(found[1]) if found else None
        return None

    def show(self, *properties: str) -> dict[str, str]:
        """Properties of the unit, by `systemctl show`; empty if systemd does not answer."""
        query = [*self.paths.systemctl, "show", "inboxd", f"--property={','.join(properties)}"]
        return dict(line.split("=", 1) for line in (run(query) or "").splitlines() if "=" in line)


def installation_of(source: Path | None) -> Installation | None:
    """The installed service that uses this config.toml; without a config.toml, any installed service."""
    for paths in (system_paths(), user_paths(os.environ)):
        try:
            text = paths.unit.read_text()
        except OSError:
            continue
        named = re.search(r'^ExecStart=.* --config "?([^"\n]+?)"?$', text, flags=re.MULTILINE)
        shown = Path(named[1].replace("%%", "%")) if named else paths.config
        if source is None or source.resolve() in (shown.resolve(), paths.config.resolve()):
            return Installation(paths=paths, text=text, drop_ins=_drop_ins(paths))
    return None


def _drop_ins(paths: ServicePaths) -> str:
    found = []
    for path in sorted(paths.drop_ins.glob("*.conf")):
        with contextlib.suppress(OSError):
            found.append(path.read_text())
    return "\n".join(found)


def run(command: list[str], seconds: float = _SECONDS) -> str | None:
    """The output of a program; None: it does not exist, fails or takes too long."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def as_user(user: pwd.struct_passwd | None, look: Callable[[], T]) -> T:
    """Call `look` as the service's user if root runs this, else as the current user; its result passes through JSON.

    Raises:
        OSError: `look` raised an exception.
    """
    if user is None or os.geteuid() != 0 or user.pw_uid == 0:
        return look()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # never returns: the caller's stack belongs to the parent
        try:
            os.setgroups(os.getgrouplist(user.pw_name, user.pw_gid))
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            with os.fdopen(writer, "w") as out:
                json.dump(look(), out)
        except BaseException as error:
            os.write(2, f"inboxd: as {user.pw_name}: {error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as found:
        text = found.read()
    if os.waitpid(child, 0)[1] != 0:
        raise OSError(f"the check failed as {user.pw_name}")
    return cast(T, json.loads(text))
