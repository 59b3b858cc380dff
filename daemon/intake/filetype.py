"""File types, identified by a file's first bytes: the signatures of images, sound and video, and the one function that
identifies a file. Text, containers and what inboxd does not process have modules of their own.

Decodes nothing: the processor refuses a file that only begins like an image or sound. Signatures are those of
https://en.wikipedia.org/wiki/List_of_file_signatures and of the magic files of file(1); where a format's own
specification says more (MPEG frames, ISO boxes, RIFF), it is named at the function that reads it.
"""

import codecs
import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from daemon.intake import audio_frames, containers, other_types, text_types
from daemon.intake.suffixes import BY_SUFFIX
from processors.contract import Kind

PROBE_BYTES = 64 * 1024
_PDF_HEADER_BYTES = 1024  # PDF 32000-1:2008, Annex H, implementation note 13


@dataclass(frozen=True, kw_only=True)
class Content:
    """The type of a file's content, as far as its first bytes show it."""

    kind: Kind | None  # None: not one of the kinds
    media_type: str  # "image/png"; "application/octet-stream" if not known, "application/x-empty" if empty


def sniff(path: Path, folder: int | None = None, *, name: str = "") -> Content:
    """Identify the content of `path` by its first 64 KiB; the name decides only where the bytes do not.

    folder: a descriptor of the folder that holds it, for a path that is not trusted.
    name: the name that it will have, if that is another one.

    Raises:
        OSError: it is gone, unreadable, a symbolic link (ELOOP) or not a regular file (EINVAL). Never waits for a FIFO.
    """
    suffix = Path(name or path.name).suffix
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    handle = os.open(path if folder is None else path.name, flags, dir_fd=folder)
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        probe = _read(handle, PROBE_BYTES)
        size_bytes = max(facts.st_size, len(probe))  # it may have grown since
        media_type = _media_type(probe, size_bytes, suffix)
        if media_type == containers.ZIP:
            media_type = containers.zip_type(handle, size_bytes)
        elif media_type == containers.OLE:
            media_type = containers.ole_type(handle, size_bytes)
    finally:
        os.close(handle)
    if not probe:
        return Content(kind=None, media_type="application/x-empty")
    if media_type == "text/plain" and suffix.lower() in _PAGES and text_types.has_markup(probe):
        media_type = text_types.WEB_PAGE
    media_type = media_type or BY_SUFFIX.get(suffix.lower(), "application/octet-stream")
    return Content(kind=_kind(media_type), media_type=media_type)


def _read(handle: int, limit: int) -> bytes:
    chunks = []
    while limit and (chunk := os.read(handle, limit)):
        chunks.append(chunk)
        limit -= len(chunk)
    return b"".join(chunks)


_PAGES = (".html", ".htm", ".xhtml")
_DOCUMENTS = {  # whose text is read
    *(text_types.MAIL, containers.DOCX, containers.XLSX, containers.XLSB, containers.PPTX, containers.ENCRYPTED_OFFICE),
    *("application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint", "application/vnd.ms-outlook"),
    *(f"application/vnd.oasis.opendocument.{part}" for part in ("text", "spreadsheet", "presentation")),
    "application/epub+zip",
}
_DRAWINGS = {  # pictures that `processors.pages` does not decode
    *("image/svg+xml", "image/vnd.adobe.photoshop", "image/x-xcf", "image/vnd.djvu", "image/vnd.dwg"),
    *("image/wmf", "image/emf"),
}


def _kind(media_type: str) -> Kind | None:
    if media_type in _DOCUMENTS:
        return Kind.TEXT
    if media_type in _DRAWINGS:
        return None
    match media_type.split("/")[0]:
        case "image":
            return Kind.IMAGE
        case "audio" | "video":
            return Kind.AUDIO
        case "text":
            return Kind.TEXT
    return Kind.IMAGE if media_type == "application/pdf" else None


def _media_type(probe: bytes, size_bytes: int, suffix: str) -> str | None:
    for signature, media_type in _SIGNATURES:
        if probe.startswith(signature):
            return media_type
    return (
        _riff(probe)
        or _iso_media(probe, size_bytes)
        or _bitmap(probe)
        or _matroska(probe)
        or _ogg(probe)
        or _windows_media(probe)
        or _tagged_audio(probe)
        or _pdf(probe, size_bytes)
        or text_types.known_text(probe)
        or _text(probe, size_bytes)
        or _lettered(probe)
        or _transport_stream(probe)
        or other_types.media_type(probe)
        or audio_frames.media_type(probe, 0, size_bytes)
        or ("text/plain" if suffix.lower() not in BY_SUFFIX and text_types.is_legacy(probe, suffix) else None)
    )


