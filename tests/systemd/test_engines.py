"""The real engines answer inside the sandbox: without a network, without devices, in a read-only system."""

import json
import shutil
from pathlib import Path

import pytest
from installed import Installed

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0  # seconds: torch is loaded from a cold disk
TOML = """
    [paths]
    inbox = "/var/lib/inboxd/inbox"
    outbox = "/var/lib/inboxd/outbox"
    state = "/var/lib/inboxd/state"
    [inbox]
    settle_seconds = 0.2
    [inbox.folders.tiny]
    image = "tiny"
    [recipes.tiny]
    processor = "vlm"
    model = "/opt/inboxd/tests/data/tiny-vlm"
    prompt = "Describe this image."
    [processors.whisper]
    model = "tiny.en"
"""


@pytest.fixture
def engines(service: Installed) -> Installed:
    service.configure(TOML)
    return service


def test_ocr_reads_a_receipt(engines: Installed):
    engines.drop("receipt.jpg", (ROOT / "samples/inbox/receipt.jpg").read_bytes())
    row = engines.ended("receipt.jpg", deadline=PATIENCE)
    assert (row["state"], row["engine"]) == ("done", "rapidocr"), row
    assert "TOTAL" in (engines.outbox / "receipt/receipt.txt").read_text().upper()


def test_vision_language_model_describes_a_picture(engines: Installed):
    drawings = ROOT / "tests/data/drawings"
    answer = json.loads((drawings / "answers.json").read_text())["shapes-two.png"]["answer"]
    engines.lab.run("install", "-d", "-o", "inboxd", "-g", "inboxd", "-m", "2770", "/var/lib/inboxd/inbox/tiny")
    engines.drop("tiny/shapes-two.png", (drawings / "shapes-two.png").read_bytes())
    row = engines.ended("tiny/shapes-two.png", deadline=PATIENCE)
    assert (row["state"], row["engine"]) == ("done", "transformers"), row
    assert answer in (engines.outbox / "tiny/shapes-two/shapes-two.md").read_text()


def test_whisper_transcribes_speech(engines: Installed):
    weights = engines.lab.path("opt/models/whisper/tiny.en.pt")
    if not weights.exists():
        pytest.skip("the weights of tiny.en are not here: name their folder in INBOXD_TEST_MODELS")
    engines.lab.run("install", "-d", "-o", "inboxd", "/var/lib/inboxd/state/models/whisper")
    shutil.copy(weights, engines.state / "models/whisper/tiny.en.pt")
    engines.drop("jfk.flac", (ROOT / "tests/data/audio/jfk.flac").read_bytes())
    row = engines.ended("jfk.flac", deadline=PATIENCE)
    assert (row["state"], row["engine"]) == ("done", "openai-whisper"), row
    assert "ask not what your country can do for you" in (engines.outbox / "jfk/jfk.txt").read_text()


def test_sound_waits_for_weights_and_status_names_the_command_that_fetches_them(engines: Installed):
    engines.configure(TOML.replace("tiny.en", "base.en"))
    engines.drop("talk.flac", (ROOT / "tests/data/audio/jfk.flac").read_bytes())
    engines.waits("talk.flac", deadline=PATIENCE)
    assert "inboxd models fetch base.en" in " ".join(engines.inboxd("status").stdout.split())
    assert engines.row("talk.flac")["state"] == "queued"
