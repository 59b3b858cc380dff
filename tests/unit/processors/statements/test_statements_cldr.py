"""The notations of CLDR, as Babel prints them, in every country where one of the six languages is an official one."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from babel import Locale, localedata
from babel.core import get_global
from babel.dates import format_date
from babel.languages import get_official_languages
from babel.numbers import format_currency, get_currency_precision, get_territory_currencies

from processors.statements.notation.amounts import detect_decimal_mark, parse_amount
from processors.statements.notation.currencies import CODES, CODES_LIKE_WORDS
from processors.statements.notation.dates import parse_date, resolve_date

LANGUAGES = ("en", "de", "fr", "es", "nl", "it")
VALUES = (Decimal("12.50"), Decimal("1234.50"), Decimal("1234567.89"), Decimal("-1234.50"))
AMBIGUOUS_MONTHS = {"5 jui. 2024", "23 jui. 2024"}  # July in Morocco; elsewhere it would as well be June
# printed as letters that stand beside a number for something else: "D" for debit, "DA" for from, a code that is a word
AMBIGUOUS_CURRENCIES = {"BWP", "GMD", "MWK", "PGK", "ZMW", "SCR", "SLE", "SZL", "GTQ", "HNL", "CDF", "DZD", "HTG"}
AMBIGUOUS_CURRENCIES |= {"MAD", "SDG"}


def locales() -> Iterator[str]:
    for identifier in sorted(localedata.locale_identifiers()):
        locale = Locale.parse(identifier)
        if locale.language not in LANGUAGES or not locale.territory or locale.script:
            continue
        if locale.language in get_official_languages(locale.territory, de_facto=True):
            yield identifier


LOCALES = tuple(locales())


def plain(text: str) -> str:
    return text.replace("\u200e", "").replace("\u200f", "")


def test_every_legal_tender_is_known():
    tenders = get_global("territory_currencies").values()
    current = {code for each in tenders for code, _, until, is_tender in each if until is None and is_tender}
    assert current == CODES | CODES_LIKE_WORDS


@pytest.mark.parametrize("locale", LOCALES)
def test_every_date_is_read(locale):
    days = [date(2024, month, day) for month in range(1, 13) for day in (5, 23)]
    unread = []
    for style in ("short", "medium", "long"):
        for day in days:
            text = plain(format_date(day, style, locale=locale))
            printed = parse_date(text)
            if not printed or day not in (resolve_date(printed, "dmy", None), resolve_date(printed, "mdy", None)):
                unread.append(text)
    assert set(unread) <= AMBIGUOUS_MONTHS


@pytest.mark.parametrize("locale", LOCALES)
def test_every_amount_in_a_currency_of_the_country_is_read(locale):
    unread = []
    for currency in get_territory_currencies(Locale.parse(locale).territory):
        if get_currency_precision(currency) != 2 or currency in AMBIGUOUS_CURRENCIES:
            continue
        for style in ("standard", "accounting"):
            for value in VALUES:
                text = plain(format_currency(value, currency, locale=locale, format_type=style))
                amount = parse_amount(text, detect_decimal_mark([text]))
                if amount is None or amount.signed != value:
                    unread.append(text)
    assert unread == []
