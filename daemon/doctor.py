"""`inboxd doctor`: is everything as the service needs it? Each check stands alone: one that breaks is a line, too.

Looks only; the few files it writes to try the disks out are removed again. Works with no daemon, and for a user who may
see only a part.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from daemon import __version__, backup, control, durable
from daemon.config import Settings
from daemon.errors import InboxdError, NotRunning, UsageError
from daemon.install import system_place, user_place
from daemon.joblog import JobLog
from daemon.memory import limit_bytes, total_bytes
from daemon.watcher import is_remote
from processors import base

OK, WARN, FAIL = "ok", "warn", "FAIL"
_FREE_BYTES, _FREE_SHARE = 10**9, 0.05  # less free room than this is told
_OLD_BACKUP_SECONDS = 3 * 24 * 3600
_INOTIFY = Path("/proc/sys/fs/inotify")
_ASK_SECONDS = 60.0  # torch, in a child, takes its time
_HAS_CUDA = "import torch; print(torch.cuda.get_device_name(0) if torch.cuda.is_available() else '')"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line: what was looked at, what came out ("ok", "warn", "FAIL"), and the command or change that mends it."""

    what: str
    verdict: str
    found: str
    fix: str = ""


def examine(settings: Settings) -> Iterator[Check]:
    """All checks, one after the other."""
    for what, check in _CHECKS.items():
        try:
            for verdict, found, fix in check(settings):
                yield Check(what=what, verdict=verdict, found=found, fix=fix)
        except (OSError, InboxdError, subprocess.SubprocessError, ValueError, LookupError) as error:
            fix = getattr(error, "fix", "") or "Ask as root, or as the user that inboxd runs as."
            yield Check(what=what, verdict=WARN, found=f"cannot be told: {getattr(error, 'what', error)}", fix=fix)


Findings = Iterator[tuple[str, str, str]]  # verdict, what was found, what mends it


def _config(settings: Settings) -> Findings:
    yield OK, f"{settings.source or 'no file: all defaults'}", ""
    bound = {recipe for folder in settings.folders.values() for recipe in folder.recipes.values()}
    yield OK, f"recipes in use: {', '.join(sorted(bound)) or 'none'}", ""


def _folders(settings: Settings) -> Findings:
    for name in ("inbox", "outbox", "state"):
        path: Path = getattr(settings, name)
        if not path.is_dir():
            yield WARN, f"{name} {path} is not there", "It is made at the first start."
            continue
        facts = os.statvfs(path)
        if facts.f_flag & os.ST_RDONLY:
            yield FAIL, f"{name} {path} is on a read-only file system", f"mount -o remount,rw {_mount_point(path)}"
            continue
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            yield WARN, f"{name} {path} is not yours to write", "Ask as root, or as the user that inboxd runs as."
            continue
        yield from _room(name, path, facts)
        if kind := is_remote(path):
            yield (
                WARN,
                f"{name} is on {kind}: changes are seen by polling",
                "Nothing to do, if a minute's delay is fine.",
            )


def _room(name: str, path: Path, facts: os.statvfs_result) -> Findings:
    free, total = facts.f_bavail * facts.f_frsize, max(1, facts.f_blocks * facts.f_frsize)
    found = f"{name} {path}: {_bytes(free)} free of {_bytes(total)}"
    if facts.f_files and facts.f_favail < facts.f_files * _FREE_SHARE:
        yield (
            WARN,
            f"{found}, but only {facts.f_favail} files more",
            "Remove what is old: see [retention] in config.toml.",
        )
    elif free < min(_FREE_BYTES, total * _FREE_SHARE):
        yield WARN, found, "Free some space, or let results go after a while: see [retention] in config.toml."
    else:
        yield OK, found, ""


