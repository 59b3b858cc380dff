"""Checkpoints: finished parts of a job (pages, windows of speech), saved so that the next attempt does not repeat them.

A checkpoint only saves time. If it cannot be written, the next attempt computes that part again.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from typing import Any

from processors.contract import Work

log = logging.getLogger(__name__)

_FINGERPRINT_DIGITS = 16


class Checkpoints:
    """The checkpoints of one job: JSON values by name.

    A checkpoint is valid only for the same original (size and modification time), recipe options and sidecars, and the
    same `made_by`: everything else that affects it (model, precision, prompts). Creating this deletes all others.
    """

    def __init__(self, work: Work, made_by: Mapping[str, object]):
        self._folder = None if work.checkpoints is None else work.checkpoints / fingerprint(work, made_by)
        if work.checkpoints is not None and work.checkpoints.is_dir():
            for other in work.checkpoints.iterdir():
                if other != self._folder:
                    shutil.rmtree(other, ignore_errors=True)

    def get(self, name: str) -> Any | None:
        """Return the checkpoint `name` of an earlier attempt, or None. `name`: letters, digits, "-" and "."."""
        if self._folder is None:
            return None
        try:
            return json.loads((self._folder / f"{name}.json").read_bytes())
        except (OSError, ValueError):
            return None

    def put(self, name: str, value: object) -> None:
        """Save a checkpoint atomically, or log why not; `value` must be serializable by `json`."""
        if self._folder is None:
            return
        scratch = self._folder / f"{name}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with scratch.open("w", encoding="utf-8") as file:
                json.dump(value, file, allow_nan=False)
                file.flush()
                os.fsync(file.fileno())
            scratch.rename(self._folder / f"{name}.json")
        except (OSError, ValueError) as error:  # ValueError: NaN
            log.warning("cannot save the checkpoint %s: %s", name, error)
            with contextlib.suppress(OSError):
                scratch.unlink(missing_ok=True)


def fingerprint(work: Work, made_by: Mapping[str, object]) -> str:
    """A name for all that a checkpoint depends on: see `Checkpoints`."""
    facts = work.source.stat()
    sidecars = {name: path.read_bytes().hex() for name, path in work.sidecars.items()}
    made_from = [facts.st_size, facts.st_mtime_ns, work.options.model_dump(mode="json"), sidecars, dict(made_by)]
    text = json.dumps(made_from, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_FINGERPRINT_DIGITS]
