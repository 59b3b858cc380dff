"""The files of the small models. Imports no engine."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SmallModels:
    recognition: Path
    detection: Path | None = None  # None: the usual one finds the lines
