"""What `inboxd doctor` says of the folders, their disks, and the kernel's limits on watching them.

The calls that the promises rest on are really made, in hidden names that are removed again; as the service's user,
where root asks.
"""

import ctypes
import os
import stat
import statistics
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from daemon.config.settings import Settings
from daemon.core import durable
from daemon.core.durable import writer_has
from daemon.core.errors import InboxdError
from daemon.doctor.finding import FAIL, OK, WARN, Findings, shown_bytes
from daemon.doctor.installation import Installation, as_user
from daemon.install import unit
from daemon.intake.watcher import file_system, is_remote
from daemon.queue.reader import JobLog

_FREE_BYTES, _FREE_SHARE = 10**9, 0.05  # less free room than this is told
_ROOM_FOR_LOG_BYTES = 64 * 1024 * 1024  # with less, the job log and its copies are in danger
_SLOW_FSYNC_SECONDS = 0.1  # a job costs some twenty
_FSYNCS = 5
_INOTIFY = Path("/proc/sys/fs/inotify")
_QUEUE = 16384  # events; the kernel's default
_CLOCK_SECONDS = 60.0
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronized
_NAMES = ("inbox", "outbox", "state")


def folders(settings: Settings, installation: Installation | None) -> Findings:
    """Are they there, may the service use them, and on which file systems do they lie?"""
    user = installation.user if installation else None
    for name in _NAMES:
        path: Path = getattr(settings, name)
        if not path.is_dir():
            is_there = os.path.lexists(path)
            yield (
                FAIL if is_there else WARN,
                f"{name} {path} is {'no folder' if is_there else 'not there'}",
                "Move away what has its name." if is_there else "It is made at the first start.",
            )
            continue
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            yield FAIL, f"{name} {path} is on a read-only file system", f"mount -o remount,rw {_mount_point(path)}"
        elif hidden := why_out_of_sandbox(path, installation):
            yield FAIL, f"{name} {path}: {hidden}", f"See {unit.ROOT / 'systemd/inboxd.service.d/folders.conf'}"
        elif not as_user(user, lambda path=path: os.access(path, os.R_OK | os.W_OK | os.X_OK)):
            who = user.pw_name if user and os.geteuid() == 0 else f"this user (uid {os.geteuid()})"
            fix = f"chown {user.pw_name} {path}" if user else "Ask as root, or as the user that inboxd runs as."
            yield FAIL if user and os.geteuid() == 0 else WARN, f"{name} {path} is not for {who} to write", fix
        elif kind := is_remote(path):
            fix = "None is needed, if a delay of [schedule] rescan is fine; else let the inbox lie on a local disk."
            yield WARN, f"{name} {path} is on {kind}: what others change there is seen by polling", fix
        else:
            yield OK, f"{name} {path} ({file_system(path)})", ""


def why_out_of_sandbox(path: Path, installation: Installation | None) -> str | None:
    """Why the system service may not write there, whatever the permissions say."""
    if installation is None or installation.place.is_for_user:
        return None
    if directive := unit.find_hidden(path):
        return f"the service does not see it ({directive})"
    writable = [installation.place.data]
    for line in f"{installation.text}\n{installation.drop_ins}".splitlines():
        if line.startswith("ReadWritePaths="):
            writable += [Path(word.strip('"-+')) for word in line.partition("=")[2].split()]
    if any(path.is_relative_to(folder) for folder in writable):
        return None
    return "the service may not write there (ProtectSystem=strict)"


def space(settings: Settings, _: Installation | None) -> Findings:
    """Is there room, also for the largest file that waits?"""
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
            yield FAIL, found, f"Free some space on {_mount_point(path)}: work goes on by itself then."
        elif "outbox" in names and free < largest:
            yield FAIL, f"{found}, and {where} has {shown_bytes(largest)}", "Free some space: its result needs room."
        elif facts.f_files and facts.f_favail < facts.f_files * _FREE_SHARE:
            fix = "Remove what is old: see [retention] in config.toml."
            yield WARN, f"{found}, but only {facts.f_favail} files more (inodes)", fix
        elif free < min(_FREE_BYTES, total * _FREE_SHARE):
            yield WARN, found, "Free some space, or let results go after a while: see [retention] in config.toml."
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


