"""Kinds of layouts that failed in a set of 24 fresh layouts, each in the smallest form that shows it."""

from dataclasses import replace

from typed_pages import read_typed, typed_page

from processors.statements import PageWords, StatementDocument, read_statements, reasons, verify


def _rows(document: StatementDocument) -> list[tuple[str, str, str]]:
    return [(str(row.date), row.description, str(row.change)) for row in document.rows]


def _read_moved(text: str, moved: dict[str, float]) -> StatementDocument:
    """The document of a typed page on which some words of the text, with all right of them, stand lower by points."""
    page = typed_page(text)
    tops = {word.top: moved[word.text] for word in page.words if word.text in moved}
    words = [
        replace(word, top=word.top + shift, bottom=word.bottom + shift)
        for word in page.words
        for shift in [tops.get(word.top, 0.0)]
    ]
    document = read_statements([PageWords(1, tuple(words))])
    verify(document)
    return document


VALUE_DATES = """
    Konto 20111 04771                            Auszug vom 31.03.2025

    Buch.   Buchungstext                Wert         Betrag EUR
            Alter Kontostand                           1.000,00
    17.03.  TANKHOF SUED                1703              50,00-
    18.03.  DROGERIE AM RING            1803              30,00-
    20.03.  KABEL OST                   2003              20,00-
    21.03.  MIETE                       2103             400,00-
            Neuer Kontostand                             500,00
"""


def test_value_dates_of_four_digits_are_no_years():
    document = read_typed(VALUE_DATES)
    assert [row[0] for row in _rows(document)] == ["2025-03-17", "2025-03-18", "2025-03-20", "2025-03-21"]
    assert [row[1] for row in _rows(document)] == ["TANKHOF SUED", "DROGERIE AM RING", "KABEL OST", "MIETE"]
    assert not reasons(document)


def test_numbers_of_four_digits_far_from_the_dates_are_text():
    document = read_typed(VALUE_DATES.replace("1703", "0311").replace("1803", "0412").replace("2003", "2205"))
    assert [row[1].split()[-1] for row in _rows(document)][:2] == ["0311", "0412"]


WRAPPED = """
    Kontonummer 1503 44 71925     Periode 01.03.2025 - 31.03.2025

    Forklaring                        Rentedato    Ut av konto   Inn på konto   Bokført
    Saldo fra kontoutskrift 28.02.2025                               1.000,00
    Fast oppdrag husleie mars           0303           100,00                      0303
    Straksbetaling fra Ingrid           0403                           77,00       0403
    Varekjøp Vinmonopolet Valkendorf
    16.41                               0503            50,00                      0503
    Nettgiro til Bergenhus Kraft        1003            40,00                      1003
    Lønn fra Havbruk                    1403                        2.000,00       1403
    Varekjøp Vinmonopolet Bergen kl.
    08.27                               1703            30,00                      1703
    Varekjøp Apotek Svanen              1903            20,00                      1903
    Omkostninger for mars               3103            10,00                      3103
    Saldo i Deres favør 31.03.2025                                   2.827,00
"""


def test_text_belongs_to_the_row_that_it_is_nearer_to():
    document = _read_moved(WRAPPED, {"Valkendorf": 3, "Bergen": 3})
    texts = [row[1] for row in _rows(document)]
    assert "Varekjøp Vinmonopolet Valkendorf 16.41" in texts
    assert "Varekjøp Vinmonopolet Bergen kl. 08.27" in texts
    assert "Lønn fra Havbruk" in texts
    assert not reasons(document)


def test_line_that_begins_with_a_number_like_a_date_has_its_date_without_marks():
    document = _read_moved(WRAPPED, {"Valkendorf": 3, "Bergen": 3})
    days = ["03", "04", "05", "10", "14", "17", "19", "31"]
    assert [row[0] for row in _rows(document)] == [f"2025-03-{day}" for day in days]


