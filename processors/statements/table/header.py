"""The text around the table: account numbers, and balances and totals in a summary. Pure."""

import itertools
import re
from collections.abc import Iterator, Sequence

from processors.statements.notation.amounts import looks_like_amount
from processors.statements.notation.currency_accounts import (
    currency_of_account,
    number_of,
    title_currency,
    with_currency,
)
from processors.statements.notation.dates import parse_date
from processors.statements.notation.iban import find_ibans, is_iban, is_iban_of
from processors.statements.notation.keywords import Section, match_column, match_section, match_special, normalize
from processors.statements.notation.words import PageWord, TextLine, join_words, split_cells
from processors.statements.table.table import AmountCell, find_amounts

_LEAST_COLUMNS = 2  # headings beside the name of a section
_LEAST_SUMMARY = 2  # labels side by side; a single one may be the text of a row
_BETWEEN_CELLS = " | "
_LABEL_GAP = 1.2  # line heights between the words of one label
_SUB_ACCOUNT = r"(?:-[a-z]{1,3}\d{0,3}(?![a-z0-9]))?"  # "48213-S70", "041287-EOP"
_NUMBER = rf"(?P<number>(?:[a-z]{{1,4}}-)?[a-z]{{0,2}}[\dx*][\dx* \-/.]{{3,32}}[\dx*](?![a-z0-9]){_SUB_ACCOUNT})"
_ACCOUNT_LABEL = (
    r"(?:account|acct\.?|member(?:ship)?)(?: ?(?:number|no\.?|nr\.?|num\.?|id|#))+|a/c(?: no\.?)?"
    r"|account ending(?: in)?|номер счета"
    r"|(?!referenz|gegen)[^\W\d_]{0,9}konto\s?(?:nummer|-nr\.?|nr\.?|no\.?)|kontonr\.?"
    r"|(?:numero|n°|no\.?|nº) (?:de |do |del? |di )?(?:compte|cuenta|conta|conto)|n° compte"
    r"|(?:compte(?: de depots?| courant| cheques?)?|cuenta(?: corriente)?|conta(?: corrente| simples| a ordem)?"
    r"|conto(?: corrente)?)"
    r"(?: (?:n°|nº|n\.?o?\.?|no\.?|numero|nr\.?))?"
    r"|rekening ?(?:nummer|nr\.?)?|(?:nr|numer) rachunku|rachunek|hesap(?: (?:no|numarasi))?\.?|(?:cislo )?uc(?:tu|et)"
    r"|szamlaszam|tilinumero|(?!referenz|gegen)[^\W\d_]{0,9}konto|account(?= ?:? ?\d[\d -]{5})"
    r"|口座番号|계좌번호|账号|帐号|帳號|賬號|戶口號碼"
    r"|αριθμος λογαριασμου|номер на сметка|сметка|so tai khoan|เลขทีบัญชี|(?:מספר )?חשבון|رقم الحساب"
)
_ACCOUNT = re.compile(rf"(?:^|[^a-z])(?:{_ACCOUNT_LABEL})\s?(?:[:.]| - )?\s?{_NUMBER}")
_TITLE = re.compile(  # of an account's table: "EveryDay Checking - 7044718820"
    r"(?:\w[\w&'®]* ){0,4}"
    r"(?:checking|chequing|savings?|money market|shares?|certificate|account|current|deposit|loan)"
    r"(?: [^\W\d][\w&'®]*){0,2} [-–:#] ?(?P<number>\d{6,14}(?:-\d{1,4})?)"
    r"(?: \(?cont(?:inued|'d|\.)\)?)?"
)
_CARD_NUMBER = re.compile(
    r"(?:(?:card|karten|carte|tarjeta|cartao|carta|kaart|kort|karta|karti|kartu) ?"
    r"(?:number|no\.?|nummer|n°|numarasi)?|card ending(?: in)?|カード番号)"
    rf"\s?:?\s?{_NUMBER}"
)
_MASKED = re.compile(  # of a card, whatever stands before it: "4510 XXXX XXXX 7712"
    r"(?<![\w*•])(?P<number>(?=.{0,12}[x*•]{4})(?:\d{4}|\d\d[x*•]{2}|[x*•]{4})(?:[ -]?[\dx*•]{4}){2}[ -]?\d{4})"
    r"(?![\w*•])"
)
_ENDING = re.compile(r"account (?:number |no\.? )?ending(?: in)?\s?:?\s?(?P<number>\d{3,6})(?!\d)")
_PHONE_NUMBER = re.compile(rf"mobile (?:number|no\.?)\s?:?\s?{_NUMBER}")  # of a wallet, which may have no other number
_NUMBERED = re.compile(r"(?:n°|nº|no\.?|nr\.?|#)\s?:?\s?(?P<number>\d[\d ]{4,}\d(?: ?[a-z]\b)?)")
_OF_YEAR = re.compile(r"\d{1,3}/(?:19|20)\d\d")  # the number of a statement, "Estratto conto n. 4/2025"
_LABEL_ONLY = re.compile(rf"(?:[^\d:]{{0,20}} )?(?:{_ACCOUNT_LABEL})\s?:?")
_NUMBER_ONLY = re.compile(r"(?=(?:[^\d]*\d){4})[\dxX*•][\dxX*•\-/. ]{3,32}[\dxX*•]")
_IDENTIFIER = re.compile(  # of letters and digits
    r"(?:account|acct\.?) (?:number|no\.?|id)\s?:?\s?(?P<number>(?=[a-z]*\d[a-z]*\d)(?=\d*[a-z])[a-z0-9]{8,24})\b"
)
_IBAN = re.compile(  # with or without spaces; ends before a word, and before a date
    r"\biban\s?:?\s?(?P<number>(?=[a-z0-9 ]{14})[a-z]{2}\d{2}(?: ?[a-z]{4})?"
    r"(?: ?(?=[a-z]{0,3}\d)[a-z0-9]+(?![-./:a-z0-9]))+)"
)
_NO_ACCOUNT = re.compile(r"\b(?:tel|phone|telephone|fax|call|hotline|mobile)\b|\b(?:reg|vat|tax|ust|hrb|gnr|siren)\b")
_PAGE_OF = re.compile(r"(?:page|seite|pagina|blatt|feuillet|p\.)?\s*(\d{1,3})\s?(?:of|/|von|sur|de)\s?(\d{1,3})")


