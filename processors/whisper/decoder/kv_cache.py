"""What the decoder attends to: keys and values of what it said, and of the sounds that it hears.

Owns the memory and its shapes; what is written there is computed by `network`.
"""

import torch.nn.functional as F
from torch import Tensor

Pair = tuple[Tensor, Tensor]  # keys and values, or weight and bias

CACHE_STEP = 64  # positions by which a cache grows


class Cache:
    """Keys and values of what was decoded: one pair a layer, each (rows, heads, capacity, head width).

    Grows as it is filled, and is changed layer by layer: no second copy of it is ever held.
    """

    def __init__(self, layers: list[Pair]):
        self._layers = layers

    def layer(self, number: int) -> Pair:
        return self._layers[number]

    def select(self, rows: Tensor) -> None:
        """Go on with these rows, in this order; a row may be named several times."""
        _select(self._layers, rows)

    def reorder(self, rows: Tensor, length: int) -> None:
        """The same for as many rows as there are, of which only the first `length` positions are in use."""
        for pair in self._layers:
            for kept in pair:
                kept[:, :, :length] = kept[rows, :, :length]

    def within(self, rows: int, length: int) -> "Cache":
        """The same memory, seen as a cache of the first rows and positions only."""
        return Cache(_first(self._layers, rows, length))

    def keep(self, rows: Tensor) -> None:
        """These become the first ones, in the same memory."""
        _keep(self._layers, rows)

    def clear(self) -> None:
        _clear(self._layers)

    def make_room(self, length: int) -> None:
        """Room for so many positions, at least."""
        missing = length - self._layers[0][0].shape[2]
        if missing > 0:
            for number, (keys, values) in enumerate(self._layers):
                more = (0, 0, 0, max(missing, CACHE_STEP))
                self._layers[number] = F.pad(keys, more), F.pad(values, more)


class Heard:
    """What the decoder reads of several sounds: keys and values, (n, heads, positions, head width), by layer."""

    def __init__(self, layers: list[Pair], mask: Tensor | None):
        # (n, 1, 1, positions), True or added 0: there is sound; None: everywhere
        self._layers, self.mask = layers, mask

    def __len__(self) -> int:
        return len(self._layers[0][0])

    def layer(self, number: int) -> Pair:
        return self._layers[number]

    def select(self, sounds: Tensor) -> None:
        """Go on with these, in this order."""
        _select(self._layers, sounds)
        self.mask = None if self.mask is None else self.mask[sounds]

    def within(self, sounds: int, positions: int, is_masked: bool) -> "Heard":
        """The same memory, seen as that of the first sounds and positions only."""
        mask = self.mask[:sounds, :, :, :positions] if is_masked and self.mask is not None else None
        return Heard(_first(self._layers, sounds, positions), mask)

    def keep(self, sounds: Tensor) -> None:
        """These become the first ones, in the same memory."""
        _keep(self._layers, sounds)
        if self.mask is not None:
            self.mask[: len(sounds)] = self.mask[sounds]

    def clear(self) -> None:
        _clear(self._layers)


def _first(layers: list[Pair], rows: int, length: int) -> list[Pair]:
    return [(keys[:rows, :, :length], values[:rows, :, :length]) for keys, values in layers]


def _keep(layers: list[Pair], rows: Tensor) -> None:
    """These rows of each pair become its first ones."""
    for pair in layers:
        for kept in pair:
            kept[: len(rows)] = kept[rows]


def _clear(layers: list[Pair]) -> None:
    for pair in layers:
        for kept in pair:
            kept.zero_()


def _select(layers: list[Pair], rows: Tensor) -> None:
    """These rows of each pair, in place of all."""
    for number, (keys, values) in enumerate(layers):
        layers[number] = keys[rows], values[rows]
