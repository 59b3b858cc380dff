"""Other users of the inbox, who replace folders and files by links between two steps of the daemon, or revoke its
permissions. The daemon must not read, write or follow anything outside the configured folders.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from detection_rig import Writer
from hostile_rig import Canary, HostilePlace
from sandbox import wait_for

SWAPS = [
    *("folder-becomes-link-before-scan", "folder-becomes-link-before-sniff", "folder-becomes-link-before-rename"),
    "file-becomes-link-before-rename",
]


# ---------------------------------------------------------------------------------------- links


@pytest.mark.parametrize("how", SWAPS)
def test_link_put_in_place_of_a_folder_or_file_is_not_followed(hostile: HostilePlace, canary: Canary, how: str):
    folder = hostile.folder("a/swap")
    (folder / "canary.txt").write_text("not the canary")
    canary.watch()
    daemon = hostile.start_meddled(how, canary)
    wait_for(lambda: folder.is_symlink() or (folder / "canary.txt").is_symlink(), "the link")
    hostile.drop("later.txt")
    hostile.ended("later.txt")
    wait_for(
        lambda: any("swap" in name for name in hostile.left()) or hostile.rows_in("a/swap"),
        "a report or a job",
    )
    canary.check()
    hostile.stop(daemon)
    originals = [path for path in hostile.home.rglob("canary.txt") if canary.folder not in path.parents]
    contents = [path.read_text() for path in originals if not path.is_symlink()]
    assert "not the canary" in contents or how == "file-becomes-link-before-rename"
    canary.touches()
    hostile.verify()


def test_link_put_in_place_of_a_folder_does_not_lead_to_options_elsewhere(hostile: HostilePlace, tmp_path: Path):
    canary = Canary(tmp_path / "canary", "x.txt.toml")
    folder = hostile.folder("a/swap")
    (folder / "x.txt.toml").write_text("upper = true")
    (folder / "x.txt").write_text("words")
    canary.watch()
    daemon = hostile.start_meddled("folder-becomes-link-before-options", canary)
    wait_for(folder.is_symlink, "the link")
    hostile.drop("later.txt")
    hostile.ended("later.txt")
    wait_for(lambda: "a/swap" in hostile.left(), "the report of the link")
    hostile.ended("a/swap/x.txt")  # from the folder that was open, with the options in it
    canary.check()
    hostile.stop(daemon)
    assert (hostile.outbox / "a/swap/x/x.txt").read_text() == "WORDS"
    canary.touches()
    hostile.verify()


def test_taken_that_is_a_link_is_refused_at_the_start(hostile: HostilePlace, canary: Canary):
    (hostile.inbox / ".taken").symlink_to(canary.folder)
    hostile.drop("x.txt")
    refused = hostile.inboxd("run", "--drain", check=78)
    assert "symbolic link" in refused.stderr
    assert (hostile.inbox / "x.txt").exists()


def race(hostile: HostilePlace, canary: Canary, swaps: int) -> None:
    """A separate process drops files while it repeatedly swaps their folder and a link to the canary."""
    canary.watch()
    daemon = hostile.start()
    with Writer(hostile.folder("race")) as writer:
        writer.do(f"os.mkdir('a'); os.symlink({str(canary.folder)!r}, '.l')")
        writer.do(
            f"for n in range({swaps}):\n"
            " open(f'a/.{n}', 'w').write(f'file {n}'); os.rename(f'a/.{n}', f'a/{n}.txt')\n"
            " os.rename('a', '.r'); os.rename('.l', 'a'); os.rename('a', '.l'); os.rename('.r', 'a')"
        )
    hostile.expect("race", {f"a/{number}.txt": b"file %d" % number for number in range(swaps)}, 60 + swaps / 10)
    canary.check()
    hostile.stop(daemon)
    hostile.verify()


def test_folder_swapped_for_a_link_again_and_again_is_never_followed(hostile: HostilePlace, canary: Canary):
    race(hostile, canary, 60)


@pytest.mark.long
def test_folder_swapped_for_a_link_thousands_of_times_is_never_followed(hostile: HostilePlace, canary: Canary):
    swaps = int(os.environ.get("INBOXD_SWAPS", "3000"))
    started = time.monotonic()
    race(hostile, canary, swaps)
    print(f"\nswaps: {swaps} rounds, {swaps} files, 0 bad, {time.monotonic() - started:.0f} s")


# ---------------------------------------------------------------------------------------- permissions


def test_file_that_may_not_be_read_or_moved_is_left_and_taken_once_permitted(hostile: HostilePlace):
    inside = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"]
    if os.geteuid() or not shutil.which("setpriv") or subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("needs root, and setpriv to drop the right to read everything")
    unreadable, closed = hostile.drop("unreadable.txt"), hostile.drop("closed/x.txt").parent
    fixed = hostile.drop("fixed/x.txt").parent
    for path, mode in ((unreadable, 0), (closed, 0), (fixed, 0o555)):
        os.chown(path, 12345, 12345)
        path.chmod(mode)
    daemon = hostile.start(inside=inside)
    wait_for(lambda: set(hostile.left()) == {"unreadable.txt", "closed", "fixed/x.txt"}, "three reports")
    assert all("permission" in why for why in hostile.left().values()), hostile.left()
    for path in (unreadable, closed, fixed):
        path.chmod(0o777)
    for name in ("unreadable.txt", "closed/x.txt", "fixed/x.txt"):
        assert hostile.ended(name)["state"] == "done"
    wait_for(lambda: hostile.left() == {}, "the end of the reports")
    hostile.stop(daemon)
    hostile.verify()