class AccountTracker:
    """The current account, by the account numbers in the lines so far."""

    def __init__(self, currencies: frozenset[str] = frozenset()):
        """currencies: those of accounts with the same number, each of which begins at a title that names one."""
        self.current = ""
        self.wallet = ""  # the number of a phone, which identifies the account if there is no other number
        self.numbered = ""  # the last number in a line above rows, whatever its label
        self.ibans: dict[str, str] = {}  # by account that another number names
        self._by_label: dict[str, str] = {}
        self._currencies = currencies

    def update(self, text: str, *, below: str = "") -> bool:
        """Look for an account number in a line whose cells are separated; True if another account begins here.

        below: the text below a label for an account number in the line.
        """
        together = text.replace(_BETWEEN_CELLS, " ")
        for label, number in (*_find_numbers(text), *_find_numbers(together), ("account", below)):
            if number:
                return self._begin(label, number)
        if (code := title_currency(text)) in self._currencies:
            before, self.current = self.current, with_currency(self.current, code)
            return self.current != before
        self._keep_other_numbers(normalize(text), normalize(together))
        number = "" if self.current else _find_card_number(text) or _find_card_number(together)
        return self._begin("card", number) if number else False

    def begin_numbered(self) -> None:
        """Begin the account whose number is in the lines above, without a label that is known."""
        if self.numbered:
            self.current, self._by_label, self.numbered = self.numbered, {"account": self.numbered}, ""

    def _keep_other_numbers(self, text: str, together: str) -> None:
        """`together`: the same line without separators between its cells."""
        if match := _PHONE_NUMBER.search(together):
            self.wallet = self.wallet or _compact(match["number"])
        if (match := _NUMBERED.search(text) or _NUMBERED.search(together)) and not _NO_ACCOUNT.search(together):
            self.numbered = _compact(match["number"])

    def _begin(self, label: str, number: str) -> bool:
        label = "iban" if is_iban(number) else label
        known = self._by_label.get(label)
        if known == number:
            return False
        if any(_are_of_one_account(number, each) for each in self._by_label.values()):
            self._by_label.setdefault(label, number)
            self._keep_iban(label, number)
            return False
        self._by_label[label] = number
        if known is None and number_of(self.current):
            self._keep_iban(label, number)
            return False  # another number of the same account
        self._by_label = {label: number}
        named = currency_of_account(self.current) if known is None else ""  # by a title above the number
        self.current = with_currency(number, named) if named else number
        return True

    def _keep_iban(self, label: str, number: str) -> None:
        """Keep the IBAN of the current account, which contains its number."""
        if label == "iban" and is_iban(number) and is_iban_of(number, self.current):
            self.ibans.setdefault(self.current, number)


def _are_of_one_account(one: str, other: str) -> bool:
    """True if one number is an IBAN that contains the other."""
    return (is_iban(one) and is_iban_of(one, other)) or (is_iban(other) and is_iban_of(other, one))


def _find_card_number(text: str) -> str:
    wanted = normalize(text)
    card = _CARD_NUMBER.search(wanted) or _MASKED.search(wanted)
    return _compact(card["number"]) if card else ""


