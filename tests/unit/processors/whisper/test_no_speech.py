"""The detector finds a voice and the model writes nothing: reported as no speech, and nothing else is lost."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from whisper.model import ModelDimensions
from whisper.model import Whisper as Model

from processors import wellformed
from processors.contract import BadInput, FailureKind, Progress
from processors.whisper import TranscribeOptions, Whisper, WhisperOptions
from processors.whisper.audio import parts, vad
from processors.whisper.audio.clock import Clock
from processors.whisper.track import interleaving
from processors.whisper.track.engine import PartRequest, PartResult
from processors.whisper.track.segment import Segment, Word
from processors.whisper.track.transcriber import TrackTranscriber
from tests.unit.processors.whisper.test_whisper import SAMPLES, read_sound, words, write_wav

NOTHING = ("No speech was found.",)
A_FIFTH = slice(6_400, 9_600)  # of a second of Kennedy: the detector finds a voice, tiny.en writes nothing
EVERY_FORMAT = ("txt", "srt", "vtt", "tsv", "json", "md")


@pytest.mark.parametrize("beams", [{}, {"beam_size": 5, "best_of": 2}], ids=["greedy", "beams"])
@pytest.mark.parametrize("way", ["exact", "fast"])
@pytest.mark.parametrize("word_timestamps", [False, True])
def test_fifth_of_a_second_contains_no_speech(transcribe, tmp_path, way, beams, word_timestamps):
    source = write_wav(tmp_path / "short.wav", read_sound("jfk.flac")[A_FIFTH])
    found = transcribe(source, way=way, word_timestamps=word_timestamps, formats=EVERY_FORMAT, **beams)
    assert found.finished.review == NOTHING and found.json()["segments"] == []
    assert len(found.finished.files) == len(EVERY_FORMAT)


@pytest.mark.parametrize("way", ["exact", "fast"])
def test_clip_without_text_leaves_the_others(transcribe, way):
    found = transcribe("jfk.flac", way=way, clip_timestamps="0.4,0.6,1,11")
    assert words(found.text).endswith(words("ask what you can do for your country")) and found.finished.review == ()


@pytest.mark.parametrize("way", ["exact", "fast"])
def test_clips_outside_the_file_contain_no_speech(transcribe, way):
    found = transcribe("jfk.flac", way=way, clip_timestamps="2.00001,2.00002,20,30,400")
    assert found.finished.review == NOTHING


@pytest.mark.parametrize("way", ["exact", "fast"])
def test_silent_channel_leaves_the_other(transcribe, tmp_path, way):
    kennedy = read_sound("jfk.flac")
    other = np.zeros_like(kennedy)
    other[A_FIFTH] = kennedy[A_FIFTH]  # a breath, say
    source = write_wav(tmp_path / "call.wav", np.stack([kennedy, other], 1).ravel(), channels=2)
    found = transcribe(source, way=way, channel="each", clip_timestamps="0.4,0.6,0.7,11")
    assert {segment["channel"] for segment in found.json()["segments"]} == {1}
    assert words(found.text).endswith(words("what you can do for your country"))


@pytest.mark.parametrize("way", ["exact", "fast"])
@pytest.mark.parametrize("vad", [True, False])
@pytest.mark.parametrize("samples", [1, 15, 160, 201])
def test_sound_of_a_few_samples_contains_no_speech(transcribe, tmp_path, samples, way, vad):
    if way == "fast" and not vad:
        pytest.skip("fast needs the detector")
    source = write_wav(tmp_path / "click.wav", np.full(samples, 0.5, np.float32))
    assert transcribe(source, way=way, vad=vad, word_timestamps=True).finished.review == NOTHING


def test_sound_without_samples_is_refused(transcribe, tmp_path):
    with pytest.raises(BadInput, match="No sound could be decoded"):
        transcribe(write_wav(tmp_path / "empty.wav", np.zeros(0, np.float32)))


# ---------------------------------------------------------------------------------------------- every engine


class Scripted:
    """An engine that returns given segments, part by part."""

    name, device_name, is_elsewhere, made_by, takes_more_jobs = "scripted", "here", False, {}, False
    knows_english_only = False

    def __init__(self, *answers: list[Segment], language: str | None = None, probability: float | None = None):
        self._answers, self._language = list(answers), (language, probability)

    def detect_language(self, samples: np.ndarray, among: Sequence[str] = ()) -> tuple[str | None, float | None]:
        return self._language

    def transcribe(self, request: PartRequest):
        yield request
        return PartResult(segments=self._answers.pop(0))


class GivenSpeech(vad.Detector):
    """A detector that finds speech everywhere, or in given spans."""

    def __init__(self, *spans: vad.Span):
        self._spans = spans

    def spans(self, sound: np.ndarray) -> list[vad.Span]:
        return list(self._spans) or [vad.Span(0.0, len(sound) / 16_000)]


def a_segment(text: str, start: float, end: float, **more: object) -> Segment:
    return Segment(**{"seek": 0, "start": start, "end": end, "text": text, "avg_logprob": -0.1} | more)


def transcribe_scripted(
    engine: Scripted, seconds: float = 4.0, detector: vad.Detector | None = None, **options: object
):
    class Track:
        decoded_seconds, declared_seconds, gaps, tracks, channels, not_numbers = seconds, None, [], 1, 1, 0
        exceeds_header, lacks_end, ends_unread, clock, opposite_seconds = False, False, False, Clock("wav", 0.0), 0.0
        number, label, language, rate_hz = 1, "", None, 16_000

        def blocks(self):
            noise = np.random.default_rng(1).standard_normal(round(seconds * 16_000)) * 0.1
            yield parts.Block(0, noise.astype(np.float32))

    given = TranscribeOptions(language=options.pop("language", "en"), **options)
    job = TrackTranscriber(engine, detector or GivenSpeech(), given, lambda seconds: None).transcribe(Track())
    ((_, found),) = interleaving.run([job], lambda requests: requests)
    return found


@pytest.mark.parametrize("way", ["exact", "fast"])
@pytest.mark.parametrize("channel", ["mix", "each"])
@pytest.mark.parametrize("text", [None, "", " ", "\n"])
def test_engine_without_text_results_in_no_speech(way, channel, text):
    segments = [] if text is None else [a_segment(text, 0.0, 4.0)]
    found = transcribe_scripted(Scripted(segments), way=way, channel=channel)
    assert (found.segments, found.dropped, found.has_words) == ((), (), False)
    assert [gap.seconds for gap in found.passed_over] == [4.0]  # where somebody seems to speak


def test_clip_whose_text_is_dropped_leaves_the_others():
    clips = [[a_segment("More text than anybody can say. " * 40, 0.0, 1.0)], [], [a_segment("Good morning.", 0.0, 1.0)]]
    found = transcribe_scripted(Scripted(*clips), clip_timestamps="0,1,1.5,2,2.5,4")
    assert found.text == "Good morning." and len(found.dropped) == 1


def test_stretch_without_samples_is_skipped():
    track = TrackTranscriber(Scripted(), GivenSpeech(), TranscribeOptions(), lambda seconds: None)
    empty = parts.Part(at_seconds=1.0, samples=np.zeros(0, np.float32))
    assert list(track._transcribe_part(empty, [vad.Span(0.0, 0.0)])) == [] and track._segments == []


@pytest.mark.parametrize("text", ["inf", "nan", f"{'9' * 400}:00:01", "1:2"])
def test_declared_duration_must_be_finite(text):
    from processors.whisper.audio.duration import _clock_seconds

    assert _clock_seconds(f"00:00:{text}") is None


def test_nan_and_infinity_are_null_in_json(tmp_path):
    from processors.whisper.track import transcript

    words = (Word(word=" Good", start=0.0, end=1.0, probability=float("nan")),)
    segment = a_segment(" Good", 0.0, 1.0, avg_logprob=float("nan"), no_speech_prob=float("inf"), words=words)
    found = transcribe_scripted(Scripted([segment], language="en", probability=float("nan")), language=None)
    transcript.write(found, tmp_path, "talk", TranscribeOptions(formats=("json",)))
    written = json.loads((tmp_path / "talk.json").read_text(), parse_constant=wellformed.refuse_constant)
    (kept,) = written["segments"]
    assert (kept["avg_logprob"], kept["no_speech_prob"], kept["words"][0]["probability"]) == (None, None, None)
    assert written["language_probability"] is None


@pytest.fixture(scope="module")
def broken(tmp_path_factory) -> Whisper:
    """A small random model with weights that are NaN."""
    dims = ModelDimensions(  # as small as possible, with the vocabulary of an English model
        n_mels=80, n_audio_ctx=1500, n_audio_state=64, n_audio_head=1, n_audio_layer=1,
        n_vocab=51864, n_text_ctx=32, n_text_state=64, n_text_head=1, n_text_layer=1,
    )  # fmt: skip
    weights = Model(dims).state_dict()
    weights["decoder.ln.weight"].fill_(float("nan"))
    path = tmp_path_factory.mktemp("models") / "broken.pt"
    torch.save({"dims": vars(dims), "model_state_dict": weights}, path)
    whisper = Whisper()
    options = WhisperOptions(model=str(path), device="cpu", threads=1)
    whisper.load(options, path.parent, Progress(lambda message: None))
    return whisper


@pytest.mark.parametrize("choices", [{"temperature": 0.4}, {"beam_size": 3}, {}], ids=["sampled", "beams", "greedy"])
@pytest.mark.parametrize("way", ["exact", "fast"])
def test_model_that_computes_nan_fails_the_job(broken, make_work, tmp_path, way, choices):
    work = make_work(SAMPLES / "LJ001-0002.mp3", tmp_path, way=way, **choices)
    ((_, outcome),) = broken.process([work], Progress(lambda message: None))
    assert outcome.kind is FailureKind.ERROR and "probabilities are NaN" in outcome.message


def test_header_with_too_many_channels_results_in_no_speech(transcribe, tmp_path):
    source = write_wav(tmp_path / "many.wav", read_sound("LJ001-0002.mp3")[:4000])
    content = bytearray(source.read_bytes())
    content[22] = 248  # the number of channels (RIFF, "fmt "), as a broken header has it
    source.write_bytes(content)
    assert transcribe(source).json()["segments"] == []
