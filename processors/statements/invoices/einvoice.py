"""The e-invoice within a PDF file: ZUGFeRD, Factur-X or XRechnung in the syntax of UN/CEFACT CII (EN 16931). Pure.

Its data is used only if the pages print the same number and the same gross amount. XML with a document type, and so
with entities, is refused.
"""

import datetime
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from xml.etree import ElementTree
from xml.parsers import expat

from processors.statements.checks.verify import occurs
from processors.statements.invoices.confirmation import confirm_figures, take_iban
from processors.statements.invoices.records import Invoice, InvoiceLine
from processors.statements.receipts.records import TaxLine

NAMES = ("factur-x.xml", "zugferd-invoice.xml", "xrechnung.xml")  # of the attachment, in lower case
MAX_BYTES = 4 * 1024 * 1024
_COMPARED = ("number", "date", "due_date", "iban", "net", "tax", "gross")
_Element = ElementTree.Element


class _HasDocumentType(Exception):
    pass


def parse_einvoice(data: bytes) -> Invoice | None:
    """The invoice, with page 1 for all its lines; None if this is not a readable e-invoice."""
    try:
        _refuse_document_type(data)
        root = ElementTree.fromstring(data)
        return _read(root) if _name(root).startswith("CrossIndustry") else None
    except (_HasDocumentType, expat.ExpatError, ElementTree.ParseError, InvalidOperation, ValueError, LookupError):
        return None


def prefer_einvoice(read: Invoice, data: bytes, texts: Sequence[str]) -> Invoice:
    """The e-invoice if the pages print its number and its gross amount; otherwise, the invoice as read, with a reason.

    texts: those of the pages.
    """
    electronic = parse_einvoice(data)
    if electronic is None:
        read.reasons.append("the e-invoice within the file cannot be read; the pages were used")
        return read
    text = "\n".join(texts)
    letters = _letters(text)
    is_printed = electronic.gross is not None and occurs(abs(electronic.gross), text)
    if not (is_printed and electronic.number and _letters(electronic.number) in letters):
        read.reasons.append("the number or the gross amount of the e-invoice within the file is not on the pages")
        return read
    for name in _COMPARED:
        printed, stated = getattr(read, name), getattr(electronic, name)
        if printed not in (None, "") and stated not in (None, "") and printed != stated:
            electronic.reasons.append(f"{name}: the e-invoice within the file has {stated}, the pages have {printed}")
    electronic.pages = {name: page for name, page in read.pages.items() if getattr(electronic, name, None)}
    return electronic


def _refuse_document_type(data: bytes) -> None:
    def refuse(*_: object) -> None:
        raise _HasDocumentType

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(data, True)


def _read(root: _Element) -> Invoice:
    invoice = Invoice(source="the e-invoice within the file", currency_source="the e-invoice")
    seller, buyer = _find(root, "SellerTradeParty"), _find(root, "BuyerTradeParty")
    document = _find(root, "ExchangedDocument", "HeaderExchangedDocument")
    settlement = _find(root, "ApplicableHeaderTradeSettlement", "ApplicableSupplyChainTradeSettlement")  # 2.x, 1.0
    if settlement is None or document is None:
        raise LookupError
    invoice.supplier, invoice.customer = _child_text(seller, "Name"), _child_text(buyer, "Name")
    invoice.number = _child_text(document, "ID")
    invoice.date = _date(_find(document, "IssueDateTime"))
    invoice.due_date = _date(_find(settlement, "DueDateDateTime"))
    invoice.delivery_date = _date(_find(root, "OccurrenceDateTime"))
    invoice.currency = _child_text(settlement, "InvoiceCurrencyCode")
    take_iban(invoice, _text(settlement, "IBANID"))
    for tax in _children(settlement, "ApplicableTradeTax"):
        amount, net = _amount(tax, "CalculatedAmount"), _amount(tax, "BasisAmount")
        rate = _amount(tax, "RateApplicablePercent")
        rate = rate if rate is not None else _amount(tax, "ApplicablePercent")
        if amount is not None:
            invoice.taxes.append(TaxLine(amount, rate, net, net + amount if net is not None else None))
    _read_sums(invoice, settlement)
    invoice.lines = [line for item in _all(root, "IncludedSupplyChainTradeLineItem") for line in _line(item)]
    confirm_figures(invoice)
    return invoice


def _read_sums(invoice: Invoice, settlement: _Element) -> None:
    sums = next(
        (child for child in settlement if _name(child).endswith("MonetarySummation")),
        None,
    )
    if sums is None:
        raise LookupError
    invoice.net, invoice.tax = _amount(sums, "TaxBasisTotalAmount"), _amount(sums, "TaxTotalAmount")
    invoice.gross = _amount(sums, "GrandTotalAmount")
    paid = _amount(sums, "TotalPrepaidAmount")
    if paid:
        invoice.paid, invoice.due = paid, _amount(sums, "DuePayableAmount")
    for name, sign in (("AllowanceTotalAmount", -1), ("ChargeTotalAmount", 1), ("RoundingAmount", 1)):
        if value := _amount(sums, name):
            invoice.adjustments.append((name.removesuffix("TotalAmount").removesuffix("Amount"), sign * value))


def _line(item: _Element) -> Iterator[InvoiceLine]:
    amount = _amount(item, "LineTotalAmount")
    if amount is None:
        return
    quantity = _find(item, "BilledQuantity")
    price = _find(item, "NetPriceProductTradePrice")
    product = _find(item, "SpecifiedTradeProduct")
    rate = _amount(item, "RateApplicablePercent")
    base = _amount(price, "BasisQuantity") if price is not None else None
    each = _amount(price, "ChargeAmount") if price is not None else None
    yield InvoiceLine(
        1,
        _child_text(product, "Name"),
        amount,
        quantity=Decimal(quantity.text or "") if quantity is not None else None,
        unit=quantity.get("unitCode", "") if quantity is not None else "",
        unit_price=each / base if each is not None and base else each,
        tax_rate=rate if rate is not None else _amount(item, "ApplicablePercent"),
    )


def _name(element: _Element) -> str:
    return element.tag.rpartition("}")[2]


def _all(element: _Element, name: str) -> Iterator[_Element]:
    return (each for each in element.iter() if _name(each) == name)


def _find(element: _Element, *names: str) -> _Element | None:
    return next((each for each in element.iter() if _name(each) in names), None)


def _children(element: _Element, name: str) -> list[_Element]:
    return [child for child in element if _name(child) == name]


def _text(element: _Element, name: str) -> str:
    found = _find(element, name)
    return (found.text or "").strip() if found is not None else ""


def _child_text(element: _Element | None, name: str) -> str:
    found = _children(element, name) if element is not None else []
    return (found[0].text or "").strip() if found else ""


def _amount(element: _Element, name: str) -> Decimal | None:
    text = _text(element, name)
    value = Decimal(text) if text else None
    if value is not None and not value.is_finite():
        raise InvalidOperation
    return value


def _date(element: _Element | None) -> datetime.date | None:
    text = "".join(element.itertext()).strip() if element is not None else ""
    return datetime.datetime.strptime(text[:8], "%Y%m%d").date() if text else None


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text).casefold()
