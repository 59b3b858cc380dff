"""The systemd service that runs a daemon: which unit it has, as which user it runs, what systemd says of it."""

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
from typing import Any

from daemon.install.install import Place, system_place, user_place

_SECONDS = 10.0  # for systemctl and journalctl to answer


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A service that is installed."""

    place: Place
    text: str  # of its unit
    drop_ins: str  # theirs, one after the other

    @property
    def command(self) -> str:
        """What it runs."""
        found = re.search(r"^ExecStart=(.*?) run --config ", self.text, flags=re.MULTILINE)
        return found[1].strip('"') if found else ""

    @property
    def user(self) -> pwd.struct_passwd | None:
        """Whom it runs as, where that is not the user who asks."""
        found = re.search(r"^User=(\S+)$", self.text, flags=re.MULTILINE)
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(found[1]) if found else None
        return None

    def ask(self, *properties: str) -> dict[str, str]:
        """Properties of the unit, by `systemctl show`; empty where systemd does not answer."""
        query = [*self.place.systemctl, "show", "inboxd", f"--property={','.join(properties)}"]
        return dict(line.split("=", 1) for line in (run(query) or "").splitlines() if "=" in line)


def installation_of(source: Path | None) -> Installation | None:
    """The service that goes by this config.toml; without one, any that is installed."""
    for place in (system_place(), user_place(os.environ)):
        try:
            text = place.unit.read_text()
        except OSError:
            continue
        named = re.search(r'^ExecStart=.* --config "?([^"\n]+?)"?$', text, flags=re.MULTILINE)
        shown = Path(named[1].replace("%%", "%")) if named else place.config
        if source is None or source.resolve() in (shown.resolve(), place.config.resolve()):
            return Installation(place=place, text=text, drop_ins=_drop_ins(place))
    return None


def _drop_ins(place: Place) -> str:
    found = []
    for path in sorted(place.drop_ins.glob("*.conf")):
        with contextlib.suppress(OSError):
            found.append(path.read_text())
    return "\n".join(found)


def run(command: list[str], seconds: float = _SECONDS) -> str | None:
    """What a program says; None: it is not here, fails or takes too long."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def as_user(user: pwd.struct_passwd | None, look: Callable[[], Any]) -> Any:
    """What `look` (its value goes through JSON) finds as the service's user, where root asks; else as who asks.

    Raises:
        OSError: `look` did not come to its end.
    """
    if user is None or os.geteuid() != 0 or user.pw_uid == 0:
        return look()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # never returns: what a test or a caller has on its stack is not its own
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
        raise OSError(f"it could not be looked at as {user.pw_name}")
    return json.loads(text)
