"""What the watcher posts when real files are created, moved and removed, with the real inotify."""

import logging
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requires
from paths import ROOT

from daemon.core.messages import CheckAll, Hint
from daemon.intake.watcher import Watcher, is_remote

DEADLINE = 10.0  # seconds


class Watched:
    """A watcher, its mailbox, and a folder to watch."""

    def __init__(self, folder: Path, post: Callable | None = None):
        self.mailbox: queue.SimpleQueue = queue.SimpleQueue()
        self.watcher = Watcher(post or self.mailbox.put)
        self.inbox = folder / "inbox"
        self.inbox.mkdir()

    def wait_for(self, message: Hint | CheckAll) -> float:
        """Seconds until `message` came; others before it are let pass."""
        started = time.monotonic()
        passed = []
        while (left := started + DEADLINE - time.monotonic()) > 0:
            try:
                passed.append(self.mailbox.get(timeout=left))
            except queue.Empty:
                break
            if passed[-1] == message:
                return time.monotonic() - started
        pytest.fail(f"{message} did not come, but {passed}")

    def all_until_quiet(self, seconds: float = 0.2) -> list:
        """All messages, until none has come for a while."""
        messages = []
        while True:
            try:
                messages.append(self.mailbox.get(timeout=seconds))
            except queue.Empty:
                return messages

    def next_until_quiet(self) -> list:
        """The next message, however late it comes on a busy machine, and those that follow it closely."""
        return [self.mailbox.get(timeout=DEADLINE), *self.all_until_quiet()]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    made.watcher.start()
    assert made.watcher.watch(made.inbox)
    yield made
    made.watcher.stop()


def run(program: str, *arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def test_file_renamed_in_is_reported_within_a_tenth_of_a_second(watched, tmp_path):
    seconds = []
    for number in range(20):
        (tmp_path / "new").write_text("whole")
        (tmp_path / "new").rename(watched.inbox / f"{number}.txt")
        seconds.append(watched.wait_for(Hint(folder=watched.inbox, name=f"{number}.txt", complete=True)))
    assert sorted(seconds)[10] < 0.1


def test_file_is_hinted_at_when_it_is_made_and_when_its_writer_closes_it(watched):
    writer = run(
        "import sys; f = open(sys.argv[1], 'w'); f.write('half'); f.flush(); print(flush=True); input()",
        watched.inbox / "slow.txt",
    )
    writer.stdout.readline()
    assert watched.next_until_quiet() == [Hint(folder=watched.inbox, name="slow.txt")]
    writer.kill()  # the kernel closes the file for it
    assert watched.next_until_quiet() == [Hint(folder=watched.inbox, name="slow.txt")]
    writer.communicate()


FLOOD = """
import ctypes, os, sys
os.chdir(sys.argv[1])
libc = ctypes.CDLL(None)
for name in (".a", ".b", "x.part", "y.part"):
    open(name, "w").close()
for _ in range(3000):
    libc.renameat2(-100, b".a", -100, b".b", 2)
    libc.renameat2(-100, b"x.part", -100, b"y.part", 2)
os.mkdir(".folder")
os.rename(".b", "end.txt")
"""


def test_flood_of_events_on_ignored_names_posts_nothing(watched):
    assert run(FLOOD, watched.inbox).wait() == 0
    assert watched.next_until_quiet() == [Hint(folder=watched.inbox, name="end.txt", complete=True)]


def test_folder_is_watched_though_proc_is_not_mounted(watched, tmp_path, monkeypatch):
    read_bytes = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read_bytes(tmp_path / "nowhere"))
    monkeypatch.setattr(watched.watcher, "_remote_types", {})
    sub = watched.inbox / "sub"
    sub.mkdir()
    assert watched.watcher.watch(sub)
    assert sub in watched.watcher.watched and watched.watcher.problems == {}


def test_hard_link_is_reported(watched, tmp_path):
    (tmp_path / "file").write_text("text")
    (watched.inbox / "link").hardlink_to(tmp_path / "file")
    watched.wait_for(Hint(folder=watched.inbox, name="link"))


def test_names_need_not_be_utf8(watched):
    name = os.fsdecode(b"caf\xe9 \n.txt")
    (watched.inbox / name).write_text("text")
    watched.wait_for(Hint(folder=watched.inbox, name=name))
    folder = watched.inbox / os.fsdecode(b"d\xe9")
    folder.mkdir()
    watched.wait_for(Hint(folder=folder))
    assert watched.watcher.watch(folder)
    (folder / "in").write_text("text")
    watched.wait_for(Hint(folder=folder, name="in"))


