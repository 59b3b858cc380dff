"""Rare kinds of layouts: passbooks, cards with subtotals, wallets in several currencies, brokers' cash accounts."""

import re

import pytest
from typed_pages import read_typed, typed_page

from processors.statements import doubtful_pages, read_statements, reasons, verify
from processors.statements.account.currency_evidence import infer_currency
from processors.statements.notation.dates import parse_date

PASSBOOK = """
              ΛΟΓ/ΣΜΟΣ 417/720883-14      ΣΕΛΙΔΑ 01
   Α/Α  ΗΜ/ΝΙΑ    ΑΙΤΙΟΛΟΓΙΑ   ΚΑΤ/ΜΑ   ΑΝΑΛΗΨΕΙΣ    ΚΑΤΑΘΕΣΕΙΣ      ΥΠΟΛΟΙΠΟ
   01             ΑΠΟ ΜΕΤΑΦ.                                       **1.340,27
   02   27ΙΑΝ23   ΣΥΝΤΑΞΗ      0999                  ****842,16    **2.182,43
   03   03ΦΕΒ23   ΑΝΑΛ.ΑΤΜ     0417    ****100,00                  **2.082,43

   04   24ΑΠΡ23   ΜΕΤΑΦΟΡΑ     0417                  ****140,00    **2.222,43
   05   11ΜΑΙ23   ΠΑΓ.ΔΕΗ      0417    *****55,50                  **2.166,93
   06   30ΙΟΥΝ23  ΤΟΚΟΙ        0417                  ******0,38    **2.167,31
"""


def _days(document):
    return [str(row.date) for row in document.rows]


def test_greek_passbook_is_read():
    document = read_typed(PASSBOOK)
    assert _days(document) == ["2023-01-27", "2023-02-03", "2023-04-24", "2023-05-11", "2023-06-30"]
    assert [str(row.change) for row in document.rows] == ["842.16", "-100.00", "140.00", "-55.50", "0.38"]
    assert [row.flags for row in document.rows] == [[]] * 5


@pytest.mark.parametrize(
    ("text", "month"),
    [
        *(("27ΙΑΝ23", 1), ("03ΦΕΒ23", 2), ("28ΙΟΥΝ23", 6), ("12 Μαΐου 2024", 5), ("12ΜΑΪ23", 5)),
        *(("28I0YN23", 6), ("04I0YA23", 7), ("11AYT23", 8), ("08ΣEN23", 9), ("03ΦEB23", 2)),  # as OCR reads them
        *(("3 января 2024", 1), ("7 Травня 2024", 5), ("12 МАЙ 2024", 5)),
    ],
)
def test_months_of_greek_and_cyrillic_letters_are_known(text: str, month: int):
    printed = parse_date(text)
    assert printed
    assert printed.month == month
    assert printed.length == len(text)


def test_row_whose_month_ocr_misread_does_not_get_the_date_of_the_row_above():
    misread = PASSBOOK.replace("24ΑΠΡ23", "24AP23 ").replace("11ΜΑΙ23", "11MN123")
    document = read_statements([typed_page(misread, confidence=0.99)])
    verify(document)
    assert _days(document) == ["2023-01-27", "2023-02-03", "None", "None", "2023-06-30"]
    assert [bool(row.flags) for row in document.rows] == [False, False, True, True, False]
    assert reasons(document)


