"""What the systemd unit of an installation says, and what of the disk a service with it can see. Changes nothing."""

import re
import stat
from pathlib import Path

ROOT = Path(__file__).parents[2]  # the clone, with systemd/ and config.toml

_HIDDEN = {  # by the directives of the unit
    "ProtectHome=": (Path("/home"), Path("/root"), Path("/run/user")),
    "PrivateTmp=": (Path("/tmp"), Path("/var/tmp")),
    "PrivateDevices=": (Path("/dev"),),
}
_ORIGINAL_ROOT = "/opt/inboxd"  # in the units, to be replaced by where this inboxd is


def text(command: Path, group: str, *, is_for_user: bool) -> str:
    """The project's unit, that runs `command`; the service, or the user's, is in `group`."""
    found = (ROOT / "systemd" / ("inboxd.user.service" if is_for_user else "inboxd.service")).read_text()
    found = found.replace(f"{_ORIGINAL_ROOT}/.venv/bin/inboxd", _word(command))
    found = found.replace(f"file:{_ORIGINAL_ROOT}/README.md", _literal((ROOT / "README.md").as_uri()))
    return re.sub(r"^Group=.*$", f"Group={group}", found, flags=re.MULTILINE)


def drop_in(name: str) -> str:
    """One of the project's additions to the unit."""
    return (ROOT / "systemd" / "inboxd.service.d" / name).read_text()


def group_of(unit: str) -> str | None:
    """The group that a unit's service runs in."""
    found = re.search(r"^Group=(\S+)$", unit, flags=re.MULTILINE)
    return found[1] if found else None


def find_hidden(path: Path) -> str | None:
    """Which directive of the unit hides `path` from the service, if one does."""
    return next((name for name, folders in _HIDDEN.items() if any(map(path.is_relative_to, folders))), None)


def find_closed(path: Path) -> Path | None:
    """The first part of `path` that is closed to the service's user: a folder it may not enter, a file it may not
    read."""
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
