"""Kinds of layouts after those of smaller banks that failed at first sight, each in the smallest form that shows it."""

from dataclasses import replace

from typed_pages import read_typed, typed_page

from processors.statements import PageWord, StatementDocument, read_statements, reasons


def _rows(document: StatementDocument) -> list[tuple[str, str, str]]:
    return [(str(row.date), row.description, str(row.change)) for row in document.rows]


TURKISH_CARD = """
    Sayın SELİN AKDOĞAN                     Kart Numarası        5549 60** **** 3318
    Cemal Cad. No: 214                      Hesap Kesim Tarihi   28 Ekim 2025
    35590 İzmir                             Son Ödeme Tarihi     07 Kasım 2025

    İşlem Tarihi     İşlem Açıklaması             Kazanılan Puan (TL)   Tutar (TL)

                     ÖNCEKİ HESAP ÖZETİ BAKİYENİZ                          1.000,00
    29 Eylül 2025    ESHOT KART                          0,86                171,00
    30 Eylül 2025    MIGROS                                                  300,00
    03 Ekim 2025     TEKNOSA (3/6 taksit)                1,92                500,00
    08 Ekim 2025     ÖDEMENİZ İÇİN TEŞEKKÜR EDERİZ                        1.000,00+
    28 Ekim 2025     BSMV                                                     79,00
                     DÖNEM BORCUNUZ                                        1.050,00
"""


def test_plus_behind_an_amount_marks_the_payments_of_a_card():
    document = read_typed(TURKISH_CARD)
    assert [row[2] for row in _rows(document)] == ["-171.00", "-300.00", "-500.00", "1000.00", "-79.00"]
    statement = document.statements[0]
    assert (str(statement.opening), str(statement.closing), statement.is_liability) == ("1000.00", "1050.00", True)
    assert (statement.account, statement.holder) == ("554960******3318", "SELİN AKDOĞAN")
    assert not reasons(document)


def test_card_is_known_by_a_payment_of_its_opening_balance():
    document = read_typed("""
        Data estratto conto   31 ottobre 2025       Gentile Cliente
        Carta                 Lario Classic         GIANLUCA FERRANTE
                                                    VIA AMENDOLA 17
                                                    23900 LECCO LC

        Saldo estratto conto precedente         864,27
        Totale da addebitare                    124,28

        Data         Data        Descrizione                            Importo
        operazione   registr.                                           in euro
        02/10/25     04/10/25    FARMACIA ALLE GRIGNE                     22,65
        03/10/25     05/10/25    TRENORD                                  18,99
        10/10/25     12/10/25    ADDEBITO IN C/C                       - 864,27
        12/10/25     14/10/25    DECATHLON                                52,64
        31/10/25     31/10/25    IMPOSTA DI BOLLO                         30,00

                                 TOTALE DA ADDEBITARE                    124,28
    """)
    assert [row[2] for row in _rows(document)] == ["-22.65", "-18.99", "864.27", "-52.64", "-30.00"]
    assert document.statements[0].is_liability
    assert str(document.statements[0].closing) == "124.28"


def test_letters_in_a_column_of_their_own_mark_debits_and_credits():
    document = read_typed("""
        Klientas:          EGLĖ VAITKUTĖ (48911270334)
        Sąskaitos Nr.:     LT96 7300 0101 7720 4815
        Laikotarpis:       2025-10-01 - 2025-10-31

        Data          Gavėjas            Paaiškinimai                        Suma         D/K

                                         Pradinis likutis 2025-10-01     1 084,52          K
        2025-10-01    NEMUNO BANKAS      GRYNIEJI 2025.10.01 19.30         120,00          D
        2025-10-02    UAB "Būsto"        Nuoma                             480,00          D
        2025-10-07    RŪTA ŽEMAITYTĖ     Už bilietus                       144,94          K
        2025-10-09    BOLT.EU            PIRKINYS 2025.10.09 497978          9,95          D
                                         Apyvarta debetas                  609,95          D
                                         Apyvarta kreditas                 144,94          K
                                         Galutinis likutis 2025-10-31      619,51          K
    """)
    assert [row[2] for row in _rows(document)] == ["-120.00", "-480.00", "144.94", "-9.95"]
    statement = document.statements[0]
    assert (str(statement.opening), str(statement.closing), statement.holder) == ("1084.52", "619.51", "EGLĖ VAITKUTĖ")
    assert not any(row.flags for row in document.rows)


