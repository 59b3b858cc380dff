"""The holder of an account: by a label, a form of address, or as the name above an address. Pure.

Without any of these, the holder is not guessed, because the bank's own name and the titles of the page also look like
names.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence

from processors.statements.notation.bank_names import names_bank
from processors.statements.notation.dates import parse_date
from processors.statements.notation.keywords import match_column, match_section, match_special, normalize
from processors.statements.notation.words import PageWord, TextLine, join_words, line_height, split_cells

_LABEL_GAP = 1.2  # line heights between the words of one label
_MOST_NAME_WORDS = 6
_ALIGNED = 0.7  # line heights by which the left edges of the lines of an address differ
_BELOW = 2.0  # line heights between two lines of an address
_NEAR_NAME = 2  # lines from a name to the first line of its address
_MOST_ADDRESS_DIGITS = 9
_LABEL_WORDS = (
    r"(?:account (?:holder|owner|name|title)|name of (?:account|customer)|customer(?: name)?|client(?: name)?"
    r"|card(?:holder| ?member)(?: name)?|kontoinhaber(?:in)?|inhaber(?:in)?|titulaire(?: du compte)?"
    r"|titular(?: (?:de la cuenta|da conta))?|intestatario|intestato a|titolare|rekeninghouder|kontohaver|kontohavare"
    r"|kontoinnehavare|tilinomistaja|posiadacz(?: rachunku)?|majitel(?: uctu)?|klient|szamlatulajdonos|ugyfel"
    r"|titular de cont|hesap sahibi|musteri(?: adi)?|pemegang rekening|nama(?: nasabah)?|ten (?:tai khoan|khach hang)"
    r"|chu tai khoan|nombre(?: del cliente)?|nome(?: do cliente)?|nom|navn|namn|name|cliente|owner"
    r"|klientas|saskaitos savininkas|klients|konta ipasnieks|klijent|vlasnik racuna|imetnik(?: racuna)?|kontoomanik"
    r"|клієнт|власник рахунку|клиентка|zakaznik|clientul|client titular|титуляр на сметката"
    r"|ชือบัญชี|владелец(?: счета)?|клиент|фио|титуляр|δικαιουχος|ονοματεπωνυμο"
    r"|お名前|口座名義|ご契約者名|戸名|戶名|户名|姓名|예금주|성명|고객명"
    r"|שם(?: הלקוח| בעל החשבון)?|اسم (?:العميل|صاحب الحساب|الحساب)|الاسم)"
)
_LABEL = re.compile(rf"{_LABEL_WORDS}\s?:?")
_LABELLED = re.compile(rf"(?P<label>{_LABEL_WORDS})(?:\s*:\s*|\s+)(?P<name>[^\W\d_]\D+)")
_TITLE = re.compile(
    r"(?:mr|mrs|ms|miss|dr|herrn?|frau|m|mme|mlle|melle|sr|sra|srta|messrs|mevr|mevrouw|mw|dhr|de heer"
    r"|sig|sig\.ra|pan|pani|hr|fru|bapak|ibu|encik|puan|sayin)\b\.?"
    r"(?:\s?(?:ou|et|et/ou|&|and|und|en|e|i)\s(?:mr|mrs|ms|mme|melle|frau|herr|mevr|sra|pani)\b\.?)?"
)
_DEAR = re.compile(r"sayin\b")  # a salutation, no title of the name
_CAPITAL = re.compile(r"[^\W\d_a-z]")
_BARE_TITLE = re.compile(r"(?:herrn?|frau|herrn? und frau|monsieur|madame|signora?|de heer|mevrouw)")
_CARD = re.compile(r"(?: (?=[\dXx*•]{4} ?[Xx*•]{4})[\dXx*• -]+)?$")  # the number of a card, "4510 XXXX XXXX 7712"
_NUMBER_BEHIND = re.compile(r" ?[(\[][\d\s-]{5,}[)\]]$")  # of a person or a firm, behind the name
_HONORIFIC = re.compile(r"\s?(?:様|殿|御中)$")
_ALIAS = re.compile(r"(?:dba|t/a|c/o|attn|z\.? ?hd\.?|trading as)\b")  # below the name of a firm or a person
_PARTICLES = frozenset(
    [
        "de",
        "da",
        "do",
        "dos",
        "das",
        "del",
        "della",
        "di",
        "du",
        "la",
        "le",
        "van",
        "von",
        "der",
        "den",
        "ter",
        "zu",
        "und",
        "and",
        "y",
        "e",
        "et",
        "ou",
        "i",
        "bin",
        "al",
    ]
)
_COMPANY = re.compile(
    r"(?:ltd|limited|llc|llp|plc|inc|corp|gmbh|ug|kg|ohg|sarl|sas|srl|s\.r\.l|spa|s\.p\.a|sl|s\.l|lda|bv|b\.v|nv|oy|ab|aps"
    r"|as|a/s|kft|s\.?r\.?o|sp\. z o\.o|d\.o\.o|pty ltd|pte ltd|sdn bhd|ltda|株式会社|有限公司)\.?"
)
# words of titles, labels and products, none of which is part of a name
_NO_NAME = re.compile(
    r"\b(?:statements?|services?|information|numbers?|accounts?|name|copy|details?|summary|address|branch|type|care|since"
    r"|support|relations|ids?|activity|currency|balances?|period|page|current|checking|savings?|card|transactions?"
    r"|totals?|interest|deposits?|payments?|online|customer|client|platinum|rewards|premier|portfolio|report|plan|offices?"
    r"|market|trust|securities|credit|debit|cash|fees?|opening|closing|amount|date|description|important|branches"
    r"|kontoauszug|auszug|privatkonto|girokonto|konto|rekening\w*|afschrift|zichtrekening|releve|compte|extracto?"
    r"|cuenta|estado|estratto|conto|extrato|conta|extras|cont|valuta|iban|bic|swift|saldo|solde|wyciag|vypis"
    r"|kivonat\w*|bankszamlakivonat|tiliote|kontoutdrag|kontoutskrift|kontoudskrift|hesap|ekstre|rekening|koran"
    r"|tahapan|penyata|akaun|resumen|movimientos|oficina|sucursal|filiale|agence|agencia|periodo|divisa|moneda)\b|:$"
)
_NO_ADDRESS = re.compile(
    r"\b(?:account|acct|card|iban|bic|swift|page|seite|statement|period|balance|ending|number|no|nr|n°|tel|phone|fax"
    r"|konto|rekening|compte|cuenta|conta|conto|total|ref|id|date|due|vat|tax|www|from|to|du|au|del|al)\b|[:@*#=]|/.*/"
)


def find_holder(lines: Sequence[TextLine]) -> str:
    """The account holder, from the lines outside the tables; "" if nothing shows the name."""
    height = line_height(lines)
    pages = [
        [split_cells(line.words, _LABEL_GAP * height) for line in own]
        for _, own in itertools.groupby(lines, key=lambda line: line.page)
    ]
    rows = [cells for page in pages for cells in page]
    names = itertools.chain(
        _named_by_label(rows, height),
        _addressed(rows, height),
        (name for page in pages for name in _above_address(page, height)),
        _beside_account(rows),
        _before_product(rows),
        _greeted(rows),
        _companies(rows),
    )
    return next(names, "")


_PRODUCT = re.compile(r"^[^\W\d_]*(?:konto|account|compte|cuenta|conta|conto|rekening)$")
_GREETING = re.compile(
    r"(?:hello|hi|dear|hallo|liebe[r]?|guten tag|bonjour|cher|chere|hola|ola|caro|cara|estimad[oa]|ciao|hej|hei|beste)"
    r",? (?P<name>[^\W\d_]{3,})[,.!]?$"
)
Rows = Sequence[Sequence[tuple[PageWord, ...]]]  # the cells of each line


def _named_by_label(rows: Rows, height: float) -> Iterator[str]:
    """The names after a label, in the next cell, or below it where the next cell is a label, too."""
    for cells, below in zip(rows, [*rows[1:], []], strict=False):
        for cell, following in zip(cells, [*cells[1:], None], strict=False):
            text = _text(cell)
            match = _LABELLED.match(_plain(text))
            is_label = _LABEL.fullmatch(_plain(text)) is not None
            if match and not is_label and _is_labelled_name(name := _after(text, match)):
                yield name
            elif is_label:
                under = [each for each in below if _overlap(each, cell) and not _looks_like_label(each)]
                is_table = bool(under and following) and _is_label_above(following or (), below)
                beside = [following] if following and not is_table and not _looks_like_label(following) else []
                yield from filter(_is_labelled_name, map(_text, (*beside, *under)))


def _is_label_above(cell: Sequence[PageWord], below: Sequence[Sequence[PageWord]]) -> bool:
    """True for a cell that is no name and has a value below it."""
    return not _is_name(_text(cell)) and any(_overlap(each, cell) for each in below)


def _overlap(cell: Sequence[PageWord], other: Sequence[PageWord]) -> bool:
    return cell[0].left < other[-1].right and other[0].left < cell[-1].right


def _addressed(rows: Rows, height: float) -> Iterator[str]:
    """The names with a form of address before or behind them, or on the line above."""
    for cells, below in zip(rows, [*rows[1:], []], strict=False):
        for cell in cells:
            text = _text(cell)
            title = _TITLE.match(_plain(text))
            card = _CARD.search(text)
            number = card[0] if card else ""
            rest = text[title.end() :].removesuffix(number).strip() if title else ""
            if _HONORIFIC.search(unicodedata.normalize("NFKC", join_words(cell))) and len(cell) <= _MOST_NAME_WORDS:
                yield text
            elif _BARE_TITLE.fullmatch(_plain(text)):
                yield from filter(_is_name, (_text(each) for each in below if _is_aligned(cell, each, height)))
            elif title and _CAPITAL.match(text) and _is_name(rest, least=1):
                yield rest if _DEAR.match(title[0]) else text.removesuffix(number)


def _above_address(rows: Rows, height: float) -> Iterator[str]:
    """The names right above a line of an address: the lowest of a page first, since the bank's own address is above."""
    found = []
    covered: set[int] = set()  # the ids of the first words of cells below a name, in its address
    for at, cells in enumerate(rows):
        for cell in cells:
            block = [] if id(cell[0]) in covered else _lines_below(rows, at, cell, height)
            texts = [_text(each) for each in block[: _NEAR_NAME + 1]]
            if not _is_name(_text(cell)) or not any(map(_is_address, texts[:_NEAR_NAME])):
                continue
            if not (_is_name(texts[0]) and any(map(_is_address, texts[1:]))):  # the name itself is below
                found.append(_text(cell))
                covered |= {id(each[0]) for each in block}
    yield from reversed(found)


