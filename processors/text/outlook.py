"""Messages of Outlook (.msg), converted to email messages: headers, text, attachments and inner messages (MS-OXMSG).

Other items of Outlook, such as appointments, have fields of their own; the review says that they are missing.
olefile is imported on first use.
"""

import codecs
import email
import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.mime.base import MIMEBase
from email.mime.text import MIMEText
from email.utils import format_datetime
from typing import TYPE_CHECKING

from processors.contract import BadInput
from processors.text.compressed_rtf import decompress

if TYPE_CHECKING:
    from olefile import OleFileIO

Report = Callable[[str], None]

# Identifiers of properties (MS-OXPROPS)
_CLASS, _SUBJECT, _HEADERS, _SUBMITTED, _DELIVERED = 0x001A, 0x0037, 0x007D, 0x0039, 0x0E06
_SENDER, _SENDER_ADDRESS, _SENDER_SMTP = 0x0C1A, 0x0C1F, 0x5D01
_BODY, _RTF, _HTML = 0x1000, 0x1009, 0x1013
_DATA, _LONG_NAME, _SHORT_NAME, _NAME, _MIME_TYPE = 0x3701, 0x3707, 0x3704, 0x3001, 0x370E
_RECIPIENT_TYPE, _ADDRESS, _SMTP = 0x0C15, 0x3003, 0x39FE
_CODE_PAGES = (0x3FDE, 0x3FFD)  # of the text, of the message
_UNICODE, _STRING, _BINARY, _OBJECT = "001F", "001E", "0102", "000D"

_FIXED = "__properties_version1.0"
_RECIPIENT, _ATTACHMENT = "__recip_version1.0_#", "__attach_version1.0_#"
_ENTRY = struct.Struct("<HHIQ")  # type, identifier, flags, value (2.4.2.1)
_TOP_HEADER, _INNER_HEADER, _OTHER_HEADER = 32, 24, 8  # bytes before the entries (2.4.1)
_FIELDS = {1: "To", 2: "Cc", 3: "Bcc"}  # by type of the recipient (MS-OXOMSG, 2.2.3.1)
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)  # of a time, in units of 100 ns
_SIGNED = "multipart/signed"
_DAMAGED = "This message is damaged. Open it in Outlook, save it again and drop the new file."
_MAX_DEPTH = 5  # messages within messages


def to_mail(content: bytes, report: Report) -> Message:
    """Convert a message; report what it contains that an email message cannot.

    Raises:
        BadInput: it is damaged.
    """
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(content)) as opened:
            return _convert(_Storage(opened, (), _TOP_HEADER), report, depth=0)
    except (OSError, ValueError, IndexError, struct.error, RecursionError) as error:
        raise BadInput(_DAMAGED) from error


@dataclass(frozen=True)
class _Storage:
    """A message, a recipient or an attachment: a folder in the file."""

    opened: "OleFileIO"
    path: tuple[str, ...]
    header: int  # bytes before the entries of its fixed properties

    def children(self, beginning: str) -> Iterator["_Storage"]:
        depth = len(self.path)
        names = {
            entry[depth]
            for entry in self.opened.listdir(streams=False, storages=True)
            if len(entry) == depth + 1 and tuple(entry[:depth]) == self.path and entry[depth].startswith(beginning)
        }
        for name in sorted(names):
            yield _Storage(self.opened, (*self.path, name), _OTHER_HEADER)

    def inner(self) -> "_Storage | None":
        """The message within an attachment; None if the attachment is not one."""
        found = _Storage(self.opened, (*self.path, f"__substg1.0_{_DATA:04X}{_OBJECT}"), _INNER_HEADER)
        return found if found.stream(_FIXED) is not None else None

    def is_object(self) -> bool:
        return bool(self.opened.exists([*self.path, f"__substg1.0_{_DATA:04X}{_OBJECT}"]))

    def stream(self, name: str) -> bytes | None:
        path = [*self.path, name]
        if self.opened.get_type(path) != 2:  # STGTY_STREAM
            return None
        with self.opened.openstream(path) as opened:
            return bytes(opened.read())

    def binary(self, property_: int) -> bytes | None:
        return self.stream(f"__substg1.0_{property_:04X}{_BINARY}")

    def text(self, *properties: int) -> str:
        """The first of these properties that is not empty."""
        for each in properties:
            if wide := self.stream(f"__substg1.0_{each:04X}{_UNICODE}"):
                found = wide.decode("utf-16-le", "replace")
            else:
                narrow = self.stream(f"__substg1.0_{each:04X}{_STRING}") or b""
                found = narrow.decode(self.codec(), "replace")
            if found := found.replace("\0", "").strip():
                return found
        return ""

    def fixed(self, property_: int) -> int | None:
        """A property that is a number or a time."""
        content = self.stream(_FIXED) or b""
        for at in range(self.header, len(content) - _ENTRY.size + 1, _ENTRY.size):
            kind, identifier, _, value = _ENTRY.unpack_from(content, at)
            if identifier == property_:
                return int(value & 0xFFFFFFFF if kind == 3 else value)  # PtypInteger32
        return None

    def codec(self) -> str:
        """The encoding of texts that are not Unicode."""
        top = _Storage(self.opened, (), _TOP_HEADER)
        pages = (storage.fixed(number) for storage in (self, top) for number in _CODE_PAGES)
        return next((name for page in pages if page and (name := codec_of(page))), "cp1252")


