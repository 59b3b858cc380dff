"""Bodies of requests: forms (multipart/form-data) and raw files, streamed to `uploads`."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from daemon.web.errors import WebError
from daemon.web.uploads import Receiver, Upload

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_MAX_FIELD_BYTES = 64 * 1024
_MAX_PARTS = 1000
_MAX_FILES = 200
_MAX_HEADER_BYTES = 8 * 1024


@dataclass(kw_only=True)
class Form:
    """The fields and files of a received form."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    files: list[tuple[str, Upload]] = field(default_factory=list)  # (name of the field, complete upload)

    def get(self, name: str, default: str = "") -> str:
        """The last value of the field `name`; `default` if the form does not have that field."""
        return self.fields.get(name, [default])[-1]


@asynccontextmanager
async def received_form(request: Request, receiver: Receiver, file_fields: Collection[str]) -> AsyncIterator[Form]:
    """Receive a form; at the end of the context, remove its files, except those that the daemon has taken.

    Raises:
        WebError: the body is not a form, is too large, was cut off, or has a file in a field that is not in
            `file_fields`.
    """
    async with receiver.slot():
        receiver.check_size(_content_length(request))
        form = Form()
        try:
            await _read(request, receiver, file_fields, form)
            for _, upload in form.files:
                await upload.finish()
            yield form
        finally:
            for _, upload in form.files:
                upload.discard()


@asynccontextmanager
async def received_body(request: Request, receiver: Receiver, name: str) -> AsyncIterator[Upload]:
    """Receive a raw body as one file; at the end of the context, remove the file, unless the daemon has taken it.

    Raises:
        WebError: the body is too large, or was cut off.
    """
    async with receiver.slot():
        receiver.check_size(_content_length(request))
        upload = receiver.create(name)
        try:
            await _append(request, upload)
            await upload.finish()
            yield upload
        finally:
            upload.discard()


async def receive_part(request: Request, receiver: Receiver, upload: Upload) -> None:
    """Append a raw body to an upload. If the connection breaks, the upload keeps the bytes that arrived before.

    Raises:
        WebError: the body or the upload is too large, or the body was cut off.
    """
    async with receiver.slot():
        receiver.check_size(_content_length(request))
        await _append(request, upload)


async def _append(request: Request, upload: Upload) -> None:
    async for chunk in _chunks(request):
        await upload.write(chunk)


def _content_length(request: Request) -> int | None:
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        raise WebError(400, "cut_off", "The connection broke before the end of the upload.") from error


async def _read(request: Request, receiver: Receiver, file_fields: Collection[str], form: Form) -> None:
    kind, parameters = parse_options_header(request.headers.get("content-type", ""))
    boundary = parameters.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 256:
        raise WebError(415, "not_a_form", "Send a form of the type multipart/form-data.")
    parts = _Parts(receiver, file_fields, form)
    parser = MultipartParser(boundary, parts.callbacks())
    try:
        async for chunk in _chunks(request):
            parser.write(chunk)
            await parts.write_pending()
        parser.finalize()
    except FormParserError as error:
        raise WebError(400, "bad_form", "The form is damaged.", "Send it again.") from error
    if not parts.is_complete:
        raise WebError(400, "cut_off", "The form is incomplete.", "Send it again.")


class _Parts:
    """Collects the parts of a form as the parser finds them; `write_pending` writes the received bytes of files."""

    def __init__(self, receiver: Receiver, file_fields: Collection[str], form: Form):
        self._receiver = receiver
        self._file_fields = file_fields
        self._form = form
        self._pending: list[tuple[Upload, bytes]] = []
        self._header = (bytearray(), bytearray())  # name and value
        self._headers: dict[bytes, bytes] = {}
        self._parts = 0
        self._name = ""
        self._upload: Upload | None = None
        self._value = bytearray()
        self.is_complete = False

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._add_header(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._add_header(1, data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": lambda data, start, end: self._add(data[start:end]),
            "on_part_end": self._end,
            "on_end": self._complete,
        }

    async def write_pending(self) -> None:
        pending, self._pending = self._pending, []
        for upload, data in pending:
            await upload.write(data)

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise WebError(413, "too_many_parts", f"The form has more than {_MAX_PARTS} parts.")
        self._headers, self._upload, self._value = {}, None, bytearray()

    def _add_header(self, at: int, data: bytes) -> None:
        self._header[at].extend(data)
        if len(self._header[at]) > _MAX_HEADER_BYTES:
            raise WebError(400, "bad_form", "A header in the form is too long.")

    def _end_header(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        name.clear()
        value.clear()

    def _end_headers(self) -> None:
        _, parameters = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = parameters.get(b"name", b"").decode(errors="replace")
        if not parameters.get(b"filename"):  # browsers send "" if nobody has chosen a file
            return
        if self._name not in self._file_fields:
            expected = ", ".join(sorted(self._file_fields))
            raise WebError(422, "unexpected_file", f"Unexpected file {self._name!r}.", f"Send it as {expected}.")
        if len(self._form.files) >= _MAX_FILES:
            raise WebError(413, "too_many_files", f"The form has more than {_MAX_FILES} files.")
        self._upload = self._receiver.create(parameters[b"filename"].decode(errors="replace"))
        self._form.files.append((self._name, self._upload))

    def _add(self, data: bytes) -> None:
        if self._upload is not None:
            self._pending.append((self._upload, data))
            return
        self._value += data
        if len(self._value) > _MAX_FIELD_BYTES:
            raise WebError(413, "field_too_long", f"The field {self._name!r} exceeds {_MAX_FIELD_BYTES} bytes.")

    def _end(self) -> None:
        if self._upload is None:
            self._form.fields.setdefault(self._name, []).append(self._value.decode(errors="replace"))

    def _complete(self) -> None:
        self.is_complete = True
