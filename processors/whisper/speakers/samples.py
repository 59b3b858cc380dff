"""Voice samples: a folder with recordings of people, named after them, and which of them speaks.

`Anna.wav`, `Anna 2.m4a` and `Anna/….flac` are samples of Anna.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from processors.contract import BadInput
from processors.whisper.audio import reader, vad
from processors.whisper.audio.parts import SAMPLE_RATE_HZ, Sound
from processors.whisper.speakers.embeddings import Embedding, VoiceEncoder

# Cosine similarity of the mean voices of two recordings. Of 19 recordings of 11 people, with telephone sound and
# codecs, two of one person had 0.72 or more, two of two people 0.68 or less.
_SAME, _SURE, _PERHAPS = 0.7, 0.78, 0.66
_MARGIN = 0.06  # by which the second best must be less similar
_MAX_SAMPLE_SECONDS = 120.0
_MAX_SAMPLES = 500
_NUMBER = re.compile(r"[ _-]*\(?\d{1,3}\)?$")  # after a name: "Anna 2", "Anna_02", "Anna (2)"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class KnownVoices:
    """The voices of people by name, and problems with their samples."""

    voices: Mapping[str, Embedding]
    problems: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Naming:
    """The names of the speakers in a recording."""

    names: dict[int, str] = field(default_factory=dict)  # by the speaker's number, which counts from 1
    doubts: list[str] = field(default_factory=list)  # for the review


class VoiceSamples:
    """Reads folders of samples; an unchanged file is read only once."""

    def __init__(self, detector: vad.Detector):
        self._detector = detector
        self._known: dict[tuple[Path, int, int], Embedding | None] = {}

    def read(self, folder: Path, encoder: VoiceEncoder) -> KnownVoices:
        """The voices in a folder. A sample that cannot be used is a problem, not an error."""
        found: dict[str, list[Embedding]] = {}
        problems = []
        try:
            files = _files(folder)
        except OSError as error:
            return KnownVoices(
                voices={}, problems=(f"Cannot read the voice samples in {folder}: {error.strerror or error}.",)
            )
        for name, path in files[:_MAX_SAMPLES]:
            voice = self._voice(path, encoder)
            if voice is None:
                problems.append(f"No speech could be read from the voice sample {path.name}: replace it.")
            else:
                found.setdefault(name, []).append(voice)
        if not files:
            problems.append(f"There are no voice samples in {folder}: copy a recording of each person there.")
        voices = {name: _unit(np.sum(each, axis=0)) for name, each in found.items()}
        return KnownVoices(voices=voices, problems=tuple(problems))

    def _voice(self, path: Path, encoder: VoiceEncoder) -> Embedding | None:
        try:
            facts = path.stat()
            key = (path, facts.st_mtime_ns, facts.st_size)
            if key not in self._known:
                self._known[key] = self._embedding(path, encoder)
            return self._known[key]
        except (BadInput, OSError) as error:
            log.warning("voice sample %s: %s", path, error)
            return None

    def _embedding(self, path: Path, encoder: VoiceEncoder) -> Embedding | None:
        pieces: list[Sound] = []
        with reader.open_track(path) as track:
            for block in track.blocks():
                pieces.append(block.samples)
                if sum(map(len, pieces)) >= _MAX_SAMPLE_SECONDS * SAMPLE_RATE_HZ:
                    break
        sound = np.concatenate(pieces)
        voices = encoder.voices(sound, self._detector.spans(sound), 0.0)
        return _unit(np.sum([each.embedding for each in voices], axis=0)) if voices else None


def identify(speakers: Sequence[Embedding], known: KnownVoices) -> Naming:
    """Name the speakers whose voices are known, the most similar pair first. speakers: in order of their numbers."""
    found = Naming(doubts=list(known.problems))
    pairs = sorted(
        (
            (float(voice @ sample), number, name)
            for number, voice in enumerate(speakers, 1)
            for name, sample in known.voices.items()
        ),
        reverse=True,
    )
    for similarity, number, name in pairs:
        if number in found.names or name in found.names.values() or similarity < _PERHAPS:
            continue
        if similarity < _SAME:
            found.doubts.append(f"Speaker {number} may be {name}, by their voice: check who speaks.")
            continue
        found.names[number] = name
        second = max((each for each, of, other in pairs if of == number and other != name), default=0.0)
        if similarity < _SURE or second > similarity - _MARGIN:
            found.doubts.append(f"{name} was recognized by voice, but not reliably: check who speaks.")
    return found


def _files(folder: Path) -> list[tuple[str, Path]]:
    """The samples in a folder with the names of the people, in order."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            found += [(path.name, each) for each in sorted(path.iterdir()) if _is_sample(each)]
        elif _is_sample(path):
            found.append((_NUMBER.sub("", path.stem) or path.stem, path))
    return found


def _is_sample(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.suffix.lower() not in (".txt", ".md", ".toml")


def _unit(vector: Embedding) -> Embedding:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
