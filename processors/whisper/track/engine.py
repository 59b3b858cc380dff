"""The interface of an engine: it transcribes one part of a track at a time, and several jobs share it."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from processors.whisper.audio import vad
from processors.whisper.audio.parts import Sound
from processors.whisper.options import TranscribeOptions
from processors.whisper.track.interleaving import ResultT, Task
from processors.whisper.track.segment import Segment


@dataclass(frozen=True, kw_only=True)
class PartResult:
    """The transcript of one part."""

    segments: list[Segment]  # times in seconds of the part; in order
    language: str | None = None  # a code, if the engine detected it while transcribing

    def as_json(self) -> dict[str, object]:
        return {"segments": [segment.as_json() for segment in self.segments], "language": self.language}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """
        Raises:
            KeyError, TypeError: `as_json` never gave these values.
        """
        return cls(segments=[Segment.from_json(each) for each in values["segments"]], language=values["language"])


@dataclass(frozen=True, kw_only=True)
class PartRequest:
    """One part of a track, to be transcribed. See also `checkpoints.Request`."""

    samples: Sound  # shape (n_samples,), mono, 16 kHz, in [-1, 1]
    spoken: Sequence[vad.Span] | None  # speech in it, by the voice detector; None: that did not run
    language: str | None  # a code; None: the engine detects it
    prompt: str | None  # the text before it
    options: TranscribeOptions
    report: Callable[[float], None]  # to be called with the seconds done so far

    def digest(self) -> bytes:
        digest = hashlib.blake2b(self.samples.tobytes())
        digest.update(repr((self.spoken, self.language, self.prompt)).encode())
        return digest.digest()

    def pack(self, result: PartResult | Exception) -> dict[str, object] | None:
        if isinstance(result, Exception):
            return None
        packed = result.as_json()
        try:
            json.dumps(packed, allow_nan=False)
        except ValueError:  # NaN: not worth saving
            return None
        return packed

    def unpack(self, saved: Mapping[str, object]) -> PartResult:
        return PartResult.from_json(saved)


class Engine(Protocol):
    """A loaded model, or a server."""

    @property
    def name(self) -> str: ...

    @property
    def device_name(self) -> str: ...

    @property
    def knows_english_only(self) -> bool: ...

    @property
    def is_elsewhere(self) -> bool:
        """True if it computes on a GPU or a server, and this CPU is free to prepare the next part."""

    @property
    def made_by(self) -> Mapping[str, object]:
        """What its results depend on: name, version, model, precision."""

    @property
    def takes_more_jobs(self) -> bool:
        """See `contract.Loaded`."""

    def run(
        self, tasks: Iterable[Task[ResultT]], more: Callable[[], Iterable[Task[ResultT]]] = tuple
    ) -> Iterator[tuple[int, ResultT | Exception]]:
        """Run tasks whose requests are those of `transcribe`; see `interleaving.run`."""

    def detect_language(self, samples: Sound, among: Sequence[str] = ()) -> tuple[str | None, float | None]:
        """The language at the start of a sound, and its probability; (None, None): detected while transcribing.

        among: the codes to choose from; all if there are none."""

    def transcribe(self, request: PartRequest) -> Task[PartResult]:
        """Return a task that transcribes one part; `run` answers its requests."""
