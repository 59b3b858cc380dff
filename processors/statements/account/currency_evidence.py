"""The currency of one account, by codes and signs, its IBAN, or the country's words. Pure.

"$" alone identifies no currency: two dozen countries use it, so something else must name one of them.
"""

import re
from collections.abc import Iterable, Sequence

from processors.statements.notation.currencies import detect_currency
from processors.statements.notation.iban import currency_of, find_ibans
from processors.statements.notation.keywords import normalize

# words of one country's statements only; the first that occurs decides
_BY_WORDS = (
    ("GBP", r"sort ?code|\bfscs\b|financial services compensation scheme|building society"),
    ("PKR", r"\bpakistan\b"),
    ("BDT", r"\bbangladesh\b|\btaka\b"),
    ("INR", r"\bifsc?\b|\bmicr\b|\brs\. ?\d|\b(?:neft|rtgs|imps|upi)\b|\d\d?,\d\d,\d{3}\.\d\d"),  # lakh
    (
        "AUD",
        r"\bbsb\b|\babn\b|\bafsl\b|\bbpay\b|\bpayid\b|\bosko\b|\baustralia\b"
        r"|\b(?:nsw|vic|qld|tas|act) \d{4}\b",
    ),
    ("NZD", r"new zealand|\bird number|\b\d\d-\d{4}-\d{7}-\d{2,3}\b"),
    ("SGD", r"singapore|\bpaynow\b"),
    ("HKD", r"hong kong|\bfps id\b"),
    ("CAD", r"\bcdic\b|\binterac\b|chequing|transit (?:no|number|#)|\bcanada\b|\be-?transfer\b|\bgst/hst\b"),
    ("MXN", r"\bclabe\b|\bspei\b|\brfc\b"),
    ("BRL", r"\bagencia\b|\bpix\b|\bcnpj\b|\bcpf\b"),
    (
        "ZAR",
        r"south africa|\bfnb\b|\(pty\) ltd|\bncrcp\d|\bbankstaat\b|\bjohannesburg\b|\bcape town\b|\bpretoria\b"
        r"|\br ?\d{1,3}(?:[ ,]\d{3})*\.\d\d\b",
    ),
    ("USD", r"\bfdic\b|routing number|\baba\b|\bach\b|\brtn\b|\bzelle\b|\bvenmo\b|\bncua\b"),
    ("JPY", r"円|口座番号|普通預金"),
    ("KRW", r"원\b|계좌"),
    ("CNY", r"人民币|\brmb\b"),
    ("TRY", r"\btl\b|turk"),
    ("PLN", r"\bzl\b|rachun"),
    ("CZK", r"\bkc\b"),
    ("HUF", r"\bft\b|szamlaszam|\b\d{8}-\d{8}-\d{8}\b"),
    ("RON", r"\blei\b|extras (?:de )?cont\b"),
    ("MYR", r"\brm ?\d|\bringgit\b|\bpenyata\b"),
    ("IDR", r"\brp\.? ?\d|\brupiah\b"),
    ("CLP", r"\bcartola\b|\bchile\b"),
    ("SEK", r"bankgiro|clearingn|kontoutdrag|\bswish\b"),
    ("DKK", r"\bregnr|reg\.? ?nr|kontoudskrift|dankort"),
    ("NOK", r"kontoutskrift|bokfort|\bvipps\b"),
    ("KES", r"\bkenya\b|\bpay ?bill\b"),
    ("NGN", r"\bnigeria\b|\bnaira\b|\bnuban\b"),
    ("GHS", r"\bghana\b|\bcedis?\b"),
    ("PHP", r"\bphilippines?\b|\bpilipinas\b|\bgcash\b"),
    ("THB", r"บาท|\bbaht\b|\bthailand\b"),
    ("VND", r"\bviet ?nam\b"),
    ("TWD", r"[臺台]幣"),
    ("AED", r"\bdirhams?\b|\bunited arab emirates\b|\buae\b"),
    ("SAR", r"\bsaudi\b"),
    ("EGP", r"\begypt\b"),
    ("ILS", r"שקל|₪|\bnis\b|\bisrael\b"),
    ("ARS", r"\bargentina\b|\bcbu\b"),
    ("COP", r"\bcolombia\b|\bnequi\b|\b4x1000\b|\bbogota\b|\bmedellin\b|\bdavivienda\b"),
    ("PEN", r"\bperu\b|\bsoles\b"),
    ("UAH", r"\bгрн\b|украін"),
    ("RUB", r"\bруб\b"),
    ("RSD", r"\bsrbij[ae]\b|\bdinara?\b"),
    ("CHF", r"\b(?:schweiz|suisse|svizzera|switzerland)\b"),
    ("CHF", r"\bschweizer franken\b|\bfrancs suisses\b|\bfranchi svizzeri\b|\bswiss francs?\b"),
    ("USD", r"\b(?:in|en) (?:us|u\.s\.|united states) dollars?\b|\bdolares (?:americanos|estadounidenses)\b"),
    ("GBP", r"\bpounds? sterling\b|\blivres sterling\b"),
    ("BRL", r"\bem reais\b"),
    ("EUR", r"\b(?:en|in|em|i|w|v) euros?\b"),
)
_OF_STATE = re.compile(  # of the United States, with its postal code
    r"\b(?:AL|AK|AZ|AR|CA|CO|CT|DC|DE|FL|GA|HI|IA|ID|IL|IN|KS|KY|LA|MA|MD|ME|MI|MN|MO|MS|MT|NC|ND|NE|NH|NJ|NM|NV|NY|OH"
    r"|OK|OR|PA|PR|RI|SC|SD|TN|TX|UT|VA|VT|WA|WI|WV|WY) \d{5}(?:-\d{4})?\b"
)
_OF_PROVINCE = re.compile(  # of Canada, with its postal code
    r"\b(?:AB|BC|MB|NB|NL|NS|NT|NU|ON|PE|QC|SK|YT),? {1,2}[A-Z]\d[A-Z] ?\d[A-Z]\d\b"
)
_IN_PROVINCE = re.compile(r"\b[A-Z]{3,},? (?:AB|BC|MB|NB|NL|NS|NT|NU|ON|PE|QC|SK|YT)\b(?! [a-z])")
_LEAST_NUMBER = 5  # characters of an account number; fewer occur in other numbers
_LEAST_IN_PROVINCE = 3
_SHARE_IN_PROVINCE = 0.25  # of the lines of rows, of which a row has several
_DOLLARS = frozenset({"USD", "AUD", "NZD", "SGD", "HKD", "CAD", "MXN", "CLP", "COP", "ARS"})


