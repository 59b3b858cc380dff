"""The bank that a page names."""

from dataclasses import replace

import pytest
from typed_pages import typed_page

from processors.statements.layouts.bank import find_bank
from processors.statements.layouts.record import Bank
from processors.statements.notation.words import group_lines


def bank_of(text: str) -> Bank:
    return find_bank(group_lines(typed_page(text)))


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("Larkfield Bank", "name:larkfieldbank"),
        ("Volksbank Musterstadt eG", "name:volksbankmusterstadteg"),
        ("Sparkasse Beispielland", "name:sparkassebeispielland"),
        ("Banco do Exemplo S.A.", "name:bancodoexemplosa"),
        ("Bank Przykładowy", "name:bankprzykladowy"),
        ("M & T Bank", "name:mtbank"),
        ("Riverside Credit Union", "name:riversidecreditunion"),
        ("見本銀行", "name:見本銀行"),
        ("www.larkfield.example", "web:larkfield.example"),
        ("Visit us at https://larkfield.co.uk/help", "web:larkfield.co.uk"),
        ("BIC: LARKGB2LXXX", "bic:LARKGB2L"),
        ("IBAN DE89 3704 0044 0532 0130 00", "iban:DE-37040044"),
        ("IBAN NL91 ABNA 0417 1643 00", "iban:NL-ABNA"),
        ("Mw. J. Jansen   Rekeningnummer NL91 ABNA 0417 1643 00", "iban:NL-ABNA"),
    ],
)
def test_mark_of_a_bank_is_found(line: str, key: str):
    assert bank_of(line).keys == (key,)


@pytest.mark.parametrize(
    "line",
    [
        "Bank statement",
        "Bankleitzahl 370 400 44",
        "12 Bank Street",
        "Mr John Bank",
        "Account holder: Marsh Bank Supplies",
        "john@larkfield.example",
        "TRANSFER to Larkfield Bank",
        "Opening balance 1,000.00",
    ],
)
def test_other_lines_are_no_mark(line: str):
    assert bank_of(line).keys == ()


def test_line_that_names_the_holder_is_no_mark():
    assert bank_of("Account holder: Marsh Bank Ltd\n\nMarsh Bank Ltd").keys == ()


def test_banks_are_the_same_different_or_not_known():
    one, two = Bank(keys=("name:a", "web:a.example")), Bank(keys=("name:b",))
    assert one.is_same(Bank(keys=("web:a.example",))) is True
    assert one.is_same(two) is False
    assert one.is_same(Bank(keys=("bic:AAAAGB2L",))) is None
    assert one.is_same(Bank()) is None


def test_large_title_is_a_mark_that_cannot_be_read():
    page = typed_page("Harbour Vale\n\nAccount number: 1\n\nOpening balance 1,000.00")
    words = [replace(word, bottom=word.top + 18) if word.top == 0 else word for word in page.words]
    (key,) = find_bank(group_lines(replace(page, words=tuple(words)))).keys
    assert key.startswith("title:")
    assert "harbour" not in key


def test_another_title_does_not_make_another_bank():
    assert Bank(keys=("title:a",)).is_same(Bank(keys=("title:b",))) is None
    assert Bank(keys=("title:a",)).is_same(Bank(keys=("title:a",))) is True
