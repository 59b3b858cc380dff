"""Callbacks for each step of generation: limits and loops, token probabilities, and JSON Schemas as grammars.

A grammar (by llguidance) permits only tokens that may still lead to JSON that fits. It costs some milliseconds for the
first answer of a schema (two to six seconds for the first schema, with a vocabulary of 150,000 tokens), then a fraction
of a millisecond per token.
"""

import codecs
import time
from collections.abc import Callable, Sequence

import torch
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer
from transformers import GenerationConfig, LogitsProcessor, PreTrainedTokenizerFast, StoppingCriteria

from processors.vlm.assess import is_endless
from processors.vlm.extract import schema_grammar, schema_text
from processors.vlm.types import PageRequest, StopReason

_LOOP_CHECK_TOKENS = 64  # between two checks: each copies the tokens from the GPU
_HEARTBEAT_SECONDS = 1.0
_BITS = torch.arange(32, dtype=torch.int32)


def end_tokens(author: GenerationConfig, *others: int | None) -> list[int]:
    """The tokens that end an answer: those that the model's author names, and `others`."""
    named = author.eos_token_id
    found = named if isinstance(named, list) else [named]
    return sorted({token for token in (*found, *others) if token is not None})


def greedy_config(author: GenerationConfig, ends: list[int], pad: int) -> GenerationConfig:
    """Settings of greedy decoding. Of the author's, only the special tokens remain.

    Many models carry a `repetition_penalty` for chats. A statement repeats the same digits and dates hundreds of times:
    the penalty would make each less likely than a wrong one, and shift the probabilities that decide on a review.
    """
    return GenerationConfig(
        do_sample=False,
        bos_token_id=author.bos_token_id,
        eos_token_id=ends,
        pad_token_id=pad,
        suppress_tokens=author.suppress_tokens,  # placeholders of images and sounds
    )


class StopAtLimitOrLoop(StoppingCriteria):
    """Stops each row at its own limit, or once it is in an endless loop; calls `heartbeat`."""

    def __init__(
        self,
        limits: list[int],
        prompt_tokens: int,
        ends: list[int],
        device: torch.device,
        heartbeat: Callable[[], None],
    ):
        self._limits, self._device_limits = limits, torch.tensor(limits, device=device)
        self._looped: dict[int, int] = {}  # row -> tokens until it was stopped
        self._prompt_tokens, self._ends = prompt_tokens, set(ends)
        self._heartbeat, self._next_heartbeat = heartbeat, 0.0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **others: object) -> torch.Tensor:
        done = input_ids.shape[1] - self._prompt_tokens
        if (now := time.monotonic()) >= self._next_heartbeat:
            self._heartbeat()
            self._next_heartbeat = now + _HEARTBEAT_SECONDS
        if done % _LOOP_CHECK_TOKENS == 0:
            for row, tokens in enumerate(input_ids[:, self._prompt_tokens :].tolist()):
                if row not in self._looped and self._ends.isdisjoint(tokens) and is_endless(tokens):
                    self._looped[row] = done
        over = self._device_limits <= done
        for row in self._looped:
            over[row] = True
        return over

    def cut(self, row: int) -> tuple[int, StopReason]:
        """The tokens of a row that count unless it ended before, and why later ones do not count."""
        if row in self._looped:
            return self._looped[row], StopReason.LOOP
        return self._limits[row], StopReason.LENGTH


class TokenProbabilities(LogitsProcessor):
    """Records the probability of each greedy token, not the scores of the whole vocabulary; changes nothing.

    Comes after a `GrammarConstraint`: the probability is that among the permitted tokens.
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


class GrammarCache:
    """The grammars for one model's tokenizer, each compiled once."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, vocabulary: int, ends: Sequence[int]):
        """vocabulary: the number of scores per token; ends: the tokens that end an answer."""
        self._source, self._vocabulary, self._ends = tokenizer, vocabulary, list(ends)
        self._tokenizer: LLTokenizer | None = None  # made on first use: it takes a second
        self._matchers: dict[str, LLMatcher] = {}

    def constraint(self, requests: Sequence[PageRequest]) -> "GrammarConstraint | None":
        """The constraint for the answers to `requests`, a row each; None: none has a schema."""
        if all(request.json_schema is None for request in requests):
            return None
        rows = [
            None if request.json_schema is None else self._matcher(schema_text(request.json_schema))
            for request in requests
        ]
        return GrammarConstraint(rows, self._vocabulary, self._ends)

    def _matcher(self, written: str) -> LLMatcher:
        if written not in self._matchers:
            matcher = LLMatcher(self._grammar_tokenizer(), schema_grammar(written))
            if matcher.is_error():
                raise ValueError(f"no grammar can be made of this schema: {matcher.get_error()}")
            self._matchers[written] = matcher
        return self._matchers[written].deep_copy()

    def _grammar_tokenizer(self) -> LLTokenizer:
        if self._tokenizer is None:
            self._tokenizer = from_tokenizer(self._source, n_vocab=self._vocabulary, eos_token=self._ends)
        return self._tokenizer

    def spell(self, tokens: Sequence[int]) -> tuple[str, list[int]]:
        """The text of `tokens`, and where each ends in it; a character of several tokens belongs to the last."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text, ends = "", []
        for token in tokens:
            text += "" if token in self._ends else decoder.decode(self._grammar_tokenizer().decode_bytes([token]))
            ends.append(len(text))
        return text, ends


class GrammarConstraint(LogitsProcessor):
    """Forbids, row by row, the tokens that would not fit; does not change a row without a grammar, or at its end."""

    def __init__(self, rows: list[LLMatcher | None], vocabulary: int, ends: list[int]):
        self._rows, self._ends = rows, set(ends)
        self._seen: int | None = None  # tokens of a row at the last step
        # A page-locked copy reaches the GPU without waiting for it.
        shape, is_pinned = (len(rows), (vocabulary + 31) // 32), torch.cuda.is_available()
        self._allowed = torch.full(shape, -1, dtype=torch.int32, pin_memory=is_pinned)
        self._bits = _BITS  # on the device, from the first step on

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """input_ids: int64, shape (n_rows, n_tokens); scores: shape (n_rows, n_vocabulary)."""
        if self._seen is not None:
            if input_ids.shape[1] != self._seen + 1:
                raise RuntimeError("a token was skipped: the grammar would follow another text")
            self._follow(input_ids[:, -1].tolist())
        self._seen = input_ids.shape[1]
        for row, matcher in enumerate(self._rows):
            if matcher is None:
                self._allowed[row] = -1
            else:
                allowed = self._allowed[row]
                matcher.unsafe_compute_mask_ptr(allowed.data_ptr(), allowed.numel() * allowed.element_size())
        return scores.masked_fill(~self._unpacked(scores), float("-inf"))

    def _follow(self, tokens: list[int]) -> None:
        for row, token in enumerate(tokens):
            matcher = self._rows[row]
            if matcher is None:
                continue
            if token in self._ends:  # also the padding of a row that was cut off
                self._rows[row] = None
            elif not matcher.consume_token(token):
                self._rows[row] = None  # cut off by its limit: what follows is padding

    def _unpacked(self, scores: torch.Tensor) -> torch.Tensor:
        """bool, shape (n_rows, n_vocabulary)."""
        packed = self._allowed.to(scores.device, non_blocking=True)
        self._bits = self._bits.to(scores.device)
        bits = (packed[:, :, None] >> self._bits) & 1
        return bits.flatten(1)[:, : scores.shape[1]].bool()
