"""Characters of the symbol fonts of word processors, which PDF files write with codes of the private use area, and of
the font of Word's equations.
"""

from collections.abc import Iterable

# Wingdings and Symbol, as Word uses them in lists and forms; the codes are those of the fonts, plus F000 (hexadecimal)
SYMBOLS = {
    "\uf0b7": "•",
    "\uf0a7": "▪",
    "\uf06e": "■",
    "\uf06c": "●",
    "\uf076": "❖",
    "\uf0d8": "➢",
    "\uf0e0": "→",
    "\uf0df": "←",
    "\uf06f": "☐",
    "\uf0a8": "☐",
    "\uf071": "☐",
    "\uf0fe": "☒",
    "\uf078": "☒",
    "\uf0fd": "☒",
    "\uf052": "☑",
    "\uf0fc": "✓",
    "\uf0fb": "✗",
}

# In PDF files by Word, the glyphs of Cambria Math are mapped to letters and vowel signs of Malayalam and Ethiopic.
_MATH = {
    **{"\u0d45": "+", "\u0d46": "−", "\u0d48": "×", "\u0d4c": "=", "\u0d4f": "<", "\u0d50": ">"},
    **{"\u0d51": "≤", "\u0d52": "≥", "\u123a": "(", "\u123b": ")", "\u123c": "{", "\u123d": "}"},
    **{"\u123e": "[", "\u123f": "]"},
}
_MALAYALAM, _ETHIOPIC = ("\u0d00", "\u0d7f"), ("\u1200", "\u137f")


def restore_equations(characters: Iterable[str]) -> list[str]:
    """The characters of a page, with the signs of equations instead of letters that form no word."""
    found = list(characters)
    for first, last in (_MALAYALAM, _ETHIOPIC):
        letters = {each for each in found if first <= each <= last}
        if letters and letters <= _MATH.keys():
            found = [_MATH[each] if each in letters else each for each in found]
    return found


def is_private(character: str) -> bool:
    """True for a character of a private use area, whose meaning only its font knows (Unicode 15, 23.5)."""
    return "\ue000" <= character <= "\uf8ff" or character >= "\U000f0000"