def _find_numbers(text: str) -> Iterator[tuple[str, str]]:
    wanted = normalize(text)
    for label, pattern in (("account", _ACCOUNT), ("iban", _IBAN), ("account", _IDENTIFIER), ("account", _ENDING)):
        for match in pattern.finditer(wanted):
            if not (label == "account" and (_is_date(match["number"]) or _OF_YEAR.fullmatch(match["number"]))):
                yield label, _compact(match["number"])
                break
    if title := _TITLE.fullmatch(wanted):
        yield "account", _compact(title["number"])
    yield from (("iban", number) for number in find_ibans(text))


def _compact(number: str) -> str:
    return re.sub(r"[\s.]", "", number).upper()


def _is_date(number: str) -> bool:
    """True for a date, or two."""
    printed = parse_date(number)
    rest = number[printed.length :].lstrip(" -–/") if printed else ""
    return printed is not None and (not rest or (printed.year is not None and parse_date(rest) is not None))


def separate_cells(line: TextLine, height: float) -> str:
    """The text of a line with its cells separated, because a number ends where its cell ends."""
    return _BETWEEN_CELLS.join(join_words(cell) for cell in split_cells(line.words, _LABEL_GAP * height))


def find_account_below(line: TextLine, below: TextLine | None, height: float) -> str:
    """The account number below its label, such as "Account Number" as the heading of a column; "" if there is none."""
    if below is None:
        return ""
    for cell in split_cells(line.words, _LABEL_GAP * height):
        if _LABEL_ONLY.fullmatch(normalize(join_words(cell))):
            for other in split_cells(below.words, _LABEL_GAP * height):
                text = join_words(other)
                is_below = other[0].left < cell[-1].right and cell[0].left < other[-1].right
                if is_below and _NUMBER_ONLY.fullmatch(text) and not _is_date(text):
                    return _compact(text)
    return ""


def find_summary(line: TextLine, below: TextLine | None, height: float) -> list[tuple[str, AmountCell]]:
    """The balances and totals named on a line, with their amounts from the same line or from below their labels."""
    found: list[tuple[str, AmountCell]] = []
    cells = split_cells(line.words, _LABEL_GAP * height)
    for at, cell in enumerate(cells):
        name = match_special(join_words(cell))
        if not name:
            continue
        inside = find_amounts(cell, height)
        following = find_amounts(_next_cell(cells[at + 1 :]), height)
        under = _under(cell[0].left, cell[-1].right, below, height)
        amounts = inside or following or under
        if amounts:
            found.append((name, amounts[0]))
    return found


def _next_cell(cells: Sequence[tuple[PageWord, ...]]) -> tuple[PageWord, ...]:
    """The next cell, without one that is only a sign, such as "$" far left of its amount."""
    rest = itertools.dropwhile(lambda cell: not any(char.isalnum() for char in join_words(cell)), cells)
    return next(rest, ())


def find_section(line: TextLine, height: float) -> Section | None:
    """The section that a line begins, either alone or among the headings of its columns."""
    cells = [join_words(cell) for cell in split_cells(line.words, _LABEL_GAP * height)]
    sections = [match_section(cell) for cell in cells if match_section(cell)]
    columns = sum(match_column(cell) in ("date", "amount") for cell in cells)
    is_among = len(sections) == 1 and columns >= _LEAST_COLUMNS
    others = [cell for cell in cells[1:] if match_column(cell) or match_section(cell) or looks_like_amount(cell)]
    is_first = len(cells) > 1 and not others and match_section(cells[0]) is not None  # "Checks Paid      No. Checks: 8"
    after_name = line.text.rpartition(": ")[2]  # "J. Smith #4471: Payments, Credits and Adjustments"
    return match_section(line.text) or match_section(after_name) or (sections[0] if is_among or is_first else None)


def separate_summaries(
    lines: Sequence[TextLine], height: float
) -> tuple[list[TextLine], list[tuple[int, str, AmountCell]]]:
    """Separate labels side by side with amounts below them from the lines of a table, as (page, name, amount)."""
    rest, found, at = [], [], 0
    while at < len(lines):
        line, below = lines[at], lines[at + 1] if at + 1 < len(lines) else None
        named = [] if find_amounts(line.words, height) else find_summary(line, below, height)
        if below and len(named) >= _LEAST_SUMMARY and not parse_date(below.text):
            found += [(line.page, name, amount) for name, amount in named]
            at += 2
        else:
            rest.append(line)
            at += 1
    return rest, found


def find_page_number(lines: Sequence[TextLine]) -> tuple[int, int] | None:
    """Number and count as printed ("Page 2 of 5")."""
    for line in lines:
        match = _PAGE_OF.search(normalize(line.text))
        if match is None:
            continue
        named = any(word in match[0] for word in ("page", "seite", "pagina", "blatt", "feuillet"))
        if named and 1 <= int(match[1]) <= int(match[2]):
            return int(match[1]), int(match[2])
    return None


def _under(left: float, right: float, below: TextLine | None, height: float) -> list[AmountCell]:
    if below is None:
        return []
    cells = find_amounts(below.words, height)
    return [cell for cell in cells if cell.left < right and left < cell.right and looks_like_amount(cell.text)]
