"""Linear layers as fast as this machine has them, by what is found here: torch's own, or oneDNN's on packed weights.

On some CPUs torch's default library (MKL) runs at half the speed of oneDNN. The packed layers are private operators of
torch: they are looked for, compared with the plain ones on numbers and in time, and left alone if in doubt.
"""

import logging
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

_MOST_PACKED_BYTES = 1 << 30  # packed weights are a second copy: not of models whose first is already large
_TOLERANCE = 1e-4
_TRIALS = 5
_TRIED_SHAPE = (1500, 384, 1536)  # rows, in, out: an encoder layer of the smallest model

Maker = Callable[[Tensor, Tensor | None], Callable[[Tensor], Tensor]]

log = logging.getLogger(__name__)


def choose(model: torch.nn.Module, dtype: torch.dtype) -> Maker:
    """Makes layers out of weight (out, in) and bias (out,), for sound on the model's device in `dtype`."""
    size_bytes = sum(parameter.numel() * 4 for parameter in model.parameters())
    on_cpu = next(model.parameters()).device.type == "cpu" and dtype == torch.float32
    if on_cpu and size_bytes <= _MOST_PACKED_BYTES and _packed_is_right_and_faster():
        log.debug("the linear layers run on packed weights")
        return packed
    return lambda weight, bias: plain(weight.to(dtype), None if bias is None else bias.to(dtype))


def plain(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    weight, bias = weight.detach(), None if bias is None else bias.detach()
    return lambda x: F.linear(x, weight, bias)


def packed(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    """float32 on the CPU only."""
    operators = torch.ops.mkldnn
    bias = None if bias is None else bias.detach().contiguous()
    inner = operators._reorder_linear_weight(weight.detach().contiguous(), None)
    return lambda x: operators._linear_pointwise(x, inner, bias, "none", [], "")


def _packed_is_right_and_faster() -> bool:
    rows, inside, outside = _TRIED_SHAPE
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(outside, inside, generator=random) / inside**0.5
    bias, x = torch.randn(outside, generator=random), torch.randn(1, rows, inside, generator=random)
    try:
        candidate = packed(weight, bias)
        same = torch.allclose(candidate(x), plain(weight, bias)(x), atol=_TOLERANCE)
    except (AttributeError, RuntimeError, TypeError) as error:
        log.debug("no packed linear layers here: %s", error)
        return False
    return same and _seconds(candidate, x) < _seconds(plain(weight, bias), x)


def _seconds(layer: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """The best of some trials, in CPU time: neighbours on the machine do not count."""
    best = float("inf")
    for _ in range(_TRIALS):
        start = time.thread_time()
        layer(x)
        best = min(best, time.thread_time() - start)
    return best
