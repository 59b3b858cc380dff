"""Several files at once: each gets the text that openai-whisper gives it alone, and none affects another."""

import dataclasses

import numpy as np
import pytest
import whisper as openai_whisper

from processors.contract import BadInput, Failed, Finished, Progress
from processors.whisper.audio import reader
from tests.unit.processors.whisper.test_whisper import SAMPLES, read_sound, write_wav

NAMES = ("jfk.flac", "LJ001-0004.flac", "LJ001-0002.mp3")


def test_files_of_a_batch_have_the_same_text_as_alone(whisper, make_work, models, tmp_path):
    model = openai_whisper.load_model(str(models / "whisper" / "tiny.en.pt"), device="cpu")
    talk = write_wav(tmp_path / "talk.wav", np.concatenate([read_sound("LJ001-0003.m4a"), read_sound(NAMES[2])]))
    works = []
    for number, source in enumerate((talk, SAMPLES / "text.mp3", *(SAMPLES / name for name in NAMES))):
        (tmp_path / str(number)).mkdir()
        works.append(make_work(source, tmp_path / str(number), stem="talk", formats=["txt"]))
    outcomes = {work.source.name: outcome for work, outcome in whisper.process(works, Progress(lambda report: None))}
    assert isinstance(outcomes["text.mp3"], Failed) and outcomes["text.mp3"].kind == BadInput.kind
    assert len(outcomes) == len(works)
    for work in works:
        if work.source.name != "text.mp3":
            alone = openai_whisper.transcribe(model, _samples(work.source), fp16=False)
            text = (work.outputs / "talk.txt").read_text()
            assert text == "".join(f"{segment['text'].strip()}\n" for segment in alone["segments"])
            assert len(text) > 20


@pytest.mark.parametrize("way", ["exact", "fast"])
def test_impossible_options_fail_only_their_file(whisper, make_work, tmp_path, way):
    works = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        works.append(make_work(SAMPLES / "LJ001-0002.mp3", tmp_path / str(number), way=way, beam_size=1))
    impossible = works[0].options.model_copy(update={"suppress_tokens": "99999999"})  # which no recipe may contain
    works[0] = dataclasses.replace(works[0], options=impossible)
    outcomes = {work.outputs.name: outcome for work, outcome in whisper.process(works, Progress(lambda report: None))}
    assert isinstance(outcomes["0"], IndexError)
    assert isinstance(outcomes["1"], Finished) and "modern" in outcomes["1"].excerpt


def test_overflow_in_the_decoder_fails_only_its_file(whisper, make_work, tmp_path):
    works = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        works.append(make_work(SAMPLES / "LJ001-0002.mp3", tmp_path / str(number)))
    hot = works[0].options.model_copy(update={"temperature": 1e308})  # which no recipe may contain
    works[0] = dataclasses.replace(works[0], options=hot)
    outcomes = {work.outputs.name: outcome for work, outcome in whisper.process(works, Progress(lambda report: None))}
    assert isinstance(outcomes["0"], ArithmeticError | RuntimeError)
    assert isinstance(outcomes["1"], Finished) and "modern" in outcomes["1"].excerpt


def _samples(source) -> np.ndarray:
    with reader.open_track(source) as track:
        return np.concatenate([block.samples for block in track.blocks()])
