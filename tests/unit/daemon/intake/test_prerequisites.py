"""What a complete file waits for, and the reason that is reported meanwhile."""

from collections.abc import Callable
from pathlib import Path

import pytest
from inbox_harness import TOML, InboxHarness

from daemon.core.messages import Hint
from daemon.intake import prerequisites


def test_file_waits_for_its_prompt_and_is_taken_with_it(inbox: InboxHarness):
    inbox.write("photo.png", b"\x89PNG\r\n\x1a\n" + b"0" * 100)
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 0
    assert "photo.png.prompt" in inbox.intake.left[inbox.path / "photo.png"]
    assert inbox.intake.is_quiet
    inbox.write("photo.png.prompt", "How many?")
    assert inbox.intake.step(16.0) == 1
    job = inbox.store.open_jobs()[0]
    assert job.recipe == "ask"
    assert inbox.folders.taken.original(job.id).sidecars["prompt"].read_text() == "How many?"
    assert inbox.intake.left == {}


def test_password_does_not_replace_a_prompt_and_is_taken_with_its_file(inbox: InboxHarness):
    inbox.write("scan.png", b"\x89PNG\r\n\x1a\n" + b"0" * 100)
    inbox.write("scan.png.password", "secret")
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 0  # its recipe needs a question
    inbox.write("scan.png.prompt", "How many?")
    assert inbox.intake.step(16.0) == 1
    sidecars = inbox.folders.taken.original(inbox.store.open_jobs()[0].id).sidecars
    assert {name: path.read_text() for name, path in sidecars.items()} == {"prompt": "How many?", "password": "secret"}


def test_placeholder_of_a_download_is_not_taken(inbox: InboxHarness):
    """As Firefox makes it: NAME is empty until NAME.part, when it is complete, is renamed to it."""
    inbox.write("a.txt", "")
    part = inbox.write("a.txt.part", "half")
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 0
    assert "placeholder of the unfinished download a.txt.part" in inbox.left("a.txt")
    part.rename(inbox.path / "a.txt")
    inbox.intake.on_hint(Hint(folder=inbox.path, name="a.txt", complete=True), 14.0)
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


def test_huge_sidecar_is_neither_read_nor_hashed(inbox: InboxHarness):
    inbox.write_sparse("a.txt.prompt", 1 << 40)
    inbox.write("a.txt")
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 0
    assert "64 KiB" in inbox.left("a.txt")


def test_options_files_of_nested_folders_have_a_common_limit(inbox: InboxHarness):
    comment = b"#" * 20_000
    for folder in ("a", "a/b", "a/b/c", "a/b/c/d"):
        inbox.write(f"{folder}/.inboxd.toml", comment)
        inbox.write(f"{folder}/x.txt")
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 3
    assert "64 KiB in total" in inbox.left("a/b/c/d/x.txt")


def _waiting(condition: str) -> str:
    """A config.toml whose inbox does not settle, but waits for something."""
    return TOML.replace("settle_seconds = 2", f"settle_seconds = 0\n{condition}")


def test_waiting_file_is_examined_after_pauses(make_inbox: Callable):
    inbox = make_inbox(toml=_waiting("wait_for_done = true"))
    inbox.write("a.txt")
    inbox.scan(now=10.0)
    inbox.intake.step(10.1)
    assert inbox.intake.next_check(10.1) > 0.5


def test_file_is_taken_once_its_done_mark_exists(make_inbox: Callable):
    inbox = make_inbox(toml=_waiting("wait_for_done = true"))
    inbox.write("a.txt")
    inbox.scan(now=10.0)
    for now in (11.0, 20.0, 30.0):
        assert inbox.intake.step(now) == 0
    assert "a.txt.done" in inbox.intake.left[inbox.path / "a.txt"] and inbox.intake.is_quiet
    inbox.write("a.txt.done", "")
    assert inbox.intake.step(40.0) == 1 and inbox.intake.left == {}
    original = inbox.folders.taken.original(inbox.store.open_jobs()[0].id)
    assert original.path.name == "a.txt" and original.sidecars == {}


@pytest.mark.parametrize("comes", [True, False])
def test_file_waits_for_a_sidecar_for_the_configured_time(make_inbox: Callable, comes: bool):
    inbox = make_inbox(toml=_waiting("wait_for_sidecar = 60"))
    inbox.write("a.txt")
    inbox.scan(now=10.0)
    for now in (10.1, 30.0) if comes else (10.1, 30.0, 69.9):
        assert inbox.intake.step(now) == 0
        assert not inbox.intake.is_quiet, "its time will be over"
    if comes:
        inbox.write("a.txt.prompt", "What?")
    assert inbox.intake.step(32.0 if comes else 71.0) == 1


def test_wrong_options_are_parsed_again_only_after_a_change(inbox: InboxHarness, monkeypatch):
    parsed: list[Path] = []
    real = prerequisites.choose

    def choose(settings, folders, folder, kind, sidecar):
        parsed.append(sidecar)
        return real(settings, folders, folder, kind, sidecar)

    monkeypatch.setattr(prerequisites, "choose", choose)
    inbox.write("a.txt.toml", "nonsense = 1")
    inbox.write("a.txt")
    for now in (10.0, 13.0, 16.0, 19.0, 22.0):
        inbox.scan(now=now)
    assert inbox.files() == [] and len(parsed) == 1
    inbox.configure(TOML.replace("settle_seconds = 2", "settle_seconds = 2\npriority = 3"))  # may know the option
    inbox.scan(now=25.0)
    assert len(parsed) == 2
    inbox.write("a.txt.toml", "priority = 3")
    for now in (28.0, 31.0, 34.0):
        inbox.scan(now=now)
    assert inbox.files() == ["a.txt"]
