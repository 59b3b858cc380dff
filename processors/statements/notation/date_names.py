"""What the heading of a column of dates names: bookings, purchases or the interest, in many languages. Pure."""

import re
from typing import Literal

DateName = Literal["booking", "day", "purchase", "value"]

_BOOKING = (
    r"post(?:ed|ing)?|book(?:ed|ing)?|process(?:ed|ing)?|entry|(?:ver)?buch\w*|boek\w*|comptab\w*|compta|contab\w*"
    r"|registr\w+|bokfor\w*|bogfor\w*|ksieg\w*|zauctovan\w*|konyvel\w*|kirjaus\w*|muhasebe|kayit|lancamento|asiento"
)
_PURCHASE = (
    r"trans|transactions?|txn|purchases?|kauf\w*|beleg\w*|umsatz\w*|einkauf\w*|achats?|operations?|compras?|consumo"
    r"|operacion|operacao|acquisto|operazione|transacti\w*|transakti\w*|transakcji|transaccion|transacao|operacji"
    r"|kjops?\w*|kobs?\w*|kops?\w*|ostos?\w*|islem|transaksi|vasarlas\w*|transak"
)
_VALUE = (
    r"value|val|valeur|valor|valuta\w*|wert\w*|rente\w*|ranta\w*|ranted\w*|arvo\w*|waluty"
    r"|effective|eff|ertek\w*|valer|τοκισμος|αξιας?"
)
_DAY = r"dates?|datum|data|fecha|dato|dag|tag|day|pvm|tarihi|tanggal|ημ/νια|ημερομηνια"
_IDEOGRAPHS: dict[DateName, str] = {  # no space between words
    "booking": "記帳|记账|入帳|入账|기장",
    "value": "起息",
    "purchase": "利用|交易|消費|消费|取引|거래",
}
_WORDS: tuple[tuple[DateName, str], ...] = (
    ("booking", _BOOKING),
    ("value", _VALUE),
    ("purchase", _PURCHASE),
    ("day", _DAY),
)
_PATTERNS = tuple(
    (name, re.compile(rf"(?<![^\W\d_])(?:{words})(?![^\W\d_])|(?:{_IDEOGRAPHS.get(name, '$.')})"))
    for name, words in _WORDS
)
_BETWEEN = r"(?:\W+(?:de|del|della|di|do|da|of|d|l|la|le))*\W+"
_HEADINGS = tuple(
    re.compile(
        rf"(?:{_DAY}){_BETWEEN}(?:{words})|(?:{words})\W+(?:{_DAY})|(?=\w*(?:datum|dato|dag|tag|paiva)$)(?:{words})"
    )
    for words in (rf"{_BOOKING}|{_PURCHASE}", _VALUE)
)


def find_date_name(text: str) -> DateName | None:
    """What a normalized text names; None if it names no date."""
    return next((name for name, pattern in _PATTERNS if pattern.search(text)), None)


def match_date_heading(text: str) -> Literal["date", "value_date"] | None:
    """The column of dates that a normalized text names as a whole, such as "data ksiegowania"."""
    wanted = text.rstrip(".: ")
    if _HEADINGS[0].fullmatch(wanted):
        return "date"
    return "value_date" if _HEADINGS[1].fullmatch(wanted) else None
