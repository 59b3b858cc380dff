"""What stands before the text of each row, and is none."""

from typed_pages import read_typed

ROWS = """
        Afschrift 3      BE68 5390 0754 7034

        Vorig saldo                                        1.000,00 +
        {}  02-03     Betaling met bankkaart                  20,00 -
                      BAKKERIJ                Valuta 01-03-2025
        {}  03-03     Overschrijving van                     120,00 +
                      ELS DE WILDE            Valuta 04-03-2025
        {}  05-03     Geldopneming                            50,00 -
                      GENT                    Valuta 05-03-2025
        {}  07-03     Betaling met bankkaart                  30,00 -
                      WATERGROEP              Valuta 06-03-2025
        Nieuw saldo op 31-03-2025                          1.020,00 +
"""


def test_running_numbers_and_labelled_value_dates_are_no_text():
    rows = read_typed(ROWS.format("0009", "0010", "0011", "0012")).rows
    assert [row.description for row in rows[:2]] == [
        "Betaling met bankkaart BAKKERIJ",
        "Overschrijving van ELS DE WILDE",
    ]
    assert [str(row.value_date) for row in rows] == ["2025-03-01", "2025-03-04", "2025-03-05", "2025-03-06"]


def test_other_numbers_are_text():
    rows = read_typed(ROWS.format("0009", "4417", "0011", "3301")).rows
    assert [row.description.split()[0] for row in rows] == ["0009", "4417", "0011", "3301"]


TIMED = """
        Date        Time   Details               Amount    Balance
        02/01/2025  08:11  KIOSK                 -20.00     980.00
        03/01/2025  19:40  SALARY               +100.00   1,080.00
        04/01/2025  07:02  BAKER                 -30.00   1,050.00
        05/01/2025  12:15  DEPARTURE 12:30       -50.00   1,000.00
"""


def test_time_of_each_row_is_no_text():
    assert [row.description for row in read_typed(TIMED).rows] == ["KIOSK", "SALARY", "BAKER", "DEPARTURE 12:30"]


TURNOVERS = """
        Cont: RO12CARP0170401234567801        01/01/2025 - 31/01/2025

        Data        Descriere             Debit       Credit
                    SOLD ANTERIOR                     1,000.00
        03/01/2025  Plata la POS          20.00
                    RULAJ ZI              20.00           0.00
                    SOLD FINAL ZI                       980.00
        04/01/2025  Incasare OP                         100.00
                    Plata la POS          30.00
                    RULAJ ZI              30.00         100.00
                    SOLD FINAL ZI                     1,050.00
        06/01/2025  Retragere             50.00
                    RULAJ ZI              50.00           0.00
                    SOLD FINAL ZI                     1,000.00
                    RULAJ TOTAL CONT     100.00         100.00
                    SOLD FINAL CONT                   1,000.00
"""


def test_turnovers_of_days_with_one_direction_and_with_both_are_no_rows():
    document = read_typed(TURNOVERS)
    assert [str(row.change) for row in document.rows] == ["-20.00", "100.00", "-30.00", "-50.00"]
    assert not any(row.flags for row in document.rows)


def test_further_date_before_the_text_of_all_rows_is_removed():
    document = read_typed("""
        Kontoutdrag  8292-191 973 3     2025-02-01 - 2025-02-28

        Bokföringsdag  Transaktionsdag  Valutadag    Beskrivning           Belopp       Saldo
        2025-02-03     2025-02-01       2025-02-03   Apoteket Duvan       -100,00      900,00
        2025-02-04     2025-02-03       2025-02-04   Bensin Klövern        -50,00      850,00
        2025-02-05     2025-02-05       2025-02-05   Swish skickad         -20,00      830,00
        2025-02-06     2025-02-06       2025-02-06   Överföring            -30,00      800,00
    """)
    texts = [row.description for row in document.rows]
    assert texts == ["Apoteket Duvan", "Bensin Klövern", "Swish skickad", "Överföring"]


def test_line_with_a_document_number_below_the_date_is_part_of_the_row():
    document = read_typed("""
  So tai khoan 0071001288456 VND
  No. TNX Date       Debit       Credit      Balance       Transactions in detail
      Opening balance                        1,000,000
  1   01/04/2025     884,500                   115,500     VNPAY QR thanh toan WINMART
      5366.90214
  2   03/04/2025                 826,000       941,500     MBVCB.8811025562.NGUYEN chuyen
      5907.89513                                           0071001288456 NGUYEN toi TR
                                                           AN VAN MINH
  3   04/04/2025      41,500                   900,000     CTY TNHH SAO MAI
      Closing balance                          900,000
""")
    texts = [f"{row.reference} {row.description}" for row in document.rows]
    assert "5366.90214" in texts[0] and "VNPAY QR thanh toan WINMART" in texts[0]
    assert all(
        each in texts[1] for each in ("5907.89513", "MBVCB.8811025562", "0071001288456 NGUYEN toi TR AN VAN MINH")
    )
    assert [row.flags for row in document.rows] == [[], [], []]
