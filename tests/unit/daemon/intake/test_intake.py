"""Looking and taking, with real files and the clock passed in."""

import dataclasses
import errno
import hashlib
import itertools
import operator
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from inbox_harness import TOML, InboxHarness

from daemon import config
from daemon.core import durable
from daemon.core.messages import LookAt
from daemon.intake import claimer, scanner


def test_file_that_is_seen_is_taken_after_it_has_settled(inbox: InboxHarness):
    inbox.write("a.txt")
    assert inbox.scan(now=10.0) == 0
    assert inbox.intake.next_look(10.0) == pytest.approx(2.0)
    assert inbox.intake.step(11.9) == 0
    assert inbox.intake.step(12.1) == 1
    assert inbox.files() == ["a.txt"] and inbox.intake.is_quiet


@pytest.mark.parametrize("seconds", [0.5, 5])
def test_other_settings_hold_for_what_is_taken_from_now_on(inbox: InboxHarness, tmp_path: Path, seconds: float):
    other = TOML.replace("settle_seconds = 2", f"settle_seconds = {seconds}\npriority = 3")
    (tmp_path / "config.toml").write_text(other)
    inbox.intake.use(config.load(tmp_path / "config.toml"))
    inbox.write("a.txt")
    inbox.scan(now=10.0)
    assert [inbox.intake.step(10.0 + seconds + more) for more in (-0.1, 0.1)] == [0, 1]
    assert inbox.store.open_jobs()[0].priority == 3


def test_file_that_grows_is_waited_for(inbox: InboxHarness):
    path = inbox.write("a.txt", "half")
    inbox.scan(now=10.0)
    for now in (12.1, 14.2, 16.3):
        path.write_text(path.read_text() + "more")
        assert inbox.intake.step(now) == 0
    assert inbox.intake.step(18.4) == 1


def test_file_renamed_in_is_taken_at_once(inbox: InboxHarness):
    inbox.write("a.txt")
    inbox.intake.look_at(LookAt(folder=inbox.path, name="a.txt", complete=True), 10.0)
    assert inbox.intake.step(10.0) == 1


def test_groups_shrink_while_the_disk_is_slow_and_grow_again(inbox: InboxHarness, monkeypatch):
    seconds, groups, clock = 10.0, [], [0.0]
    monkeypatch.setattr(claimer, "time", SimpleNamespace(monotonic=lambda: clock[0], time=time.time))
    monkeypatch.setattr(claimer, "_TAKE_AT_ONCE", 8)

    def fsync_taken(jobs: list[str], _) -> None:
        groups.append(len(jobs))
        clock[0] += seconds

    monkeypatch.setattr(inbox.folders.inbox, "fsync_taken", fsync_taken)
    for number in range(30):
        inbox.write(f"{number:02d}.txt")
    inbox.scan(now=10.0)
    for _ in range(5):
        inbox.intake.step(12.1)
    assert groups == [8, 4, 2, 1, 1]
    seconds = 0.1
    while len(inbox.files()) < 30:
        inbox.intake.step(12.1)
    assert groups[5:] == [1, 2, 4, 7]


def test_file_that_was_closed_settles_from_then_on_however_its_writer_sets_its_rights(inbox: InboxHarness):
    path = inbox.write("a.txt")
    inbox.intake.look_at(LookAt(folder=inbox.path, name="a.txt"), 10.0)
    assert inbox.intake.step(10.05) == 0
    assert inbox.intake.next_look(10.05) == pytest.approx(0.05)
    path.chmod(0o600)  # as install(1) does after it has closed the file
    assert inbox.intake.step(10.11) == 0
    assert inbox.intake.next_look(10.11) == pytest.approx(2.0)
    assert inbox.intake.step(12.12) == 1


def test_file_that_is_written_in_bursts_is_one_file(inbox: InboxHarness):
    """Opened, appended to and closed, again and again: FTP that resumes, scanners, SMB clients."""
    for burst in range(5):
        with (inbox.path / "a.txt").open("a") as file:
            file.write(f"burst {burst}\n")
        inbox.intake.look_at(LookAt(folder=inbox.path, name="a.txt"), 10.0 + burst)
        assert inbox.intake.step(10.5 + burst) == 0
    assert inbox.intake.step(16.6) == 1
    assert inbox.folders.inbox.original(inbox.store.open_jobs()[0].id).path.read_text().count("burst") == 5


