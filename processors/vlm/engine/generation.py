"""What watches over generation, token by token: where a row ends, and how probable each token was."""

import time
from collections.abc import Callable

import torch
from transformers import LogitsProcessor, StoppingCriteria

from processors.vlm.assess import repetition
from processors.vlm.types import StopReason

_LOOP_CHECK_TOKENS = 64  # how often loops are looked for: it brings the tokens back from the GPU
_SIGN_SECONDS = 1.0  # how often a sign of life is given


class Watch(StoppingCriteria):
    """Ends each row at its own limit, or once it is in an endless loop; gives signs of life."""

    def __init__(
        self, limits: list[int], prompt_tokens: int, ends: list[int], device: torch.device, alive: Callable[[], None]
    ):
        self._limits, self._device_limits = limits, torch.tensor(limits, device=device)
        self._looped: dict[int, int] = {}  # row -> tokens until it was ended
        self._prompt_tokens, self._ends = prompt_tokens, set(ends)
        self._alive, self._next_sign = alive, 0.0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **others: object) -> torch.Tensor:
        done = input_ids.shape[1] - self._prompt_tokens
        if (now := time.monotonic()) >= self._next_sign:
            self._alive()
            self._next_sign = now + _SIGN_SECONDS
        if done % _LOOP_CHECK_TOKENS == 0:
            for row, tokens in enumerate(input_ids[:, self._prompt_tokens :].tolist()):
                if row not in self._looped and self._ends.isdisjoint(tokens) and repetition.is_endless(tokens):
                    self._looped[row] = done
        over = self._device_limits <= done
        for row in self._looped:
            over[row] = True
        return over

    def cut(self, row: int) -> tuple[int, StopReason]:
        """How many tokens of a row count unless it ended itself before, and why no more."""
        if row in self._looped:
            return self._looped[row], StopReason.LOOP
        return self._limits[row], StopReason.LENGTH


class Probabilities(LogitsProcessor):
    """Changes nothing; keeps with what probability each greedy token is chosen, not the scores of all words.

    Comes after a `Constraint`: the probability is that among the tokens which it permits.
    """

    def __init__(self) -> None:
        self._steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores_float = scores.float()
        self._steps.append((scores_float.amax(dim=-1) - scores_float.logsumexp(dim=-1)).exp())
        return scores

    def table(self) -> torch.Tensor:
        """float32, shape (n_rows, n_steps), on the CPU."""
        return torch.stack(self._steps, dim=1).cpu()
