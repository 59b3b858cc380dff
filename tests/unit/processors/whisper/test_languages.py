"""Where the language changes, each stretch is transcribed in its own language."""

import json

import numpy as np
import pytest

from processors.contract import NotReady, Progress
from processors.whisper import TranscribeOptions, Whisper, WhisperOptions, job
from processors.whisper.audio import parts, reader, vad
from processors.whisper.audio.vad import Span
from processors.whisper.speakers.samples import VoiceSamples
from processors.whisper.track import interleaving, languages, review, transcript
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


def test_engine_with_its_own_language_detection_gets_each_window():
    found = languages.stretches(SPOKEN, 60.0, guess(*[(None, None)] * 4), None)
    assert [(each.start, each.language) for each in found] == [(0.0, None), (12.5, None), (27.0, None), (43.5, None)]


class Engine:
    """Writes only the language it was given, and records its requests."""

    name, device_name, is_elsewhere, knows_english_only, made_by = "fake", "cpu", False, False, {}

    def __init__(self, *guesses, hears=None):
        self._guesses, self._hears, self.asked, self.among = list(guesses), hears, [], []

    def detect_language(self, samples, among=()):
        self.among.append(among)
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


# ---------------------------------------------------------------------------------------------- per part


@pytest.fixture
def two_parts(talk, monkeypatch):
    monkeypatch.setattr(parts, "PART_SECONDS", 14.0)
    monkeypatch.setattr(parts, "CUT_SECONDS", 2.0)
    monkeypatch.setattr(languages, "_CHANGE_SECONDS", 2.0)
    return talk


@pytest.mark.parametrize(
    ("second", "language", "is_reported"),
    [(("de", 0.95), "de", False), (("de", 0.6), "en", True), (("en", 0.4), "en", False)],
)
def test_later_part_changes_the_language_only_if_it_is_probable(two_parts, second, language, is_reported):
    engine = Engine(("en", 0.98), second)
    found = transcribe(engine, two_parts)
    assert [question.language for question in engine.asked] == ["en", language]
    assert [(part.language, part.probability) for part in found.language_parts] == [("en", 0.98), second]
    assert [part.at_seconds for part in found.language_parts] == [0.0, pytest.approx(13, abs=1)]
    assert found.facts()["language_parts"][1]["language"] == second[0]
    assert ("speak another language (German) at 0:1" in " ".join(review.reasons(found, TranscribeOptions()))) == (
        is_reported
    )


def test_part_with_little_speech_keeps_the_language(two_parts, monkeypatch):
    monkeypatch.setattr(languages, "_CHANGE_SECONDS", 60.0)
    engine = Engine(("en", 0.98))
    assert transcribe(engine, two_parts).language == "en" and len(engine.among) == 1


def test_unsure_detection_looks_at_later_speech():
    guesses = {0.0: ("cy", 0.3), 31.0: ("en", 0.4), 62.0: ("en", 0.9)}
    assert languages.detect_first(list(guesses), guesses.__getitem__) == ("en", 0.9)
    assert languages.detect_first([62.0, 0.0], guesses.__getitem__) == ("en", 0.9)
    assert languages.detect_first([0.0], lambda start: (None, None)) == (None, None)
    spans = [vad.Span(1, 20), vad.Span(25, 29), vad.Span(40, 50), vad.Span(80, 81)]
    assert languages.probe_starts(1.0, spans) == [1.0, 40, 80]


def test_languages_limit_the_detection(talk):
    engine = Engine(("fr", 0.7))
    assert transcribe(engine, talk, languages=["French", "en"]).language == "fr"
    assert engine.among == [("fr", "en")]
    only = Engine()
    assert transcribe(only, talk, languages="de").language == "de" and only.among == []


def test_detected_language_outside_of_languages_is_reported(talk):
    found = transcribe(Engine((None, None), hears="cy"), talk, languages=["fr", "en"])
    assert "detected the language Welsh, which is not one of `languages`" in " ".join(
        review.reasons(found, TranscribeOptions(languages=["fr", "en"]))
    )


