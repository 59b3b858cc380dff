"""Reasons to check a transcript; pure, so segments are written by hand here."""

import math
from dataclasses import replace

import pytest

from processors.whisper import TranscribeOptions
from processors.whisper.audio import steady
from processors.whisper.audio.reader import Interval
from processors.whisper.track import review
from processors.whisper.track.segment import Segment
from processors.whisper.track.transcript import Transcript


def a_segment(text: str = " Good morning.", start: float = 0.0, **fields: object) -> Segment:
    sure = {"compression_ratio": 1.2, "avg_logprob": -0.3, "no_speech_prob": 0.05, "temperature": 0.0}
    return Segment(**{"text": text, "start": start, "end": start + 3, "seek": 0, **sure, **fields})


def reasons(*segments: Segment, **fields: object) -> str:
    found = {"segments": segments or (a_segment(),), "language": "en", "seconds": 60.0} | fields
    return " ".join(review.reasons(Transcript(**found), TranscribeOptions()))


def test_good_speech_has_no_reasons():
    assert reasons(declared_seconds=60.0, language_probability=0.97) == ""


def test_truncated_file_is_reported_with_both_durations():
    assert "1:40 of sound, but inboxd could read only 1:00" in reasons(declared_seconds=100.0)


def test_padding_of_an_encoder_is_not_truncation():
    assert reasons(declared_seconds=60.1) == ""


def test_gaps_are_reported_with_their_times():
    assert "could not read 2.5 s, at 1:05" in reasons(gaps=(Interval(at_seconds=65, seconds=2.5),), seconds=90)


def test_gap_shorter_than_any_word_is_not_reported():
    assert reasons(gaps=(Interval(at_seconds=65, seconds=0.03),), seconds=90) == ""


def test_rest_that_cannot_be_read_is_reported():
    assert "The file continues after 1:30 with another recording" in reasons(ends_unread=True, seconds=90)


def test_sound_with_fewer_samples_than_a_telephone_is_reported():
    assert "only 4000 samples per second" in reasons(rate_hz=4000)
    assert reasons(rate_hz=8000) == "" and reasons(rate_hz=0) == ""


def test_nan_samples_are_counted():
    assert "48000 samples that were not numbers" in reasons(not_numbers=48_000)
    assert "1 sample that was not a number" in reasons(not_numbers=1) and reasons(not_numbers=0) == ""


@pytest.mark.parametrize("number", [math.nan, -math.inf])
def test_nan_probability_is_a_reason(number):
    assert "The text of 0:00-0:03 is uncertain" in reasons(a_segment(avg_logprob=number))
    found = {"segments": (a_segment(avg_logprob=number),), "language": "en", "seconds": 60.0}
    (said,) = review.reasons(Transcript(**found), TranscribeOptions(logprob_threshold=None))
    assert said.startswith("The text of 0:00-0:03 is uncertain")


def test_language_with_nan_probability_is_a_guess():
    assert "The language is a guess: English." in reasons(language_probability=math.nan)


def test_offset_and_tones_are_reported():
    tones = (steady.Tone(hertz=1000.04, start=3.0, end=9.5), steady.Tone(hertz=150.0, start=2.0, end=9.5))
    said = reasons(faults=steady.Faults(offset=-0.6, offset_seconds=11.0, tones=tones))
    assert "constant offset of up to 60% of full scale" in said
    assert "A steady tone (150, 1000 Hz) covers the sound at 0:02-0:10; inboxd removed it. Listen there." in said


def test_punctuation_alone_does_not_count_as_speech():
    assert reasons(a_segment(" ."), a_segment(" …", 5)) == "No speech was found."


def test_other_tracks_and_channels_are_suggested_without_speech():
    empty = {"segments": (), "language": None, "seconds": 60.0}
    assert "only sound track 1 of 2" in reasons(**empty, tracks=2)
    hidden = {2: (Interval(at_seconds=3.0, seconds=5.0),), 4: (Interval(at_seconds=7.0, seconds=2.0),)}
    said = reasons(**empty, channels=8, hidden=hidden)
    assert "channel 2 for 5 s, at 0:03, where the mix of the 8 channels has no text: set `channel = 2`" in said
    assert "channel 4 for 2 s, at 0:07" in said
    assert reasons(**empty, channels=2) == "No speech was found."
    behind = TranscribeOptions(clip_timestamps="70,80")
    assert "ends at 1:00, before the first clip" in " ".join(review.reasons(Transcript(**empty), behind))


def test_speech_found_by_the_detector_is_not_doubted():
    unsure = a_segment(no_speech_prob=0.8)
    assert "Perhaps nobody speaks at 0:00" in reasons(unsure)
    assert "Perhaps nobody speaks at 0:00" in reasons(replace(unsure, speech_seconds=0.4))
    assert reasons(replace(unsure, speech_seconds=2.0)) == ""


