"""Whatever is dropped, and whatever other users do in the inbox: the daemon reads, writes and follows nothing outside
the configured folders, and nothing ends it. Every odd file is processed, or `inboxd status` reports it with the reason.
"""

import json
import os
import socket
import stat
import subprocess
import sys
from collections import Counter

from hostile_rig import CANARY, NAMES, Canary, HostilePlace, active_characters
from sandbox import wait_for

# ---------------------------------------------------------------------------------------- names


def test_file_of_any_name_is_processed_and_the_terminal_is_safe(hostile: HostilePlace):
    """The names are those of files and of folders, with as many bytes as a name may have."""
    for number, name in enumerate(NAMES):
        hostile.drop(name, f"file {number} \x9b1m \u202e")
        hostile.drop(f"in/{name}/file.txt", f"folder {number}")
    daemon = hostile.start()
    wait_for(
        lambda: len([row for row in hostile.rows() if row["state"] == "done"]) == 2 * len(NAMES),
        "the end of all jobs",
    )
    files = Counter(hostile.original(row).decode() for row in hostile.rows())
    numbers = range(len(NAMES))
    assert files == Counter(
        [f"file {number} \x9b1m \u202e" for number in numbers] + [f"folder {number}" for number in numbers]
    )
    assert {path.name for path in hostile.inbox.iterdir() if path.is_file()} == set()
    for path in (hostile.inbox / NAMES[6], hostile.inbox / NAMES[8], hostile.inbox / NAMES[14]):
        path.symlink_to("nowhere")
    wait_for(lambda: len(hostile.left()) == 3, "the report of the links")
    job = hostile.rows()[0]["id"]
    for command in (["status"], ["jobs", "-n", "0"], ["show", job], ["status", "--json"], ["jobs", "--json"]):
        shown = hostile.inboxd(*command).stdout
        assert active_characters(shown) == [], command
        if "--json" in command:
            json.loads(shown)
    assert active_characters(hostile.log()) == []
    hostile.stop(daemon)
    hostile.verify()


def test_failing_file_of_a_hostile_name_is_returned_unchanged(hostile: HostilePlace):
    for name in NAMES:
        hostile.drop(name, b"\x7fELF\x02\x01\x01\x00" + os.fsencode(name))
    hostile.drain(check=1)
    rows = hostile.rows()
    assert Counter(row["state"] for row in rows) == {"failed": len(NAMES)}
    assert Counter(hostile.original(row) for row in rows) == Counter(
        b"\x7fELF\x02\x01\x01\x00" + os.fsencode(name) for name in NAMES
    )
    for row in rows:
        assert active_characters((hostile.outbox / row["result_path"] / "error.txt").read_text()) == []
    hostile.verify()
    hostile.start()
    retried = json.loads(hostile.inboxd("retry", "--failed", "--json").stdout)
    assert (len(retried["retried"]), retried["refused"]) == (len(NAMES), [])


def test_sidecars_of_the_longest_names_go_with_their_files(hostile: HostilePlace):
    names = ["x" * 248, "\u00e4" * 124, os.fsdecode(b"\x01" * 248)]
    for name in names:
        hostile.drop(f"{name}.prompt", "why?")
        hostile.drop(name)
    hostile.drain()
    assert sorted(path.name for path in hostile.outbox.rglob("*.prompt")) == sorted(f"{name}.prompt" for name in names)
    hostile.verify()


# ---------------------------------------------------------------------------------------- not regular files


def test_irregular_file_is_reported_and_never_opened(hostile: HostilePlace, canary: Canary):
    inbox = hostile.inbox
    os.mkfifo(inbox / "pipe.txt")
    (inbox / "link.txt").symlink_to(canary.file)
    (inbox / "folder_link").symlink_to(canary.folder)
    (inbox / "dangling.txt").symlink_to("nowhere")
    (inbox / "loop.txt").symlink_to("loop.txt")
    (inbox / "lone.txt.prompt").write_text("about what?")
    hostile.drop("good.txt")
    (inbox / "good.txt.prompt").symlink_to(canary.file)
    hostile.drop("better.txt")
    os.mkfifo(inbox / "better.txt.prompt")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(inbox / "socket.txt"))
    awaited = {"pipe.txt", "link.txt", "folder_link", "dangling.txt", "loop.txt", "lone.txt.prompt", "socket.txt"}
    if os.geteuid() == 0:
        os.mknod(inbox / "zero.txt", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        awaited.add("zero.txt")
    awaited |= {"good.txt.prompt", "better.txt.prompt"}
    canary.watch()
    daemon = hostile.start()
    wait_for(lambda: set(hostile.left()) == awaited, f"reports of {awaited}")
    assert hostile.ended("good.txt")["state"] == hostile.ended("better.txt")["state"] == "done"
    assert all("symbolic link" in why for name, why in hostile.left().items() if "link" in name)
    canary.check()
    (inbox / "pipe.txt").unlink()
    (inbox / "lone.txt.prompt").rename(inbox / "late.txt.prompt")
    hostile.drop("late.txt")
    hostile.ended("late.txt")
    gone = {"pipe.txt", "lone.txt.prompt"}
    wait_for(lambda: set(hostile.left()) == awaited - gone, "the end of the reports about removed files")
    hostile.stop(daemon)
    canary.check()
    hostile.verify()


def test_rig_detects_a_daemon_that_follows_links(hostile: HostilePlace, canary: Canary):
    """A negative control."""
    (hostile.inbox / "link.txt").symlink_to(canary.file)
    canary.watch()
    hostile.start_meddled("links-are-followed", canary)
    wait_for(lambda: "opened" in canary.touches(), "an access to the canary")


def test_hard_link_is_moved_and_never_written_through(hostile: HostilePlace):
    outside = hostile.elsewhere / "outside.txt"
    outside.write_bytes(CANARY)
    outside.chmod(0o640)
    before = outside.stat()
    for name in ("good.txt", "bad.bin"):
        (hostile.inbox / name).hardlink_to(outside)
    with outside.open("ab"):
        pass
    hostile.drain()
    after = outside.stat()
    assert outside.read_bytes() == CANARY
    for fact in ("st_ino", "st_mtime_ns", "st_mode", "st_uid", "st_gid"):
        assert getattr(after, fact) == getattr(before, fact), fact
    hostile.verify()


# ---------------------------------------------------------------------------------------- depth


def test_folders_deeper_than_any_path_are_reported_and_those_above_are_taken(hostile: HostilePlace):
    script = "cd {inbox}\nfor i in range(3000):\n if i in (40, 90, 101, 1500): open('x.txt', 'w').write('deep')\n"
    program = f"import os\nos.chdir({str(hostile.inbox)!r})\n" + script.split("\n", 1)[1]
    subprocess.run([sys.executable, "-c", program + " os.mkdir('d'); os.chdir('d')\n"], check=True)
    daemon = hostile.start()
    for depth in (40, 90):
        assert hostile.ended("/".join(["d"] * depth) + "/x.txt")["state"] == "done"
    wait_for(lambda: any("too deep" in why for why in hostile.left().values()), "the report")
    assert len(hostile.left()) == 1
    hostile.stop(daemon)
    hostile.verify()


def test_long_names_of_folders_in_folders_still_give_results(hostile: HostilePlace):
    folder = "/".join(letter * 250 for letter in "abcdefg")
    hostile.drop(f"{folder}/{'n' * 251}.txt", "far")
    hostile.drop(f"{folder}/{'m' * 251}.bin", b"\x00")
    hostile.drain(check=1)
    assert [row["state"] for row in hostile.rows()].count("done") == 1
    assert len(hostile.rows()) == 2
    hostile.verify()
