"""Signatures of files that are neither images, sound nor text: archives, programs, databases. Pure.

The sources are those of `media_signatures`.
"""

_SIGNATURES = (
    (b"PK\3\4", "application/zip"),
    (b"PK\5\6", "application/zip"),  # empty
    (b"PK\7\x08PK\3\4", "application/zip"),  # one part of several
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\0", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"\x04\x22\x4d\x18", "application/x-lz4"),
    (b"LZIP", "application/x-lzip"),
    (b"\x1f\x9d", "application/x-compress"),
    (b"\x1f\xa0", "application/x-compress"),
    (b"MSCF\0\0\0\0", "application/vnd.ms-cab-compressed"),
    (b"!<arch>\n", "application/x-archive"),
    (b"\xed\xab\xee\xdb", "application/x-rpm"),
    (b"xar!", "application/x-xar"),
    (b"MZ", "application/x-msdownload"),
    (b"\x7fELF", "application/x-executable"),
    (b"\xca\xfe\xba\xbe", "application/x-executable"),  # Java classes, Mach-O for several processors
    (b"\xfe\xed\xfa\xce", "application/x-executable"),  # Mach-O
    (b"\xfe\xed\xfa\xcf", "application/x-executable"),
    (b"\xce\xfa\xed\xfe", "application/x-executable"),
    (b"\xcf\xfa\xed\xfe", "application/x-executable"),
    (b"\0asm", "application/x-executable"),
    (b"dex\n", "application/x-executable"),
    (b"L\0\0\0\x01\x14\x02\0", "application/x-ms-shortcut"),
    (b"book\0\0\0\0mark\0\0\0\0", "application/x-ms-shortcut"),  # an alias of macOS
    (b"SQLite format 3\0", "application/vnd.sqlite3"),
    (b"\0\x01\0\0Standard ", "application/x-msaccess"),
    (b"!BDN", "application/vnd.ms-outlook-pst"),
    (b"\x78\x9f\x3e\x22", "application/vnd.ms-tnef"),
    (b"8BPS", "image/vnd.adobe.photoshop"),
    (b"gimp xcf", "image/x-xcf"),
    (b"AT&TFORM", "image/vnd.djvu"),
    (b"\xc5\xd0\xd3\xc6", "application/postscript"),  # EPS with a preview
    (b"AC10", "image/vnd.dwg"),
    (b"\xd7\xcd\xc6\x9a", "image/wmf"),
    (b"\xffWPC", "application/vnd.wordperfect"),
    (b"ITSF", "application/vnd.ms-htmlhelp"),
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", "application/onenote"),
    (b"bplist00", "application/x-bplist"),
    (b"OTTO\0", "font/otf"),
    (b"\0\x01\0\0\0", "font/ttf"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"QFI\xfb", "application/x-disk-image"),
    (b"KDMV", "application/x-disk-image"),
    (b"conectix", "application/x-disk-image"),
    (b"PAR1", "application/vnd.apache.parquet"),
    (b"\x89HDF\r\n\x1a\n", "application/x-hdf5"),
    (b"\x93NUMPY", "application/x-numpy"),
    (b"Salted__", "application/x-encrypted"),
    (b"age-encryption.org/", "application/x-encrypted"),
    (b"\x03\xd9\xa2\x9a", "application/x-encrypted"),  # KeePass
    (b"LUKS\xba\xbe", "application/x-encrypted"),
    (b"d8:announce", "application/x-bittorrent"),
)
_PLACED = (
    (257, b"ustar", "application/x-tar"),
    (128, b"DICM", "application/dicom"),
    (60, b"BOOKMOBI", "application/x-mobipocket-ebook"),
    (40, b" EMF", "image/emf"),
    (32_769, b"CD001", "application/x-disk-image"),  # ISO 9660
)


def media_type(probe: bytes) -> str | None:
    """The media type of an archive, a program, or other data that inboxd does not process; None: not known."""
    found = next((media_type for signature, media_type in _SIGNATURES if probe.startswith(signature)), None)
    if found:
        return found
    return next((media_type for at, mark, media_type in _PLACED if probe[at : at + len(mark)] == mark), None)
