"""Checks of the job log and its copies, of the running daemon, and of its systemd service."""

import os
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from daemon import __version__
from daemon.config.settings import Settings
from daemon.core.errors import NotRunning, StorageError, StoreError, UsageError
from daemon.doctor.finding import FAIL, OK, WARN, Findings, shown_bytes
from daemon.doctor.installation import Installation, run
from daemon.install import resources, unit
from daemon.queue import backup
from daemon.queue.migrations import MIGRATIONS
from daemon.queue.reader import JobFilter, JobLog
from daemon.recovery import unplaced
from daemon.server import api, client

_OLD_BACKUP_SECONDS = 3 * 24 * 3600
_ANSWER_SECONDS = 10.0
_SHOWN = 10  # files that stay in the inbox or could not be recovered
_JOURNAL_LINES = 5


def job_log(settings: Settings, _: Installation | None) -> Findings:
    """Check that the job log is undamaged, of this version, and backed up."""
    path = settings.database
    try:
        with JobLog(path) as log:
            version = log.version()
    except UsageError as error:
        yield (OK, f"{error.what} {error.fix}", "") if _is_new(settings) else (WARN, error.what, error.fix)
        return
    except (StorageError, StoreError) as error:
        yield FAIL, error.what, error.fix
        return
    if damage := backup.check(path):
        yield (
            FAIL,
            f"{path} is damaged: {damage}",
            "systemctl restart inboxd (the daemon sets it aside and rebuilds it from the folders)",
        )
        return
    if version != len(MIGRATIONS):
        is_newer = version > len(MIGRATIONS)
        fix = (
            "Run the newer inboxd again, or restore a copy: docs/operating.md"
            if is_newer
            else "systemctl restart inboxd"
        )
        found = f"{path} has version {version}; this inboxd supports version {len(MIGRATIONS)}"
        yield FAIL if is_newer else WARN, found, fix
        return
    with JobLog(path) as log:
        counts = log.counts()
    states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    size = sum(os.stat(each).st_size for each in (path, Path(f"{path}-wal")) if each.exists())
    yield OK, f"{path} is intact ({shown_bytes(size)}, version {version}): {states or 'no jobs yet'}", ""
    yield from _copies(settings)


def _copies(settings: Settings) -> Findings:
    copy = backup.newest(settings.state / "backups")
    if copy is None and settings.schedule.backups:
        fix = f"inboxd backup (the daemon also makes one each night at {settings.schedule.nightly})"
        yield WARN, "there is no backup yet", fix
    elif copy is not None:
        age = time.time() - copy.stat().st_mtime
        found = f"the newest backup is {age / 3600:.0f} hours old: {copy.name}"
        yield (
            (WARN, found, "inboxd backup; find the cause with: journalctl -u inboxd -p warning")
            if age > _OLD_BACKUP_SECONDS
            else (OK, found, "")
        )


def daemon(settings: Settings, installation: Installation | None) -> Findings:
    """Check that the daemon runs, with the current code, and can work."""
    try:
        reply = client.ask(settings.socket, api.Status(), api.StatusReply, timeout=_ANSWER_SECONDS)
    except NotRunning as error:
        yield from _unavailable(settings, error)
        return
    found = f"process {reply.pid}, version {reply.version}, up {reply.uptime_seconds / 3600:.1f} hours"
    restart = "systemctl restart inboxd" if installation else "Stop it, and start it again: inboxd run"
    if reply.version != __version__:
        yield WARN, f"{found}; but the installed version is {__version__}", restart
    elif _code_changed_at() > time.time() - reply.uptime_seconds:
        yield WARN, f"{found}; the code changed after it started", restart
    else:
        yield OK, found, ""
    for problem in reply.problems():
        yield FAIL, problem, "journalctl -u inboxd -n 50"
    if reply.closed:
        yield (
            WARN,
            reply.closed,
            "inboxd resume" if "Paused" in reply.closed else "Change [schedule] active in config.toml.",
        )
    for group in reply.waiting:
        yield (
            WARN,
            f"{group.count} waiting ({', '.join(group.files)}): {group.why}",
            "They continue automatically once that is fixed; to retry immediately: inboxd retry JOB",
        )
    for name, why in [*reply.unplaced.items()][:_SHOWN]:
        yield FAIL, f"{name}: {why}", "Find the cause with: journalctl -u inboxd -p err; then: systemctl restart inboxd"
    staying = [*reply.left_in_inbox.items(), *reply.watch_problems.items()]
    for name, why in staying[:_SHOWN]:
        yield WARN, f"{name}: {why}", ""
    if (more := len(staying[_SHOWN:]) + sum(reply.not_shown.values())) > 0:
        yield WARN, f"and {more} more", "inboxd status"


