"""The results of a job's steps, saved until the job ends. A retry repeats only what is not saved."""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from processors import wellformed
from processors.checkpoints import fingerprint
from processors.contract import Finished, Work

log = logging.getLogger(__name__)

FIRST = "first"  # the name of the first result
FIRST_RESULTS = "steps"  # the folder below a job's checkpoints: it exists once there is a first result
_RESULT = ".result.json"
_DIGITS = 12


class SavedResults:
    """Results by name, each a folder with its files.

    Valid for the same original, recipe options and sidecars, and the same `made_by`.
    """

    def __init__(self, work: Work, made_by: Mapping[str, object]):
        """
        Raises:
            OSError: the original cannot be read.
        """
        self._is_temporary = work.checkpoints is None
        above = Path(tempfile.mkdtemp()) if work.checkpoints is None else work.checkpoints / FIRST_RESULTS
        self._folder = above / fingerprint(work, made_by)

    def get(self, name: str) -> Finished | None:
        """Return a saved result, or None."""
        try:
            fields = json.loads((self._folder / name / _RESULT).read_bytes())
            return Finished(**{**fields, "files": tuple(fields["files"]), "review": tuple(fields["review"])})
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def save(self, name: str, finished: Finished, outputs: Path) -> None:
        """Save a result with its files from `outputs`, or log why not."""
        folder = self._folder / f"{name}.part"
        try:
            shutil.rmtree(folder, ignore_errors=True)
            for file in finished.files:
                _copy(outputs / file, folder / file)
            self.complete(name, finished, folder)
        except OSError as error:
            log.warning("cannot save the result of a step (%s): %s", name, error)

    def start(self, name: str) -> tuple[Path, bool]:
        """Create an empty folder for the outputs of a step. Also return True if an earlier start had no `complete`.

        Raises:
            OSError: it cannot be written.
        """
        folder = self._folder / f"{name}.part"
        was_interrupted = folder.exists()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder, was_interrupted

    def complete(self, name: str, finished: Finished, folder: Path) -> None:
        """Save a result whose files are in `folder`, durable.

        Raises:
            OSError: it cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / _RESULT).open("w", encoding="ascii") as file:
            json.dump(wellformed.finite(asdict(finished)), file, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        shutil.rmtree(self._folder / name, ignore_errors=True)
        folder.rename(self._folder / name)

    def abandon(self, name: str) -> None:
        """Remove what `start` created: the step ended without a result."""
        shutil.rmtree(self._folder / f"{name}.part", ignore_errors=True)

    def copy(self, name: str, finished: Finished, outputs: Path) -> None:
        """Copy the files of a result into `outputs`.

        Raises:
            OSError: they cannot be read or written.
        """
        for file in finished.files:
            (outputs / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._folder / name / file, outputs / file)

    def close(self) -> None:
        """Remove results that no later attempt can find."""
        if self._is_temporary:
            with contextlib.suppress(OSError):
                shutil.rmtree(self._folder.parent)


def step_name(recipe: str, definition: Mapping[str, object]) -> str:
    """The name of a step's result: the same only for the same options."""
    digest = hashlib.sha256(json.dumps([recipe, definition], sort_keys=True, default=str).encode()).hexdigest()
    return f"step-{digest[:_DIGITS]}"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())
