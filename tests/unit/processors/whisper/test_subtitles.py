"""Subtitles: two lines of 42, cut at phrases, shown long enough to read them, and never two at once."""

import random

import pytest

from processors.whisper import TranscribeOptions
from processors.whisper.track import subtitle_files
from processors.whisper.track.segment import Segment, Word
from processors.whisper.track.subtitles import (
    GAP_SECONDS,
    LONGEST_SECONDS,
    MAX_LINE,
    MAX_PER_SECOND,
    SHORTEST_SECONDS,
    cues,
    width,
    words_of,
)
from processors.whisper.track.transcript import Transcript, write

KENNEDY = (
    " And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country."
)


def a_segment(text: str, start: float, end: float, **more: object) -> Segment:
    return Segment(text=text, start=start, end=end, **more)


def with_words(text: str, start: float, seconds_per_word: float, pause_after: str = "", **more: object) -> Segment:
    words, at = [], start
    for word in text.split():
        words.append(Word(word=f" {word}", start=at, end=at + seconds_per_word, probability=1.0))
        at += seconds_per_word + (2.0 if word == pause_after else 0.0)
    return a_segment(f" {text}", start, at, words=tuple(words), **more)


def lines(*segments: Segment) -> list[tuple[str, ...]]:
    return [cue.text_lines for cue in cues(segments)]


def test_long_segment_is_cut_at_phrases():
    assert lines(a_segment(KENNEDY, 0, 10)) == [
        ("And so, my fellow Americans,", "ask not what your country can do for you,"),
        ("ask what you can do for your country.",),
    ]


def test_short_sentences_share_a_cue_and_long_ones_do_not():
    assert lines(a_segment(" Yes. No. Perhaps not.", 0, 3)) == [("Yes. No. Perhaps not.",)]
    both = " This sentence fills the first line well. This one comes after it."
    assert lines(a_segment(both, 0, 6)) == [
        ("This sentence fills the first line well.",),
        ("This one comes after it.",),
    ]


def test_no_subtitle_is_shown_while_nobody_speaks():
    """A segment of half a minute with a pause of twenty seconds, without the times of its words."""
    spoken = ((8.0, 9.9), (10.1, 12.0), (32.0, 35.0))
    found = cues([a_segment(" He waited for a long time. Then he left.", 0, 36, spoken=spoken)])
    assert [cue.text_lines for cue in found] == [("He waited for a long time.",), ("Then he left.",)]
    assert [(cue.start, cue.end) for cue in found] == [(8.0, 12.0), (32.0, 35.0)]


def test_words_of_a_segment_are_spread_over_its_speech():
    words = words_of(a_segment(" one two three four", 10, 30, spoken=((10.5, 12.0), (28.0, 29.5))))
    assert all(10 <= word.start <= word.end <= 12 or 28 <= word.start <= word.end <= 30 for word in words)
    assert [word.word for word in words] == [" one", " two", " three", " four"]
    alone = words_of(a_segment(" word", 0, 30, spoken=((1.0, 2.0), (20.0, 21.0), (28.0, 29.0))))
    assert [word.word for word in alone] == [" word"]


def test_who_speaks_on_another_channel_shortens_no_subtitle():
    found = cues([a_segment(KENNEDY, 0, 10, channel=1), a_segment(" Ah.", 1.7, 7, channel=2)])
    assert [cue.segment.channel for cue in found] == [1, 2, 1]
    assert all(cue.end - cue.start >= SHORTEST_SECONDS for cue in found)


def test_line_does_not_end_in_an_article():
    for cue in cues(
        [a_segment(" We walked along the river until the evening and found the old mill in the valley.", 0, 7)]
    ):
        assert not any(line.endswith((" the", " and", " in")) for line in cue.text_lines)


def test_pause_and_speaker_end_a_cue():
    talk = with_words("Good morning everybody here we go", 0.0, 0.3, pause_after="everybody")
    assert lines(talk) == [("Good morning everybody",), ("here we go",)]
    turns = [with_words("How are you", 0, 0.3, speaker="Anna"), with_words("Fine", 1.0, 0.3, speaker="Ben")]
    assert lines(*turns) == [("How are you",), ("Fine",)]


def test_short_cue_stays_long_enough_and_long_one_ends():
    (brief,) = cues([a_segment(" Yes.", 5.0, 5.1)])
    assert brief.end - brief.start >= SHORTEST_SECONDS
    (slow,) = cues([a_segment(" Yes.", 5.0, 60.0)])
    assert slow.end - slow.start == LONGEST_SECONDS


def test_fast_speech_is_shown_as_long_as_its_neighbors_allow():
    text = " These words are spoken much too fast to be read by anybody at all."
    first, second = cues([a_segment(text, 10.0, 11.0), a_segment(" Later.", 14.0, 15.0)])
    assert sum(map(width, first.text_lines)) / (first.end - first.start) <= MAX_PER_SECOND + 0.01
    assert second.start - first.end >= GAP_SECONDS - 1e-9


