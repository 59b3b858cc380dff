"""Files outside the folders of a daemon, watched for any access; hostile names and special files in its inbox.

Run as a program, it is a daemon that somebody interferes with at the worst instant, or of which a part is broken.
"""

import ctypes
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

from detection_rig import WatchedPlace

_EVENTS = {  # inotify(7): every access to a file, and listing a folder
    0x1: "read", 0x2: "written", 0x4: "attributes changed", 0x20: "opened", 0x40: "moved away", 0x80: "moved in",
    0x100: "made", 0x200: "deleted", 0x400: "deleted itself", 0x800: "moved itself",
}  # fmt: skip
_libc = ctypes.CDLL(None, use_errno=True)

_TOML = """
    [inbox]
    text = "count"
    unsupported = "fail"
    settle_seconds = 0.2
    [recipes.count]
    processor = "plaintext"
    max_batch = 32
    [schedule]
    rescan = "300ms"
"""
CANARY = b"a secret that is none of the daemon's business\n"
# not allowed in output for a terminal: control characters except newline, and characters that reverse the direction
_ACTIVE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

NAMES = [
    *(b"-rf", b"--config=x.ini", b"%s%n$(touch x)`touch y`;|&.txt", b"a'b\"c\\d.txt", b"*?[x].txt", b"~root.txt"),
    *(b"new\nline.txt", b"tab\tand\rreturn.txt", b"\x1b[2J\x1b]0;owned\x07red.txt", b"\x7f\x08\x01.txt"),
    *("\u202etxt.exe".encode(), "\u200e\u2066.txt".encode(), "\x9b31m.txt".encode(), "e\u0301.txt".encode()),
    *(b"caf\xe9.txt", b"\xff\xfe", b"\xed\xa0\x80.txt", b"[bold]markup[/bold].txt", b"[/]", b"http://x" + b"y.txt"[1:]),
    *(b"failed", b"original", b"result.json", b"error.txt", b"error.json", b"con.pdf", b"nul", b"jobs.db", b"_"),
    *(b"dots...", b"spaces   ", b" ", b" lead", b"a" * 255, b"b" * 251 + b".txt", b"c." + b"d" * 253),
    *(b"\x01" * 255, "ä".encode() * 127, b"\xe9" * 255, b"e" * 249 + b".t (2)"),
]
NAMES = [os.fsdecode(name.replace(b"/", b"_")) for name in NAMES]


class Canary:
    """A folder outside the daemon's folders, with a file; after `watch`, the kernel reports all accesses to them."""

    def __init__(self, folder: Path, name: str = "canary.txt"):
        self.folder, self.file = folder, folder / name
        folder.mkdir()
        self.file.write_bytes(CANARY)
        self._queue = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before = (self.file.stat().st_ino, self.file.stat().st_mtime_ns)

    def watch(self) -> None:
        for path in (self.folder, self.file):
            assert _libc.inotify_add_watch(self._queue, os.fsencode(path), sum(_EVENTS)) >= 0

    def touches(self) -> set[str]:
        """Return the events on the folder and its file since the last call."""
        found = set()
        while True:
            try:
                events = os.read(self._queue, 65536)
            except BlockingIOError:
                return found
            while events:
                _, mask, _, length = struct.unpack_from("iIII", events)
                found |= {what for bit, what in _EVENTS.items() if mask & bit}
                events = events[16 + length :]

    def check(self) -> None:
        """Check that no process has accessed or changed it."""
        assert self.touches() == set(), "something outside the daemon's folders was accessed"
        assert os.listdir(self.folder) == [self.file.name]
        assert self.file.read_bytes() == CANARY
        assert (self.file.stat().st_ino, self.file.stat().st_mtime_ns) == self._before
        self.touches()  # ours


class HostilePlace(WatchedPlace):
    """A place whose daemon scans the complete inbox repeatedly."""

    def __init__(self, home: Path):
        super().__init__(home, _TOML)

    def left(self) -> dict[str, str]:
        """Return the files that the daemon reports as left in the inbox, with the reasons."""
        return self.status()["left_in_inbox"]

    def start_meddled(self, how: str, canary: Canary) -> subprocess.Popen:
        """Start a daemon that somebody interferes with at the worst instant, and wait until it is ready."""
        return self.start(program=[__file__, how], CANARY=str(canary.folder))

    def remove(self) -> None:
        """Remove the tree, also below the depth that the standard library can remove."""
        self.stop_all()
        subprocess.run(["rm", "-rf", "--", str(self.home)], check=True)


def active_characters(text: str) -> list[str]:
    return _ACTIVE.findall(text)


def _swap(folder: Path, target: Path) -> None:
    """Put a symbolic link to `target` into a folder's place."""
    if folder.is_symlink() or not folder.is_dir():
        return
    folder.rename(folder.with_name(f".{folder.name}.real"))
    folder.symlink_to(target)


def _meddle(how: str) -> None:
    from daemon.core import durable
    from daemon.files import inbox
    from daemon.intake import claimer, describer, prerequisites

    target = Path(os.environ["CANARY"])
    sniff, rename, scan = claimer.sniff, durable.rename_noreplace, inbox.Inbox.scan
    match how:
        case "folder-becomes-link-before-scan":

            def scan_late(self, folder):
                if folder.name.startswith("swap"):
                    _swap(folder, target)
                return scan(self, folder)

            inbox.Inbox.scan = scan_late
        case "folder-becomes-link-before-sniff":

            def take_late(self, path, now, original=claimer.Claimer._take_one):
                if path.parent.name.startswith("swap"):
                    _swap(path.parent, target)
                return original(self, path, now)

            claimer.Claimer._take_one = take_late
        case "folder-becomes-link-before-options":

            def choose_late(settings, inbox, folder, kind, sidecar, original=describer.choose):
                if folder.name.startswith("swap"):
                    _swap(folder, target)
                return original(settings, inbox, folder, kind, sidecar)

            describer.choose = prerequisites.choose = choose_late
        case "folder-becomes-link-before-rename":

            def sniff_early(path, folder=None):
                content = sniff(path, folder)
                if path.parent.name.startswith("swap"):
                    _swap(path.parent, target)
                return content

            claimer.sniff = sniff_early
        case "file-becomes-link-before-rename":

            def rename_late(source, to, **folders):
                if source.name.startswith("canary") and not str(source).startswith("/proc/"):
                    source.unlink()
                    source.symlink_to(target / "canary.txt")
                return rename(source, to, **folders)

            durable.rename_noreplace = rename_late
        case "links-are-followed":  # a broken daemon, for the negative control

            def scan_all(self, folder):
                for found in scan(self, folder):
                    is_other = not found.is_folder and found.entry is None
                    yield found._replace(entry=self.entry(found.path)) if is_other else found

            inbox.Inbox.scan = scan_all
            inbox.Inbox._facts = lambda self, path: path.stat()
            claimer.sniff = lambda path, folder=None: sniff(path.resolve())


if __name__ == "__main__":
    _meddle(sys.argv.pop(1))
    from daemon.cli.main import main

    main()
