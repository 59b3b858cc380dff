"""Where the language changes, each stretch is transcribed in its own language."""

import json

import numpy as np
import pytest

from processors.contract import NotReady
from processors.whisper import TranscribeOptions, Whisper, WhisperOptions
from processors.whisper.audio import reader, vad
from processors.whisper.audio.vad import Span
from processors.whisper.track import interleaving, languages, transcript
from processors.whisper.track.engine import PartResult
from processors.whisper.track.segment import Segment
from processors.whisper.track.transcriber import TrackTranscriber
from tests.unit.processors.whisper.test_whisper import read_sound, write_wav

SPOKEN = [Span(1.0, 11.0), Span(14.0, 24.0), Span(30.0, 42.0), Span(45.0, 55.0)]


def guess(*guesses):
    """Detects these languages, one after the other, and records where."""
    left = list(guesses)

    def detect(span):
        detect.asked.append((span.start, span.end))
        return left.pop(0)

    detect.asked = []
    return detect


def test_stretches_of_languages_are_consecutive():
    detect = guess(("en", 0.9), ("en", 0.8), ("de", 0.95), ("en", 0.7))
    found = languages.stretches(SPOKEN, 60.0, detect, None)
    assert detect.asked == [(span.start, span.end) for span in SPOKEN]
    assert [(each.start, each.end, each.language, each.probability) for each in found] == [
        (0.0, 27.0, "en", 0.8),
        (27.0, 43.5, "de", 0.95),
        (43.5, 60.0, "en", 0.7),
    ]


def test_improbable_language_changes_nothing():
    detect = guess(("nn", 0.4), ("en", 0.9), ("cy", 0.5), ("en", 0.9))
    assert [each.language for each in languages.stretches(SPOKEN, 60.0, detect, "en")] == ["en"]
    detect = guess(("nn", 0.4), ("en", 0.9), ("cy", 0.5), ("en", 0.9))
    assert [each.language for each in languages.stretches(SPOKEN, 60.0, detect, None)] == ["nn", "en"]


def test_silence_has_no_stretches():
    assert languages.stretches([], 60.0, guess(), "en") == []


def test_engine_that_detects_languages_itself_gets_each_window():
    found = languages.stretches(SPOKEN, 60.0, guess(*[(None, None)] * 4), None)
    assert [(each.start, each.language) for each in found] == [(0.0, None), (12.5, None), (27.0, None), (43.5, None)]


class Engine:
    """Writes only the language it was given, and records its requests."""

    name, device_name, is_elsewhere, made_by = "fake", "cpu", False, {}

    def __init__(self, *guesses, hears=None):
        self._guesses, self._hears, self.asked = list(guesses), hears, []

    def detect_language(self, samples):
        return self._guesses.pop(0)

    def transcribe(self, question):
        self.asked.append((yield question))
        span = question.spoken[0]
        text = f" This is {question.language or self._hears}."
        end = question.spoken[-1].end if self._hears == "all" else span.end
        segment = Segment(start=span.start, end=end, seek=0, text=text)
        return PartResult(segments=[segment], language=self._hears)


@pytest.fixture
def talk(tmp_path):
    """Two speakers, five seconds apart."""
    pause = np.zeros(5 * 16_000, np.float32)
    return write_wav(
        tmp_path / "talk.wav", np.concatenate([read_sound("jfk.flac"), pause, read_sound("LJ001-0004.flac")])
    )


def transcribe(engine, path, **options) -> transcript.Transcript:
    transcriber = TrackTranscriber(engine, vad.Detector(), TranscribeOptions(**options), lambda done: None)
    with reader.open_track(path) as track:
        ((_, found),) = interleaving.run([transcriber.transcribe(track)], lambda requests: requests)
    return found


def test_each_stretch_has_its_language_and_its_times(talk, tmp_path):
    engine = Engine(("en", 0.98), ("de", 0.91), ("de", 0.93), ("de", 0.9))
    found = transcribe(engine, talk, multilingual=True, initial_prompt="Names")
    assert [question.language for question in engine.asked] == ["en", "de"]
    assert [question.prompt for question in engine.asked] == ["Names", "Names"]  # not the text in the other language
    assert sum(len(question.samples) for question in engine.asked) == pytest.approx(16_000 * found.seconds, abs=16)
    assert [(one.language, one.text) for one in found.segments] == [
        ("en", " This is en."),
        ("de", " This is de."),
    ]
    assert 15.5 < found.segments[1].start < 16.5
    assert (found.language, found.language_probability) == ("en", 0.98)
    assert list(found.languages) == ["en", "de"] and 8 < found.languages["en"] < 12 and 3 < found.languages["de"] < 6
    (name,) = transcript.write(found, tmp_path, "talk", TranscribeOptions(formats=("json",)))
    assert json.loads((tmp_path / name).read_text())["languages"] == found.languages


def test_language_may_come_from_the_server(talk):
    engine = Engine(*[(None, None)] * 4, hears="fr")
    found = transcribe(engine, talk, multilingual=True)
    assert {question.language for question in engine.asked} == {None} and len(engine.asked) >= 2
    assert (found.language, found.language_probability) == ("fr", None)


def test_speech_without_text_is_noted(talk):
    found = transcribe(Engine(("en", 0.98)), talk)  # which writes the first words only
    first = found.segments[0]
    assert found.passed_over[0].at_seconds >= first.end and found.passed_over[-1].at_seconds < 17
    assert sum(gap.seconds for gap in found.passed_over) == pytest.approx(12, abs=2)
    whole = transcribe(Engine(("en", 0.98), hears="all"), talk)
    assert whole.passed_over == ()


def test_one_language_is_detected_without_multilingual(talk):
    engine = Engine(("en", 0.98))
    found = transcribe(engine, talk)
    assert [question.language for question in engine.asked] == ["en"] and found.languages == {}


@pytest.mark.parametrize("wrong", [{"language": "en"}, {"vad": False}])
def test_multilingual_requires_detection_and_no_fixed_language(wrong):
    with pytest.raises(ValueError, match="leave out `language`, and vad = false"):
        TranscribeOptions(multilingual=True, **wrong)


def test_english_only_model_cannot_be_multilingual(tmp_path):
    plan = Whisper.plan(WhisperOptions(model="tiny.en"), TranscribeOptions(multilingual=True), tmp_path)
    assert isinstance(plan, NotReady) and 'set model = "tiny"' in plan.why
