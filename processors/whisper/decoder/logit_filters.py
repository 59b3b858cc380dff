"""The logit filters of `whisper.decoding`, for all rows of a batch at once."""

from collections.abc import Callable
from copy import copy
from typing import Self

import torch
from torch import Tensor
from whisper.decoding import ApplyTimestampRules, DecodingTask, SuppressBlank, SuppressTokens

_NEVER = float("-inf")


class LogitFilter:
    """SuppressBlank, SuppressTokens and ApplyTimestampRules of one decoding task, with the state of each row."""

    def __init__(self, task: DecodingTask, rows: int, device: torch.device):
        tokenizer = task.tokenizer
        self._end, self._first_time = tokenizer.eot, tokenizer.timestamp_begin
        self._suppressed = torch.zeros(task.model.dims.n_vocab, device=device)
        self._blank: list[int] = []
        self.timed, self._latest_start = False, None
        for rule in task.logit_filters:
            match rule:
                case SuppressBlank():
                    self._blank = [*tokenizer.encode(" "), tokenizer.eot]
                case SuppressTokens():
                    self._suppressed[list(rule.suppress_tokens)] = _NEVER
                case ApplyTimestampRules():
                    self.timed, self._latest_start = True, rule.max_initial_timestamp_index
                    if tokenizer.no_timestamps is not None:
                        self._suppressed[tokenizer.no_timestamps] = _NEVER
                case _:
                    raise NotImplementedError(f"this version of whisper has an unknown logit filter: {rule}")
        self._times = torch.arange(task.model.dims.n_vocab - self._first_time, device=device)
        self._starts = True  # no token was decoded yet
        self._is_time = torch.zeros(rows, dtype=torch.bool, device=device)  # the last token
        self._was_time = torch.ones(rows, dtype=torch.bool, device=device)  # the one before it, or there is none
        self._latest = torch.full((rows,), -1, device=device)  # latest time, as an index; -1: none yet

    def apply(self, logits: Tensor, refine: Callable[[Tensor], None] | None = None) -> None:
        """Set the logits (rows, vocabulary) of tokens that must not come next to -inf, in place. refine: corrects
        approximate logits of text once those of suppressed text are -inf."""
        logits += self._suppressed
        if self._starts and self._blank:
            logits[:, self._blank] = _NEVER
        if refine and not (self.timed and self._starts):  # no text may follow, then
            refine(logits)
        if not self.timed:
            return
        times, others = logits[:, self._first_time :], logits[:, : self._first_time]
        if self._starts:
            others.fill_(_NEVER)
            if self._latest_start is not None:
                times[:, self._latest_start + 1 :] = _NEVER
            return
        pair_is_closed = self._is_time & self._was_time  # only text may follow
        pair_is_open = self._is_time & ~self._was_time  # a time or the end must follow
        earliest = self._latest + (~pair_is_open).long()  # times never decrease, and no segment is empty
        times.masked_fill_((self._times < earliest[:, None]) | pair_is_closed[:, None], _NEVER)
        logits[:, : self._end].masked_fill_(pair_is_open[:, None], _NEVER)
        forced = times.logsumexp(-1) > others.amax(-1)  # all times together are more probable than any text
        others.masked_fill_(forced[:, None], _NEVER)

    def update(self, tokens: Tensor) -> None:
        """Note the chosen tokens (rows,), in place."""
        if not self._starts:
            self._was_time.copy_(self._is_time)
        self._starts = False
        torch.ge(tokens, self._first_time, out=self._is_time)
        self._latest.copy_(torch.where(self._is_time, tokens - self._first_time, self._latest))

    def select(self, rows: Tensor) -> Self:
        """Continue with these rows, in this order."""
        self._is_time, self._was_time, self._latest = (each[rows] for each in self.by_row)
        return self

    def first(self, count: int) -> Self:
        """The filter for the first rows only. It shares its memory with this one."""
        found = copy(self)
        found._is_time, found._was_time, found._latest = (each[:count] for each in self.by_row)
        return found

    def copy_from(self, other: Self) -> None:
        """Copy the state of `other` into the first rows of this filter's memory."""
        self._suppressed.copy_(other._suppressed)
        self.timed, self._starts = other.timed, other._starts
        for own, its in zip(self.by_row, other.by_row, strict=True):
            own[: len(its)] = its

    @property
    def by_row(self) -> tuple[Tensor, Tensor, Tensor]:
        """The tensors of the state, each of shape (rows,)."""
        return self._is_time, self._was_time, self._latest