def test_end_of_the_statement_and_footnotes_are_no_text_of_a_row():
    document = read_typed("""
        ESTADO DE CUENTA   Medellin   Desde: 2025/10/01  Hasta: 2025/10/31

        FECHA    DESCRIPCION             VALOR         SALDO
        1/10     NOMINA               4,000.00      5,000.00
        2/10     RETIRO CAJERO         -250.00      4,750.00
        3/10     COMPRA EXITO           -50.00      4,700.00
                 FIN ESTADO DE CUENTA
                 ## These fees include VAT
        SALDO ACTUAL   $ 4,700.00
    """)
    assert [row[1] for row in _rows(document)] == ["NOMINA", "RETIRO CAJERO", "COMPRA EXITO"]
    assert document.statements[0].currency == "COP"


def test_tables_side_by_side_may_have_headings_of_two_lines():
    document = read_typed("""
        For the period 09/01/2025 to 09/30/2025   Primary account number: 11-0374-5582
        Beginning balance   10,000.00             Ending balance    4,500.00

        ACH Additions
        Date                     Transaction      Reference
        posted         Amount    description      number
        09/05          500.00    SETTLEMENT       00025112690

        Checks and Substitute Checks
        Date      Check                   Reference     Date      Check                   Reference
        posted    number      Amount      number        posted    number      Amount      number
        09/04     4472      2,000.00      057833009     09/19     4480      1,000.00      070471897
        09/05     4473 *    1,500.00      072564983     09/22     4481        500.00      057727590
        09/09     4475      1,000.00      072564984
    """)
    assert [row[2] for row in _rows(document)] == ["500.00", "-2000.00", "-1500.00", "-1000.00", "-1000.00", "-500.00"]
    assert [row.reference for row in document.rows][1:3] == ["4472 057833009", "4473 * 072564983"]
    assert not any(row.flags for row in document.rows)


def test_title_of_an_account_may_begin_with_a_number():
    document = read_typed("""
        MARISOL A TRENHOLM                Statement period
        1904 GROVE AVE APT 6              Oct 1 - Oct 31, 2025
        RICHMOND VA 23220

        360 Checking - 36048817702
        DATE      DESCRIPTION            AMOUNT       BALANCE
        Oct 1     Opening Balance                   $3,000.00
        Oct 2     WITHDRAWAL          - $500.00     $2,500.00
        Oct 31    Closing Balance                   $2,500.00

        360 Performance Savings - 36120965518
        DATE      DESCRIPTION            AMOUNT       BALANCE
        Oct 1     Opening Balance                  $12,000.00
        Oct 6     DEPOSIT             + $400.00    $12,400.00
        Oct 31    Closing Balance                  $12,400.00
    """)
    found = [(each.account, str(each.closing), each.holder) for each in document.statements]
    holder = "MARISOL A TRENHOLM"
    assert found == [("36048817702", "2500.00", holder), ("36120965518", "12400.00", holder)]


def test_label_below_a_label_is_no_holder():
    document = read_typed("""
        Rhiannon Clewlow          Account name      Personal Account (GBP)
        41 Castle Gates           Sort code                       60-83-14
        Shrewsbury                Account number                  61430927
        SY1 2AT

        Date          Description     Paid out     Paid in     Balance
        01/10/2025    RENT              100.00                  900.00
        02/10/2025    GAS                50.00                  850.00
    """)
    assert document.statements[0].holder == "Rhiannon Clewlow"


def test_ledger_of_daily_balances_is_no_page_that_was_not_understood():
    ledger = """
        For the period 09/01/2025 to 09/30/2025   Primary account number: 11-0374-5582
        Beginning balance   10,000.00             Ending balance    6,500.00

        Daily Balance
        Date     Ledger balance    Date     Ledger balance
        09/04          8,000.00    09/09          6,500.00
        09/05          7,500.00
    """
    document = read_typed(
        ledger,
        """
        Date      Description        Withdrawals      Deposits
        09/04     RENT                  2,000.00
        09/05     TOOLS                 1,500.00
        09/05     DEPOSIT                             1,000.00
        09/09     PAYROLL               1,000.00
    """,
    )
    assert len(document.rows) == 4
    assert not document.unread


