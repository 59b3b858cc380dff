"""Which bank issued a statement: its name, its web address, its BIC, the bank's part of the account's IBAN. Pure.

Nothing about the holder is used: no line that names the holder or has a form of address, and no text with digits. A
large title may be a bank's name without a word that shows this; it is stored as a digest.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence

from processors.statements.layouts.record import MAX_KEYS, Bank
from processors.statements.notation.bank_names import names_bank
from processors.statements.notation.iban import find_ibans
from processors.statements.notation.keywords import normalize
from processors.statements.notation.words import TextLine, line_height, split_cells
from processors.statements.table.holder import find_holder

_CELL_GAP = 2.0  # line heights between two texts of one line
_MOST_WORDS = 6
_LARGE = 1.3  # times the height of most words
_TITLE_DIGITS = 12
_LONGEST_NAME = 60
# characters of an IBAN that name the bank, without its branch (IBAN registry, SWIFT): from, to
_BANK_PART = {
    "DE": (4, 12),
    **dict.fromkeys(("GB", "NL", "PL", "IE", "ES", "PT", "RO", "BG", "LV", "CZ", "SK", "TR", "UA"), (4, 8)),
    **dict.fromkeys(("FR", "MC", "AT", "CH", "LI"), (4, 9)),
    **dict.fromkeys(("BE", "FI", "LU", "EE", "LT", "SE", "HU", "GR", "SI", "CY"), (4, 7)),
    **dict.fromkeys(("IT", "SM"), (5, 10)),
    **dict.fromkeys(("DK", "NO"), (4, 8)),
    "HR": (4, 11),
}
_GENERIC = re.compile(
    r"statement|account|auszug|konto|leitzahl|sort code|details|online|your|ihre?n?|votre|address|transfer|releve"
    r"|extract|extrato|estratto|wyciag|relationship|branch|code|balance|charges|identifier|number|bic|iban|swift|date"
    r"|street|road|lane|avenue|manager"
)
_PERSON = re.compile(r"(?:mr|mrs|ms|miss|dr|herr|frau|mme|sr|sra|sig|mw|dhr|pan|pani|messrs|c/o)\b|m\. ")
_HOLDER_LABEL = re.compile(
    r"holder|name|inhaber|titulaire|titular|intestat|houder|wlasciciel|customer|client|kunde|cliente"
)
_WEB = re.compile(
    r"(?<![@\w.-])(?:https?://)?(?:www\.)?(?P<domain>[a-z0-9-]{2,40}(?:\.[a-z0-9-]{2,30}){0,2}\.[a-z]{2,12})(?![\w@-])"
)
_BIC = re.compile(
    r"\b(?:BIC|SWIFT)(?:[ /-](?:BIC|SWIFT|code|Code))*\s*:?\s*(?P<bic>[A-Z]{6}[A-Z0-9]{2})(?:[A-Z0-9]{3})?\b"
)


def find_bank(lines: Sequence[TextLine]) -> Bank:
    """The bank, by the lines of a page outside its table."""
    holders = [normalize(name) for name in [find_holder(lines)] if name]
    names = list(dict.fromkeys(_find_names(lines, holders)))
    texts = [line.text for line in lines if not any(name in normalize(line.text) for name in holders)]
    keys = [
        *(f"iban:{each}" for each in _find_iban_parts(line.text for line in lines)),
        *(f"bic:{match['bic']}" for text in texts for match in _BIC.finditer(text)),
        *(f"web:{each}" for each in _find_domains(texts)),
        *(f"name:{_plain(name)}" for name in names),
        *(f"title:{_digest(title)}" for title in _find_titles(lines)),
    ]
    return Bank(name=names[0] if names else "", keys=tuple(dict.fromkeys(keys))[:MAX_KEYS])


def _find_names(lines: Sequence[TextLine], holders: Iterable[str]) -> Iterator[str]:
    height = line_height(lines)
    for line in lines:
        if _HOLDER_LABEL.search(normalize(line.text)):
            continue
        for cell in split_cells(line.words, _CELL_GAP * height):
            text = " ".join(word.text for word in cell).strip(" .,:;|–-")
            is_short = len(cell) <= _MOST_WORDS and len(text) <= _LONGEST_NAME
            if is_short and _is_name(text) and not any(name in normalize(text) for name in holders):
                yield text


def _find_titles(lines: Sequence[TextLine]) -> Iterator[str]:
    """The largest text that does not name the kind of document, if it is larger than most text."""
    large = [line for line in lines if min(word.height for word in line.words) > _LARGE * line_height(lines)]
    titles = [line for line in large if _plain(line.text) and not _GENERIC.search(normalize(line.text))]
    yield from (line.text for line in sorted(titles, key=lambda line: -line_height([line]))[:1])


def _is_name(text: str) -> bool:
    plain = normalize(text)
    return (
        names_bank(text)
        and not any(char.isdigit() for char in text)
        and not (_GENERIC.search(plain) or _PERSON.match(plain))
    )


def _find_domains(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for match in _WEB.finditer(text.lower()):
            if "www." in match[0] or "://" in match[0] or text.lower().strip() == match[0]:
                yield match["domain"]


def _find_iban_parts(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for iban in find_ibans(text):
            if part := _BANK_PART.get(iban[:2]):
                yield f"{iban[:2]}-{iban[slice(*part)]}"


def _plain(text: str) -> str:
    return "".join(char for char in normalize(text) if char.isalnum())


def _digest(text: str) -> str:
    return hashlib.sha256(_plain(text).encode()).hexdigest()[:_TITLE_DIGITS]
