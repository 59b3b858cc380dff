"""Greedy decoding that stays on the device: a step works on preallocated memory, and the host reads nothing back.

The step of a large model is hundreds of small kernels; a GPU finishes each before the host has launched the next, and
idles whenever the host waits for a token. So logit filters and choice are computed on the device as well, the host
polls only now and then which windows have ended, and a step is captured once for its shape and replayed.

This module owns that memory, the step, and the polling, but not what is computed (`text_decoder`, `logit_filters`,
`token_decoders`), nor how steps are captured (`cuda_graphs`). Prompts and first tokens differ from window to window,
and are not part of the step.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor
from whisper.decoding import DecodingTask

from processors.device_errors import is_out_of_memory
from processors.whisper.decoder.cuda_graphs import Capture, Step, eagerly
from processors.whisper.decoder.kv_cache import CrossKVCache, KVCache
from processors.whisper.decoder.logit_filters import LogitFilter
from processors.whisper.decoder.text_decoder import TextDecoder
from processors.whisper.decoder.token_decoders import Candidate, log_probabilities

_POLL_STEPS = 8  # steps between two polls: the maximum number of tokens decoded needlessly after the end of a window
_CAPACITIES = (128, 256)  # positions of the cache to which a step attends; else all
_POSITIONS_STEP = 250  # of sound: contexts are cut to multiples of this
_ALIGNED = 8  # numbers; torch's attention copies a mask whose rows start elsewhere, layer by layer
_MAX_SHAPES = 32  # whose captured steps stay
_SMALL_SHARE = 4  # a batch is small if it needs at most one of this many allocated rows;
_SMALL_BATCHES = 32  # after this many small batches in succession, the memory of the other rows is freed

log = logging.getLogger(__name__)


def bucket(rows: int) -> int:
    """The number of rows of the captured step for a batch: 1, 2, 4, 8, 16, 32 or 64."""
    return 1 << (rows - 1).bit_length()


def max_rows(row_bytes: int, max_bytes: int) -> int:
    """The largest number of rows that `bucket` may return and whose memory is at most `max_bytes`; at least 1."""
    return 1 << max(0, (max_bytes // row_bytes).bit_length() - 1)


class RowDemand:
    """Decides for how many rows to keep memory: single windows may follow a full batch for hours, while its memory
    (large-v3: 319 MB per row) is missing elsewhere on the GPU. Freeing it costs the captured steps."""

    def __init__(self) -> None:
        self._small_batches, self._most = 0, 0  # in succession, and the most rows that one of them needed

    def rows(self, allocated: int, needed: int) -> int:
        """The number of rows to keep from now on: those needed, or as many as before, or fewer after many small
        batches."""
        if needed * _SMALL_SHARE > allocated:
            self._small_batches = self._most = 0
            return max(allocated, needed)
        self._small_batches, self._most = self._small_batches + 1, max(self._most, needed)
        if self._small_batches < _SMALL_BATCHES:
            return allocated
        most, self._small_batches, self._most = self._most, 0, 0
        return most


@dataclass(frozen=True, kw_only=True)
class StepShape:
    """The sizes that are fixed in a captured step."""

    rows: int  # spare ones are decoded like ended ones
    capacity: int  # positions of the cache to which it attends
    positions: int  # of the sounds
    is_masked: bool  # some sounds are shorter
    is_timed: bool  # the timestamp rules apply


@dataclass(frozen=True, kw_only=True)
class RowState:
    """The state of each row; all (rows,), except `decoded`."""

    token: Tensor  # the last one: the next step's input,
    position: Tensor  # and its position. That of an ended row is fixed
    last: Tensor  # the highest possible position of a token
    total: Tensor  # of log-probabilities, float64: like the sums of decoding step by step
    ended: Tensor
    decoded: Tensor  # (rows, positions): each token at its position; without the prompt

    @classmethod
    def make(cls, rows: int, positions: int, device: torch.device) -> Self:
        def integers() -> Tensor:
            return torch.zeros(rows, dtype=torch.long, device=device)

        return cls(
            token=integers(),
            position=integers(),
            last=integers(),
            total=torch.zeros(rows, dtype=torch.float64, device=device),
            ended=torch.ones(rows, dtype=torch.bool, device=device),
            decoded=torch.zeros(rows, positions, dtype=torch.long, device=device),
        )

    def tensors(self) -> list[Tensor]:
        return [getattr(self, field.name) for field in fields(self)]

    def first(self, count: int) -> Self:
        return replace(self, **{field.name: getattr(self, field.name)[:count] for field in fields(self)})

    def update(self, logits: Tensor, logit_filter: LogitFilter, end: int) -> None:
        """Choose the most probable token that is allowed, in all rows that have not ended."""
        logit_filter.apply(logits)
        chosen, place = logits.argmax(-1), self.position + 1
        self.total.add_(log_probabilities(logits, chosen).masked_fill_(self.ended, 0.0))
        self.token.copy_(torch.where(self.ended, self.token, chosen))
        logit_filter.update(self.token)
        self.decoded.scatter_(1, place[:, None], self.token[:, None])
        self.ended.logical_or_((self.token == end) | (place >= self.last))
        self.position.add_(~self.ended)


class GraphedState:
    """The memory of up to `rows` rows. The tensors of a step are parts of it."""

    def __init__(self, text_decoder: TextDecoder, task: DecodingTask, rows: int):
        self._text_decoder, dims = text_decoder, text_decoder.dims
        self._end = task.tokenizer.eot
        self.size, self.max_positions, self.max_capacity = rows, dims.n_audio_ctx, dims.n_text_ctx
        self.cache = KVCache(text_decoder.empty_layers(rows, dims.n_text_ctx))
        width = -(-dims.n_audio_ctx // _ALIGNED) * _ALIGNED
        self._mask = torch.zeros(rows, 1, 1, width, dtype=text_decoder.dtype, device=text_decoder.device)
        self.cross_cache = CrossKVCache(text_decoder.empty_layers(rows, dims.n_audio_ctx), self._mask)
        self.logit_filter = LogitFilter(task, rows, text_decoder.device)
        self.rows = RowState.make(rows, dims.n_text_ctx + 1, text_decoder.device)  # the last token is never an input

    def fill(self, features: Sequence[Tensor]) -> None:
        """Write the keys and values of encoded windows, (positions, width) each."""
        # Masked values have no weight, but a NaN among them would still spoil the sum: clear the old ones.
        self.cross_cache.view(len(features), self.max_positions, False).clear()
        self.cache.view(len(features), self.max_capacity).clear()
        self._text_decoder.fill_cross_cache(features, self.cross_cache)
        ends = torch.tensor([len(each) for each in features], device=self._text_decoder.device)[:, None, None, None]
        mask = self._mask[: len(features)]
        mask.zero_().masked_fill_(torch.arange(mask.shape[-1], device=ends.device) >= ends, float("-inf"))

    def start(self, task: DecodingTask, lengths: list[int], logits: Tensor) -> None:
        """Choose the first tokens, after prompts of these lengths; logits: (n, vocabulary)."""
        rows, logit_filter = self.rows.first(len(lengths)), LogitFilter(task, len(lengths), logits.device)
        self._spare(0)
        rows.ended.fill_(False)
        rows.total.zero_()
        rows.position.copy_(torch.tensor(lengths) - 1)
        rows.last.copy_(torch.tensor([min(task.n_ctx, length + task.sample_len - 1) for length in lengths]))
        rows.update(logits, logit_filter, self._end)
        self.logit_filter.copy_from(logit_filter)

    def step(self, shape: StepShape) -> Step:
        """A step that decodes one more token for the first rows."""
        text_decoder, end = self._text_decoder, self._end
        rows, logit_filter = self.rows.first(shape.rows), self.logit_filter.first(shape.rows)
        cache = self.cache.view(shape.rows, shape.capacity)
        cross_cache = self.cross_cache.view(shape.rows, shape.positions, shape.is_masked)

        def step() -> None:
            states = text_decoder.step_in_place(rows.token, rows.position, cache, cross_cache)
            rows.update(text_decoder.logits(states), logit_filter, end)

        return step

    def by_row(self) -> list[Tensor]:
        """All tensors except the caches."""
        return [*self.rows.tensors(), *self.logit_filter.by_row]

    def compact(self, rows: list[int], shape: StepShape) -> None:
        """Move these rows to the front; the others are spare."""
        chosen = torch.tensor(rows, device=self._text_decoder.device)
        for each in self.by_row():
            each[: len(rows)] = each[chosen]
        self.cache.view(self.size, shape.capacity).compact(chosen)
        self.cross_cache.view(self.size, shape.positions, True).compact(chosen)
        self._spare(len(rows))

    def _spare(self, first: int) -> None:
        """Rows from this one on are unused: their position is fixed, within every capacity."""
        self.rows.ended[first:] = True
        self.rows.position[first:] = 0


class GraphedGreedyDecoder:
    """Decodes windows, one row each, at temperature 0. Its memory stays allocated for the next ones."""

    def __init__(self, text_decoder: TextDecoder, capture: Capture):
        self._text_decoder, self._capture = text_decoder, capture
        self._state: GraphedState | None = None
        self._steps: dict[StepShape, Step] = {}  # the last used ones at the end
        self._shape: StepShape | None = None
        self._demand = RowDemand()

    def prepare(self, task: DecodingTask, features: Sequence[Tensor]) -> tuple[KVCache, CrossKVCache]:
        """Load encoded windows, (positions, width) each; return the caches for their prompts."""
        count, longest = len(features), max(map(len, features))
        rows = self._demand.rows(0 if self._state is None else self._state.size, bucket(count))
        if self._state is None or self._state.size != rows:
            self.free_memory()  # first: both may not fit
            self._state = GraphedState(self._text_decoder, task, rows)
        state = self._state
        positions = min(-(-longest // _POSITIONS_STEP) * _POSITIONS_STEP, state.max_positions)
        state.fill(features)
        is_masked = any(len(each) < positions for each in features)
        self._shape = StepShape(
            rows=bucket(count), capacity=0, positions=positions, is_masked=is_masked, is_timed=False
        )
        return state.cache.view(count, state.max_capacity), state.cross_cache.view(count, positions, is_masked)

    def free_memory(self) -> None:
        """Free the memory; `prepare` allocates it again for the next windows."""
        self._steps.clear()
        self._state = None

    def decode(self, task: DecodingTask, lengths: list[int], logits: Tensor) -> list[Candidate]:
        """Decode the prepared windows, after prompts of these lengths, whose last logits are (n, vocabulary).

        Raises:
            torch.OutOfMemoryError: a captured step does not fit into memory.
        """
        state, prepared = self._state, self._shape
        assert state is not None and prepared is not None  # by `prepare`
        going = list(range(len(lengths)))  # the window of each row
        state.start(task, lengths, logits)
        longest = max(lengths)
        found: dict[int, Candidate] = {}
        while True:
            capacity = _capacity(longest + _POLL_STEPS, state.max_capacity)
            shape = replace(prepared, rows=bucket(len(going)), capacity=capacity, is_timed=state.logit_filter.timed)
            step = self._step(state, shape)
            for _ in range(_POLL_STEPS):
                step()
            rows = state.rows.first(len(going))
            ended, places = torch.stack([rows.ended.long(), rows.position]).tolist()  # here the host waits
            live = [row for row, has_ended in enumerate(ended) if not has_ended]
            if live and bucket(len(live)) == shape.rows:
                longest += _POLL_STEPS
                continue
            decoded, totals = rows.decoded.tolist(), rows.total.tolist()
            for row, window in enumerate(going):
                tokens = decoded[row][lengths[window] : places[row] + 2]
                found[window] = ([token for token in tokens if token != task.tokenizer.eot], totals[row])
            if not live:
                return [found[window] for window in range(len(lengths))]
            state.compact(live, shape)
            going, longest = [going[row] for row in live], max(places[row] for row in live)

    def _step(self, state: GraphedState, shape: StepShape) -> Step:
        step = self._steps.pop(shape, None) or self._captured(state, shape)
        if len(self._steps) == _MAX_SHAPES:
            self._steps.pop(next(iter(self._steps)))
        self._steps[shape] = step
        return step

    def _captured(self, state: GraphedState, shape: StepShape) -> Step:
        """The step, captured if possible. Capturing runs it: restore what that changes, except for the caches, whose
        positions are written before they are read."""
        step, before = state.step(shape), [each.clone() for each in state.by_row()]
        try:
            return self._capture(step)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            log.warning("CUDA graphs do not work here, so greedy decoding is slower: %s", error)
            self._capture = eagerly
            return step
        finally:
            for each, old in zip(state.by_row(), before, strict=True):
                each.copy_(old)


def _capacity(length: int, largest: int) -> int:
    """The positions of the cache to which a step attends, for texts of up to `length` tokens."""
    return next((each for each in _CAPACITIES if length <= each < largest), largest)
