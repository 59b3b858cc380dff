"""The shop and the date of a receipt. Pure."""

import datetime
import re
from collections.abc import Sequence

from processors.statements.notation.dates import DateOrder, PrintedDate, detect_date_order, find_dates, resolve_date
from processors.statements.receipts.keywords import find_role, fold

_NO_SHOP = re.compile(  # texts above the shop's name on some receipts
    r"^\W*(?:(?:simplified |sales |tax |guest |customer |merchant )*(?:receipt|invoice|copy|check|bill)"
    r"|welcome(?: to)?|thank you.*|kassenbon|kassenbeleg|rechnung|quittung|beleg|bon|ticket(?: de caisse)?|recu|facture"
    r"(?: simplifiee)?|factura simplificada|scontrino(?: fiscale)?|documento commerciale|ricevuta|bonnetje|kassabon"
    r"|kvitto|kvittering|kuitti|paragon fiskalny|nyugta|fis|bilgi fisi|cupom fiscal|talao|領収書|領収証|レシート|収据"
    r"|영수증|original|duplicate|willkommen.*|bienvenue.*|benvenuti.*|welkom.*)\W*$"
)
_LEAST_DAYS = 3  # dates in a list of days
_HOUR = r"(?:[01]?\d|2[0-3])"
_TIME = re.compile(  # with a dot only after a date or a word: 3.20 is an amount
    rf"(?<!\d){_HOUR} ?[:hH時시] ?[0-5]\d(?!\d)|\b(?:am|pm)\b|{_HOUR}\.[0-5]\d ?(?:Uhr|h)\b"
    rf"|(?:[./-]\d{{2,4}},?|\b(?:klo?|um|time|zeit|hora|ora|tid)\.?:?) *{_HOUR}\.[0-5]\d(?!\.?\d)",
    re.IGNORECASE,
)
_NAMED = re.compile(r"\b(?:date|datum|data|fecha|dato|pvm|kelt|tarih|日付|日期|일자|issued|sold|le)\b|^\W*(?:le|del)\b")
_NOT_NAMED = re.compile(
    r"\b(?:due|expir|valid|return|exp|best before|gultig|scad|until|bis|faellig|fallig|echeance|vence|retour|umtausch"
    r"|arriv|depart|check-?in|check-?out|anreise|abreise|ankunft|entrada|salida|llegada|aankomst|vertrek|inrijden|uitrijden"
    r"|delivery|birth|since|seit|depuis|desde|tse-start|licen[cs]e|copyright)"
)
_EAST_ASIAN = re.compile(r"(?<!\d)(?P<y>\d{4}|\d{2})\s?[年년]\s?(?P<m>\d{1,2})\s?[月월]\s?(?P<d>\d{1,2})\s?[日일]")
_REIWA = re.compile(r"(?:令和|R)\s?(?P<y>\d{1,2})[年.]\s?(?P<m>\d{1,2})[月.]\s?(?P<d>\d{1,2})")
_YEAR_FIRST = re.compile(r"(?<!\d)(?P<y>\d{2})[/.\-](?P<m>\d{1,2})[/.\-](?P<d>\d{1,2})(?!\d)")
_YEAR_FIRST_CURRENCIES = ("JPY", "CNY", "KRW", "TWD")
_SPACED = re.compile(r"(?<!\d)(\d{1,2}|\d{4}) ?([./-]) (\d{1,2}) ?\2 ?(\d{4}|\d{2})(?!\d)")
_GLUED_MONTH = re.compile(r"(?<=\d)(?=(?:jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-z]*)", re.I)
_MORE_MONTHS = {  # in addition to those of the statements, by number
    1: "styczen stycznia leden ledna ocak januari jaanuar janeiro",
    2: "luty lutego unor unora subat helmikuu fevereiro",
    3: "marzec marca brezen brezna mart marco",
    4: "kwiecien kwietnia duben dubna nisan april",
    5: "maj maja kveten kvetna mayis maio",
    6: "czerwiec czerwca cerven cervna haziran junho",
    7: "lipiec lipca cervenec cervence temmuz julho",
    8: "sierpien sierpnia srpen srpna agustos",
    9: "wrzesien wrzesnia zari eylul setembro",
    10: "pazdziernik pazdziernika rijen rijna ekim outubro",
    11: "listopad listopada listopadu kasim novembro",
    12: "grudzien grudnia prosinec prosince aralik dezembro",
}
_MORE = {name: number for number, names in _MORE_MONTHS.items() for name in names.split()}
_MORE_NAMED = re.compile(rf"(?<!\d)(?P<d>\d{{1,2}})\.? ?(?:de )?(?P<name>{'|'.join(_MORE)}) ?(?:de )?(?P<y>\d{{4}})")


