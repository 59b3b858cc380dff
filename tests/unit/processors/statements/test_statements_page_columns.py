"""Pages with two columns of rows, and lists of installments, on the statements of cards."""

from dataclasses import replace

from typed_pages import read_typed, typed_page

from processors.statements import reasons
from processors.statements.notation.words import PageFrame
from processors.statements.table.page_columns import unfold_columns

FATURA = """
    Banco Jequitiba           Mastercard      Cartao 5234.XXXX.XXXX.4821     Vencimento: 05/02/2025
    Postagem: 21/01/2025      Emissao: 18/01/2025
    Total da fatura anterior                100,00
    Total desta fatura                      360,00

    Pagamentos efetuados                                02/01    POSTO IPIRANGA                  40,00
    DATA     ESTABELECIMENTO        VALOR EM R$                  VEICULOS SAO PAULO
    27/12    PAGAMENTO EFETUADO      - 100,00           08/01    PAO DE ACUCAR                   50,00
    Lancamentos: compras e saques                       09/01    DROGASIL                        60,00
    DATA     ESTABELECIMENTO        VALOR EM R$
    26/06    UBER TRIP 07/10            75,00           Total dos lancamentos atuais            360,00
    20/12    RENNER                     25,00           Compras parceladas - proximas faturas
    21/12    SPOTIFY                    35,00           DATA     ESTABELECIMENTO            VALOR EM R$
    24/12    MERCADO                    75,00           26/06    UBER TRIP 08/10                 75,00
"""


def test_right_column_of_a_page_continues_the_left_one():
    document = read_typed(FATURA)
    assert [str(row.change) for row in document.rows] == (
        ["100.00", "-75.00", "-25.00", "-35.00", "-75.00", "-40.00", "-50.00", "-60.00"]
    )
    assert document.rows[5].description == "POSTO IPIRANGA VEICULOS SAO PAULO"
    assert not reasons(document)


def test_purchase_is_as_many_months_ago_as_its_installments():
    assert str(read_typed(FATURA).rows[1].date) == "2024-06-26"
    other = read_typed(FATURA.replace("07/10", "03/10"))
    assert other.rows[1].date is None


def test_box_of_a_row_in_the_right_column_is_where_it_is_printed():
    page = typed_page(FATURA)
    word = next(word for word in page.words if word.text == "DROGASIL")
    frame = PageFrame(width=2000, height=1000)
    (folded,) = unfold_columns([replace(page, frame=frame)]) or []
    moved = next(word for word in folded.words if word.text == "DROGASIL")
    assert moved.left < word.left
    assert folded.frame
    assert folded.frame.to_fractions(moved.box) == frame.to_fractions(word.box)


def test_page_of_one_column_is_not_folded():
    page = typed_page("""
        Datum       Text                 Gutschrift    Lastschrift   Valuta         Saldo
        02.01.25    LASTSCHRIFT                             100.00   31.12.24      900.00
        03.01.25    KAUF                                     50.00   01.01.25      850.00
        04.01.25    GUTSCHRIFT               200.00                  02.01.25    1 050.00
        05.01.25    BARGELDBEZUG                             30.00   04.01.25    1 020.00
    """)
    assert unfold_columns([page]) is None
