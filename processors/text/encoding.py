"""The encoding of a text: a byte order mark, what the text declares, UTF-8, or the best guess: by the alphabets of
languages with Latin letters, else by charset-normalizer."""

import codecs
import re
from dataclasses import dataclass

from processors.text import latin

_BOMS = (  # UTF-32 before UTF-16, whose mark it begins with
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(rb"""(?:charset\s*=|<\?xml[^>]{0,100}encoding\s*=)\s*["']?\s*([A-Za-z0-9._:-]{2,40})""", re.I)
_ZEROS = 0.7  # share of zero bytes in every other place that UTF-16 without a mark has at least, in Latin script
_LEAST_VALID, _MOST_DAMAGED = 2, 0.5  # characters of UTF-8; other bytes as a share of them
_WIDELY_USED = (
    *("cp1252", "shift_jis", "euc_jp", "iso2022_jp", "gb18030", "big5", "euc_kr", "cp1250", "cp1251", "koi8_r"),
    *("cp1253", "cp1254", "cp1255", "cp1256", "cp437", "cp850", "mac_roman", "iso8859_2", "iso8859_15"),
)


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """The name of a codec of Python, and whether it is only a guess."""

    codec: str
    is_guess: bool = False


def detect(sample: bytes, *, is_complete: bool) -> Encoding:
    """Find the encoding of a text by its beginning. is_complete: the sample is the complete text."""
    for mark, marked in _BOMS:
        if sample.startswith(mark):
            return Encoding(codec=marked)
    if (wide := _without_mark(sample)) is not None:
        return Encoding(codec=wide)
    declared = _DECLARED.search(sample[:2048])
    if declared and (codec := known_codec(declared[1].decode("ascii"))) and _decodes(sample, codec, is_complete):
        return Encoding(codec=codec)
    if (b"\x1b$" in sample or b"\x1b(" in sample) and _decodes(sample, "iso2022_jp_2", is_complete):
        return Encoding(codec="iso2022_jp_2")
    if _decodes(sample, "utf-8", is_complete) or _is_damaged_utf8(sample):
        return Encoding(codec="utf-8")
    return Encoding(codec=_guess(sample, is_complete), is_guess=True)


def known_codec(name: str) -> str | None:
    """The codec of a declared name; browsers read "iso-8859-1" as its superset cp1252 (WHATWG Encoding, 4.2)."""
    try:
        codec = codecs.lookup(name.strip()).name
    except (LookupError, ValueError):
        return None
    superset = {"iso8859-1": "cp1252", "ascii": "cp1252", "shift_jis": "cp932", "gb2312": "gb18030", "gbk": "gb18030"}
    is_text = getattr(codecs.lookup(codec), "_is_text_encoding", True)
    return superset.get(codec, codec) if is_text and not codec.startswith(("utf-16", "utf-32")) else None


def _decodes(sample: bytes, codec: str, is_complete: bool) -> bool:
    try:
        codecs.getincrementaldecoder(codec)().decode(sample, final=is_complete)
    except (UnicodeDecodeError, LookupError):
        return False
    return True


def _without_mark(sample: bytes) -> str | None:
    if len(sample) < 4 or b"\0" not in sample:
        return None
    even, odd = sample[0::2], sample[1::2]
    if odd.count(0) >= _ZEROS * len(odd) and even.count(0) < 0.05 * len(even):
        return "utf-16-le"
    if even.count(0) >= _ZEROS * len(even) and odd.count(0) < 0.05 * len(odd):
        return "utf-16-be"
    return None


def _is_damaged_utf8(sample: bytes) -> bool:
    """True for UTF-8 with a few bytes of another encoding: by chance, no other text has such sequences."""
    text = sample.decode("utf-8", "replace")
    genuine = sample.count("\ufffd".encode())
    damaged = text.count("\ufffd") - genuine
    valid = sum(character > "\x7f" for character in text) - damaged - genuine
    return valid >= _LEAST_VALID and damaged <= _MOST_DAMAGED * valid


def _guess(sample: bytes, is_complete: bool) -> str:
    """The most probable encoding, of those in wide use; cp1252 if none is."""
    from charset_normalizer import from_bytes

    if (codec := latin.guess(sample)) is not None:
        return codec
    if not is_complete:  # not in the middle of a character
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    best = from_bytes(sample.replace(b"\0", b""), cp_isolation=list(_WIDELY_USED)).best()
    return best.encoding if best else "cp1252"
