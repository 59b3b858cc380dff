"""Answers held to a JSON Schema while they are decoded (by llguidance): each token may still lead to JSON that fits.

Costs some milliseconds for the first answer of a schema (two to six seconds for the first schema, with a vocabulary of
150,000 tokens), then a fraction of a millisecond a token.
"""

import codecs
from collections.abc import Sequence

import torch
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer
from transformers import LogitsProcessor, PreTrainedTokenizerBase

from processors.vlm.extract import schema
from processors.vlm.types import Question

_BITS = torch.arange(32, dtype=torch.int32)


class Grammars:
    """The grammars of one model's tokenizer, each made once."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocabulary: int, ends: Sequence[int]):
        """vocabulary: how many scores the model gives a token; ends: the tokens that end an answer."""
        self._source, self._vocabulary, self._ends = tokenizer, vocabulary, list(ends)
        self._tokenizer: LLTokenizer | None = None  # made at need: it takes a second
        self._matchers: dict[str, LLMatcher] = {}

    def constraint(self, questions: Sequence[Question]) -> "Constraint | None":
        """What holds the answers to `questions`, a row each; None: nothing has to."""
        if all(question.json_schema is None for question in questions):
            return None
        rows = [
            None if question.json_schema is None else self._matcher(schema.written(question.json_schema))
            for question in questions
        ]
        return Constraint(rows, self._vocabulary, self._ends)

    def _matcher(self, written: str) -> LLMatcher:
        if written not in self._matchers:
            matcher = LLMatcher(self._tokens(), schema.grammar(written))
            if matcher.is_error():
                raise ValueError(f"no answer can be held to this schema: {matcher.get_error()}")
            self._matchers[written] = matcher
        return self._matchers[written].deep_copy()

    def _tokens(self) -> LLTokenizer:
        if self._tokenizer is None:
            self._tokenizer = from_tokenizer(self._source, n_vocab=self._vocabulary, eos_token=self._ends)
        return self._tokenizer

    def spell(self, tokens: Sequence[int]) -> tuple[str, list[int]]:
        """The text of `tokens`, and where each of them ends in it; a letter of several tokens belongs to the last."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text, ends = "", []
        for token in tokens:
            text += "" if token in self._ends else decoder.decode(self._tokens().decode_bytes([token]))
            ends.append(len(text))
        return text, ends


class Constraint(LogitsProcessor):
    """Forbids, row by row, what would not fit. A row without a grammar, or at its end, is left as it is."""

    def __init__(self, rows: list[LLMatcher | None], vocabulary: int, ends: list[int]):
        self._rows, self._ends = rows, set(ends)
        self._seen: int | None = None  # tokens of a row at the last step
        self._allowed = torch.full((len(rows), (vocabulary + 31) // 32), -1, dtype=torch.int32)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """input_ids: int64, shape (n_rows, n_tokens); scores: shape (n_rows, n_vocabulary)."""
        if self._seen is not None:
            if input_ids.shape[1] != self._seen + 1:
                raise RuntimeError("a token was passed over: the grammar would follow another text")
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
        packed = self._allowed.to(scores.device)
        bits = (packed[:, :, None] >> _BITS.to(scores.device)) & 1
        return bits.flatten(1)[:, : scores.shape[1]].bool()