def infer_currency(
    account: str, own: Sequence[str], others: Sequence[str], rows: Sequence[str], *, is_month_first: bool
) -> str:
    """The ISO 4217 code; "" if it is unknown.

    account: its number; a code on the line that prints it decides, "Cash account USD IBAN LU39 …".
    own: the lines of the account outside its rows, and the amounts in its rows.
    others: all lines outside rows.
    rows: the lines of rows, in which codes may belong to purchases abroad, or be names such as "Bhd".
    is_month_first: numeric dates put the month first, as in the United States.
    """
    beside = [text for text in own if len(account) >= _LEAST_NUMBER and account in re.sub(r"\s", "", text)]
    if code := detect_currency(_without_dollar(beside)):
        return code
    for texts in (own, others, rows):
        if texts is not rows and (code := detect_currency(_without_dollar(texts))):
            return code
        by_country = _by_iban(texts) or _by_words(texts)
        has_dollar = any("$" in text for text in texts)
        if by_country and (not has_dollar or by_country in _DOLLARS):
            return by_country
        if has_dollar and (any(map(_OF_PROVINCE.search, texts)) or (texts is rows and _are_in_canada(texts))):
            return "CAD"
        if has_dollar and (is_month_first or any(map(_OF_STATE.search, texts))):
            return "USD"
    return ""


def _are_in_canada(rows: Sequence[str]) -> bool:
    """True if many rows name a place with its province, such as "CALGARY AB"."""
    count = sum(_IN_PROVINCE.search(text) is not None for text in rows)
    return count >= max(_LEAST_IN_PROVINCE, _SHARE_IN_PROVINCE * len(rows))


def _without_dollar(texts: Iterable[str]) -> list[str]:
    """The texts without the signs "$" that have no letter before them; "US$" and "R$" remain."""
    return [re.sub(r"(?<![A-Za-z])\$(?![A-Z]{2})", " ", text) for text in texts]


def _by_iban(texts: Iterable[str]) -> str | None:
    return next((currency_of(iban) for text in texts for iban in find_ibans(text)), None)


def _by_words(texts: Iterable[str]) -> str | None:
    together = normalize(" \n ".join(texts))
    return next((code for code, pattern in _BY_WORDS if re.search(pattern, together)), None)
