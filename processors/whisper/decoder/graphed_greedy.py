"""Greedy decoding that stays on the device: a step works on memory that was made before, and tells the host nothing.

The step of a large model is hundreds of small kernels; a GPU is done with each before the host has launched the next,
and stands still whenever the host waits for a token. So rules and choice are computed beside the network, the host
looks only now and then which windows have ended, and a step can be recorded once for its shape and replayed.

Owns that memory, the step, and when the host looks. Not what is computed (`network`, `rules`, `search`), nor how steps
are recorded (`graphs`). Reading the prompts and choosing the first token differ from window to window: they happen
outside of the step.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor
from whisper.decoding import DecodingTask

from processors.whisper.decoder.cuda_graphs import Capture, Step, eagerly
from processors.whisper.decoder.kv_cache import Cache, Heard
from processors.whisper.decoder.logit_filters import Rules
from processors.whisper.decoder.text_decoder import Network
from processors.whisper.decoder.token_decoders import Candidate, gained

_LOOK_STEPS = 8  # from one look to the next: a window is decoded less than that behind its end, to no effect
_CAPACITIES = (128, 256)  # positions of the cache that a step goes through; else all
_POSITIONS_STEP = 250  # of sound, likewise: the lengths to which contexts are cut
_ALIGNED = 8  # numbers; a mask whose rows begin elsewhere is copied by torch's attention, layer by layer
_MOST_SHAPES = 32  # whose steps are kept

log = logging.getLogger(__name__)


def bucket(rows: int) -> int:
    """For how many rows a step is made that is to do so many: 1, 2, 4, 8, 16, 32, 64."""
    return 1 << (rows - 1).bit_length()


def most_rows(row_bytes: int, most_bytes: int) -> int:
    """The largest such number of rows whose memory is no more than that; at least 1."""
    return 1 << max(0, (most_bytes // row_bytes).bit_length() - 1)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """All that a recorded step cannot change."""

    rows: int  # spare ones are decoded as ended ones
    capacity: int  # positions of the cache that are gone through
    positions: int  # of the sounds
    is_masked: bool  # some sounds are shorter
    is_timed: bool  # the rules of time tokens hold


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Where each row is; all (rows,), but `said`."""

    token: Tensor  # the last one: what the next step reads,
    position: Tensor  # and where. An ended row goes neither on nor back
    last: Tensor  # the position of the last token that there may be
    total: Tensor  # of log-probabilities, float64: as the sums of decoding step by step
    ended: Tensor
    said: Tensor  # (rows, positions): each token in its place; the prompt is left out

    @classmethod
    def make(cls, rows: int, positions: int, device: torch.device) -> Self:
        whole = lambda: torch.zeros(rows, dtype=torch.long, device=device)  # noqa: E731
        return cls(
            token=whole(),
            position=whole(),
            last=whole(),
            total=torch.zeros(rows, dtype=torch.float64, device=device),
            ended=torch.ones(rows, dtype=torch.bool, device=device),
            said=torch.zeros(rows, positions, dtype=torch.long, device=device),
        )

    def tensors(self) -> list[Tensor]:
        return [getattr(self, field.name) for field in fields(self)]

    def first(self, count: int) -> Self:
        return replace(self, **{field.name: getattr(self, field.name)[:count] for field in fields(self)})

    def take(self, logits: Tensor, rules: Rules, end: int) -> None:
        """The likeliest token that may come next, in all rows that have not ended."""
        rules.apply(logits)
        chosen, place = logits.argmax(-1), self.position + 1
        self.total.add_(gained(logits, chosen).masked_fill_(self.ended, 0.0))
        self.token.copy_(torch.where(self.ended, self.token, chosen))
        rules.note(self.token)
        self.said.scatter_(1, place[:, None], self.token[:, None])
        self.ended.logical_or_((self.token == end) | (place >= self.last))
        self.position.add_(~self.ended)