_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"II+\0", "image/tiff"),  # BigTIFF
    (b"MM\0+", "image/tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"\xff\x4f\xff\x51", "image/jp2"),  # JPEG 2000 without its container
    (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"caff\0", "audio/x-caf"),
    (b"#!AMR\n", "audio/amr"),
    (b"#!AMR-WB\n", "audio/amr-wb"),
    (b".snd\0", "audio/basic"),
    (b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb", "audio/x-w64"),  # Sony Wave64
    (b"FLV\x01", "video/x-flv"),
    (b"\0\0\x01\xba", "video/mpeg"),  # program stream
    (b"\0\0\x01\xb3", "video/mpeg"),  # MPEG-1 video alone
    (b"\0\0\0\0\x01\xbc", "video/x-gxf"),
    (b"Creative Voice File\x1a", "audio/x-voc"),
    (b"MP+\x07", "audio/x-musepack"),
    (b"MP+\x17", "audio/x-musepack"),
    (b"\x02dss", "audio/x-dss"),
    (b"\x03dss", "audio/x-dss"),
    (b".ra\xfd", "audio/x-realaudio"),
    (b"ea3\x03", "audio/x-oma"),
    (b"EA3\x01", "audio/x-oma"),
    (b"\x7f\xfe\x80\x01", "audio/x-dts"),  # in words of 16 bits, or of 14, in either order
    (b"\xfe\x7f\x01\x80", "audio/x-dts"),
    (b"\x1f\xff\xe8\x00", "audio/x-dts"),
    (b"\xff\x1f\x00\xe8", "audio/x-dts"),
    (b"nut/multimedia container\0", "video/x-nut"),
    (bytes.fromhex("060e2b34020501010d010201"), "video/x-mxf"),  # SMPTE ST 377-1, a partition pack's key
    (bytes.fromhex("b7d800203749da11a64e0007e95ead8d"), "video/x-wtv"),
)


def _riff(probe: bytes) -> str | None:
    """RIFF, its 64-bit forms (EBU Tech 3306) and AIFF's IFF: the form type stands at byte 8."""
    form = probe[8:12]
    match probe[:4]:
        case b"RIFF" | b"RIFX" | b"RF64" | b"BW64":
            return _RIFF_FORMS.get(form)
        case b"FORM":
            return {b"AIFF": "audio/aiff", b"AIFC": "audio/aiff", b"8SVX": "audio/8svx"}.get(form)
        case b"FRM8":  # DSDIFF 1.5, whose sizes have 64 bits
            return "audio/x-dff" if probe[12:16] == b"DSD " else None
    return None


_RIFF_FORMS = {
    b"WAVE": "audio/wav",
    b"WEBP": "image/webp",
    b"AVI ": "video/x-msvideo",
    b"AMV ": "video/x-amv",
    b"QLCM": "audio/qcelp",
    b"XWMA": "audio/x-xwma",
}

_HEIF_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"heim": "image/heic",
    b"heis": "image/heic",
    b"hevc": "image/heic",
    b"hevx": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
    b"mif2": "image/heif",
    b"crx ": "image/x-canon-cr3",
}
_FIRST_ATOMS = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}  # QuickTime files older than ftyp


