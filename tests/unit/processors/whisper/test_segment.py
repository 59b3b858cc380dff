"""Segments and words: the JSON that result files and checkpoints hold, and times that move."""

import json

from processors.whisper.track.segment import Segment, Word

WORDS = (
    Word(word=" Ask", start=1.0, end=1.5, probability=0.9),
    Word(word=" not", start=1.5, end=3.5, probability=None),
)
SEGMENT = Segment(id=4, seek=100, start=1.0, end=3.5, text=" Ask not", tokens=(1, 2), temperature=0.2, words=WORDS)
WHISPERS_KEYS = [
    *("id", "seek", "start", "end", "text", "tokens"),
    *("temperature", "avg_logprob", "compression_ratio", "no_speech_prob", "words"),
]


def test_json_has_the_keys_of_openai_whisper_in_its_order_and_then_ours():
    assert list(SEGMENT.as_json()) == WHISPERS_KEYS
    more = Segment(**vars(SEGMENT) | {"speech_seconds": 2.0, "language": "en", "channel": 1})
    assert list(more.as_json()) == [*WHISPERS_KEYS, "speech_seconds", "language", "channel"]


def test_unknown_values_are_omitted():
    assert "words" not in Segment(seek=0, start=0, end=1, text="").as_json()


def test_segment_survives_the_conversion_to_json():
    for segment in (SEGMENT, Segment(seek=0, start=0, end=1, text="", words=(), channel=2, extra={"mood": "A"})):
        assert Segment.from_json(json.loads(json.dumps(segment.as_json()))) == segment


def test_times_are_cut_at_the_end_of_the_part_and_moved_with_it():
    cut = SEGMENT.within(3.0)
    assert (cut.start, cut.end, [word.end for word in cut.words]) == (1.0, 3.0, [1.5, 3.0])
    moved = cut.moved(600.0)
    assert (moved.seek, moved.start, moved.end) == (60_100, 601.0, 603.0)
    assert [(word.start, word.end) for word in moved.words] == [(601.0, 601.5), (601.5, 603.0)]
    late = SEGMENT.not_before(1.2)
    assert (late.start, [word.start for word in late.words]) == (1.2, [1.2, 1.5])