class State:
    """The memory of up to so many rows. A step's tensors are parts of it."""

    def __init__(self, network: Network, task: DecodingTask, rows: int):
        self._network, dims = network, network.dims
        self._end = task.tokenizer.eot
        self.size, self.most_positions, self.most_capacity = rows, dims.n_audio_ctx, dims.n_text_ctx
        self.cache = Cache(network.room(rows, dims.n_text_ctx))
        width = -(-dims.n_audio_ctx // _ALIGNED) * _ALIGNED
        mask = torch.zeros(rows, 1, 1, width, dtype=network.dtype, device=network.device)
        self.heard = Heard(network.room(rows, dims.n_audio_ctx), mask)
        self.rules = Rules(task, rows, network.device)
        self.rows = Rows.make(rows, dims.n_text_ctx + 1, network.device)  # the last token is not read: one more place

    def hear(self, features: Sequence[Tensor]) -> None:
        # What is masked has no weight, but a number that is none would still spoil the sum: nothing old stays.
        self.heard.within(len(features), self.most_positions, False).clear()
        self.cache.within(len(features), self.most_capacity).clear()
        self._network.listen(features, self.heard)
        ends = torch.tensor([len(each) for each in features], device=self._network.device)[:, None, None, None]
        mask = self.heard.mask[: len(features)]
        mask.zero_().masked_fill_(torch.arange(mask.shape[-1], device=ends.device) >= ends, float("-inf"))

    def start(self, task: DecodingTask, lengths: list[int], logits: Tensor) -> None:
        """The first tokens, behind prompts of such lengths; `logits` (n, vocabulary)."""
        rows, rules = self.rows.first(len(lengths)), Rules(task, len(lengths), logits.device)
        self._spare(0)
        rows.ended.fill_(False)
        rows.total.zero_()
        rows.position.copy_(torch.tensor(lengths) - 1)
        rows.last.copy_(torch.tensor([min(task.n_ctx, length + task.sample_len - 1) for length in lengths]))
        rows.take(logits, rules, self._end)
        self.rules.resume(rules)

    def step(self, shape: Shape) -> Step:
        """One more token for the first rows."""
        network, end, rows, rules = self._network, self._end, self.rows.first(shape.rows), self.rules.first(shape.rows)
        cache = self.cache.within(shape.rows, shape.capacity)
        heard = self.heard.within(shape.rows, shape.positions, shape.is_masked)

        def step() -> None:
            states = network.step_in_place(rows.token, rows.position, cache, heard)
            rows.take(network.logits(states), rules, end)

        return step

    def by_row(self) -> list[Tensor]:
        """All but what is attended to."""
        return [*self.rows.tensors(), *self.rules.by_row]

    def keep(self, rows: list[int], shape: Shape) -> None:
        """These become the first rows; the others are spare."""
        chosen = torch.tensor(rows, device=self._network.device)
        for each in self.by_row():
            each[: len(rows)] = each[chosen]
        self.cache.within(self.size, shape.capacity).keep(chosen)
        self.heard.within(self.size, shape.positions, True).keep(chosen)
        self._spare(len(rows))

    def _spare(self, first: int) -> None:
        """The rows from this on are nobody's: they stay where they are, which is within every capacity."""
        self.rows.ended[first:] = True
        self.rows.position[first:] = 0


class Steady:
    """Decodes windows, one row each. Keeps its memory for the next ones."""

    def __init__(self, network: Network, capture: Capture):
        self._network, self._capture = network, capture
        self._state: State | None = None
        self._steps: dict[Shape, Step] = {}  # the last used ones last
        self._shape: Shape | None = None

    def hear(self, task: DecodingTask, features: Sequence[Tensor]) -> tuple[Cache, Heard]:
        """Make room for windows, (positions, width) each; returns what their prompts are read with."""
        count, longest = len(features), max(map(len, features))
        if self._state is None or self._state.size < count:
            self.free_memory()  # before there is another: both may not fit
            self._state = State(self._network, task, bucket(count))
        state = self._state
        positions = min(-(-longest // _POSITIONS_STEP) * _POSITIONS_STEP, state.most_positions)
        state.hear(features)
        is_masked = any(len(each) < positions for each in features)
        self._shape = Shape(rows=bucket(count), capacity=0, positions=positions, is_masked=is_masked, is_timed=False)
        return state.cache.within(count, state.most_capacity), state.heard.within(count, positions, is_masked)

    def free_memory(self) -> None:
        """Give the memory back; it is made again for the next windows."""
        self._steps.clear()
        self._state = None

    def decode(self, task: DecodingTask, lengths: list[int], logits: Tensor) -> list[Candidate]:
        """What is said in the windows that were heard last, behind prompts of such lengths, whose last logits are
        (n, vocabulary).

        Raises:
            torch.OutOfMemoryError: there is no room for a recorded step.
        """
        state, going = self._state, list(range(len(lengths)))  # the window of each row
        state.start(task, lengths, logits)
        longest, found = max(lengths), {}
        while True:
            capacity = self._capacity(longest + _LOOK_STEPS)
            shape = replace(self._shape, rows=bucket(len(going)), capacity=capacity, is_timed=state.rules.timed)
            step = self._step(shape)
            for _ in range(_LOOK_STEPS):
                step()
            rows = state.rows.first(len(going))
            ended, places = torch.stack([rows.ended.long(), rows.position]).tolist()  # here the host waits
            live = [row for row, has_ended in enumerate(ended) if not has_ended]
            if live and bucket(len(live)) == shape.rows:
                longest += _LOOK_STEPS
                continue
            said, totals = rows.said.tolist(), rows.total.tolist()
            for row, window in enumerate(going):
                tokens = said[row][lengths[window] : places[row] + 2]
                found[window] = ([token for token in tokens if token != task.tokenizer.eot], totals[row])
            if not live:
                return [found[window] for window in range(len(lengths))]
            state.keep(live, shape)
            going, longest = [going[row] for row in live], max(places[row] for row in live)

    def _capacity(self, length: int) -> int:
        most = self._state.most_capacity
        return next((each for each in _CAPACITIES if length <= each < most), most)

    def _step(self, shape: Shape) -> Step:
        step = self._steps.pop(shape, None) or self._record(shape)
        if len(self._steps) == _MOST_SHAPES:
            self._steps.pop(next(iter(self._steps)))
        self._steps[shape] = step
        return step

    def _record(self, shape: Shape) -> Step:
        """The step, recorded if that can be. What it changes meanwhile is put back; but for the cache, whose positions
        are written before they are read."""
        step, before = self._state.step(shape), [each.clone() for each in self._state.by_row()]
        try:
            return self._capture(step)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            log.warning("steps of speech recognition cannot be recorded here, and take longer: %s", error)
            self._capture = eagerly
            return step
        finally:
            for each, old in zip(self._state.by_row(), before, strict=True):
                each.copy_(old)
