"""The currency of a receipt: as printed, or as the words imply. "$", "¥" and "kr" alone identify no currency. Pure."""

import re
from collections.abc import Sequence

from processors.statements.notation.currencies import detect_currency
from processors.statements.receipts.keywords import fold

_OF_MANY = {  # signs shared by several currencies, and the currencies that each may be
    "$": frozenset(["USD", "CAD", "AUD", "NZD", "MXN", "SGD", "HKD", "CLP", "COP", "ARS", "UYU", "TWD", "JMD"]),
    "¥": frozenset({"JPY", "CNY"}),
    "￥": frozenset({"JPY", "CNY"}),
    "円": frozenset({"JPY"}),
    "元": frozenset({"CNY", "TWD"}),
    "원": frozenset({"KRW"}),
    "kr": frozenset({"SEK", "NOK", "DKK", "ISK"}),
    "R": frozenset({"ZAR"}),
    "RM": frozenset({"MYR"}),
    "Rp": frozenset({"IDR"}),
    "Ft": frozenset({"HUF"}),
    "TL": frozenset({"TRY"}),
    "Fr": frozenset({"CHF"}),
    "lei": frozenset({"RON"}),
    "Rs": frozenset({"INR", "PKR", "LKR", "NPR", "MUR"}),
    "S/": frozenset({"PEN"}),
    "€": frozenset({"EUR"}),
}
_SIGN = re.compile(
    r"(?<![A-Za-z\d])(?:(kr|RM|Rp|Ft|TL|Fr|lei|Rs|S/)\.?(?= ?\d)|(R)(?= ?\d[\d ,.]*[.,]\d\d\b))"
    r"|\d ?(kr|Ft|TL|lei|Fr)\b|([¥￥円元원])"
)
_STREET = re.compile(r"\bCAD\.")  # Turkish for street
_DOLLAR = re.compile(r"(?<![A-Z])\$")
_WORDS = (  # what only one currency's countries print, in folded text, the most certain first
    ("AUD", r"\babn\b ?:? ?\d\d|\ba\.b\.n\b|eftpos.*australia|\baustralia\b|\bnsw\b|\bqld\b"),
    ("NZD", r"new zealand|\bird\b|gst no\.? ?:? ?\d{2,3}[- ]?\d{3}[- ]?\d{3}|auckland|wellington|christchurch"),
    ("CAD", r"\bhst\b|\btps\b|\btvq\b|\bqst\b|\binterac\b|\bcanada\b|\b[a-z]\d[a-z] ?\d[a-z]\d\b|\bpst\b"),
    ("SGD", r"singapore|\buen\b"),
    ("HKD", r"hong kong"),
    ("TWD", r"統一發票|統一編號|台北|台灣"),
    ("MXN", r"\brfc\b|\bmexico\b|\bc\.?p\.? ?\d{5}\b.*\biva\b"),
    ("CLP", r"\brut\b|\bchile\b|boleta electronica"),
    ("COP", r"\bnit\b ?:? ?\d|colombia|bogota"),
    ("ARS", r"\bcuit\b|argentina"),
    (
        "USD",
        r"sales tax|state tax|\b[a-z]{2},? \d{5}(?:-\d{4})?\b|\busa\b|\btip guide\b|\bgratuity\b|\bcity tax\b"
        r"|\bgallons?\b|/ ?gal\b|\bgal\b|\bmiles\b|\bmi\b\.?:? *\d|\d ?mi\b|\bstate s(?:ur)?ch(?:arge|g)"
        r"|\bebt\b|\b[l1]bs? ?@|\btx \d+\.\d+ ?%",
    ),
    ("JPY", r"[ぁ-んァ-ヶ]|領収|消費税|合計|小計"),
    ("CNY", r"合计|小计|增值税|微信|支付宝|人民币"),
    ("KRW", r"합계|부가세|부가가치세|사업자"),
    ("INR", r"\b[cs]gst\b|\bgstin\b|\bfssai\b"),
    ("GBP", r"\bgb ?\d{3} ?\d{4} ?\d\d\b|vat (?:reg )?no|\bvat (?:reg|number)|\blondon\b|united kingdom"),
    ("CHF", r"\bche[- ]?\d{3}|\bmwst\b.*\b8[.,]1|8[.,]1 ?%.*\bmwst\b|\bch-\d{4}\b|schweiz|suisse"),
    ("SEK", r"org\.? ?-?nr.*\d{6}-\d{4}|\bkvitto\b|\bvaxel\b|\batt betala\b|\bswish\b"),
    ("NOK", r"\bmva\b|\bvipps\b|\bkvittering\b.*\borg"),
    ("DKK", r"\bcvr\b|\bdankort\b|\bmobilepay\b"),
    ("PLN", r"\bnip\b|paragon|\bptu\b|\bsuma pln\b"),
    ("CZK", r"\bdic\b.*cz|\bkc\b|\bdph\b"),
    ("HUF", r"\bafa\b|adoszam|osszesen|nyugta"),
    ("RON", r"\bcod fiscal\b|bon fiscal|\blei\b"),
    ("TRY", r"\bkdv\b|\btopkdv\b"),
    ("BRL", r"\bcnpj\b|\bcpf\b"),
    (
        "EUR",
        r"\bbtw\b|p\.? ?iva\b|partita iva|documento commerciale|\bsiret\b|\bsiren\b|ust-?id|\bmwst\b|\butid\b|\bcif\b|"
        r"\bnif\b|\balv\b|\bafm\b|αφμ|φπα|\btva\b|contribuinte|\bkvk\b",
    ),
)
_BRITISH_POSTCODE = re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2}$")  # at the end of an address
_COMPILED = tuple((code, re.compile(pattern)) for code, pattern in _WORDS)


def find_currency(texts: Sequence[str]) -> tuple[str, str]:
    """The code and its source; ("", reason for a review) if nothing determines it."""
    certain = [_DOLLAR.sub(" ", _without_shared(text)) for text in texts]
    printed = detect_currency(certain)
    if printed:
        return printed, "printed"
    folded = [fold(text) for text in texts]
    implied = [code for code, pattern in _COMPILED if any(pattern.search(text) for text in folded)]
    implied += ["GBP"] if any(_BRITISH_POSTCODE.search(text.strip()) for text in texts) else []
    signs = _shared_signs(texts)
    for sign in signs:
        possible = _OF_MANY[sign]
        if len(possible) == 1:
            return next(iter(possible)), "printed"
        if code := next((code for code in implied if code in possible), None):
            return code, f"the sign {sign} and the words"
    if signs:
        return "", f"the currency is unknown: {signs[0]} is the sign of several currencies"
    if implied:
        return implied[0], "the words"
    return "", "no currency is printed"


def _without_shared(text: str) -> str:
    return re.sub("[¥￥]", " ", _STREET.sub(" ", text))


def _shared_signs(texts: Sequence[str]) -> list[str]:
    found = [next(filter(None, match.groups())) for text in texts for match in _SIGN.finditer(text)]
    found += ["$" for text in texts if _DOLLAR.search(text)]
    return sorted(dict.fromkeys(found), key=found.count, reverse=True)
