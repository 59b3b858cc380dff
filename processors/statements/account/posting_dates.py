"""Which of two dates of a card's rows is that of the purchase, if headings name the date of the posting first. Pure."""

import re
from collections.abc import Iterable

from processors.statements.notation.keywords import normalize
from processors.statements.notation.words import TextLine
from processors.statements.records import Row

_MOST_WORDS = 14  # of a heading row
_POSTING = (
    r"(?:post(?:ed|ing)?|book(?:ed|ing)?|process(?:ed|ing)?|buchung\w*|boek\w*|comptabilis\w*|contabili\w*|contable"
    r"|registr\w+|bokfor\w*|bogfor\w*|ksiegowani\w+|zauctovan\w*|konyvel\w*|kirjaus\w*|muhasebe|kayit)"
)
_PURCHASE = (
    r"(?:trans?(?:action)?|txn|purchase|kauf\w*|beleg\w*|umsatz(?:datum|tag)|einkauf\w*|achat|operation|compra|consumo"
    r"|operacion|operacao|acquisto|operazione|transactie\w*|transaktion\w*|transakcji|transaccion|kjop\w*|kob\w*|kop\w*"
    r"|osto\w*|islem|transaksi|vasarlas\w*)"
)
_BETWEEN = r"(?:(?:date|datum|data|fecha|dato|dag|tag|day|de|del|la|d|of|tarihi)\W+){0,3}"
_POSTING_FIRST = re.compile(rf"\b{_POSTING}\W+{_BETWEEN}{_PURCHASE}\b")
_VALUE = re.compile(r"\b(?:value|val|valeur|valor|valuta|wert\w*|rente\w*)\b")


def take_purchase_dates(rows: Iterable[Row], lines: Iterable[TextLine]) -> None:
    """Interchange the two dates of each row of a card if its headings name the posting date first."""
    if any(map(_puts_posting_first, lines)):
        for row in rows:
            if row.date and row.value_date:
                row.date, row.value_date = row.value_date, row.date


def _puts_posting_first(line: TextLine) -> bool:
    text = normalize(line.text)
    is_heading = len(line.words) <= _MOST_WORDS and not any(char.isdigit() for char in text)
    return is_heading and bool(_POSTING_FIRST.search(text)) and not _VALUE.search(text)
