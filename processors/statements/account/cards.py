"""Whether a statement is that of a credit card, whose balance is owed: by words, and by the marks of amounts. Pure.

No sum can decide this: the balances of a card also agree if its purchases and payments are interchanged.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal

from processors.statements.notation.debit_credit import RowAmounts, are_credits_marked
from processors.statements.notation.keywords import normalize
from processors.statements.table.raw import RawRow

DOUBT = "if this is the statement of a credit card, its debits and credits are reversed"
LOAN_DOUBT = "if this is the statement of a loan, its debits and credits are reversed"

_CARD = re.compile(
    r"credit ?card|minimum (?:payment|amount)|credit limit|kreditkarte|carte de credit|tarjeta de credito|amount due"
    r"|cartao de credito|carta di credito|kreditkort|luottokort|karta kredytow|kreditni kart|hitelkartya|card de credit"
    r"|kredi karti|kartu kredit|kad kredit|pago minimo|pagamento minimo|asgari odeme|mindestbetrag|pembayaran minimum"
    r"|limite de credito|kreditlimit|kredittgrense|total (?:d[ea]st?a )?fatura|信用卡|신용카드|クレジットカード"
    r"|fido della carta|limite (?:de la tarjeta|do cartao)|plafond de (?:la )?carte|limit(?: na)? kart[ey]|kart limiti"
    r"|ご利用代金|ご請求金額|이용대금"
)
_BRAND = re.compile(
    r"\b(?:visa|master ?card|american express|amex)(?:[ -][a-z]+){0,3}[ -]?(?:card|karte|carte|tarjeta)\b"
    r"|\bavailable credit|\bcredit (?:line|available)\b|\bcash advances?\b"
)
_RECEIVED = re.compile(
    r"\bpayment\b.{0,9}\bthank ?you\b|\bthank ?you\b.{0,9}\bpayment\b|\bpayment received\b|\bdankend erhalten\b"
    r"|\bzahlung erhalten\b|\bgracias por su pago\b|\bpago recibido\b|\bpagamento ricevuto\b|\bbetaling ontvangen\b"
    r"|\bpagamento recebido\b"
)
_ANY = re.compile(
    r"\b(?:cards?|karten?|cartes?|tarjetas?|carta|cartao|cartoes|kaart|kort(?:et)?|kortti|karta|karty|kartya|kart|karti|kartu)\b"
    r"|カード|卡|카드"
)
_DUE = re.compile(  # an ordinary account has no day by which its balance must be paid
    r"\bdue (?:date|by|on)\b|\bpay(?:ment)? (?:due|by)\b|\bvencimento\b|\bvencimiento\b|\bfecha limite de pago\b"
    r"|\bdate d'echeance\b|\bscadenza\b|\bfallig(?:keit)?\b|\bforfald(?:sdato)?\b|\bforfallsdato\b|\bforfallodag\b"
    r"|\berapaiva\b|\bson odeme\b|\bjatuh tempo\b|\btermin (?:platnosci|splaty)\b|\bvervaldatum\b|\bsplatnost\b"
    r"|お支払日|繳款截止|到期还款|결제일"
)
_LOAN = re.compile(
    r"\b(?:home )?loan (?:account|statement)\b|\bmortgage (?:account|statement)\b|\b(?:balance|amount) (?:owing|owed)\b"
    r"|\bdarlehens?(?:konto|auszug)\b|\bhypotheken?(?:konto|auszug)\b|\breleve (?:de|du) pret\b|\blanekonto\b"
    r"|\bextracto (?:de|del) prestamo\b|\bestratto (?:del )?mutuo\b|\bextrato (?:de|do) emprestimo\b"
)
_NOT_CREDIT = re.compile(r"debit|debet|\bgiro|prepaid|ending in|lost|stolen")
_ENDING = re.compile(r"(?:[•*·.…]{3,}|…+|\b[xX]{4}) ?(\d{4})\b")
_NUMBER = re.compile(r"[3-6]\d{3}[\d*xX•]{8}\d{4}")  # of a card
_LEAST_ROWS = 4  # fewer rows show no rule
_MOST_MARKED = 1 / 3  # of the rows of a card have a minus: payments and refunds


def find_card_number(rows: Sequence[RawRow]) -> str:
    """The last digits of the card that most rows name, such as "•••• 7712"; "" if there is none."""
    found = Counter(match[1] for row in rows if (match := _ENDING.search(" ".join([*row.reference, *row.text]))))
    number, count = found.most_common(1)[0] if found else ("", 0)
    return number if 2 * count > len(rows) else ""


def names_card(text: str) -> bool:
    """True if a line says that its statement is that of a card, whose balance is owed."""
    return _CARD.search(normalize(text)) is not None


def names_due_card(lines: Iterable[str]) -> bool:
    """True if lines outside the rows name both a card and the day by which its balance must be paid."""
    texts = [normalize(line) for line in lines]
    names = any(_ANY.search(text) and not _NOT_CREDIT.search(text) for text in texts)
    return names and any(map(_DUE.search, texts))


def names_loan(text: str) -> bool:
    """True if a line outside the rows names a loan: its balance is owed, and what is repaid lowers it."""
    return _LOAN.search(normalize(text)) is not None


def names_brand(text: str) -> bool:
    """True if a line outside the rows names a credit card, such as "Cash Back Visa Card"."""
    wanted = normalize(text)
    return _BRAND.search(wanted) is not None and not _NOT_CREDIT.search(wanted)


def subtracts_payments(rows: Sequence[RawRow], amounts: Sequence[RowAmounts]) -> bool:
    """True if a minus marks what was paid on a card: among credits, or beside words for a payment that was received.

    Few amounts of a card have a minus; on other accounts, the amounts of all purchases have one.
    """
    marked = [row for row, each in zip(rows, amounts, strict=True) if each.amount and each.amount.sign == "-"]
    if len(marked) > _MOST_MARKED * len(rows):
        return False
    is_received = any(_RECEIVED.search(normalize(" ".join(row.text))) for row in marked)
    return is_received or are_credits_marked(amounts)


def pays_card(rows: Sequence[RowAmounts], opening: Decimal | None, account: str) -> bool:
    """True if a statement that may be that of a card pays its opening balance, or has the number of a card."""
    paid = [row.amount.value for row in rows if row.amount and row.amount.sign == "-"]
    return bool(opening) and opening in paid or _NUMBER.fullmatch(re.sub(r"[ -]", "", account)) is not None


def may_be_card(rows: Sequence[RowAmounts], outside: Iterable[str]) -> bool:
    """True if a card is named outside the rows, and few amounts have a minus, as on the statement of a card."""
    amounts = [row.amount for row in rows if row.amount]
    if len(amounts) < _LEAST_ROWS or len(amounts) < len(rows) or any(row.section for row in rows):
        return False
    marked = [each for each in amounts if each.sign == "-"]
    is_plain = not any(each.side or each.sign == "+" for each in amounts)
    names = any(_ANY.search(wanted) and not _NOT_CREDIT.search(wanted) for wanted in map(normalize, outside))
    return is_plain and 0 < len(marked) <= _MOST_MARKED * len(amounts) and names