def test_dots_that_lead_to_an_amount_are_no_part_of_it():
    document = read_typed("""
        Account number 44-719-2088          1 March 2025 to 31 March 2025

        Date         Particulars                                   Debits     Credits    Balance
        1 Mar 2025   Brought forward                                                     1,000.00
        3 Mar 2025   Western Power .........................149.00                         851.00
                     Rent 4471 .............................471.00                         380.00
        5 Mar 2025   Refund 7740........................................100.00             480.00
        6 Mar 2025   Gym ....7712                             50.00                        430.00
    """)
    assert [row[2] for row in _rows(document)] == ["-149.00", "-471.00", "100.00", "-50.00"]
    assert [row[1] for row in _rows(document)] == ["Western Power", "Rent 4471", "Refund 7740", "Gym ....7712"]
    assert not reasons(document)


def test_time_of_day_in_one_word_with_its_date_is_removed():
    document = read_typed("""
        IBAN TR13 0006 4090 0000 1447 1920 88      01/03/2025 - 31/03/2025
        Devreden Bakiye  1.000,00 TL

        Saat                  Kanal     Tutar      Bakiye    Ek       Metin
        31/03/2025-10:25:35   Mobil    -50,00    1.350,00    0,00     Vergi
        29/03/2025-08:31:05   Diger   -100,00    1.400,00    0,00     FAST
        28/03/2025-12:58:55   Mobil    700,00    1.500,00    0,00     MAAS
        01/03/2025-08:36:19   Mobil   -200,00      800,00    0,00     POS
    """)
    assert [row[0] for row in _rows(document)] == ["2025-03-01", "2025-03-28", "2025-03-29", "2025-03-31"]
    assert [row[1] for row in _rows(document)][0] == "Mobil POS"
    assert not reasons(document)


def test_tables_without_headings_are_read_beside_those_with_headings():
    document = read_typed("""
        Account number 0183447102                March 1, 2025 through March 31, 2025
        Beginning Balance       $1,000.00
        Ending Balance          $1,530.00

                        DEPOSITS & CREDITS
        03/04   Mobile Deposit Ref 763170669                309.00
        03/06   Zelle From Marla                            800.00
                          Total Deposits & Credits       $1,109.00

                        WITHDRAWALS
        03/01   Card Purchase Bean Street                    22.00
        03/03   Card Purchase Shoreway                       57.00
        03/28   Bill Pay Lakecable                          300.00
                          Total Withdrawals                $379.00

                        CHECKS
        Date    Check No.   Amount      Date    Check No.   Amount
        03/04   2207         75.00      03/14   2211        100.00
        03/08   2208         25.00

                        DAILY BALANCE SUMMARY
        Date               Balance      Date               Balance
        03/01               978.00      03/14             1,830.00
        03/28             1,530.00
    """)
    assert [row[2] for row in _rows(document)][:2] == ["309.00", "800.00"]
    assert [row[2] for row in _rows(document)][2:] == ["-22.00", "-57.00", "-300.00", "-75.00", "-25.00", "-100.00"]
    assert not reasons(document)


WALLET = """
    EUR statement
    1 March 2025 - 31 March 2025                    IBAN BE34 9670 4471 9208

    Description                                        Incoming    Outgoing      Amount
    Balance cashback                                       0.50                  300.50
    31 March 2025 Transaction: CASHBACK-7d1c
    Card payment of 31.00 USD issued by Hostbox Cloud                -30.00      300.00
    NEW YORK
    30 March 2025 Transaction: CARD-3004
    Sent money to Rita                                               -70.00      330.00
    29 March 2025 Transaction: TRANSFER-1496
    Card payment of 62.00 EUR issued by Livraria B                   -62.00      400.00
    PORTO
    28 March 2025 Transaction: CARD-3015
    Received money from Halden with reference             62.00                  462.00
    8517
    26 March 2025 Transaction: TRANSFER-1451
    Sent money to Rita                                              -100.00      400.00
    24 March 2025 Transaction: TRANSFER-1452
"""


def test_date_below_wrapped_text_is_that_of_the_row():
    document = read_typed(WALLET)
    assert [row[0][-2:] for row in _rows(document)] == ["24", "26", "28", "29", "30", "31"]
    texts = [row[1] for row in _rows(document)]
    assert "Card payment of 31.00 USD issued by Hostbox Cloud NEW YORK Transaction: CARD-3004" in texts
    assert not any(row.flags for row in document.rows)


