"""Whether a text outside a table is a name, or a line of an address. Pure."""

import re

from processors.statements.notation.bank_names import names_bank
from processors.statements.notation.dates import parse_date
from processors.statements.notation.keywords import match_column, match_section, match_special, normalize

_MOST_NAME_WORDS = 6
_MOST_ADDRESS_DIGITS = 9
_MOST_SHORT_DIGITS = 12  # the same if all numbers are short: "CL 127 B 45 22 AP 501"
_SHORT = 3  # digits
_PLACE = re.compile(  # a part of an address without a number
    r"\b(?:street|st|road|rd|avenue|ave|lane|ln|drive|court|ct|crescent|close|house|cottage|villa|lodge|farm|mansions?"
    r"|towers?|building|bldg|block|flat|apartments?|apt|suite|floor|\w*(?:strasse|straat|gatan|vagen)|weg|platz|gasse"
    r"|rue|quai|chemin|allee|residence|immeuble|batiment|bat|lieu-dit|hameau|via|viale|piazza|corso|calle|avenida|paseo"
    r"|plaza|edificio|urb|rua|praca|laan|plein|vej|veien|katu|ulica|ul|cedex)\b"
)
_ALIAS = re.compile(r"(?:dba|t/a|c/o|attn|z\.? ?hd\.?|trading as)\b")  # below the name of a firm or a person
_PARTICLES = re.compile(r"d[aeiou]|dos|das|del|della|la|le|van|von|der|den|ter|zu|und|and|y|e|et|ou|i|bin|al")
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
    r"\b(?:account|acct|bsb|sort code|branch code|transit|routing"
    r"|card|iban|bic|swift|page|seite|statement|period|balance|ending|number|no|nr|n°|tel|phone|fax"
    r"|konto|rekening|compte|cuenta|conta|conto|total|ref|id|date|due|vat|tax|www|from|to|du|au|del|al)\b|[:@*#=]|/.*/"
)


def is_labelled_name(text: str) -> bool:
    """False for digits, and for titles and labels such as "Customer Statement"."""
    wanted = normalize(text)
    return bool(text) and not any(char.isdigit() for char in text) and not _NO_LABELLED.search(wanted)


_NO_LABELLED = re.compile(
    r"\b(?:statements?|services?|information|numbers?|accounts?|name|copy|details|summary|address|branch|type|care|since"
    r"|savings?|checking|chequing|deposits?|mastercard|visa"
    r"|support|relations|ids?)\b|:$"
)


def is_name(text: str, least: int = 2) -> bool:
    """True for a few words with capital letters that are not a title, a label or a bank."""
    words = text.replace("/", " ").split()
    if _ALIAS.match(normalize(text)):
        return False
    if not least <= len(words) <= _MOST_NAME_WORDS or re.search(r"[^\w\s.,'’&/()·-]|[\d_]", text):
        return False
    capital = [word for word in words if not word[0].islower() or _PARTICLES.fullmatch(word)]
    has_letters = sum(char.isalpha() for char in text) > 2 and any(len(word) > 2 for word in words)
    is_other = match_column(text) or match_special(text) or match_section(text) or parse_date(text)
    return (
        len(capital) == len(words)
        and has_letters
        and not (is_other or _NO_NAME.search(normalize(text)) or names_bank(text))
    )


def is_company(text: str) -> bool:
    """True if a name ends with a legal form."""
    last = normalize(text).replace(",", "").split()[-2:]
    return bool(_COMPANY.fullmatch(" ".join(last)) or (last and _COMPANY.fullmatch(last[-1])))


def is_place(text: str) -> bool:
    """True if a text may be a line of an address that has no number."""
    return _PLACE.search(normalize(text)) is not None


def is_address(text: str) -> bool:
    """True for a few words with a number, such as that of a house, or a postal code."""
    numbers = re.findall(r"\d+", text)
    digits = sum(map(len, numbers))
    letters = sum(char.isalpha() for char in text)
    most = _MOST_SHORT_DIGITS if max(map(len, numbers), default=0) <= _SHORT else _MOST_ADDRESS_DIGITS
    if not 0 < digits <= most or letters < 2 or len(text.split()) > 10:
        return False
    return not (_NO_ADDRESS.search(normalize(text)) or parse_date(text) or re.search(r"\d[.,]\d\d(?!\d)", text))
