"""Fast mode: windows that end at pauses, and no speech lost between them."""

import dataclasses
import math
from itertools import pairwise

import jiwer
import numpy as np
import pytest
import torch

from processors.whisper import TranscribeOptions
from processors.whisper.audio import vad
from processors.whisper.decoder.audio_encoder import AudioEncoder
from processors.whisper.engines.batch_runner import BatchRunner
from processors.whisper.engines.fast import _Piece, _rest
from processors.whisper.engines.timestamps import split_at_timestamps
from tests.unit.processors.whisper.test_whisper import KENNEDY, SPOKEN, read_sound, words, write_wav


def test_speech_of_several_windows_is_complete_and_in_its_place(transcribe, tmp_path):
    pause = np.zeros(6 * 16_000, np.float32)
    names = ("jfk.flac", "LJ001-0004.flac", "LJ001-0003.m4a", "LJ001-0001.wav")
    talk = write_wav(
        tmp_path / "talk.wav", np.concatenate([each for name in names for each in (read_sound(name), pause)])
    )
    found = transcribe(talk, way="fast")
    said = " ".join([KENNEDY, *(SPOKEN[name] for name in names[1:])])
    assert jiwer.wer(words(said), words(found.text)) <= 0.05, found.text
    assert found.finished.review == ()
    segments = found.json()["segments"]
    block = next(segment for segment in segments if "block" in segment["text"])
    assert 16.5 <= block["start"] <= 18.5
    assert [segment["id"] for segment in segments] == list(range(len(segments)))
    done = [report.done for report in found.reports]
    assert done == sorted(done) and done[-1] == pytest.approx(59.5, abs=0.5)


def test_word_times_are_those_of_the_file(transcribe, tmp_path):
    talk = np.concatenate([np.zeros(8 * 16_000, np.float32), read_sound("LJ001-0002.mp3")])
    found = transcribe(write_wav(tmp_path / "talk.wav", talk), way="fast", word_timestamps=True)
    timed = [word for segment in found.json()["segments"] for word in segment["words"]]
    assert words("".join(word["word"] for word in timed)) == words(SPOKEN["LJ001-0002.mp3"])
    assert 7.8 <= timed[0]["start"] < timed[-1]["end"] <= 10.1


def test_rest_of_a_window_is_decoded_again(transcribe, tmp_path, monkeypatch):
    """Whisper may stop at a pause in the middle of a window; this test makes it stop."""
    from processors.whisper.engines import fast

    asked = []
    real = fast.FastMode._take

    def take(self, piece, mel, result):
        asked.append(piece)
        if not piece.rests:  # as if the model had understood only its first words
            closed = [n for n, token in enumerate(result.tokens) if token >= self._tokenizer.timestamp_begin]
            early = self._tokenizer.timestamp_begin + 150
            result.tokens[:] = [*result.tokens[: closed[0] + 9], early]
        return real(self, piece, mel, result)

    monkeypatch.setattr(fast.FastMode, "_take", take)
    found = transcribe("jfk.flac", way="fast")
    first, rest = asked[:2]
    assert [first.rests, rest.rests] == [0, 1] and rest.known_until > first.start + 2.9
    assert "country can do for you" in found.text
    assert first.text_before == "" and words(rest.text_before) == words(KENNEDY)[: len(words(rest.text_before))] != ""
    assert rest.start == pytest.approx(rest.known_until - 0.5, abs=0.01)  # a little earlier
    segments = found.json()["segments"]
    assert all(one["end"] <= next_one["start"] for one, next_one in pairwise(segments))


