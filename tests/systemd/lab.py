"""A real systemd for tests: the first process of namespaces of its own, over this machine's files; see boot.sh.

It boots in a second and leaves nothing behind. Needs root, systemd with D-Bus, control groups (version 2) and
overlayfs; `why_not` says what is missing.
"""

import os
import pty
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

_BOOT = Path(__file__).with_name("boot.sh")
_BOOT_SECONDS = 60.0
_COMMAND_SECONDS = 120.0
_NAMESPACES = ("--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup")
_SYSTEMD = Path("/lib/systemd/systemd")


def why_not() -> str | None:
    """Why no lab can be had here; None: it can."""
    if os.geteuid() != 0:
        return "a systemd of our own needs root"
    if not _SYSTEMD.exists() or not any(Path("/usr/bin", name).exists() for name in ("dbus-daemon", "dbus-broker")):
        return "systemd and D-Bus are not installed (Debian: systemd, dbus)"
    missing = [name for name in ("unshare", "nsenter", "setpriv") if shutil.which(name) is None]
    if missing:
        return f"there is no {', '.join(missing)} (Debian: util-linux)"
    if (groups := _control_groups()) is None or not os.access(groups, os.W_OK):
        return "there are no control groups of version 2 that may be written"
    with tempfile.TemporaryDirectory() as folder:
        script = (
            'mount -t tmpfs x "$0" && mkdir "$0/u" "$0/w" "$0/r" && '
            'mount -t overlay -o "lowerdir=/,upperdir=$0/u,workdir=$0/w" x "$0/r" && mount -t proc x "$0/r/proc"'
        )
        command = ["unshare", "--fork", *_NAMESPACES, "sh", "-c", script, folder]
        done = subprocess.run(command, capture_output=True, text=True)
    return f"no namespaces, or no overlay file system, may be had: {done.stderr.strip()}" if done.returncode else None


class Lab:
    """One booted systemd. `binds`: folders of this machine, and where they are to be seen inside, read-only."""

    def __init__(self, folder: Path, binds: Mapping[Path, str]):
        self._console: list[bytes] = []
        groups = _control_groups()
        assert groups is not None
        self._group = groups / f"inboxd-lab-{os.getpid()}-{time.monotonic_ns()}"
        for each in ("payload/commands.scope", "outside"):
            (self._group / each).mkdir(parents=True)
        try:
            self._boot(folder, [f"{source}:{target}" for source, target in binds.items()])
        except BaseException:
            self.stop()
            raise

    def run(
        self,
        *command: str | Path,
        user: str | None = None,
        check: bool = True,
        environment: Mapping[str, str] | None = None,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside, to its end, as root or another user (with all of that user's groups)."""
        done = subprocess.run(
            self._entering(user, environment or {}) + [str(word) for word in command],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
        )
        if check:
            assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *command: str | Path) -> subprocess.Popen[str]:
        """Start a command inside."""
        words = [str(word) for word in command]
        return subprocess.Popen(
            self._entering(None, {}) + words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def path(self, inside: str | Path) -> Path:
        """A path of the lab as it is reached from here. (An absolute symbolic link in it would lead elsewhere.)"""
        return Path(f"/proc/{self._pid}/root/{inside}")

    def has_memory_limits(self) -> bool:
        """Does systemd in here rule over memory? Not where the machine keeps that to control groups of version 1."""
        return "memory" in self.path("sys/fs/cgroup/cgroup.controllers").read_text().split()

    def console(self) -> str:
        """What systemd said while it booted."""
        return b"".join(self._console).decode(errors="replace")

    def stop(self) -> None:
        """End all that runs inside; its namespaces and their mounts go with it."""
        if (kill := self._group / "cgroup.kill").exists():
            kill.write_text("1")
        elif hasattr(self, "_pid"):  # before Linux 5.14; its namespace ends with its first process
            os.kill(self._pid, signal.SIGKILL)
        until = time.monotonic() + 10
        while "populated 1" in (self._group / "cgroup.events").read_text() and time.monotonic() < until:
            time.sleep(0.01)
        if hasattr(self, "_unshare"):
            self._unshare.wait(10)
            os.close(self._terminal)
        for found in sorted(self._group.rglob("*"), reverse=True):
            if found.is_dir():
                found.rmdir()
        self._group.rmdir()

    # ------------------------------------------------------------------------------------------------------------

    def _boot(self, folder: Path, binds: list[str]) -> None:
        self._terminal, inner = pty.openpty()
        # ends with these tests, however they end: the kernel kills unshare with its parent, and its child with it
        unshare = ["setpriv", "--pdeathsig", "KILL", "unshare", "--fork", "--kill-child", *_NAMESPACES, "--"]
        self._unshare = subprocess.Popen(
            _joining(self._group / "payload", [*unshare, "bash", str(_BOOT), str(folder), *binds]),
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            env={**os.environ, "OUTSIDE": str(Path("/proc/self/ns/mnt").readlink())},
        )
        os.close(inner)
        threading.Thread(target=self._listen, name="console", daemon=True).start()
        until = time.monotonic() + _BOOT_SECONDS
        self._pid = self._first_process(until)
        # a group whose subgroups systemd rules may hold no process of ours
        (self._group / "outside" / "cgroup.procs").write_text(str(self._unshare.pid))
        os.write(self._terminal, b"\n")
        while (state := self._state()) not in ("running", "degraded"):
            if self._unshare.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"systemd has not booted ({state}):\n{self.console()}")
            time.sleep(0.05)

    def _first_process(self, until: float) -> int:
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        while True:
            words = children.read_text().split() if self._unshare.poll() is None else []
            if words:
                return int(words[0])
            if self._unshare.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the namespaces could not be made:\n{self.console()}")
            time.sleep(0.01)

    def _state(self) -> str:
        return self.run("systemctl", "is-system-running", check=False).stdout.strip()

    def _entering(self, user: str | None, environment: Mapping[str, str]) -> list[str]:
        """The words before a command that make it run inside, as this user."""
        settings = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "COLUMNS": "200"}
        settings |= {"HOME": f"/home/{user}" if user else "/root", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
        settings |= environment
        enter = ["nsenter", "-t", str(self._pid), "-m", "-u", "-i", "-n", "-p", "-C"]
        become = ["setpriv", "--reuid", user, "--regid", user, "--init-groups"] if user else []
        words = [*enter, *become, "env", "-i", "-C", "/", *(f"{name}={value}" for name, value in settings.items())]
        return _joining(self._group / "payload/commands.scope", words)

    def _listen(self) -> None:
        try:
            while text := os.read(self._terminal, 65536):
                self._console.append(text)
        except OSError:  # no process has it open any more
            return


def _joining(group: Path, command: list[str]) -> list[str]:
    """`command`, in this control group from its first instruction on."""
    return ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(group), *command]


def _control_groups() -> Path | None:
    """Where control groups of version 2 are mounted (proc(5), mountinfo)."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        facts, _, rest = line.partition(" - ")
        if rest.startswith("cgroup2 "):
            return Path(facts.split()[4])
    return None
