"""Checks of the host: the folders, their disks, the kernel's limits on watching them, the clock.

The system calls that inboxd relies on are really made, on hidden files that are removed again; as the service's user
if root runs the check.
"""

import ctypes
import functools
import os
import stat
import statistics
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from daemon.config.settings import Settings
from daemon.core import durable
from daemon.core.errors import InboxdError, SetupError
from daemon.core.regular_files import writer_has
from daemon.doctor.finding import FAIL, OK, WARN, Findings, shown_bytes
from daemon.doctor.installation import Installation, as_user
from daemon.files.folders import refuse_overlap
from daemon.install import resources, unit
from daemon.intake.watcher import file_system, is_remote
from daemon.queue.reader import JobLog

_FREE_BYTES, _FREE_SHARE = 10**9, 0.05  # a warning with less free space than this
_ROOM_FOR_LOG_BYTES = 64 * 1024 * 1024  # with less, the job log and its copies are at risk
_SLOW_FSYNC_SECONDS = 0.1  # a job needs about twenty
_FSYNCS = 5
_INOTIFY = Path("/proc/sys/fs/inotify")
_QUEUE = 16384  # events; the kernel's default
_CLOCK_SECONDS = 60.0
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronized
_NAMES = ("inbox", "outbox", "state")


def folders(settings: Settings, installation: Installation | None) -> Findings:
    """Check that the folders exist and that the service may use them; report their file systems."""
    try:
        refuse_overlap(inbox=settings.inbox, outbox=settings.outbox, state=settings.state)
    except SetupError as error:
        yield FAIL, error.what, error.fix
    user = installation.user if installation else None
    for name in _NAMES:
        path: Path = getattr(settings, name)
        if not path.is_dir():
            yield _missing(name, path, is_new=not settings.database.exists())
            continue
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            yield FAIL, f"{name} {path} is on a read-only file system", f"mount -o remount,rw {_mount_point(path)}"
        elif hidden := why_outside_sandbox(path, installation):
            yield FAIL, f"{name} {path}: {hidden}", f"See {resources.ROOT / 'systemd/inboxd.service.d/folders.conf'}"
        elif not as_user(user, functools.partial(os.access, path, os.R_OK | os.W_OK | os.X_OK)):
            who = user.pw_name if user and os.geteuid() == 0 else f"this user (uid {os.geteuid()})"
            fix = f"chown {user.pw_name} {path}" if user else "Run doctor as root, or as the user that inboxd runs as."
            yield FAIL if user and os.geteuid() == 0 else WARN, f"{name} {path} is not writable for {who}", fix
        elif kind := is_remote(path):
            fix = "Use a local disk, unless a delay of up to [schedule] rescan is acceptable."
            yield WARN, f"{name} {path} is on {kind}: changes by other machines are found only by polling", fix
        else:
            yield OK, f"{name} {path} ({file_system(path)})", ""


def _missing(name: str, path: Path, *, is_new: bool) -> tuple[str, str, str]:
    """A finding about a path that is no folder; `is_new`: no daemon has started with these settings yet."""
    if os.path.lexists(path):
        return FAIL, f"{name} {path} is not a folder", "Rename or remove it."
    found = f"{name} {path} does not exist yet"
    return (OK, f"{found}: the first start creates it", "") if is_new else (WARN, found, "The first start creates it.")


def why_outside_sandbox(path: Path, installation: Installation | None) -> str | None:
    """The reason why the sandbox of the system service forbids writing to `path`; None if it does not."""
    if installation is None or installation.paths.is_for_user:
        return None
    if directive := unit.find_hidden(path):
        return f"the service cannot see it ({directive})"
    writable = [installation.paths.data]
    for line in f"{installation.text}\n{installation.drop_ins}".splitlines():
        if line.startswith("ReadWritePaths="):
            writable += [Path(word.strip('"-+')) for word in line.partition("=")[2].split()]
    if any(path.is_relative_to(folder) for folder in writable):
        return None
    return "the service may not write there (ProtectSystem=strict)"


def space(settings: Settings, _: Installation | None) -> Findings:
    """Check that there is enough free space, also for the largest waiting file."""
    largest, where = _largest_waiting(settings.inbox)
    by_device: dict[int, tuple[list[str], Path]] = {}
    for name in _NAMES:
        path = getattr(settings, name)
        if path.is_dir():
            by_device.setdefault(path.stat().st_dev, ([], path))[0].append(name)
    for names, path in by_device.values():
        facts = os.statvfs(path)
        free, total = facts.f_bavail * facts.f_frsize, max(1, facts.f_blocks * facts.f_frsize)
        found = f"{', '.join(names)}: {shown_bytes(free)} free of {shown_bytes(total)}"
        if free < _ROOM_FOR_LOG_BYTES:
            yield FAIL, found, f"Free some space on {_mount_point(path)}; the daemon then continues automatically."
        elif "outbox" in names and free < largest:
            yield FAIL, f"{found}, and {where} needs {shown_bytes(largest)}", "Free some space for its result."
        elif facts.f_files and facts.f_favail < facts.f_files * _FREE_SHARE:
            fix = "Remove old files, for example with [retention] in config.toml."
            yield WARN, f"{found}, but room for only {facts.f_favail} more files (inodes)", fix
        elif free < min(_FREE_BYTES, total * _FREE_SHARE):
            yield WARN, found, "Free some space, or remove old results automatically: see [retention] in config.toml."
        else:
            yield OK, found, ""


