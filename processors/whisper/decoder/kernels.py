"""The fastest linear layers and attention on this machine: torch's own, or oneDNN's.

On some CPUs torch's default library (MKL) runs at half the speed of oneDNN. oneDNN is reached through private operators
of torch: these are detected, compared with the plain ones in accuracy and time, and not used if in doubt.
"""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_MAX_PACKED_BYTES = 1 << 30  # packed weights are a second copy: too much memory for large models
_TOLERANCE = 1e-4
_TOLERANCE_IN_8_BITS = 0.05  # of the largest result
_TOLERANCE_IN_BFLOAT16 = 0.02
_TRIALS = 5
_GIVE_UP_FACTOR = 10  # times as slow as the usual one: no further trial
_LARGEST_IN_8_BITS, _ZERO_IN_8_BITS = 127, 128
_TRIED_SHAPE = (1500, 384, 1536)  # rows, in, out: an encoder layer of the smallest model
_TRIED_HEADS = (1, 2, 1500, 64)  # and two of its heads: all take the same time, and loading waits for the trial
_QUERIES_AT_ONCE = 500  # in `attention_by_head`: their scores stay in the CPU's cache
# oneDNN compiles each layer for each number of rows, and keeps the code: half a megabyte. By default it keeps 1024, as
# many as the prompts have lengths; a step of decoding needs 7 for each number of windows. The second name is torch's.
_MAX_COMPILED = "48"
_MAX_COMPILED_VARIABLES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")

Linear = Callable[[Tensor], Tensor]
MakeLinear = Callable[[Tensor, Tensor | None], Linear]
Attention = Callable[[Tensor, Tensor, Tensor], Tensor]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """The building blocks of encoder and decoder. Layers are made of weight (out, in) and bias (out,)."""

    linear: MakeLinear
    is_quantized: bool  # `linear`, to 8 bits
    decoder_linear: MakeLinear  # never quantized: that cost one word in fifty
    attention: Attention  # without a mask: queries, keys and values, each (n, heads, length, head width) -> the same


def limit_compiled() -> None:
    """Limit the number of layers that oneDNN keeps compiled, unless the environment sets a limit. Call this before
    oneDNN computes anything.
    """
    for name in _MAX_COMPILED_VARIABLES:
        os.environ.setdefault(name, _MAX_COMPILED)


def choose(model: torch.nn.Module, dtype: torch.dtype, in_8_bits: bool = False) -> Kernels:
    """The kernels for `dtype` on the model's device.

    in_8_bits: layers `linear` quantize their weights and inputs, on CPUs only; logs a warning where they cannot.
    """
    on_cpu = next(model.parameters()).device.type == "cpu" and dtype == torch.float32
    linear: MakeLinear = lambda weight, bias: plain(weight.to(dtype), None if bias is None else bias.to(dtype))  # noqa: E731
    attention: Attention = F.scaled_dot_product_attention
    if on_cpu and _may_be_packed(model) and is_accurate_and_faster("packed linear layers", _try_packed):
        linear = packed
    decoder_linear = linear
    if on_cpu and is_accurate_and_faster("attention by head", _try_attention_by_head):
        attention = attention_by_head
    is_quantized = in_8_bits and on_cpu and is_accurate_and_faster("8-bit linear layers", _try_quantized)
    if is_quantized:
        linear = quantized
    elif in_8_bits:
        log.warning("8-bit linear layers are unsupported or not faster on this machine; using %s", dtype)
    return Kernels(linear=linear, is_quantized=is_quantized, decoder_linear=decoder_linear, attention=attention)


def choose_bfloat16_attention(usual: Attention) -> Attention:
    """Attention in bfloat16 for the encoder on the CPU, if that is faster than `usual` in float32."""
    is_faster = is_accurate_and_faster("attention in bfloat16", _try_attention_in_bfloat16)
    return attention_in_bfloat16 if is_faster else usual


