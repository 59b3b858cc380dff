"""Several files at once: each gets the text that openai-whisper alone gives it, and none harms another."""

import dataclasses
import threading

import numpy as np
import pytest
import whisper as openai_whisper

from processors.contract import BadInput, Failed, Finished, Progress
from processors.whisper.audio import reader
from processors.whisper.engines.fair_batches import Rounds
from processors.whisper.track import interleaving
from tests.unit.processors.whisper.test_whisper import SAMPLES, read_sound, write_wav

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


@pytest.mark.parametrize("way", ["exact", "fast"])
def test_what_whisper_can_do_nothing_with_fails_alone(whisper, make_work, tmp_path, way):
    works = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        works.append(make_work(SAMPLES / "LJ001-0002.mp3", tmp_path / str(number), way=way, beam_size=1))
    impossible = works[0].options.model_copy(update={"suppress_tokens": "99999999"})  # as no recipe may say
    works[0] = dataclasses.replace(works[0], options=impossible)
    outcomes = {work.outputs.name: outcome for work, outcome in whisper.process(works, Progress(lambda told: None))}
    assert isinstance(outcomes["0"], IndexError)
    assert isinstance(outcomes["1"], Finished) and "modern" in outcomes["1"].excerpt


def test_an_option_that_overflows_in_the_decoder_fails_its_own_file_alone(whisper, make_work, tmp_path):
    works = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        works.append(make_work(SAMPLES / "LJ001-0002.mp3", tmp_path / str(number)))
    hot = works[0].options.model_copy(update={"temperature": 1e308})  # as no recipe may say
    works[0] = dataclasses.replace(works[0], options=hot)
    outcomes = {work.outputs.name: outcome for work, outcome in whisper.process(works, Progress(lambda told: None))}
    assert isinstance(outcomes["0"], ArithmeticError | RuntimeError)
    assert isinstance(outcomes["1"], Finished) and "modern" in outcomes["1"].excerpt


def test_answers_reach_whom_they_are_for_and_a_failure_is_its_own():
    def count(ask):
        return [ask(1), ask(2)]

    def fail(ask):
        ask(5)
        raise ValueError("mine")

    rounds = []

    def answer(questions):
        rounds.append(dict(questions))
        return {number: question * 10 for number, question in questions.items()}

    ended = dict(interleaving.run([count, fail, lambda ask: "at once"], answer))
    assert ended[0] == [10, 20] and str(ended[1]) == "mine" and ended[2] == "at once"
    assert rounds == [{0: 1, 1: 5}, {0: 2}]


def test_a_job_that_comes_later_joins_those_at_work_and_may_end_first():
    coming = [[], [lambda ask: ask("late")]]

    def long(ask):
        return [ask(number) for number in range(4)]

    def answer(questions):
        return {number: f"{question}!" for number, question in questions.items()}

    ended = list(interleaving.run([long], answer, lambda: coming.pop(0) if coming else []))
    assert ended == [(1, "late!"), (0, ["0!", "1!", "2!", "3!"])]


def test_whoever_is_not_answered_yet_goes_on_waiting():
    def answer(questions):
        first = min(questions)
        return {first: questions[first]}

    asking = [lambda ask, number=number: ask(number) for number in range(3)]
    assert list(interleaving.run(asking, answer)) == [(0, 0), (1, 1), (2, 2)]


# ---------------------------------------------------------------------------------------------- whose turn it is


def _decoded(questions: dict[int, list[str]], most: int = 4) -> tuple[list[list[str]], list[int]]:
    """Windows "KIND:NAME": the batches in which they are decoded, and the questions as they are answered."""
    batches, answered, open_questions = [], [], dict(questions)

    def decode(windows):
        batches.append(windows)
        return [window.upper() for window in windows]

    rounds = Rounds(decode, lambda window: window[0], most)
    while open_questions:
        for number, results in rounds.answer(open_questions).items():
            assert results == [window.upper() for window in open_questions.pop(number)]
            answered.append(number)
    return batches, answered


