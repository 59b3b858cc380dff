"""Guesses which of the 8-bit encodings of Latin letters a text is in, by the alphabets of its languages. Pure.

Statistical detection confuses them: they differ in few letters, and most texts have few of these.
"""

_WESTERN = (
    *("äöüßéèà", "àâæçéèêëîïôœùûüÿ", "áéíñóúü", "àèéìíòóùú", "áâãàçéêíóôõú", "æøåé", "åäöé"),  # German … Swedish
    *("áðéíóúýþæö", "ëéïèöüáóê", "àçèéíïòóúü", "äöåšž", "õäöüšž"),  # Icelandic, Dutch, Catalan, Finnish, Estonian
)
_CENTRAL = ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţ", "čćžšđ")  # Polish … Croatian
_ALPHABETS = {  # the more widely used first
    "cp1252": _WESTERN,
    "cp1250": _CENTRAL,
    "cp1254": ("çğıöşüâîû",),  # Turkish
    "iso8859_2": _CENTRAL,
    "cp850": _WESTERN,
    "mac_roman": _WESTERN,
}
_SIGNS = set("€‚„…‘’“”–—•™«»°§²³¹½¼¾£¥©®·´¿¡ºª±µ×¶\u00a0\u00ad")
_WITHIN_WORDS = set("’·\u00ad")
_ONE_LETTER_WORDS = set("àáéèíóòøåöúâî")
_MOST_FOREIGN = 0.55  # share of such letters in a Latin text
_MOST_ADJACENT = 0.6  # share of them beside another one; in other scripts, most are
_LEAST_FITTING = 0.9  # share of them that belong to one alphabet
_SAMPLE_BYTES = 64 * 1024


def guess(sample: bytes) -> str | None:
    """The codec in which the text fits an alphabet best; None if it does not look like Latin letters in 8 bits."""
    lines = [line for line in sample[:_SAMPLE_BYTES].splitlines() if not line.isascii()]
    text = b"\n".join(lines)
    high = [number for number, byte in enumerate(text) if byte >= 0x80]
    letters = len(high) + sum(map(bytes.isalpha, (text[n : n + 1] for n in range(len(text)))))
    adjacent = sum(text[number - 1] >= 0x80 for number in high if number)
    if not high or len(high) > _MOST_FOREIGN * letters or adjacent > _MOST_ADJACENT * len(high):
        return None
    shares = {codec: _fit(text.decode(codec, "replace"), alphabets) for codec, alphabets in _ALPHABETS.items()}
    best = max(shares, key=lambda codec: shares[codec])  # the first of those that are equal
    return best if shares[best] >= _LEAST_FITTING else None


def _fit(text: str, alphabets: tuple[str, ...]) -> float:
    """The share of letters that are not in ASCII, and belong to one of the alphabets where they are."""
    around = zip(f" {text}"[:-1], text, f"{text[1:]} ", strict=True)
    judged = [(char, _is_placed(before, char, after)) for before, char, after in around if char > "\x7f"]
    judged = [(char.lower(), is_placed) for char, is_placed in judged if char not in _SIGNS or not is_placed]
    if not judged:
        return _LEAST_FITTING
    most = max(sum(is_placed and char in alphabet for char, is_placed in judged) for alphabet in alphabets)
    return most / len(judged)


def _is_placed(before: str, char: str, after: str) -> bool:
    """True if such a character may be between these two: no sign within a word, no capital within small letters."""
    if char in _SIGNS:
        return char in _WITHIN_WORDS or not (before.isalpha() and after.isalpha())
    if not before.isalpha() and not after.isalpha():
        return char in _ONE_LETTER_WORDS
    return not (char.isupper() and before.islower())
