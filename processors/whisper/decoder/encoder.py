"""openai-whisper's encoder: spectrograms of windows -> what the decoder listens to."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from whisper.model import AudioEncoder

from processors.whisper.decoder.blocks import block, joined, norm, split, weights
from processors.whisper.decoder.kernels import Attention, Maker

# Sounds that are read in one pass. A CPU is busy with one, and several take several times the memory. On a GPU, whose
# libraries choose their way of summing by the number of sounds, the last bits may then depend on what a sound is read
# beside: too little to change a text, but for words that are as likely as others.
_AT_ONCE_ON_CPU, _AT_ONCE_ELSEWHERE = 1, 8


class Encoder:
    """The layers of one model's encoder, in one precision."""

    def __init__(self, encoder: AudioEncoder, dtype: torch.dtype, linear: Maker, attention: Attention):
        self.device, self.dtype = encoder.conv1.weight.device, dtype
        self.sounds_at_once = at_once(self.device)
        self._attention, self._heads = attention, encoder.blocks[0].attn.n_head
        self._conv = [weights(conv, dtype) for conv in (encoder.conv1, encoder.conv2)]
        self._positions = encoder.positional_embedding.to(dtype)
        self._blocks = [block(each, dtype, linear, linear) for each in encoder.blocks]
        self._last_norm = weights(encoder.ln_post, dtype)

    def encode_all(self, mels: Sequence[Tensor]) -> list[Tensor]:
        """Mel spectrograms, each (n_mels, 2 * its own positions) -> each (positions, width)."""
        found: list[Tensor] = []
        for _, alike in stacks([mel.to(self.device, self.dtype) for mel in mels], self.sounds_at_once):
            found += self.encode(alike).unbind(0)
        return found

    def encode(self, mels: Tensor) -> Tensor:
        """Mel spectrograms (n, n_mels, 2 * positions) -> (n, positions, width). Fewer than whisper's 1500 positions are
        faster, and not what the model was trained with."""
        x = mels.to(self.device, self.dtype)
        x = F.gelu(F.conv1d(x, *self._conv[0], padding=1))
        x = F.gelu(F.conv1d(x, *self._conv[1], stride=2, padding=1)).permute(0, 2, 1)
        x = x + self._positions[: x.shape[1]]
        for each in self._blocks:
            found = self._attention(*split(each.queries_keys_values(norm(x, each.norms[0])), 3, self._heads))
            x = each.think(x + each.out(joined(found)))
        return norm(x, self._last_norm)


def at_once(device: torch.device) -> int:
    """Sounds to be read in one pass."""
    return _AT_ONCE_ON_CPU if device.type == "cpu" else _AT_ONCE_ELSEWHERE


def stacks(sounds: Sequence[Tensor], most: int) -> Iterator[tuple[int, Tensor]]:
    """Neighbours of the same shape, up to `most`, stacked, with the number of the first."""
    first = 0
    while first < len(sounds):
        end = first + 1
        while end < min(len(sounds), first + most) and sounds[end].shape == sounds[first].shape:
            end += 1
        yield first, sounds[first][None] if end == first + 1 else torch.stack([*sounds[first:end]])
        first = end
