"""Damage readings on purpose, as bad OCR does: a misread digit, a lost amount, a lost line."""

import random
import re
from dataclasses import replace

from processors.ocr.text import PageText

_RATE = 0.02  # of the words with digits


def harm(page: PageText, seed: str) -> PageText:
    """The page with some damaged words in its table; the confidence of damaged words stays the same."""
    random_ = random.Random(seed)
    height = page.size[1] if page.size else 1
    lines = []
    for line in page.lines:
        is_row = line[0].corners[0][1] > 0.25 * height and any(re.search(r"\d[.,]\d\d", piece.text) for piece in line)
        if is_row and random_.random() < _RATE / 2:
            continue
        pieces = [piece for piece in line]
        if is_row:
            for place, piece in enumerate(pieces):
                if re.search(r"\d", piece.text) and random_.random() < _RATE:
                    pieces[place] = replace(piece, text=_misread(piece.text, random_))
            amounts = [piece for piece in pieces if re.search(r"\d[.,]\d\d\b", piece.text)]
            if amounts and random_.random() < _RATE / 2:
                pieces.remove(random_.choice(amounts))
        if pieces:
            lines.append(tuple(pieces))
    return replace(page, lines=tuple(lines))


def _misread(text: str, random_: random.Random) -> str:
    places = [place for place, char in enumerate(text) if char.isdigit()]
    place = random_.choice(places)
    other = random_.choice([digit for digit in "0123456789" if digit != text[place]])
    return text[:place] + other + text[place + 1 :]