def test_subtotal_of_a_card_excludes_the_payments_marked_with_a_plus():
    document = read_typed("""
        Kart Numarası           5549 60** **** 2218
        Hesap Kesim Tarihi      12 Ekim 2024        Son Ödeme Tarihi    22 Ekim 2024
        Dönem Borcu             1.735,00 TL

        İşlem Tarihi     İşlem                                   Tutar (TL)
                         ÖNCEKİ DÖNEM BORCU                        1.000,00
        13 Eylül 2024    TEKNOSA ANKARA                              200,00
        16 Eylül 2024    GETİR İSTANBUL                              150,00
        23 Eylül 2024    ÖDEMENİZ İÇİN TEŞEKKÜRLER                   300,00+
        24 Eylül 2024    NETFLIX AMSTERDAM                           480,00
        07 Ekim 2024     BOYNER ANKAMALL                              20,00
                         KART TOPLAMI                                550,00
                         5549 60** **** 7740 KEREM ERDEMLİ (EK KART)
        18 Eylül 2024    MİGROS İSTANBUL                              95,00
        20 Eylül 2024    WATSONS ANKARA                               40,00
        24 Eylül 2024    KAHVE KIZILAY                                50,00
                         KART TOPLAMI                                185,00

                         DÖNEM BORCUNUZ (TL)                       1.735,00
    """)
    changes = ["-200.00", "-150.00", "300.00", "-480.00", "-20.00", "-95.00", "-40.00", "-50.00"]
    assert [str(row.change) for row in document.rows] == changes
    assert [row.flags for row in document.rows] == [[]] * 8
    assert not reasons(document)


CARD = """
        Gold Mastercard          Statement Date      JANUARY 12, 2024
        Credit Limit   150,000.00         Payment Due Date    FEBRUARY 1, 2024

        Date           Description                          Amount
                       Previous Balance                   1,000.00
        December 17    OPENAI SAN FRANCISCO                 282.81
        December 18    JOLLIBEE PASIG CITY                  214.55
        December 26    PAYMENT - THANK YOU                 -850.00
        January 4      SHELL QUEZON CITY                    131.40
        January 11     FINANCE CHARGE                        21.24
                       {last}
"""


def test_undated_line_that_prints_the_new_balance_is_not_a_row():
    (statement,) = read_typed(CARD.format(last="Statement Balance                    800.00")).statements
    assert [str(row.change) for row in statement.rows] == ["-282.81", "-214.55", "850.00", "-131.40", "-21.24"]
    assert (str(statement.opening), str(statement.closing)) == ("1000.00", "800.00")
    assert [row.flags for row in statement.rows] == [[]] * 5


def test_undated_line_that_prints_another_amount_remains_a_row():
    document = read_typed(CARD.format(last="LATE CHARGE                          800.01"))
    assert str(document.rows[-1].change) == "-800.01"
    assert reasons(document)


BROKER = """
    Account statement       01.07.2024 - 30.09.2024        Client number 88412
    Cash account EUR IBAN LU39 7770 0884 1202 1000

    Date         Transaction    Details                Value date      Debit     Credit     Balance
    01.07.2024   Opening balance                                                          22'418.06
    02.07.2024   Payment in     LAURENT THILL          02.07.2024             8'000.00    30'418.06
    04.07.2024   Buy            12 ASML HOLDING        08.07.2024  11'852.15              18'565.91
    09.07.2024   Buy            150 AMUNDI MSCI        11.07.2024   8'027.65              10'538.26
    30.09.2024   Closing balance                                                          10'538.26
""", """
    Account statement       01.07.2024 - 30.09.2024        Client number 88412
    Cash account USD IBAN LU23 7770 0884 1202 2840

    Date         Transaction    Details                Value date      Debit     Credit     Balance
    01.07.2024   Opening balance                                                           5'206.44
    06.08.2024   Forex          Sell EUR / Buy USD     08.08.2024             3'279.30     8'485.74
    07.08.2024   Buy            20 MICROSOFT CORP      09.08.2024   7'993.60                 492.14
    15.08.2024   Dividend       35 APPLE INC           15.08.2024                 7.44       499.58
    28.08.2024   Sell           35 APPLE INC           30.08.2024             7'902.15     8'401.73
    12.09.2024   Dividend       20 MICROSOFT CORP      12.09.2024                12.75     8'414.48
    30.09.2024   Closing balance                                                           8'414.48

    Positions as at 30.09.2024 (for information)
    Quantity     Security                              ISIN            Price              Valuation
          12     ASML HOLDING                          NL0010273215    EUR 745.60          8'947.20
         150     AMUNDI MSCI WLD ETF                   LU1681043599    EUR 54.017          8'102.55
          40     SAP SE                                DE0007164600    EUR 204.40          8'176.00
          30     SES SA FDR                            LU0088087324    EUR 4.724             141.72
          20     MICROSOFT CORP                        US5949181045    USD 430.30          8'606.00
"""  # fmt: skip


