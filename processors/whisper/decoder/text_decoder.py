"""openai-whisper's decoder, laid out for batches: the same weights and the same sums, computed once.

What `whisper.decoding` repeats is kept: cross-attention keys and values once per sound (not per beam), earlier keys and
values in a cache of fixed size (not concatenated at every step), the vocabulary only at the positions that are read.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor
from whisper.model import Whisper

from processors.whisper.decoder import vocabulary
from processors.whisper.decoder.audio_encoder import at_once, stacks
from processors.whisper.decoder.blocks import block, joined, norm, split, weights
from processors.whisper.decoder.kernels import Kernels, Linear
from processors.whisper.decoder.kv_cache import CACHE_STEP, Cache, Heard, Pair
from processors.whisper.decoder.vocabulary import Refine, Vocabulary


class Network:
    """The layers of one model's decoder, in one precision."""

    def __init__(self, model: Whisper, dtype: torch.dtype, made_of: Kernels):
        """`made_of`: what its layers are made by."""
        self.dims, self.device, self.dtype = model.dims, model.device, dtype
        self._at_once = at_once(self.device)
        decoder = model.decoder
        self._blocks = [block(each, dtype, made_of.of_text, made_of.linear) for each in decoder.blocks]
        self._embedding = decoder.token_embedding.weight.detach().to(dtype)
        self._positions = decoder.positional_embedding.detach().to(dtype)
        self._made_of = made_of
        self._last_norm = weights(decoder.ln, dtype)

    # The vocabulary is by far the largest layer: laid out for beams, or for greedy decoding, once that is asked for.
    @cached_property
    def _vocabulary(self) -> Linear:
        return self._made_of.linear(self._embedding, None)

    @cached_property
    def _likeliest(self) -> Vocabulary | None:
        is_plain = self.device.type == "cpu" and self.dtype == torch.float32 and not self._made_of.is_rounded
        return vocabulary.choose(self._embedding, self._made_of.linear) if is_plain else None

    def hear(self, features: Sequence[Tensor]) -> Heard:
        """What the decoder reads of sounds, each (its own positions, width)."""
        lengths, mask = [len(each) for each in features], None
        if min(lengths) < max(lengths):
            ends = torch.tensor(lengths, device=self.device)[:, None, None, None]
            mask = torch.arange(max(lengths), device=self.device) < ends
        heard = Heard(self.room(len(features), max(lengths)), mask)
        self.listen(features, heard)
        return heard

    def listen(self, features: Sequence[Tensor], heard: Heard) -> None:
        """Write what is read of sounds into memory that has the room, as its first sounds."""
        for first, alike in stacks(features, self._at_once):
            rows, length = slice(first, first + len(alike)), alike.shape[1]
            for number, each in enumerate(self._blocks):
                keys, values = heard.layer(number)
                keys[rows, :, :length], values[rows, :, :length] = self._split(each.cross_keys_values(alike), 2)

    def cache(self, rows: int, length: int) -> Cache:
        """An empty cache with room for prompts of that length, and some more."""
        return Cache(self.room(rows, length + CACHE_STEP))

    def room(self, rows: int, positions: int) -> list[Pair]:
        """Zeros for the keys and values of the decoder's layers, each (rows, heads, positions, head width)."""
        shape = (rows, self.dims.n_text_head, positions, self.dims.n_text_state // self.dims.n_text_head)
        make = lambda: torch.zeros(shape, dtype=self.dtype, device=self.device)  # noqa: E731
        return [(make(), make()) for _ in self._blocks]

    def read(self, tokens: Tensor, cache: Cache, heard: Heard) -> Tensor:
        """Prompts (rows, length), shorter ones padded behind -> (rows, length, width); fills the cache from its start.
        A row's padding is seen by nothing: what is decoded later overwrites it."""
        length = tokens.shape[1]

        def attend(number: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            kept_keys, kept_values = cache.layer(number)
            kept_keys[:, :, :length], kept_values[:, :, :length] = keys, values
            return F.scaled_dot_product_attention(queries, keys, values, is_causal=length > 1)

        return self._forward(self._embedding[tokens] + self._positions[:length], attend, heard)

    def step(self, tokens: Tensor, positions: Tensor, cache: Cache, heard: Heard) -> Tensor:
        """One more token a row, (rows,), at its own position (rows,) -> (rows, width). A sound's rows lie together."""
        longest = int(positions.max()) + 1
        cache.make_room(longest)
        seen = torch.arange(longest, device=self.device)[None] <= positions[:, None]
        mask = None if bool(seen.all()) else seen[:, None, None]
        return self._step(tokens, positions, cache.within(len(tokens), longest), heard, mask)

    def step_in_place(self, tokens: Tensor, positions: Tensor, cache: Cache, heard: Heard) -> Tensor:
        """The same in a cache that has the room, all of which is gone through: what is done does not depend on values,
        and the host is told nothing of them."""
        hidden = torch.arange(cache.layer(0)[0].shape[2], device=self.device)[None] > positions[:, None]
        mask = torch.zeros(hidden.shape, dtype=self.dtype, device=self.device).masked_fill_(hidden, float("-inf"))
        return self._step(tokens, positions, cache, heard, mask[:, None, None])

    def _step(self, tokens: Tensor, positions: Tensor, cache: Cache, heard: Heard, mask: Tensor | None) -> Tensor:
        rows = torch.arange(len(tokens), device=self.device)

        def attend(number: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            kept_keys, kept_values = cache.layer(number)
            kept_keys[rows, :, positions], kept_values[rows, :, positions] = keys[:, :, 0], values[:, :, 0]
            return F.scaled_dot_product_attention(queries, kept_keys, kept_values, attn_mask=mask)

        return self._forward((self._embedding[tokens] + self._positions[positions])[:, None], attend, heard)[:, 0]

    def logits(self, states: Tensor) -> Tensor:
        """(rows, width) -> float32 (rows, vocabulary)."""
        return self._vocabulary(norm(states, self._last_norm)).float()

    def logits_of_prompts(self, states: Tensor) -> Tensor:
        """The same for a few rows, once: by no copy of the vocabulary."""
        return F.linear(norm(states, self._last_norm), self._embedding).float()

    def logits_of_likeliest(self, states: Tensor, end: int) -> tuple[Tensor, Refine | None]:
        """The same, where only the likeliest token is to be found: see `Vocabulary.logits`. None: all are right."""
        if self._likeliest is None:
            return self.logits(states), None
        return self._likeliest.logits(norm(states, self._last_norm), end)

    def _forward(self, x: Tensor, attend: Callable[[int, Tensor, Tensor, Tensor], Tensor], heard: Heard) -> Tensor:
        rows, length, width = x.shape
        sounds = len(heard)
        for number, each in enumerate(self._blocks):
            split = self._split(each.queries_keys_values(norm(x, each.norms[0])), 3)
            x = x + each.out(joined(attend(number, *split)))
            queries = each.cross_query(norm(x, each.norms[1])).view(sounds, rows // sounds * length, width)
            (queries,) = self._split(queries, 1)
            found = joined(F.scaled_dot_product_attention(queries, *heard.layer(number), attn_mask=heard.mask))
            x = each.think(x + each.cross_out(found.view(rows, length, width)))
        return x

    def _split(self, x: Tensor, count: int) -> tuple[Tensor, ...]:
        return split(x, count, self.dims.n_text_head)
