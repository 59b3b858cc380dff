"""Linear layers and attention as fast as this machine has them, by what is found here: torch's own, or oneDNN's.

On some CPUs torch's default library (MKL) runs at half the speed of oneDNN. oneDNN is reached by private operators of
torch: they are looked for, compared with the plain ones on numbers and in time, and left alone if in doubt.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_MOST_PACKED_BYTES = 1 << 30  # packed weights are a second copy: not of models whose first is already large
_TOLERANCE = 1e-4
_TOLERANCE_IN_8_BITS = 0.05  # of the largest result
_TOLERANCE_IN_BFLOAT16 = 0.02
_TRIALS = 5
_HOPELESS = 10  # times as slow as the usual: not tried again
_LARGEST_IN_8_BITS, _ZERO_IN_8_BITS = 127, 128
_TRIED_SHAPE = (1500, 384, 1536)  # rows, in, out: an encoder layer of the smallest model
_TRIED_HEADS = (1, 2, 1500, 64)  # and two of its heads: each takes the same time, and a worker waits for the trial
_QUERIES_AT_ONCE = 500  # in `by_head`: their scores stay in the CPU's cache

Linear = Callable[[Tensor], Tensor]
Maker = Callable[[Tensor, Tensor | None], Linear]
Attention = Callable[[Tensor, Tensor, Tensor], Tensor]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """What a network is made of. Layers are made out of weight (out, in) and bias (out,)."""

    linear: Maker
    is_rounded: bool  # `linear`, to 8 bits
    of_text: Maker  # the decoder's own linear layers: never rounded, that cost one word of fifty
    attention: Attention  # of each to all, without a mask: three times (n, heads, length, head width) -> the same


def choose(model: torch.nn.Module, dtype: torch.dtype, in_8_bits: bool = False) -> Kernels:
    """For numbers on the model's device in `dtype`.

    `in_8_bits`: layers `linear` round their weights and inputs, on CPUs only; where they cannot, there is a warning.
    """
    on_cpu = next(model.parameters()).device.type == "cpu" and dtype == torch.float32
    linear: Maker = lambda weight, bias: plain(weight.to(dtype), None if bias is None else bias.to(dtype))  # noqa: E731
    attention: Attention = F.scaled_dot_product_attention
    if on_cpu and _may_be_packed(model) and is_right_and_faster("packed linear layers", _try_packed):
        linear = packed
    of_text = linear
    if on_cpu and is_right_and_faster("attention head by head", _try_by_head):
        attention = by_head
    is_rounded = in_8_bits and on_cpu and is_right_and_faster("linear layers in 8 bits", _try_rounded)
    if is_rounded:
        linear = rounded
    elif in_8_bits:
        log.warning("linear layers in 8 bits are not to be had or not faster on this machine: computed in %s", dtype)
    return Kernels(linear=linear, is_rounded=is_rounded, of_text=of_text, attention=attention)


def choose_rough(model: torch.nn.Module, usual: Maker) -> Maker | None:
    """Layers that are nearly as right as float32's, in bfloat16, for a model on the CPU; None: its instructions, or the
    memory for another copy of the weights, are not to be had. `usual`: what they are to be faster than."""
    if not _may_be_packed(model):
        return None

    def trial() -> Trial:
        candidate, wanted, _ = _try_layer(rough, usual)
        return candidate, wanted, _TOLERANCE_IN_BFLOAT16 * float(wanted().abs().max())

    return rough if is_right_and_faster("linear layers in bfloat16", trial) else None


def _may_be_packed(model: torch.nn.Module) -> bool:
    return 4 * sum(parameter.numel() for parameter in model.parameters()) <= _MOST_PACKED_BYTES


def plain(weight: Tensor, bias: Tensor | None) -> Linear:
    weight, bias = weight.detach(), None if bias is None else bias.detach()
    return lambda x: F.linear(x, weight, bias)


def packed(weight: Tensor, bias: Tensor | None) -> Linear:
    """By oneDNN; float32 or bfloat16, on the CPU only."""
    operators = torch.ops.mkldnn
    bias = None if bias is None else bias.detach().contiguous()
    inner = operators._reorder_linear_weight(weight.detach().contiguous(), None)
    return lambda x: operators._linear_pointwise(x, inner, bias, "none", [], "")


def rough(weight: Tensor, bias: Tensor | None) -> Linear:
    """By oneDNN, multiplied in bfloat16 and summed in float32, as which x comes and goes; on the CPU only."""
    inner = packed(weight.bfloat16(), None if bias is None else bias.bfloat16())
    return lambda x: inner(x.bfloat16()).float()


def rounded(weight: Tensor, bias: Tensor | None) -> Linear:
    """By oneDNN, with 8-bit integers: a scale for each output of the weights, and one for each row of the input, whose
    result, then, does not depend on the rows beside it. float32 on the CPU only.

    Raises:
        NotImplementedError: this CPU's sums of 8-bit products may overflow.
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
        found = operators.qlinear_pointwise(
            *(integers, 1.0, _ZERO_IN_8_BITS, inner, scales, offsets, None, 1.0, 0, torch.float32, "none", [], "")
        ).mul_(scale)
        return found if bias is None else found.add_(bias)

    return apply


