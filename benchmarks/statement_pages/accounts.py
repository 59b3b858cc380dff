"""Invented transactions, from a seed."""

import random
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

_PAYEES = {
    "en": ("CARD PAYMENT CORNER LARDER", "DIRECT DEBIT BRINDLE WATER", "Standing order Larkfield Lettings",
           "ATM WITHDRAWAL", "Harrow Garden Centre 0312", "TOTAL FUEL M4 SERVICES", "Bookwell & Sons",
           "In the pink FLORIST",
           "VISA 12.00 USD RATE 1.25"),
    "de": ("Lastschrift Stadtwerke", "Kartenzahlung Bäckerei Müller", "Miete", "Dauerauftrag Verein",
           "SEPA-Überweisung",
           "Summe Optik GmbH", "Tankstelle A7"),
    "fr": ("Prélèvement EDF", "Carte boulangerie du Pont", "Virement loyer", "Retrait DAB", "Chèque 0004512",
           "Abonnement"),
    "es": ("Recibo luz", "Compra tarjeta panadería", "Alquiler", "Cajero automático", "Bizum Ana", "Cuota gimnasio"),
}  # fmt: skip
_PAYERS = {
    "en": ("SALARY TIDEWATER LTD", "Refund Fern & Thread", "Transfer from T Okafor"),
    "de": ("Gehalt Nordlicht AG", "Erstattung Krankenkasse"),
    "fr": ("Virement salaire", "Remboursement mutuelle"),
    "es": ("Nómina", "Devolución tienda"),
}
_EXTRA = ("Ref 8812-A", "Mandate K77 online", "thank you", "REF: GB29 QX", "Filiale 3")


@dataclass
class Movement:
    date: date
    value_date: date  # of a card: that of the purchase
    lines: tuple[str, ...]
    reference: str
    change: Decimal
    balance: Decimal

    @property
    def description(self) -> str:
        return " ".join(self.lines)


@dataclass
class Account:
    number: str
    start: date
    end: date
    opening: Decimal
    movements: list[Movement]

    @property
    def closing(self) -> Decimal:
        return self.movements[-1].balance


def invent(random_: random.Random, language: str, count: int, *, is_card: bool) -> Account:
    """An account over about a month, with `count` transactions; sometimes overdrawn, sometimes across new year."""
    start = date(random_.choice((2022, 2023, 2024)), random_.choice((1, 3, 5, 8, 10, 12)), random_.choice((1, 1, 15)))
    days = max(27, count // 2)
    opening = _money(random_, 0, 3000)
    balance, movements = opening, []
    for offset in sorted(random_.randrange(days) for _ in range(count)):
        change = _change(random_)
        balance += -change if is_card else change
        names = (_PAYERS if change > 0 else _PAYEES).get(language, _PAYEES["en"])
        lines = [random_.choice(names)]
        lines += random_.sample(_EXTRA, random_.choice((0, 0, 0, 1, 2)))
        on = start + timedelta(days=offset)
        reference = random_.choice(("DD", "BP", "VIS", "CR", "SO"))
        later = timedelta(days=random_.randrange(2))  # the interest; a card's purchase is earlier
        movements.append(Movement(on, on - later if is_card else on + later, tuple(lines), reference, change, balance))
    number = "".join(random_.choice("123456789") for _ in range(8))
    return Account(number, start, start + timedelta(days=days), opening, movements)


def _change(random_: random.Random) -> Decimal:
    return (
        _money(random_, 200, 2600) if random_.random() < 0.2 else -_money(random_, 1, random_.choice((30, 200, 1200)))
    )


def _money(random_: random.Random, low: int, high: int) -> Decimal:
    return (Decimal(random_.randrange(low * 100 + 1, high * 100)) / 100).quantize(Decimal("0.01"))
