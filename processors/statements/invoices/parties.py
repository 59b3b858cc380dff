"""The supplier and the customer of an invoice: by labels, otherwise by position and repetition. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from processors.statements.invoices.heading import Cell, Labelled, cell_below
from processors.statements.invoices.keywords import TITLE, find_concept, find_field
from processors.statements.receipts.keywords import fold

_LEGAL_FORM = re.compile(
    r"\b(?:gmbh|eg|e\. ?v|hb|kb|sca|ehf|mbh|ag|kg|ohg|gbr|ug|e\.?k\.?|ltd|limited|llp|llc|inc|corp|plc|pty|co\.?"
    r"|sarl|sas|sa|eurl|s\.?a\.?r\.?l"
    r"|s\.l\.?u?|sl|s\.a\.?|s\.?r\.?l\.?s?|s\.?p\.?a|snc|b\.?v|n\.?v|v\.?o\.?f|ab|a/s|aps|as|asa|oy|oyj"
    r"|sp\. ?z ?o\. ?o|spolka"
    r"|s\.?r\.?o|a\.s|kft|zrt|bt|d\.o\.o|lda|ltda|unipessoal|as\.|a\.s\.|ltd\. sti)(?:\W|$)|株式会社|合同会社|有限会社"
)
_ADDRESS = re.compile(
    r"^\d{3} \d{2} \w|^\d{2}-\d{3} \w|〒|^(?:[a-z]{1,2}-?)?\d{4,6}(?:-\d{3,4})? \w|\b\d{4,5} [a-z]{2}\b"
    r"|[a-z]{1,2}\d[a-z\d]? \d[a-z]{2}\b|\b[a-z]{2},? \d{5}\b"
)
_SENDER = re.compile(r"\s*[·•|∙]\s*|\s[*–-]\s|,\s")  # noqa: RUF001
_DOMAIN = re.compile(r"(?:@|www\.|https?://)(?:www\.)?([a-z0-9\-]+(?:\.[a-z0-9\-]+)*)\.[a-z]{2,}")
_NO_NAME = re.compile(
    r"\b(?:tel|fax|phone|iban|bic|swift|vat|tax|ust|siret|page|seite|street|road|lane|avenue|rue|via|calle|iva|nip"
    r"|invoice|date"
    r"|facture|factura|fattura|factuur|dear)\b|www\.|http|@|ust-?id|strasse|str\.|^\d|rechnung|faktura|datum|straat"
    r"|weg \d|gatan"
)
_LEAST_SCORE = 2.5  # of a name that is certain enough not to need a review
_LEAST_MARGIN = 1.0  # … over the next one
_SALUTATION = re.compile(r"(?:herrn?|frau|firma|mr|mrs|ms|m\.|mme|sr\.|sra\.|dhr\.|mevr\.|an|spett\.?le)\.?")
_LINE_GAP = 1.2  # line heights between the lines of an address
_MOST_BLOCK = 6  # lines of an address


@dataclass(frozen=True)
class Party:
    name: str = ""
    page: int = 0
    is_certain: bool = False


def find_customer(labelled: Sequence[Labelled], rows: Sequence[Sequence[Cell]], height: float, end: int) -> Party:
    """The name after or below a label; otherwise, the first line of a block that ends with a town."""
    for each in labelled:
        if each.field == "customer" and (name := _clean(each.value)) and _is_name(name):
            return Party(name, each.cell.page, True)
    for cells in rows[:end]:
        for cell in cells:
            if cell.text.rstrip().endswith(("御中", "様")):
                return Party(_clean(cell.text.rstrip("御中様 ")), cell.page, True)
    return Party()


def _brands_of(name: str, names: Sequence[str]) -> list[str]:
    """The one-word names, such as in a logo, that this longer name contains."""
    words = re.split(r"\W+", fold(name))
    return [each for each in names if fold(each) in words and fold(each) != fold(name) and len(each) > 3]


def find_supplier(
    labelled: Sequence[Labelled], rows: Sequence[Sequence[Cell]], height: float, table: set[int], customer: str
) -> Party:
    """The name with the most evidence: a label, its size and position, its legal form, its web address, its repetition.

    table: the lines of the table of goods and services.
    """
    texts = [cell.text for cells in rows for cell in cells]
    domains = {re.sub(r"\W", "", part) for text in texts for part in _DOMAIN.findall(fold(text))}
    scores: dict[str, float] = {}
    pages: dict[str, int] = {}
    for each in labelled:
        if each.field == "supplier" and (name := _clean(each.value)) and _is_name(name):
            _add(scores, pages, name, each.cell.page, 3.0)
    top = [cell for cells in rows[: min(table, default=len(rows))] for cell in cells if cell.page == 1]
    used = {fold(customer)}
    rank = 0
    for cell in top:
        name = _clean(_SENDER.split(cell.text)[0]) if len(_SENDER.split(cell.text)) > 2 else _clean(cell.text)
        if not _is_name(name) or fold(name) in used or find_field(name) or find_concept(name):
            continue
        size = max(word.height for word in cell.words) / height
        _add(scores, pages, name, cell.page, min(2.0, 2.0 * max(0.0, size - 1.1)) + max(0.0, 1.0 - 0.25 * rank))
        rank += 1
    brands = dict(scores)
    for cell in (cell for cells in rows for cell in cells if cell.line not in table):
        name = _clean(_SENDER.split(cell.text)[0])
        if len(name.split()) > 1 and _LEGAL_FORM.search(fold(name)) and _is_name(name) and not find_field(name):
            _add(scores, pages, name, cell.page, 0.0)
    for name in list(scores):
        scores[name] += max((brands[brand] + 2.0 for brand in _brands_of(name, list(brands))), default=0.0)
        scores[name] += 1.5 * bool(_LEGAL_FORM.search(fold(name)))
        scores[name] += 2.0 * _has_domain(name, domains)
        scores[name] += 1.0 * (sum(fold(name) in fold(text) for text in texts) > 1)
    scores = {name: score for name, score in scores.items() if fold(name) not in used}
    if not scores:
        return Party()
    best, *others = sorted(scores, key=lambda name: -scores[name])
    own = _brands_of(best, others)
    margin = scores[best] - max((scores[name] for name in others if name not in own), default=0.0)
    return Party(best, pages[best], scores[best] >= _LEAST_SCORE and margin >= _LEAST_MARGIN)


def find_addressee(rows: Sequence[Sequence[Cell]], height: float, end: int, supplier: str) -> Party:
    """The first line of a block of an address that is not the supplier's."""
    used: set[int] = set()
    for at, cells in enumerate(rows[:end]):
        for cell in cells:
            if id(cell) in used or (
                supplier and len(_SENDER.split(cell.text)) > 2 and fold(supplier) in fold(cell.text)
            ):
                continue
            block = [cell, *list(cell_below(rows[:end], at, cell, _LINE_GAP * height))[: _MOST_BLOCK - 1]]
            block = [each for each in block if abs(each.left - cell.left) < height]
            used |= {id(each) for each in block}
            is_own = any(fold(supplier) in fold(each.text) for each in block) if supplier else False
            if is_own or not any(_ADDRESS.search(fold(each.text)) for each in block[1:]):
                continue
            names = [each for each in block if not _SALUTATION.fullmatch(fold(each.text))]
            if names and _is_name(name := _clean(names[0].text)) and not find_field(name):
                return Party(name, names[0].page, True)
    return Party()


def _add(scores: dict[str, float], pages: dict[str, int], name: str, page: int, score: float) -> None:
    scores[name] = scores.get(name, 0.0) + score
    pages.setdefault(name, page)


def _has_domain(name: str, domains: set[str]) -> bool:
    words = [word for word in re.split(r"\W+", fold(name)) if len(word) > 2]
    joined = "".join(words)
    return any(
        len(domain) > 3 and (domain in joined or any(word in domain for word in words if len(word) > 4))
        for domain in domains
    )


def _is_name(text: str) -> bool:
    wanted = fold(text)
    letters = sum(char.isalpha() for char in text)
    return (
        letters > 1
        and letters > sum(char.isdigit() for char in text)
        and not TITLE.fullmatch(wanted)
        and not _NO_NAME.search(wanted)
        and not _ADDRESS.search(wanted)
        and len(text.split()) <= 8
    )


def _clean(text: str) -> str:
    return re.sub(r"\s*(?:御中|様)$", "", text).strip(" :,|·•*-")