def test_file_that_is_closed_unchanged_is_in_use(inbox: InboxHarness):
    path = inbox.write("a.txt")
    inbox.scan(now=10.0)
    facts = path.stat()
    path.write_text("TEXT")  # as long as before, within a tick of the clock of the file system
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    inbox.intake.look_at(LookAt(folder=inbox.path, name="a.txt"), 11.9)
    assert inbox.intake.step(12.1) == 0
    assert inbox.intake.step(14.2) == 1


def test_file_that_changed_while_it_waited_for_its_turn_settles_again(inbox: InboxHarness, monkeypatch):
    monkeypatch.setattr("daemon.intake.claimer._TAKE_SECONDS", 0.0)
    monkeypatch.setattr("daemon.intake.claimer._TAKE_AT_ONCE", 1)
    for name in ("a.txt", "b.txt"):
        inbox.write(name)
    inbox.scan(now=10.0)
    assert inbox.intake.step(12.1) == 1
    waiting = next(inbox.path.glob("*.txt"))
    waiting.write_text("more than before")
    assert inbox.intake.step(12.2) == 0
    assert inbox.intake.step(14.3) == 1


def test_folder_of_a_hidden_name_is_not_looked_into_though_it_was_renamed_in(inbox: InboxHarness):
    inbox.write("sub/.hidden/in/a.txt")
    inbox.write("sub/b.tmp/a.txt")
    for folder in ("sub/.hidden", "sub/.hidden/in", "sub/b.tmp"):
        inbox.intake.look_at(LookAt(folder=inbox.path / folder, complete=True), 10.0)
        inbox.intake.look_at(LookAt(folder=inbox.path / folder, name="a.txt", complete=True), 10.0)
    assert inbox.intake.step(20.0) == 0
    assert inbox.scan(now=30.0) == 0 and inbox.intake.step(40.0) == 0


def test_file_that_was_renamed_in_need_not_settle_though_its_name_was_seen_before(inbox: InboxHarness):
    path = inbox.write("a.txt", "")
    inbox.intake.look_at(LookAt(folder=inbox.path, name="a.txt"), 10.0)
    assert inbox.intake.step(10.0) == 0
    path.write_text("all of it")
    inbox.intake.look_at(LookAt(folder=inbox.path, name="a.txt", complete=True), 10.1)
    assert inbox.intake.step(10.21) == 1


def test_file_that_a_writer_has_open_is_not_taken_however_long_it_is_still(inbox: InboxHarness):
    path = inbox.write("a.txt")
    with path.open("a"):
        inbox.scan(now=10.0)
        for now in (20.0, 30.0, 40.0):
            assert inbox.intake.step(now) == 0
    assert inbox.intake.step(50.0) == 1


def test_lost_hint_is_made_good_by_a_scan_of_the_whole_tree(inbox: InboxHarness):
    for name in ("a.txt", "x/b.txt", "x/y/c.txt"):
        inbox.write(name)
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 3
    assert inbox.files() == ["a.txt", "x/b.txt", "x/y/c.txt"]


def test_clock_that_is_set_forward_during_a_scan_does_not_delay_the_next(tmp_path: Path):
    hours = itertools.count(step=5 * 3600 * 10**6)
    inbox = InboxHarness(tmp_path, now_us=lambda: next(hours))
    inbox.scan(now=10.0)
    inbox.write("a.txt")
    inbox.intake.look_at(LookAt(folder=inbox.path), 20.0)
    inbox.intake.step(20.0)
    assert inbox.intake.step(23.0) == 1
    inbox.store.close()


def test_file_that_vanishes_while_it_settles_is_forgotten(inbox: InboxHarness):
    path = inbox.write("a.txt")
    inbox.scan(now=10.0)
    path.unlink()
    assert inbox.intake.step(13.0) == 0
    assert inbox.intake.is_quiet


def test_question_is_waited_for_and_taken_with_its_file(inbox: InboxHarness):
    inbox.write("photo.png", b"\x89PNG\r\n\x1a\n" + b"0" * 100)
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 0
    assert "photo.png.prompt" in inbox.intake.left[inbox.path / "photo.png"]
    assert inbox.intake.is_quiet
    inbox.write("photo.png.prompt", "How many?")
    assert inbox.intake.step(16.0) == 1
    job = inbox.store.open_jobs()[0]
    assert job.recipe == "ask"
    assert inbox.folders.inbox.original(job.id).sidecars["prompt"].read_text() == "How many?"
    assert inbox.intake.left == {}