def test_reading_and_moving_out_are_not_reported(watched, tmp_path):
    (watched.inbox / "file").write_text("text")
    watched.all_until_quiet()
    (watched.inbox / "file").read_text()
    list(watched.inbox.iterdir())
    (watched.inbox / "file").rename(tmp_path / "taken")
    assert watched.all_until_quiet() == []


def test_moved_in_tree_is_reported_by_its_top_folder(watched, tmp_path):
    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/sub/file").write_text("text")
    (tmp_path / "tree").rename(watched.inbox / "tree")
    assert watched.next_until_quiet() == [Hint(folder=watched.inbox / "tree", complete=True)]


def test_sub_folders_are_watched_only_when_asked_for(watched):
    sub = watched.inbox / "sub"
    sub.mkdir()
    watched.wait_for(Hint(folder=sub))
    (sub / "unseen").write_text("text")
    assert watched.all_until_quiet() == []
    assert watched.watcher.watch(sub)
    (sub / "seen").write_text("text")
    watched.wait_for(Hint(folder=sub, name="seen"))


def test_watching_twice_is_watching_once(watched):
    assert watched.watcher.watch(watched.inbox)
    (watched.inbox / "file").write_text("text")
    messages = watched.all_until_quiet()
    assert messages == [Hint(folder=watched.inbox, name="file")] * 2, "it was made, and it was closed"


def test_folder_deleted_and_created_again_is_watched(watched):
    sub = watched.inbox / "sub"
    sub.mkdir()
    assert watched.watcher.watch(sub)
    for number in range(3):
        watched.all_until_quiet(0.1)
        shutil.rmtree(sub)
        watched.wait_for(Hint(folder=watched.inbox))
        assert watched.watcher.watched == {watched.inbox}
        sub.mkdir()
        watched.wait_for(Hint(folder=sub))
        assert watched.watcher.watch(sub)
        (sub / f"{number}").write_text("text")
        watched.wait_for(Hint(folder=sub, name=f"{number}"))


def test_folder_replaced_between_two_scans_is_watched_again(watched, tmp_path):
    """Also while the old one still exists, so that the kernel has no deletion to tell of yet."""
    sub = watched.inbox / "sub"
    sub.mkdir()
    assert watched.watcher.watch(sub)
    with os.scandir(sub):  # holds the deleted folder in being
        sub.rmdir()
        sub.mkdir()
        assert watched.watcher.watch(sub)
        (sub / "file").write_text("text")
        watched.wait_for(Hint(folder=sub, name="file"))


def test_deleted_top_folder_is_reported_and_can_be_watched_again(watched):
    watched.inbox.rmdir()
    watched.wait_for(Hint(folder=watched.inbox.parent))
    assert not watched.watcher.watch(watched.inbox)
    assert watched.watcher.problems == {}
    watched.inbox.mkdir()
    assert watched.watcher.watch(watched.inbox)
    (watched.inbox / "file").write_text("text")
    watched.wait_for(Hint(folder=watched.inbox, name="file"))


def test_folder_moved_out_is_forgotten_with_all_below_it(watched, tmp_path):
    deep = watched.inbox / "a/b/c"
    deep.mkdir(parents=True)
    for folder in (watched.inbox / "a", watched.inbox / "a/b", deep):
        assert watched.watcher.watch(folder)
    (watched.inbox / "a").rename(tmp_path / "away")
    watched.wait_for(Hint(folder=watched.inbox))
    assert watched.watcher.watched == {watched.inbox}
    (tmp_path / "away/b/c/file").write_text("not ours any more")
    assert watched.all_until_quiet() == []


def test_folder_renamed_in_the_inbox_is_reported_with_its_new_path(watched):
    old, new = watched.inbox / "old", watched.inbox / "new"
    (old / "sub").mkdir(parents=True)
    assert watched.watcher.watch(old)
    assert watched.watcher.watch(old / "sub")
    old.rename(new)
    watched.wait_for(Hint(folder=new, complete=True))
    assert watched.watcher.watch(new)
    assert watched.watcher.watch(new / "sub")
    watched.all_until_quiet()
    assert watched.watcher.watched == {watched.inbox, new, new / "sub"}
    for folder in (new, new / "sub"):
        (folder / "file").write_text("text")
        watched.wait_for(Hint(folder=folder, name="file"))


def test_folder_watched_at_its_new_path_before_its_move_is_read_keeps_its_watch(tmp_path):
    """`post` runs between the arrival in the new place and the event of the folder itself, as a quick main loop may."""
    old, new = tmp_path / "inbox/old", tmp_path / "inbox/new"

    def post(message):
        if message == Hint(folder=new, complete=True):
            watched.watcher.watch(new)
            watched.watcher.watch(new / "sub")
        watched.mailbox.put(message)

    watched = Watched(tmp_path, post)
    (old / "sub").mkdir(parents=True)
    watched.watcher.start()
    try:
        assert all(watched.watcher.watch(folder) for folder in (watched.inbox, old, old / "sub"))
        old.rename(new)
        watched.all_until_quiet()
        assert watched.watcher.watched == {watched.inbox, new, new / "sub"}
        (new / "sub/file").write_text("text")
        watched.wait_for(Hint(folder=new / "sub", name="file"))
    finally:
        watched.watcher.stop()


