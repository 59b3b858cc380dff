"""Installation and removal of the service: user, folders, config.toml, unit. Data is never removed.

A second installation is an upgrade: existing config.toml, drop-ins and folders stay unchanged.
"""

import pwd
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from daemon import config
from daemon.config.schema import WebTable
from daemon.core.errors import SetupError
from daemon.install import resources, unit
from daemon.install.service_paths import ServicePaths, system_paths
from daemon.install.system_commands import check_manager, run, run_or_raise, systemctl

_USER = "inboxd"
_ELSEWHERE = (
    "Clone into /opt/inboxd and install with the system's Python: make install PYTHON=/usr/bin/python3"
    if resources.IS_CLONE
    else "Install with the system's Python: /usr/bin/python3 -m venv /opt/inboxd; /opt/inboxd/bin/pip install inboxd"
)
_EVERYTHING = resources.ROOT if resources.IS_CLONE else Path(sys.prefix)
_GPU = Path("/dev/nvidiactl")
_GPU_DROP_IN = "gpu.conf"
_FOLDERS = "systemd/inboxd.service.d/folders.conf"


def install(paths: ServicePaths, *, group: str | None, report: Callable[[str], None], with_web: bool = False) -> None:
    """Install everything and start the service. Members of `group` may drop files and read results; the default is
    the group of the installed service, or `inboxd`. `report` gets each line for the user. `with_web`: also install the
    console; an installed one is always upgraded.

    Raises:
        SetupError: the service cannot be installed; names the fix.
        ConfigError: the existing config.toml is wrong; the service keeps running unchanged.
    """
    command = _check(paths)
    group = group or (unit.group_of(paths.unit.read_text()) if paths.unit.exists() else None) or _USER
    owner = None if paths.is_for_user else _make_user(group, report)
    _make_folders(paths, owner, group)
    is_new = _write_new(paths.config, config_text(paths.data))
    settings = config.load(paths.config)
    report(f"settings    {paths.config}{'' if is_new else ' (unchanged)'}")
    for name in ("inbox", "outbox", "state"):
        folder = getattr(settings, name)
        is_open = paths.is_for_user or folder.is_relative_to(paths.data)
        report(f"{name:<11} {folder}{'' if is_open else f' (give the service access: {_FOLDERS})'}")
    if owner is not None:
        _protect_names((settings.inbox, settings.outbox), owner, report)
    paths.unit.parent.mkdir(parents=True, exist_ok=True)
    paths.unit.write_text(unit.text(command, group, is_for_user=paths.is_for_user))
    report(f"unit        {paths.unit}")
    if not paths.is_for_user and _GPU.exists():
        _write_new(paths.drop_ins / _GPU_DROP_IN, unit.drop_in(_GPU_DROP_IN))
        report(f"GPU         {paths.drop_ins / _GPU_DROP_IN}")
    _link(paths.link, command)
    systemctl(paths, "daemon-reload")
    systemctl(paths, "enable", "inboxd")
    journal = f"journalctl {'--user ' if paths.is_for_user else ''}-u inboxd"
    systemctl(
        paths, "restart", "inboxd", fix=f"Find the cause with: {journal} -n 20"
    )  # a restart: it may be an upgrade
    if with_web or paths.web_unit.exists():
        _install_web(paths, command, group, settings.web, report)
    report(f"log         {journal} -f")
    report(f"status      {paths.link} status --config {paths.config}")
    if paths.is_for_user:
        report("The service stops when you log out. To keep it running, run once: loginctl enable-linger")
    else:
        report(f"users       usermod --append --groups {group} NAME   lets NAME drop files and read results")
        report(f"models      sudo -u {_USER} {paths.link} models fetch turbo --config {paths.config}")


def _install_web(paths: ServicePaths, command: Path, group: str, web: WebTable, report: Callable[[str], None]) -> None:
    """Install the console, which systemd starts with the first connection."""
    for name, text in unit.web_texts(command, group, web.listen, is_for_user=paths.is_for_user).items():
        paths.unit.with_name(name).write_text(text)
    systemctl(paths, "daemon-reload")
    systemctl(paths, "stop", unit.WEB_SERVICE)
    systemctl(paths, "enable", unit.WEB_SOCKET)
    systemctl(paths, "restart", unit.WEB_SOCKET, fix=f"Set [web] listen in {paths.config} to a free address.")
    report(f"console     {f'http://{web.listen}{web.prefix}/' if not web.listen.startswith('/') else web.listen}")
    if web.token:
        report("token       in web-token, in the state folder")


def config_text(data: Path | None) -> str:
    """The config.toml that explains every setting, with the folders in `data`; None: beside the file itself."""
    text = resources.read("config.toml")
    if data is None:
        return text
    for name in ("inbox", "outbox", "state"):
        text = re.sub(rf'^{name} = "{name}"', f'{name} = "{data / name}"', text, count=1, flags=re.MULTILINE)
    return text


