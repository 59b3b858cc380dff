"""openai-whisper's audio encoder: spectrograms of windows -> the features that the text decoder attends to."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
import whisper.model
from torch import Tensor

from processors.whisper.decoder.blocks import layer_norm, make_block, merge_heads, split_heads, weights
from processors.whisper.decoder.kernels import Attention, MakeLinear
from processors.whisper.decoder.kv_cache import Pair

# Sounds in one pass. One keeps a CPU busy, and several take several times the memory. On a GPU, whose libraries choose
# the order of summation by the number of sounds, the last bits may depend on the other sounds of a pass: too little to
# change a text, except where two words are equally probable.
_AT_ONCE_ON_CPU, _AT_ONCE_ELSEWHERE = 1, 8
_REACH = 2  # the two convolutions spread a frame over this many later positions; plus 1, because positions count from 0
_SOUNDING_STEP = 50  # positions: for matrices of few sizes


class AudioEncoder:
    """The layers of one model's encoder, in one precision."""

    def __init__(
        self,
        encoder: whisper.model.AudioEncoder,
        dtype: torch.dtype,
        linear: MakeLinear,
        attention: Attention,
        conv_dtype: torch.dtype | None = None,
    ):
        """conv_dtype: the precision of the convolutions; None: `dtype`."""
        self.device, self.dtype = encoder.conv1.weight.device, dtype
        self.sounds_at_once = sounds_at_once(self.device)
        blocks = list(encoder.blocks)
        self._attention, self._heads = attention, blocks[0].attn.n_head
        self._conv_dtype = conv_dtype or dtype
        self._conv = [weights(conv, self._conv_dtype) for conv in (encoder.conv1, encoder.conv2)]
        self._positions = encoder.get_buffer("positional_embedding").to(dtype)  # (positions, width)
        self._blocks = [make_block(each, dtype, linear) for each in blocks]
        self._last_norm = weights(encoder.ln_post, dtype)
        self._silence: Pair | None = None
        if self.device.type == "cpu":
            self._silence = self._stem_of_silence()

    def encode_all(self, mels: Sequence[Tensor]) -> list[Tensor]:
        """Mel spectrograms, each (n_mels, 2 * its own positions) -> each (positions, width)."""
        found: list[Tensor] = []
        for _, alike in stacks([mel.to(self.device, self.dtype) for mel in mels], self.sounds_at_once):
            found += self.encode(alike).unbind(0)
        return found

    def encode(self, mels: Tensor) -> Tensor:
        """Mel spectrograms (n, n_mels, 2 * positions) -> (n, positions, width). Fewer than whisper's 1500 positions are
        faster, but the model was not trained with them."""
        x, projected = self._stem(mels.to(self.device, self.dtype))
        for number, each in enumerate(self._blocks):
            projected = each.queries_keys_values(layer_norm(x, each.norms[0])) if number else projected
            x = each.mlp(x + each.out(merge_heads(self._attention(*split_heads(projected, 3, self._heads)))))
        return layer_norm(x, self._last_norm)

    @torch.inference_mode()
    def _stem_of_silence(self) -> Pair:
        """The output of `_stem` for a window of zeros."""
        mels = torch.zeros(1, self._conv[0][0].shape[1], 2 * len(self._positions), dtype=self.dtype)
        return self._stem(mels)

    def _stem(self, mels: Tensor) -> Pair:
        """The first block's input (n, positions, width), and its queries, keys and values (n, positions, 3 * width).

        Whisper pads a window with zeros after its sound. Up to here, a position depends on its neighbors only, so the
        output for zeros is computed once. Not on a GPU, where looking for zeros would make the host wait."""
        count, silence = mels.shape[2] // 2, self._silence
        sounding = count if silence is None else _sounding_positions(mels)
        x = F.gelu(F.conv1d(mels[..., : 2 * sounding].to(self._conv_dtype), *self._conv[0], padding=1))
        x = F.gelu(F.conv1d(x, *self._conv[1], stride=2, padding=1)).to(self.dtype).permute(0, 2, 1)
        x = x + self._positions[:sounding]
        projected = self._blocks[0].queries_keys_values(layer_norm(x, self._blocks[0].norms[0]))
        if silence is None or sounding == count:
            return x, projected
        silent = [stem[:, sounding:count].expand(len(mels), -1, -1) for stem in silence]
        return torch.cat([x, silent[0]], 1), torch.cat([projected, silent[1]], 1)


def _sounding_positions(mels: Tensor) -> int:
    """The number of positions up to the last one that depends on more than zeros, rounded up to a multiple of the
    step."""
    frames = mels.any(1).any(0).nonzero()
    last = int(frames[-1]) if len(frames) else 0
    return min(mels.shape[2] // 2, -(-(last // 2 + _REACH) // _SOUNDING_STEP) * _SOUNDING_STEP)


def sounds_at_once(device: torch.device) -> int:
    """Sounds to encode in one pass."""
    return _AT_ONCE_ON_CPU if device.type == "cpu" else _AT_ONCE_ELSEWHERE


def stacks(sounds: Sequence[Tensor], limit: int) -> Iterator[tuple[int, Tensor]]:
    """Stacks of up to `limit` neighbors of the same shape, each with the number of its first sound."""
    first = 0
    while first < len(sounds):
        end = first + 1
        while end < min(len(sounds), first + limit) and sounds[end].shape == sounds[first].shape:
            end += 1
        yield first, sounds[first][None] if end == first + 1 else torch.stack([*sounds[first:end]])
        first = end
