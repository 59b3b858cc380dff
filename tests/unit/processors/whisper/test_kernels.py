"""Layers by private operators of torch compute the same as its own; where they are missing, its own are used."""

import logging

import pytest
import torch
import torch.nn.functional as F

from processors.contract import Unavailable
from processors.whisper.decoder import kernels
from processors.whisper.engines.openai_whisper import precision


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


@pytest.fixture
def model():
    return torch.nn.Linear(4, 4)


@pytest.mark.parametrize("rows", [1, 7, 400])
@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize(
    ("make", "tolerance"), [(kernels.packed, 1e-5), (kernels.bfloat16, 0.05), (kernels.quantized, 0.15)]
)
def test_layers_compute_the_same_as_torch(make, tolerance, rows, has_bias):
    weight, bias, x = random(96, 64) / 8, random(96) if has_bias else None, random(2, rows, 64)
    assert torch.allclose(make(weight, bias)(x), F.linear(x, weight, bias), atol=tolerance)


@pytest.mark.parametrize("length", [1, 499, 750, 1500])
def test_attention_by_head_is_attention(length):
    joined = random(2, length, 3, 6, 64)  # as a layer leaves queries, keys and values: not one behind the other
    queries, keys, values = joined.permute(2, 0, 3, 1, 4).unbind(0)
    found = kernels.attention_by_head(queries, keys, values)
    assert found.shape == queries.shape
    assert torch.allclose(found, F.scaled_dot_product_attention(queries, keys, values), atol=1e-5)


@pytest.mark.parametrize("queries", [1, 5, 40])
@pytest.mark.parametrize("ends", [None, (700, 1500)])
def test_attention_to_bfloat16_is_nearly_attention(queries, ends):
    asked, keys, values = (random(2, 6, length, 64) for length in (queries, 1500, 1500))
    mask = None if ends is None else torch.arange(1500) < torch.tensor(ends)[:, None, None, None]
    found = kernels.attention_to_bfloat16(asked, keys.bfloat16(), values.bfloat16(), mask)
    wanted = F.scaled_dot_product_attention(asked, keys, values, attn_mask=mask)
    assert found.dtype == torch.float32 and torch.allclose(found, wanted, rtol=0.02, atol=0.02)


def test_attention_in_bfloat16_is_nearly_attention():
    queries, keys, values = random(1, 750, 3, 6, 64).permute(2, 0, 3, 1, 4).unbind(0)
    found = kernels.attention_in_bfloat16(queries, keys, values)
    assert found.shape == queries.shape and found.dtype == torch.float32
    assert torch.allclose(found, F.scaled_dot_product_attention(queries, keys, values), rtol=0.02, atol=0.02)


def without_operators(*given):
    raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_linear_pointwise'")


@pytest.mark.parametrize("name", ["packed", "attention_by_head", "quantized"])
def test_torchs_own_layers_replace_missing_operators(model, monkeypatch, caplog, name):
    monkeypatch.setattr(kernels, name, without_operators)
    with caplog.at_level(logging.WARNING):
        chosen = kernels.choose(model, torch.float32, in_8_bits=name == "quantized")
    match name:
        case "packed":
            assert chosen.linear is not kernels.packed
        case "attention_by_head":
            assert chosen.attention is F.scaled_dot_product_attention
        case "quantized":
            assert chosen.linear is not without_operators and "8-bit linear layers are unsupported" in caplog.text
    weight, x = random(4, 4), random(1, 3, 4)
    assert torch.allclose(chosen.linear(weight, None)(x), F.linear(x, weight), atol=1e-5)


def test_inaccurate_attention_is_not_chosen(monkeypatch, model):
    monkeypatch.setattr(kernels, "attention_by_head", lambda queries, keys, values: values)
    assert kernels.choose(model, torch.float32).attention is F.scaled_dot_product_attention


def test_bfloat16_layers_are_chosen_where_accurate_and_faster(monkeypatch, model):
    monkeypatch.setattr(kernels, "_TRIED_SHAPE", (8, 64, 64))
    slow = lambda weight, bias: lambda x: [F.linear(x, weight, bias) for _ in range(200)][0]  # noqa: E731
    assert kernels.choose_bfloat16(model, slow) is kernels.bfloat16
    monkeypatch.setattr(kernels, "bfloat16", lambda weight, bias: lambda x: 1.1 * F.linear(x, weight, bias))
    assert kernels.choose_bfloat16(model, slow) is None
    monkeypatch.setattr(kernels, "bfloat16", slow)
    assert kernels.choose_bfloat16(model, kernels.plain) is None
    monkeypatch.setattr(kernels, "bfloat16", without_operators)
    assert kernels.choose_bfloat16(model, slow) is None


def test_weights_of_a_large_model_are_not_copied(model, monkeypatch):
    monkeypatch.setattr(kernels, "_MAX_PACKED_BYTES", 19)
    assert kernels.choose_bfloat16(model, kernels.plain) is None
    assert kernels.choose(model, torch.float32).linear is not kernels.packed


def test_16_bit_layers_are_torchs_own(model):
    chosen = kernels.choose(model, torch.bfloat16)
    assert chosen.attention is F.scaled_dot_product_attention
    assert chosen.linear(random(4, 4), None)(random(1, 3, 4).bfloat16()).dtype == torch.bfloat16


def test_8_bits_are_refused_on_a_gpu():
    assert precision("int8", torch.device("cpu")) == (torch.float32, True)
    assert precision("bfloat16", torch.device("cuda")) == (torch.bfloat16, False)
    with pytest.raises(Unavailable, match='on the CPU only, not on cuda.*device = "cpu"'):
        precision("int8", torch.device("cuda"))
