"""Several files at once: each gets the text that openai-whisper alone gives it, and none harms another."""

import threading

import numpy as np
import pytest
import whisper as openai_whisper

from processors.base import BadInput, Failed, Progress
from processors.whisper import sound, together
from tests.processors.test_whisper import SAMPLES, read_sound, write_wav

NAMES = ("jfk.flac", "LJ001-0004.flac", "LJ001-0002.mp3")


def test_files_transcribed_together_get_the_text_whisper_gives_each_alone(whisper, make_work, models, tmp_path):
    model = openai_whisper.load_model(str(models / "whisper" / "tiny.en.pt"), device="cpu")
    talk = write_wav(tmp_path / "talk.wav", np.concatenate([read_sound("LJ001-0003.m4a"), *map(read_sound, NAMES)]))
    works = []
    for number, source in enumerate((talk, SAMPLES / "text.mp3", *(SAMPLES / name for name in NAMES))):
        (tmp_path / str(number)).mkdir()
        works.append(make_work(source, tmp_path / str(number), stem="talk", formats=["txt"]))
    outcomes = {work.source.name: outcome for work, outcome in whisper.process(works, Progress(lambda told: None))}
    assert isinstance(outcomes["text.mp3"], Failed) and outcomes["text.mp3"].kind == BadInput.kind
    assert len(outcomes) == len(works)
    for work in works:
        if work.source.name != "text.mp3":
            alone = openai_whisper.transcribe(model, _samples(work.source), fp16=False)
            text = (work.outputs / "talk.txt").read_text()
            assert text == "".join(f"{segment['text'].strip()}\n" for segment in alone["segments"])
            assert len(text) > 20


def test_answers_reach_whom_they_are_for_and_a_failure_is_its_own():
    def count(ask):
        return [ask(1), ask(2)]

    def fail(ask):
        ask(5)
        raise ValueError("mine")

    rounds = []

    def answer(questions):
        rounds.append(questions)
        return [question * 10 for question in questions]

    ended = dict(together.run([count, fail, lambda ask: "at once"], answer))
    assert ended[0] == [10, 20] and str(ended[1]) == "mine" and ended[2] == "at once"
    assert rounds == [[1, 5], [2]]


def test_what_fails_for_all_ends_all():
    ended = []

    def wait(ask):
        try:
            ask(1)
        finally:
            ended.append(True)

    def answer(questions):
        raise MemoryError

    with pytest.raises(MemoryError):
        list(together.run([wait, wait], answer))
    assert ended == [True, True]


def test_the_next_item_is_made_while_one_is_worked_on():
    made = [threading.Event() for _ in range(3)]

    def items():
        for number, event in enumerate(made):
            event.set()
            yield number

    seen = []
    for number in together.ahead(items()):
        seen.append(number)
        assert all(event.wait(10) for event in made[: number + 2])  # those up to the next one
    assert seen == [0, 1, 2]


def test_what_fails_while_it_is_made_ahead_is_raised_in_its_turn():
    def items():
        yield "good"
        raise ValueError("bad")

    coming = together.ahead(items())
    assert next(coming) == "good"
    with pytest.raises(ValueError, match="bad"):
        next(coming)


def test_whoever_stops_early_waits_for_the_item_under_way():
    ended = threading.Event()

    def items():
        try:
            yield from range(1000)
        finally:
            ended.set()

    source = items()
    coming = together.ahead(source)
    assert next(coming) == 0
    coming.close()
    source.close()  # "generator already executing", if a thread were still in it
    assert ended.is_set()


def _samples(source) -> np.ndarray:
    with sound.open_track(source) as track:
        return np.concatenate(list(track.blocks()))
