"""A user who may drop files must not be able to do more: a member of the service's group reads and writes none of the
service's files, even by links that replace files and folders at the worst instant.
"""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from paths import TESTS
from sandbox import Place, wait_for

_GROUP, _MEMBER, _OTHER = 54321, 54322, 54323
_SECRET = "the service's own secret\n"
_TOML = """
    [inbox]
    text = "count"
    settle_seconds = 0.1
    [recipes.count]
    processor = "plaintext"
    max_batch = 8
    [schedule]
    rescan = "300ms"
    [retry]
    backoff = "50ms"
"""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Owners and permissions of the folders."""

    inbox_owner: int
    inbox_mode: int


# as `inboxd install` created them before and creates them now; a share of another user, where names cannot be protected
LAYOUTS = {
    "old": Layout(inbox_owner=0, inbox_mode=0o2770),
    "new": Layout(inbox_owner=0, inbox_mode=0o3770),
    "share": Layout(inbox_owner=_OTHER, inbox_mode=0o2770),
}


class SharedPlace(Place):
    """The folders of a service that runs as root here, in a separate group."""

    def __init__(self, home: Path, layout: Layout):
        super().__init__(home, _TOML)
        self.outbox.mkdir()
        self.state.mkdir(mode=0o700)
        for folder, owner, mode in (
            (home, 0, 0o2750),
            (self.inbox, layout.inbox_owner, layout.inbox_mode),
            (self.outbox, 0, 0o2750),
        ):
            os.chown(folder, owner, _GROUP)
            folder.chmod(mode)
        self.secret = self.state / "secret.txt"
        self.secret.write_text(_SECRET)
        self.secret.chmod(0o600)

    def start_service(self) -> subprocess.Popen:
        """A daemon with the group and the umask of the unit."""
        with (self.home / "daemon.log").open("ab") as log:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "daemon.cli", "run", "--config", str(self.config)],
                cwd=self.home,
                env=self.environment(),
                stdout=log,
                stderr=log,
                umask=0o007,
                group=_GROUP,
            )
        self.adopt(daemon)
        self.wait_until_ready(daemon)
        return daemon

    def start_member(self) -> subprocess.Popen:
        member = subprocess.Popen(
            [
                *(sys.executable, str(TESTS / "reliability" / "support" / "group_member.py")),
                *map(str, (self.inbox, self.outbox, self.secret, _MEMBER, _GROUP)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert member.stdout.readline() == "ready\n"
        return member

    def published(self) -> Iterator[Path]:
        """Everything in the outbox except `.staging`."""
        for path, folders, files in os.walk(self.outbox):
            folders[:] = [name for name in folders if name != ".staging"]
            yield from (Path(path, name) for name in (*folders, *files))

    def texts(self) -> Iterator[str]:
        """Yield the texts that a member of the group can read in the outbox."""
        return (path.read_text(errors="replace") for path in self.published() if path.is_file())


@pytest.fixture(params=LAYOUTS)
def shared(request: pytest.FixtureRequest) -> Iterator[SharedPlace]:
    if os.geteuid():
        pytest.skip("needs root, to act as another user")
    home = Path(tempfile.mkdtemp(prefix="inboxd-shared-"))  # not that of pytest, which no other user may enter
    made = SharedPlace(home, LAYOUTS[request.param])
    yield made
    made.stop_all()
    shutil.rmtree(home)


def attack(shared: SharedPlace, swaps: int) -> int:
    """Let a member attack the service while it processes other users' files; return the number of swaps."""
    daemon, member = shared.start_service(), None
    shared.drop("harmless.txt", "a harmless file\n")
    shared.ended("harmless.txt")
    member = shared.start_member()
    reached, number = 0, 0
    while reached < swaps:
        line = member.stdout.readline()
        assert line, "the member's process has ended"
        reached = int(line)
        number += 1
        shared.drop(f"later {number}.txt", f"another file, {number}\n")
    member.stdin.close()
    report = json.loads(member.stdout.read().splitlines()[-1])
    assert member.wait() == 0
    for each in range(1, number + 1):
        row = shared.ended(f"later {each}.txt")
        assert row["state"] == "done", f"{row}\n{shared.log()[-3000:]}"
    assert daemon.poll() is None, shared.log()
    mine = {what for what in report["done"] if what.startswith("rename .taken")}
    assert set(report["done"]) <= mine, report
    assert not mine or shared.inbox.stat().st_uid == _OTHER  # nobody may remove the permissions of the owner
    assert shared.secret.read_text() == _SECRET
    assert {path.name for path in shared.state.iterdir() if path.name.startswith(("planted", "link", "swap"))} == set()
    assert not any(_SECRET.strip() in text for text in shared.texts())
    assert not any("spoilt" in text for text in shared.texts())
    return report["swaps"]


def as_member(act: Callable[[], object]) -> bool:
    """Run the operation in a process of the member; return True if it was permitted."""
    if (child := os.fork()) == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(_GROUP)
            os.setuid(_MEMBER)
            act()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def put_in_place(what: str, place: Path, target: Path) -> None:
    match what:
        case "link":
            place.symlink_to(target)
        case "folder":
            place.mkdir()
        case "file":
            place.touch()


def test_member_of_the_group_reads_and_writes_nothing_of_the_service(shared: SharedPlace):
    attack(shared, 300)
    for path in shared.published():
        if path == shared.outbox / "failed":
            continue
        facts = path.lstat()
        assert facts.st_uid == 0, path
        denied = 0o027 if path.is_dir() else 0o022  # below such a folder, nothing is readable for others
        assert not facts.st_mode & denied, f"{path}: {stat.filemode(facts.st_mode)}"
        assert facts.st_mode & 0o040, f"{path}: {stat.filemode(facts.st_mode)}"
    for folder in (shared.inbox / ".taken", shared.outbox / ".staging", shared.state):
        # the member may have renamed it at the very end, which the daemon undoes at its next check
        wait_for(lambda folder=folder: folder.is_dir() and not folder.is_symlink(), f"{folder} to be back in its place")
        assert not folder.stat().st_mode & 0o077, folder
    shared.verify()


@pytest.mark.parametrize(
    ("shared", "what"),
    [*(("share", what) for what in ("nothing", "link", "folder", "file")), ("old", "link"), ("new", "link")],
    indirect=["shared"],
)
def test_service_starts_though_its_folder_was_renamed_while_it_was_stopped(shared: SharedPlace, what: str):
    daemon = shared.start_service()
    assert shared.inboxd("pause").returncode == 0
    shared.drop("waits.txt", "a file that waits\n")
    wait_for(lambda: not (shared.inbox / "waits.txt").exists(), "the file to be taken")
    daemon.terminate()
    assert daemon.wait(30) == 0
    taken = shared.inbox / ".taken"
    is_renamed = as_member(lambda: taken.rename(shared.inbox / ".aside") and put_in_place(what, taken, shared.state))
    assert is_renamed is (shared.inbox.stat().st_uid == _OTHER)
    shared.start_service()
    assert shared.inboxd("resume").returncode == 0
    assert shared.ended("waits.txt")["state"] == "done"
    assert shared.secret.read_text() == _SECRET
    shared.verify()


@pytest.mark.long
def test_member_of_the_group_reads_and_writes_nothing_in_10000_swaps(shared: SharedPlace):
    swaps = attack(shared, int(os.environ.get("INBOXD_SWAPS", "10000")))
    print(f"\nmember of the group: {swaps} swaps, 0 read, 0 written")
