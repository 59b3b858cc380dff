"""Identifies sound without a container (MPEG audio, AAC in ADTS, AC-3, E-AC-3) by two frames in a row."""


def media_type(probe: bytes, start: int, size_bytes: int) -> str | None:
    """The media type, if two frames in a row begin at offset `start`, or one frame fills the rest of the file; else
    None. `size_bytes`: of the file.
    """
    at = start
    frames = 0
    while frames < 2 and at + 7 <= len(probe):
        frame_bytes, found = _frame(probe[at : at + 7])
        if not frame_bytes:
            return None
        frames += 1
        at += frame_bytes
    return found if frames == 2 or (frames == 1 and at == size_bytes) else None


def _frame(header: bytes) -> tuple[int, str]:
    """The length in bytes and the media type of the frame with this header of 7 bytes; (0, "") if there is none."""
    if header[:2] == b"\x0b\x77":
        return _dolby_frame(header)
    if header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0, ""
    if header[1] & 0xF6 == 0xF0:  # layer 0: ADTS, ISO/IEC 13818-7, 6.2
        frame_bytes = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
        return (frame_bytes, "audio/aac") if frame_bytes >= 7 else (0, "")
    return _mpeg_frame(header)


_AC3_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_AC3_RATES_HZ = (48000, 44100, 32000)


def _dolby_frame(header: bytes) -> tuple[int, str]:
    """ATSC A/52:2018: `bsid` at byte 5 distinguishes AC-3 (5.4.1, frame sizes in table 5.18) from E-AC-3 (annex E,
    1.3.1)."""
    version = header[5] >> 3
    if 11 <= version <= 16:
        return (((header[2] & 7) << 8 | header[3]) + 1) * 2, "audio/eac3"
    rate, size = header[4] >> 6, header[4] & 0x3F
    if version > 10 or rate == 3 or size >= 2 * len(_AC3_KBITS):
        return 0, ""
    words = _AC3_KBITS[size // 2] * 96_000 // _AC3_RATES_HZ[rate]
    return (words + (size & 1 if rate == 1 else 0)) * 2, "audio/ac3"


_KBITS = {  # by (is MPEG-1, layer); ISO/IEC 11172-3, 2.4.2.3, and 13818-3, 2.4.2.3
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES_HZ = (44100, 48000, 32000)  # of MPEG-1; MPEG-2 halves and MPEG-2.5 quarters them


def _mpeg_frame(header: bytes) -> tuple[int, str]:
    """MPEG audio, layers I to III."""
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bit_rate, sample_rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or bit_rate in (0, 15) or sample_rate == 3:
        return 0, ""
    bits = _KBITS[version == 3, layer][bit_rate - 1] * 1000
    rate_hz = _SAMPLE_RATES_HZ[sample_rate] // {3: 1, 2: 2, 0: 4}[version]
    if layer == 1:
        return (12 * bits // rate_hz + padding) * 4, "audio/mpeg"
    return (72 if layer == 3 and version != 3 else 144) * bits // rate_hz + padding, "audio/mpeg"