def promises(settings: Settings, installation: Installation | None) -> Findings:
    """The calls that the promises rest on, really made."""
    for name, folder in (("inbox", settings.inbox / ".taken"), ("outbox", settings.outbox / ".staging")):
        if not folder.parent.is_dir():
            continue
        if folder.is_dir() and folder.stat().st_dev != folder.parent.stat().st_dev:
            yield FAIL, f"{folder} is on another file system than {folder.parent}", f"umount {folder}; rmdir {folder}"
            continue
        place = folder if folder.is_dir() else folder.parent
        user = installation.user if installation else None
        yield from as_user(user, lambda name=name, place=place, folder=folder: _try_out(name, folder.parent, place))


def _try_out(name: str, folder: Path, below: Path) -> list[tuple[str, str, str]]:
    """Write, link, rename from `folder` into `below` and make durable."""
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
            durable.write_file(scratch, b"tried out by inboxd doctor")
            durable.fsync_folder(folder)
            seconds.append(time.monotonic() - started)
        try:
            os.link(scratch, second)
        except OSError:
            weak.append("no second names (hard links): originals are copied")
        if not durable.renames_safely(scratch, target):
            weak.append("no rename that spares what is there (RENAME_NOREPLACE): a name may be taken in between")
        if writer_has(target) is None:
            weak.append("no leases (fcntl F_SETLEASE): a file still being written is told by settle_seconds alone")
    except PermissionError as error:
        return [(WARN, f"{name}: {error}", "Ask as root, or as the user that inboxd runs as.")]
    except OSError as error:
        return [(FAIL, f"{name}: {error}", "Nothing can be taken or published so: look at `dmesg`, and at the mount.")]
    finally:
        for path in (scratch, second, target):
            path.unlink(missing_ok=True)
    took = statistics.median(seconds)
    found = f"{name}: a file was written, made durable ({took * 1000:.1f} ms), linked and renamed"
    if took > _SLOW_FSYNC_SECONDS:
        return [(WARN, f"{found}, slowly", "Each job does that some twenty times: a quicker disk helps.")]
    if weak:
        return [(WARN, f"{name}: this file system has {'; '.join(weak)}", "Let it lie on a local file system.")]
    return [(OK, found, "")]


def inotify(settings: Settings, installation: Installation | None) -> Findings:
    """Are the kernel's limits wide enough for the folders there are?"""
    limits = {path.name: int(path.read_text()) for path in _INOTIFY.iterdir()}
    count = sum(1 for _ in _sub_folders(settings.inbox))
    user = installation.user if installation else None
    instances = _instances(user.pw_uid if user else os.geteuid())
    wanted = {
        "max_user_watches": (2 * count, max(524288, 4 * count), f"{count} folders to watch"),
        "max_user_instances": (instances + 8, 1024, f"{instances} instances in use by that user"),
        "max_queued_events": (_QUEUE, _QUEUE, "a flood of files"),
    }
    short = False
    for name, (needed, better, what) in wanted.items():
        if limits[name] < needed:
            short = True
            fix = f"sysctl fs.inotify.{name}={better}, and the same line into /etc/sysctl.d/inboxd.conf"
            yield WARN, f"{name} is {limits[name]}, which is little for {what}", fix
    if not short:
        folders = "1 folder" if count == 1 else f"{count} folders"
        yield OK, f"{folders} to watch, of {limits['max_user_watches']} that a user may", ""


def _instances(uid: int) -> int:
    """The inotify instances that the user's processes have open, as far as they can be seen."""
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == uid:
                count += sum(os.readlink(item) == "anon_inode:inotify" for item in (process / "fd").iterdir())
        except OSError:
            continue
    return count


def clock(settings: Settings, _: Installation | None) -> Findings:
    """Does it go, and does it go on from where the job log is?"""
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
            f"the job log is {ahead / 3600:.1f} hours ahead of the clock",
            "Set the clock: timedatectl set-ntp true",
        )
    elif synchronized is False and Path("/run/systemd/system").is_dir():
        yield WARN, "it is not synchronized: times in the job log may be wrong", "timedatectl set-ntp true"
    else:
        yield OK, f"{time.strftime('%Y-%m-%d %H:%M:%S %Z')}{', synchronized' if synchronized else ''}", ""


def _is_synchronized() -> bool | None:
    """Does the kernel think so? (adjtimex(2), which only reads as `modes` is 0); None: it does not tell."""
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