def _beside_account(rows: Rows) -> Iterator[str]:
    """The names left of the number of the account, if they are there on several pages."""
    names = [_text(cells[0]) for cells in rows if len(cells) > 1 and _NAMES_ACCOUNT.search(_plain(_text(cells[1])))]
    yield from (name for name in dict.fromkeys(names) if names.count(name) > 1 and _is_name(name))


_NAMES_ACCOUNT = re.compile(r"\b(?:account|acct|konto|compte|cuenta|conta|conto)\b.*\d")


def _before_product(rows: Rows) -> Iterator[str]:
    """The names before a comma and a kind of account, such as "Leonhard Huber, Gehaltskonto"."""
    for cells in rows:
        for cell in cells:
            name, _, product = _text(cell).partition(",")
            if _PRODUCT.search(_plain(product)) and _is_name(name):
                yield name


def _greeted(rows: Rows) -> Iterator[str]:
    """The complete names of a person who is greeted by one of them, as in "Hello Maria,"."""
    texts = [_text(cell) for cells in rows for cell in cells]
    greeted = {match["name"] for text in texts if (match := _GREETING.match(_plain(text)))}
    yield from (text for text in texts if greeted & set(_plain(text).split()) and _is_name(text))


def _companies(rows: Rows) -> Iterator[str]:
    """The names of companies that are not banks, below the first line, which belongs to the bank."""
    for cells in rows[1:]:
        for cell in cells:
            text = _text(cell)
            last = " ".join(_plain(text).split()[-2:]).replace(",", "")
            if len(cell) > 1 and _is_name(text) and (_COMPANY.fullmatch(last) or _COMPANY.fullmatch(last.split()[-1])):
                yield text