def test_cash_accounts_of_a_broker_have_the_currency_beside_their_numbers():
    document = read_typed(*BROKER)
    assert [(each.account, each.currency, len(each.rows)) for each in document.statements] == [
        ("LU397770088412021000", "EUR", 3),
        ("LU237770088412022840", "USD", 5),
    ]


def test_securities_and_sales_over_a_weekend_need_no_review():
    assert not reasons(read_typed(*BROKER))


def test_lines_without_securities_below_the_rows_are_reported():
    assert reasons(read_typed(BROKER[0], re.sub(r"[A-Z]{2}\d{10}", "            ", BROKER[1])))


@pytest.mark.parametrize(
    ("text", "code"),
    [("Balance in NIS", "ILS"), ("Supervised by the Bangko Sentral ng Pilipinas", "PHP"), ("NT$ 1,200.00", "TWD")],
)
def test_names_of_currencies_that_are_not_codes_are_known(text: str, code: str):
    assert infer_currency("", [text], [], [], is_month_first=False) == code


WALLET = """
    nimbus
    {code} statement
    1 December 2024 - 31 December 2024

    Account Holder                          {label}
    Hanneke Vermaelen                       {number}

    {code} on 31 December 2024                                     {closing} {code}
    Description                         Incoming    Outgoing     Amount
    Received money from Emma De Smet      110.00                 {closing}
    26 December 2024 Transaction: TRANSFER-859860476
    Card transaction of 90.00 {code} issued by Uber      -90.00    1,890.00
    24 December 2024 Transaction: CARD-107586254
    Sent money to Emma De Smet                        -94.00    1,980.00
    24 December 2024 Transaction: TRANSFER-174871812
    Card transaction of 26.00 {code} issued by Lime      -26.00    2,074.00
    21 December 2024 Transaction: CARD-321785420
"""


def test_each_currency_of_a_wallet_has_the_number_below_its_title():
    document = read_typed(
        WALLET.format(code="EUR", label="IBAN", number="BE68 5390 0754 7034", closing="2,000.00"),
        WALLET.format(code="USD", label="Account number", number="8311 0448 27", closing="2,000.00"),
        WALLET.format(code="GBP", label="Account number", number="46118204", closing="2,000.00"),
    )
    assert [(each.account, each.currency) for each in document.statements] == [
        ("BE68539007547034", "EUR"),
        ("8311044827", "USD"),
        ("46118204", "GBP"),
    ]
    for statement in document.statements:
        assert [str(row.date) for row in statement.rows] == ["2024-12-21", "2024-12-24", "2024-12-24", "2024-12-26"]
        assert [str(row.change) for row in statement.rows] == ["-26.00", "-94.00", "-90.00", "110.00"]


@pytest.mark.parametrize("gap", ["", "\n"])
def test_dates_above_their_amounts_are_not_those_of_the_rows_above(gap: str):
    rows = [
        ("2 December 2024", "Shop A store            -84.00     916.00"),
        ("5 December 2024", "Shop B store  148.00             1,064.00"),
        ("5 December 2024", "Shop C store   70.00             1,134.00"),
        ("9 December 2024", "Shop D store           -134.00   1,000.00"),
    ]
    lines = "\n".join(f"{day} Transaction: T9644\n{row}\n{gap}" for day, row in rows)
    document = read_typed(f"""EUR statement   1 December 2024 - 31 December 2024
Description  Incoming   Outgoing      Amount
Opening balance                     1,000.00
{gap}{lines}""")
    assert _days(document) == ["2024-12-02", "2024-12-05", "2024-12-05", "2024-12-09"]
    assert [str(row.change) for row in document.rows] == ["-84.00", "148.00", "70.00", "-134.00"]
    assert not reasons(document)