FOOTNOTE = """
    Current account 00012345      Period 01/03/2025 - 31/03/2025

    Date         Description             Paid out   Paid in    Balance
                 Balance forward                              1,000.00
    02/03/2025   Visa purchase              50.00
                 HARTLEY STORES                                 950.00
    04/03/2025   Interest added                         1.00    951.00
                 Balance forward                                951.00
    05/03/2025   Visa purchase              51.00
                 BOOKBARN
                 14.20 GBP                                      900.00

                 Lending at 11.85% on authorised overdrafts
"""


def test_footnote_below_the_last_row_is_no_text_of_it():
    document = read_typed(FOOTNOTE)
    assert _rows(document)[-1][1] == "Visa purchase BOOKBARN 14.20 GBP"
    assert not reasons(document)


def test_balance_of_the_last_row_is_the_closing_one_below_a_balance_brought_forward():
    statement = read_typed(FOOTNOTE).statements[0]
    assert (str(statement.opening), str(statement.closing)) == ("1000.00", "900.00")


def test_value_date_in_brackets_with_its_label_is_no_text():
    document = read_typed("""
        IBAN: BE27 0684 4719 2036        Munt: EUR
        VORIG SALDO op 28-02-2025                                             + 1.000,00
        0061  04-03-2025  AANKOOP KAART 7712 (VAL. 03-03-2025)                  - 50,00
                          BAKKERIJ GENT
        0062  05-03-2025  OVERSCHRIJVING NAAR        (VAL. 05-03-2025)          - 30,00
                          VERHELST TINE
        0063  08-03-2025  STORTING VAN               (VAL. 08-03-2025)          + 20,00
        0064  10-03-2025  GELDOPNAME                 (VAL. 09-03-2025)          - 40,00
        0065  11-03-2025  AANKOOP (VALENTINO)        (VAL. 10-03-2025)          - 60,00
        NIEUW SALDO op 31-03-2025                                               + 840,00
    """)
    texts = [row.description for row in document.rows]
    assert texts[0].endswith("AANKOOP KAART 7712 BAKKERIJ GENT")
    assert texts[4].endswith("AANKOOP (VALENTINO)")
    assert str(document.rows[0].value_date) == "2025-03-03"
    assert not reasons(document)


def test_days_within_text_are_no_amounts():
    document = read_typed("""
        Kontoauszug 3/2025  01.03.2025 - 31.03.2025     IBAN DE79 5003 3510 0744 1908 22
        Alter Saldo  1.000,00 EUR
        Neuer Saldo    950,00 EUR

        Buchung      Verwendungszweck                           Betrag (EUR)
        01.03.2025   Lastschrift VISA BIOLADEN                        -23,00
        01.03.2025   NR DX064 KIEL KAUFUMSATZ 27.02 801122
        03.03.2025   Lastschrift VISA BIOLADEN                        -17,00
        03.03.2025   NR DX065 KIEL KAUFUMSATZ 01.03 801133
        04.03.2025   Lastschrift VISA BIOLADEN                        -50,00
        04.03.2025   NR DX066 KIEL KAUFUMSATZ 03.03 801144
        05.03.2025   Gutschrift Inga Thode                             40,00
        05.03.2025   Flohmarkt 04.03
    """)
    assert [row[2] for row in _rows(document)] == ["-23.00", "-17.00", "-50.00", "40.00"]
    assert "27.02" in _rows(document)[0][1]
    assert not reasons(document)


