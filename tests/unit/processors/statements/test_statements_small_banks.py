"""Kinds of layouts after those of smaller banks that failed at first sight, each in the smallest form that shows it."""

from typed_pages import read_typed

from processors.statements import StatementDocument, reasons


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
