"""The accounts of a document, and the lines at which another account begins. Pure."""

from itertools import pairwise

from processors.statements.notation.currency_accounts import (
    currency_of_account,
    number_of,
    title_currency,
    with_currency,
    with_title,
)
from processors.statements.notation.iban import is_iban, is_iban_of
from processors.statements.notation.keywords import normalize
from processors.statements.table.account_numbers import (
    BETWEEN_CELLS,
    CARD_CELL,
    CODE,
    CONTINUED,
    NO_ACCOUNT,
    NUMBER_ONLY,
    NUMBERED,
    PAYER,
    PHONE_NUMBER,
    PLAIN_NUMBER,
    compact,
    find_card_number,
    find_in_cells,
    is_date,
)

_LEAST_TITLE_DIGITS = 7  # of a number beside the title of a table


class AccountTracker:
    """The current account, by the account numbers in the lines so far."""

    def __init__(self, currencies: frozenset[str] = frozenset(), *, is_exact: bool = False):
        """currencies: those of accounts with the same number, each of which begins at a title that names one.

        is_exact: OCR cannot have misread a digit, so an IBAN may be one although its check digits are wrong.
        """
        self._is_exact = is_exact
        self.current = ""
        self.other = ""  # a phone number, or one of unknown kind: the account's number if there is no other
        self.numbered = ""  # the last number in a line above rows, whatever its label
        self.ibans: dict[str, str] = {}  # by account that another number names
        self._by_label: dict[str, str] = {}
        self._currencies = currencies
        self._title = ""  # of the table that is being read
        self._own_title = ""  # of the first table of the current account
        self._currency = ""  # the currency of the table that is being read
        self._names_payer = False  # the line above is about an account that pays

    def is_title(self, text: str) -> bool:
        """True if a line names the currency of the account below it, one of several with the same number."""
        return title_currency(text) in self._currencies

    def update(self, text: str, *, below: tuple[str, str] = ("", "")) -> bool:
        """Look for an account number in a line whose cells are separated; True if another account begins here.

        below: the kind and the number of a label in the line whose number is below it.
        """
        together = text.replace(BETWEEN_CELLS, " ")
        was_payer, self._names_payer = self._names_payer, PAYER.search(normalize(together)) is not None
        if self._names_payer or was_payer:
            self._names_payer = self._names_payer and together.rstrip().endswith(":")
            return False
        found = [(label, number) for label, number in (*find_in_cells(text), below) if number]
        if found:
            is_other = self._begin(*found[0])
            for label, number in found[1:]:
                self._keep_iban(label, number)
            return is_other
        if (code := title_currency(text)) in self._currencies:
            before, self.current = self.current, with_currency(self.current, code)
            if number_of(before) and self.current != before:
                self._by_label = {}  # the account in this currency may have a number of its own, below
            return self.current != before
        self._keep_other_numbers(normalize(text), normalize(together))
        number = "" if self.current else find_card_number(text)
        return self._begin("card", number) if number else False

    def begin_table(self, title: str, currency: str) -> None:
        """Take the number beside the title of a table, or the code before it.

        currency: that of the first row; "" if it names none.
        """
        self._title, self._currency = CONTINUED.sub("", normalize(title)).strip(" |"), currency
        name, _, number = title.partition(BETWEEN_CELLS)
        if group := self._by_label.get("group"):
            if match := CODE.match(title):
                self.current = f"{group}-{compact(match['code'])}"
        elif (
            not any(map(str.isdigit, name))
            and NUMBER_ONLY.fullmatch(number)
            and sum(map(str.isdigit, number)) >= _LEAST_TITLE_DIGITS
        ):
            number = compact(number)
            if number_of(self.current) != number and self._by_label.keys() <= {"title"} and not is_date(number):
                self.current, self._by_label, self._own_title = number, {"title": number}, ""

    def begin_other(self) -> None:
        """Begin the account whose number is in the lines above, without a label that is known, or that has the same
        number, but a table with another title."""
        if self.numbered and self.numbered != number_of(self.current):
            self.current, self._by_label = self.numbered, {"account": self.numbered}
        elif self.has_other_title:
            self.current = with_title(self.current, self._currency, self._title)
        self.numbered = ""
        self.keep_title()

    @property
    def has_other_title(self) -> bool:
        """True if the table has another title than the first one of the account."""
        return bool(self._title) and self._title != self._own_title

    def keep_title(self) -> None:
        self._own_title = self._title

    def _keep_other_numbers(self, text: str, together: str) -> None:
        """`together`: the same line without separators between its cells."""
        if match := PHONE_NUMBER.search(together):
            self.other = self.other or compact(match["number"])
        cells = text.split(BETWEEN_CELLS)
        for cell in (*cells, *map(" ".join, pairwise(cells))):
            plain = PLAIN_NUMBER.fullmatch(cell)
            if plain and not is_date(plain["number"]):
                self.other = self.other or compact(plain["number"])
        if (match := NUMBERED.search(text) or NUMBERED.search(together)) and not NO_ACCOUNT.search(together):
            self.numbered = compact(match["number"])
        elif cards := [match for cell in cells if (match := CARD_CELL.fullmatch(cell))]:
            self.numbered = compact(cards[0]["number"])

    def _begin(self, label: str, number: str) -> bool:
        label = "iban" if is_iban(number) else label
        known = self._by_label.get(label)
        if known == number:
            return False
        same = number_of(self.current)
        if number == same or any(
            _are_of_one_account(number, each) for each in (*self._by_label.values(), same) if each
        ):
            self._by_label.setdefault(label, number)
            self._keep_iban(label, number)
            return False
        self._by_label[label] = number
        others = self._by_label.keys() - {label}
        if known is None and same and others and others != {"group"}:
            self._keep_iban(label, number)
            return False  # another number of the same account
        self._by_label = {label: number}
        named = currency_of_account(self.current) if known is None else ""  # by a title above the number
        self.current = with_currency(number, named) if named else number
        return True

    def _keep_iban(self, label: str, number: str) -> None:
        """Keep the IBAN of the current account, which contains its number."""
        if label == "iban" and (is_iban(number) or self._is_exact) and is_iban_of(number, self.current):
            self.ibans.setdefault(self.current, number)


def _are_of_one_account(one: str, other: str) -> bool:
    """True if one number is an IBAN that contains the other."""
    return (is_iban(one) and is_iban_of(one, other)) or (is_iban(other) and is_iban_of(other, one))
