"""Pictures of the pages of originals, cached in state/previews.

Files are not trusted, so the web process never decodes them. A separate process, `processors.pages.preview`, renders
each page with limits of memory and time, and reads the open file as its standard input.
"""

import asyncio
import contextlib
import os
import sys
from pathlib import Path

from anyio import to_thread

from daemon.config.settings import Settings
from daemon.core import durable
from daemon.web.errors import WebError
from processors import contract

_AT_ONCE = 2  # pages rendered at the same time
_SECONDS = 40.0  # to render a page
_MAX_BYTES = 20 * 1024 * 1024  # of a picture
_KEPT_BYTES = 200 * 1024 * 1024  # of all cached pictures; the oldest are removed first
_ROOT = Path(contract.__file__).parents[1]  # where the package `processors` is found


class Previews:
    """Renders pages, `_AT_ONCE` at the same time."""

    def __init__(self, settings: Settings):
        self._folder = settings.state / "previews"
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def page(self, job_id: str, descriptor: int, number: int, media_type: str, turn: int) -> bytes:
        """Return a page of the open file `descriptor` as JPEG, and close the descriptor.

        number: of the page, from 1. turn: degrees clockwise, a multiple of 90.

        Raises:
            WebError: the page cannot be rendered.
        """
        path = self._folder / f"{job_id}-{number}-{turn}.jpg"
        try:
            if (found := await to_thread.run_sync(_read, path)) is not None:
                return found
            async with self._slots:
                picture = await _render(descriptor, number, media_type, turn)
        finally:
            os.close(descriptor)
        with contextlib.suppress(OSError):  # the disk is full, say: the next request renders the page again
            await to_thread.run_sync(self._keep, path, picture)
        return picture

    def _keep(self, path: Path, picture: bytes) -> None:
        durable.make_folder(self._folder, mode=0o700)
        pictures = sorted(self._folder.iterdir(), key=lambda each: each.stat().st_mtime)
        total = sum(each.stat().st_size for each in pictures) + len(picture)
        for old in pictures:
            if total <= _KEPT_BYTES:
                break
            total -= old.stat().st_size
            old.unlink(missing_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(picture)
        part.replace(path)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


async def _render(descriptor: int, number: int, media_type: str, turn: int) -> bytes:
    arguments = ["-P", "-m", "processors.pages.preview", str(number), media_type, str(turn)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        stdin=descriptor,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PYTHONPATH": str(_ROOT), "PATH": os.environ.get("PATH", ""), "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_SECONDS):
            picture = await _read_all(process.stdout)
            status = await process.wait()
    except TimeoutError:
        picture, status = b"", -1
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if status != 0 or len(picture) > _MAX_BYTES:
        raise WebError(422, "no_preview", "inboxd cannot show this page.", "Download the original.")
    return picture


async def _read_all(stream: asyncio.StreamReader) -> bytes:
    """Read the output of a process; stop once it exceeds `_MAX_BYTES`."""
    found = bytearray()
    while len(found) <= _MAX_BYTES and (chunk := await stream.read(1 << 18)):
        found += chunk
    return bytes(found)
