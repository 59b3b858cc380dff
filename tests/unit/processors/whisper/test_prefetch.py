"""The next part of a track is prepared while the current one is transcribed elsewhere."""

import threading

import pytest

from processors.whisper.audio.prefetch import prefetch


def test_next_item_is_made_while_the_caller_works_on_one():
    made = [threading.Event() for _ in range(3)]

    def items():
        for number, event in enumerate(made):
            event.set()
            yield number

    seen = []
    for number in prefetch(items()):
        seen.append(number)
        assert all(event.wait(10) for event in made[: number + 2])  # those up to the next one
    assert seen == [0, 1, 2]


def test_error_in_a_prefetched_item_is_raised_in_its_turn():
    def items():
        yield "good"
        raise ValueError("bad")

    coming = prefetch(items())
    assert next(coming) == "good"
    with pytest.raises(ValueError, match="bad"):
        next(coming)


def test_closing_waits_for_the_item_in_progress():
    ended = threading.Event()

    def items():
        try:
            yield from range(1000)
        finally:
            ended.set()

    source = items()
    coming = prefetch(source)
    assert next(coming) == 0
    coming.close()
    source.close()  # "generator already executing", if a thread were still in it
    assert ended.is_set()
