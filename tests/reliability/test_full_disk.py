"""Small real file systems that fill up, become read-only, or are unmounted while the daemon runs."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requires
from sandbox import Place, wait_for

TOML = """
[paths]
outbox = "{outbox}"
state = "{state}"
[inbox]
text = "count"
settle_seconds = 0.0
[recipes.count]
processor = "plaintext"
"""


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a tmpfs of 8 MiB: SQLite's log alone may take 4."""
    mounted: list[Path] = []

    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        requires.mounted(folder, "-o", "size=8m")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], capture_output=True)  # a test may have unmounted it


def _fill(folder: Path) -> Path:
    """A file that fills the file system."""
    filler = folder / ".filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def _problem(place: Place) -> str:
    return json.loads(place.inboxd("status", "--json").stdout)["storage_problem"] or ""


def _attempts(place: Place, file: str) -> tuple[int, int]:
    """Return the number of attempts, and of charged ones."""
    row = place.rows(f"SELECT attempt, charged FROM jobs WHERE name = '{file}'")[0]
    return row["attempt"], row["charged"]


def test_result_waits_for_a_full_outbox_and_is_not_computed_again(make_place, mount):
    outbox = mount("out")
    place: Place = make_place(TOML.format(outbox=outbox, state="state"))
    place.outbox = outbox
    place.start()
    place.drop("first.txt")
    place.ended("first.txt")
    filler = _fill(outbox)
    place.drop("second.txt")
    assert "No space left" in wait_for(lambda: _problem(place), "the problem in the status")
    assert place.row("second.txt")["state"] in ("queued", "running")
    place.drop("third.txt")
    wait_for(lambda: place.row("third.txt"), "the third drop's row")
    filler.unlink()
    for file in ("second.txt", "third.txt"):
        assert place.ended(file)["state"] == "done"
        assert _attempts(place, file)[1] == 0
    wait_for(lambda: not _problem(place), "the end of the problem")
    place.verify()


def test_drops_wait_in_the_inbox_for_a_full_state_folder(make_place, mount):
    state = mount("st")
    place: Place = make_place(TOML.format(outbox="outbox", state=state))
    place.state = state
    daemon = place.start()
    filler = _fill(state)
    dropped = [f"{number}.txt" for number in range(30)]
    for file in dropped:
        place.drop(file)
    assert "job log" in wait_for(lambda: _problem(place), "the problem in the status") or "No space" in _problem(place)
    filler.unlink()
    for file in dropped:
        assert place.ended(file)["state"] == "done"
    assert daemon.poll() is None
    place.verify()


def test_outbox_that_is_remounted_read_only_is_waited_for(make_place, mount):
    outbox = mount("out")
    place: Place = make_place(TOML.format(outbox=outbox, state="state"))
    place.outbox = outbox
    place.start()
    subprocess.run(["mount", "-o", "remount,ro", outbox], check=True)
    place.drop("x.txt")
    assert "Read-only" in wait_for(lambda: _problem(place), "the problem in the status")
    subprocess.run(["mount", "-o", "remount,rw", outbox], check=True)
    assert place.ended("x.txt")["state"] == "done"
    assert _attempts(place, "x.txt")[1] == 0
    place.verify()


def test_outbox_that_is_unmounted_is_waited_for_and_nothing_is_written_below_it(make_place, mount, tmp_path: Path):
    outbox = mount("out")
    place: Place = make_place(TOML.format(outbox=outbox, state="state"))
    place.outbox = outbox
    place.start()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run(["mount", "--bind", outbox, elsewhere], check=True)
    try:
        subprocess.run(["umount", "-l", outbox], check=True)
        place.drop("x.txt")
        assert "its file system is not mounted" in wait_for(lambda: _problem(place), "the problem in the status")
        assert os.listdir(outbox) == []
        subprocess.run(["mount", "--bind", elsewhere, outbox], check=True)
        assert place.ended("x.txt")["state"] == "done"
    finally:
        subprocess.run(["umount", "-l", elsewhere], check=True)
    place.verify()