def _lines_below(rows: Rows, at: int, cell: Sequence[PageWord], height: float) -> list[tuple[PageWord, ...]]:
    """The cells right below one another, from that below `cell` on, with the same left edge."""
    found: list[tuple[PageWord, ...]] = []
    last = cell
    for cells in rows[at + 1 :]:
        under = next((each for each in cells if _is_aligned(last, each, height)), None)
        top = min(word.top for each in cells for word in each)
        if not 0 < top - last[0].bottom + height < (_BELOW + 1) * height:
            break
        if under is None:
            if any(each[0].left <= last[-1].right for each in cells):
                break
            continue  # a line of the text beside the address
        found.append(under)
        last = under
    return found


def _is_aligned(cell: Sequence[PageWord], other: Sequence[PageWord], height: float) -> bool:
    return abs(cell[0].left - other[0].left) < _ALIGNED * height


def _looks_like_label(cell: Sequence[PageWord]) -> bool:
    return re.search(r"sort ?code|account|number|iban|bic|nr\.?$|no\.?$|:$", _plain(_text(cell))) is not None


def _is_labelled_name(text: str) -> bool:
    """False for digits, and for titles and labels such as "Customer Statement"."""
    wanted = normalize(text)
    return bool(text) and not any(char.isdigit() for char in text) and not _NO_LABELLED.search(wanted)


