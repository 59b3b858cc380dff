"""A recording and what follows its transcript, through the daemon, with a speech server and a model server."""

import json
from collections.abc import Iterator

import pytest
from fake_servers import KEY, FakeServer
from paths import ROOT
from sandbox import Place

from processors.vlm import prompts

SOUND = ROOT / "samples" / "inbox" / "speech" / "kennedy.flac"
CONFIG = """
[inbox]
audio = "meeting"
settle_seconds = 0.1
[recipes.meeting]
processor = "whisper"
formats = ["txt", "srt"]
then = ["minutes", "parties"]
[recipes.parties]
processor = "vlm"
prompt = "Who speaks?"
formats = ["txt"]
[processors.whisper]
engine = "openai"
base_url = "{speech}/v1"
model = "tiny"
api_key_env = "TEST_KEY"
[processors.vlm]
engine = "openai"
base_url = "{model}/v1"
model = "tiny"
api_key_env = "TEST_KEY"
[retry]
attempts = 2
backoff = "50ms"
"""
MINUTES = "## Summary\nSeconds were sent.\n\n## Topics\n- 0:00 Sending\n- 59:59 Lunch"


@pytest.fixture
def speech(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    monkeypatch.setenv("TEST_KEY", KEY)
    server = FakeServer("speech_server")
    yield server
    server.stop()


@pytest.fixture
def model() -> Iterator[FakeServer]:
    server = FakeServer("model_server")
    yield server
    server.stop()


@pytest.fixture
def place(tmp_path, speech: FakeServer, model: FakeServer) -> Place:
    place = Place(tmp_path, CONFIG.format(speech=speech.root, model=model.root))
    place.drop("talk.flac", SOUND.read_bytes())
    return place


def test_minutes_lie_beside_the_transcript_in_one_job(place: Place, model: FakeServer):
    model.behave({"content": MINUTES}, {"content": "One person."})
    place.drain()
    folder = place.outbox / "talk"
    assert {path.name for path in folder.iterdir()} == {
        *("talk.flac", "talk.txt", "talk.srt", "talk.md", "result.json"),
        *("talk.minutes.md", "talk.minutes.json", "talk.parties.txt"),
    }
    assert (folder / "talk.minutes.md").read_text().startswith("## Summary")
    assert (folder / "talk.parties.txt").read_text().strip() == "One person."
    minutes, parties = (each["prompt"] for each in model.asked()["asked"])
    assert minutes.startswith(prompts.MINUTES) and "**0:00** I was sent" in minutes
    assert parties.startswith("Who speaks?")
    result = place.result("talk.flac")
    assert [(step["recipe"], step["outcome"], step["model"]) for step in result["details"]["steps"]] == [
        *(("minutes", "finished", "tiny"), ("parties", "finished", "tiny")),
    ]
    assert [reason for reason in result["review"] if reason.startswith("minutes:")] == [
        "minutes: These times are not in the transcript: 59:59."
    ]
    assert len(place.rows()) == 1
    assert not list((place.state / "kept").glob("*")), "nothing is saved of a job that is done"


def test_transcript_is_published_without_what_failed(place: Place, speech: FakeServer, model: FakeServer):
    place.write_config(place.config.read_text().replace(model.root, "http://127.0.0.1:9"))
    place.drain()
    row, result = place.row("talk.flac"), place.result("talk.flac")
    assert row["attempts"] == 2 and row["state"] == "done"
    assert len(speech.asked()) == 1, "the transcript is not made again"
    missing = [reason for reason in result["review"] if "is missing" in reason]
    assert len(missing) == 2 and "does not respond" in missing[0]
    assert missing[0].endswith("Then run in this folder: inboxd submit talk.md --recipe minutes")
    assert (place.outbox / "talk" / "talk.txt").read_text().startswith("I was sent")


def test_result_that_is_missing_is_made_from_the_transcript(place: Place, model: FakeServer):
    """The command in the review."""
    place.write_config(place.config.read_text().replace(model.root, "http://127.0.0.1:9"))
    place.drain()
    place.write_config(CONFIG.format(speech="http://127.0.0.1:9", model=model.root))
    place.start()
    model.behave({"content": MINUTES})
    done = place.inboxd("submit", str(place.outbox / "talk" / "talk.md"), "--recipe", "minutes", "--wait")
    assert "talk.md" in done.stdout
    assert place.ended("talk.md")["state"] == "done"


def test_then_may_be_set_beside_a_file(place: Place, model: FakeServer):
    place.drop("other.flac.toml", 'then = "nonsense"\n')
    place.drop("other.flac", SOUND.read_bytes())
    model.behave({"content": MINUTES}, {"content": "One person."})
    place.drain(check=None)
    assert place.row("other.flac") is None, "it waits for its mistake to be corrected"
    place.drop("other.flac.toml", 'then = ""\n')
    place.drain()
    assert "steps" not in place.result("other.flac")["details"]
    assert json.loads((place.outbox / "other" / "result.json").read_text())["options"]["then"] == []