@pytest.mark.parametrize(("no_speech", "is_kept"), [(0.85, False), (0.2, True)])
def test_polite_phrase_in_a_rest_without_speech_is_dropped(transcribe, monkeypatch, no_speech, is_kept):
    """Slow speech, and breath after it: what the detector finds after the last timestamp becomes "You"."""
    from processors.whisper.engines import fast

    real = fast.FastMode._take

    def take(self, piece, mel, result):
        begin = self._tokenizer.timestamp_begin
        if piece.rests:
            tokens = [begin, *self._tokenizer.encode(" You"), begin + 40]
            result = dataclasses.replace(result, tokens=tokens, text="You", no_speech_prob=no_speech, avg_logprob=-0.98)
        else:
            result = dataclasses.replace(result, tokens=[begin, *self._tokenizer.encode(" And so"), begin + 150])
        return real(self, piece, mel, result)

    monkeypatch.setattr(fast.FastMode, "_take", take)
    assert ("you" in words(transcribe("jfk.flac", way="fast").text)) == is_kept


def test_short_rest_has_no_prompt():
    short = _rest(_Piece(start=10.0, end=16.0), 5.4, 0.6, " all but this")
    assert (short.start, short.known_until, short.text_before) == (15.4, 15.4, "")


def test_beams_with_a_repeated_end_are_decoded_greedily(transcribe, monkeypatch):
    """Of beam search candidates, whisper takes the one most probable by token: repetition improves that."""
    asked = []
    real = BatchRunner.decode

    def decode(self, batch):
        found = real(self, batch)
        for number, window in enumerate(batch):
            asked.append(window.options.beam_size)
            if window.options.beam_size:
                text = found[number].text + " do for your country."
                found[number] = dataclasses.replace(found[number], text=text)
        return found

    monkeypatch.setattr(BatchRunner, "decode", decode)
    found = transcribe("jfk.flac", way="fast", beam_size=3)
    assert asked == [3, None] and words(found.text) == words(KENNEDY)


def test_tokens_are_split_at_timestamps():
    from whisper.tokenizer import get_tokenizer

    tokenizer = get_tokenizer(False)
    at = [tokenizer.timestamp_begin + n for n in (0, 100, 150, 200)]
    text, more = tokenizer.encode(" one two"), tokenizer.encode(" three")
    closed, left = split_at_timestamps([at[0], *text, at[1], at[1], *more], tokenizer)
    assert [(each.tokens, each.start, each.end) for each in closed] == [((at[0], *text, at[1]), 0.0, 2.0)]
    assert (left.tokens, left.start, left.end) == ((at[1], *more), 2.0, math.inf)
    closed, left = split_at_timestamps([at[0], *text, at[1], at[2], *more, at[3]], tokenizer)
    assert [(each.start, each.end) for each in closed] == [(0.0, 2.0), (3.0, 4.0)] and left is None


def test_fast_mode_requires_voice_activity_detection():
    with pytest.raises(ValueError, match="voice detector"):
        TranscribeOptions(way="fast", vad=False)
    assert vad.windows([]) == []


class WrongEncoder:
    """Replaces the bfloat16 encoder, which not every CPU supports, by one with wrong features."""

    def __init__(self, encoder: AudioEncoder):
        self.encoder, self.encoded = encoder, 0

    def encode_all(self, mels: list[torch.Tensor]) -> list[torch.Tensor]:
        self.encoded += len(mels)
        return [-found for found in self.encoder.encode_all(mels)]


@pytest.fixture
def wrong_encoder(whisper, monkeypatch):
    decoder = whisper._engine._runner._decoder
    wrong_encoder = WrongEncoder(decoder.audio_encoder)
    monkeypatch.setattr(decoder, "bfloat16_encoder", wrong_encoder)
    return wrong_encoder


def test_doubtful_windows_are_encoded_again_in_float32(transcribe, wrong_encoder):
    found = transcribe("jfk.flac", way="fast", beam_size=1, cut_context=False)
    assert wrong_encoder.encoded == 1 and words(found.text) == words(KENNEDY)


def test_bfloat16_is_used_in_fast_mode_with_automatic_dtype_only(transcribe, wrong_encoder, whisper, monkeypatch):
    assert words(transcribe("jfk.flac", beam_size=1).text) == words(KENNEDY)
    monkeypatch.setattr(whisper._engine, "_may_use_bfloat16", False)  # dtype = "float32"
    assert words(transcribe("jfk.flac", way="fast", beam_size=1).text) == words(KENNEDY)
    assert not wrong_encoder.encoded
