"""Word timestamps change nothing but the segments."""

import torch
import whisper as openai_whisper
from whisper.audio import log_mel_spectrogram, pad_or_trim
from whisper.tokenizer import get_tokenizer

from processors.whisper.engines.word_timestamps import time_words
from processors.whisper.track.segment import Segment
from tests.unit.processors.whisper.test_whisper import read_sound


def test_number_of_torch_threads_is_preserved_by_word_timestamps(models, request):
    before = torch.get_num_threads()
    request.addfinalizer(lambda: torch.set_num_threads(before))
    torch.set_num_threads(1)
    model, tokenizer = openai_whisper.load_model(str(models / "whisper" / "tiny.en.pt"), "cpu"), get_tokenizer(False)
    mel = log_mel_spectrogram(pad_or_trim(read_sound("LJ001-0002.mp3")))
    text = " in being comparatively modern."
    segment = Segment(start=0.0, end=2.0, text=text, tokens=tuple(tokenizer.encode(text)))
    (timed,) = time_words([segment], model, tokenizer, mel, 190, 0.0)
    assert "".join(word.word for word in timed.words) == text
    assert torch.get_num_threads() == 1
