"""Sends an open file to a client: as an attachment that browsers must not interpret, and in ranges to players."""

import os
import re
from collections.abc import Mapping
from urllib.parse import quote

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_CHUNK_BYTES = 256 * 1024
_TYPES = {  # media types by suffix; all other files are sent as `_BYTES`
    ".beancount": "text/plain; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".ofx": "application/x-ofx",
    ".pdf": "application/pdf",
    ".qif": "application/x-qif",
    ".srt": "application/x-subrip; charset=utf-8",
    ".tsv": "text/tab-separated-values; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".vtt": "text/vtt; charset=utf-8",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_BYTES = "application/octet-stream"
_HEADERS = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-cache",  # browsers ask by ETag whether the file has changed
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
}


def type_of_output(name: str) -> str:
    return _TYPES.get(os.path.splitext(name)[1].lower(), _BYTES)  # noqa: PTH122


def type_of_original(media_type: str) -> str:
    """The media type to send for an original: that of images, sound and video is unchanged; SVG and all others are sent
    as bytes."""
    is_media = media_type.startswith(("image/", "audio/", "video/")) and "svg" not in media_type
    return media_type if is_media else _BYTES


class Download(Response):
    """A response that sends the open file `descriptor`, or the range that the request asks for, and closes it."""

    def __init__(self, request: Request, descriptor: int, *, name: str, media_type: str):
        facts = os.fstat(descriptor)
        self._descriptor = descriptor
        self._size = facts.st_size
        self.etag = f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'
        headers = {**_HEADERS, "Content-Disposition": attachment(name), "ETag": self.etag, "Content-Type": media_type}
        self._first, self._end, status = self._part(request.method, request.headers)
        if status == 206:
            headers["Content-Range"] = f"bytes {self._first}-{self._end - 1}/{self._size}"
        elif status == 416:
            headers["Content-Range"] = f"bytes */{self._size}"
        headers["Content-Length"] = str(self._end - self._first)
        if status in (304, 412):
            del headers["Content-Length"]
        super().__init__(None, status, headers)
        for name_, value in headers.items():
            self.headers[name_] = value

    def _part(self, method: str, headers: Mapping[str, str]) -> tuple[int, int, int]:
        """Offsets of the first byte and after the last byte to send, and the status (RFC 9110, 13.2.2 and 14)."""
        if not _names(headers.get("if-match", "*"), self.etag):
            return 0, 0, 412
        if _names(headers.get("if-none-match", ""), self.etag):
            return 0, 0, 304
        found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", headers.get("range", ""), re.ASCII)
        if method != "GET" or not found or found[0] == "bytes=-" or headers.get("if-range", self.etag) != self.etag:
            return 0, self._size, 200
        if found[1] and found[2] and int(found[1]) > int(found[2]):  # an invalid range is ignored
            return 0, self._size, 200
        if not found[1]:
            first, end = max(0, self._size - int(found[2])), self._size
        else:
            first = int(found[1])
            end = min(self._size, int(found[2]) + 1) if found[2] else self._size
        return (first, end, 206) if first < end else (0, 0, 416)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                await self._send_content(send)
            await send({"type": "http.response.body", "body": b""})
        finally:
            os.close(self._descriptor)

    async def _send_content(self, send: Send) -> None:
        at = self._first
        while at < self._end:
            data = await to_thread.run_sync(os.pread, self._descriptor, min(_CHUNK_BYTES, self._end - at), at)
            if not data:
                raise OSError("the file was truncated during the download")
            at += len(data)
            await send({"type": "http.response.body", "body": data, "more_body": True})


def _names(tags: str, etag: str) -> bool:
    """True if the list of entity tags in a header contains `etag`, or is "*"."""
    found = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
    return etag in found or found == ["*"]


def attachment(name: str) -> str:
    """A Content-Disposition header (RFC 6266) for a file name with any characters."""
    last = name.rsplit("/", 1)[-1]
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", last)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(last, safe='', errors='replace')}"