def test_box_of_text_beside_the_rows_is_no_text_of_them():
    document = read_typed("""
        CASH BACK VISA CARD  4510 XXXX XXXX 7712
        STATEMENT FROM FEB 20 TO MAR 19, 2025

        TRANSACTION  POSTING
        DATE         DATE      ACTIVITY DESCRIPTION                 AMOUNT ($)     CALCULATING YOUR BALANCE
        PREVIOUS STATEMENT BALANCE                                   $100.00
        FEB 20       FEB 21    TIMS BAKERY CALGARY AB                 $13.00      Cash advances        $0.00
        FEB 21       FEB 23    MEC OUTFITTERS CALGARY AB              $12.00
        FEB 22       FEB 24    KINDLING TORONTO ON                    $16.00      NEW BALANCE        $191.00
        FEB 24       FEB 25    PETRO-WEST AIRDRIE AB                 $100.00
        FEB 27       FEB 28    PAYMENT - THANK YOU                  -$100.00
        FEB 28       MAR 02    SHOPPERS HUB CALGARY AB                $50.00      Collect 416-555-0177
        NEW BALANCE                                                  $191.00
    """)
    assert _rows(document)[2][1] == "KINDLING TORONTO ON"
    assert _rows(document)[-1] == ("2025-03-02", "SHOPPERS HUB CALGARY AB", "-50.00")
    statement = document.statements[0]
    assert (statement.account, statement.currency) == ("4510XXXXXXXX7712", "CAD")
    assert not reasons(document)


CARD = """
    FATURA 10 MAR 2025     Cartão de crédito
    Período vigente: 03 FEV a 03 MAR
    Fatura anterior                                R$ 100,00
    Total a pagar                                  R$ 165,00
"""
CARD_ROWS = """
    TRANSAÇÕES DE 03 FEV A 03 MAR                VALORES EM R$
    04 FEV    •••• 7712 Posto Araucária             R$ 68,00
    05 FEV    •••• 7712 Lojas Horizonte             R$ 75,00
    10 FEV    Pagamento em 10 FEV                −R$ 100,00
    11 FEV    •••• 3304 Streamluz                    R$ 7,00
    14 FEV    •••• 7712 Hortifruti                   R$ 5,00
    02 MAR    •••• 7712 Livraria                    R$ 10,00
"""


def test_card_has_the_number_of_its_rows_and_the_period_without_years():
    document = read_typed(CARD, CARD_ROWS)
    statement = document.statements[0]
    assert statement.account == "7712"
    assert (str(statement.start), str(statement.end)) == ("2025-02-03", "2025-03-03")
    assert (str(statement.opening), str(statement.closing)) == ("100.00", "165.00")
    assert not reasons(document)


def test_page_without_rows_is_reported_if_a_row_may_be_missing():
    assert reasons(read_typed(CARD + "\n    05 FEV    Outra compra                     12,00", CARD_ROWS))
    assert reasons(read_typed(CARD, CARD_ROWS.replace("7,00", "9,00")))


def test_period_may_begin_and_end_on_lines_of_their_own():
    document = read_typed("""
        Account number 44-719-2088              Statement starts   1 March 2025
                                                Statement ends    31 March 2025

        Date         Particulars            Debits     Credits    Balance
        3 Mar 2025   Brought forward                             1,000.00
        4 Mar 2025   Western Power          149.00                 851.00
        5 Mar 2025   Refund                            100.00      951.00
        6 Mar 2025   Gym                     50.00                 901.00
    """)
    statement = document.statements[0]
    assert (str(statement.start), str(statement.end)) == ("2025-03-01", "2025-03-31")


def test_statement_ends_on_the_day_as_at_which_it_is_drawn():
    document = read_typed("""
        Consolidated Statement as at 31 Mar 2025      Account No. 447-19208-8

        Date         Description         Withdrawal   Deposit      Balance
                     Balance Brought Forward                      1,000.00
        06/03/2025   Remittance              100.00                 900.00
        19/03/2025   Inward Credit                      50.00       950.00
        20/03/2025   Service Charge           10.00                 940.00
    """)
    assert str(document.statements[0].end) == "2025-03-31"


def test_euros_may_be_named_in_words():
    document = read_typed("""
        Compte de dépôt n° 61044719311        M. COSTE BASTIEN
        Synthèse des opérations en euros

        Date     Valeur   Libellé des opérations        Débit      Crédit
                          Ancien solde créditeur au 28.02.2025   1 000,00
        01.03    01.03    Carte Intermarche             57,00
        03.03    04.03    Remise de cheque                          77,00
        05.03    05.03    Virement vers livret         150,00
                          Nouveau solde créditeur au 31.03.2025    870,00
    """)
    statement = document.statements[0]
    assert (statement.account, statement.currency) == ("61044719311", "EUR")