def find_shop(texts: Sequence[str]) -> str:
    """The first line of words that is not only the kind of the document."""
    named = [text for text in texts if sum(char.isalpha() for char in text) > 1]
    return next((text for text in named if not _NO_SHOP.match(fold(text))), named[0] if named else "").strip("*-= ")


def find_date(texts: Sequence[str], currency: str = "") -> tuple[datetime.date | None, str]:
    """The date of the purchase, and why it is not certain ("" if it is).

    A date beside a time of day or its label takes precedence, then that of the payment, then the last day of a list
    (a stay in a hotel); day or month first as in the currency's countries.
    """
    dated = [(text, printed) for text in texts for printed in find_printed_dates(text, currency) if printed.year]
    dated = [each for each in dated if not _NOT_NAMED.search(fold(each[0]))] or dated
    if not dated:
        return None, "no date was found"
    order, is_certain = detect_order([printed for _, printed in dated], currency)
    best = max(_weigh(text) for text, _ in dated)
    first = [each for each in dated if _weigh(each[0]) == best]
    if best == 0 and len(first) >= _LEAST_DAYS:
        first.sort(key=lambda each: resolve_date(each[1], order, None) or datetime.date.min, reverse=True)
    for _, printed in (*first, *dated):
        if day := resolve_date(printed, order, None):
            pair = printed.pair
            is_open = not is_certain and pair is not None and max(pair) <= 12 and pair[0] != pair[1]
            return day, f"the date is read as {day}: day or month may be first" if is_open else ""
    return None, "no date was found"


def _weigh(text: str) -> int:
    """How much the text beside a date shows that it is the date of the purchase."""
    return 4 * bool(_TIME.search(text)) + 2 * bool(_NAMED.search(fold(text))) + (find_role(text) == "payment")


def detect_order(printed: Sequence[PrintedDate], currency: str) -> tuple[DateOrder, bool]:
    pairs = [each.pair for each in printed if each.pair]
    if any(max(pair) > 12 for pair in pairs):
        return detect_date_order(printed), True
    if currency == "USD":
        return "mdy", True
    return "dmy", currency not in ("", "CAD", "PHP")


def find_printed_dates(text: str, currency: str) -> list[PrintedDate]:
    found = []
    for pattern, offset in ((_EAST_ASIAN, 2000), (_REIWA, 2018)):
        for match in pattern.finditer(text):
            year = int(match["y"])
            found.append(PrintedDate(int(match["d"]), int(match["m"]), year if year > 999 else year + offset))
    if named := _MORE_NAMED.search(fold(text)):
        found.append(PrintedDate(int(named["d"]), _MORE[named["name"]], int(named["y"])))
    if found:
        return found
    if currency in _YEAR_FIRST_CURRENCIES and (year_first := _YEAR_FIRST.search(text)):
        return [PrintedDate(int(year_first["d"]), int(year_first["m"]), 2000 + int(year_first["y"]))]
    return find_dates(_GLUED_MONTH.sub(" ", _SPACED.sub(r"\1\2\3\2\4", text)))
