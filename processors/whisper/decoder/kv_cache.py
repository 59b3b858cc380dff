"""Keys and values that the text decoder attends to: of the text so far, and of the encoded sounds.

This module owns the memory and its shapes; `text_decoder` computes the values.
"""

import torch.nn.functional as F
from torch import Tensor

Pair = tuple[Tensor, Tensor]  # keys and values, or weight and bias

CACHE_STEP = 64  # positions by which a cache grows


class KVCache:
    """Self-attention: keys and values of decoded text, one pair a layer, each (rows, heads, capacity, head width).

    Grows as it is filled, and changes layer by layer: a second copy of it is never allocated.
    """

    def __init__(self, layers: list[Pair]):
        self._layers = layers

    def layer(self, number: int) -> Pair:
        return self._layers[number]

    def select(self, rows: Tensor) -> None:
        """Continue with these rows, in this order; a row may occur several times."""
        _select(self._layers, rows)

    def rearrange(self, rows: Tensor, length: int) -> None:
        """Like `select`, but for an unchanged number of rows, of which only the first `length` positions are in use."""
        for pair in self._layers:
            for cached in pair:
                cached[:, :, :length] = cached[rows, :, :length]

    def view(self, rows: int, length: int) -> "KVCache":
        """A cache of the first rows and positions, in the same memory."""
        return KVCache(_first(self._layers, rows, length))

    def compact(self, rows: Tensor) -> None:
        """Move these rows to the front, in the same memory."""
        _compact(self._layers, rows)

    def clear(self) -> None:
        _clear(self._layers)

    def reserve(self, length: int) -> None:
        """Grow to at least this many positions."""
        missing = length - self._layers[0][0].shape[2]
        if missing > 0:
            for number, (keys, values) in enumerate(self._layers):
                more = (0, 0, 0, max(missing, CACHE_STEP))
                self._layers[number] = F.pad(keys, more), F.pad(values, more)


class CrossKVCache:
    """Cross-attention: keys and values of encoded sounds, (n, heads, positions, head width), by layer."""

    def __init__(self, layers: list[Pair], mask: Tensor | None):
        # (n, 1, 1, positions), True or added 0: there is sound; None: everywhere
        self._layers, self.mask = layers, mask

    def __len__(self) -> int:
        return len(self._layers[0][0])

    def layer(self, number: int) -> Pair:
        return self._layers[number]

    def select(self, sounds: Tensor) -> None:
        """Continue with these sounds, in ascending order, in the same memory: each moves alone, as a copy of several
        would leave holes between other memory."""
        for place, sound in enumerate(sounds.tolist()):
            if place != sound:
                _move(self._layers, sound, place)
        self._layers = [(keys[: len(sounds)], values[: len(sounds)]) for keys, values in self._layers]
        self.mask = None if self.mask is None else self.mask[sounds]

    def view(self, sounds: int, positions: int, is_masked: bool) -> "CrossKVCache":
        """A cache of the first sounds and positions, in the same memory."""
        mask = self.mask[:sounds, :, :, :positions] if is_masked and self.mask is not None else None
        return CrossKVCache(_first(self._layers, sounds, positions), mask)

    def compact(self, sounds: Tensor) -> None:
        """Move these sounds to the front, in the same memory."""
        _compact(self._layers, sounds)
        if self.mask is not None:
            self.mask[: len(sounds)] = self.mask[sounds]

    def clear(self) -> None:
        _clear(self._layers)


def _first(layers: list[Pair], rows: int, length: int) -> list[Pair]:
    return [(keys[:rows, :, :length], values[:rows, :, :length]) for keys, values in layers]


def _compact(layers: list[Pair], rows: Tensor) -> None:
    """Move these rows of each pair to its front."""
    for pair in layers:
        for cached in pair:
            cached[: len(rows)] = cached[rows]


def _move(layers: list[Pair], row: int, place: int) -> None:
    for pair in layers:
        for cached in pair:
            cached[place] = cached[row]


def _clear(layers: list[Pair]) -> None:
    for pair in layers:
        for cached in pair:
            cached.zero_()


def _select(layers: list[Pair], rows: Tensor) -> None:
    """Replace each pair by these rows of it."""
    for number, (keys, values) in enumerate(layers):
        layers[number] = keys[rows], values[rows]
