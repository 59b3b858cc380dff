"""Encode and decode batches of windows on one model, in smaller batches if memory runs out."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from whisper.decoding import DecodingOptions, DecodingResult
from whisper.model import Whisper

from processors.torch_device import BatchLimit, free_bytes
from processors.whisper.decoder.cuda_graphs import capture_on
from processors.whisper.decoder.decoding import BatchDecoder
from processors.whisper.decoder.graphed_greedy import max_rows
from processors.whisper.engines.window import Window

# Windows in a batch, and the bytes of the keys and values they attend to. On a CPU more windows gain little, and the
# largest model decodes single ones. A GPU (not measured) waits for the weights, whatever the number of rows; its memory
# for them stays allocated, and beams take as much again.
_MAX_ON_CPU, _MAX_BYTES_ON_CPU = 4, 512 << 20
_MAX_ROWS_ON_CPU = 16  # where a window has several: each has its own keys and values of the text
_MAX_ELSEWHERE, _SHARE_ELSEWHERE = 64, 3  # bytes, as a fraction of the GPU's free memory


class BatchRunner:
    """Runs windows of several transcriptions through one model."""

    def __init__(self, model: Whisper, dtype: torch.dtype, in_8_bits: bool = False):
        self._decoder = BatchDecoder(model, dtype, in_8_bits, capture_on(model.device))
        self._max_rows = _MAX_ROWS_ON_CPU if model.device.type == "cpu" else None
        self._limit = BatchLimit(_max_windows(model, dtype), "windows of speech", lambda: self._decoder.free_memory())

    @property
    def at_once(self) -> int:
        """The maximum number of windows in a batch."""
        return self._limit.at_once

    @property
    def has_bfloat16_encoder(self) -> bool:
        """True if encoding in bfloat16 is faster here than in the chosen precision. The first call allocates it."""
        return self._decoder.bfloat16_encoder is not None

    def check(self, windows: Sequence[Window]) -> None:
        """
        Raises:
            Exception: what whisper raises for options that it cannot decode with.
        """
        for window in windows:
            self._decoder.check(window.options)

    def decode(self, batch: Sequence[Window]) -> list[DecodingResult]:
        """One result for each window of one kind; `at_once` in a batch, or fewer of several rows each.

        Raises:
            torch.OutOfMemoryError: a single window does not fit.
        """
        results: list[DecodingResult] = []
        while len(results) < len(batch):
            windows = batch[len(results) : len(results) + self._at_once(batch[0].options)]
            results += self._limit.attempt(windows, self._decode) or []
        return results

    def _at_once(self, options: DecodingOptions) -> int:
        rows = options.beam_size or options.best_of or 1
        return min(self.at_once, max(1, self._max_rows // rows)) if self._max_rows else self.at_once

    def _decode(self, windows: Sequence[Window]) -> list[DecodingResult]:
        options = [window.options for window in windows]
        return self._decoder.decode(self._features(windows), options, is_approximate=windows[0].in_bfloat16)

    def _features(self, windows: Sequence[Window]) -> list[Tensor]:
        made: dict[bool, Iterator[Tensor]] = {}
        for in_bfloat16 in (False, True):
            new = [window for window in windows if window.features is None and window.in_bfloat16 == in_bfloat16]
            mels, positions = [each.mel for each in new], [each.positions for each in new]
            made[in_bfloat16] = iter(self._decoder.encode_all(mels, positions, in_bfloat16) if new else ())
        return [next(made[each.in_bfloat16]) if each.features is None else each.features for each in windows]


def _max_windows(model: Whisper, dtype: torch.dtype) -> int:
    dims, device = model.dims, model.device
    width = dims.n_text_state * dims.n_text_layer * 2 * torch.finfo(dtype).bits // 8
    if device.type == "cpu":
        return max(1, min(_MAX_ON_CPU, _MAX_BYTES_ON_CPU // (width * dims.n_audio_ctx)))
    max_bytes = (free_bytes(device) or 0) // _SHARE_ELSEWHERE
    return min(_MAX_ELSEWHERE, max_rows(width * (dims.n_audio_ctx + dims.n_text_ctx), max_bytes))