def test_unwatched_folder_is_silent(watched):
    watched.watcher.unwatch(watched.inbox)
    watched.watcher.unwatch(watched.inbox)
    (watched.inbox / "file").write_text("text")
    assert watched.all_until_quiet() == []
    assert watched.watcher.watched == set()


def test_nothing_is_posted_after_stop(watched):
    watched.watcher.stop()
    (watched.inbox / "file").write_text("text")
    assert watched.all_until_quiet() == []
    assert not watched.watcher.watch(watched.inbox)
    watched.watcher.stop()


def test_start_and_stop_leave_no_descriptor_and_no_thread(tmp_path):
    descriptors, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(20):
        watcher = Watcher(lambda message: None)
        watcher.start()
        assert watcher.watch(tmp_path)
        watcher.stop()
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert threading.active_count() <= threads


def test_idle_watcher_blocks(watched):
    (watched.inbox / "file").write_text("text")
    watched.all_until_quiet()
    thread = next(thread for thread in threading.enumerate() if thread.name == "watcher")
    status = Path(f"/proc/self/task/{thread.native_id}/status")

    def switches() -> int:
        return sum(int(line.split()[1]) for line in status.read_text().splitlines() if "ctxt_switches" in line)

    before = switches()
    assert watched.all_until_quiet(0.6) == []
    assert switches() - before <= 1
    (watched.inbox / "file").write_text("text")  # the count can rise
    watched.all_until_quiet()
    assert switches() > before


def test_lost_events_are_reported(tmp_path):
    """The queue of the kernel is made to overflow while the reading thread is held up."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 100_000:
        pytest.skip("the queue is too long to fill in a test")
    may_go = threading.Event()
    mailbox: queue.SimpleQueue = queue.SimpleQueue()

    def post(message):
        may_go.wait(DEADLINE)
        mailbox.put(message)

    watched = Watched(tmp_path, post)
    watched.mailbox = mailbox
    watched.watcher.start()
    try:
        folders = [watched.inbox, watched.inbox / "other"]
        folders[1].mkdir()
        assert all(watched.watcher.watch(folder) for folder in folders)
        for number in range(limit + 3000):  # the thread has read up to 2,048 events before it stops
            os.close(os.open(watched.inbox / f"{number % 2}", os.O_WRONLY | os.O_CREAT))  # two equal ones become one
        may_go.set()
        messages = []
        while not messages or not isinstance(messages[-1], CheckAll):
            messages.append(mailbox.get(timeout=DEADLINE))
        messages += watched.all_until_quiet()
    finally:
        may_go.set()
        watched.watcher.stop()
    assert [message for message in messages if isinstance(message, CheckAll)] == [messages[-1]]
    assert "max_queued_events" in messages[-1].why


# ------------------------------------------------------------------------------------------------ what cannot be


def test_path_that_is_not_a_folder_is_reported_with_the_reason(watched, tmp_path, caplog):
    (watched.inbox / "file").write_text("text")
    (watched.inbox / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        assert not watched.watcher.watch(watched.inbox / name)
        assert not watched.watcher.watch(watched.inbox / name)
        assert "cannot be watched" in watched.watcher.problems[watched.inbox / name]
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1
    (watched.inbox / "link").unlink()
    (watched.inbox / "link").mkdir()
    assert watched.watcher.watch(watched.inbox / "link")
    assert set(watched.watcher.problems) == {watched.inbox / "file"}


def test_problem_of_a_folder_that_is_gone_is_forgotten(tmp_path):
    watcher = Watcher(queue.SimpleQueue().put)  # not started: nothing can be watched
    folder = tmp_path / "brief"
    folder.mkdir()
    assert not watcher.watch(folder)
    assert list(watcher.problems) == [folder]
    folder.rmdir()
    assert watcher.problems == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_unreadable_folder_is_a_problem(watched, tmp_path, monkeypatch):
    tmp_path.chmod(0o711)
    monkeypatch.chdir(tmp_path)  # the folders above are not for others
    closed = Path("closed")
    closed.mkdir(mode=0o700)
    os.seteuid(65534)
    try:
        assert not watched.watcher.watch(closed)
    finally:
        os.seteuid(0)
    assert "may not read" in watched.watcher.problems[closed]
    assert watched.watcher.watch(closed)


LIMITED = """
import logging, pathlib, queue, sys
from daemon.intake.watcher import Watcher
logging.basicConfig(format="%(levelname)s %(message)s", stream=sys.stdout)
setting, value, home = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
pathlib.Path("/proc/sys/user", setting).write_text(value)
folders = [home / str(number) for number in range(5)]
watcher = Watcher(queue.SimpleQueue().put)
watcher.start()
for folder in folders:
    folder.mkdir()
