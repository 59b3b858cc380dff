"""Identifies the contents of a ZIP archive or an OLE compound file: a document of an office program, or other files.

Reads the directories of these containers only, at most `_DIRECTORY_BYTES` of them, and decompresses nothing but the
first bytes of an entry "mimetype".

ZIP: PKWARE's APPNOTE.TXT, 4.3. OLE: [MS-CFB]. Which streams make an Office document: [MS-DOC], [MS-XLS], [MS-PPT],
[MS-OXMSG], and [MS-OFFCRYPTO] for encrypted ones.
"""

import contextlib
import os
import struct
import zlib
from collections.abc import Iterator

ZIP, OLE = "application/zip", "application/x-ole-storage"
ENCRYPTED_OFFICE = "application/x-encrypted-office"
_OPEN_XML = "application/vnd.openxmlformats-officedocument"
DOCX, XLSX, PPTX = (
    f"{_OPEN_XML}.{part}"
    for part in ("wordprocessingml.document", "spreadsheetml.sheet", "presentationml.presentation")
)
XLSB = "application/vnd.ms-excel.sheet.binary.macroenabled.12"

_DIRECTORY_BYTES = 1024 * 1024
_MAX_ENTRIES = 8192
_TAIL_BYTES = 22 + 65_535  # the end of central directory record, and the longest comment after it (4.3.16)
_DEFLATED = 8  # compression method (4.4.5)
_LOCAL_BYTES = 64 * 1024  # searched for entries if the archive was cut off before its central directory


def zip_type(handle: int, size_bytes: int) -> str:
    """The media type of a ZIP archive by the names in it; `application/zip` if it is no known document."""
    if (declared := _declared_type(os.pread(handle, 256, 0))) is not None:
        return declared
    names = set(_central_names(handle, size_bytes)) or set(_local_names(os.pread(handle, _LOCAL_BYTES, 0)))
    found = (media_type for name, media_type in _BY_ENTRY.items() if name in names)
    return next(found, None) or _by_folder(names) or ZIP


_BY_ENTRY = {
    "word/document.xml": DOCX,
    "xl/workbook.xml": XLSX,
    "xl/workbook.bin": XLSB,
    "ppt/presentation.xml": PPTX,
    "visio/document.xml": "application/vnd.ms-visio.drawing",
    "FixedDocSeq.fdseq": "application/oxps",
    "FixedDocumentSequence.fdseq": "application/oxps",
    "Index/Document.iwa": "application/vnd.apple.iwork",
    "Index.zip": "application/vnd.apple.iwork",
    "index.apxl": "application/vnd.apple.iwork",
    "AndroidManifest.xml": "application/vnd.android.package-archive",
    "META-INF/container.xml": "application/epub+zip",
    "doc.kml": "application/vnd.google-earth.kmz",
    "META-INF/MANIFEST.MF": "application/java-archive",
}


def _by_folder(names: set[str]) -> str | None:
    """Some programs number the main part: word/document2.xml."""
    if "[Content_Types].xml" not in names:
        return None
    folders = {name.partition("/")[0] for name in names}
    return next(
        (media_type for folder, media_type in (("word", DOCX), ("xl", XLSX), ("ppt", PPTX)) if folder in folders), None
    )


def _declared_type(head: bytes) -> str | None:
    """The content of the entry "mimetype", if that is the first entry (OpenDocument 1.3, 2-3.3; EPUB OCF 3.3, 4.3)."""
    if head[30:38] != b"mimetype":
        return None
    name_bytes, extra_bytes = struct.unpack_from("<HH", head, 26)
    length = struct.unpack_from("<I", head, 18)[0]
    start = 30 + name_bytes + extra_bytes
    declared = head[start : start + min(length or 100, 100)]
    if struct.unpack_from("<H", head, 8)[0] == _DEFLATED:
        with contextlib.suppress(zlib.error):
            declared = zlib.decompressobj(-zlib.MAX_WBITS).decompress(declared, 100)
    declared = declared.partition(b"PK")[0].strip()
    if name_bytes != 8 or not declared.isascii() or not declared.startswith(b"application/"):
        return None
    return declared.decode("ascii").removesuffix("-template")


def _central_names(handle: int, size_bytes: int) -> Iterator[str]:
    """The names in the central directory; none if there is no complete one."""
    tail = os.pread(handle, _TAIL_BYTES, max(0, size_bytes - _TAIL_BYTES))
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + 22:
        return
    count, length, start = struct.unpack_from("<HII", tail, at + 10)
    directory = os.pread(handle, min(length, _DIRECTORY_BYTES), start)
    at = 0
    for _ in range(min(count, _MAX_ENTRIES)):
        if directory[at : at + 4] != b"PK\1\2" or at + 46 > len(directory):
            return
        name_bytes, extra_bytes, comment_bytes = struct.unpack_from("<HHH", directory, at + 28)
        yield directory[at + 46 : at + 46 + name_bytes].decode("utf-8", "replace").replace("\\", "/")
        at += 46 + name_bytes + extra_bytes + comment_bytes


def _local_names(head: bytes) -> Iterator[str]:
    at = 0
    while (at := head.find(b"PK\3\4", at)) >= 0 and at + 30 <= len(head):
        name_bytes = struct.unpack_from("<H", head, at + 26)[0]
        yield head[at + 30 : at + 30 + name_bytes].decode("utf-8", "replace").replace("\\", "/")
        at += 30 + name_bytes


# ---------------------------------------------------------------------------------------------- OLE

_BY_STREAM = {
    "EncryptedPackage": ENCRYPTED_OFFICE,
    "WordDocument": "application/msword",
    "PowerPoint Document": "application/vnd.ms-powerpoint",
    "Workbook": "application/vnd.ms-excel",
    "Book": "application/vnd.ms-excel",
    "__properties_version1.0": "application/vnd.ms-outlook",
    "VisioDocument": "application/vnd.ms-visio.drawing",
    "Quill": "application/x-mspublisher",
}
_MAX_SECTORS = 256  # of the directory: at least 1,024 entries
_LAST_SECTOR = 0xFFFFFFFA  # 2.2: what is not less is no sector


def ole_type(handle: int, size_bytes: int) -> str:
    """The media type of an OLE compound file by the streams in it; the general type of OLE files if none is known."""
    names = set(_stream_names(handle, size_bytes))
    return next((media_type for name, media_type in _BY_STREAM.items() if name in names), OLE)


def _stream_names(handle: int, size_bytes: int) -> Iterator[str]:
    """Yield the names in the directory, up to the first damage."""
    header = os.pread(handle, 512, 0)
    if len(header) < 512:
        return
    shift = struct.unpack_from("<H", header, 30)[0]
    if shift not in (9, 12):
        return
    size = 1 << shift
    tables = struct.unpack_from("<109I", header, 76)  # the sectors of the FAT that the header lists
    sector = struct.unpack_from("<I", header, 48)[0]
    for _ in range(_MAX_SECTORS):
        place = (sector + 1) * size
        if sector >= _LAST_SECTOR or place >= size_bytes:
            return
        entries = os.pread(handle, size, place)
        for at in range(0, len(entries) - 127, 128):
            name_bytes = min(64, struct.unpack_from("<H", entries, at + 64)[0])
            yield entries[at : at + max(0, name_bytes - 2)].decode("utf-16-le", "replace")
        table, index = divmod(sector, size // 4)
        if table >= len(tables) or tables[table] >= _LAST_SECTOR:
            return
        following = os.pread(handle, 4, (tables[table] + 1) * size + 4 * index)
        if len(following) < 4:
            return
        sector = struct.unpack("<I", following)[0]