def choose_bfloat16(model: torch.nn.Module, usual: MakeLinear) -> MakeLinear | None:
    """Layers in bfloat16, nearly as accurate as float32's, for a model on the CPU; None: the CPU has no instructions
    for them, or another copy of the weights is too large. usual: the layers that they must be faster than."""
    if not _may_be_packed(model):
        return None

    def trial() -> Trial:
        candidate, wanted, _ = _try_layer(bfloat16, usual)
        return candidate, wanted, _TOLERANCE_IN_BFLOAT16 * float(wanted().abs().max())

    return bfloat16 if is_accurate_and_faster("bfloat16 linear layers", trial) else None


def has_bfloat16(device: torch.device) -> bool:
    """True for a CPU with instructions that multiply in bfloat16 and add in float32. If each number is read once, as in
    cross-attention, they are faster because they read half the memory. A trial with few numbers would not show it."""
    can = torch.cpu.get_capabilities()
    return device.type == "cpu" and bool(can.get("avx512_bf16") or can.get("amx_bf16"))


def _may_be_packed(model: torch.nn.Module) -> bool:
    return 4 * sum(parameter.numel() for parameter in model.parameters()) <= _MAX_PACKED_BYTES


def plain(weight: Tensor, bias: Tensor | None) -> Linear:
    weight, bias = weight.detach(), None if bias is None else bias.detach()
    return lambda x: F.linear(x, weight, bias)


def packed(weight: Tensor, bias: Tensor | None) -> Linear:
    """Compute a linear layer with oneDNN; float32 or bfloat16, on the CPU only."""
    operators = torch.ops.mkldnn
    bias = None if bias is None else bias.detach().contiguous()
    inner = operators._reorder_linear_weight(weight.detach().contiguous(), None)
    return lambda x: operators._linear_pointwise(x, inner, bias, "none", [], "")


def bfloat16(weight: Tensor, bias: Tensor | None) -> Linear:
    """Compute a linear layer with oneDNN, multiplied in bfloat16 and summed in float32; input and output are float32.
    On the CPU only."""
    inner = packed(weight.bfloat16(), None if bias is None else bias.bfloat16())
    return lambda x: inner(x.bfloat16()).float()


def quantized(weight: Tensor, bias: Tensor | None) -> Linear:
    """Compute a linear layer with oneDNN in 8-bit integers: a scale for each output of the weights, and one for each
    row of the input, so that a row's result does not depend on the other rows. float32 on the CPU only.

    Raises:
        NotImplementedError: sums of 8-bit products may overflow on this CPU.
    """
    can = torch.cpu.get_capabilities()
    if not (can.get("avx512_vnni") or can.get("avx_vnni")):
        raise NotImplementedError("no instructions for 8-bit integers")
    operators, least = torch.ops.onednn, torch.finfo(torch.float32).tiny
    weight, bias = weight.detach().float(), None if bias is None else bias.detach().float()
    scales = weight.abs().amax(1).clamp_(min=least) / _LARGEST_IN_8_BITS
    inner = operators.qlinear_prepack((weight / scales[:, None]).round_().to(torch.int8), None)
    offsets = torch.zeros(len(weight), dtype=torch.int32)

    def apply(x: Tensor) -> Tensor:
        scale = x.abs().amax(-1, keepdim=True).clamp_(min=least).mul_(1 / _LARGEST_IN_8_BITS)
        integers = (x / scale).round_().add_(_ZERO_IN_8_BITS).to(torch.uint8)
        found: Tensor = operators.qlinear_pointwise(
            *(integers, 1.0, _ZERO_IN_8_BITS, inner, scales, offsets, None, 1.0, 0, torch.float32, "none", [], "")
        ).mul_(scale)
        return found if bias is None else found.add_(bias)

    return apply


