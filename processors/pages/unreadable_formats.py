"""Formats of images that inboxd cannot read, by the first bytes of a file: no message calls an intact file damaged."""

_BRANDS = {b"crx ": "Canon raw", b"jxl ": "JPEG XL"}  # of the ISO base media file format, in bytes 8 to 12
_BEGINNINGS = {
    b"8BPS": "Photoshop",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"%!PS": "PostScript",
    b"\xc5\xd0\xd3\xc6": "PostScript",
    b"\0\0\1\0": "icon",
    b"gimp xcf": "GIMP",
    b"AT&TFORM": "DjVu",
    b"v/1\1": "OpenEXR",
    b"DDS ": "DDS",
    b"\xd7\xcd\xc6\x9a": "Windows metafile",
    b"\1\0\0\0": "Windows metafile",
    b"II\xbc": "JPEG XR",
    b"BPG\xfb": "BPG",
    b"\x0a\5\1": "PCX",
    b"#?RADIANCE": "Radiance HDR",
    b"FUJIFILM": "Fuji raw",
    b"SIMPLE  =": "FITS",
    **{b"P%d" % number: "PNM" for number in range(1, 8)},
}
_READABLE = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF")
_DICOM_AT = 128  # bytes before "DICM" (DICOM PS3.10, 7.1)


def describe_unknown(head: bytes) -> str:
    """A message why inboxd cannot read the file, and what to do. head: the first bytes of the file."""
    if name := _name(head):
        return f"{name} files are not supported. Save it as JPEG, PNG or PDF and drop that."
    if head.startswith(_READABLE):
        return "This image is damaged or truncated. Copy it to the inbox again."
    return (
        "Cannot read this image: it is damaged, or its format is not supported. "
        "Save it as JPEG, PNG or PDF and drop that."
    )


def _name(head: bytes) -> str:
    if head[4:8] == b"ftyp" and head[8:12] in _BRANDS:
        return _BRANDS[head[8:12]]
    if head[_DICOM_AT : _DICOM_AT + 4] == b"DICM":
        return "DICOM"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"<svg") or (start.startswith(b"<?xml") and b"<svg" in head):
        return "SVG"
    return next((name for beginning, name in _BEGINNINGS.items() if head.startswith(beginning)), "")