ODD = """
[paths]
inbox = "{inbox}"
outbox = "{outbox}"
state = "{state}"
[inbox]
text = "odd"
settle_seconds = 0.0
[recipes.odd]
processor = "fakes.misbehaving"
[processors."fakes.misbehaving"]
max_batch = 1
[retry]
attempts = 1
"""


def _place(make_place, small: str, folder: Path, toml: str = ODD) -> Place:
    """A place with one folder on the small disk."""
    paths = {"inbox": "inbox", "outbox": "outbox", "state": "state"} | {small: str(folder)}
    place: Place = make_place(toml.format(**paths))
    setattr(place, small, folder)
    return place


@pytest.mark.parametrize("small", ["outbox", "state"])
def test_cancel_on_a_full_disk_is_reported_and_completed_once_there_is_space(small: str, make_place, mount):
    folder = mount("small")
    place = _place(make_place, small, folder)
    place.start()
    place.drop("runs.txt", "hang")
    wait_for(lambda: (place.row("runs.txt") or {}).get("state") == "running", "the start")
    place.drop("queued.txt", "hang")
    wait_for(lambda: (place.row("queued.txt") or {}).get("sha256"), "the second job")
    filler = _fill(folder)
    for name in ("queued.txt", "runs.txt"):
        said = place.inboxd("cancel", place.row(name)["id"][:8], check=1).stdout
        assert "will be cancelled once" in said and "space" in said and str(folder) in said.replace("\n", ""), said
        assert place.row(name)["state"] != "cancelled"
    filler.unlink()
    for name in ("queued.txt", "runs.txt"):
        assert place.ended(name)["state"] == "cancelled"
        assert (place.outbox / place.row(name)["result_path"] / name).read_text() == "hang"
    place.verify()


def test_job_cancelled_on_a_full_disk_is_queued_again_after_a_restart(make_place, mount):
    folder = mount("small")
    place = _place(make_place, "state", folder)
    daemon = place.start()
    place.drop("runs.txt", "wait_for go")
    wait_for(lambda: (place.row("runs.txt") or {}).get("state") == "running", "the start")
    filler = _fill(folder)
    assert "If the daemon is restarted" in place.inboxd("cancel", place.row("runs.txt")["id"], check=1).stdout
    daemon.kill()
    daemon.wait()
    filler.unlink()
    (place.home / "go").touch()
    place.drain()
    assert place.row("runs.txt")["state"] == "done"
    place.verify()


@pytest.mark.parametrize("small", ["inbox", "state"])
def test_retry_at_a_full_disk_is_refused_and_leaves_the_failure_as_it_was(small: str, make_place, mount):
    folder = mount("small")
    place = _place(make_place, small, folder)
    place.start()
    content = "bad\n" + "x" * 1_000_000
    place.drop("bad.txt", content)
    failed = place.outbox / place.ended("bad.txt")["result_path"]
    wait_for(lambda: not list(place.inbox.glob(".taken/*-*")), "the release")
    filler = _fill(folder)
    before = place.row("bad.txt")
    one = place.inboxd("retry", before["id"][:8], check=os.EX_IOERR).stderr
    every = place.inboxd("retry", "--failed", check=1).stdout
    for said in (one, every):
        assert "space" in said.lower() and "Traceback" not in said, said
    assert place.row("bad.txt") == before and (failed / "bad.txt").read_text() == content
    wait_for(lambda: not list(place.inbox.glob(".taken/*-*")), "the removal of what the attempt left")
    filler.unlink()
    wait_for(lambda: not _problem(place), "the end of the problem")
    assert "Queued 1 job again" in place.inboxd("retry", "--failed").stdout
    wait_for(lambda: place.rows("SELECT max(attempt) AS n FROM attempts")[0]["n"] == 2, "the second attempt")
    assert place.ended("bad.txt")["state"] == "failed"
    place.verify()