def test_vertical_text_in_the_margin_is_no_text_of_a_row():
    page = typed_page("""
           Data          Concepte         Import        Saldo
           03/11/2025    LLOGUER         610,00-     1.232,09
           04/11/2025    PETROCAT         59,27-     1.172,82
           05/11/2025    ENDESA           62,17-     1.110,65
    """)
    margin = [
        PageWord(text, 2, 20 + 8 * at, 8, 30 + 8 * at) for at, text in enumerate(("Inscrit", "Girona,", "GI-8821."))
    ]
    document = read_statements([replace(page, words=(*page.words, *margin))])
    assert [row[1] for row in _rows(document)] == ["LLOGUER", "PETROCAT", "ENDESA"]


def test_list_of_movements_without_balances_has_no_flag_but_says_so():
    document = read_typed("""
        Compte       BE69 0631 4882 1778 (EUR)
        Titulaire    HUGUES DELVAUX
        Période      01/10/2025 - 30/11/2025

        Exécution    Valeur       Contrepartie   Type d'opération      Communication / Détails      Montant  Devise
        27/11/2025   27/11/2025   PHARMACIE      Paiement Bancontact   Carte 6703 - 24/11 11.47      -29,95  EUR
        26/11/2025   26/11/2025   SPW MOBILITE   Virement reçu         TRAITEMENT 11/2025         +2.318,76  EUR
        25/11/2025   25/11/2025   PAIN           Paiement Bancontact   Carte 6703 - 24/11 19.37      -14,79  EUR
        21/11/2025   21/11/2025   SELF NAMUR     Retrait d'argent      Carte 6703 - 20/11 08.24     -100,00  EUR
    """)
    assert [row[2] for row in _rows(document)] == ["-100.00", "-14.79", "2318.76", "-29.95"]
    assert not any(row.flags for row in document.rows)
    assert reasons(document) == ["too few balances are printed to verify the rows"]


def test_letters_of_a_balance_may_stand_before_its_currency():
    document = read_typed("""
        Kontoauszug vom 01.11.2025 bis 30.11.2025

        Bu.Tag    Wert      Wir haben für Sie gebucht    Belastung in EUR    Gutschrift in EUR
                            ALTER KONTOSTAND                                    2.471,38 H EUR
        03.11.    03.11.    Dauerauftrag                          685,00
                            Miete Whg 14
        03.11.    04.11.    Kartenzahlung                          61,50
                            02.11/16:53:45 Debitk.0
        05.11.    05.11.    Gehalt                                                    1.000,00
                            NEUER KONTOSTAND                                    2.724,88 H EUR
    """)
    assert [row[1] for row in _rows(document)][1] == "Kartenzahlung 02.11/16:53:45 Debitk.0"
    assert (str(document.statements[0].opening), str(document.statements[0].closing)) == ("2471.38", "2724.88")
    assert not reasons(document)


def test_rates_currencies_and_dashes_in_columns_are_no_text_of_a_row():
    document = read_typed("""
        Date         Description        Foreign      Rate       Currency    Amount     Balance
        02/10/2025   HOTEL ALPENBLICK   105.00       1.0703     CHF        -112.38      887.62
        03/10/2025   GAS - METER 3      —            —          EUR         -87.62      800.00
        04/10/2025   SHOP               21.50        1.0767     CHF         -23.15      776.85
    """)
    assert [row[1] for row in _rows(document)] == ["HOTEL ALPENBLICK", "GAS - METER 3", "SHOP"]


def test_period_ends_on_the_day_of_a_closing_balance_beside_an_address():
    document = read_typed("""
        Rekening              IBAN                      Datum
        Zakelijke Rekening    NL03 WADN 0254 4178 36    30-11-2025

        Bakkerij Hoekstra                               Beginsaldo 31-10-2025    1.000,00 C
        8601 ED SNEEK                                   Eindsaldo 30-11-2025       650,00 C

        Datum    Valuta   Code    Omschrijving           Debet      Credit
        03-11    03-11    OV      HUUR NOVEMBER         500,00
        07-11    07-11    ID      BESTELLING                        250,00
        28-11    28-11    IC      VERZEKERING           100,00
    """)
    assert str(document.statements[0].end) == "2025-11-30"
    assert [str(row.date) for row in document.rows] == ["2025-11-03", "2025-11-07", "2025-11-28"]
