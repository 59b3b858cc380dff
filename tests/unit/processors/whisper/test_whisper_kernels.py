"""Layers by private operators of torch give what its own give; where they cannot be had, its own are taken."""

import logging

import pytest
import torch
import torch.nn.functional as F

from processors.contract import Unavailable
from processors.whisper.decoder import kernels
from processors.whisper.engines.openai import precision


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


@pytest.fixture
def model():
    return torch.nn.Linear(4, 4)


@pytest.mark.parametrize("rows", [1, 7, 400])
@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize(("make", "nearness"), [(kernels.packed, 1e-5), (kernels.rough, 0.05), (kernels.rounded, 0.15)])
def test_layers_compute_what_torch_computes(make, nearness, rows, has_bias):
    weight, bias, x = random(96, 64) / 8, random(96) if has_bias else None, random(2, rows, 64)
    assert torch.allclose(make(weight, bias)(x), F.linear(x, weight, bias), atol=nearness)


@pytest.mark.parametrize("length", [1, 499, 750, 1500])
def test_attention_head_by_head_is_attention(length):
    joined = random(2, length, 3, 6, 64)  # as a layer leaves queries, keys and values: not one behind the other
    queries, keys, values = joined.permute(2, 0, 3, 1, 4).unbind(0)
    found = kernels.by_head(queries, keys, values)
    assert found.shape == queries.shape
    assert torch.allclose(found, F.scaled_dot_product_attention(queries, keys, values), atol=1e-5)


def without_operators(*given):
    raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_linear_pointwise'")


@pytest.mark.parametrize("name", ["packed", "by_head", "rounded"])
def test_where_an_operator_is_missing_torchs_own_serve(model, monkeypatch, caplog, name):
    monkeypatch.setattr(kernels, name, without_operators)
    with caplog.at_level(logging.WARNING):
        chosen = kernels.choose(model, torch.float32, in_8_bits=name == "rounded")
    match name:
        case "packed":
            assert chosen.linear is not kernels.packed
        case "by_head":
            assert chosen.attention is F.scaled_dot_product_attention
        case "rounded":
            assert chosen.linear is not without_operators and "in 8 bits are not to be had" in caplog.text
    weight, x = random(4, 4), random(1, 3, 4)
    assert torch.allclose(chosen.linear(weight, None)(x), F.linear(x, weight), atol=1e-5)


def test_what_computes_something_else_is_not_chosen(monkeypatch, model):
    monkeypatch.setattr(kernels, "by_head", lambda queries, keys, values: values)
    assert kernels.choose(model, torch.float32).attention is F.scaled_dot_product_attention


def test_rough_layers_are_chosen_where_they_are_right_and_faster(monkeypatch, model):
    monkeypatch.setattr(kernels, "_TRIED_SHAPE", (8, 64, 64))
    slow = lambda weight, bias: lambda x: [F.linear(x, weight, bias) for _ in range(200)][0]  # noqa: E731
    assert kernels.choose_rough(model, slow) is kernels.rough
    monkeypatch.setattr(kernels, "rough", lambda weight, bias: lambda x: 1.1 * F.linear(x, weight, bias))
    assert kernels.choose_rough(model, slow) is None
    monkeypatch.setattr(kernels, "rough", slow)
    assert kernels.choose_rough(model, kernels.plain) is None
    monkeypatch.setattr(kernels, "rough", without_operators)
    assert kernels.choose_rough(model, slow) is None


def test_a_large_model_is_not_held_twice(model, monkeypatch):
    monkeypatch.setattr(kernels, "_MOST_PACKED_BYTES", 19)
    assert kernels.choose_rough(model, kernels.plain) is None
    assert kernels.choose(model, torch.float32).linear is not kernels.packed


def test_sixteen_bits_are_left_to_torch(model):
    chosen = kernels.choose(model, torch.bfloat16)
    assert chosen.attention is F.scaled_dot_product_attention
    assert chosen.linear(random(4, 4), None)(random(1, 3, 4).bfloat16()).dtype == torch.bfloat16


def test_eight_bits_are_for_the_cpu():
    assert precision("int8", torch.device("cpu")) == (torch.float32, True)
    assert precision("bfloat16", torch.device("cuda")) == (torch.bfloat16, False)
    with pytest.raises(Unavailable, match='on the CPU only, not on cuda.*device = "cpu"'):
        precision("int8", torch.device("cuda"))