def codec_of(code_page: int) -> str:
    name = {65001: "utf-8", 20127: "cp1252", 1200: "utf-16-le"}.get(code_page, f"cp{code_page}")
    if 28590 < code_page <= 28605:
        name = f"iso8859-{code_page - 28590}"
    try:
        return codecs.lookup(name).name
    except LookupError:
        return ""


def _convert(message: _Storage, report: Report, depth: int) -> Message:
    mail = MIMEBase("multipart", "mixed")
    kind = message.text(_CLASS)
    if kind and not kind.startswith(("IPM.Note", "REPORT.")):
        report(f"Outlook calls this item {kind}: only its subject, people, text and attachments were read.")
    for name, value in _headers(message):
        if value:
            mail[name] = value
    attached = [part for each in message.children(_ATTACHMENT) if (part := _attached(each, report, depth))]
    for part in (*_body(message), *attached):
        mail.attach(part)
    return mail


def _headers(message: _Storage) -> Iterator[tuple[str, str]]:
    sent = email.message_from_string(message.text(_HEADERS))
    yield "Subject", message.text(_SUBJECT)
    address = message.text(_SENDER_SMTP, _SENDER_ADDRESS)
    yield "From", _person(message.text(_SENDER), address) or str(sent.get("From", ""))
    people: dict[str, list[str]] = {name: [] for name in _FIELDS.values()}
    for each in message.children(_RECIPIENT):
        field = _FIELDS.get((each.fixed(_RECIPIENT_TYPE) or 1) & 0xF, "To")
        people[field].append(_person(each.text(_NAME), each.text(_SMTP, _ADDRESS)))
    yield from ((name, ", ".join(persons)) for name, persons in people.items())
    time = message.fixed(_SUBMITTED) or message.fixed(_DELIVERED)
    yield "Date", str(sent.get("Date", "")) or (_date(time) if time else "")
    yield "Reply-To", str(sent.get("Reply-To", ""))


def _person(name: str, address: str) -> str:
    name = name.strip("'\"")
    if "@" not in address:  # an address of Exchange
        return name
    return address if name in ("", address) else f"{name} <{address}>"


def _date(time: int) -> str:
    try:
        return format_datetime(_EPOCH + timedelta(microseconds=time // 10))
    except OverflowError:
        return ""


def _body(message: _Storage) -> Iterator[Message]:
    """The text as Outlook has it: plain and as a web page, or as RTF if that is all."""
    html = message.binary(_HTML)
    page = html.decode(message.codec(), "replace") if html else message.text(_HTML)
    plain = message.text(_BODY)
    if plain and page:
        both = MIMEBase("multipart", "alternative")
        both.attach(MIMEText(plain, "plain", "utf-8"))
        both.attach(MIMEText(page, "html", "utf-8"))
        yield both
    elif plain or page:
        yield MIMEText(plain or page, "plain" if plain else "html", "utf-8")
    elif rtf := message.binary(_RTF):
        yield make_part("text/rtf", decompress(rtf))


def _attached(attachment: _Storage, report: Report, depth: int) -> Message | None:
    name = attachment.text(_LONG_NAME, _SHORT_NAME, _NAME)
    inner, content = attachment.inner(), attachment.binary(_DATA)
    if inner is not None and depth < _MAX_DEPTH:
        part: Message = MIMEBase("message", "rfc822")
        part.attach(_convert(inner, report, depth + 1))
        return part
    kind = attachment.text(_MIME_TYPE).lower()
    if content is not None and kind == _SIGNED:  # the complete message as it was sent (MS-OXOSMIME, 2.1.2)
        return email.message_from_bytes(content)
    if content is not None:
        is_file = kind.count("/") == 1 and not kind.startswith(("multipart/", "message/"))
        part = make_part(kind if is_file else "application/octet-stream", content)
        part.add_header("Content-Disposition", "attachment", filename=name or "attachment")
        return part
    if attachment.is_object():
        report(f"An object in the message was not read: {name or 'unnamed'}. Export the message as PDF and drop that.")
    else:
        report(f"A file to which the message only links was not read: {name or 'unnamed'}.")
    return None


def make_part(media_type: str, content: bytes) -> Message:
    part = MIMEBase(*media_type.split("/"))
    part.set_payload(content)
    part["Content-Transfer-Encoding"] = "binary"
    return part