def test_guess_from_little_speech_is_reported(tmp_path):
    brief = write_wav(tmp_path / "brief.wav", read_sound("LJ001-0002.mp3"))
    found = transcribe(Engine(("cy", 0.7)), brief)
    reasons = " ".join(review.reasons(found, TranscribeOptions()))
    assert "The language is a guess from 1." in reasons and "Welsh (70%)" in reasons
    assert "guess" not in " ".join(review.reasons(transcribe(Engine(("cy", 0.9)), brief), TranscribeOptions()))


@pytest.mark.parametrize("wrong", [{"languages": ["xx"]}, {"languages": ["en", "fr"], "language": "en"}])
def test_impossible_languages_are_refused(wrong):
    with pytest.raises(ValueError, match="unknown language 'xx'|leave one of them out"):
        TranscribeOptions(**wrong)


@pytest.mark.parametrize(
    ("logprob", "spoken", "tag", "reason"),
    [
        (-0.3, 9.0, None, ""),
        (-0.3, 9.0, "en", ""),
        (-0.9, 9.0, None, "unsure of most words"),
        (-0.9, 2.0, None, ""),
        (-2.8, 2.0, None, "unsure of most words"),
        (-0.3, 9.0, "de", "the file says German"),
    ],
)
def test_english_only_model_reports_other_speech(logprob, spoken, tag, reason):
    segment = Segment(start=0.0, end=4.0, text=" Some words.", avg_logprob=logprob)
    found = transcript.Transcript(
        segments=(segment,),
        language="en",
        seconds=4.0,
        spoken_seconds=spoken,
        model_knows_english_only=True,
        track_language=tag,
    )
    reasons = [each for each in review.reasons(found, TranscribeOptions()) if "only English" in each]
    assert bool(reasons) == bool(reason) and reason in " ".join(reasons)


@pytest.mark.parametrize(("languages_", "is_ready"), [(["en", "fr"], True), (["fr", "de"], False), ([], True)])
def test_english_only_model_needs_english_among_the_languages(tmp_path, languages_, is_ready):
    plan = Whisper.plan(WhisperOptions(model="tiny.en"), TranscribeOptions(languages=languages_), tmp_path)
    assert isinstance(plan, NotReady) != is_ready


# ---------------------------------------------------------------------------------------------- translation beside it


class Interpreter(Engine):
    """Names the task, too."""

    takes_more_jobs = False

    def transcribe(self, question):
        yield [question]
        self.asked.append(question)
        text = f" {question.options.task} from {question.language}."
        return PartResult(segments=[Segment(start=0.0, end=5.0, text=text)], language=self._hears)

    def run(self, tasks, more=tuple):
        nothing = [PartResult(segments=[])]
        return interleaving.run(tasks, lambda requests: dict.fromkeys(requests, nothing), more)


@pytest.mark.parametrize(("guess", "has_translation"), [(("de", 0.9), True), (("en", 0.9), False)])
def test_translation_is_written_beside_the_transcript(talk, tmp_path, make_work, guess, has_translation):
    (tmp_path / "outputs").mkdir()
    engine, reports = Interpreter(guess), []
    work = make_work(talk, tmp_path / "outputs", task="both", formats=["srt", "txt"])
    detector = vad.Detector()
    samples = VoiceSamples(detector)
    models = job.Models(engine=engine, detector=detector, load_encoder=lambda: None, voice_samples=samples)
    ((_, finished),) = engine.run([job.transcribe(work, models, Progress(reports.append))])
    translated = ("talk.en.srt", "talk.en.txt") if has_translation else ()
    assert finished.files == ("talk.srt", "talk.txt", *translated)
    assert f"transcribe from {guess[0]}" in (work.outputs / "talk.srt").read_text()
    if has_translation:
        assert "translate from de" in (work.outputs / "talk.en.srt").read_text()
        assert len(engine.among) == 1  # the language is detected once
    done = [report.done for report in reports]
    assert done == sorted(done)
