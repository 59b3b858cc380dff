"""Limits batches to the requests that fit into memory: by an estimate, and by earlier batches that did not fit."""

import logging
from collections.abc import Sequence
from functools import partial

import torch
from transformers import PreTrainedConfig

from processors import torch_device
from processors.torch_device import BatchLimit
from processors.vlm.types import PageRequest

_CHARACTERS_PER_TOKEN = 3

log = logging.getLogger(__name__)


class BatchSizes:
    """The limits of batches on one device. Requests of different lengths have separate limits, so that one large page
    does not reduce the batches of small pages."""

    def __init__(self, most: int, device: torch.device, bytes_per_token: int, pixels_per_token: int):
        """most: requests in a batch; bytes_per_token: of the key/value cache; pixels_per_token: of a page."""
        self.most = most
        self._device, self._bytes_per_token, self._pixels_per_token = device, bytes_per_token, pixels_per_token
        self._limits: dict[int, BatchLimit] = {}  # by the logarithm of a request's tokens
        self._estimated = most  # by the last estimate, so that a change is logged once

    @property
    def smallest(self) -> int:
        """The smallest limit so far."""
        return min((limit.at_once for limit in self._limits.values()), default=self.most)

    def fitting(self, requests: Sequence[PageRequest]) -> int:
        """The number of requests at the start of `requests`, which are sorted by `key`, that form the next batch."""
        count = min(self.most, len(requests))
        while count > 1 and count > self._at_once(requests[:count]):
            count -= 1
        return self._estimate(requests[:count])

    def limit(self, batch: Sequence[PageRequest]) -> BatchLimit:
        """The limit for batches whose last and largest request is that of `batch`."""
        size = self._tokens(batch[-1]).bit_length()
        if size not in self._limits:
            start = self._at_once(batch)
            release = partial(torch_device.release_cache, self._device)
            self._limits[size] = BatchLimit(self.most, "pages", release, start)
        return self._limits[size]

    def _at_once(self, batch: Sequence[PageRequest]) -> int:
        """The number of requests that fit if all are as long as the last of `batch`, by the limits known so far."""
        size = self._tokens(batch[-1]).bit_length()
        return min((each.at_once for known, each in self._limits.items() if known <= size), default=self.most)

    def key(self, request: PageRequest) -> tuple[bool, int]:
        """The sort key of `fitting`: requests with a page after those without, then by length."""
        return request.image is not None, self._tokens(request)

    def _estimate(self, requests: Sequence[PageRequest]) -> int:
        """Estimate how many of `requests` fit: half of the free memory is for keys and values, half for activations."""
        free, count = torch_device.free_bytes(self._device), len(requests)
        while free is not None and count > 1:
            tokens = self._tokens(requests[count - 1]) + max(each.token_limit for each in requests[:count])
            if count * tokens * self._bytes_per_token <= free // 2:
                break
            count -= 1
        if count < min(self._estimated, len(requests)):
            log.info("memory is free for %d of %d pages at once (%.1f GB)", count, len(requests), (free or 0) / 1e9)
        self._estimated = count if count < len(requests) else self.most
        return count

    def _tokens(self, request: PageRequest) -> int:
        """The approximate length of a request."""
        pixels = 0 if request.image is None else request.image.width * request.image.height
        return 1 + pixels // self._pixels_per_token + len(request.prompt) // _CHARACTERS_PER_TOKEN


def bytes_per_token(text: PreTrainedConfig, dtype: torch.dtype) -> int:
    """The size of one token of one row in the key/value cache. Layers may differ, and linear attention has no cache."""
    kinds = getattr(text, "layer_types", None) or []
    width = 0
    for number in range(text.num_hidden_layers):
        if number < len(kinds) and "linear" in kinds[number]:
            continue
        layer = text.per_layer_config[number]
        heads = getattr(layer, "num_key_value_heads", None) or layer.num_attention_heads
        width += heads * (getattr(layer, "head_dim", None) or layer.hidden_size // layer.num_attention_heads)
    return 2 * width * dtype.itemsize
