"""openai-whisper's text decoder for batches: with the same weights and sums, but without repeated computation.

Unlike `whisper.decoding`: cross-attention keys and values once per sound, not per beam; earlier keys and values in a
cache of fixed size, not concatenated at every step; the vocabulary only at the positions whose logits are used.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor
from whisper.model import Whisper

from processors.whisper.decoder import vocabulary
from processors.whisper.decoder.audio_encoder import sounds_at_once, stacks
from processors.whisper.decoder.blocks import (
    joined_cross_weights,
    layer_norm,
    make_cross_block,
    merge_heads,
    split_heads,
    weights,
)
from processors.whisper.decoder.kernels import (
    Kernels,
    Linear,
    attention_to_bfloat16,
    bfloat16,
    has_bfloat16,
)
from processors.whisper.decoder.kv_cache import CACHE_STEP, CrossKVCache, KVCache, Pair
from processors.whisper.decoder.mapped import ScatteredReads
from processors.whisper.decoder.vocabulary import BFloat16Vocabulary, Refine


class TextDecoder:
    """The layers of one model's text decoder, in one precision."""

    def __init__(self, model: Whisper, dtype: torch.dtype, kernels: Kernels):
        self.dims, self.device, self.dtype = model.dims, model.device, dtype
        self._sounds_at_once = sounds_at_once(self.device)
        decoder = model.decoder
        own, cross = kernels.decoder_linear, kernels.linear
        self._their_blocks = list(decoder.blocks)
        self._blocks = [make_cross_block(each, dtype, own, cross) for each in decoder.blocks]
        # float32 on the CPU: as it is stored, often in float16, and converted where it is used.
        embedding = decoder.token_embedding.weight.detach()
        self._embedding = embedding if self.device.type == "cpu" and dtype == torch.float32 else embedding.to(dtype)
        self._reads = ScatteredReads(self._embedding)
        self._positions = decoder.positional_embedding.detach().to(dtype)
        self._kernels = kernels
        self._last_norm = weights(decoder.ln, dtype)

    # The vocabulary is by far the largest layer: made for beams, or for greedy decoding, when it is first used.
    @cached_property
    def _vocabulary(self) -> Linear:
        return self._kernels.linear(self._embedding.to(self.dtype), None)

    @cached_property
    def _argmax_vocabulary(self) -> BFloat16Vocabulary | None:
        is_plain = self.device.type == "cpu" and self.dtype == torch.float32 and not self._kernels.is_quantized
        return vocabulary.choose(self._embedding, self._kernels.linear) if is_plain else None

    @cached_property
    def _short_cross(self) -> list[Linear] | None:
        """The layers that compute keys and values for `attention_to_bfloat16`; None if it would not be faster here."""
        if self.dtype != torch.float32 or self._kernels.is_quantized or not has_bfloat16(self.device):
            return None
        return [bfloat16(*joined_cross_weights(each, torch.bfloat16)) for each in self._their_blocks]

    def prepare_approximate(self) -> None:
        """Make the layers for approximate caches; see `cross_cache`."""
        _ = self._short_cross

    def prepare(self, *, is_greedy: bool) -> bool:
        """Make the vocabulary for a batch of greedy or of beam search before the other memory of the batch, because
        making it temporarily takes several times as much memory. The vocabulary for greedy decoding replaces the other
        one, which few windows need again. Return True if a vocabulary was made."""
        before = set(self.__dict__)
        if not is_greedy or self._argmax_vocabulary is None:
            _ = self._vocabulary
        else:
            self.__dict__.pop("_vocabulary", None)
        return not before.issuperset(self.__dict__)

    def cross_cache(self, features: Sequence[Tensor], is_approximate: bool = False) -> CrossKVCache:
        """Cross-attention keys and values of encoded sounds, each (its own positions, width). is_approximate: in
        bfloat16 where that is faster."""
        lengths, mask = [len(each) for each in features], None
        if min(lengths) < max(lengths):
            ends = torch.tensor(lengths, device=self.device)[:, None, None, None]
            mask = torch.arange(max(lengths), device=self.device) < ends
        short = self._short_cross if is_approximate else None
        dtype = torch.bfloat16 if short else self.dtype
        cache = CrossKVCache(self.empty_layers(len(features), max(lengths), dtype), mask)
        self.fill_cross_cache(features, cache, short)
        return cache

    def fill_cross_cache(
        self, features: Sequence[Tensor], cache: CrossKVCache, layers: Sequence[Linear] | None = None
    ) -> None:
        """Write the keys and values of sounds into the first places of a cache that is large enough.

        layers: compute the keys and values; None: those of the blocks.
        """
        layers = layers or [each.cross_keys_values for each in self._blocks]
        for first, alike in stacks(features, self._sounds_at_once):
            rows, length = slice(first, first + len(alike)), alike.shape[1]
            for number, make in enumerate(layers):
                keys, values = cache.layer(number)
                keys[rows, :, :length], values[rows, :, :length] = self._split(make(alike), 2)

    def empty_cache(self, rows: int, length: int) -> KVCache:
        """An empty cache for prompts of up to that length and some further tokens."""
        return KVCache(self.empty_layers(rows, length + CACHE_STEP))

    def empty_layers(self, rows: int, positions: int, dtype: torch.dtype | None = None) -> list[Pair]:
        """Zeros for the keys and values of the decoder's layers, each (rows, heads, positions, head width). dtype: the
        decoder's own if None."""
        shape = (rows, self.dims.n_text_head, positions, self.dims.n_text_state // self.dims.n_text_head)

        def zeros() -> Tensor:
            return torch.zeros(shape, dtype=dtype or self.dtype, device=self.device)

        return [(zeros(), zeros()) for _ in self._blocks]

    def prefill(self, tokens: Tensor, cache: KVCache, cross_cache: CrossKVCache) -> Tensor:
        """Prompts (rows, length), padded at the end -> (rows, length, width); fills the cache from its start.
        Nothing attends to a row's padding: later tokens overwrite it."""
        length = tokens.shape[1]

        def attend(number: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            cached_keys, cached_values = cache.layer(number)
            cached_keys[:, :, :length], cached_values[:, :, :length] = keys, values
            return F.scaled_dot_product_attention(queries, keys, values, is_causal=length > 1)

        return self._forward(self._embedded(tokens) + self._positions[:length], attend, cross_cache)

    def step(self, tokens: Tensor, positions: Tensor, cache: KVCache, cross_cache: CrossKVCache) -> Tensor:
        """One more token for each row (rows,), at its own position (rows,) -> (rows, width). A sound's rows are
        adjacent."""
        longest = int(positions.max()) + 1
        cache.reserve(longest)
        seen = torch.arange(longest, device=self.device)[None] <= positions[:, None]
        mask = None if bool(seen.all()) else seen[:, None, None]
        return self._step(tokens, positions, cache.view(len(tokens), longest), cross_cache, mask)

    def step_in_place(self, tokens: Tensor, positions: Tensor, cache: KVCache, cross_cache: CrossKVCache) -> Tensor:
        """The same in a cache of fixed capacity, to all of which it attends: the host needs to read no value."""
        hidden = torch.arange(cache.layer(0)[0].shape[2], device=self.device)[None] > positions[:, None]
        mask = torch.zeros(hidden.shape, dtype=self.dtype, device=self.device).masked_fill_(hidden, float("-inf"))
        return self._step(tokens, positions, cache, cross_cache, mask[:, None, None])

    def _step(
        self, tokens: Tensor, positions: Tensor, cache: KVCache, cross_cache: CrossKVCache, mask: Tensor | None
    ) -> Tensor:
        rows = torch.arange(len(tokens), device=self.device)

        def attend(number: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            cached_keys, cached_values = cache.layer(number)
            cached_keys[rows, :, positions], cached_values[rows, :, positions] = keys[:, :, 0], values[:, :, 0]
            return F.scaled_dot_product_attention(queries, cached_keys, cached_values, attn_mask=mask)

        return self._forward((self._embedded(tokens) + self._positions[positions])[:, None], attend, cross_cache)[:, 0]

    def _embedded(self, tokens: Tensor) -> Tensor:
        """(...) -> (..., width)"""
        found = self._embedding[tokens].to(self.dtype)
        self._reads.count(tokens.numel())
        return found

    def logits(self, states: Tensor) -> Tensor:
        """(rows, width) -> float32 (rows, vocabulary)."""
        return self._vocabulary(layer_norm(states, self._last_norm)).float()

    def logits_of_stored(self, states: Tensor) -> Tensor:
        """The same without a copy of the vocabulary, but slower."""
        return vocabulary.exact_logits(layer_norm(states, self._last_norm), self._embedding).float()

    def logits_for_argmax(self, states: Tensor, end: int) -> tuple[Tensor, Refine | None]:
        """The same where only the maximum counts: see `BFloat16Vocabulary.logits`. None: all are exact."""
        if self._argmax_vocabulary is None:
            return self.logits(states), None
        return self._argmax_vocabulary.logits(layer_norm(states, self._last_norm), end)

    def logits_for_sums(self, states: Tensor, end: int) -> Tensor:
        """The same where only sums of probabilities count: see `BFloat16Vocabulary.sums`."""
        if self._argmax_vocabulary is None:
            return self.logits(states)
        return self._argmax_vocabulary.sums(layer_norm(states, self._last_norm), end)

    def _forward(
        self, x: Tensor, attend: Callable[[int, Tensor, Tensor, Tensor], Tensor], cross_cache: CrossKVCache
    ) -> Tensor:
        rows, length, width = x.shape
        sounds = len(cross_cache)
        for number, each in enumerate(self._blocks):
            projected = self._split(each.queries_keys_values(layer_norm(x, each.norms[0])), 3)
            x = x + each.out(merge_heads(attend(number, *projected)))
            queries = each.cross_query(layer_norm(x, each.norms[1])).view(sounds, rows // sounds * length, width)
            (queries,) = self._split(queries, 1)
            found = merge_heads(_cross_attention(queries, *cross_cache.layer(number), cross_cache.mask))
            x = each.mlp(x + each.cross_out(found.view(rows, length, width)))
        return x

    def _split(self, x: Tensor, count: int) -> tuple[Tensor, ...]:
        return split_heads(x, count, self.dims.n_text_head)


def _cross_attention(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    if keys.dtype != queries.dtype:
        return attention_to_bfloat16(queries, keys, values, mask)
    return F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