def test_hook_is_called_once_for_each_job_while_its_cursor_cannot_be_written(make_place, tmp_path: Path):
    """A folder with the name of the temporary file simulates a full disk; the job log can still be written."""
    calls = tmp_path / "calls"
    hook = f'[[hooks]]\non = ["done", "failed"]\ncommand = ["sh", "-c", "cat >> {calls}; echo >> {calls}"]\n'
    place: Place = make_place(ODD.format(inbox="inbox", outbox="outbox", state="state") + hook)
    daemon = place.start()
    memory = place.state / "hooks.json"
    before = memory.read_text()
    (place.state / ".hooks.json.part").mkdir()

    def files() -> list[str]:
        return [json.loads(line)["file"] for line in calls.read_text().splitlines()] if calls.exists() else []

    names = [f"{number}.txt" for number in range(5)]
    for name in names:
        place.drop(name, "fine")
        place.ended(name)
    wait_for(lambda: len(files()) >= len(names), "the calls")
    assert sorted(files()) == names and memory.read_text() == before
    assert place.log().count("hooks: cannot write ") == 1
    (place.state / ".hooks.json.part").rmdir()
    wait_for(lambda: memory.read_text() != before, "the cursor to be saved, although no further job ends")
    daemon.terminate()
    daemon.wait()
    place.start()
    place.drop("last.txt", "fine")
    wait_for(lambda: "last.txt" in files(), "the next call")
    assert sorted(files()) == [*names, "last.txt"]


FLAT = """
    [paths]
    inbox = "{inbox}"
    outbox = "{outbox}"
    state = "{state}"
    [inbox]
    text = "odd"
    settle_seconds = 0.0
    layout = "flat"
    [recipes.odd]
    processor = "fakes.misbehaving"
    [retention]
    results = "1ms"
"""


def _visible(place: Place) -> set[str]:
    found = {str(path.relative_to(place.outbox)) for path in place.outbox.rglob("*") if path.is_file()}
    return {path for path in found if not path.startswith((".staging/", ".filler"))}


def _flat(*names: str) -> set[str]:
    """The files of the flat results of `NAME.txt`."""
    visible = {f"{name}{suffix}" for name in names for suffix in (".txt", ".out")}
    return visible | {f".results/{name}/result.json" for name in names}


@pytest.mark.parametrize("small", ["outbox", "state"])
def test_flat_results_on_a_full_disk_appear_complete_and_retention_removes_only_them(small: str, make_place, mount):
    folder = mount("small")
    place = _place(make_place, small, folder, FLAT)
    daemon = place.start()
    place.drop("first.txt", "fine")
    place.ended("first.txt")
    filler = _fill(folder)
    late = ["a/second", "third"]
    for name in late:
        place.drop(f"{name}.txt", "fine\n" + "x" * 100_000)
    wait_for(lambda: _problem(place), "the problem in the status")
    assert _visible(place) == _flat("first"), "no incomplete result"
    filler.unlink()
    for name in late:
        assert place.ended(f"{name}.txt")["state"] == "done"
    wait_for(lambda: not list(place.inbox.glob(".taken/*-*")), "the release")
    everything = _flat("first", *late)
    assert _visible(place) == everything
    place.verify()

    (place.outbox / "a" / "mine.txt").write_text("of a person")
    (place.outbox / "third.out").write_text("changed by a person")
    _fill(folder)
    said = json.loads(place.inboxd("prune", "--json", check=None).stdout or "{}")
    left = _visible(place)
    assert _flat("third") | {"a/mine.txt"} <= left <= everything | {"a/mine.txt"}, said
    filler.unlink()
    place.inboxd("prune")
    assert _visible(place) == _flat("third") | {"a/mine.txt"}
    assert (place.outbox / "third.out").read_text() == "changed by a person"
    assert {row["state"] for row in place.rows()} == {"done"} and daemon.poll() is None
    paths = {row["file"]: row["result_path"] for row in place.rows()}
    assert paths == {"first.txt": None, "a/second.txt": None, "third.txt": ".results/third"}
    assert place.inboxd("verify", check=None).stdout.count("third.out has changed") == 1
