"""The rows of taken files."""

import hashlib
import os

from inbox_harness import InboxHarness


def test_option_that_the_recipe_does_not_know_is_not_stored(inbox: InboxHarness):
    inbox.write("a/.inboxd.toml", "upper = true\nlanguage = 'de'\n")
    inbox.write("a/x.txt")
    inbox.write("a/x.bin", b"\0\1\2")
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 2
    stored = {job.name: job.overrides for job in inbox.store.open_jobs()}
    assert stored == {"x.txt": {"options": {"upper": True}, "origins": {"upper": "a/.inboxd.toml"}}, "x.bin": {}}


def test_options_of_files_with_arbitrary_bytes_in_their_names_are_stored_as_text(inbox: InboxHarness):
    name = os.fsdecode(b"caf\xe9\x1b")
    inbox.write(f"{name}/.inboxd.toml", "upper = true")
    inbox.write(f"{name}/{name}.txt.toml", "upper = false")
    inbox.write(f"{name}/{name}.txt")
    inbox.write(f"{name}/y.txt")
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 2
    origins = {origin for job in inbox.store.open_jobs() for origin in job.overrides["origins"].values()}
    assert origins == {r"caf\xe9\x1b.txt.toml", r"caf\xe9\x1b/.inboxd.toml"}


def test_row_describes_the_taken_file(inbox: InboxHarness):
    path = inbox.write("a/new\nline.txt", "the text")
    facts = path.stat()
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 1
    (job,) = inbox.store.open_jobs()
    assert (job.name, job.folder, job.kind, job.recipe) == ("new\\x0aline.txt", "a", "text", "count")
    assert (job.inode, job.size_bytes, job.mtime_ns) == (facts.st_ino, 8, facts.st_mtime_ns)
    assert job.sha256 == hashlib.sha256(b"the text").hexdigest() and job.overrides == {}
    assert inbox.intake.unclaimed == [] and sum(inbox.intake.claims.as_dict()["counts"]) == 1


def test_row_contains_the_checksums_of_content_sidecars(inbox: InboxHarness):
    inbox.write("x.png", b"\x89PNG\r\n\x1a\n" + b"0" * 100)
    inbox.write("x.png.prompt", "How many?")
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 1
    (job,) = inbox.store.open_jobs()
    assert job.overrides == {"sidecars": {".prompt": hashlib.sha256(b"How many?").hexdigest()}}


def test_file_without_a_recipe_is_taken(inbox: InboxHarness):
    inbox.write("x.bin", b"\x00\x01\x02" * 50)
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 1
    (job,) = inbox.store.open_jobs()
    assert (job.kind, job.recipe) == (None, None)