def _promises(settings: Settings) -> Findings:
    """The file-system calls that the promises rest on, really made."""
    for name, folder in (("inbox", settings.inbox / ".taken"), ("outbox", settings.outbox / ".staging")):
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            continue
        if folder.stat().st_dev != folder.parent.stat().st_dev:
            yield FAIL, f"{folder} is on another file system than {folder.parent}", f"umount {folder}; rmdir {folder}"
            continue
        scratch, other = (folder / f".doctor-{uuid.uuid4()}" for _ in range(2))
        try:
            durable.write_file(scratch, b"tried out by inboxd doctor")
            durable.rename_noreplace(scratch, other)
            durable.fsync_folder(folder)
        finally:
            for path in (scratch, other):
                path.unlink(missing_ok=True)
        yield OK, f"{name}: a file was written, made durable and renamed", ""


def _inotify(settings: Settings) -> Findings:
    folders = sum(1 for _ in _sub_folders(settings.inbox))
    watches = int((_INOTIFY / "max_user_watches").read_text())
    found = f"{folders} folders to watch, of {watches} that this user may"
    fix = f"sysctl fs.inotify.max_user_watches={max(524288, 4 * folders)} (and in /etc/sysctl.d/ to keep it)"
    yield (WARN, found, fix) if folders > watches / 2 else (OK, found, "")


def _job_log(settings: Settings) -> Findings:
    try:
        with JobLog(settings.database) as log:
            counts = log.counts()
    except UsageError as error:
        yield WARN, error.what, error.fix
        return
    if damage := backup.check(settings.database):
        yield FAIL, f"{settings.database} is damaged: {damage}", "systemctl restart inboxd (it is made anew)"
        return
    states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    yield OK, f"{settings.database} is whole: {states or 'no jobs yet'}", ""
    copy = backup.newest(settings.state / "backups")
    if copy is None and settings.schedule.backups:
        yield (
            WARN,
            "there is no copy of it yet",
            f"inboxd backup (the daemon makes one each night at {settings.schedule.nightly})",
        )
    elif copy is not None:
        age = time.time() - copy.stat().st_mtime
        found = f"its newest copy is {age / 3600:.0f} hours old: {copy.name}"
        yield (WARN, found, "inboxd backup; journalctl -u inboxd") if age > _OLD_BACKUP_SECONDS else (OK, found, "")


def _daemon(settings: Settings) -> Findings:
    try:
        answer = control.ask(settings.socket, "status", timeout=10)
    except NotRunning as error:
        yield WARN, "no daemon answers", error.fix
        return
    found = f"process {answer['pid']}, version {answer['version']}"
    if answer["version"] != __version__:
        yield WARN, f"{found}, but this is {__version__}", "systemctl restart inboxd"
    else:
        yield OK, found, ""
    for problem in ("storage_problem", "config_problem", "backup_problem"):
        if answer.get(problem):
            yield FAIL, answer[problem], "journalctl -u inboxd"
    if answer["closed"]:
        yield WARN, answer["closed"], ""
    for group in answer["waiting"]:
        yield WARN, f"{group['count']} waiting: {group['for']}", ""
    for name, why in [*answer["left_in_inbox"].items(), *answer["watch_problems"].items()][:10]:
        yield WARN, f"{name}: {why}", ""


def _failures(settings: Settings) -> Findings:
    try:
        with JobLog(settings.database) as log:
            failed = log.jobs(states=("failed",), limit=1)
    except UsageError:
        return
    if failed:
        when = datetime.fromisoformat(failed[0]["finished_at"]).astimezone().strftime("%Y-%m-%d %H:%M")
        yield OK, f"the last failure was {failed[0]['file']}, {when} ({failed[0]['error_kind']})", ""


def _memory(settings: Settings) -> Findings:
    total = total_bytes()
    processors = {recipe.processor: recipe for recipe in settings.recipes.values()}
    bound = {
        settings.recipes[name].processor for folder in settings.folders.values() for name in folder.recipes.values()
    }
    limits = {name: limit_bytes(processors[name].options.memory_max) for name in bound}
    yield (
        OK,
        f"{_bytes(total)}; limits: {', '.join(f'{name} {_bytes(size)}' for name, size in sorted(limits.items()))}",
        "",
    )
    at_once = sorted(limits.values())[-settings.workers.at_once :]
    if sum(at_once) > total and len(at_once) > 1:
        fix = "Lower memory_max of a processor, or [workers] at_once, if the machine begins to swap."
        yield WARN, "workers at once may together ask for more than there is", fix


