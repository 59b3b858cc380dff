"""Attention of vision towers whose pages are cut into windows, without flash-attn: few calls for all windows.

transformers' own attention calls torch once per window: 28 layers times 108 windows for each page of Qwen2.5-VL, whose
launches take longer than the computation. It passes the ends of the windows only to implementations whose name contains
"flash", so the name of this one contains it.
"""

import logging

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

NAME = "flash_free_windows"
_TYPES = {  # of vision towers that pass `cu_seq_lens_q`, and nothing else that this does not know
    "qwen2_vl_vision",
    "qwen2_5_vl_vision",
    "qwen3_vl_vision",
    "qwen3_5_vision",
    "glm_ocr_vision",
}

log = logging.getLogger(__name__)


def use_in(model: PreTrainedModel) -> bool:
    """Let the vision tower of `model` use this attention; False: it is of another kind, and unchanged."""
    vision = getattr(model.config, "vision_config", None)
    if vision is None or getattr(vision, "model_type", None) not in _TYPES:
        return False
    ALL_ATTENTION_FUNCTIONS.register(NAME, attend)
    vision._attn_implementation_internal = NAME
    return True


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    cu_seq_lens_q: torch.Tensor,
    **others: object,
) -> tuple[torch.Tensor, None]:
    """query, key, value: (1, heads, tokens, width) -> (1, tokens, heads, width), None.

    cu_seq_lens_q: int, (windows + 1,), where windows end; each token attends to those of its own window.
    """
    ends = cu_seq_lens_q.tolist()
    starts_by_length: dict[int, list[int]] = {}
    for start, end in zip(ends, ends[1:], strict=False):
        starts_by_length.setdefault(end - start, []).append(start)
    if len(starts_by_length) == 1:  # all tokens, in order: no copy
        ((length, starts),) = starts_by_length.items()
        queries, keys, values = (_windows(each, len(starts), length) for each in (query, key, value))
        found = _attend(queries, keys, values, scaling)
        return found.transpose(1, 2).flatten(0, 1)[None], None
    attended = query.new_empty(query.shape[2], query.shape[1], query.shape[3])
    for length, starts in starts_by_length.items():
        first = torch.tensor(starts, device=query.device)[:, None]
        places = (first + torch.arange(length, device=query.device)).flatten()
        queries, keys, values = (_windows(each[:, :, places], len(starts), length) for each in (query, key, value))
        attended[places] = _attend(queries, keys, values, scaling).transpose(1, 2).flatten(0, 1)
    return attended[None], None


def _windows(states: torch.Tensor, count: int, length: int) -> torch.Tensor:
    """(1, heads, count * length, width) -> (count, heads, length, width)."""
    cut: torch.Tensor = states[0].unflatten(1, (count, length))
    return cut.transpose(0, 1)


def _attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float) -> torch.Tensor:
    return F.scaled_dot_product_attention(query, key, value, scale=scaling)
