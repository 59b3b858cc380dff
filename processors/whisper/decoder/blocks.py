"""The residual blocks of encoder and decoder, made of openai-whisper's weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from processors.whisper.decoder.kernels import Linear, MakeLinear
from processors.whisper.decoder.kv_cache import Pair


@dataclass(frozen=True)
class Block:
    """One residual block of the decoder, or of the encoder (without the `cross_` layers)."""

    queries_keys_values: Linear
    out: Linear
    widen: Linear
    narrow: Linear
    norms: tuple[Pair, ...]
    cross_query: Linear | None = None
    cross_keys_values: Linear | None = None
    cross_out: Linear | None = None

    def mlp(self, x: Tensor) -> Tensor:
        """The block's second half: (n, length, width) -> the same."""
        return x + self.narrow(F.gelu(self.widen(layer_norm(x, self.norms[-1]))))


def make_block(of: torch.nn.Module, dtype: torch.dtype, own: MakeLinear, cross: MakeLinear) -> Block:
    """own: makes the layers whose input is the block's own; cross: those whose input is the encoder's output."""
    norms = [of.attn_ln, *([of.cross_attn_ln] if of.cross_attn else []), of.mlp_ln]
    attn, across = of.attn, of.cross_attn
    layers = {
        "queries_keys_values": own(*_joined([attn.query, attn.key, attn.value], dtype)),
        "out": own(*weights(attn.out, dtype)),
        "widen": own(*weights(of.mlp[0], dtype)),
        "narrow": own(*weights(of.mlp[2], dtype)),
    }
    if across:
        layers |= {
            "cross_query": own(*weights(across.query, dtype)),
            "cross_keys_values": cross(*_joined([across.key, across.value], dtype)),
            "cross_out": own(*weights(across.out, dtype)),
        }
    return Block(norms=tuple(weights(each, dtype) for each in norms), **layers)


def _joined(layers: Sequence[torch.nn.Module], dtype: torch.dtype) -> Pair:
    """The weights of layers with the same input, as one layer. Whisper's keys have no bias: zeros."""
    weight = torch.cat([layer.weight.detach() for layer in layers]).to(dtype)
    zeros = torch.zeros(layers[0].out_features, dtype=dtype, device=weight.device)
    return weight, torch.cat([zeros if layer.bias is None else layer.bias.detach().to(dtype) for layer in layers])


def weights(layer: torch.nn.Module, dtype: torch.dtype) -> Pair:
    return layer.weight.detach().to(dtype), layer.bias.detach().to(dtype)


def layer_norm(x: Tensor, of: Pair) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], *of)


def split_heads(x: Tensor, count: int, heads: int) -> tuple[Tensor, ...]:
    """(n, length, count * width) -> `count` times (n, heads, length, head width)."""
    n, length, width = x.shape
    return x.view(n, length, count, heads, width // count // heads).permute(2, 0, 3, 1, 4).unbind(0)


def merge_heads(x: Tensor) -> Tensor:
    """(n, heads, length, head width) -> (n, length, width)."""
    return x.permute(0, 2, 1, 3).flatten(2)