def test_account_ends_at_a_letter_of_another_cell():
    document = read_typed("""
        Compte de dépôt n° 61044719311        M. COSTE BASTIEN

        Date     Valeur   Libellé des opérations        Débit      Crédit
                          Ancien solde créditeur au 28.02.2025   1 000,00
        01.03    01.03    Carte Intermarche             57,00
                          Nouveau solde créditeur au 31.03.2025    943,00

        Livret Jeune n° 61044719322        M. COSTE BASTIEN

        Date     Valeur   Libellé des opérations        Débit      Crédit
                          Ancien solde créditeur au 28.02.2025   2 000,00
        01.03    01.03    Carte Intermarche             57,00
                          Nouveau solde créditeur au 31.03.2025  1 943,00
    """)
    assert [statement.account for statement in document.statements] == ["61044719311", "61044719322"]


def test_holder_is_the_name_above_the_address_of_the_first_page():
    page = """
        Lakeport Main Branch                         ACCOUNT NUMBER 0183447102
        118 Canal Street
        Lakeport, OH 44035
        {}
        Date         Description         Withdrawal   Deposit      Balance
        03/06/2025   Remittance              100.00                 900.00
        03/19/2025   Inward Credit                      50.00       950.00
    """
    document = read_typed(
        page.format(
            "\n\n\n        IVAN PAREDES\n        77 PIER AVE\n        GABRIEL PASTOR\n        44035 LAKEPORT\n"
        ),
        page.format(""),
    )
    assert document.statements[0].holder == "IVAN PAREDES"


def test_label_of_several_words_is_no_name():
    document = read_typed("""
        Müşteri Adı        : NURAY DEMIRTAS           Hesap No : 1447192

        Date         Description         Withdrawal   Deposit      Balance
        06/03/2025   Remittance              100.00                 900.00
        19/03/2025   Inward Credit                      50.00       950.00
    """)
    assert document.statements[0].holder == "NURAY DEMIRTAS"


TWO_DATES = """
    PERIODO DAL 01/01/2025 AL 31/03/2025        CONTO N. 001042287715

    DATA         DATA         ADDEBITI      ACCREDITI    DESCRIZIONE OPERAZIONI
    CONTAB.      VALUTA         (EURO)         (EURO)
    01/01/25                                 1.000,00    SALDO INIZIALE
    03/01/25     02/01/25        45,00                   PAGAMENTO POS
    10/01/25     09/01/25        92,00                   ADDEBITO DIRETTO
    27/01/25     26/01/25                      500,00    BONIFICO
    28/01/25     27/01/25        63,00                   PRELIEVO
    31/01/25     30/01/25       100,00                   CANONE
    31/03/25                                 1.200,00    SALDO FINALE
"""


def test_second_line_of_headings_is_no_table_of_its_own():
    document = read_typed(TWO_DATES)
    assert [row[0] for row in _rows(document)] == [f"2025-01-{day}" for day in ("03", "10", "27", "28", "31")]
    assert not document.notes[1:]
    assert not reasons(document)


def test_first_of_two_dates_is_that_of_the_row_though_the_opening_balance_has_only_that():
    unknown = TWO_DATES.replace("DATA    ", "TAG A   ").replace("DATA  ", "TAG B ").replace("VALUTA", "NO    ")
    document = read_typed(unknown.replace("ADDEBITI", "UNO     ").replace("ACCREDITI", "DUE      "))
    assert [row[0] for row in _rows(document)] == [f"2025-01-{day}" for day in ("03", "10", "27", "28", "31")]
    assert not reasons(document)


def test_wrapped_text_belongs_to_the_row_whose_line_it_is_continued_on():
    document = read_typed(WRAPPED)
    texts = [row[1] for row in _rows(document)]
    assert "Varekjøp Vinmonopolet Valkendorf 16.41" in texts
    assert "Varekjøp Vinmonopolet Bergen kl. 08.27" in texts
    assert not reasons(document)


