"""The seek loop gives the segments of the pinned `whisper.transcribe`, alone and interleaved with others."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import encoded_once
import numpy as np
import pytest
import torch
import whisper as openai_whisper
from whisper.audio import N_SAMPLES, log_mel_spectrogram
from whisper.decoding import DecodingOptions, DecodingResult
from whisper.model import Whisper

from processors.whisper import TranscribeOptions
from processors.whisper.engines.seek_loop import SeekLoop
from processors.whisper.engines.window import Window
from processors.whisper.track import interleaving
from processors.whisper.track.segment import Segment
from tests.unit.processors.whisper.test_whisper import read_sound

GREEDY = {"beam_size": None, "best_of": None}
COLD = {**GREEDY, "temperature": 0.0}
TIMED = {**COLD, "word_timestamps": True}
CASES = {  # name: sound and options
    "greedy": ("speech", COLD),
    "beams": ("sentence", {"beam_size": 3, "patience": 1.5, "length_penalty": 0.5, "temperature": 0.0}),
    "fallback": ("sentence", {**GREEDY, "best_of": 2, "temperature": (0.0, 0.4), "logprob_threshold": -0.15}),
    "repetitive": ("speech", {**GREEDY, "temperature": (0.0, 0.8), "compression_ratio_threshold": 1.2}),
    "prompt": ("speech", {**COLD, "initial_prompt": " Of books and printing. "}),
    "prompt before each window": ("speech", {**COLD, "initial_prompt": "Printing.", "carry_initial_prompt": True}),
    "without the text before": ("speech", {**COLD, "condition_on_previous_text": False}),
    "clips": ("speech", {**TIMED, "clip_timestamps": (1.0, 9.5, 12.0, 20.0, 26.0)}),
    "skipped silence": ("speech", {**TIMED, "hallucination_silence_threshold": 1.0}),
    "silence": ("noise", {**GREEDY, "temperature": (0.0, 0.2), "no_speech_threshold": 0.2}),
    "words": ("noise", {**TIMED, "logprob_threshold": None, "no_speech_threshold": None}),
    "hallucinations": ("noise", {**TIMED, "hallucination_silence_threshold": 0.5, "no_speech_threshold": None}),
    "short": ("short", TIMED),
    "sentence": ("sentence", COLD),
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Sums of several threads differ in their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model(models) -> Whisper:
    """tiny.en, which encodes and decodes each window once with the same options, because most windows recur."""
    loaded = openai_whisper.load_model(str(models / "whisper" / "tiny.en.pt"), device="cpu")
    loaded.encoder.forward = encoded_once.once(loaded.encoder.forward)
    decode, saved = loaded.decode, dict[tuple[bytes, str], DecodingResult]()

    @torch.no_grad()
    def decode_once(window: torch.Tensor, options: DecodingOptions) -> DecodingResult:
        """window: a spectrogram, or the encoder's output."""
        features = window if window.shape[0] == loaded.dims.n_audio_ctx else loaded.embed_audio(window[None])[0]
        key = encoded_once.digest(features), repr(options)
        if key not in saved:
            saved[key] = decode(features, options)
        return replace(saved[key], tokens=[*saved[key].tokens])

    loaded.decode = decode_once
    return loaded


@pytest.fixture(scope="module")
def sounds() -> dict[str, np.ndarray]:
    talk = [(read_sound("jfk.flac"), 5), (read_sound("LJ001-0004.flac"), 7), (read_sound("LJ001-0002.mp3"), 2)]
    noise = np.random.default_rng(7).standard_normal(16_000 * 22).astype(np.float32) * 0.003
    return {
        "speech": np.concatenate([np.pad(sound, (0, 16_000 * pause)) for sound, pause in talk]),  # 34 s: two windows
        "noise": np.concatenate([read_sound("LJ001-0004.flac"), noise, read_sound("LJ001-0002.mp3"), noise[:80_000]]),
        "short": read_sound("LJ001-0008.8k.wav"),
        "sentence": read_sound("LJ001-0004.flac"),
    }


@pytest.fixture(scope="module")
def wanted(model, sounds) -> Callable[[str], list[dict]]:
    """The segments of `whisper.transcribe` in a case."""

    @cache
    def wanted(case: str) -> list[dict]:
        sound, options = CASES[case]
        options = {**options, "clip_timestamps": list(options.get("clip_timestamps", (0.0,)))}
        torch.manual_seed(1)  # so that samples above temperature 0 are the same
        return openai_whisper.transcribe(model, sounds[sound], fp16=False, language="en", **options)["segments"]

    return wanted


def a_loop(model: Whisper, sound: np.ndarray, given: dict) -> SeekLoop:
    options = TranscribeOptions(**given)
    mel = log_mel_spectrogram(torch.from_numpy(sound), model.dims.n_mels, padding=N_SAMPLES)
    clips = [(round(start * 100), round(min(end, 1e6) * 100)) for start, end in options.clips]
    chosen = {"language": "en", "precision": torch.float32, "prompt": options.initial_prompt, "clips": clips}
    return SeekLoop(model, mel, options, **chosen)


def run(model: Whisper, *loops: SeekLoop) -> list[list[Segment]]:
    """Run loops at once, on the package's own decoder, which also takes encoded windows."""

    def decode(window: Window) -> DecodingResult:
        return model.decode(window.mel if window.features is None else window.features, window.options)

    def answer(requests):
        return {number: [decode(window) for window in windows] for number, windows in requests.items()}

    ended = dict(interleaving.run([loop.run() for loop in loops], answer))
    return [ended[number] for number in range(len(loops))]


@pytest.mark.parametrize("case", CASES)
def test_segments_are_those_of_whisper(model, sounds, wanted, case):
    sound, options = CASES[case]
    wanted(case)  # first: it draws random numbers, too
    torch.manual_seed(1)
    (found,) = run(model, a_loop(model, sounds[sound], options))
    assert [segment.as_json() for segment in found] == wanted(case)
    assert any(segment.text for segment in found)


def test_interleaved_transcriptions_get_the_segments_each_gets_alone(model, sounds, wanted):
    cases = ("clips", "greedy", "short")
    found = run(model, *(a_loop(model, sounds[CASES[case][0]], CASES[case][1]) for case in cases))
    assert [[segment.as_json() for segment in each] for each in found] == [wanted(case) for case in cases]


@pytest.mark.parametrize(
    ("one", "other"), [("sentence", "beams"), ("sentence", "fallback"), ("greedy", "prompt"), ("greedy", "clips")]
)
def test_options_change_the_segments(wanted, one, other):
    """A negative control: the options have an effect."""
    assert wanted(one) != wanted(other)


def test_hallucinations_are_skipped(wanted):
    """A negative control."""
    assert [each["text"] for each in wanted("words")] != [each["text"] for each in wanted("hallucinations")]


def test_clip_that_ends_after_the_sound_ends_with_it(model, sounds, wanted):
    loop = a_loop(model, sounds["short"], {**TIMED, "clip_timestamps": (0.0, 99.0)})
    assert [segment.as_json() for segment in run(model, loop)[0]] == wanted("short")
