"""openai-whisper's encoder: spectrograms of windows -> what the decoder listens to."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from whisper.model import AudioEncoder

from processors.whisper.decoder.blocks import block, joined, norm, split, weights
from processors.whisper.decoder.kernels import Attention, Maker
from processors.whisper.decoder.kv_cache import Pair

# Sounds that are read in one pass. A CPU is busy with one, and several take several times the memory. On a GPU, whose
# libraries choose their way of summing by the number of sounds, the last bits may then depend on what a sound is read
# beside: too little to change a text, but for words that are as likely as others.
_AT_ONCE_ON_CPU, _AT_ONCE_ELSEWHERE = 1, 8
_REACH = 2  # positions behind its own that the two convolutions carry a frame to, and one to count from 0
_SOUNDING_STEP = 50  # positions: matrices of few sizes


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
        self._silence: Pair | None = None
        if self.device.type == "cpu":
            self._silence = self._read_silence()

    def encode_all(self, mels: Sequence[Tensor]) -> list[Tensor]:
        """Mel spectrograms, each (n_mels, 2 * its own positions) -> each (positions, width)."""
        found: list[Tensor] = []
        for _, alike in stacks([mel.to(self.device, self.dtype) for mel in mels], self.sounds_at_once):
            found += self.encode(alike).unbind(0)
        return found

    def encode(self, mels: Tensor) -> Tensor:
        """Mel spectrograms (n, n_mels, 2 * positions) -> (n, positions, width). Fewer than whisper's 1500 positions are
        faster, and not what the model was trained with."""
        x, read = self._begun(mels.to(self.device, self.dtype))
        for number, each in enumerate(self._blocks):
            read = each.queries_keys_values(norm(x, each.norms[0])) if number else read
            x = each.think(x + each.out(joined(self._attention(*split(read, 3, self._heads)))))
        return norm(x, self._last_norm)

    @torch.inference_mode()
    def _read_silence(self) -> Pair:
        """What `_begun` makes of each position of a window in which there is nothing."""
        return self._begun(torch.zeros(1, self._conv[0][0].shape[1], 2 * len(self._positions), dtype=self.dtype))

    def _begun(self, mels: Tensor) -> Pair:
        """What the first block is given (n, positions, width), and what it reads of it (n, positions, 3 * width).

        Whisper fills a window with zeros behind its sound; up to here, a position knows its neighbours only. So what
        comes of the zeros was computed once. Not where asking for zeros would make the host wait."""
        count = mels.shape[2] // 2
        sounding = count if self._silence is None else _sounding(mels)
        x = F.gelu(F.conv1d(mels[..., : 2 * sounding], *self._conv[0], padding=1))
        x = F.gelu(F.conv1d(x, *self._conv[1], stride=2, padding=1)).permute(0, 2, 1) + self._positions[:sounding]
        read = self._blocks[0].queries_keys_values(norm(x, self._blocks[0].norms[0]))
        if sounding == count:
            return x, read
        still = [kept[:, sounding:count].expand(len(mels), -1, -1) for kept in self._silence]
        return torch.cat([x, still[0]], 1), torch.cat([read, still[1]], 1)


def _sounding(mels: Tensor) -> int:
    """Positions up to the last one that depends on anything but zeros; at least one, of so many whole steps."""
    frames = mels.any(1).any(0).nonzero()
    last = int(frames[-1]) if len(frames) else 0
    return min(mels.shape[2] // 2, -(-(last // 2 + _REACH) // _SOUNDING_STEP) * _SOUNDING_STEP)


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
