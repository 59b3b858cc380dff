"""Characters of the symbol fonts of word processors, which PDF files write with codes of the private use area."""

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


def is_private(character: str) -> bool:
    """True for a character of a private use area, whose meaning only its font knows (Unicode 15, 23.5)."""
    return "\ue000" <= character <= "\uf8ff" or character >= "\U000f0000"
