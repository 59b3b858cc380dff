"""The text of the installation's systemd unit, and which parts of the disk its service can see. Changes nothing."""

import re
import stat
from pathlib import Path

from daemon.install import resources

_HIDDEN = {  # by directive of the unit
    "ProtectHome=": (Path("/home"), Path("/root"), Path("/run/user")),
    "PrivateTmp=": (Path("/tmp"), Path("/var/tmp")),
    "PrivateDevices=": (Path("/dev"),),
}
_ORIGINAL_ROOT = "/opt/inboxd"  # in the units; replaced by the paths of this installation


WEB_SERVICE, WEB_SOCKET = "inboxd-web.service", "inboxd-web.socket"


def text(command: Path, group: str, *, is_for_user: bool) -> str:
    """The project's unit with `command` to run; a system service runs in `group`."""
    return _of_installation("inboxd", command, group, is_for_user=is_for_user)


def web_texts(command: Path, group: str, listen: str, *, is_for_user: bool) -> dict[str, str]:
    """The units of the console, by name: its service, and the socket that listens on the address `listen` for it."""
    socket = re.sub(
        r"^ListenStream=.*$",
        lambda _: f"ListenStream={_literal(listen)}",
        resources.read(f"systemd/{WEB_SOCKET}"),
        flags=re.MULTILINE,
    )
    return {WEB_SERVICE: _of_installation("inboxd-web", command, group, is_for_user=is_for_user), WEB_SOCKET: socket}


def _of_installation(name: str, command: Path, group: str, *, is_for_user: bool) -> str:
    found = resources.read(f"systemd/{name}{'.user' if is_for_user else ''}.service")
    found = found.replace(f"{_ORIGINAL_ROOT}/.venv/bin/inboxd", _word(command))
    found = found.replace(f"file:{_ORIGINAL_ROOT}/README.md", _literal((resources.ROOT / "README.md").as_uri()))
    return re.sub(r"^Group=.*$", f"Group={group}", found, flags=re.MULTILINE)


def drop_in(name: str) -> str:
    """One of the project's drop-ins for the unit."""
    return resources.read(f"systemd/inboxd.service.d/{name}")


def group_of(unit: str) -> str | None:
    """The group of the unit's service."""
    found = re.search(r"^Group=(\S+)$", unit, flags=re.MULTILINE)
    return found[1] if found else None


def find_hidden(path: Path) -> str | None:
    """The directive of the unit that hides `path` from the service, if any."""
    return next((name for name, folders in _HIDDEN.items() if any(map(path.is_relative_to, folders))), None)


def find_closed(path: Path) -> Path | None:
    """The first part of `path` that the service's user cannot access: a folder without execute or a file without read
    permission for others."""
    for part in [*reversed(path.parents), path]:
        needed = stat.S_IXOTH if part.is_dir() else stat.S_IROTH
        if not part.stat().st_mode & needed:
            return part
    return None


def _word(path: Path) -> str:
    """A path as a word of ExecStart=, see systemd.service(5)."""
    text = _literal(str(path).replace("\\", "\\\\").replace('"', '\\"'))
    return f'"{text}"' if re.search(r"[\s\\'\"]", text) else text


def _literal(text: str) -> str:
    """Text without a specifier, see systemd.unit(5)."""
    return text.replace("%", "%%")
