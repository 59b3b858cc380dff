"""Options near a file, done-marks, sidecars that come late, and the same content twice."""

import json
from pathlib import Path

import pytest
from sandbox import Place, wait_for

TOML = """
[inbox]
text = "count"
settle_seconds = 0.0
{inbox}
[inbox.folders.marked]
wait_for_done = true
[inbox.folders.loud]
options = {{upper = true}}
[recipes.count]
processor = "plaintext"
[recipes.shout]
processor = "plaintext"
upper = true
[recipes.odd]
processor = "fakes.misbehaving"
[retry]
attempts = 1
"""


@pytest.fixture
def make_inbox(make_place):
    return lambda inbox="": make_place(TOML.format(inbox=inbox))


def _document(place: Place, file: str) -> dict:
    return json.loads((place.outbox / place.row(file)["result_path"] / "result.json").read_bytes())


def test_nearest_options_win_and_the_result_records_their_sources(make_inbox):
    place = make_inbox()
    (place.inbox / "a/b").mkdir(parents=True)
    (place.inbox / "a/.inboxd.toml").write_text('text = "shout"\npriority = 3\n')
    (place.inbox / "a/b/.inboxd.toml").write_text("upper = false\n")
    place.drop("a/folder.txt")
    place.drop("a/b/below.txt")
    place.drop("a/b/own.txt.toml", 'recipe = "count"\nupper = true\n')
    place.drop("a/b/own.txt")
    place.drop("loud/x.txt")
    place.drop("plain.txt")
    place.drain()
    told = {row["file"]: _document(place, row["file"]) for row in place.rows()}
    facts = {
        file: (doc["recipe"], doc["options"].get("upper"), doc["options_from"].get("upper"))
        for file, doc in told.items()
    }
    assert facts == {
        "a/folder.txt": ("shout", True, "config.toml, [recipes.shout]"),
        "a/b/below.txt": ("shout", False, "a/b/.inboxd.toml"),
        "a/b/own.txt": ("count", True, "own.txt.toml"),
        "loud/x.txt": ("count", True, "config.toml, options of the folder"),
        "plain.txt": ("count", None, None),
    }
    assert told["a/folder.txt"]["options_from"]["recipe"] == "a/.inboxd.toml"
    assert {row["priority"] for row in place.rows("SELECT priority FROM jobs WHERE folder LIKE 'a%'")} == {3}
    assert (place.outbox / "a/b/own/original/own.txt.toml").exists(), "it goes with its file"
    place.verify()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("upper = ", "not valid TOML"),
        ("uper = true", 'Did you mean "upper"'),
        ('upper = "perhaps"', "upper"),
        ('recipe = "nothing"', "Known recipes: ask"),
        ('recipe = "transcribe"', "does not support text files"),
        ('processor = "fakes.misbehaving"', 'unknown key "processor"'),
        ('python = "/bin/sh"', '"python" cannot be set here'),
        ("priority = true", "priority"),
    ],
)
def test_file_with_wrong_options_waits_in_the_inbox_until_they_are_fixed(make_inbox, content: str, words: str):
    place = make_inbox()
    place.drop("x.txt.toml", content)
    place.drop("x.txt")
    place.start()
    why = wait_for(lambda: json.loads(place.inboxd("status", "--json").stdout)["left_in_inbox"].get("x.txt"))
    assert words in why
    place.drop("x.txt.toml", "upper = true")
    assert place.ended("x.txt")["state"] == "done"
    place.verify()


def test_options_file_that_is_a_link_is_not_read(make_inbox, tmp_path: Path):
    place = make_inbox()
    (tmp_path / "secret").write_text("upper = true")
    (place.inbox / ".inboxd.toml").symlink_to(tmp_path / "secret")
    place.drop("x.txt")
    place.start()
    left = wait_for(lambda: json.loads(place.inboxd("status", "--json").stdout)["left_in_inbox"].get("x.txt"))
    assert "secret" not in left
    (place.inbox / ".inboxd.toml").unlink()
    assert place.ended("x.txt")["state"] == "done"


def test_options_survive_a_crash_between_taking_and_recording(make_inbox):
    place = make_inbox()
    place.drop("keep.txt")
    place.drain()
    home = place.inbox / ".taken" / "0b7e4f3e-2a55-4f7c-9d3e-0c9d5f0a1b2c"
    home.mkdir()
    (home / "x.txt").write_text("words")
    (home / "x.txt.toml").write_text('recipe = "shout"')
    place.drain()
    assert place.row("x.txt")["recipe"] == "shout"
    place.verify()


