"""IBANs: where a text has them, and the currency of their country. Pure.

Lengths are those of the IBAN registry (SWIFT, release 99). `find_ibans` needs no valid check digits: OCR may misread
one.
"""

import re
from collections.abc import Iterator

_REGISTRY = """
AD:24:EUR AE:23:AED AL:28:ALL AT:20:EUR AZ:28:AZN BA:20:BAM BE:16:EUR BG:22:BGN BH:22:BHD BR:29:BRL BY:28:BYN CH:21:CHF
CR:22:CRC CY:28:EUR CZ:24:CZK DE:22:EUR DK:18:DKK DO:28:DOP EE:20:EUR EG:29:EGP ES:24:EUR FI:18:EUR FR:27:EUR GB:22:GBP
GE:22:GEL GI:23:GIP GR:27:EUR GT:28:GTQ HR:21:EUR HU:28:HUF IE:22:EUR IL:23:ILS IQ:23:IQD IS:26:ISK IT:27:EUR JO:30:JOD
KW:30:KWD KZ:20:KZT LB:28:LBP LI:21:CHF LT:20:EUR LU:20:EUR LV:21:EUR MC:27:EUR MD:24:MDL ME:22:EUR MK:19:MKD MT:31:EUR
MU:30:MUR NL:18:EUR NO:15:NOK PK:24:PKR PL:28:PLN PT:25:EUR QA:29:QAR RO:24:RON RS:22:RSD SA:24:SAR SE:24:SEK SI:19:EUR
SK:24:EUR SM:27:EUR TN:24:TND TR:26:TRY UA:29:UAH VA:22:EUR XK:20:EUR
"""
_LENGTHS = {each[:2]: int(each[3:5]) for each in _REGISTRY.split()}
_CURRENCIES = {each[:2]: each[6:] for each in _REGISTRY.split()}
_LEAST_DIGITS = 0.6  # share of its characters, if its check digits are wrong: "NO 14 2ND CROSS STREET" is an address
_LEAST_SHARED = 5  # digits of an account number in its IBAN; fewer occur by chance
_IBAN = re.compile(r"\b(?P<country>[A-Z]{2}) ?\d{2}(?: ?[A-Z0-9]){10,30}")


def find_ibans(text: str) -> Iterator[str]:
    """The IBANs in a text, without spaces."""
    for match in _IBAN.finditer(text):
        number, length = match[0].replace(" ", ""), _LENGTHS.get(match["country"], 0)
        digits = sum(char.isdigit() for char in number[:length])
        if not length or len(number) < length:
            continue
        if digits >= _LEAST_DIGITS * length or has_valid_check_digits(number[:length]):
            yield number[:length]


def is_iban(text: str) -> bool:
    """True if all of a text is an IBAN without spaces, whose check digits are right."""
    is_long = len(text) == _LENGTHS.get(text[:2], 0)
    return is_long and text.isalnum() and text[2:4].isdecimal() and has_valid_check_digits(text)


def is_iban_of(iban: str, number: str) -> bool:
    """True if an IBAN contains the digits of an account number, whose groups it may fill with zeros in front."""
    groups = [group.lstrip("0") for group in re.findall(r"\d+", number)]
    pattern = "0*".join(filter(None, groups))
    return sum(map(len, groups)) >= _LEAST_SHARED and re.search(pattern, re.sub(r"\D", "", iban[4:])) is not None


def currency_of(iban: str) -> str:
    """The currency of the country of an IBAN; an account may have another one."""
    return _CURRENCIES[iban[:2]]


def has_valid_check_digits(iban: str) -> bool:
    """True if the check digits are right (ISO 7064, MOD 97-10)."""
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1
