"""Currencies as printed on statements: the codes of ISO 4217 that are legal tender somewhere, and signs. Pure.

Both come from CLDR, and tests/unit/processors/statements/test_statements_cldr.py compares them with its data.
"""

import re
from collections.abc import Iterable

_TENDER = """
AED AFN AOA AUD AWG AZN BBD BDT BHD BIF BMD BND BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY CRC CVE CZK DJF DKK DZD
EGP ERN ETB EUR FJD FKP GBP GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF
KPW KRW KWD KYD KZT LBP LKR LRD LSL LYD MDL MGA MKD MMK MNT MRU MVR MWK MXN MYR MZN NGN NIO NOK NPR NZD OMR PAB PGK
PHP PKR PLN PYG QAR RSD RUB RWF SBD SCR SEK SGD SHP SRD SSP STN SYP SZL THB TJS TMT TND TTD TWD TZS UAH UGX USD UYU
UZS VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
# in capitals, these are also words, names or banks' abbreviations ("TOP UP", "PARMIGIANO DOP")
_TENDER_LIKE_WORDS = "ALL AMD ARS BAM BOB COP CUP DOP GEL ILS LAK MAD MOP MUR NAD PEN RON SAR SDG SLE SOS TOP TRY"
CODES = frozenset(_TENDER.split())
CODES_LIKE_WORDS = frozenset(_TENDER_LIKE_WORDS.split())
SIGNS = {
    "£": "GBP",
    "$": "USD",
    "€": "EUR",
    "¥": "JPY",
    "₹": "INR",
    "₪": "ILS",
    "₱": "PHP",
    "₦": "NGN",
    "₺": "TRY",
    "₽": "RUB",
    "₴": "UAH",
    "₩": "KRW",
    "฿": "THB",
    "zł": "PLN",
    "Kč": "CZK",
    "US$": "USD",
    "$US": "USD",
    "CA$": "CAD",
    "$CA": "CAD",
    "A$": "AUD",
    "NZ$": "NZD",
    "HK$": "HKD",
    "S$": "SGD",
    "R$": "BRL",
    "MX$": "MXN",
    "SFr.": "CHF",
    "GH₵": "GHS",
    "₡": "CRC",
    "RD$": "DOP",
    "NT$": "TWD",
    "T$": "TOP",
    "WS$": "WST",
    "B/.": "PAB",
    "Ksh": "KES",
    "TSh": "TZS",
    "Bs.S": "VES",
    "Nfk": "ERN",
    "Cg.": "XCG",
    "Afl.": "AWG",
}
# beside an amount only: each is the sign of several currencies
_SIGNS_OF_MANY = ("R", "RM", "Rs", "Rs.", "kr", "kr.", "Fr.", "S/", "C$", "Bs", "Bs.")
# names beside an amount that CLDR does not print as signs
_NAMES = ("NIS", "RMB", "TL", "Ft", "Euro", "EURO", "lei", "円", "元", "원", "₸", "₫", "₾")
_LONGEST_FIRST = sorted([*SIGNS, *_SIGNS_OF_MANY, *_NAMES, *CODES], key=len, reverse=True)
PATTERN = f"(?:{'|'.join(map(re.escape, _LONGEST_FIRST))})"  # beside an amount
_SIGN = "|".join(re.escape(sign) for sign in sorted(SIGNS, key=len, reverse=True))
_WORD = re.compile(rf"(?<![A-Za-z])(?:{_SIGN})|\b[A-Z]{{3}}\b")
_LABELLED = re.compile(
    r"\b(?:(?:account )?currency|(?:konto)?w(?:ä|ae)hrung|devise|monnaie|moneda|moeda|divisa|deviza|valuta"
    r"|munt(?:eenheid)?|moneta|waluta|para birimi|mata ?(?:uang|wang)|νόμισμα"
    r"|валюта|通貨|幣別|币种|通화|מטבע|العملة|สกุลเงิน)"
    r"(?: (?:of account|du compte|de la cuenta|del conto))?\s?[:=]?\s?\(?(?P<code>(?-i:[A-Z]{3}))\b",
    re.IGNORECASE,
)


def detect_currency(texts: Iterable[str]) -> str | None:
    """The ISO 4217 code that a document names most often, by code or sign; None if it names none."""
    votes: dict[str, int] = {}
    for text in texts:
        named = [SIGNS.get(word, word) for word in _WORD.findall(text) if word in SIGNS or word in CODES]
        labelled = [match["code"] for match in _LABELLED.finditer(text) if match["code"] in CODES_LIKE_WORDS]
        for code in named + labelled:
            votes[code] = votes.get(code, 0) + 1
    return max(votes, key=votes.__getitem__) if votes else None
