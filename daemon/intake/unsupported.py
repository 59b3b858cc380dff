"""Explains why a file has no recipe, and what its owner can do. Uses the type of the content, not the name. Pure."""

from dataclasses import dataclass

from daemon.config.toml import key_literal
from daemon.intake import containers
from processors.contract import Kind

EMPTY = "application/x-empty"
_AS_PDF = "Export it as PDF and drop that."
_UNPACK = "Unpack it and drop the files in it."
_CONVERT = "Convert it to PDF, PNG or JPEG and drop that."
_DECRYPT = "Decrypt it and drop the file in it."
_NOTHING = "inboxd has nothing to read in it."
_ITSELF = "It only points to another file: drop that file."


@dataclass(frozen=True, kw_only=True)
class _Type:
    what: str  # the type, with its article: "a ZIP archive"
    advice: str


def _types(advice: str, **names: str) -> dict[str, _Type]:
    return {media_type: _Type(what=what, advice=advice) for media_type, what in names.items()}


_TYPES = {
    **_types(
        _AS_PDF,
        **{
            containers.DOCX: "a Word document",
            "application/msword": "a Word document",
            containers.XLSX: "an Excel workbook",
            containers.XLSB: "an Excel workbook",
            "application/vnd.ms-excel": "an Excel workbook",
            containers.PPTX: "a PowerPoint presentation",
            "application/vnd.ms-powerpoint": "a PowerPoint presentation",
            "application/vnd.oasis.opendocument.text": "an OpenDocument text",
            "application/vnd.oasis.opendocument.spreadsheet": "an OpenDocument spreadsheet",
            "application/vnd.oasis.opendocument.presentation": "an OpenDocument presentation",
            "application/vnd.oasis.opendocument.graphics": "an OpenDocument drawing",
            "application/vnd.oasis.opendocument.formula": "an OpenDocument formula",
            "application/vnd.apple.iwork": "a Pages, Numbers or Keynote document",
            "application/vnd.ms-visio.drawing": "a Visio drawing",
            "application/x-mspublisher": "a Publisher document",
            "application/onenote": "a OneNote section",
            "application/vnd.wordperfect": "a WordPerfect document",
            "application/oxps": "an XPS document",
            "application/postscript": "a PostScript file",
            "application/epub+zip": "an e-book (EPUB)",
            "application/x-mobipocket-ebook": "an e-book (Kindle)",
            "application/vnd.ms-htmlhelp": "a Windows help file",
            "text/rtf": "an RTF document",
            "text/html": "a web page",
            "message/rfc822": "an email message",
            "application/vnd.ms-outlook": "an Outlook email message, or another Outlook item",
            containers.OLE: "a document of an old Office version, or another OLE file",
            "application/x-bplist": "a property list or a web archive of macOS",
        },
    ),
    **_types(
        "Save it without its password and drop it again.",
        **{containers.ENCRYPTED_OFFICE: "a password-protected Office document"},
    ),
    **_types(
        "Export the messages in it and drop those.",
        **{
            "application/mbox": "a mailbox with several messages",
            "application/vnd.ms-outlook-pst": "an Outlook mailbox",
        },
    ),
    **_types(
        "Save the message that it came with as .eml or .msg and drop that.",
        **{"application/vnd.ms-tnef": "an Outlook attachment (winmail.dat)"},
    ),
    **_types(
        _CONVERT,
        **{
            "image/svg+xml": "a vector drawing (SVG)",
            "image/wmf": "a vector drawing (WMF)",
            "image/emf": "a vector drawing (EMF)",
            "image/vnd.adobe.photoshop": "a Photoshop image",
            "image/x-xcf": "a GIMP image",
            "image/vnd.djvu": "a DjVu document",
            "image/vnd.dwg": "an AutoCAD drawing",
            "application/dicom": "a medical image (DICOM)",
        },
    ),
    **_types(
        _UNPACK,
        **{
            containers.ZIP: "a ZIP archive",
            "application/x-7z-compressed": "a 7z archive",
            "application/vnd.rar": "a RAR archive",
            "application/x-tar": "a tar archive",
            "application/gzip": "a gzip archive",
            "application/x-bzip2": "a bzip2 archive",
            "application/x-xz": "an xz archive",
            "application/zstd": "a Zstandard archive",
            "application/x-lz4": "an LZ4 archive",
            "application/x-lzip": "an lzip archive",
            "application/x-compress": "a compressed file (.Z)",
            "application/vnd.ms-cab-compressed": "a cabinet archive",
            "application/x-archive": "an ar archive or a Debian package",
            "application/x-rpm": "an RPM package",
            "application/x-xar": "a xar archive or a macOS package",
            "application/x-disk-image": "a disk image",
        },
    ),
    **_types(
        _NOTHING,
        **{
            "application/x-msdownload": "a program for Windows",
            "application/x-executable": "a program",
            "application/java-archive": "a Java program",
            "application/vnd.android.package-archive": "an Android app",
            "application/vnd.sqlite3": "an SQLite database",
            "application/x-msaccess": "an Access database",
            "application/vnd.apache.parquet": "a Parquet file",
            "application/x-hdf5": "an HDF5 file",
            "application/x-numpy": "a NumPy array",
            "application/vnd.google-earth.kmz": "a map file (KMZ)",
            "application/x-bittorrent": "a torrent file",
            "font/otf": "a font",
            "font/ttf": "a font",
            "font/woff": "a font",
            "font/woff2": "a font",
        },
    ),
    **_types(_DECRYPT, **{"application/pgp-encrypted": "an encrypted message (PGP)"}),
    **_types(_DECRYPT, **{"application/x-encrypted": "an encrypted file"}),
    **_types(
        _ITSELF,
        **{
            "application/x-ms-shortcut": "a shortcut",
            "application/x-mswinurl": "a shortcut",
            "application/x-desktop": "a shortcut",
            "application/x-git-lfs": "a Git LFS pointer",
        },
    ),
}
_UNKNOWN = (
    "inboxd does not know this type of file, or the file is damaged at its beginning. Check that it opens on your "
    "computer, then export it as PDF and drop the PDF."
)
_RECIPES = {Kind.IMAGE: "read", Kind.AUDIO: "transcribe", Kind.TEXT: "text"}  # the usual recipe for each kind
_OF_KIND = {Kind.IMAGE: "an image or PDF file", Kind.AUDIO: "an audio or video file", Kind.TEXT: "a text"}


def explain(kind: Kind | None, media_type: str, *, size_bytes: int, folder: str) -> str:
    """The reason why no recipe applies to a file. folder: that of the file, relative to the inbox; "" is the top."""
    if size_bytes == 0 or media_type == EMPTY:
        return "The file is empty (0 bytes). Drop it again once it has content."
    found = _TYPES.get(media_type)
    if kind is None:
        return f"This is {found.what}. {found.advice}" if found else _UNKNOWN
    what = found.what if found else f"{_OF_KIND[kind]} ({media_type})"
    table = f"[inbox.folders.{key_literal(folder)}]" if folder else "[inbox]"
    advice = f"{found.advice.removesuffix('.')}, or assign" if found else "Assign"
    return (
        f"This is {what}, and this folder has no recipe for the kind {kind}. "
        f'{advice} a recipe in config.toml ({table} {kind} = "{_RECIPES[kind]}"), run `inboxd reload`, '
        "and drop the file again."
    )