def a_word(rng: random.Random) -> str:
    return "".join(rng.choices("abcdefgh", k=rng.randint(1, 14))) + rng.choice(["", "", "", ",", "."])


@pytest.mark.parametrize("seed", range(20))
def test_subtitles_of_any_transcript_respect_the_limits_and_contain_every_word(seed):
    rng = random.Random(seed)
    segments, at, spoken = [], 0.0, []
    for _ in range(rng.randint(1, 40)):
        words = [a_word(rng) for _ in range(rng.randint(1, 40))]
        text, spoken = " ".join(words), spoken + words
        timed = with_words(text, at, rng.uniform(0.1, 0.5))
        segments.append(rng.choice([timed, a_segment(f" {text}", at, timed.end)]))
        at = timed.end + rng.choice([0.0, 0.0, 0.4, 3.0])
    found = cues(segments)
    assert " ".join(line for cue in found for line in cue.text_lines).split() == spoken
    for cue in found:
        assert len(cue.lines) <= 2 and all(width(line) <= MAX_LINE for line in cue.text_lines)
        assert 0 < cue.end - cue.start <= LONGEST_SECONDS + 0.5
    for one, other in zip(found, found[1:], strict=False):
        assert one.end <= other.start


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        (" " + "親譲りの無鉄砲で小供の時から損ばかりしている。" * 6, 6 * 23),
        (" " + "www.example.org/" + "a" * 200, 216),
    ],
    ids=["japanese", "address"],
)
def test_text_without_spaces_is_cut_into_lines(text, whole):
    found = cues([a_segment(text, 0, 30)])
    assert sum(len(line) for cue in found for line in cue.text_lines) == whole
    assert all(width(line) <= MAX_LINE for cue in found for line in cue.text_lines)
    assert not any(line.startswith("。") for cue in found for line in cue.text_lines)


def test_srt_names_the_speaker_where_it_changes():
    turns = [
        with_words("How are you today?", 0, 0.3, speaker="Anna"),
        with_words("Fine --> good.", 2.0, 0.3, speaker="Ben"),
    ]
    text = subtitle_files.srt(turns, "[{}] ", karaoke=False)
    assert text.splitlines()[:4] == ["1", "00:00:00,000 --> 00:00:01,200", "[Anna] How are you today?", ""]
    assert "[Ben] Fine -> good." in text


def test_vtt_has_voices_and_escapes():
    text = subtitle_files.vtt([with_words("Fish & <chips>", 3661.5, 0.4, speaker="Anna")], karaoke=False)
    assert text.startswith("WEBVTT\n\n01:01:01.500 --> 01:01:02.700\n<v Anna>Fish &amp; &lt;chips&gt;\n")


def test_karaoke_marks_every_word_at_its_time():
    talk = [with_words("Good morning everybody", 1.0, 0.5)]
    line = "<c>Good</c> <00:00:01.500><c>morning</c> <00:00:02.000><c>everybody</c>"
    assert line in subtitle_files.vtt(talk, karaoke=True)
    srt = subtitle_files.srt(talk, "", karaoke=True)
    assert [line for line in srt.splitlines() if "<u>" in line] == [
        "<u>Good</u> morning everybody",
        "Good <u>morning</u> everybody",
        "Good morning <u>everybody</u>",
    ]


def test_names_may_have_the_language(tmp_path):
    found = Transcript(segments=(a_segment(KENNEDY, 0, 11),), language="en", seconds=11.0)
    options = TranscribeOptions(formats="txt, srt, vtt", language_in_name=True)
    assert write(found, tmp_path, "film.1", options) == ("film.1.txt", "film.1.en.srt", "film.1.en.vtt")
    none = Transcript(segments=(), language=None, seconds=11.0)
    assert write(none, tmp_path, "film", options) == ("film.txt", "film.srt", "film.vtt")
    assert (tmp_path / "film.srt").read_text() == "" and (tmp_path / "film.vtt").read_text() == "WEBVTT\n"


def test_segments_are_written_as_by_the_command_if_wanted(tmp_path):
    found = Transcript(segments=(a_segment(KENNEDY, 0, 11),), language="en", seconds=11.0)
    write(found, tmp_path, "talk", TranscribeOptions(formats=["srt"], subtitles="segments"))
    assert (tmp_path / "talk.srt").read_text() == f"1\n00:00:00,000 --> 00:00:11,000\n{KENNEDY.strip()}\n\n"


def test_translation_is_named_as_english(tmp_path):
    found = Transcript(segments=(a_segment(KENNEDY, 0, 11),), language="de", seconds=11.0)
    options = TranscribeOptions(formats=["srt"], language_in_name=True, task="translate")
    assert write(found, tmp_path, "film", options) == ("film.en.srt",)