def _iso_media(probe: bytes, size_bytes: int) -> str | None:
    """ISO/IEC 14496-12 boxes: size (32 bits, big-endian), type, and in `ftyp` the major and compatible brands."""
    box_bytes, box_type = int.from_bytes(probe[:4], "big"), probe[4:8]
    if box_type in _FIRST_ATOMS and (box_bytes in (0, 1) or 8 <= box_bytes <= size_bytes):
        return "video/quicktime"
    if box_type != b"ftyp" or len(probe) < 12:
        return None
    major = probe[8:12]
    brands = [major, *(probe[at : at + 4] for at in range(16, min(box_bytes, 512, len(probe)), 4))]
    # generic brands (mif1, msf1) come first in some files: the codec's own brand says more
    images = [_HEIF_BRANDS[brand] for brand in brands if brand in _HEIF_BRANDS]
    if major in _HEIF_BRANDS:
        return next((media_type for media_type in images if media_type != "image/heif"), "image/heif")
    if major in (b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "):
        return "audio/mp4"
    if major == b"qt  ":
        return "video/quicktime"
    return "video/3gpp" if major[:2] == b"3g" else "video/mp4"


_BITMAP_HEADER_BYTES = {12, 16, 40, 52, 56, 64, 108, 124}  # BITMAPCOREHEADER … BITMAPV5HEADER


def _bitmap(probe: bytes) -> str | None:
    """Two letters do not distinguish a BMP from text, so the size of its header must also be a known one."""
    if probe[:2] == b"BM" and int.from_bytes(probe[14:18], "little") in _BITMAP_HEADER_BYTES:
        return "image/bmp"
    return None


_CODEC_ID = re.compile(rb"\x86[\x80-\xff]([AV])_")  # element CodecID (0x86), a size of one byte, "A_OPUS", "V_VP9" …


def _matroska(probe: bytes) -> str | None:
    """RFC 9559: an EBML header with a DocType; `audio/` if all the tracks in the probe are sound."""
    if probe[:4] != b"\x1aE\xdf\xa3":
        return None
    form = "webm" if b"webm" in probe[:64] else "x-matroska"
    tracks = set(_CODEC_ID.findall(probe))
    return f"audio/{form}" if tracks == {b"A"} else f"video/{form}"


def _ogg(probe: bytes) -> str | None:
    """RFC 3533: the first page of each stream names its codec."""
    if probe[:5] != b"OggS\0":
        return None
    return "video/ogg" if b"\x80theora" in probe[:4096] else "audio/ogg"


_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")  # ASF specification, 10.1
_ASF_VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")  # 10.4, ASF_Video_Media


def _windows_media(probe: bytes) -> str | None:
    if not probe.startswith(_ASF_HEADER):
        return None
    return "video/x-ms-wmv" if _ASF_VIDEO in probe else "audio/x-ms-wma"


def _tagged_audio(probe: bytes) -> str | None:
    """An ID3v2 tag (id3.org, id3v2.4.0-structure, 3.1: 28-bit size) stands before MP3, and sometimes AAC or FLAC."""
    if probe[:3] != b"ID3" or len(probe) < 10 or probe[3] not in (2, 3, 4) or max(probe[6:10]) > 0x7F:
        return None
    tag_bytes = 10 + sum(byte << shift for byte, shift in zip(probe[6:10], (21, 14, 7, 0), strict=True))
    if probe[tag_bytes : tag_bytes + 4] == b"fLaC":
        return "audio/flac"
    return audio_frames.media_type(probe, tag_bytes, len(probe)) or "audio/mpeg"


_PDF_HEADER = re.compile(rb"%PDF-\d\.?\d")  # PDFium reads "%PDF-14", too
_PDF_OBJECT = re.compile(rb"^\d+ \d+ obj\b", re.MULTILINE)


def _pdf(probe: bytes, size_bytes: int) -> str | None:
    """Printer commands or mail headers may stand before the header; a text that only mentions PDF stays a text."""
    header = _PDF_HEADER.search(probe[:_PDF_HEADER_BYTES])
    if not header:
        return None
    before = probe[: header.start()].removeprefix(codecs.BOM_UTF8).strip()
    is_text = before and not _PDF_OBJECT.search(probe, header.end()) and _text(probe, size_bytes)
    return None if is_text else "application/pdf"


def _text(probe: bytes, size_bytes: int) -> str | None:
    return "text/plain" if text_types.is_utf(probe, size_bytes) else None


_LETTERS = (
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"fLaC", "audio/flac"),
    (b"wvpk", "audio/x-wavpack"),
    (b"TTA1", "audio/x-tta"),
    (b"TTA2", "audio/x-tta"),
    (b"MAC ", "audio/x-ape"),
    (b"MPCK", "audio/x-musepack"),
    (b"tBaK", "audio/x-tak"),
    (b"ajkg", "audio/x-shorten"),
    (b"qoaf", "audio/x-qoa"),
    (b"DSD ", "audio/x-dsf"),
    (b"DTSHDHDR", "audio/x-dts"),
    (b"#!iLBC", "audio/x-ilbc"),
    (b"NIST_1A", "audio/x-nist"),  # SPHERE
    (b".SoX", "audio/x-sox"),
    (b"XoS.", "audio/x-sox"),
    (b".RMF", "video/x-realmedia"),
    (b"DHAV", "video/x-dhav"),  # recorders of cameras
)


def _lettered(probe: bytes) -> str | None:
    """Signatures made of letters: checked after `_text`, as a text may begin with the same letters."""
    return next((media_type for signature, media_type in _LETTERS if probe.startswith(signature)), None)


def _transport_stream(probe: bytes) -> str | None:
    """ISO/IEC 13818-1: packets of 188 bytes that begin with 0x47; four more before each on Blu-ray, 16 after on air."""
    for first, packet_bytes in ((0, 188), (4, 192), (0, 204)):
        marks = probe[first : first + 5 * packet_bytes : packet_bytes]
        if len(marks) >= 3 and set(marks) == {0x47}:
            return "video/mp2t"
    return None
