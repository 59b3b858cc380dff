"""A window of sound as the model's decoder gets it: half a minute, or less."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import Tensor
from whisper.decoding import DecodingOptions, DecodingResult

from processors.whisper.track.checkpoints import Requests
from processors.whisper.track.interleaving import ResultT

_SAVED_FIELDS = ("language", "tokens", "text", "avg_logprob", "no_speech_prob", "temperature", "compression_ratio")

Decoding = Requests[ResultT]  # a generator that yields windows to decode and receives one `DecodingResult` for each


@dataclass(frozen=True)
class Window:
    """A window to be decoded once, with one set of options. See also `checkpoints.Request`."""

    mel: Tensor  # spectrogram (n_mels, 3000)
    options: DecodingOptions
    positions: int | None = None  # of the encoder; None: all, as the model was trained
    in_bfloat16: bool = False  # how it is encoded and decoded; see `BatchRunner.has_bfloat16_encoder`
    features: Tensor | None = None  # the encoder's output (positions, width), if it was encoded before

    @property
    def kind(self) -> str:
        """Windows of one kind may be decoded together."""
        return repr((replace(self.options, prompt=None), self.in_bfloat16))

    def digest(self) -> bytes:
        digest = hashlib.blake2b(self.mel.float().cpu().contiguous().numpy().tobytes())
        how = {"positions": self.positions, "in_bfloat16": self.in_bfloat16}
        digest.update(repr(sorted((asdict(self.options) | how).items())).encode())
        return digest.digest()

    def pack(self, result: DecodingResult) -> dict[str, object] | None:
        if not (math.isfinite(result.avg_logprob) and math.isfinite(result.no_speech_prob)):
            return None
        return {field: getattr(result, field) for field in _SAVED_FIELDS}

    def unpack(self, saved: Mapping[str, Any]) -> DecodingResult:
        values = {field: saved[field] for field in _SAVED_FIELDS}
        # Without features it is encoded again if it is decoded at another temperature.
        return DecodingResult(audio_features=self.features, **values)  # type: ignore[arg-type]  # may be None
