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
from hostile_rig import Canary, HostileHouse
from sandbox import wait_for

SWAPS = [
    *("folder-becomes-link-before-scan", "folder-becomes-link-before-sniff", "folder-becomes-link-before-rename"),
    "file-becomes-link-before-rename",
]


# ---------------------------------------------------------------------------------------- links


@pytest.mark.parametrize("how", SWAPS)
def test_link_put_in_place_of_a_folder_or_file_is_not_followed(house: HostileHouse, canary: Canary, how: str):
    folder = house.folder("a/swap")
    (folder / "canary.txt").write_text("not the canary")
    canary.watch()
    daemon = house.start_meddled(how, canary)
    wait_for(lambda: folder.is_symlink() or (folder / "canary.txt").is_symlink(), "the link")
    house.drop("later.txt")
    house.ended("later.txt")
    wait_for(lambda: any("swap" in name for name in house.left()) or house.rows_in("a/swap"), "a report or a job")
    canary.check()
    house.stop(daemon)
    originals = [path for path in house.home.rglob("canary.txt") if canary.folder not in path.parents]
    contents = [path.read_text() for path in originals if not path.is_symlink()]
    assert "not the canary" in contents or how == "file-becomes-link-before-rename"
    canary.touches()
    house.verify()


def test_link_put_in_place_of_a_folder_does_not_lead_to_options_elsewhere(house: HostileHouse, tmp_path: Path):
    canary = Canary(tmp_path / "canary", "x.txt.toml")
    folder = house.folder("a/swap")
    (folder / "x.txt.toml").write_text("upper = true")
    (folder / "x.txt").write_text("words")
    canary.watch()
    daemon = house.start_meddled("folder-becomes-link-before-options", canary)
    wait_for(folder.is_symlink, "the link")
    house.drop("later.txt")
    house.ended("later.txt")
    wait_for(lambda: "a/swap" in house.left(), "the report of the link")
    house.ended("a/swap/x.txt")  # from the folder that was open, with the options in it
    canary.check()
    house.stop(daemon)
    assert (house.outbox / "a/swap/x/x.txt").read_text() == "WORDS"
    canary.touches()
    house.verify()


def test_taken_that_is_a_link_is_refused_at_the_start(house: HostileHouse, canary: Canary):
    (house.inbox / ".taken").symlink_to(canary.folder)
    house.drop("x.txt")
    refused = house.inboxd("run", "--drain", check=78)
    assert "symbolic link" in refused.stderr
    assert (house.inbox / "x.txt").exists()


def race(house: HostileHouse, canary: Canary, swaps: int) -> None:
    """A separate process drops files while it repeatedly swaps their folder and a link to the canary."""
    canary.watch()
    daemon = house.start()
    with Writer(house.folder("race")) as writer:
        writer.do(f"os.mkdir('a'); os.symlink({str(canary.folder)!r}, '.l')")
        writer.do(
            f"for n in range({swaps}):\n"
            " open(f'a/.{n}', 'w').write(f'file {n}'); os.rename(f'a/.{n}', f'a/{n}.txt')\n"
            " os.rename('a', '.r'); os.rename('.l', 'a'); os.rename('a', '.l'); os.rename('.r', 'a')"
        )
    house.expect("race", {f"a/{number}.txt": b"file %d" % number for number in range(swaps)}, 60 + swaps / 10)
    canary.check()
    house.stop(daemon)
    house.verify()


def test_folder_swapped_for_a_link_again_and_again_is_never_followed(house: HostileHouse, canary: Canary):
    race(house, canary, 60)


@pytest.mark.long
def test_folder_swapped_for_a_link_thousands_of_times_is_never_followed(house: HostileHouse, canary: Canary):
    swaps = int(os.environ.get("INBOXD_SWAPS", "3000"))
    started = time.monotonic()
    race(house, canary, swaps)
    print(f"\nswaps: {swaps} rounds, {swaps} files, 0 bad, {time.monotonic() - started:.0f} s")


# ---------------------------------------------------------------------------------------- permissions


def test_file_that_may_not_be_read_or_moved_is_left_and_taken_once_permitted(house: HostileHouse):
    inside = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"]
    if os.geteuid() or not shutil.which("setpriv") or subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("needs root, and setpriv to drop the right to read everything")
    unreadable, closed = house.drop("unreadable.txt"), house.drop("closed/x.txt").parent
    fixed = house.drop("fixed/x.txt").parent
    for path, mode in ((unreadable, 0), (closed, 0), (fixed, 0o555)):
        os.chown(path, 12345, 12345)
        path.chmod(mode)
    daemon = house.start(inside=inside)
    wait_for(lambda: set(house.left()) == {"unreadable.txt", "closed", "fixed/x.txt"}, "three reports")
    assert all("permission" in why for why in house.left().values()), house.left()
    for path in (unreadable, closed, fixed):
        path.chmod(0o777)
    for name in ("unreadable.txt", "closed/x.txt", "fixed/x.txt"):
        assert house.ended(name)["state"] == "done"
    wait_for(lambda: house.left() == {}, "the end of the reports")
    house.stop(daemon)
    house.verify()
