"""Names of speakers, learned from a folder of voice samples."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from processors.contract import Progress
from processors.whisper import TranscribeOptions
from processors.whisper.audio import vad
from processors.whisper.speakers import weights
from processors.whisper.speakers.embeddings import VoiceEncoder
from processors.whisper.speakers.samples import KnownVoices, VoiceSamples, identify
from tests.unit.processors.whisper.test_whisper import SAMPLES, read_sound, write_wav

PEOPLE = np.eye(4, 256, dtype=np.float32)


def like(person: int, similarity: float, other: int = 3) -> np.ndarray:
    """A voice with this cosine similarity to one person, and the rest of another's."""
    return similarity * PEOPLE[person] + np.sqrt(1 - similarity**2) * PEOPLE[other]


KNOWN = KnownVoices(voices={"Anna": PEOPLE[0], "Ben": PEOPLE[1]})


def test_speakers_get_the_names_of_the_most_similar_samples():
    found = identify([like(1, 0.9), like(2, 0.95), like(0, 0.85)], KNOWN)
    assert found.names == {1: "Ben", 3: "Anna"} and found.doubts == []


def test_two_speakers_never_get_one_name():
    found = identify([like(0, 0.8), like(0, 0.95)], KNOWN)
    assert found.names == {2: "Anna"}


def test_uncertain_names_are_reported():
    assert identify([like(0, 0.74)], KNOWN).doubts == [
        "Anna was recognized by voice, but not reliably: check who speaks."
    ]
    perhaps = identify([like(0, 0.67)], KNOWN)
    assert perhaps.names == {} and perhaps.doubts == ["Speaker 1 may be Anna, by their voice: check who speaks."]
    assert identify([like(0, 0.5)], KNOWN).doubts == []


@pytest.mark.parametrize(
    "wrong",
    [{"channel": "each"}, {"speakers": ["Anna"]}, {"track": "all"}, {"vad": False}],
)
def test_options_that_exclude_samples_are_refused(wrong: dict[str, object]):
    with pytest.raises(ValueError, match=r"voices|speakers"):
        TranscribeOptions(voices="/voices", **wrong)


def test_folder_of_samples_must_exist_and_is_found_beside_the_settings(tmp_path: Path):
    with pytest.raises(ValueError, match="is not a folder"):
        TranscribeOptions.model_validate({"voices": "voices"}, context={"home": tmp_path})
    (tmp_path / "voices").mkdir()
    found = TranscribeOptions.model_validate({"voices": "voices"}, context={"home": tmp_path})
    assert found.voices == str(tmp_path / "voices") and found.finds_speakers
    assert TranscribeOptions.model_validate(found.model_dump(mode="json")) == found
    assert "voices" in TranscribeOptions.only_in_config


def test_people_are_recognized_by_their_samples(models: Path, tmp_path: Path):
    encoder = VoiceEncoder(weights.load(models, Progress(lambda message: None)))
    (tmp_path / "Kennedy").mkdir()
    for name, source in {"Linda 1.wav": "LJ001-0001.wav", "Linda 2.mp3": "LJ001-0002.mp3"}.items():
        shutil.copy(SAMPLES / source, tmp_path / name)
    shutil.copy(SAMPLES / "jfk.flac", tmp_path / "Kennedy" / "speech.flac")
    write_wav(tmp_path / "Silent.wav", np.zeros(32_000, np.float32))
    (tmp_path / "Broken.wav").write_bytes(b"RIFF")
    detector = vad.Detector()
    known = VoiceSamples(detector).read(tmp_path, encoder)
    assert set(known.voices) == {"Linda", "Kennedy"}
    assert sorted(problem.split("sample ")[1] for problem in known.problems) == [
        "Broken.wav: replace it.",
        "Silent.wav: replace it.",
    ]
    sound = read_sound("LJ001-0004.flac")
    voices = encoder.voices(sound, detector.spans(sound), 0.0)
    mean = np.mean([each.embedding for each in voices], axis=0)
    assert identify([mean / np.linalg.norm(mean)], known).names == {1: "Linda"}


def test_missing_or_empty_folder_is_a_problem_to_report(tmp_path: Path):
    samples = VoiceSamples(detector=None)  # type: ignore[arg-type]  # never used
    assert "copy a recording of each person" in samples.read(tmp_path, None).problems[0]  # type: ignore[arg-type]
    assert "Cannot read the voice samples" in samples.read(tmp_path / "no", None).problems[0]  # type: ignore[arg-type]