def test_password_is_taken_with_its_file_and_stands_for_no_question(inbox: InboxHarness):
    inbox.write("scan.png", b"\x89PNG\r\n\x1a\n" + b"0" * 100)
    inbox.write("scan.png.password", "secret")
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 0  # its recipe needs a question
    inbox.write("scan.png.prompt", "How many?")
    assert inbox.intake.step(16.0) == 1
    sidecars = inbox.folders.inbox.original(inbox.store.open_jobs()[0].id).sidecars
    assert {name: path.read_text() for name, path in sidecars.items()} == {"prompt": "How many?", "password": "secret"}


def test_password_without_its_file_waits(inbox: InboxHarness):
    inbox.write("later.pdf.password", "secret")
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 0
    assert inbox.intake.left[inbox.path / "later.pdf.password"] == "it waits for its file: later.pdf."


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_that_may_not_be_read_is_left_and_told(inbox: InboxHarness):
    inbox.write("a.txt").chmod(0)
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 0
    assert "read permission" in inbox.intake.left[inbox.path / "a.txt"]


def test_flood_is_taken_in_several_steps(inbox: InboxHarness, monkeypatch):
    monkeypatch.setattr("daemon.intake.claimer._TAKE_SECONDS", 0.0)
    for limit in ("scanner._LOOK_SECONDS", "claimer._DESCRIBE_SECONDS", "claimer._RECORD_SECONDS"):
        monkeypatch.setattr(f"daemon.intake.{limit}", 60.0)
    for number in range(600):
        inbox.write(f"{number % 50}/{number}.txt")
    inbox.scan(now=10.0)
    taken = [inbox.intake.step(13.0)]
    assert taken == [256] and inbox.intake.next_look(13.0) == 0.0 and not inbox.intake.is_quiet
    while not inbox.intake.is_quiet:
        taken.append(inbox.intake.step(13.0))
    assert taken == [256, 256, 88] and len(inbox.store.open_jobs()) == 600


def test_files_with_slow_options_are_taken_in_steps_though_they_are_few(inbox: InboxHarness, monkeypatch):
    monkeypatch.setattr("daemon.intake.claimer._TAKE_SECONDS", 0.0)
    monkeypatch.setattr("daemon.intake.claimer._DESCRIBE_SECONDS", 0.0)
    for number in range(3):
        inbox.write(f"{number}.txt")
    inbox.scan(now=10.0)
    assert [inbox.intake.step(13.0) for _ in range(4)] == [1, 1, 1, 0]


def test_empty_file_that_holds_the_place_of_a_download_is_not_taken(inbox: InboxHarness):
    """As Firefox makes it: NAME is empty until NAME.part, when it is complete, is renamed to it."""
    inbox.write("a.txt", "")
    part = inbox.write("a.txt.part", "half")
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 0
    assert "placeholder of the unfinished download a.txt.part" in inbox.left("a.txt")
    part.rename(inbox.path / "a.txt")
    inbox.intake.look_at(LookAt(folder=inbox.path, name="a.txt", complete=True), 14.0)
    assert inbox.intake.step(14.0) == 1 and inbox.store.open_jobs()[0].size_bytes == 4


@pytest.mark.parametrize(
    ("sidecar", "content", "words"),
    [
        ("toml", b"a = " + b"9" * 5000, "64 bits"),
        ("toml", b"a = " + b"[" * 60_000, "brackets"),
        ("toml", b"a = " + b"{a=" * 20_000, "brackets"),
        ("toml", b"a." * 30_000 + b"a = 1", "parts"),
        ("toml", b"priority = 0x" + b"f" * 60_000, "64 bits"),
        ("toml", b"priority = 9223372036854775808", "64 bits"),
        ("toml", b"priority = -1000001", "between -1,000,000 and 1,000,000"),
        ("toml", b"language = 2024-01-01", "dates"),
        ("toml", b"upper = nan", "nan"),
        ("toml", b"upper = '" + b"x" * 20_000 + b"'", "maximum 16,384"),
        ("toml", b"upper = [" + b"1," * 2_000 + b"]", "maximum 1,000"),
        ("toml", b"\xff", "UTF-8"),
        ("toml", bytes(70_000), "64 KiB"),
        ("prompt", bytes(70_000), "64 KiB"),
        ("password", bytes(5_000), "4 KiB"),
        ("done", bytes(5_000), "4 KiB"),
    ],
)
def test_file_with_an_invalid_sidecar_is_left_with_the_reason(
    inbox: InboxHarness, sidecar: str, content: bytes, words: str
):
    inbox.write(f"a.txt.{sidecar}", content)
    inbox.write("a.txt")
    inbox.write("b.txt")
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 1
    assert words in inbox.left("a.txt") and len(inbox.left("a.txt")) < 700
    inbox.write(f"a.txt.{sidecar}", b"")
    assert inbox.intake.step(16.0) == 1