def attention_in_bfloat16(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention without a mask, computed in bfloat16 by oneDNN; float32 on the CPU only."""
    return attention_by_head(queries.bfloat16(), keys.bfloat16(), values.bfloat16()).float()


def attention_by_head(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention without a mask, its two products by oneDNN; float32 or bfloat16, on the CPU only."""
    multiply = torch.ops.mkldnn._linear_pointwise
    n, heads, length, width = queries.shape
    found = queries.new_empty(n, length, heads, width)
    for sound in range(n):
        for head in range(heads):
            scaled = queries[sound, head] * width**-0.5
            own_keys, own_values = keys[sound, head].contiguous(), values[sound, head].t().contiguous()
            for start in range(0, length, _QUERIES_AT_ONCE):
                weights = multiply(scaled[start : start + _QUERIES_AT_ONCE], own_keys, None, "none", [], "").softmax(-1)
                found[sound, start : start + len(weights), head] = multiply(weights, own_values, None, "none", [], "")
    return found.permute(0, 2, 1, 3)


def attention_to_bfloat16(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention of few queries, float32, to many keys and values in bfloat16, each (n, heads, length, head width) ->
    float32, the shape of the queries. mask: (n, 1, 1, length), True: attend there; None: everywhere."""
    scaled = (queries * queries.shape[-1] ** -0.5).bfloat16()
    scores = (scaled @ keys.transpose(-1, -2)).float()
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    found: Tensor = scores.softmax(-1).bfloat16() @ values
    return found.float()


Trial = tuple[Callable[[], Tensor], Callable[[], Tensor], float]  # a candidate, the usual one, and the tolerance


def _try_packed() -> Trial:
    return _try_layer(packed)


def _try_quantized() -> Trial:
    candidate, usual, _ = _try_layer(quantized)
    return candidate, usual, _TOLERANCE_IN_8_BITS * float(usual().abs().max())


def _try_attention_by_head() -> Trial:
    random = torch.Generator().manual_seed(0)
    queries, keys, values = (torch.randn(_TRIED_HEADS, generator=random) for _ in range(3))
    return (
        lambda: attention_by_head(queries, keys, values),
        lambda: F.scaled_dot_product_attention(queries, keys, values),
        _TOLERANCE,
    )


def _try_attention_in_bfloat16() -> Trial:
    random = torch.Generator().manual_seed(0)
    queries, keys, values = (torch.randn(_TRIED_HEADS, generator=random) for _ in range(3))
    return (
        lambda: attention_in_bfloat16(queries, keys, values),
        lambda: F.scaled_dot_product_attention(queries, keys, values),
        _TOLERANCE_IN_BFLOAT16,
    )


def _try_layer(make: MakeLinear, instead_of: MakeLinear = plain) -> Trial:
    rows, inside, outside = _TRIED_SHAPE
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(outside, inside, generator=random) / inside**0.5
    bias, x = torch.randn(outside, generator=random), torch.randn(1, rows, inside, generator=random)
    candidate, usual = make(weight, bias), instead_of(weight, bias)
    return lambda: candidate(x), lambda: usual(x), _TOLERANCE


@torch.inference_mode()
def is_accurate_and_faster(what: str, trial: Callable[[], Trial]) -> bool:
    """True if a candidate gives nearly the same result as the usual kernel in less time."""
    try:
        candidate, usual, tolerance = trial()
        is_accurate = torch.allclose(candidate(), usual(), rtol=0, atol=tolerance)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError) as error:
        log.debug("%s: unsupported: %s", what, error)
        return False
    usual_seconds = _seconds(usual)
    chosen = is_accurate and _seconds(candidate, _GIVE_UP_FACTOR * usual_seconds) < usual_seconds
    log.debug("%s: %s", what, "chosen" if chosen else "not faster" if is_accurate else "inaccurate")
    return chosen


def _seconds(work: Callable[[], Tensor], limit: float = float("inf")) -> float:
    """The best of some trials, in CPU time, which other processes do not affect. One slower than the limit ends
    them."""
    best = float("inf")
    for _ in range(_TRIALS):
        start = time.thread_time()
        work()
        best = min(best, time.thread_time() - start)
        if best > limit:
            break
    return best
