"""The logits of the vocabulary with half the memory traffic, for greedy decoding, where only the best token counts.

A step of a few windows mostly waits for the memory to deliver the vocabulary: 80 MB in the smallest model. It is
therefore read in bfloat16, and every text token that could be the most probable, by a bound of the error, is computed
again in float32; so are all tokens that are not text, whose probabilities are summed. The choice is the same as in
float32.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from processors.whisper.decoder import kernels
from processors.whisper.decoder.kernels import Linear, MakeLinear
from processors.whisper.decoder.mapped import ScatteredReads

_ROUNDING = 2.0**-9  # of bfloat16, by the size of a number: half a unit of its last bit
_SPARE = 1.1  # for the error of the sums themselves
_LIKELY = 3.0  # below the maximum: logits nearer than that make up most of the sum of all probabilities
_MANY = 0.05  # of all tokens
_TRIED_ROWS = 8
_CONVERTED_TOKENS = 4096  # at once, from a shorter type: they stay in the CPU's cache
_REFINED_LOGITS = 64  # at once: a batch may have 15,000, and each reads a page of the mapped weights and its neighbors

Refine = Callable[[Tensor], None]


class BFloat16Vocabulary:
    """Logits with the embedding in bfloat16, for float32 on the CPU only; see `choose`."""

    def __init__(self, embedding: Tensor, approximate: Linear):
        """embedding: (tokens, width), float32, or float16 that counts as float32. approximate: the same as a layer in
        bfloat16."""
        self._embedding, self._approximate = embedding, approximate
        self._reads = ScatteredReads(embedding)
        self._exact: dict[int, Tensor] = {}  # from this token on, in float32
        self._longest = self._farthest = 0.0
        for part in embedding.split(_CONVERTED_TOKENS):
            exact = part.float()
            self._longest = max(self._longest, float(exact.norm(dim=1).max()))
            self._farthest = max(self._farthest, float((exact - exact.bfloat16().float()).norm(dim=1).max()))

    def logits(self, states: Tensor, end: int) -> tuple[Tensor, Refine]:
        """Normalized states (rows, width) -> float32 (rows, tokens), exact from the token `end` on, approximate for the
        text before it; and a function that makes all text exact, in place, that could be the most probable of its row.
        Suppressed text must be -inf when it is called."""
        logits = self._approximate(states.bfloat16()).float()
        if end not in self._exact:
            self._exact = {end: self._embedding[end:].float()}
        logits[:, end:] = states @ self._exact[end].T
        return logits, lambda allowed: self._refine(allowed[:, :end], states)

    def sums(self, states: Tensor, end: int) -> Tensor:
        """The logits where only sums of probabilities count: if no token stands out, the errors of many tokens cancel
        each other."""
        logits, _ = self.logits(states, end)
        self._refine(logits[:, :end], states, is_choice=False)
        return logits

    def _refine(self, text: Tensor, states: Tensor, *, is_choice: bool = True) -> None:
        """The error of a logit is bounded, by Cauchy and Schwarz, by the rounding of the embedding, of the state and of
        the result. An error remains in the sum of the probabilities: less than 0.001."""
        top = text.amax(-1, keepdim=True)
        length = states.norm(dim=1, keepdim=True)
        error = length * (self._farthest + _ROUNDING * (self._longest + self._farthest)) + _ROUNDING * top.abs()
        likely = text >= top - 2 * _SPARE * error - _LIKELY
        if int(likely.sum()) > _MANY * text.numel():  # no token stands out: all at once is faster
            if not is_choice:
                return
            exact = exact_logits(states, self._embedding[: text.shape[1]], self._reads)
            text.copy_(torch.where(text.isneginf(), text, exact))
            return
        for places in likely.T.nonzero().split(_REFINED_LOGITS):  # in the order of the embedding
            tokens, rows = places.unbind(1)
            text[rows, tokens] = (states[rows] * self._embedding[tokens].float()).sum(-1)
            self._reads.count(len(tokens))


def exact_logits(states: Tensor, embedding: Tensor, reads: ScatteredReads | None = None) -> Tensor:
    """States (rows, width) by an embedding (tokens, width), which may be stored in a shorter type -> (rows, tokens)
    in the type of the states. Never holds a converted copy of all tokens. reads: of the embedding."""
    if embedding.dtype == states.dtype:
        return F.linear(states, embedding)
    parts = []
    for part in embedding.split(_CONVERTED_TOKENS):
        parts.append(F.linear(states, part.to(states.dtype)))
        if reads:
            reads.count(len(part))
    return torch.cat(parts, -1)


def choose(embedding: Tensor, make: MakeLinear) -> BFloat16Vocabulary | None:
    """Return a bfloat16 vocabulary for an embedding (tokens, width) on the CPU; None if the layer that `make` creates
    from it in float32 is not slower here. Tries a quarter of the tokens: three copies of all would be the most memory
    that a small model ever takes."""
    states = torch.randn(_TRIED_ROWS, embedding.shape[1], generator=torch.Generator().manual_seed(0))
    tried = embedding[: len(embedding) // 4]

    def trial() -> kernels.Trial:
        layer, usual = kernels.packed(tried.bfloat16(), None), make(tried.float(), None)
        tolerance = _ROUNDING * 4 * float(usual(states).abs().max())
        return lambda: layer(states.bfloat16()).float(), lambda: usual(states), tolerance

    if not kernels.is_accurate_and_faster("a bfloat16 vocabulary", trial):
        return None
    return BFloat16Vocabulary(embedding, kernels.packed(embedding.bfloat16(), None))