def test_large_sidecar_is_neither_read_nor_hashed(inbox: InboxHarness):
    with inbox.write("a.txt.prompt").open("wb") as file:
        file.truncate(1 << 40)
    inbox.write("a.txt")
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 0
    assert "64 KiB" in inbox.left("a.txt")


def test_options_of_many_folders_are_bounded_together(inbox: InboxHarness):
    comment = b"#" * 20_000
    for folder in ("a", "a/b", "a/b/c", "a/b/c/d"):
        inbox.write(f"{folder}/.inboxd.toml", comment)
        inbox.write(f"{folder}/x.txt")
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 3
    assert "64 KiB in total" in inbox.left("a/b/c/d/x.txt")


def test_option_that_no_recipe_will_ask_for_is_not_stored(inbox: InboxHarness):
    inbox.write("a/.inboxd.toml", "upper = true\nlanguage = 'de'\n")
    inbox.write("a/x.txt")
    inbox.write("a/x.bin", b"\0\1\2")
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 2
    stored = {job.name: job.overrides for job in inbox.store.open_jobs()}
    assert stored == {"x.txt": {"options": {"upper": True}, "origins": {"upper": "a/.inboxd.toml"}}, "x.bin": {}}


def test_options_beside_names_of_any_bytes_are_stored_as_text(inbox: InboxHarness):
    name = os.fsdecode(b"caf\xe9\x1b")
    inbox.write(f"{name}/.inboxd.toml", "upper = true")
    inbox.write(f"{name}/{name}.txt.toml", "upper = false")
    inbox.write(f"{name}/{name}.txt")
    inbox.write(f"{name}/y.txt")
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 2
    origins = {origin for job in inbox.store.open_jobs() for origin in job.overrides["origins"].values()}
    assert origins == {r"caf\xe9\x1b.txt.toml", r"caf\xe9\x1b/.inboxd.toml"}


class Provoked(Exception):
    """What nobody thought of."""


@pytest.mark.parametrize("error", [Provoked, RecursionError, MemoryError])
@pytest.mark.parametrize(
    ("part", "place"),
    [
        ("intake._scanner", "_consider"),
        ("intake._scanner", "_is_written"),
        ("folders.inbox", "sidecars"),
        ("intake._scanner", "missing"),
        ("intake._describer", "describe"),
        ("intake._describer", "_choose"),
    ],
)
def test_unexpected_error_in_one_file_affects_that_file_only(
    inbox: InboxHarness, monkeypatch, caplog, part: str, place: str, error
):
    owner = operator.attrgetter(part)(inbox)
    real = getattr(owner, place)
    broken = True

    def breaks(*arguments, **keywords):
        if broken and any("bad.txt" in str(getattr(each, "path", each)) for each in arguments):
            raise error("mistake")
        return real(*arguments, **keywords)

    monkeypatch.setattr(owner, place, breaks)
    for name in ("a.txt", "bad.txt", "c.txt"):
        inbox.write(name)
    for now in (10.0, 13.0, 20.0, 30.0):
        inbox.scan(now)
    assert inbox.files() == ["a.txt", "c.txt"] and (inbox.path / "bad.txt").exists()
    assert "Internal error" in inbox.left("bad.txt") and inbox.intake.is_quiet
    assert [record.exc_info is not None for record in caplog.records if "bad.txt" in record.message] == [True], "once"
    broken = False
    assert inbox.scan(40.0) == 0, "nothing has changed"
    inbox.write("bad.txt.toml", "upper = true")
    assert inbox.scan(50.0) + inbox.intake.step(53.0) + inbox.intake.step(56.0) == 1
    assert inbox.files() == ["a.txt", "bad.txt", "c.txt"] and inbox.intake.left == {}


