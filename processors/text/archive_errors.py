"""The exceptions of Python's zipfile module and its decompressors for a part that is damaged, encrypted or of an
unknown method. They have no common base."""

import lzma
import struct
import zipfile
import zlib

DAMAGED_PART = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(OSError, EOFError, ValueError, NotImplementedError, RuntimeError),  # OSError without errno: of bz2
)
