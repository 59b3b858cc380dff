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
        self._layers, self.mask = layers, mask  # True, (n, 1, 1, positions): there is sound; None: everywhere

    def __len__(self) -> int:
        return len(self._layers[0][0])

    def layer(self, number: int) -> Pair:
        return self._layers[number]

    def select(self, sounds: Tensor) -> None:
        """Go on with these, in this order."""
        _select(self._layers, sounds)
        self.mask = None if self.mask is None else self.mask[sounds]


def _select(layers: list[Pair], rows: Tensor) -> None:
    """These rows of each pair, in place of all."""
    for number, (keys, values) in enumerate(layers):
        layers[number] = keys[rows], values[rows]
