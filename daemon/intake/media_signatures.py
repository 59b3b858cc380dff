"""The signatures of images, sound and video in the first bytes of a file.

The sources are https://en.wikipedia.org/wiki/List_of_file_signatures and the magic files of file(1). A function that
reads more than a signature (MPEG frames, ISO boxes, RIFF) names the specification of the format.
"""

import re

from daemon.intake import audio_frames


def media_type(probe: bytes, size_bytes: int) -> str | None:
    """The media type of a file whose signature cannot be the beginning of a text; None: no such signature."""
    for signature, found in _SIGNATURES:
        if probe.startswith(signature):
            return found
    return (
        _riff(probe)
        or _iso_media(probe, size_bytes)
        or _bitmap(probe)
        or _matroska(probe)
        or _ogg(probe)
        or _windows_media(probe)
        or _tagged_audio(probe)
    )


def media_type_unless_text(probe: bytes) -> str | None:
    """The media type by signatures with which a text may also begin; call it only for a file that is no text."""
    return _lettered(probe) or _transport_stream(probe)


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
    """Signatures made of letters."""
    return next((media_type for signature, media_type in _LETTERS if probe.startswith(signature)), None)


def _transport_stream(probe: bytes) -> str | None:
    """ISO/IEC 13818-1: packets of 188 bytes that begin with 0x47; four more before each on Blu-ray, 16 after on air."""
    for first, packet_bytes in ((0, 188), (4, 192), (0, 204)):
        marks = probe[first : first + 5 * packet_bytes : packet_bytes]
        if len(marks) >= 3 and set(marks) == {0x47}:
            return "video/mp2t"
    return None
