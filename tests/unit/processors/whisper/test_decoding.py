"""A batch of windows gets the results that `whisper.decode` gives each window alone."""

import numpy as np
import pytest
import torch
import whisper
from torch.utils._python_dispatch import TorchDispatchMode
from whisper.decoding import DecodingOptions

from processors.whisper.decoder import kernels, vocabulary
from processors.whisper.decoder.decoding import BatchDecoder
from processors.whisper.decoder.vocabulary import BFloat16Vocabulary
from tests.unit.processors.whisper.test_whisper import read_sound

NAMES = ("jfk.flac", "LJ001-0002.mp3", "LJ001-0004.flac")
END = 50256  # of the text of tiny.en
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
def test_windows_of_a_batch_get_whispers_results(model, decoder, windows, choices):
    together = decoder.decode(windows, options(**choices))
    alone = [whisper.decode(model, window, each) for window, each in zip(windows, options(**choices), strict=True)]
    assert [found.tokens for found in together] == [found.tokens for found in alone]
    assert [found.text for found in together] == [found.text for found in alone] and "Americans" in together[0].text
    for name in ("avg_logprob", "no_speech_prob", "compression_ratio"):
        values = [[getattr(found, name) for found in way] for way in (together, alone)]
        assert np.allclose(*values, atol=1e-3), name


@pytest.mark.parametrize("choices", [{}, {"beam_size": 3}], ids=str)
def test_keys_and_values_in_bfloat16_keep_the_text(decoder, windows, choices):
    short = decoder.decode(windows, options(**choices), is_approximate=True)
    usual = decoder.decode(windows, options(**choices))
    assert [found.text for found in short] == [found.text for found in usual]
    assert np.allclose([found.avg_logprob for found in short], [found.avg_logprob for found in usual], atol=0.02)


def test_approximate_cache_is_in_bfloat16_where_the_cpu_has_it(decoder, windows):
    keys, values = decoder.text_decoder.cross_cache(windows, is_approximate=True).layer(0)
    wanted = torch.bfloat16 if kernels.has_bfloat16(windows.device) else torch.float32
    assert keys.dtype == values.dtype == wanted
    assert decoder.text_decoder.cross_cache(windows).layer(0)[0].dtype == torch.float32


def test_text_in_8_bits_does_not_depend_on_the_batch(model):
    quantized = BatchDecoder(model, torch.float32, in_8_bits=True)
    mels = [whisper.log_mel_spectrogram(whisper.pad_or_trim(read_sound(name))) for name in NAMES]
    windows = [quantized.encode(mel) for mel in mels]
    together = quantized.decode(windows, options())
    alone = [quantized.decode([window], [each])[0] for window, each in zip(windows, options(), strict=True)]
    assert [found.tokens for found in together] == [found.tokens for found in alone]
    assert "Americans" in together[0].text


def test_sampled_text_does_not_depend_on_the_batch(decoder, windows):
    sampled = options(temperature=1.0, best_of=2)
    together = decoder.decode(windows, sampled)
    assert decoder.decode(windows[1:2], sampled[1:2])[0].tokens == together[1].tokens
    assert together[0].tokens != decoder.decode(windows[:1], options()[:1])[0].tokens  # it does sample


def test_bfloat16_vocabulary_chooses_the_token_of_float32(decoder):
    """Also where two words are almost equally probable: half of these states lie just between two of them."""
    embedding = decoder.text_decoder._embedding
    near = BFloat16Vocabulary(embedding, lambda states: states @ embedding.bfloat16().T)
    random = torch.Generator().manual_seed(3)
    states = 8 * torch.randn(64, embedding.shape[1], generator=random)
    pairs = torch.randint(0, END, (32, 2), generator=random)
    one, other = embedding[pairs[:, 0]], embedding[pairs[:, 1]]
    apart = (states[:32] * (one - other)).sum(-1, keepdim=True) / (one - other).square().sum(-1, keepdim=True)
    states[:32] -= (1 - 1e-3) * apart * (one - other)
    states[:32] += 20 * (one + other)
    suppressed = torch.zeros(len(embedding))
    suppressed[torch.randint(0, END, (500,), generator=random)] = float("-inf")
    logits, refine = near.logits(states, END)
    logits += suppressed
    approximate = logits[:, :END].argmax(-1)
    refine(logits)
    right = states @ embedding.T + suppressed
    assert torch.equal(logits[:, :END].argmax(-1), right[:, :END].argmax(-1))
    assert not torch.equal(approximate, right[:, :END].argmax(-1))  # negative control: bfloat16 errs
    assert torch.allclose(logits[:, END:], right[:, END:], atol=1e-3)
    assert torch.allclose(logits[:, :END].amax(-1), right[:, :END].amax(-1), atol=1e-3)


def test_all_logits_are_exact_where_no_token_stands_out(decoder):
    embedding = decoder.text_decoder._embedding
    near = BFloat16Vocabulary(embedding, lambda states: states @ embedding.bfloat16().T)
    states = 0.01 * torch.randn(2, embedding.shape[1], generator=torch.Generator().manual_seed(4))
    logits, refine = near.logits(states, END)
    logits[:, 7] = float("-inf")
    refine(logits)
    right = states @ embedding.T
    right[:, 7] = float("-inf")
    assert torch.allclose(logits, right, atol=1e-5)


class Largest(TorchDispatchMode):
    """Notes the size of the largest result of an operator."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, operator, types, arguments=(), names=None):
        found = operator(*arguments, **(names or {}))
        if isinstance(found, torch.Tensor) and operator.name() in ("aten::index.Tensor", "aten::mul.Tensor"):
            self.bytes = max(self.bytes, found.nbytes)
        return found


def test_refinement_of_many_logits_takes_little_memory():
    embedding = torch.randn(50_000, 96, generator=torch.Generator().manual_seed(5)).half()
    states = 0.15 * torch.randn(8, 96, generator=torch.Generator().manual_seed(6))
    near = BFloat16Vocabulary(embedding, lambda states: states @ embedding.bfloat16().T)
    logits, refine = near.logits(states, 49_000)
    with Largest() as largest:
        refine(logits)
    right, text = states @ embedding.float().T, logits[:, :49_000]
    likely = right[:, :49_000] >= right[:, :49_000].amax(-1, keepdim=True) - 3
    assert likely.sum() > 3000 and torch.allclose(text[likely], right[:, :49_000][likely], atol=1e-4)
    assert largest.bytes < 1 << 20


def test_inaccurate_or_slower_bfloat16_vocabulary_is_not_used(decoder, monkeypatch):
    embedding, plain = decoder.text_decoder._embedding[:4000], kernels.plain
    monkeypatch.setattr(kernels, "packed", lambda weight, bias: lambda x: 1.5 * plain(weight, bias)(x))
    assert vocabulary.choose(embedding, plain) is None
    slow = lambda x: [plain(embedding, None)(x.float()) for _ in range(9)][0]  # noqa: E731
    monkeypatch.setattr(kernels, "packed", lambda weight, bias: slow)
    assert vocabulary.choose(embedding, plain) is None