def test_speech_without_text_is_reported_with_its_times():
    passed_over = (Interval(at_seconds=11.0, seconds=17.0), Interval(at_seconds=62.0, seconds=5.0))
    said = reasons(passed_over=passed_over)
    assert "no words were recognized for 22 s, at 0:11, 1:02. If that is another language, set" in said
    assert reasons(a_segment(" ."), passed_over=passed_over).startswith("No speech was found. Somebody seems to speak")


def test_improbable_language_is_reported():
    assert "German (41%)" in reasons(language="de", language_probability=0.41)


def test_loop_within_a_window_is_reported_with_its_time():
    assert "repeats itself at 0:30" in reasons(a_segment(), a_segment(" no" * 99, 30, compression_ratio=9.0))


def test_repeated_short_segments_are_a_loop():
    assert "repeats itself at 0:10" in reasons(*(a_segment(" Thank you.", 10 + 2 * i) for i in range(4)))
    assert reasons(*(a_segment(" Thank you.", 10 + 2 * i) for i in range(3))) == ""


def test_uncertain_words_are_reported_with_their_time():
    assert "text of 0:07-0:10 is uncertain" in reasons(a_segment(), a_segment(start=7, seek=700, avg_logprob=-1.4))


def window(tokens: int, avg_logprob: float, start: float = 0.0, **fields: object) -> Segment:
    words = "".join(f" {number}" for number in range(tokens))
    return a_segment(
        words, start, seek=round(start * 100), tokens=tuple(range(tokens)), avg_logprob=avg_logprob, **fields
    )


@pytest.mark.parametrize(
    ("tokens", "avg_logprob", "is_reported"),
    [(80, -0.45, False), (80, -0.6, True), (20, -0.6, False), (20, -0.7, True), (3, -0.95, False)],
)
def test_many_improbable_words_are_uncertain(tokens: int, avg_logprob: float, is_reported: bool):
    """A few words vary more."""
    said = reasons(window(tokens, avg_logprob, end=20.0, compression_ratio=1.5))
    assert ("The text of 0:00-0:20 is uncertain" in said) == is_reported


def test_uncertain_windows_after_one_another_are_one_stretch():
    windows = [window(80, -0.8, start, end=start + 10) for start in (10, 20, 30, 70)]
    assert "The text of 0:10-0:40, 1:10-1:20 is uncertain" in reasons(window(80, -0.3, 0, end=10), *windows)


def test_translation_may_be_less_probable():
    segment = window(80, -0.8, end=20.0)
    found = {"segments": (segment,), "language": "en", "seconds": 60.0}
    assert review.reasons(Transcript(**found), TranscribeOptions(task="translate")) == ()


@pytest.mark.parametrize(
    ("seconds", "avg_logprob", "is_reported"),
    [(3.0, -0.45, True), (3.0, -0.35, False), (6.0, -0.45, False), (1.0, -0.45, False), (None, -0.45, False)],
)
def test_speech_faster_than_the_model_follows_is_reported(seconds: float | None, avg_logprob: float, is_reported: bool):
    """Speech of a second or less does not count, because its limits are inexact, nor do probable words."""
    text = " We're just, you know, there's these errors." * 2
    found = reasons(a_segment(text, start=61.0, speech_seconds=seconds, avg_logprob=avg_logprob))
    assert ("very fast, at 1:01" in found) == is_reported


@pytest.mark.parametrize(
    ("text", "seconds", "is_reported"),
    [
        (" The earliest book printed with movable types, the Gutenberg, or 42-line Bible of about", 14.9, True),
        (" The earliest book printed with movable types, the Gutenberg, or 42-line Bible of about", 8.5, False),
        (" Yes, of course.", 6.0, False),
        ("\u3053\u308c\u306f\u30c6\u30b9\u30c8\u3067\u3059" * 4, 9.0, False),
    ],
    ids=["hidden-speaker", "slow", "short", "Japanese"],
)
def test_text_that_is_short_for_its_speech_is_reported(text: str, seconds: float, is_reported: bool):
    found = reasons(a_segment(text, start=5.0, end=5.0 + seconds, speech_seconds=seconds))
    assert ("The text at 0:05 is short for so much speech" in found) == is_reported


def test_mostly_doubtful_text_may_be_invented():
    assert "may be invented" in reasons(a_segment(no_speech_prob=0.9))


def test_one_doubtful_word_in_clear_speech_causes_no_review():
    assert reasons(a_segment(" A long and certain sentence."), a_segment(" Yes.", 5, no_speech_prob=0.9)) == ""


def test_many_places_are_not_all_listed():
    said = reasons(*(a_segment(f" {i}", 60 * i, seek=6000 * i, avg_logprob=-2) for i in range(9)))
    assert "text of 0:00-0:03, 1:00-1:03, 2:00-2:03, 3:00-3:03, 4:00-4:03 and 4 more places is uncertain" in said