def test_whatever_one_folder_provokes_costs_that_folder_only(inbox: InboxHarness, monkeypatch, caplog):
    scan = inbox.folders.inbox.scan

    def breaks(folder: Path):
        if folder.name == "bad":
            raise Provoked("mistake")
        return scan(folder)

    monkeypatch.setattr(inbox.folders.inbox, "scan", breaks)
    for name in ("a/x.txt", "bad/x.txt", "c/x.txt"):
        inbox.write(name)
    for now in (10.0, 13.0, 60.0):
        inbox.scan(now)
    assert inbox.files() == ["a/x.txt", "c/x.txt"]
    assert "Internal error" in inbox.left("bad")
    assert sum(record.exc_info is not None for record in caplog.records) == 1
    monkeypatch.undo()
    inbox.scan(now=100.0)
    assert inbox.intake.step(103.0) == 1 and inbox.intake.left == {}


@pytest.mark.parametrize("fault", ["priority", "name", "overrides"])
def test_row_that_cannot_be_inserted_costs_its_file_only(inbox: InboxHarness, monkeypatch, caplog, fault: str):
    describe = inbox.intake._describer.describe

    def describe_badly(*arguments):
        job = describe(*arguments)
        bad = {"priority": 2**63, "name": "\udce9", "overrides": {"options": {"x": object()}}}
        return dataclasses.replace(job, **{fault: bad[fault]}) if job.name == "bad.txt" else job

    monkeypatch.setattr(inbox.intake._describer, "describe", describe_badly)
    for name in ("a.txt", "bad.txt", "c.txt"):
        inbox.write(name)
    inbox.write("bad.txt.prompt", "why?")
    for now in (10.0, 13.0, 20.0, 30.0):
        inbox.scan(now)
    assert inbox.files() == ["a.txt", "c.txt"]
    assert inbox.store.counts() == {"queued": 2}
    assert sorted(path.name for path in inbox.path.glob("*.txt*")) == ["bad.txt", "bad.txt.prompt"]
    assert len(list(inbox.folders.inbox.taken_ids())) == 2
    assert "Internal error" in inbox.left("bad.txt") and inbox.intake.is_quiet
    assert sum(record.exc_info is not None for record in caplog.records) == 1
    monkeypatch.undo()
    inbox.write("bad.txt", "changed")
    inbox.scan(now=40.0)
    inbox.intake.step(46.0)
    inbox.intake.step(49.0)
    assert inbox.files() == ["a.txt", "bad.txt", "c.txt"] and inbox.intake.left == {}


@pytest.mark.parametrize(("suffix", "limit"), [("prompt", "64 KiB"), ("password", "4 KiB"), ("done", "4 KiB")])
def test_file_whose_sidecar_grows_during_the_take_returns_to_the_inbox(
    inbox: InboxHarness, monkeypatch, suffix: str, limit: str
):
    inbox.write(f"a.txt.{suffix}", "short")
    inbox.write("a.txt")
    take = inbox.folders.inbox.take

    def grow(job_id: str, path: Path, sidecars: list[Path]):
        with sidecars[0].open("ab") as file:
            file.truncate(1 << 40)
        return take(job_id, path, sidecars)

    monkeypatch.setattr(inbox.folders.inbox, "take", grow)
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 0
    assert list(inbox.folders.inbox.taken_ids()) == []
    inbox.scan(now=20.0)
    inbox.intake.step(23.0)
    assert limit in inbox.left("a.txt")


def test_file_that_waits_for_the_disk_is_not_looked_at_without_a_pause(inbox: InboxHarness):
    inbox.write("a.txt")
    inbox.scan(now=10.0)
    inbox.storage.can_take = False
    inbox.intake.step(12.1)
    assert inbox.intake.next_look(12.1) is None and not inbox.intake.is_quiet
    inbox.storage.can_take = True
    assert inbox.intake.next_look(12.1) == 0.0 and inbox.intake.step(12.2) == 1


def test_sidecar_that_lies_alone_is_told_once_and_not_at_each_look(inbox: InboxHarness, caplog):
    inbox.write("x.jpg.prompt", "What is it?")
    for now in (10.0, 20.0, 30.0):
        inbox.scan(now)
    assert sum("waits for its file" in record.message for record in caplog.records) == 1
    assert list(inbox.intake.left) == [inbox.path / "x.jpg.prompt"]


