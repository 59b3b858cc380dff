"""`inboxd submit`: a file and its options, straight to the daemon."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Place(tmp_path, Place.SLOW_TO_SETTLE) as made:
        yield made


def test_files_are_submitted_and_their_results_waited_for(place: Place, tmp_path: Path):
    place.start()
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(f"words of {name}")
    files = [str(tmp_path / name) for name in ("one.txt", "two.txt")]
    options = ["--folder", "letters", "--option", "upper=true", "--priority", "5", "--wait", "--json"]
    rows = json.loads(place.inboxd("submit", *files, *options).stdout)
    assert [(row["file"], row["state"], row["source"]) for row in rows] == [
        ("letters/one.txt", "done", "cli"),
        ("letters/two.txt", "done", "cli"),
    ]
    assert (place.outbox / "letters" / "one" / "one.txt").read_text() == "WORDS OF ONE.TXT"
    assert (tmp_path / "one.txt").read_text() == "words of one.txt", "a copy was submitted"
    assert not any((place.inbox / ".incoming").iterdir())


def test_id_of_the_job_is_printed_at_once(place: Place, tmp_path: Path):
    place.start()
    (tmp_path / "one.txt").write_text("words")
    job, name = place.inboxd("submit", str(tmp_path / "one.txt"), "-r", "count").stdout.split()
    assert name == "one.txt" and place.ended("one.txt")["id"] == job


def test_failure_is_the_exit_code(place: Place, tmp_path: Path):
    place.start()
    (tmp_path / "one.txt").write_bytes("ä".encode("latin-1"))
    done = place.inboxd("submit", str(tmp_path / "one.txt"), "--wait", check=1)
    assert "failed" in done.stdout and "1 of 1 failed" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one.txt", "--option", "uper=true"], 'unknown key "uper"'),
        (["one.txt", "--option", "upper"], "is not NAME=VALUE"),
        (["one.txt", "--recipe", "nope"], 'unknown recipe "nope"'),
        (["one.txt", "--folder", "../x"], "is not a folder from which"),
        (["missing.txt"], "Cannot submit missing.txt: No such file"),
        ([".", "-r", "count"], "Cannot submit"),
    ],
)
def test_mistake_is_reported_and_leaves_nothing(arguments: list[str], message: str, place: Place, tmp_path: Path):
    place.start()
    (tmp_path / "one.txt").write_text("words")
    assert message in place.inboxd("submit", *arguments, check=64).stderr
    assert not any((place.inbox / ".incoming").iterdir()) and place.rows() == []


def test_without_a_daemon_nothing_is_copied(place: Place, tmp_path: Path):
    (tmp_path / "one.txt").write_text("words")
    assert "No inboxd is running" in place.inboxd("submit", str(tmp_path / "one.txt"), check=69).stderr
    assert not (place.inbox / ".incoming").exists()