def write_help_files(paths: ServicePaths, completions: Mapping[str, str], report: Callable[[str], None]) -> None:
    """Write the man page and the completion scripts (by shell) of this version. The service does not need them."""
    for name, path in paths.help_files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(resources.read("docs/inboxd.1") if name == "man" else completions[name])
            path.chmod(0o644)
        except OSError as error:
            report(f"Cannot write {path}: {error.strerror}")
    report("help        man inboxd; new shells complete its commands")


def uninstall(paths: ServicePaths, report: Callable[[str], None]) -> None:
    """Stop the service and remove its unit and command; settings, files and the job log remain.

    Raises:
        SetupError: the service cannot be removed; names the fix.
    """
    if paths.unit.exists():
        check_manager(paths)
        systemctl(paths, "disable", "--now", "inboxd")
        paths.unit.unlink()
        _remove_own_drop_in(paths)
        systemctl(paths, "daemon-reload")
        report(f"removed     {paths.unit}")
    else:
        report(f"There is no {paths.unit}: nothing to stop.")
    if paths.web_unit.exists():
        systemctl(paths, "disable", "--now", unit.WEB_SOCKET, unit.WEB_SERVICE)
        for name in (unit.WEB_SERVICE, unit.WEB_SOCKET):
            paths.unit.with_name(name).unlink(missing_ok=True)
            report(f"removed     {paths.unit.with_name(name)}")
        systemctl(paths, "daemon-reload")
    if paths.link.is_symlink():
        paths.link.unlink()
        report(f"removed     {paths.link}")
    for path in paths.help_files.values():
        path.unlink(missing_ok=True)
    for path in (paths.drop_ins, paths.config, paths.data):
        if path.exists():
            report(f"kept        {path}")


def _check(paths: ServicePaths) -> Path:
    """Check everything that could stop the installation half-way; return the command that the unit will run."""
    command = Path(sys.prefix) / "bin" / "inboxd"
    if not command.exists():
        raise SetupError(
            f"There is no {command}.", "Install into a virtual environment first: make install, or pip install"
        )
    check_manager(paths)
    if paths.is_for_user:
        return command
    for path in (command, Path(__file__), Path(sys.executable).resolve()):
        if directive := unit.find_hidden(path):
            raise SetupError(f"The service cannot see {path} ({directive}).", _ELSEWHERE)
        if closed := unit.find_closed(path):
            raise SetupError(
                f"The service's user may not read {path}: other users have no access to {closed}.",
                f"Grant it: chmod o+rX {closed} (for everything: chmod -R o+rX {_EVERYTHING}). Or: {_ELSEWHERE}",
            )
    return command


def _make_user(group: str, report: Callable[[str], None]) -> int:
    """Create the service's user and its `group` if they do not exist; return the user's number."""
    if run(["getent", "group", group]).returncode != 0:
        run_or_raise(["groupadd", "--system", group])
        report(f"group       {group} (new)")
    try:
        pwd.getpwnam(_USER)
    except KeyError:
        shell = shutil.which("nologin", path="/usr/sbin:/sbin:/usr/bin:/bin") or "/bin/false"
        home = str(system_paths().data)
        run_or_raise(["useradd", "--system", "--gid", group, "--home-dir", home, "--shell", shell, _USER])
        report(f"user        {_USER} (new)")
    else:
        run_or_raise(["usermod", "--append", "--groups", group, _USER])
    return pwd.getpwnam(_USER).pw_uid


def _make_folders(paths: ServicePaths, owner: int | None, group: str) -> None:
    """Create the folders. The group may write to the inbox and read the outbox; new files inherit the group
    (set-group-ID bit). In the inbox, users can rename or delete only their own files (sticky bit), and not the
    service's own folder."""
    modes = {
        paths.data: 0o2750,
        paths.data / "inbox": 0o3770,
        paths.data / "outbox": 0o2750,
        paths.data / "state": 0o700,
    }
    for folder, mode in modes.items():
        if folder.exists():
            continue
        folder.mkdir(parents=True)
        if owner is not None:
            shutil.chown(folder, owner, group)
            folder.chmod(mode)


def _protect_names(folders: Iterable[Path], owner: int, report: Callable[[str], None]) -> None:
    """Set the sticky bit of the service's folders that others may write to. Older versions did not, and the sandbox
    does not let the service do it."""
    for folder in folders:
        facts = folder.stat() if folder.is_dir() else None
        if facts and facts.st_uid == owner and facts.st_mode & 0o022 and not facts.st_mode & stat.S_ISVTX:
            folder.chmod(stat.S_IMODE(facts.st_mode) | stat.S_ISVTX)
            report(f"protected   {folder}: users can no longer rename or delete other users' files (chmod +t)")


def _remove_own_drop_in(paths: ServicePaths) -> None:
    """Remove the drop-in for a GPU, unless it was edited."""
    drop_in = paths.drop_ins / _GPU_DROP_IN
    if drop_in.exists() and drop_in.read_text() == unit.drop_in(_GPU_DROP_IN):
        drop_in.unlink()
    if paths.drop_ins.is_dir() and not any(paths.drop_ins.iterdir()):
        paths.drop_ins.rmdir()


def _write_new(path: Path, text: str) -> bool:
    """Write a file that everyone may read, unless it exists; True: it was written."""
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        path.parent.chmod(0o755)
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