def test_file_whose_sidecar_is_stuck_in_taken_waits_until_that_is_back(inbox: InboxHarness, monkeypatch):
    inbox.write("x.txt")
    inbox.write("x.txt.prompt", "How many?")
    inbox.scan(now=10.0)
    with monkeypatch.context() as patch:  # the file cannot be taken, and its sidecar, which was, cannot be put back
        refuse_renames(patch, lambda source, target: source.name == "x.txt" or target.parent == inbox.path)
        assert inbox.intake.step(13.0) == 0
    assert not (inbox.path / "x.txt.prompt").exists()
    assert [inbox.intake.step(now) for now in (20.0, 30.0, 40.0)] == [0, 0, 0]
    inbox.storage.retry(at_once=True)
    assert inbox.intake.step(50.0) + inbox.intake.step(60.0) == 1
    (job,) = inbox.store.open_jobs()
    assert inbox.folders.inbox.original(job.id).sidecars["prompt"].read_text() == "How many?"


def refuse_renames(monkeypatch: pytest.MonkeyPatch, which: Callable[[Path, Path], bool]) -> None:
    """Let the disk refuse those renames of which `which` is true."""
    real = durable.rename_noreplace

    def rename(source: Path, target: Path, **folders: int | None) -> None:
        if which(source, target):
            raise OSError(errno.EIO, "an injected error")
        real(source, target, **folders)

    monkeypatch.setattr(durable, "rename_noreplace", rename)


def test_row_of_a_file_says_what_was_taken(inbox: InboxHarness):
    path = inbox.write("a/new\nline.txt", "the text")
    facts = path.stat()
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 1
    (job,) = inbox.store.open_jobs()
    assert (job.name, job.folder, job.kind, job.recipe) == ("new\\x0aline.txt", "a", "text", "count")
    assert (job.inode, job.size_bytes, job.mtime_ns) == (facts.st_ino, 8, facts.st_mtime_ns)
    assert job.sha256 == hashlib.sha256(b"the text").hexdigest() and job.overrides == {}
    assert inbox.intake.unclaimed == [] and sum(inbox.intake.claims.as_dict()["counts"]) == 1


def test_row_of_a_file_tells_the_content_of_its_sidecars(inbox: InboxHarness):
    inbox.write("x.png", b"\x89PNG\r\n\x1a\n" + b"0" * 100)
    inbox.write("x.png.prompt", "How many?")
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 1
    (job,) = inbox.store.open_jobs()
    assert job.overrides == {"sidecars": {".prompt": hashlib.sha256(b"How many?").hexdigest()}}


def test_file_that_no_recipe_is_for_is_taken(inbox: InboxHarness):
    inbox.write("x.bin", b"\x00\x01\x02" * 50)
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 1
    (job,) = inbox.store.open_jobs()
    assert (job.kind, job.recipe) == (None, None)


def test_folder_that_is_hinted_at_is_scanned_with_all_in_it(inbox: InboxHarness):
    for name in ("x/a.txt", "x/y/b.txt"):
        inbox.write(name)
    inbox.intake.look_at(LookAt(folder=inbox.path / "x", complete=True), 10.0)
    assert inbox.intake.next_look(10.0) == 0.0
    assert inbox.intake.step(10.0) == 2, "renamed in: no need to settle"


def test_folder_rests_after_a_long_scan_whatever_the_hints(inbox: InboxHarness, monkeypatch):
    seconds = itertools.count()  # each reading is a second later: a scan takes one
    clock = SimpleNamespace(monotonic=lambda: float(next(seconds)), time=time.time)
    with monkeypatch.context() as patch:
        patch.setattr("daemon.intake.scanner.time", clock)
        inbox.scan(now=10.0)
    inbox.write("a.txt")
    inbox.intake.look_at(LookAt(folder=inbox.path), 10.5)
    inbox.intake.step(10.5)
    assert inbox.intake.unclaimed == [] and inbox.intake.next_look(10.5) == pytest.approx(2.5)
    inbox.intake.step(13.0)
    assert [entry.path.name for entry in inbox.intake.unclaimed] == ["a.txt"]