@pytest.mark.parametrize(
    "line",
    ["NO. REKENING       :     2187004416", "NÚMERO     2187004416", "NÚMERO 2187004416", "NO. REKENING: 2187004416"],
)
def test_account_number_is_found_after_its_label(line: str):
    (statement,) = read_typed(f"""
        CUENTA DE AHORROS            {line}
        LUZ ADRIANA CIFUENTES RIOS
        CL 127 B 45 22 AP 501
        Date         Description              Amount      Balance
        02/01/2024   Opening balance                     1,000.00
        03/01/2024   Purchase SEK 164.00      -100.00      900.00
        14/01/2024   BIAYA ADM                 -10.00 DB   890.00
        15/01/2024   Rate 66.12 of SEK         -50.00      840.00
    """).statements
    assert statement.account == "2187004416"
    assert statement.holder == "LUZ ADRIANA CIFUENTES RIOS"
    assert [row.description for row in statement.rows] == ["Purchase SEK 164.00", "BIAYA ADM", "Rate 66.12 of SEK"]


def test_page_with_text_is_not_read_by_ocr_if_its_layout_was_not_understood():
    document = read_typed("""
        Foo          Bar                     Baz
        Quux 1       Payment of lunch        10.00
        Quux 2       Payment of dinner       20.00
    """)
    assert not document.rows
    assert doubtful_pages(document) == {1}
    assert doubtful_pages(document, with_text={1}) == set()


def test_page_with_text_is_read_by_ocr_if_a_balance_does_not_follow():
    document = read_typed(CARD.format(last="Closing balance                      800.01"))
    assert doubtful_pages(document, with_text={1}) == {1}


def test_each_summary_of_balances_belongs_to_the_currency_in_its_title():
    summary = """
        Merchant Account ID: 7KQ2M4XTB9WLE         4/1/25 - 4/30/25
        Balance Summary (USD)
        Beginning balance                          1,284.61
        Ending balance                             1,280.13
        Balance Summary (EUR)
        Beginning balance                            212.40
        Ending balance                               226.88
        Activity Summary (USD)
    """
    usd, eur = (
        f"""
        Transaction History - {code}
        Date        Description          Name              Gross      Fee       Net
        {rows}
        """
        for code, rows in (
            (
                "USD",
                """4/1/2025    Debit Card Purchase  USPS             -20.40     0.00    -20.40
        4/2/2025    Payment              Bao Nguyen        25.17    -1.37     23.80
        4/3/2025    Payment              Odette            34.38    -1.69     32.69
        4/7/2025    Debit Card Purchase  USPS             -38.88     0.00    -38.88
        4/9/2025    Debit Card Purchase  Etsy              -1.69     0.00     -1.69""",
            ),
            (
                "EUR",
                """4/1/2025    Payment              Silas             10.00    -0.40      9.60
        4/2/2025    Payment              Theo              12.00    -0.52     11.48
        4/5/2025    Debit Card Purchase  Etsy              -6.60     0.00     -6.60""",
            ),
        )
    )
    document = read_typed(summary, usd, eur)
    assert [(each.currency, str(each.opening), str(each.closing)) for each in document.statements] == [
        ("USD", "1284.61", "1280.13"),
        ("EUR", "212.40", "226.88"),
    ]
    assert [row.flags for row in document.rows] == [[]] * 8


def test_balance_above_rows_listed_newest_first_is_the_closing_one():
    page = typed_page(
        """
        Account: 702-114873        Transactions from: 01/05/24 to 30/06/24
        Balance as of 30/06/24     NIS 868.73

        Date        Description          Debit      Credit    Balance in NIS
        30/06/24    Shop A               41.17                        868.73
        28/06/24    Shop B                         100.00             909.90
        21/06/24    Shop C               88.90                        809.90
        03/05/24    Shop D                          98.80             898.80
        01/05/24    Mortgage            200.00                        800.00
        """,
        confidence=0.99,
    )
    document = read_statements([page])
    verify(document)
    (statement,) = document.statements
    assert str(statement.closing) == "868.73"
    assert [row.flags for row in statement.rows] == [[]] * 5
