"""The text around the table: account numbers, the holder, and balances and totals in a summary. Pure."""

import re
from collections.abc import Sequence

from processors.statements.amounts import looks_like_amount
from processors.statements.dates import parse_date
from processors.statements.keywords import match_special, normalize
from processors.statements.table import find_amounts
from processors.statements.words import TextLine, line_height, split_cells

_LEAST_SUMMARY = 2  # labels side by side; a single one may be the text of a row
_LABEL_GAP = 1.2  # line heights between the words of one label
_MOST_NAME_WORDS = 5
_NUMBER = r"(?P<number>[a-z]{0,2}[\dx*][\dx* \-/.]{3,32}[\dx*])(?![a-z0-9])"
_ACCOUNT = re.compile(
    r"(?:account ?(?:number|no\.?|nr\.?|#)|a/c(?: no\.?)?|konto(?:nummer|-nr\.?|nr\.?| nr\.?)|kontonr\.?"
    r"|(?:numero|n°|no) de (?:compte|cuenta)|compte (?:n°|no|numero)|cuenta (?:n°|no\.?|numero)|n° compte|cuenta|konto)"
    rf"\s?:?\s?{_NUMBER}"
)
_IBAN = re.compile(  # with or without spaces; ends before a word, and before a date
    r"\biban\s?:?\s?(?P<number>(?=[a-z0-9 ]{14})[a-z]{2}\d{2}(?: ?[a-z]{4})?"
    r"(?: ?(?=[a-z]{0,3}\d)[a-z0-9]+(?![-./:a-z0-9]))+)"
)
_HOLDER = re.compile(
    r"(?:account (?:holder|name)|kontoinhaber(?:in)?|titulaire(?: du compte)?|titular(?: de la cuenta)?"
    r"|name)\s?:?\s+(?P<name>.+)",
    re.IGNORECASE,
)
_PERSON = re.compile(r"(?:Mr|Mrs|Ms|Miss|Dr|Herr|Frau|M\.|Mme|Sr\.|Sra\.|Messrs)\.?\s+\S.*")
_PAGE_OF = re.compile(r"(?:page|seite|pagina|blatt|feuillet|p\.)?\s*(\d{1,3})\s?(?:of|/|von|sur|de)\s?(\d{1,3})")


class AccountTracker:
    """The current account, by the account numbers in the lines so far."""

    def __init__(self):
        self.current = ""
        self._by_label: dict[str, str] = {}

    def update(self, text: str) -> bool:
        """Look for an account number in a line; True if another account begins here."""
        wanted = normalize(text)
        for label, pattern in (("account", _ACCOUNT), ("iban", _IBAN)):
            match = pattern.search(wanted)
            if not match:
                continue
            number = re.sub(r"[\s.]", "", match["number"]).upper()
            known = self._by_label.get(label)
            if known == number:
                return False
            self._by_label[label] = number
            if known is None and self.current:
                return False  # another number of the same account
            self._by_label = {label: number}
            self.current = number
            return True
        return False


def find_summary(line: TextLine, below: TextLine | None, height: float) -> list[tuple[str, str]]:
    """The balances and totals named on a line, with their amounts from the same line or from below their labels."""
    found = []
    cells = split_cells(line.words, _LABEL_GAP * height)
    for at, cell in enumerate(cells):
        name = match_special(" ".join(word.text for word in cell))
        if not name:
            continue
        inside = find_amounts(cell, height)
        following = find_amounts(cells[at + 1], height) if at + 1 < len(cells) else []
        under = _under(cell[0].left, cell[-1].right, below, height)
        amounts = inside or following or under
        if amounts:
            found.append((name, amounts[0].text))
    return found


def separate_summaries(lines: Sequence[TextLine], height: float) -> tuple[list[TextLine], list[tuple[int, str, str]]]:
    """Separate labels side by side with amounts below them from the lines of a table, as (page, name, amount)."""
    rest, found, at = [], [], 0
    while at < len(lines):
        line, below = lines[at], lines[at + 1] if at + 1 < len(lines) else None
        named = [] if find_amounts(line.words, height) else find_summary(line, below, height)
        if len(named) >= _LEAST_SUMMARY and not parse_date(below.text):
            found += [(line.page, name, amount) for name, amount in named]
            at += 2
        else:
            rest.append(line)
            at += 1
    return rest, found


def find_holder(lines: Sequence[TextLine]) -> str:
    """The account holder, named as such or by a form of address; "" if there is none."""
    for line in lines:
        if match := _HOLDER.match(line.text):
            return match["name"].strip()
    height = line_height(lines)
    cells = [cell for line in lines for cell in split_cells(line.words, _LABEL_GAP * height)]
    texts = [" ".join(word.text for word in cell) for cell in cells if len(cell) <= _MOST_NAME_WORDS]
    return next((text for text in texts if _PERSON.fullmatch(text)), "")


def find_page_number(lines: Sequence[TextLine]) -> tuple[int, int] | None:
    """Number and count as printed ("Page 2 of 5")."""
    for line in lines:
        match = _PAGE_OF.search(normalize(line.text))
        named = bool(match) and any(word in match[0] for word in ("page", "seite", "pagina", "blatt", "feuillet"))
        if named and 1 <= int(match[1]) <= int(match[2]):
            return int(match[1]), int(match[2])
    return None


def _under(left: float, right: float, below: TextLine | None, height: float) -> list:
    if below is None:
        return []
    cells = find_amounts(below.words, height)
    return [cell for cell in cells if cell.left < right and left < cell.right and looks_like_amount(cell.text)]