def _largest_waiting(inbox: Path) -> tuple[int, str]:
    """The size and the name of the largest file in the inbox, taken or not."""
    largest, where = 0, ""
    for path, folders, files in os.walk(inbox):
        folders[:] = [name for name in folders if not name.startswith(".") or name == ".taken"]
        for name in files:
            try:
                facts = os.lstat(os.path.join(path, name))
            except OSError:
                continue
            if stat.S_ISREG(facts.st_mode) and facts.st_size > largest:
                largest, where = facts.st_size, name
    return largest, where


def storage(settings: Settings, installation: Installation | None) -> Findings:
    """Check that the system calls on which inboxd relies work on the file systems of the folders."""
    for name, folder in (("inbox", settings.inbox / ".taken"), ("outbox", settings.outbox / ".staging")):
        if not folder.parent.is_dir():
            continue
        if folder.is_dir() and folder.stat().st_dev != folder.parent.stat().st_dev:
            yield FAIL, f"{folder} is on another file system than {folder.parent}", f"umount {folder}; rmdir {folder}"
            continue
        place = folder if folder.is_dir() else folder.parent
        user = installation.user if installation else None
        yield from as_user(user, functools.partial(_try_calls, name, folder.parent, place))


def _try_calls(name: str, folder: Path, below: Path) -> list[tuple[str, str, str]]:
    """Write, link, fsync and rename a file from `folder` into `below`."""
    scratch, second, target = (
        folder / f".doctor-{uuid.uuid4()}",
        folder / f".doctor-{uuid.uuid4()}",
        below / f".doctor-{uuid.uuid4()}",
    )
    weak, seconds = [], []
    try:
        for _ in range(_FSYNCS):
            scratch.unlink(missing_ok=True)
            started = time.monotonic()
            durable.write_file(scratch, b"written by inboxd doctor")
            durable.fsync_folder(folder)
            seconds.append(time.monotonic() - started)
        try:
            os.link(scratch, second)
        except OSError:
            weak.append("no hard links: originals are copied")
        if not durable.renames_safely(scratch, target):
            weak.append("no RENAME_NOREPLACE: two programs may race for one name")
        if writer_has(target) is None:
            weak.append("no leases (F_SETLEASE): only settle_seconds shows that a file is complete")
    except PermissionError as error:
        return [(WARN, f"{name}: {error}", "Run doctor as root, or as the user that inboxd runs as.")]
    except OSError as error:
        return [
            (FAIL, f"{name}: {error}", "Check the disk with `dmesg` and the mount options: no file can be processed.")
        ]
    finally:
        for path in (scratch, second, target):
            path.unlink(missing_ok=True)
    took = statistics.median(seconds)
    found = f"{name}: writing, fsync ({took * 1000:.1f} ms), linking and renaming work"
    if took > _SLOW_FSYNC_SECONDS:
        return [(WARN, f"{found}, but slowly", "Use a faster disk: each job needs several fsyncs.")]
    if weak:
        return [
            (WARN, f"{name}: this file system has {'; '.join(weak)}", "Use a local file system such as ext4 or XFS.")
        ]
    return [(OK, found, "")]


def inotify(settings: Settings, installation: Installation | None) -> Findings:
    """Check that the kernel's limits suffice for the number of folders."""
    limits = {path.name: int(path.read_text()) for path in _INOTIFY.iterdir()}
    count = sum(1 for _ in _sub_folders(settings.inbox))
    user = installation.user if installation else None
    instances = _instances(user.pw_uid if user else os.geteuid())
    wanted = {
        "max_user_watches": (2 * count, max(524288, 4 * count), f"{count} folders to watch"),
        "max_user_instances": (instances + 8, 1024, f"{instances} instances that this user has open"),
        "max_queued_events": (_QUEUE, _QUEUE, "many files at once"),
    }
    short = False
    for name, (needed, better, what) in wanted.items():
        if limits[name] < needed:
            short = True
            fix = f"sysctl fs.inotify.{name}={better}; add the setting to /etc/sysctl.d/inboxd.conf to keep it"
            yield WARN, f"{name} is {limits[name]}, which is low for {what}", fix
    if not short:
        folders = "1 folder" if count == 1 else f"{count} folders"
        yield OK, f"{folders} to watch; the limit per user is {limits['max_user_watches']}", ""


def _instances(uid: int) -> int:
    """The number of inotify instances that the user's processes have open, as far as this user may see them."""
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == uid:
                count += sum(os.readlink(item) == "anon_inode:inotify" for item in (process / "fd").iterdir())
        except OSError:
            continue
    return count


def clock(settings: Settings, _: Installation | None) -> Findings:
    """Check that the clock is synchronized, and not behind the job log."""
    newest = 0.0
    try:
        with JobLog(settings.database) as log:
            newest = log.latest_time() / 1e6
    except InboxdError:  # the check of the job log says why
        pass
    ahead = newest - time.time()
    synchronized = _is_synchronized()
    if ahead > _CLOCK_SECONDS:
        yield (
            WARN,
            f"the clock is {ahead / 3600:.1f} hours behind the newest entry of the job log",
            "Set the clock: timedatectl set-ntp true",
        )
    elif synchronized is False and Path("/run/systemd/system").is_dir():
        yield WARN, "the clock is not synchronized: times in the job log may be wrong", "timedatectl set-ntp true"
    else:
        yield OK, f"{time.strftime('%Y-%m-%d %H:%M:%S %Z')}{', synchronized' if synchronized else ''}", ""


def _is_synchronized() -> bool | None:
    """The kernel's view, by adjtimex(2), which changes nothing as `modes` is 0; None: unknown."""
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    return None if state < 0 else state != _TIME_ERROR


def _sub_folders(folder: Path) -> Iterator[str]:
    for path, folders, _ in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield path


def _mount_point(path: Path) -> Path:
    while not path.is_mount():
        path = path.parent
    return path
