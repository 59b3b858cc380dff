"""The logits of the vocabulary for half the memory traffic, where only the likeliest token counts: in greedy decoding.

A step of a few windows mostly waits for the vocabulary to come from memory: 80 MB of the smallest model. So it is read
in bfloat16, and whatever text could be the likeliest, by a bound of the error, is computed again in float32; so are all
tokens that are no text, whose probabilities are summed. The choice is the one that float32 makes.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from processors.whisper.decoder import kernels
from processors.whisper.decoder.kernels import Linear, Maker

_ROUNDING = 2.0**-9  # of bfloat16, by the size of a number: half a unit of its last bit
_SPARE = 1.1  # for what the sums themselves are off by
_LIKELY = 3.0  # behind the likeliest: what is nearer than that makes up most of the sum of all probabilities
_MANY = 0.05  # of all tokens
_TRIED_ROWS = 8

Refine = Callable[[Tensor], None]


class Vocabulary:
    """float32 on the CPU only; `choose` tells whether it is worth it."""

    def __init__(self, embedding: Tensor, rough: Linear):
        """embedding: float32, (tokens, width). rough: the same as a layer in bfloat16."""
        self._embedding, self._rough = embedding, rough
        self._longest = float(embedding.norm(dim=1).max())
        self._farthest = float((embedding - embedding.bfloat16().float()).norm(dim=1).max())

    def logits(self, states: Tensor, end: int) -> tuple[Tensor, Refine]:
        """Normalised states (rows, width) -> float32 (rows, tokens), right from the token `end` on, near for the text
        before it; and what makes right, in place, all text that could be the likeliest of its row. Text that is
        forbidden is to be -inf by then."""
        logits = self._rough(states.bfloat16()).float()
        logits[:, end:] = states @ self._embedding[end:].T
        return logits, lambda allowed: self._refine(allowed[:, :end], states)

    def _refine(self, text: Tensor, states: Tensor) -> None:
        """By Cauchy and Schwarz, a logit is off by no more than what the rounding of the embedding, of the state and of
        the result comes to. What remains off is the sum of the probabilities, by less than 0.001."""
        top = text.amax(-1, keepdim=True)
        length = states.norm(dim=1, keepdim=True)
        off = length * (self._farthest + _ROUNDING * (self._longest + self._farthest)) + _ROUNDING * top.abs()
        likely = text >= top - 2 * _SPARE * off - _LIKELY
        if int(likely.sum()) > _MANY * text.numel():  # nothing stands out: all at once is quicker
            text.copy_(torch.where(text.isneginf(), text, states @ self._embedding[: text.shape[1]].T))
            return
        rows, tokens = likely.nonzero(as_tuple=True)
        text[rows, tokens] = (states[rows] * self._embedding[tokens]).sum(-1)


def choose(embedding: Tensor, make: Maker) -> Vocabulary | None:
    """For a float32 embedding (tokens, width) on the CPU; None: a layer that `make` makes of it is not slower here."""
    states = torch.randn(_TRIED_ROWS, embedding.shape[1], generator=torch.Generator().manual_seed(0))
    rough = cache(lambda: kernels.packed(embedding.bfloat16(), None))  # made in the trial, as it may not be to be had

    def trial() -> kernels.Trial:
        layer, usual = rough(), make(embedding, None)
        near = _ROUNDING * 4 * float(usual(states).abs().max())
        return lambda: layer(states.bfloat16()).float(), lambda: usual(states), near

    return Vocabulary(embedding, rough()) if kernels.is_right_and_faster("a bfloat16 vocabulary", trial) else None
