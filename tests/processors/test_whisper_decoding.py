"""Many windows at once give, window for window, what `whisper.decode` gives them one by one."""

import numpy as np
import pytest
import torch
import whisper
from whisper.decoding import DecodingOptions

from processors.whisper.decoder.decoding import BatchDecoder
from tests.processors.test_whisper import read_sound

NAMES = ("jfk.flac", "LJ001-0002.mp3", "LJ001-0004.flac")
PROMPTS = (None, "And it is worth mention", None)


@pytest.fixture(scope="module")
def model(models):
    return whisper.load_model(str(models / "whisper" / "tiny.en.pt"), device="cpu").eval()


@pytest.fixture(scope="module")
def decoder(model):
    return BatchDecoder(model, torch.float32)


@pytest.fixture(scope="module")
def windows(decoder):
    mels = [whisper.log_mel_spectrogram(whisper.pad_or_trim(read_sound(name))) for name in NAMES]
    return torch.stack([decoder.encode(mel) for mel in mels])


def options(**choices) -> list[DecodingOptions]:
    return [DecodingOptions(fp16=False, language="en", prompt=prompt, **choices) for prompt in PROMPTS]


@pytest.mark.parametrize("choices", [{}, {"beam_size": 3}], ids=str)
def test_a_batch_gives_each_window_what_whisper_gives_it_alone(model, decoder, windows, choices):
    together = decoder.decode(windows, options(**choices))
    alone = [whisper.decode(model, window, each) for window, each in zip(windows, options(**choices), strict=True)]
    assert [found.tokens for found in together] == [found.tokens for found in alone]
    assert [found.text for found in together] == [found.text for found in alone] and "Americans" in together[0].text
    for name in ("avg_logprob", "no_speech_prob", "compression_ratio"):
        values = [[getattr(found, name) for found in way] for way in (together, alone)]
        assert np.allclose(*values, atol=1e-3), name


def test_in_8_bits_a_window_is_the_same_whatever_it_is_decoded_beside(model):
    rounded = BatchDecoder(model, torch.float32, in_8_bits=True)
    mels = [whisper.log_mel_spectrogram(whisper.pad_or_trim(read_sound(name))) for name in NAMES]
    windows = [rounded.encode(mel) for mel in mels]
    together = rounded.decode(windows, options())
    alone = [rounded.decode([window], [each])[0] for window, each in zip(windows, options(), strict=True)]
    assert [found.tokens for found in together] == [found.tokens for found in alone]
    assert "Americans" in together[0].text


def test_sampling_gives_a_window_the_same_text_whatever_it_is_decoded_beside(decoder, windows):
    sampled = options(temperature=1.0, best_of=2)
    together = decoder.decode(windows, sampled)
    assert decoder.decode(windows[1:2], sampled[1:2])[0].tokens == together[1].tokens
    assert together[0].tokens != decoder.decode(windows[:1], options()[:1])[0].tokens  # it does sample