def test_file_is_taken_when_its_done_mark_is_there(make_inbox):
    place = make_inbox()
    place.drop("marked/x.txt", "half")
    place.start()
    wait_for(lambda: "x.txt.done" in str(json.loads(place.inboxd("status", "--json").stdout)["left_in_inbox"]))
    place.drop("marked/x.txt", "whole")
    place.drop("marked/x.txt.done", "")
    assert place.ended("marked/x.txt")["state"] == "done"
    assert sorted(path.name for path in (place.outbox / "marked/x").iterdir()) == ["original", "result.json", "x.txt"]
    assert (place.outbox / "marked/x/original/x.txt").read_text() == "whole"
    assert not list((place.inbox / "marked").iterdir())
    place.verify()


def test_sidecar_that_comes_within_the_time_of_grace_is_taken_along(make_inbox):
    place = make_inbox("wait_for_sidecar = '1h'")
    place.drop("x.txt")
    place.start()
    wait_for(lambda: "x.txt" in json.loads(place.inboxd("status", "--json").stdout)["left_in_inbox"])
    place.drop("x.txt.toml", 'recipe = "shout"')
    assert place.ended("x.txt")["recipe"] == "shout"


def test_file_without_a_sidecar_is_taken_after_the_time_of_grace(make_inbox):
    place = make_inbox("wait_for_sidecar = '300ms'")
    place.drop("x.txt")
    place.drain()
    assert place.row("x.txt")["recipe"] == "count"


# ---------------------------------------------------------------------------------------------- duplicates


def test_same_content_is_done_again_by_default(make_inbox):
    place = make_inbox()
    for name in ("one.txt", "two.txt"):
        place.drop(name, "same")
        place.drain()
    assert [row["duplicate_of"] for row in place.rows()] == [None, None]


def test_earlier_result_is_reused_as_a_copy_of_its_own(make_inbox):
    place = make_inbox("duplicates = 'reuse'")
    place.drop("one.txt", "same")
    place.drop("other.txt", "other")
    place.drain()
    place.drop("again/two.txt", "same")
    place.drain()
    first, second = place.row("one.txt"), place.row("again/two.txt")
    assert second["duplicate_of"] == first["id"] and second["excerpt"] == first["excerpt"]
    output = place.outbox / "again/two/one.txt"
    assert output.read_text() == (place.outbox / "one/one.txt").read_text()
    assert output.stat().st_nlink == 1, "whoever edits one result must not change the other"
    assert (place.outbox / "again/two/two.txt").read_text() == "same", "its own original"
    assert _document(place, "again/two.txt")["note"] == "The same content as one.txt: see one."
    place.verify()


def test_skipped_duplicate_names_the_earlier_result(make_inbox):
    place = make_inbox("duplicates = 'skip'")
    place.drop("one.txt", "same")
    place.drain()
    place.drop("two.txt", "same")
    place.drain()
    note = (place.outbox / "two/duplicate.txt").read_text()
    assert note == "two.txt has the same content as one.txt, whose result is in one.\n"
    assert (place.outbox / "two/two.txt").read_text() == "same"
    place.verify()


@pytest.mark.parametrize("change", ["options", "result removed", "result changed", "recipe"])
def test_changed_result_is_not_reused(make_inbox, change: str):
    place = make_inbox("duplicates = 'reuse'")
    place.drop("one.txt", "same")
    place.drain()
    if change == "options":
        place.write_config(place.config.read_text().replace("[recipes.shout]", "upper = true\n[recipes.shout]", 1))
    elif change == "recipe":
        place.drop("two.txt.toml", 'recipe = "shout"')
    elif change == "result removed":
        (place.outbox / "one/one.txt").unlink()
        (place.outbox / "one/original/one.txt").unlink()
    else:
        (place.outbox / "one/one.txt").write_text("edited by a person")
    place.drop("two.txt", "same")
    place.drain()
    assert place.row("two.txt")["duplicate_of"] is None and place.row("two.txt")["state"] == "done"


def test_equal_files_dropped_together_are_worked_on_once(make_inbox):
    place = make_inbox("duplicates = 'reuse'")
    for number in range(6):
        place.drop(f"{number}.txt", "same")
    place.drain()
    assert sum(row["duplicate_of"] is None for row in place.rows()) == 1
    place.verify()


def test_equal_files_that_wait_for_a_model_all_say_so(make_inbox):
    place = make_inbox("duplicates = 'reuse'")
    place.write_config(
        place.config.read_text().replace('"plaintext"', '"fakes.misbehaving"\nunavailable_until = "w"', 1)
    )
    for number in range(3):
        place.drop(f"{number}.txt", "same")
    place.drain(check=1)
    assert all(row["waiting_for"] for row in place.rows())
