"""Putting the service in place, and taking it away: user, folders, config.toml, unit. Data is never removed.

Running it again is an upgrade: what is there and was changed by hand (config.toml, drop-ins, folders) stays as it is.
"""

import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import LayoutError

_ROOT = Path(__file__).parents[1]  # the clone, with systemd/ and config.toml
_USER = "inboxd"
_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))  # what ProtectHome= hides from the service
_ORIGINAL_PREFIX = "/opt/inboxd/.venv"  # in the units, to be replaced by where this inboxd is


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the parts of the service go."""

    is_for_user: bool
    unit: Path
    config: Path
    data: Path  # inbox, outbox and state are below it, unless config.toml says otherwise
    link: Path  # the command, in the PATH of all users

    @property
    def systemctl(self) -> list[str]:
        return ["systemctl", "--user"] if self.is_for_user else ["systemctl"]


def system_place() -> Place:
    return Place(
        is_for_user=False,
        unit=Path("/etc/systemd/system/inboxd.service"),
        config=Path("/etc/inboxd/config.toml"),
        data=Path("/var/lib/inboxd"),
        link=Path("/usr/local/bin/inboxd"),
    )


def user_place(environment: Mapping[str, str]) -> Place:
    home = Path(environment.get("HOME") or Path.home())
    settings = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    return Place(
        is_for_user=True,
        unit=settings / "systemd/user/inboxd.service",
        config=settings / "inboxd/config.toml",
        data=home / "inboxd",
        link=home / ".local/bin/inboxd",
    )


def install(place: Place, *, group: str, tell: Callable[[str], None]) -> None:
    """Put everything in place and start the service; `group` (of the system) may drop files and read results.

    Raises:
        LayoutError: it cannot be done so; names what can.
    """
    command = _check(place)
    owner = None if place.is_for_user else _make_user(group, tell)
    _make_folders(place, owner, group)
    if _write_new(place.config, _config_for(place.data)):
        tell(f"settings    {place.config}")
    else:
        tell(f"settings    {place.config} (kept as it was)")
    source = _ROOT / "systemd" / ("inboxd.user.service" if place.is_for_user else "inboxd.service")
    place.unit.parent.mkdir(parents=True, exist_ok=True)
    place.unit.write_text(source.read_text().replace(f"{_ORIGINAL_PREFIX}/bin/inboxd", str(command)))
    tell(f"unit        {place.unit}")
    _link(place.link, command)
    _systemctl(place, "daemon-reload")
    _systemctl(place, "enable", "inboxd")
    _systemctl(place, "restart", "inboxd")  # also after an upgrade
    for name in ("inbox", "outbox", "state"):
        tell(f"{name:<11} {place.data / name}")
    tell(f"log         journalctl {'--user ' if place.is_for_user else ''}-u inboxd -f")
    tell(f"look        {place.link} status --config {place.config}")


def uninstall(place: Place, tell: Callable[[str], None]) -> None:
    """Stop the service and remove unit and command; settings, files and the job log stay."""
    if place.unit.exists():
        _systemctl(place, "disable", "--now", "inboxd")
        place.unit.unlink()
        _systemctl(place, "daemon-reload")
        tell(f"removed     {place.unit}")
    if place.link.is_symlink():
        place.link.unlink()
        tell(f"removed     {place.link}")
    for path in (place.config, place.data):
        if path.exists():
            tell(f"kept        {path}")


def _check(place: Place) -> Path:
    """The command that the unit will run."""
    command = Path(sys.prefix) / "bin" / "inboxd"
    if not command.exists():
        raise LayoutError(f"There is no {command}.", "Install into a virtual environment first: make install")
    if place.is_for_user:
        return command
    if os.geteuid() != 0:
        raise LayoutError(
            "A system service is installed by root.", "Use sudo, or `inboxd install --user` for a service of your own."
        )
    for path in (command, Path(sys.executable).resolve()):
        home = next((home for home in _HOMES if path.is_relative_to(home)), None)
        if home is not None:
            raise LayoutError(
                f"{path} lies in {home}, where the service may not look (ProtectHome=).",
                "Clone into /opt/inboxd, and install with the system's Python: make install PYTHON=/usr/bin/python3",
            )
    return command


def _make_user(group: str, tell: Callable[[str], None]) -> int:
    """The service's own user (its number), a member of `group`, which is made if it is not there."""
    if _run(["getent", "group", group]).returncode != 0:
        _must(["groupadd", "--system", group])
        tell(f"group       {group} (new)")
    try:
        pwd.getpwnam(_USER)
    except KeyError:
        shell = shutil.which("nologin", path="/usr/sbin:/sbin:/usr/bin:/bin") or "/bin/false"
        system_place_data = str(system_place().data)
        _must(["useradd", "--system", "--gid", group, "--home-dir", system_place_data, "--shell", shell, _USER])
        tell(f"user        {_USER} (new)")
    else:
        _must(["usermod", "--append", "--groups", group, _USER])
    return pwd.getpwnam(_USER).pw_uid


def _make_folders(place: Place, owner: int | None, group: str) -> None:
    """The group may write the inbox and read the outbox, whose new files are its own, too (the set-group-ID bit)."""
    modes = {
        place.data: 0o2750,
        place.data / "inbox": 0o2770,
        place.data / "outbox": 0o2750,
        place.data / "state": 0o700,
    }
    for folder, mode in modes.items():
        if folder.exists():
            continue
        folder.mkdir(parents=True)
        if owner is not None:
            shutil.chown(folder, owner, group)
            folder.chmod(mode)


def _config_for(data: Path) -> str:
    """The project's config.toml with the paths of this installation."""
    text = (_ROOT / "config.toml").read_text()
    for name in ("inbox", "outbox", "state"):
        text = re.sub(rf'^{name} = "{name}"', f'{name} = "{data / name}"', text, count=1, flags=re.MULTILINE)
    return text


def _write_new(path: Path, text: str) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x") as file:
            file.write(text)
    except FileExistsError:
        return False
    path.chmod(0o644)
    return True


def _link(link: Path, command: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink():
        link.unlink()
    if not link.exists():
        link.symlink_to(command)


def _systemctl(place: Place, *arguments: str) -> None:
    _must([*place.systemctl, *arguments])


def _must(command: list[str]) -> None:
    done = _run(command)
    if done.returncode:
        what = (done.stderr or done.stdout).strip()
        raise LayoutError(f"`{' '.join(command)}` failed ({done.returncode}): {what}", "Mend that, and run it again.")


def _run(command: list[str]) -> subprocess.CompletedProcess:
    try:
        return subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise LayoutError(
            f"There is no {command[0]} here.", "Without systemd, let your own service manager run `inboxd run`."
        ) from error