def by_head(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention of each to all, its two products by oneDNN; float32 on the CPU only."""
    multiply = torch.ops.mkldnn._linear_pointwise
    n, heads, length, width = queries.shape
    found = queries.new_empty(n, length, heads, width)
    for sound in range(n):
        for head in range(heads):
            asked = queries[sound, head] * width**-0.5
            kept, read = keys[sound, head].contiguous(), values[sound, head].t().contiguous()
            for start in range(0, length, _QUERIES_AT_ONCE):
                shares = multiply(asked[start : start + _QUERIES_AT_ONCE], kept, None, "none", [], "").softmax(-1)
                found[sound, start : start + len(shares), head] = multiply(shares, read, None, "none", [], "")
    return found.permute(0, 2, 1, 3)


Trial = tuple[Callable[[], Tensor], Callable[[], Tensor], float]  # a candidate, what it is to replace, how near it is


def _try_packed() -> Trial:
    return _try_layer(packed)


def _try_rounded() -> Trial:
    candidate, usual, _ = _try_layer(rounded)
    return candidate, usual, _TOLERANCE_IN_8_BITS * float(usual().abs().max())


def _try_by_head() -> Trial:
    random = torch.Generator().manual_seed(0)
    given = [torch.randn(_TRIED_HEADS, generator=random) for _ in range(3)]
    return lambda: by_head(*given), lambda: F.scaled_dot_product_attention(*given), _TOLERANCE


def _try_layer(make: Maker, instead_of: Maker = plain) -> Trial:
    rows, inside, outside = _TRIED_SHAPE
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(outside, inside, generator=random) / inside**0.5
    bias, x = torch.randn(outside, generator=random), torch.randn(1, rows, inside, generator=random)
    candidate, usual = make(weight, bias), instead_of(weight, bias)
    return lambda: candidate(x), lambda: usual(x), _TOLERANCE


@torch.inference_mode()
def is_right_and_faster(what: str, trial: Callable[[], Trial]) -> bool:
    """Does a candidate give nearly the same as what it is to replace, in less time?"""
    try:
        candidate, usual, tolerance = trial()
        is_right = torch.allclose(candidate(), usual(), rtol=0, atol=tolerance)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError) as error:
        log.debug("no %s here: %s", what, error)
        return False
    most = _seconds(usual)
    chosen = is_right and _seconds(candidate, _HOPELESS * most) < most
    log.debug("%s: %s", what, "chosen" if chosen else "not faster" if is_right else "wrong")
    return chosen


def _seconds(work: Callable[[], Tensor], hopeless: float = float("inf")) -> float:
    """The best of some trials, in CPU time: neighbours on the machine do not count. One as slow as that ends them."""
    best = float("inf")
    for _ in range(_TRIALS):
        start = time.thread_time()
        work()
        best = min(best, time.thread_time() - start)
        if best > hopeless:
            break
    return best
