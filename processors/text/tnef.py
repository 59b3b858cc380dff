"""Messages in Outlook's own format (winmail.dat), converted to email messages: text, attachments and inner messages
(MS-OXTNEF). Pure."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.mime.base import MIMEBase
from email.mime.text import MIMEText

from processors.contract import BadInput
from processors.text.compressed_rtf import decompress
from processors.text.outlook import codec_of, make_part

SIGNATURE = b"\x78\x9f\x3e\x22"

_ATTRIBUTE = struct.Struct("<BII")  # level, identifier, length (2.1.3.1)
_CODE_PAGE, _SUBJECT, _BODY, _PROPERTIES = 0x00069007, 0x00018004, 0x0002800C, 0x00069003
_NEXT_ATTACHMENT, _TITLE, _DATA, _ATTACHMENT = 0x00069002, 0x00018010, 0x0006800F, 0x00069005
_SUBJECT_OF, _TEXT_OF, _RTF_OF, _HTML_OF = 0x0037, 0x1000, 0x1009, 0x1013  # properties (MS-OXPROPS)
_DATA_OF, _LONG_NAME, _SHORT_NAME, _NAME = 0x3701, 0x3707, 0x3704, 0x3001
_STRING, _UNICODE, _BINARY, _OBJECT = 0x001E, 0x001F, 0x0102, 0x000D  # types of properties (MS-OXCDATA, 2.11.1)
_SIZES = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 0x40: 8, 0x48: 16}  # of other types, padded
_MULTIPLE = 0x1000  # flag of a type: several values
_FIRST_NAMED = 0x8000  # identifier of properties with a name
_MESSAGE = bytes.fromhex("0703020000000000c000000000000046")  # IID_IMessage: the object is a message
_MAX_DEPTH = 5
_DAMAGED = "The attachment winmail.dat is damaged"


@dataclass
class _Attachment:
    title: str = ""
    data: bytes | None = None
    properties: dict[int, "str | bytes"] = field(default_factory=dict)


def to_mail(content: bytes, depth: int = 0) -> Message:
    """Convert a message: the parts of the result are its text and its attachments.

    Raises:
        BadInput: the message is damaged.
    """
    try:
        return _convert(content, depth)
    except (struct.error, ValueError, IndexError, LookupError) as error:
        raise BadInput(_DAMAGED) from error


def _convert(content: bytes, depth: int) -> Message:
    if not content.startswith(SIGNATURE):
        raise ValueError("no signature")
    codec, subject, body = "cp1252", "", ""
    properties: dict[int, str | bytes] = {}
    attachments: list[_Attachment] = []
    for identifier, data in _attributes(content):
        if identifier == _CODE_PAGE:
            codec = codec_of(struct.unpack_from("<I", data)[0]) or codec
        elif identifier == _SUBJECT:
            subject = _text(data, codec)
        elif identifier == _BODY:
            body = _text(data, codec)
        elif identifier == _PROPERTIES:
            properties |= _properties(data, codec)
        elif identifier == _NEXT_ATTACHMENT:
            attachments.append(_Attachment())
        elif attachments and identifier == _TITLE:
            attachments[-1].title = _text(data, codec)
        elif attachments and identifier == _DATA:
            attachments[-1].data = data
        elif attachments and identifier == _ATTACHMENT:
            attachments[-1].properties |= _properties(data, codec)
    mail = MIMEBase("multipart", "mixed")
    mail["Subject"] = str(properties.get(_SUBJECT_OF) or subject)
    for part in (*_bodies(properties, body, codec), *(_attached(each, depth) for each in attachments)):
        if part is not None:
            mail.attach(part)
    return mail


def _attributes(content: bytes) -> Iterator[tuple[int, bytes]]:
    at = len(SIGNATURE) + 2  # and a key
    while at + _ATTRIBUTE.size <= len(content):
        _, identifier, length = _ATTRIBUTE.unpack_from(content, at)
        start = at + _ATTRIBUTE.size
        if start + length > len(content):
            return  # cut off, or garbage at the end
        yield identifier, content[start : start + length]
        at = start + length + 2  # and a checksum


def _properties(data: bytes, codec: str) -> dict[int, str | bytes]:
    """The texts and binary values by their identifiers (2.1.3.3.7)."""
    found: dict[int, str | bytes] = {}
    (count,), at = struct.unpack_from("<I", data), 4
    for _ in range(count):
        kind, identifier = struct.unpack_from("<HH", data, at)
        at += 4
        if identifier >= _FIRST_NAMED:
            at = _after_name(data, at)
        base = kind & ~_MULTIPLE
        values = 1
        if kind & _MULTIPLE or base in (_STRING, _UNICODE, _BINARY, _OBJECT):
            (values,) = struct.unpack_from("<I", data, at)
            at += 4
        if base in _SIZES:
            at += values * _SIZES[base]
            continue
        if base not in (_STRING, _UNICODE, _BINARY, _OBJECT):
            raise ValueError(f"unknown type of a property: {kind:#x}")
        for _ in range(values):
            (length,) = struct.unpack_from("<I", data, at)
            value = data[at + 4 : at + 4 + length]
            at += 4 + length + -length % 4
            own = "utf-16-le" if base == _UNICODE else codec
            found.setdefault(identifier, value if base in (_BINARY, _OBJECT) else _text(value, own))
    return found


def _after_name(data: bytes, at: int) -> int:
    """The position after the name of a property: a GUID, and a number or a text."""
    kind, length = struct.unpack_from("<II", data, at + 16)
    return at + 24 if kind == 0 else at + 24 + length + -length % 4


def _text(data: bytes, codec: str) -> str:
    return data.decode(codec, "replace").replace("\0", "").strip()


def _bodies(properties: dict[int, str | bytes], body: str, codec: str) -> Iterator[Message]:
    """The text in one form: plain, as a web page, or as RTF."""
    plain, page, rtf = properties.get(_TEXT_OF) or body, properties.get(_HTML_OF), properties.get(_RTF_OF)
    if plain:
        yield MIMEText(str(plain), "plain", "utf-8")
    elif page:
        yield MIMEText(page if isinstance(page, str) else page.decode(codec, "replace"), "html", "utf-8")
    elif isinstance(rtf, bytes):
        yield make_part("text/rtf", decompress(rtf))


def _attached(attachment: _Attachment, depth: int) -> Message | None:
    properties = attachment.properties
    content = properties.get(_DATA_OF) or attachment.data
    if not isinstance(content, bytes):
        return None
    if content.startswith(_MESSAGE) and depth < _MAX_DEPTH:
        inner: Message = MIMEBase("message", "rfc822")
        inner.attach(_convert(content[len(_MESSAGE) :], depth + 1))
        return inner
    names = (properties.get(each) for each in (_LONG_NAME, _SHORT_NAME, _NAME))
    name = next((str(each) for each in names if each), attachment.title)
    part = make_part("application/octet-stream", content)
    part.add_header("Content-Disposition", "attachment", filename=name or "attachment")
    return part
