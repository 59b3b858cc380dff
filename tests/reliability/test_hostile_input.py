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

from hostile_rig import CANARY, NAMES, Canary, HostileHouse, active_characters
from sandbox import wait_for

# ---------------------------------------------------------------------------------------- names


def test_file_of_any_name_is_processed_and_the_terminal_is_safe(house: HostileHouse):
    """The names are those of files and of folders, with as many bytes as a name may have."""
    for number, name in enumerate(NAMES):
        house.drop(name, f"file {number} \x9b1m \u202e")
        house.drop(f"in/{name}/file.txt", f"folder {number}")
    daemon = house.start()
    wait_for(
        lambda: len([row for row in house.rows() if row["state"] == "done"]) == 2 * len(NAMES), "the end of all jobs"
    )
    files = Counter(house.original(row).decode() for row in house.rows())
    numbers = range(len(NAMES))
    assert files == Counter(
        [f"file {number} \x9b1m \u202e" for number in numbers] + [f"folder {number}" for number in numbers]
    )
    assert {path.name for path in house.inbox.iterdir() if path.is_file()} == set()
    for path in (house.inbox / NAMES[6], house.inbox / NAMES[8], house.inbox / NAMES[14]):
        path.symlink_to("nowhere")
    wait_for(lambda: len(house.left()) == 3, "the report of the links")
    job = house.rows()[0]["id"]
    for command in (["status"], ["jobs", "-n", "0"], ["show", job], ["status", "--json"], ["jobs", "--json"]):
        shown = house.inboxd(*command).stdout
        assert active_characters(shown) == [], command
        if "--json" in command:
            json.loads(shown)
    assert active_characters(house.log()) == []
    house.stop(daemon)
    house.verify()


def test_failing_file_of_a_hostile_name_is_returned_unchanged(house: HostileHouse):
    for name in NAMES:
        house.drop(name, b"\x7fELF\x02\x01\x01\x00" + os.fsencode(name))
    house.drain(check=1)
    rows = house.rows()
    assert Counter(row["state"] for row in rows) == {"failed": len(NAMES)}
    assert Counter(house.original(row) for row in rows) == Counter(
        b"\x7fELF\x02\x01\x01\x00" + os.fsencode(name) for name in NAMES
    )
    for row in rows:
        assert active_characters((house.outbox / row["result_path"] / "error.txt").read_text()) == []
    house.verify()
    house.start()
    retried = json.loads(house.inboxd("retry", "--failed", "--json").stdout)
    assert (len(retried["retried"]), retried["refused"]) == (len(NAMES), [])


def test_sidecars_of_the_longest_names_go_with_their_files(house: HostileHouse):
    names = ["x" * 248, "\u00e4" * 124, os.fsdecode(b"\x01" * 248)]
    for name in names:
        house.drop(f"{name}.prompt", "why?")
        house.drop(name)
    house.drain()
    assert sorted(path.name for path in house.outbox.rglob("*.prompt")) == sorted(f"{name}.prompt" for name in names)
    house.verify()


# ---------------------------------------------------------------------------------------- not regular files


def test_irregular_file_is_reported_and_never_opened(house: HostileHouse, canary: Canary):
    inbox = house.inbox
    os.mkfifo(inbox / "pipe.txt")
    (inbox / "link.txt").symlink_to(canary.file)
    (inbox / "folder_link").symlink_to(canary.folder)
    (inbox / "dangling.txt").symlink_to("nowhere")
    (inbox / "loop.txt").symlink_to("loop.txt")
    (inbox / "lone.txt.prompt").write_text("about what?")
    house.drop("good.txt")
    (inbox / "good.txt.prompt").symlink_to(canary.file)
    house.drop("better.txt")
    os.mkfifo(inbox / "better.txt.prompt")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(inbox / "socket.txt"))
    awaited = {"pipe.txt", "link.txt", "folder_link", "dangling.txt", "loop.txt", "lone.txt.prompt", "socket.txt"}
    if os.geteuid() == 0:
        os.mknod(inbox / "zero.txt", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        awaited.add("zero.txt")
    awaited |= {"good.txt.prompt", "better.txt.prompt"}
    canary.watch()
    daemon = house.start()
    wait_for(lambda: set(house.left()) == awaited, f"reports of {awaited}")
    assert house.ended("good.txt")["state"] == house.ended("better.txt")["state"] == "done"
    assert all("symbolic link" in why for name, why in house.left().items() if "link" in name)
    canary.check()
    (inbox / "pipe.txt").unlink()
    (inbox / "lone.txt.prompt").rename(inbox / "late.txt.prompt")
    house.drop("late.txt")
    house.ended("late.txt")
    gone = {"pipe.txt", "lone.txt.prompt"}
    wait_for(lambda: set(house.left()) == awaited - gone, "the end of the reports about removed files")
    house.stop(daemon)
    canary.check()
    house.verify()


def test_rig_detects_a_daemon_that_follows_links(house: HostileHouse, canary: Canary):
    """A negative control."""
    (house.inbox / "link.txt").symlink_to(canary.file)
    canary.watch()
    house.start_meddled("links-are-followed", canary)
    wait_for(lambda: "opened" in canary.touches(), "an access to the canary")


def test_hard_link_is_moved_and_never_written_through(house: HostileHouse):
    outside = house.elsewhere / "outside.txt"
    outside.write_bytes(CANARY)
    outside.chmod(0o640)
    before = outside.stat()
    for name in ("good.txt", "bad.bin"):
        (house.inbox / name).hardlink_to(outside)
    with outside.open("ab"):
        pass
    house.drain()
    after = outside.stat()
    assert outside.read_bytes() == CANARY
    for fact in ("st_ino", "st_mtime_ns", "st_mode", "st_uid", "st_gid"):
        assert getattr(after, fact) == getattr(before, fact), fact
    house.verify()


# ---------------------------------------------------------------------------------------- depth


def test_folders_deeper_than_any_path_are_reported_and_those_above_are_taken(house: HostileHouse):
    script = "cd {inbox}\nfor i in range(3000):\n if i in (40, 90, 101, 1500): open('x.txt', 'w').write('deep')\n"
    program = f"import os\nos.chdir({str(house.inbox)!r})\n" + script.split("\n", 1)[1]
    subprocess.run([sys.executable, "-c", program + " os.mkdir('d'); os.chdir('d')\n"], check=True)
    daemon = house.start()
    for depth in (40, 90):
        assert house.ended("/".join(["d"] * depth) + "/x.txt")["state"] == "done"
    wait_for(lambda: any("too deep" in why for why in house.left().values()), "the report")
    assert len(house.left()) == 1
    house.stop(daemon)
    house.verify()


def test_long_names_of_folders_in_folders_still_give_results(house: HostileHouse):
    folder = "/".join(letter * 250 for letter in "abcdefg")
    house.drop(f"{folder}/{'n' * 251}.txt", "far")
    house.drop(f"{folder}/{'m' * 251}.bin", b"\x00")
    house.drain(check=1)
    assert [row["state"] for row in house.rows()].count("done") == 1
    assert len(house.rows()) == 2
    house.verify()
