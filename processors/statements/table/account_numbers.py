"""The numbers of accounts in lines and below labels, and the titles of tables. Pure."""

import itertools
import re
from collections.abc import Iterator, Sequence

from processors.statements.notation.dates import parse_date
from processors.statements.notation.iban import find_ibans, is_iban
from processors.statements.notation.keywords import normalize
from processors.statements.notation.words import PageWord, TextLine, join_words, split_cells
from processors.statements.table.amount_cells import find_amounts
from processors.statements.table.headings import find_headings
from processors.statements.table.holder_words import LABEL

_LABEL_GAP = 1.2  # line heights between the words of one label
BETWEEN_CELLS = " | "
_SUB_ACCOUNT = r"(?:-[a-z]{1,3}\d{0,3}(?![a-z0-9]))?"  # "48213-S70", "041287-EOP"
_NUMBER = (
    r"(?P<number>(?:[a-z]{1,4}-)?[a-z]{0,2}[\dx*][\dx* \-/.]{3,32}[\dx*](?:[a-z](?![a-z0-9]))?"
    rf"(?![a-z0-9]|[./-]\d){_SUB_ACCOUNT})"
)
_ACCOUNT_LABEL = (
    r"(?:account|acct\.?|member(?:ship)?)(?: ?(?:number|no\.?|nr\.?|num\.?|id|#))+|a/c(?: no\.?)?"
    r"|account ending(?: in)?|номер счета"
    r"|(?!referenz|gegen)[^\W\d_]{0,9}konto\s?(?:nummer|-nr\.?|nr\.?|no\.?)|kontonr\.?"
    r"|(?:numero|n°|no\.?|nº) (?:de |do |del? |di )?(?:compte|cuenta|conta|conto)|n° compte"
    r"|(?:compte|cuenta|conta|conto)(?: [^\W\d_]+){1,3} (?:n°|nº|n\.|no\.?|numero|nr\.?)"
    r"|(?:compte(?: de depots?| courant| cheques?)?|cuenta(?: corriente| de ahorros?| vista)?"
    r"|conta(?: corrente| simples|(?: de)?(?: depositos?)? a ordem)?|conto(?: corrente)?)"
    r"(?: (?:n°|nº|n\.?o?\.?|no\.?|numero|nr\.?))?"
    r"|(?:no\.?|nomor) rekening"
    r"|rekening ?(?:nummer|nr\.?)?|(?:nr|numer) rachunku|rachunek|hesap(?: (?:no|numarasi))?\.?|(?:cislo )?uc(?:tu|et)"
    r"|szamlaszam|tilinumero|(?!referenz|gegen)[^\W\d_]{0,9}konto|account(?= ?:? ?\d[\d -]{5})"
    r"|口座番号(?: ?(?:普通|当座|貯蓄))?|(?:普通|当座|貯蓄)(?:預金)?|계좌번호|账号|帐号|帳號|賬號|戶口號碼"
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
PHONE_NUMBER = re.compile(rf"mobile (?:number|no\.?)\s?:?\s?{_NUMBER}")  # of a wallet, which may have no other number
PLAIN_NUMBER = re.compile(  # of an account, if there is no other label
    r"(?:numero|number|nummer|numer|nomor|n°|nº)[.:]?\s(?P<number>\d[\d \-./]{5,}\d)"
)
NUMBERED = re.compile(r"(?:n°|nº|no\.?|nr\.?|#)\s?:?\s?(?P<number>\d[\d ]{4,}\d(?: ?[a-z]\b)?)")
_OF_YEAR = re.compile(r"\d{1,3}/(?:19|20)\d\d")  # the number of a statement, "Estratto conto n. 4/2025"
_LABEL_ONLY = re.compile(rf"(?:[^\d:]{{0,20}} )?(?:{_ACCOUNT_LABEL})\s?:?")
NUMBER_ONLY = re.compile(r"(?=(?:[^\d]*\d){4})[\dxX*•][\dxX*•\-/. ]{3,32}[\dxX*•]")
_IDENTIFIER = re.compile(  # of letters and digits
    r"(?:account|acct\.?) (?:number|no\.?|id)\s?:?\s?(?P<number>(?=[a-z]*\d[a-z]*\d)(?=\d*[a-z])[a-z0-9]{8,24})\b"
)
_IBAN = re.compile(  # with or without spaces; ends before a word, and before a date
    r"\biban\s?:?\s?(?P<number>(?=[a-z0-9 ]{14})[a-z]{2}\d{2}(?: ?[a-z]{4})?"
    r"(?: ?(?=[a-z]{0,3}\d)[a-z0-9]+(?![-./:a-z0-9]))+)"
)
CARD_CELL = re.compile(r"(?P<number>[3-6]\d{3}([ -])\d{4}\2\d{4}\2\d{4})(?: [^\W\d_].*)?")  # maybe with a name
_CARD_LABEL = re.compile(r"(?:card|karten|tarjeta|cartao|kaart|kort) ?(?:number|no\.?|nummer|n°|nr\.?)\s?:?")
_GROUP = re.compile(  # the number of a customer whose accounts have codes: "Folio 071833-7", "Member No. 41287"
    rf"(?:^|[^a-z])(?:folio|member(?:ship)?(?: ?(?:number|no\.?|#))?)\s?:?\s?{_NUMBER}"
)
_GROUP_LABEL = re.compile(r"folio|member(?:ship)?(?: ?(?:number|no\.?|#))?")
CODE = re.compile(  # of an account of such a customer, before its name: "EOP – Compte avec opérations", "S1 Savings"
    r"(?:(?:ID|SUFFIX|Suffix|Sfx):? )?(?P<code>[A-Z]{1,4} ?\d{1,4}|\d{2,4}|[A-Z]{2,4}(?= ?[|–-]| [A-Z][a-z]))"
    r"(?: ?[|–-] ?| )(?=[^\W\d_])"
)
PAYER = re.compile(  # an account that pays what a card owes, in a sentence
    r"\b(?:afgeschreven|abgebucht|eingezogen|einziehen|(?:be|is|are|was) (?:debited|collected|charged|taken)"
    r"|(?:sera|est) (?:preleve|debite)|preleve sur|se cargara|addebitat[oa]|debitad[oa]|trekkes|dras fran"
    r"|veloitetaan)\b"
)
_LINES_BELOW = 3  # from a label to its number
_FAR_BELOW = 3.0  # line heights from a label to its number
_FAR_ABOVE = 3.0  # line heights from a title to the headings of its table
CONTINUED = re.compile(r"\(?\b(?:cont(?:inued|'d|\.)|suite|fortsetzung|continuacion|segue|vervolg|forts)\b.*")
NO_ACCOUNT = re.compile(r"\b(?:tel|phone|telephone|fax|call|hotline|mobile)\b|\b(?:reg|vat|tax|ust|hrb|gnr|siren)\b")

_LABELLED = (("group", _GROUP), ("account", _ACCOUNT), ("iban", _IBAN), ("account", _IDENTIFIER), ("account", _ENDING))


def find_card_number(text: str) -> str:
    cells = text.split(BETWEEN_CELLS)
    for part in (*cells, *map(" ".join, itertools.pairwise(cells))):
        wanted = normalize(part)
        card = _CARD_NUMBER.search(wanted) or _MASKED.search(wanted) or CARD_CELL.fullmatch(wanted)
        if card and any(compact(card["number"]) in compact(cell) for cell in cells):
            return compact(card["number"])
    return ""


def find_in_cells(text: str) -> list[tuple[str, str]]:
    """The labels and numbers in a line whose cells are separated: in one cell, or behind a label in the cell before.

    Only an IBAN with right check digits may extend over several cells.
    """
    cells = text.split(BETWEEN_CELLS)
    found = [each for cell in cells for each in _find_numbers(cell)]
    for pair in itertools.pairwise(cells):
        if LABEL.fullmatch(normalize(pair[0])):
            continue  # "Titulaire du compte      35000 RENNES"
        found += [each for each in _find_numbers(" ".join(pair)) if any(each[1] in compact(cell) for cell in pair)]
    return found + [("iban", iban) for iban in find_ibans(" ".join(cells)) if is_iban(iban)]


def _find_numbers(text: str) -> Iterator[tuple[str, str]]:
    wanted = normalize(text)
    for label, pattern in (
        ("group", _GROUP),
        ("account", _ACCOUNT),
        ("iban", _IBAN),
        ("account", _IDENTIFIER),
        ("account", _ENDING),
    ):
        for match in pattern.finditer(wanted):
            if not (label != "iban" and (is_date(match["number"]) or _OF_YEAR.fullmatch(match["number"]))):
                yield label, compact(match["number"])
                break
    if title := _TITLE.fullmatch(wanted):
        yield "account", compact(title["number"])
    yield from (("iban", number) for number in find_ibans(text))


def compact(number: str) -> str:
    return re.sub(r"[\s.]", "", number).upper()


def is_date(number: str) -> bool:
    """True for a date, or two."""
    printed = parse_date(number)
    rest = number[printed.length :].lstrip(" -–/") if printed else ""
    return printed is not None and (not rest or (printed.year is not None and parse_date(rest) is not None))


def separate_cells(line: TextLine, height: float) -> str:
    """The text of a line with its cells separated, because a number ends where its cell ends. A colon that is printed
    far from its label is put beside it."""
    text = BETWEEN_CELLS.join(join_words(cell) for cell in split_cells(line.words, _LABEL_GAP * height))
    return text.replace(f"{BETWEEN_CELLS}:{BETWEEN_CELLS}", f":{BETWEEN_CELLS}")


def find_title(lines: Sequence[TextLine], top: int, height: float) -> str:
    """The title right above the headings of a table, which are in line `top`, with its cells separated; "" if there is
    none."""
    while top and find_headings(lines[top - 1], height):
        top -= 1
    line = lines[top - 1] if 0 < top < len(lines) else None
    if line is None or lines[top].top - line.bottom > _FAR_ABOVE * height or find_amounts(line.words, height):
        return ""
    return separate_cells(line, height)


def find_account_below(line: TextLine, below: Sequence[TextLine], height: float) -> tuple[str, str]:
    """The number below its label, such as "Account Number" as the heading of a column, and the kind of the label;
    empty if there is none.

    below: the lines below that of the label.
    """
    for cell in split_cells(line.words, _LABEL_GAP * height):
        text = normalize(join_words(cell))
        if not (_LABEL_ONLY.fullmatch(text) or _CARD_LABEL.fullmatch(text) or _GROUP_LABEL.fullmatch(text)):
            continue
        for other in _cells_below(cell, below[:_LINES_BELOW], height):
            number = join_words(other)
            if NUMBER_ONLY.fullmatch(number) and not is_date(number):
                return "group" if _GROUP_LABEL.fullmatch(text) else "account", compact(number)
    return "", ""


def _cells_below(cell: Sequence[PageWord], below: Sequence[TextLine], height: float) -> list[tuple[PageWord, ...]]:
    """The cells of the first line that has one below `cell`."""
    for line in below:
        found = [
            other
            for other in split_cells(line.words, _LABEL_GAP * height)
            if other[0].left < cell[-1].right and cell[0].left < other[-1].right
        ]
        if found or line.top - cell[0].bottom > _FAR_BELOW * height:
            return found
    return []