def _gpu(settings: Settings) -> Findings:
    tool = shutil.which("nvidia-smi")
    if tool is None and not Path("/dev/nvidia0").exists():
        yield OK, "none: the processor does the work", ""
        return
    if tool is None:
        yield FAIL, "/dev/nvidia0 is there, but no nvidia-smi", "Install the driver's tools, of the driver's version."
    else:
        query = [tool, "--query-gpu=name,driver_version,memory.used,memory.total", "--format=csv,noheader"]
        done = subprocess.run(query, capture_output=True, text=True, timeout=_ASK_SECONDS)
        if done.returncode:
            yield FAIL, f"nvidia-smi: {(done.stdout + done.stderr).strip()[:200]}", "Load or reinstall the driver."
            return
        for line in done.stdout.splitlines():
            yield OK, line.strip(), ""
    yield from _cuda(settings)


def _cuda(settings: Settings) -> Findings:
    """Does the torch of the workers see it? Asked in a child: the daemon's own process never imports torch."""
    pythons = {recipe.options.python or sys.executable for recipe in settings.recipes.values()}
    for python in sorted(pythons):
        done = subprocess.run([python, "-c", _HAS_CUDA], capture_output=True, text=True, timeout=_ASK_SECONDS)
        name = done.stdout.strip()
        if name:
            yield OK, f"torch of {python} sees {name}", ""
        else:
            why = done.stderr.strip().splitlines()[-1:] or ["it is built without CUDA, or the driver is too old"]
            yield FAIL, f"torch of {python} sees no GPU: {why[0]}", "Install torch with CUDA into that environment."


def _models(settings: Settings) -> Findings:
    for name in sorted({name for folder in settings.folders.values() for name in folder.recipes.values()}):
        recipe = settings.recipes[name]
        match recipe.cls.plan(recipe.options, recipe.recipe_options, settings.models):
            case base.Missing() as missing:
                yield FAIL, f"{name} cannot run: {missing.why}", ""
            case base.Instead() as instead:
                yield WARN, f"{name}: {instead.why}", ""
            case _:
                yield OK, f"{name} can run", ""


def _unit(settings: Settings) -> Findings:
    systemctl = shutil.which("systemctl")
    for place in (system_place(), user_place(os.environ)):
        if systemctl is None or not place.unit.exists():
            continue
        query = [*place.systemctl, "show", "inboxd", "--property=ActiveState,SubState,UnitFileState,NRestarts,Result"]
        done = subprocess.run(query, capture_output=True, text=True, timeout=_ASK_SECONDS)
        facts = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        state, sub_state = facts.get("ActiveState", "unknown"), facts.get("SubState")
        found = (
            f"{place.unit}: {state} ({sub_state}), {facts.get('UnitFileState')}, {facts.get('NRestarts', 0)} restarts"
        )
        is_well = facts.get("ActiveState") == "active"
        yield (OK, found, "") if is_well else (WARN, found, f"{' '.join(place.systemctl)} status inboxd")
        return
    yield OK, "not installed as a service: `inboxd run` does the same in a terminal", ""


_CHECKS: dict[str, Callable[[Settings], Findings]] = {
    "config": _config,
    "folders": _folders,
    "promises": _promises,
    "inotify": _inotify,
    "job log": _job_log,
    "daemon": _daemon,
    "failures": _failures,
    "memory": _memory,
    "GPU": _gpu,
    "models": _models,
    "service": _unit,
}


def as_json(checks: list[Check]) -> str:
    return json.dumps([vars(check) for check in checks], indent=2)


def _sub_folders(folder: Path) -> Iterator[str]:
    for path, folders, _ in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield path


def _mount_point(path: Path) -> Path:
    while not path.is_mount():
        path = path.parent
    return path


def _bytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
