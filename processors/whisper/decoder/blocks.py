"""The residual blocks of encoder and decoder, with openai-whisper's weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from whisper.model import ResidualAttentionBlock

from processors.whisper.decoder.kernels import Linear, MakeLinear
from processors.whisper.decoder.kv_cache import Pair


@dataclass(frozen=True, kw_only=True)
class Block:
    """One residual block of the encoder; the decoder's is a `CrossBlock`."""

    norms: tuple[Pair, ...]  # in the order in which they are applied
    queries_keys_values: Linear
    out: Linear
    widen: Linear
    narrow: Linear

    def mlp(self, x: Tensor) -> Tensor:
        """The block's second half: (n, length, width) -> the same."""
        return x + self.narrow(F.gelu(self.widen(layer_norm(x, self.norms[-1]))))


@dataclass(frozen=True, kw_only=True)
class CrossBlock(Block):
    """One residual block of the decoder, which also attends to the encoder's output."""

    cross_query: Linear
    cross_keys_values: Linear
    cross_out: Linear


def make_block(of: ResidualAttentionBlock, dtype: torch.dtype, linear: MakeLinear) -> Block:
    attn = of.attn
    return Block(
        norms=(weights(of.attn_ln, dtype), weights(of.mlp_ln, dtype)),
        queries_keys_values=linear(*_joined([attn.query, attn.key, attn.value], dtype)),
        out=linear(*weights(attn.out, dtype)),
        widen=linear(*weights(of.mlp[0], dtype)),
        narrow=linear(*weights(of.mlp[2], dtype)),
    )


def make_cross_block(of: ResidualAttentionBlock, dtype: torch.dtype, own: MakeLinear, cross: MakeLinear) -> CrossBlock:
    """own: makes the layers whose input is the block's own; cross: those whose input is the encoder's output."""
    block, across, norm = make_block(of, dtype, own), of.cross_attn, of.cross_attn_ln
    assert across is not None and norm is not None  # a block of the decoder
    return CrossBlock(
        norms=(block.norms[0], weights(norm, dtype), block.norms[1]),
        queries_keys_values=block.queries_keys_values,
        out=block.out,
        widen=block.widen,
        narrow=block.narrow,
        cross_query=own(*weights(across.query, dtype)),
        cross_keys_values=cross(*joined_cross_weights(of, dtype)),
        cross_out=own(*weights(across.out, dtype)),
    )


def joined_cross_weights(of: ResidualAttentionBlock, dtype: torch.dtype) -> Pair:
    """The weights that make cross-attention's keys and values, as one layer."""
    assert of.cross_attn is not None  # a block of the decoder
    return _joined([of.cross_attn.key, of.cross_attn.value], dtype)


def _joined(layers: Sequence[torch.nn.Linear], dtype: torch.dtype) -> Pair:
    """The weights of layers with the same input, as one layer. Whisper's keys have no bias: zeros."""
    weight = torch.cat([layer.weight.detach() for layer in layers]).to(dtype)
    zeros = torch.zeros(layers[0].out_features, dtype=dtype, device=weight.device)
    return weight, torch.cat([zeros if layer.bias is None else layer.bias.detach().to(dtype) for layer in layers])


def weights(layer: torch.nn.Module, dtype: torch.dtype) -> Pair:
    """The weight and the bias of a layer that has both."""
    return layer.get_parameter("weight").detach().to(dtype), layer.get_parameter("bias").detach().to(dtype)


def layer_norm(x: Tensor, of: Pair) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], *of)


def split_heads(x: Tensor, count: int, heads: int) -> tuple[Tensor, ...]:
    """(n, length, count * width) -> `count` times (n, heads, length, head width)."""
    n, length, width = x.shape
    return x.view(n, length, count, heads, width // count // heads).permute(2, 0, 3, 1, 4).unbind(0)


def merge_heads(x: Tensor) -> Tensor:
    """(n, heads, length, head width) -> (n, length, width)."""
    return x.permute(0, 2, 1, 3).flatten(2)