print([watcher.watch(folder) for folder in folders])
print(len(watcher.watched), len(watcher.problems))
watcher.unwatch(folders[0])
print(watcher.watch(folders[4]), len(watcher.problems))
watcher.stop()
"""


def in_user_namespace(setting: str, value: int, home: Path) -> list[str]:
    """The output of LIMITED where the kernel grants only `value` of inotify's resources."""
    enter = ["unshare", "--user", "--map-root-user"]
    if not shutil.which("unshare") or subprocess.run([*enter, "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    command = [*enter, sys.executable, "-c", LIMITED, setting, str(value), str(home)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_limit_of_watches_is_reported_once_with_the_setting_to_raise(tmp_path):
    warning, watches, counts, after = in_user_namespace("max_inotify_watches", 2, tmp_path)
    assert warning.startswith("WARNING") and "sysctl fs.inotify.max_user_watches=" in warning
    assert watches == "[True, True, False, False, False]"
    assert counts == "2 3"
    assert after == "True 2"


def test_limit_of_instances_leaves_everything_to_polling(tmp_path):
    warning, watches, counts, after = in_user_namespace("max_inotify_instances", 0, tmp_path)
    assert warning.startswith("WARNING") and "sysctl fs.inotify.max_user_instances=" in warning
    assert watches == "[False, False, False, False, False]"
    assert counts == "0 5"
    assert after == "False 4"


# ------------------------------------------------------------------------------------------------ file systems

MOUNTINFO = r"""
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:40 / /srv/with\040space\134 rw,relatime shared:1 master:2 - nfs4 server:/x rw
31 22 0:41 / /srv rw - xfs /dev/sdb rw
32 22 0:42 / /srv/inbox rw - fuse.sshfs host: rw
33 22 0:43 / /srv/inbox/local rw - btrfs /dev/sdc rw
34 22 0:44 / /srv/covered rw - cifs //host/share rw
35 34 0:45 / /srv/covered rw - tmpfs tmpfs rw
36 22 0:46 / /srv/ntfs rw - fuseblk /dev/sdd rw
37 22 0:47 / /srv/caf\303\251 rw - virtiofs share rw
this line is damaged
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/etc", None),
        ("/srv/with space\\/a/b", "nfs4"),
        ("/srv/with space", None),
        ("/srv/inbox", "fuse.sshfs"),
        ("/srv/inbox/sub", "fuse.sshfs"),
        ("/srv/inbox-of-another", None),
        ("/srv/inbox/local/sub", None),
        ("/srv/covered/sub", None),
        ("/srv/ntfs", None),
        ("/srv/café/sub", "virtiofs"),
    ],
)
def test_file_system_is_that_of_the_nearest_mount(tmp_path, path, expected):
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(MOUNTINFO, encoding="utf-8")
    assert is_remote(Path(path), mountinfo) == expected


def test_local_memory_file_system_needs_no_polling():
    assert is_remote(Path("/dev/shm")) is None


OVERLAY = """
import pathlib, queue, subprocess, sys
from daemon.intake.watcher import Watcher, is_remote
home = pathlib.Path(sys.argv[1])
for name in ("lower", "upper", "work", "merged", "merged/plain"):
    (home / name).mkdir(parents=True)
options = f"lowerdir={home}/lower,upperdir={home}/upper,workdir={home}/work"
if subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(home / "merged")]).returncode:
    sys.exit(77)
mailbox = queue.SimpleQueue()
watcher = Watcher(mailbox.put)
watcher.start()
print(watcher.watch(home / "merged"), watcher.problems[home / "merged"], is_remote(home / "merged"))
subprocess.run(["umount", str(home / "merged")], check=True)
print(mailbox.get(timeout=10).folder == home, watcher.watched, watcher.problems)
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(home / "merged")], check=True)  # with the same device number
print(watcher.watch(home / "merged"), watcher.problems)
watcher.stop()
"""


def test_real_overlay_is_watched_and_polled_until_it_is_unmounted(tmp_path):
    requires.program("mount")
    enter = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*enter, "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    command = [*enter, sys.executable, "-c", OVERLAY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    if done.returncode == 77:
        pytest.skip("no overlay file system here")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["True polled: overlay overlay", "True set() {}", "True {}"]