def test_large_tree_is_scanned_in_several_steps(inbox: InboxHarness, monkeypatch):
    monkeypatch.setattr("daemon.intake.scanner._LOOK_SECONDS", 0.0)  # one folder in a step
    paths = [inbox.write(f"{name}/sub/x.txt") for name in "abc"]
    inbox.scan(now=10.0)
    assert inbox.intake.is_scanning and inbox.intake.next_look(10.0) == 0.0 and not inbox.intake.is_quiet
    steps = 1
    while inbox.intake.is_scanning:
        inbox.intake.step(10.0)
        steps += 1
    assert steps == 7, "the inbox and six folders"
    assert {entry.path for entry in inbox.intake.unclaimed} == set(paths)


def test_reasons_are_reviewed_in_several_steps(inbox: InboxHarness, monkeypatch):
    links = [inbox.path / f"{number}" for number in range(5)]
    for link in links:
        link.symlink_to("/nowhere")
    inbox.scan(now=10.0)
    assert set(inbox.intake.left) == set(links)
    for link in links:
        link.unlink()
    reviewed = []
    refusal = inbox.folders.inbox.refusal
    monkeypatch.setattr(inbox.folders.inbox, "refusal", lambda path: reviewed.append(path) or refusal(path))
    monkeypatch.setattr("daemon.intake.scanner._LOOK_SECONDS", 0.0)
    inbox.scan(now=20.0)
    assert len(reviewed) == 1 and inbox.intake.next_look(20.0) == 0.0
    monkeypatch.setattr("daemon.intake.scanner._LOOK_SECONDS", 60.0)
    inbox.intake.step(20.0)
    assert sorted(reviewed) == sorted(links) and inbox.intake.left == {}


def test_inbox_that_was_moved_is_looked_for(inbox: InboxHarness):
    inbox.intake.step(9.0)
    inbox.write("a.txt")
    inbox.intake.look_at(LookAt(folder=inbox.path.parent), 10.0)
    inbox.intake.step(10.0)
    assert inbox.intake.step(12.1) == 1


def test_file_whose_rename_fails_stays_and_is_taken_without_another_hint(inbox: InboxHarness, monkeypatch):
    path = inbox.write("a.txt")
    inbox.scan(now=10.0)
    with monkeypatch.context() as patch:
        refuse_renames(patch, lambda source, target: source == path)
        for now in (13.0, 20.0):
            assert inbox.intake.step(now) == 0
            assert "cannot be taken" in inbox.intake.left[path] and not inbox.intake.is_quiet
            assert path.read_text() == "text" and list(inbox.folders.inbox.taken_ids()) == []
        for now in (30.0, 40.0, 50.0):  # a drain does not wait for it for ever
            inbox.intake.step(now)
        assert inbox.intake.is_quiet
    now = 50.0
    while not inbox.store.open_jobs():
        pause = inbox.intake.next_look(now)
        assert pause is not None and pause <= 4.1
        now += pause
        inbox.intake.step(now)
    assert inbox.intake.left == {} and inbox.intake.is_quiet


def test_pause_before_the_next_try_grows_to_a_bound(inbox: InboxHarness, monkeypatch):
    path, now, pauses = inbox.write("a.txt"), 13.0, []
    inbox.scan(now=10.0)
    with monkeypatch.context() as patch:
        refuse_renames(patch, lambda source, target: source == path)
        inbox.intake.step(now)
        for _ in range(6):
            inbox.intake.step(now)  # it was put back, and is looked at again
            pauses.append(inbox.intake.next_look(now))
            now += pauses[-1]
            inbox.intake.step(now)
    assert pauses == sorted(pauses) and 0 < pauses[0] < 2 * pauses[-1] and pauses[-1] <= 4.1


def test_file_that_cannot_be_looked_at_keeps_no_other_waiting(inbox: InboxHarness, monkeypatch):
    bad, look = inbox.write("a.txt"), inbox.folders.inbox.look
    inbox.write("b.txt")
    inbox.scan(now=10.0)

    def fail(path: Path):
        if path == bad:
            raise OSError(errno.EIO, "an injected error")
        return look(path)

    with monkeypatch.context() as patch:
        patch.setattr(inbox.folders.inbox, "look", fail)
        assert inbox.intake.step(13.0) == 1
        assert list(inbox.intake.left) == [bad] and 0 < inbox.intake.next_look(13.0) <= 4
    assert inbox.intake.step(20.0) == 1 and inbox.intake.left == {}


