"""Decompresses the rich text of Outlook's messages (MS-OXRTFCP). Pure."""

import struct

_COMPRESSED, _UNCOMPRESSED = b"LZFu", b"MELA"
_HEADER = struct.Struct("<II4sI")  # sizes of the stream after this field and of the text, kind, checksum
_SIZE = 4096  # bytes of the ring buffer
_INITIAL = (  # its content at the beginning (2.1.2.1)
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS "
    b"Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b"
    b"\\i\\u\\tab\\tx"
)


def decompress(content: bytes) -> bytes:
    """The RTF, as far as it can be decompressed.

    Raises:
        ValueError: it is not compressed RTF.
    """
    if len(content) < _HEADER.size:
        raise ValueError("compressed RTF without a header")
    _, size, kind, _ = _HEADER.unpack_from(content)
    if kind == _UNCOMPRESSED:
        return content[_HEADER.size :][:size]
    if kind != _COMPRESSED:
        raise ValueError(f"compressed RTF of the unknown kind {kind!r}")
    return _expand(content[_HEADER.size :])[:size]


def _expand(tokens: bytes) -> bytes:
    """A byte of eight flags, then for each a byte, or a place in the ring buffer of 12 bits and a length of 4 bits."""
    ring = bytearray(_INITIAL.ljust(_SIZE, b" "))
    write, read, found = len(_INITIAL), 0, bytearray()
    while read < len(tokens):
        flags, read = tokens[read], read + 1
        for bit in range(8):
            is_reference = flags >> bit & 1
            token, read = tokens[read : read + 1 + is_reference], read + 1 + is_reference
            if len(token) <= is_reference:  # cut off
                return bytes(found)
            at, length = (int.from_bytes(token) >> 4, (token[1] & 15) + 2) if is_reference else (-1, 1)
            if at == write:  # the end
                return bytes(found)
            for step in range(length):
                ring[write] = ring[(at + step) % _SIZE] if is_reference else token[0]
                found.append(ring[write])
                write = (write + 1) % _SIZE
    return bytes(found)
