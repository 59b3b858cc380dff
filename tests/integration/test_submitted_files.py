"""Files that programs submit to a real daemon through its control socket."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox import Place

from daemon.server import api, client


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Place(tmp_path, Place.SLOW_TO_SETTLE) as made:
        yield made


def submit(place: Place, content: str | bytes, file_name: str, **how: object) -> api.SubmitReply:
    upload = str(uuid.uuid4())
    (place.inbox / ".incoming" / upload).write_bytes(content.encode() if isinstance(content, str) else content)
    command = api.Submit(file=upload, file_name=file_name, source="web", **how)
    return client.ask(place.settings().socket, command, api.SubmitReply)


def test_submitted_file_is_processed_though_dropped_ones_would_still_settle(place: Place):
    place.start()
    reply = submit(place, "some words", "letter.txt", folder="a/b", options={"upper": True})
    row = place.ended("a/b/letter.txt")
    assert (row["id"], row["state"], row["source"]) == (reply.job, "done", "web")
    result = place.result("a/b/letter.txt")
    assert result["source"] == "web" and result["options_from"] == {"upper": "letter.txt.toml"}
    folder = place.outbox / "a" / "b" / "letter"
    assert (folder / "letter.txt").read_text() == "SOME WORDS"
    assert (folder / "original" / "letter.txt.toml").read_text() == "upper = true\n"
    assert json.loads(place.inboxd("show", reply.job[:8], "--json").stdout)["source"] == "web"
    assert "web" in place.inboxd("show", reply.job[:8]).stdout
    for source, count in (("web", 1), ("inbox", 0)):
        assert len(json.loads(place.inboxd("jobs", "--json", "--source", source).stdout)) == count
    place.verify()


def test_failed_submission_is_retried_with_its_options(place: Place):
    place.start()
    reply = submit(place, "ä".encode("latin-1"), "letter.txt", options={"upper": True})
    row = place.ended("letter.txt")
    assert (row["state"], row["source"]) == ("failed", "web")
    error = json.loads((place.outbox / row["result_path"] / "error.json").read_text())
    assert error["source"] == "web" and error["original"]
    place.inboxd("retry", reply.job)
    place.ended("letter.txt")
    place.verify()


def test_refused_submission_leaves_the_file(place: Place):
    place.start()
    with pytest.raises(client.Refused, match="Its options are wrong: letter.txt.toml: unknown key"):
        submit(place, "some words", "letter.txt", options={"uper": True})
    assert len(list((place.inbox / ".incoming").iterdir())) == 1 and place.rows() == []