def test_a_short_file_gets_into_the_next_batch_however_much_a_long_one_asks_for():
    batches, answered = _decoded({0: [f"a:long{n}" for n in range(8)], 1: ["a:short"]})
    assert batches[0] == ["a:long0", "a:short", "a:long1", "a:long2"]
    assert answered == [1, 0] and len(batches) == 3


def test_files_with_much_to_decode_share_the_batches():
    batches, _ = _decoded({n: [f"a:{n}{window}" for window in range(4)] for n in (0, 1)})
    assert batches == [["a:00", "a:10", "a:01", "a:11"], ["a:02", "a:12", "a:03", "a:13"]]


def test_windows_of_different_kinds_are_decoded_apart_and_in_turn():
    batches, answered = _decoded({0: [f"a:{n}" for n in range(6)], 1: ["b:0"]})
    assert batches == [["a:0", "a:1", "a:2", "a:3"], ["b:0"], ["a:4", "a:5"]]
    assert answered == [1, 0]


def test_an_empty_question_is_answered():
    assert _decoded({0: []}) == ([[]], [0])


def test_windows_that_cannot_be_decoded_fail_their_own_file_alone():
    def decode(windows):
        if "a:bad" in windows:
            raise OverflowError(f"among {len(windows)}")
        return [window.upper() for window in windows]

    asked = {"long": ["a:1", "a:2"], "bad": ["a:bad", "a:good"], "short": ["a:3"]}
    rounds = Rounds(decode, lambda window: window[0], 8)
    ended = dict(interleaving.run([lambda ask, each=each: ask(each) for each in asked.values()], rounds.answer))
    assert ended[0] == ["A:1", "A:2"] and ended[2] == ["A:3"]
    assert isinstance(ended[1], OverflowError) and str(ended[1]) == "among 2"


def test_a_failed_file_may_be_followed_by_others():
    def decode(windows):
        if "a:bad" in windows:
            raise OverflowError
        return windows

    rounds = Rounds(decode, lambda window: window[0], 8)
    coming = [[], [lambda ask: ask(["a:late"])]]
    jobs = [lambda ask: ask(["a:bad"]), lambda ask: [ask(["a:1"]), ask(["a:2"])]]
    ended = dict(interleaving.run(jobs, rounds.answer, lambda: coming.pop(0) if coming else []))
    assert isinstance(ended[0], OverflowError) and ended[1] == [["a:1"], ["a:2"]] and ended[2] == ["a:late"]


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA error: device-side assert")])
def test_memory_or_a_device_that_fails_is_not_charged_to_one_file(error):
    def decode(windows):
        raise error

    rounds = Rounds(decode, lambda window: window[0], 8)
    with pytest.raises(type(error)):
        list(interleaving.run([lambda ask: ask(["a:1"]), lambda ask: ask(["a:2"])], rounds.answer))


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
        list(interleaving.run([wait, wait], answer))
    assert ended == [True, True]


def test_the_next_item_is_made_while_one_is_worked_on():
    made = [threading.Event() for _ in range(3)]

    def items():
        for number, event in enumerate(made):
            event.set()
            yield number

    seen = []
    for number in interleaving.ahead(items()):
        seen.append(number)
        assert all(event.wait(10) for event in made[: number + 2])  # those up to the next one
    assert seen == [0, 1, 2]


def test_what_fails_while_it_is_made_ahead_is_raised_in_its_turn():
    def items():
        yield "good"
        raise ValueError("bad")

    coming = interleaving.ahead(items())
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
    coming = interleaving.ahead(source)
    assert next(coming) == 0
    coming.close()
    source.close()  # "generator already executing", if a thread were still in it
    assert ended.is_set()


def _samples(source) -> np.ndarray:
    with reader.open_track(source) as track:
        return np.concatenate(list(track.blocks()))
