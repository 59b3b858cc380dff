"""openai-whisper's network, laid out for batches: the same weights and the same sums, computed once.

What `whisper.decoding` repeats is kept: cross-attention keys and values once per sound (not per beam), earlier keys and
values in a cache of fixed size (not concatenated at every step), the vocabulary only at the positions that are read.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from whisper.model import Whisper

from processors.whisper.decoder import kernels, vocabulary
from processors.whisper.decoder.caches import CACHE_STEP, Cache, Heard, Pair
from processors.whisper.decoder.kernels import Linear
from processors.whisper.decoder.vocabulary import Refine

# Sounds that are read in one pass. A CPU is busy with one, and several take several times the memory. On a GPU, whose
# libraries choose their way of summing by the number of sounds, the last bits may then depend on what a sound is read
# beside: too little to change a text, but for words that are as likely as others.
_AT_ONCE_ON_CPU, _AT_ONCE_ELSEWHERE = 1, 8


@dataclass(frozen=True)
class _Block:
    """One residual block of the decoder, or of the encoder (without the `cross_` layers)."""

    queries_keys_values: Linear
    out: Linear
    widen: Linear
    narrow: Linear
    norms: tuple[Pair, ...]
    cross_query: Linear | None = None
    cross_keys_values: Linear | None = None
    cross_out: Linear | None = None


class Network:
    """The layers of one model, in one precision."""

    def __init__(self, model: Whisper, dtype: torch.dtype, in_8_bits: bool = False):
        """`in_8_bits`: linear layers that read sound, and the vocabulary, are rounded; see `kernels.choose`."""
        self.dims, self.device, self.dtype = model.dims, model.device, dtype
        self.sounds_at_once = _AT_ONCE_ON_CPU if self.device.type == "cpu" else _AT_ONCE_ELSEWHERE
        self._kernels = kernels.choose(model, dtype, in_8_bits)
        self._encoder, self._decoder = model.encoder, model.decoder
        self._conv = [
            (conv.weight.to(dtype), conv.bias.to(dtype)) for conv in (self._encoder.conv1, self._encoder.conv2)
        ]
        self._heard = [self._block(block) for block in self._encoder.blocks]
        self._said = [self._block(block) for block in self._decoder.blocks]
        self._embedding = self._decoder.token_embedding.weight.detach().to(dtype)
        self._positions = self._decoder.positional_embedding.detach().to(dtype)
        self._vocabulary = self._kernels.linear(self._decoder.token_embedding.weight, None)
        is_plain = self.device.type == "cpu" and dtype == torch.float32 and not in_8_bits
        self._likeliest = vocabulary.choose(self._embedding, self._vocabulary) if is_plain else None
        self._last_norm = _weights(self._decoder.ln, dtype)

    def encode_all(self, mels: Sequence[Tensor]) -> list[Tensor]:
        """Mel spectrograms, each (n_mels, 2 * its own positions) -> each (positions, width)."""
        found: list[Tensor] = []
        for _, alike in self._stacks([mel.to(self.device, self.dtype) for mel in mels]):
            found += self.encode(alike).unbind(0)
        return found

    def encode(self, mels: Tensor) -> Tensor:
        """Mel spectrograms (n, n_mels, 2 * positions) -> (n, positions, width). Fewer than whisper's 1500 positions are
        faster, and not what the model was trained with."""
        x = mels.to(self.device, self.dtype)
        x = F.gelu(F.conv1d(x, *self._conv[0], padding=1))
        x = F.gelu(F.conv1d(x, *self._conv[1], stride=2, padding=1)).permute(0, 2, 1)
        x = x + self._encoder.positional_embedding[: x.shape[1]].to(self.dtype)
        for block in self._heard:
            queries, keys, values = self._split(block.queries_keys_values(_norm(x, block.norms[0])), 3)
            x = x + block.out(_joined(self._kernels.attention(queries, keys, values)))
            x = x + block.narrow(F.gelu(block.widen(_norm(x, block.norms[1]))))
        return _norm(x, _weights(self._encoder.ln_post, self.dtype))

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
        for first, alike in self._stacks(features):
            rows, length = slice(first, first + len(alike)), alike.shape[1]
            for number, block in enumerate(self._said):
                keys, values = heard.layer(number)
                keys[rows, :, :length], values[rows, :, :length] = self._split(block.cross_keys_values(alike), 2)

    def cache(self, rows: int, length: int) -> Cache:
        """An empty cache with room for prompts of that length, and some more."""
        return Cache(self.room(rows, length + CACHE_STEP))

    def room(self, rows: int, positions: int) -> list[Pair]:
        """Zeros for the keys and values of the decoder's layers, each (rows, heads, positions, head width)."""
        shape = (rows, self.dims.n_text_head, positions, self.dims.n_text_state // self.dims.n_text_head)
        make = lambda: torch.zeros(shape, dtype=self.dtype, device=self.device)  # noqa: E731
        return [(make(), make()) for _ in self._said]

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
        return self._vocabulary(_norm(states, self._last_norm)).float()

    def logits_of_likeliest(self, states: Tensor, end: int) -> tuple[Tensor, Refine | None]:
        """The same, where only the likeliest token is to be found: see `Vocabulary.logits`. None: all are right."""
        if self._likeliest is None:
            return self.logits(states), None
        return self._likeliest.logits(_norm(states, self._last_norm), end)

    def _forward(self, x: Tensor, attend: Callable[[int, Tensor, Tensor, Tensor], Tensor], heard: Heard) -> Tensor:
        rows, length, width = x.shape
        sounds = len(heard)
        for number, block in enumerate(self._said):
            split = self._split(block.queries_keys_values(_norm(x, block.norms[0])), 3)
            x = x + block.out(_joined(attend(number, *split)))
            queries = block.cross_query(_norm(x, block.norms[1])).view(sounds, rows // sounds * length, width)
            (queries,) = self._split(queries, 1)
            found = _joined(F.scaled_dot_product_attention(queries, *heard.layer(number), attn_mask=heard.mask))
            x = x + block.cross_out(found.view(rows, length, width))
            x = x + block.narrow(F.gelu(block.widen(_norm(x, block.norms[2]))))
        return x

    def _stacks(self, sounds: Sequence[Tensor]) -> Iterator[tuple[int, Tensor]]:
        """Neighbours of the same shape, stacked, with the number of the first; no more than are read in one pass."""
        first = 0
        while first < len(sounds):
            end = first + 1
            while end < min(len(sounds), first + self.sounds_at_once) and sounds[end].shape == sounds[first].shape:
                end += 1
            yield first, sounds[first][None] if end == first + 1 else torch.stack([*sounds[first:end]])
            first = end

    def _split(self, x: Tensor, count: int) -> tuple[Tensor, ...]:
        """(n, length, count * width) -> `count` times (n, heads, length, head width)."""
        heads = self.dims.n_text_head  # encoder and decoder of every Whisper have the same
        n, length, width = x.shape
        return x.view(n, length, count, heads, width // count // heads).permute(2, 0, 3, 1, 4).unbind(0)

    def _block(self, block: torch.nn.Module) -> _Block:
        own, cross = block.attn, block.cross_attn
        make = self._kernels.of_text if cross else self._kernels.linear
        norms = [block.attn_ln, *([block.cross_attn_ln] if cross else []), block.mlp_ln]
        none = torch.zeros_like(own.query.bias)  # Whisper's keys have no bias
        layers = {
            "queries_keys_values": make(
                torch.cat([own.query.weight, own.key.weight, own.value.weight]),
                torch.cat([own.query.bias, none, own.value.bias]),
            ),
            "out": make(own.out.weight, own.out.bias),
            "widen": make(block.mlp[0].weight, block.mlp[0].bias),
            "narrow": make(block.mlp[2].weight, block.mlp[2].bias),
        }
        if cross:
            layers |= {
                "cross_query": make(cross.query.weight, cross.query.bias),
                "cross_keys_values": self._kernels.linear(
                    torch.cat([cross.key.weight, cross.value.weight]), torch.cat([none, cross.value.bias])
                ),
                "cross_out": make(cross.out.weight, cross.out.bias),
            }
        return _Block(norms=tuple(_weights(norm, self.dtype) for norm in norms), **layers)


def _weights(layer: torch.nn.Module, dtype: torch.dtype) -> Pair:
    return layer.weight.detach().to(dtype), layer.bias.detach().to(dtype)


def _norm(x: Tensor, weights: Pair) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], *weights)


def _joined(x: Tensor) -> Tensor:
    """(n, heads, length, head width) -> (n, length, width)."""
    return x.permute(0, 2, 1, 3).flatten(2)