def _unavailable(settings: Settings, error: NotRunning) -> Findings:
    """Explain why no daemon answers, and what the last one could not recover."""
    for job, why in [*unplaced.read(settings.state).items()][:_SHOWN]:
        yield (
            FAIL,
            f"inbox/.taken/{job}: {why}",
            "Find the cause with: journalctl -u inboxd -p err; then start the daemon again.",
        )
    try:
        owner = int((settings.inbox / ".taken" / ".lock").read_text().strip() or 0)
        command = Path(f"/proc/{owner}/cmdline").read_bytes() if owner else b""
    except (OSError, ValueError):
        owner, command = 0, b""
    if b"inboxd" in command or b"daemon.cli" in command:
        found = f"process {owner} holds the inbox but does not answer: {error.what}"
        yield FAIL, found, "See its log: journalctl -u inboxd -n 50; if it is stuck: systemctl restart inboxd"
    elif _is_new(settings):
        yield OK, f"not started yet. {error.fix}", ""
    else:
        yield WARN, f"no daemon answers on {settings.socket}", error.fix


def _is_new(settings: Settings) -> bool:
    """True if no daemon has used these folders yet."""
    return not settings.database.exists() and not (settings.inbox / ".taken").exists()


def _code_changed_at() -> float:
    """The modification time of the newest module of this inboxd."""
    return max(
        (path.stat().st_mtime for name in ("daemon", "processors") for path in (resources.CODE / name).rglob("*.py")),
        default=0.0,
    )


def failures(settings: Settings, _: Installation | None) -> Findings:
    """Report the jobs that failed in the last day, and the time of the last failure."""
    a_day_ago = int((datetime.now(UTC) - timedelta(days=1)).timestamp() * 1e6)
    try:
        with JobLog(settings.database) as log:
            last = log.jobs(JobFilter(states=("failed",)), by_end=True, limit=1)
            recent = log.jobs(JobFilter(states=("failed",), finished_since_us=a_day_ago))
    except UsageError:
        return
    if not last:
        yield OK, "no job has failed", ""
        return
    when = datetime.fromisoformat(last[0]["finished_at"] or "").astimezone().strftime("%Y-%m-%d %H:%M")
    found = f"the last failure was {last[0]['file']}, {when}: {last[0]['error_kind']}"
    if not recent:
        yield OK, found, ""
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(row["error_kind"] for row in recent).most_common())
    fix = "inboxd jobs --state failed; once the cause is fixed: inboxd retry --failed"
    yield WARN, f"{len(recent)} failed in the last day ({kinds}); {found}", fix


def service(installation: Installation | None) -> Findings:
    """Check that the service is installed, by this version of inboxd, and runs."""
    if installation is None:
        yield OK, "not installed for this config.toml; `inboxd run` runs the daemon in a terminal", ""
        return
    paths = installation.paths
    systemctl, sudo = " ".join(paths.systemctl), "" if paths.is_for_user else "sudo "
    yield from _unit(installation, f"{sudo}inboxd install{' --user' if paths.is_for_user else ''}")
    facts = installation.show("ActiveState", "SubState", "UnitFileState", "NRestarts", "NeedDaemonReload")
    if not facts:
        yield WARN, "systemd does not answer", f"{systemctl} status inboxd"
        return
    found = f"{facts.get('ActiveState')} ({facts.get('SubState')}), {facts.get('UnitFileState')}"
    found += f", {facts.get('NRestarts', '0')} restarts by systemd"
    if facts.get("ActiveState") == "failed":
        yield (
            FAIL,
            found,
            f"{systemctl} status inboxd; then: {systemctl} reset-failed inboxd; {systemctl} start inboxd",
        )
    elif facts.get("ActiveState") != "active":
        yield WARN, found, f"{systemctl} start inboxd"
    elif int(facts.get("NRestarts") or 0) > 0:
        yield WARN, found, "Find out why it ended: journalctl -u inboxd -p warning"
    else:
        yield OK, found, ""
    if facts.get("UnitFileState") == "disabled":
        yield WARN, "it does not start at boot", f"{systemctl} enable inboxd"
    if facts.get("NeedDaemonReload") == "yes":
        yield WARN, "its unit has changed, and systemd still uses the old one", f"{systemctl} daemon-reload"
    lingering = Path("/var/lib/systemd/linger", os.environ.get("USER", ""))
    if paths.is_for_user and not lingering.is_file():
        yield WARN, "it stops when you log out", "loginctl enable-linger"


def _unit(installation: Installation, fix: str) -> Findings:
    paths = installation.paths
    command = Path(sys.prefix) / "bin" / "inboxd"
    group = unit.group_of(installation.text) or "inboxd"
    if installation.command and Path(installation.command) != command:
        yield WARN, f"{paths.unit} runs {installation.command}, but this is {command}", f"{installation.command} doctor"
    elif installation.text != unit.text(command, group, is_for_user=paths.is_for_user):
        yield WARN, f"{paths.unit} is not the unit of this version (or was edited)", fix
    else:
        yield OK, f"{paths.unit} is the unit of this version", ""


def journal(installation: Installation | None) -> Findings:
    """The errors that the service logged in the last day."""
    if installation is None:
        return
    scope = ["--user"] if installation.paths.is_for_user else []
    look = ["journalctl", *scope, "-u", "inboxd", "-p", "err", "--since", "-1d"]
    lines = run([*look, "-q", "-o", "short-iso", "--no-pager", "-n", str(_JOURNAL_LINES)])
    if lines is None:
        yield WARN, "journalctl does not answer", "Run doctor as root, or as a member of the group systemd-journal."
        return
    for line in lines.splitlines():
        yield WARN, line, " ".join(look)
    if not lines.strip():
        yield OK, "no errors in the last day", ""