def test_words_that_ocr_splits_or_misreads_are_still_known():
    document = read_typed("""
        Tili 123456-785             Kausi 01.03.2025 - 31.03.2025

        Date         Desc ription                     Debits     Credits    Balance
                     ALKUSALD0                                              1,000.00
        3/3/2025     Western Power ..                 .149.00                 851.00
        5/3/2025     POS PURCHASE                      100.00                 751.00
                     EMIRATI FUEL 0118 20FEB AED 100
        6/3/2025     Gym ..                            .51.00                 700.00
    """)
    assert [row[2] for row in _rows(document)] == ["-149.00", "-100.00", "-51.00"]
    assert _rows(document)[1][1] == "POS PURCHASE EMIRATI FUEL 0118 20FEB AED 100"
    assert str(document.statements[0].opening) == "1000.00"
    assert not reasons(document)


def test_day_and_time_at_the_start_of_further_text_begin_no_row():
    document = read_typed("""
        Tili 123456-785             Kausi 01.03.2025 - 31.03.2025
        ALKUSALDO 01.03.2025                                1.000,00+
        LOPPUSALDO 31.03.2025                                 730,00+

        TAPAHTUMAPV 07.03.2025
        A10           OSTO                       07.03.       50,00-
                      PRISMA
        TAPAHTUMAPV 10.03.2025
        A11           NOSTO                      10.03.       80,00-
                      LAPPEENRANTA
                      08.03. KLO 20.21
        A12           TILISIIRTO                 10.03.       70,00-
        TAPAHTUMAPV 11.03.2025
        A13           PANO                       11.03.       30,00+
        A14           LASKU                      12.03.      100,00-
    """)
    days = ["2025-03-07", "2025-03-10", "2025-03-10", "2025-03-11", "2025-03-11"]
    assert [row[0] for row in _rows(document)] == days
    assert _rows(document)[1][1].endswith("NOSTO LAPPEENRANTA 08.03. KLO 20.21")
    assert not reasons(document)


ONE_HOLDER = """
        {}

        Date         Description         Withdrawal   Deposit      Balance
        06/03/2025   Remittance              100.00                 900.00
        19/03/2025   Inward Credit                      50.00       950.00
"""


def test_holder_is_found_beside_a_card_a_product_or_a_greeting():
    lines = {
        "Chinook Bank       MR G R LACASSE 4510 XXXX XXXX 7712": "MR G R LACASSE",
        "IBAN AT62 2011 2840 4771 3300\n        Hofstätter Leonhard, Gehaltskonto": "Hofstätter Leonhard",
        "roxa                   MATEUS ANDRADE LEAL\n        Olá, Mateus.": "MATEUS ANDRADE LEAL",
        "roxa                   MATEUS ANDRADE LEAL\n        Olá, cliente.": "",
    }
    for text, holder in lines.items():
        assert read_typed(ONE_HOLDER.format(text)).statements[0].holder == holder


def test_balance_in_the_last_of_several_cells_is_no_row():
    document = read_typed("""
        Kontoauszug vom 01.06.2025 bis 30.06.2025     IBAN DE79 5003 3510 0744 1908 22

        Buchung      Verwendungszweck                                     Betrag EUR
                     Alter Saldo                                           + 1.000,00
        03.06.2025   Kartenzahlung BUCHHANDLUNG                              - 20,00
        05.06.2025   Bargeldauszahlung GA NR253                              - 30,00
                     10.06/21.11UHR STADE
        30.06.2025   Lastschrift REWEKA                                      - 50,00
        Filialnummer 370  Konto 5519044         Neuer Saldo EUR              + 900,00
    """)
    assert [row[2] for row in _rows(document)] == ["-20.00", "-30.00", "-50.00"]
    assert _rows(document)[1][1] == "Bargeldauszahlung GA NR253 10.06/21.11UHR STADE"
    assert str(document.statements[0].closing) == "900.00"
    assert not reasons(document)
