"""Hallucinations: found in the text, decoded again, and reported to a person if they remain."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import whisper as openai_whisper
from whisper.decoding import DecodingResult
from whisper.tokenizer import get_tokenizer

from processors.whisper import TranscribeOptions
from processors.whisper.audio import vad
from processors.whisper.engines import exact
from processors.whisper.track import hallucinations, interleaving
from processors.whisper.track.engine import PartRequest
from processors.whisper.track.segment import Segment
from tests.unit.processors.whisper.test_review import a_segment, reasons

UNSAYABLE = "Of all the many things which a person may care to write down here, none could be spoken so quickly. " * 2
TOKENS = get_tokenizer(False)


@pytest.mark.parametrize("text", ["no no no no no", "so it goes on and " * 5, "Thank you. " * 7])
def test_words_repeated_over_and_over_are_a_loop(text):
    assert hallucinations.is_loop(text) and hallucinations.window_problem(text, 30.0)


@pytest.mark.parametrize("text", ["no no no no", "ask not what your country can do, ask what you can do", ""])
def test_emphasis_and_rhetoric_are_not_a_loop(text):
    assert not hallucinations.is_loop(text) and hallucinations.window_problem(text, 30.0) is None


JAPANESE_LOOP = "それではまた次回お会いしましょう。" * 5


@pytest.mark.parametrize("text", [JAPANESE_LOOP, "谢谢大家" * 5, "สวัสดีครับ" * 6, "ご視聴、" * 6])
def test_loops_are_found_in_scripts_without_spaces(text):
    assert hallucinations.is_loop(text)


@pytest.mark.parametrize("text", ["ははははは、ああああ", "そうですそうです、はいはいはい", "雨が、雨が降る"])
def test_laughter_in_scripts_without_spaces_is_not_a_loop(text):
    assert not hallucinations.is_loop(text) and not hallucinations.ends_twice(text)


def test_repeated_end_is_found_in_scripts_without_spaces():
    assert hallucinations.ends_twice("駅に着いたら、次の電車は九時です次の電車は九時です")


@pytest.mark.parametrize("text", ["as he behaved, as he behaved", "He said: give it to me give it to me"])
def test_repeated_end_is_found(text):
    assert hallucinations.ends_twice(text)


@pytest.mark.parametrize("text", ["", "oh no, oh no", "ask not what you can, ask what you can", "a b c d a b c"])
def test_emphasis_at_the_end_is_not_a_repetition(text):
    assert not hallucinations.ends_twice(text)


def test_too_many_words_for_the_time_are_impossible():
    assert hallucinations.window_problem(UNSAYABLE, 1.0) and hallucinations.window_problem(
        "a b c d e f g h i j k l m n", 1.0
    )
    assert hallucinations.window_problem(UNSAYABLE, 15.0) is None


def test_polite_phrases_are_hallucinations_at_the_end_without_speech_only():
    assert hallucinations.is_known_hallucination(" Thank you.", 5.0, 0.4, is_last=True)
    assert not hallucinations.is_known_hallucination(" Thank you.", 0.8, 0.7, is_last=True)
    assert hallucinations.is_known_hallucination(
        " Thank you.", 0.62, 0.24, is_last=True
    )  # the padding after the last word is no speech
    assert not hallucinations.is_known_hallucination(" Thank you.", 5.0, 0.4, is_last=False)
    assert not hallucinations.is_known_hallucination(" Thank you for the bread.", 5.0, 0.4, is_last=True)


def test_hallucinations_are_reported_with_their_times():
    credit = a_segment(" Subtitles by the Amara.org community", 65)
    assert 'often invents text such as that at 1:05: "Subtitles by' in reasons(a_segment(), credit)
    assert "invents" not in reasons(a_segment(), a_segment(" Thank you.", 65, speech_seconds=2.5))
    assert "often invents text" in reasons(a_segment(), a_segment(" Thank you.", 65, speech_seconds=0.1))


def test_dropped_text_is_reported_with_its_time():
    assert "omitted text where nobody speaks, at 1:05" in reasons(dropped=(a_segment(" Thank you.", 65),))


# ---------------------------------------------------------------------------------------------- decoded again


class Model:
    """As much of a model as the seek loop uses."""

    device, is_multilingual, num_languages = torch.device("cpu"), False, 99
    dims = openai_whisper.ModelDimensions(80, 1500, 384, 6, 4, 51864, 448, 384, 6, 4)


def run(
    *texts: str,
    spoken: tuple[vad.Span, ...],
    seconds: float = 20.0,
    clips: tuple[tuple[int, int], ...] = (),
    report: Callable[[float], None] = lambda seconds: None,
) -> tuple[list[Segment], list[float]]:
    """Exact mode where windows decode to these texts, in turn; its segments, and the temperatures it requests."""
    temperatures = []

    def answer(requests):
        ((window,),) = requests.values()
        text = texts[min(len(temperatures), len(texts) - 1)]
        temperatures.append(window.options.temperature)
        first = TOKENS.timestamp_begin
        result = DecodingResult(
            audio_features=window.mel,
            language="en",
            tokens=[first, *TOKENS.encode(" " + text), first + round(50 * seconds)],
            text=text,
            avg_logprob=-0.2 - len(temperatures) / 100,
            no_speech_prob=0.0,
            temperature=window.options.temperature,
            compression_ratio=1.1,
        )
        return {0: [result]}

    samples = np.zeros(round(seconds * 16_000), np.float32)
    options = TranscribeOptions(beam_size=None, best_of=None)
    request = PartRequest(samples=samples, spoken=spoken, language="en", prompt=None, options=options, report=report)
    loop = exact.seek_loop(Model(), request, "en", clips)
    ((_, segments),) = interleaving.run([loop.run()], answer)
    return segments, temperatures


def test_impossible_window_is_decoded_again_at_a_higher_temperature():
    segments, asked = run(UNSAYABLE, "Good morning.", spoken=(vad.Span(3, 4),))
    assert asked == [0.0, 0.2] and [segment.text for segment in segments] == [" Good morning."]


def test_window_that_stays_impossible_keeps_its_compression_ratio():
    segments, asked = run(UNSAYABLE, spoken=(vad.Span(3, 4),))
    assert len(asked) == 6 and {segment.compression_ratio for segment in segments} == {1.1}


def test_hallucination_at_all_temperatures_keeps_the_first_text():
    segments, asked = run("Thank you.", spoken=(vad.Span(3, 4),))
    assert len(asked) == 6 and [segment.temperature for segment in segments] == [0.0]


def test_possible_text_is_decoded_once():
    assert run("Good morning.", spoken=(vad.Span(3, 4),))[1] == [0.0]


def test_silent_window_is_not_decoded():
    segments, asked = run("Good morning.", spoken=(vad.Span(61, 62),), seconds=70.0)
    assert asked == [0.0] and segments[0].seek == 6000


def test_windows_of_clips_are_judged_where_they_are():
    reported = []
    clips = ((500, 1000), (4000, 5000))
    segments, asked = run(
        "Good morning.", spoken=(vad.Span(41, 42),), seconds=60.0, clips=clips, report=reported.append
    )
    assert asked == [0.0] and segments[0].seek == 4000 and reported == [5.0, 40.0]