_NO_LABELLED = re.compile(
    r"\b(?:statements?|services?|information|numbers?|accounts?|name|copy|details|summary|address|branch|type|care|since"
    r"|savings?|checking|chequing|deposits?|mastercard|visa"
    r"|support|relations|ids?)\b|:$"
)


def _is_name(text: str, least: int = 2) -> bool:
    """True for a few words with capital letters that are not a title, a label or a bank."""
    words = text.replace("/", " ").split()
    if _ALIAS.match(normalize(text)):
        return False
    if not least <= len(words) <= _MOST_NAME_WORDS or re.search(r"[^\w\s.,'’&/()·-]|[\d_]", text):
        return False
    capital = [word for word in words if not word[0].islower() or word.lower() in _PARTICLES]
    has_letters = sum(char.isalpha() for char in text) > 2 and any(len(word) > 2 for word in words)
    is_other = match_column(text) or match_special(text) or match_section(text) or parse_date(text)
    return (
        len(capital) == len(words)
        and has_letters
        and not (is_other or _NO_NAME.search(normalize(text)) or names_bank(text))
    )


def _is_address(text: str) -> bool:
    """True for a few words with a number, such as that of a house, or a postal code."""
    digits = sum(char.isdigit() for char in text)
    letters = sum(char.isalpha() for char in text)
    if not 0 < digits <= _MOST_ADDRESS_DIGITS or letters < 2 or len(text.split()) > 10:
        return False
    return not (_NO_ADDRESS.search(normalize(text)) or parse_date(text) or re.search(r"\d[.,]\d\d(?!\d)", text))


def _text(cell: Sequence[PageWord]) -> str:
    """The text of a cell without stars and colons around it, and without 様."""
    text = unicodedata.normalize("NFKC", join_words(cell)).strip(" *:|·•")
    return _NUMBER_BEHIND.sub("", _HONORIFIC.sub("", text)) if len(text) > 2 else text


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", normalize(text))


def _after(text: str, match: re.Match[str]) -> str:
    """The name in its original letters, some of which `_plain` may have replaced."""
    label, colon, name = text.partition(":")
    if colon and _LABEL.fullmatch(_plain(label)):
        return name.strip()
    return " ".join(text.split()[-len(match["name"].split()) :])
