"""Streams uploads into files in `inbox/.incoming`, from which the daemon takes a complete file (command `submit`).

Only the daemon's user may enter that folder. An upload that is cut off is removed, unless its sender named it in order
to continue it. The buffers of all uploads together take at most a few MiB of memory. The file is on the inbox's disk,
so the daemon renames it instead of copying it.
"""

import asyncio
import contextlib
import errno
import os
import stat
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from anyio import to_thread

from daemon.config.settings import Settings
from daemon.core import durable
from daemon.core.names import NAME_MAX, is_job_id, printable
from daemon.files import safe_folders
from daemon.web.errors import WebError

INCOMING = ".incoming"
MAX_UPLOADS = 64  # at once
_BUFFER_BYTES = 256 << 10  # collected before a write
_LEAST_BUFFER_BYTES, _ALL_BUFFERS_BYTES = 32 << 10, 4 << 20  # limits with many uploads: of each, of all together
_CHECK_BYTES = 8 << 20  # of an upload between checks of the free space; for MAX_UPLOADS, less than keep_free (1 GB)
_NAME_BYTES = 200  # of a file name: leaves room for a number and the suffix of a sidecar


class Receiver:
    """Creates the files of uploads, within the limits of [web]."""

    def __init__(self, settings: Settings):
        self.folder = settings.inbox / INCOMING
        self.max_bytes = settings.web.upload_max
        self._keep_free = settings.web.keep_free
        self._slots = asyncio.Semaphore(MAX_UPLOADS)
        self._resumed: set[str] = set()  # ids of resumable uploads that a request is writing now
        self.open_uploads = 0

    @property
    def buffer_bytes(self) -> int:
        """The number of bytes that an upload collects before it writes them."""
        return max(_LEAST_BUFFER_BYTES, min(_BUFFER_BYTES, _ALL_BUFFERS_BYTES // max(1, self.open_uploads)))

    def prepare(self) -> None:
        """Create the folder .incoming, if the daemon has not done so yet.

        Raises:
            WebError: the inbox is missing or not writable, or .incoming is not a folder of this user.
        """
        try:
            safe_folders.make_private(self.folder)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            what = f"The folder {INCOMING} of the inbox cannot be used: {error.strerror}."
            raise WebError(503, "no_inbox", what, "See `inboxd doctor`.", {"Retry-After": "10"}) from error

    def check_size(self, size_bytes: int | None) -> None:
        """Refuse a request of `size_bytes` (None: unknown) before its body is read.

        Raises:
            WebError: the request is too large (413), or would leave less than `[web] keep_free` on the disk (507).
        """
        if size_bytes is not None and size_bytes > self.max_bytes:
            raise _too_large(self.max_bytes)
        self.prepare()
        disk = os.statvfs(self.folder)
        if disk.f_bavail * disk.f_frsize < self._keep_free + (size_bytes or 0):
            raise WebError(
                507, "disk_full", "There is not enough free space for this upload.", "Free some space, then try again."
            )

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Count the context as one of the `MAX_UPLOADS` requests that may send content at the same time.

        Raises:
            WebError: that many are in progress.
        """
        if self._slots.locked():
            raise WebError(
                503, "too_many_uploads", f"{MAX_UPLOADS} uploads are in progress.", "Try again.", {"Retry-After": "5"}
            )
        async with self._slots:
            yield

    def create(self, name: str) -> "Upload":
        """Create an empty upload for a file that its sender calls `name`."""
        return Upload(self, clean_name(name), str(uuid.uuid4()))

    @contextlib.contextmanager
    def resumed(self, name: str, upload_id: str) -> Iterator["Upload"]:
        """Open the upload that its sender has given the UUID `upload_id`, to continue it; create it if it is new.

        The file stays after the context, so that the sender can continue it again if it is cut off.

        Raises:
            WebError: `upload_id` is not a UUID, or another request is writing the same upload.
        """
        if not is_job_id(upload_id):
            raise WebError(400, "bad_parameter", f"upload={upload_id[:100]!r} is not a UUID.")
        if upload_id in self._resumed:
            raise WebError(409, "upload_busy", "Another request is writing this upload.", "Wait until it has ended.")
        self._resumed.add(upload_id)
        upload = None
        try:
            self.prepare()
            upload = Upload(self, clean_name(name), upload_id)
            yield upload
        finally:
            self._resumed.discard(upload_id)
            if upload is not None:
                upload.close()

    def size_of(self, upload_id: str) -> int | None:
        """The number of bytes of an upload that have arrived; None: there is no such upload."""
        if not is_job_id(upload_id):
            return None
        try:
            facts = (self.folder / upload_id).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return facts.st_size if stat.S_ISREG(facts.st_mode) else None


class Upload:
    """One file that is being uploaded. `discard` removes it, unless the daemon has taken it."""

    def __init__(self, receiver: Receiver, name: str, upload_id: str):
        self.name = name  # printable, without a folder
        self.id = upload_id  # also the id of its job
        self.path = receiver.folder / upload_id
        self._receiver = receiver
        self._buffer = bytearray()
        self._unchecked = 0  # bytes written since the last check of the free space
        with safe_folders.opened(receiver.folder.parent, receiver.folder) as folder:  # never follows a symbolic link
            self._descriptor = _open(upload_id, folder)
        receiver.open_uploads += 1
        self.size_bytes = os.fstat(self._descriptor).st_size

    async def write(self, data: bytes) -> None:
        """Append `data`.

        Raises:
            WebError: the upload is too large (413), or the disk is nearly full (507).
            OSError: the file cannot be written.
        """
        self._buffer += data
        self.size_bytes += len(data)
        if self.size_bytes > self._receiver.max_bytes:
            raise _too_large(self._receiver.max_bytes)
        if len(self._buffer) >= self._receiver.buffer_bytes:
            await self._flush()

    async def finish(self) -> Path:
        """Make the file durable, and return its path."""
        await self._flush()
        descriptor = self._take_descriptor()
        await to_thread.run_sync(durable.fsync_and_close, descriptor)
        return self.path

    def discard(self) -> None:
        """Close and remove the file; do nothing if the daemon has taken it."""
        self._buffer.clear()
        self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Write the bytes in the buffer, and close the file; it stays in .incoming."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                _write_all(self._descriptor, self._buffer)
            self._buffer.clear()
            os.close(self._take_descriptor())

    def _take_descriptor(self) -> int:
        self._receiver.open_uploads -= 1
        descriptor, self._descriptor = self._descriptor, -1
        return descriptor

    async def _flush(self) -> None:
        data, self._buffer = self._buffer, bytearray()
        self._unchecked += len(data)
        if self._unchecked >= _CHECK_BYTES:
            self._unchecked = 0
            self._receiver.check_size(None)
        if data:
            await to_thread.run_sync(_write_all, self._descriptor, data)


def _open(upload_id: str, folder: int) -> int:
    """Open the file of an upload to append to it, or create it; `folder`: the descriptor of .incoming.

    Raises:
        WebError: the name belongs to a folder, a symbolic link, a pipe, or a file with several hard links.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(upload_id, flags, 0o640, dir_fd=folder)  # the mode of a result
        facts = os.fstat(descriptor)
        if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1:
            return descriptor
        os.close(descriptor)
    except OSError as error:
        if error.errno not in (errno.EISDIR, errno.ELOOP, errno.ENXIO):
            raise
    raise WebError(409, "not_an_upload", f"{INCOMING}/{upload_id} is not an upload.", "Choose another UUID.")


def _write_all(descriptor: int, data: bytes | bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def clean_name(name: str) -> str:
    """Turn a sender's name for a file into a valid name in the inbox: printable, not hidden, at most 200 bytes, and
    without a folder. An empty name becomes "upload".
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1].strip().lstrip(".").strip()
    last = printable(last) if last else ""
    if len(os.fsencode(last)) > _NAME_BYTES:
        stem, dot, suffix = last.rpartition(".")
        suffix = f"{dot}{suffix}" if stem and len(os.fsencode(suffix)) < NAME_MAX // 8 else ""
        room = _NAME_BYTES - len(os.fsencode(suffix))
        last = (stem if suffix else last).encode()[:room].decode(errors="ignore") + suffix
    return last or "upload"


def _too_large(limit: int) -> WebError:
    return WebError(
        413,
        "too_large",
        f"The upload is larger than {limit} bytes.",
        "Put the file into the inbox folder, or raise [web] upload_max in config.toml.",
    )