def test_folder_that_cannot_be_read_is_left_and_keeps_no_other_waiting(inbox: InboxHarness, monkeypatch):
    bad, scan = inbox.write("a/x.txt").parent, inbox.folders.inbox.scan
    inbox.write("b/y.txt")

    def fail(folder: Path):
        if folder == bad:
            raise OSError(errno.EACCES, "an injected error")
        return scan(folder)

    with monkeypatch.context() as patch:
        patch.setattr(inbox.folders.inbox, "scan", fail)
        inbox.scan(now=10.0)
        assert inbox.intake.step(13.0) == 1
        assert "cannot be read" in inbox.intake.left[bad] and inbox.files() == ["b/y.txt"]
    inbox.intake.step(20.0)
    assert inbox.intake.left == {}
    assert inbox.intake.step(23.0) == 1


def test_link_is_left_with_the_reason_as_long_as_it_lies_there(inbox: InboxHarness, tmp_path: Path):
    (tmp_path / "secret").write_text("not yours")
    link = inbox.path / "link.txt"
    link.symlink_to(tmp_path / "secret")
    for now in (10.0, 20.0):
        assert inbox.scan(now) == 0
        assert "symbolic link" in inbox.intake.left[link]
    link.unlink()
    inbox.scan(30.0)
    assert inbox.intake.left == {} and inbox.intake.is_quiet


def _inbox_that(tmp_path: Path, waits: str) -> InboxHarness:
    return InboxHarness(tmp_path, toml=TOML.replace("settle_seconds = 2", f"settle_seconds = 0\n{waits}"))


def test_file_that_waits_is_not_looked_at_all_the_time(tmp_path: Path):
    inbox = _inbox_that(tmp_path, "wait_for_done = true")
    inbox.write("a.txt")
    inbox.scan(now=10.0)
    inbox.intake.step(10.1)
    assert inbox.intake.next_look(10.1) > 0.5
    inbox.store.close()


def test_file_of_a_folder_that_waits_for_done_is_taken_once_its_mark_is_there(tmp_path: Path):
    inbox = _inbox_that(tmp_path, "wait_for_done = true")
    inbox.write("a.txt")
    inbox.scan(now=10.0)
    for now in (11.0, 20.0, 30.0):
        assert inbox.intake.step(now) == 0
    assert "a.txt.done" in inbox.intake.left[inbox.path / "a.txt"] and inbox.intake.is_quiet
    inbox.write("a.txt.done", "")
    assert inbox.intake.step(40.0) == 1 and inbox.intake.left == {}
    original = inbox.folders.inbox.original(inbox.store.open_jobs()[0].id)
    assert original.path.name == "a.txt" and original.sidecars == {}
    inbox.store.close()


@pytest.mark.parametrize("comes", [True, False])
def test_file_waits_for_a_sidecar_as_long_as_it_was_asked_to(tmp_path: Path, comes: bool):
    inbox = _inbox_that(tmp_path, "wait_for_sidecar = 60")
    inbox.write("a.txt")
    inbox.scan(now=10.0)
    for now in (10.1, 30.0) if comes else (10.1, 30.0, 69.9):
        assert inbox.intake.step(now) == 0
        assert not inbox.intake.is_quiet, "its time will be over"
    if comes:
        inbox.write("a.txt.prompt", "What?")
    assert inbox.intake.step(32.0 if comes else 71.0) == 1
    inbox.store.close()


def test_wrong_options_are_parsed_again_only_after_a_change(inbox: InboxHarness, tmp_path: Path, monkeypatch):
    parsed: list[Path] = []
    real = scanner.choose

    def choose(settings, folders, folder, kind, sidecar):
        parsed.append(sidecar)
        return real(settings, folders, folder, kind, sidecar)

    monkeypatch.setattr(scanner, "choose", choose)
    inbox.write("a.txt.toml", "nonsense = 1")
    inbox.write("a.txt")
    for now in (10.0, 13.0, 16.0, 19.0, 22.0):
        inbox.scan(now=now)
    assert inbox.files() == [] and len(parsed) == 1
    (tmp_path / "config.toml").write_text(TOML.replace("settle_seconds = 2", "settle_seconds = 2\npriority = 3"))
    inbox.intake.use(config.load(tmp_path / "config.toml"))  # other settings may know the option
    inbox.scan(now=25.0)
    assert len(parsed) == 2
    inbox.write("a.txt.toml", "priority = 3")
    for now in (28.0, 31.0, 34.0):
        inbox.scan(now=now)
    assert inbox.files() == ["a.txt"]
