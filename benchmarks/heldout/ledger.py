"""Invented transactions of invented accounts: the contents of a statement. Deterministic for each seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

_TEXTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # money out, money in; "|" starts a new line
    "en": (
        (
            "TESCO STORES 3217|LONDON N1",
            "Direct debit THAMES WATER|REF 40021177",
            "CASH HALIFAX 2 JAN|BRIDGE ST",
            "Amazon.co.uk*2K4TY|AMAZON.CO.UK",
            "Standing order M Okafor|RENT FLAT 3B",
            "TfL Travel Charge",
            "O2 UK PAY MONTHLY|0800 977 7337",
            "Non-Sterling transaction fee",
            "SHELL 24/7 M25|24.50 LITRES",
            "Balance transfer handling fee",
            "Interest to 12 Jan",
        ),
        ("BACS ACME PAYROLL LTD|SALARY", "Refund IKEA LTD", "From A. Nyberg|dinner, thanks", "Gross interest"),
    ),
    "us": (
        (
            "WHOLEFDS #10217 SEATTLE WA",
            "Zelle payment to J Ortiz",
            "COSTCO GAS #0642",
            "NETFLIX.COM 866-579-7172 CA",
            "Online transfer to SAV ...4410",
            "PUGET SOUND ENERGY BILLPAY",
            "7-ELEVEN 33021",
            "Monthly service fee",
        ),
        ("PAYROLL NORTHWIND TRADERS PPD", "Mobile deposit", "Interest payment", "VENMO CASHOUT"),
    ),
    "de": (
        (
            "Lastschrift|Stadtwerke Musterstadt|Kd-Nr. 558120",
            "Kartenzahlung|REWE SAGT DANKE 4417|Münster",
            "Dauerauftrag|Miete Wohnung 12",
            "Überweisung|Dr. K. Größer|Rechnung 2024-117",
            "Entgeltabschluss",
            "Geldautomat|GA NR00012345 BLZ40050150",
            "Basislastschrift|Telekom Deutschland GmbH",
        ),
        ("Gutschrift|Lohn Gehalt|Beispiel AG", "Überweisungseingang|A. Schäfer|danke", "Zinsen"),
    ),
    "fr": (
        (
            "CARTE 02/01 CARREFOUR MARKET",
            "PRLV SEPA EDF CLIENTS|REF 0098X771",
            "VIR SEPA M. LEFÈVRE|LOYER JANVIER",
            "RETRAIT DAB 14H02|PARIS 11E",
            "CHEQUE 0004417",
            "COTISATION CARTE BLEUE",
            "PRLV FREE MOBILE",
        ),
        ("VIR SEPA SALAIRE SOCIETE DUPONT", "REMISE DE CHEQUE", "VIR RECU DE MME BENOÎT"),
    ),
    "es": (
        (
            "COMPRA TARJETA MERCADONA",
            "RECIBO IBERDROLA CLIENTES",
            "TRANSFERENCIA A J. MUÑOZ",
            "CAJERO 0049 C/ MAYOR",
            "COMISION MANTENIMIENTO",
            "RECIBO MOVISTAR",
        ),
        ("NOMINA EJEMPLO S.A.", "TRANSFERENCIA DE L. PEÑA", "ABONO INTERESES"),
    ),
    "in": (
        (
            "UPI-SWIGGY-SWIGGY@AXIS|401923771204-PAYMENT",
            "ATW-512967XXXXXX0042-S1ANPU04-PUNE",
            "NEFT DR-ICIC0000104-MEERA RAO-NETBANK",
            "ACH D- LIC OF INDIA-884120967",
            "POS 512967XXXXXX0042 RELIANCE FRESH",
            "SMS CHARGES INCL GST 18%",
        ),
        ("NEFT CR-CITI0000002-EXAMPLE SOFTWARE|SALARY JAN", "UPI-R KUMAR-RKUMAR@OKSBI", "INTEREST PAID TILL 31-JAN"),
    ),
    "au": (
        (
            "EFTPOS WOOLWORTHS 1294 NEWTOWN NSW",
            "Direct Debit 184533 AGL SALES PTY|00417733182",
            "Wdl ATM CBA GLEBE NSW|Card xx4401",
            "BPAY ORIGIN ENERGY 130112",
            "OSKO PAYMENT TO T NGUYEN|bond",
            "Account Fee",
        ),
        ("Direct Credit 301500 EXAMPLE PTY LTD|SALARY", "OSKO PAYMENT FROM K SINGH", "Credit Interest"),
    ),
    "nl": (
        (
            "ALBERT HEIJN 1187 UTRECHT|Pasvolgnr: 002 14-01 17:22",
            "Vitens N.V.|Incassant NL12ZZZ050693850000",
            "Huur januari|M. de Vries",
            "Geldautomaat Neude",
            "Kosten Betaalpakket",
        ),
        ("Voorbeeld B.V.|Salaris", "Hr J van den Berg|bedankt", "Belastingdienst|Voorlopige teruggaaf"),
    ),
    "it": (
        (
            "PAGAMENTO POS ESSELUNGA MILANO|CARTA 4417 ORE 18.02",
            "ADDEBITO DIRETTO ENEL ENERGIA",
            "BONIFICO A FAVORE DI G. ROSSI|AFFITTO",
            "PRELIEVO BANCOMAT VIA TORINO",
            "IMPOSTA DI BOLLO",
            "CANONE MENSILE CONTO",
        ),
        ("BONIFICO DA ESEMPIO S.P.A.|STIPENDIO", "VERSAMENTO ASSEGNI", "INTERESSI CREDITORI"),
    ),
    "business": (
        (
            "ACH DEBIT ADP PAYROLL FEES",
            "WIRE OUT CEDAR SUPPLY CO",
            "UTILITY PMT CITY OF TACOMA",
            "LOAN PMT 0099-4471",
            "CARD PURCHASE OFFICE DEPOT #114",
        ),
        ("REMOTE DEPOSIT CAPTURE", "MERCHANT SVCS SETTLEMENT", "WIRE IN HARBOR DENTAL LLC"),
    ),
}


@dataclass(frozen=True)
class Movement:
    day: date
    texts: tuple[str, ...]  # one entry per printed line
    change: Decimal  # negative: money out
    balance: Decimal  # after it

    @property
    def amount(self) -> Decimal:
        return abs(self.change)


@dataclass(frozen=True)
class Ledger:
    """One account over one period, in chronological order."""

    account: str
    currency: str
    start: date
    end: date
    opening: Decimal
    movements: tuple[Movement, ...]

    @property
    def closing(self) -> Decimal:
        return self.movements[-1].balance if self.movements else self.opening

    @property
    def money_out(self) -> Decimal:
        return sum((one.amount for one in self.movements if one.change < 0), Decimal(0))

    @property
    def money_in(self) -> Decimal:
        return sum((one.change for one in self.movements if one.change > 0), Decimal(0))


@dataclass(frozen=True)
class Truth:
    """A row as printed; the balance is None if it is not printed."""

    page: int
    day: date
    text: str
    debit: Decimal | None
    credit: Decimal | None
    balance: Decimal | None = None


@dataclass
class TruthAccount:
    ledger: Ledger
    rows: list[Truth] = field(default_factory=list)  # in chronological order


def keep_books(
    rng: random.Random,
    language: str,
    currency: str,
    *,
    count: int,
    start: date,
    opening: Decimal = Decimal("1523.67"),
    overdraft: Decimal = Decimal(0),
    account: str = "",
    days: int = 30,
) -> Ledger:
    """`count` transactions over `days` days; the balance stays above `-overdraft`."""
    balance, movements = opening, []
    for offset in sorted(rng.randrange(days) for _ in range(count)):
        amount = _amount(rng)
        is_in = rng.random() < 0.25 or balance - amount < -overdraft
        balance += amount if is_in else -amount
        text = rng.choice(_TEXTS[language][1 if is_in else 0])
        movements.append(
            Movement(start + timedelta(days=offset), tuple(text.split("|")), amount if is_in else -amount, balance)
        )
    account = account or str(rng.randrange(10_000_000, 99_999_999))
    return Ledger(account, currency, start, start + timedelta(days=days - 1), opening, tuple(movements))


def same_day(movements: Sequence[Movement], at: int) -> bool:
    """Return True if the transaction has the same day as the one before it."""
    return at > 0 and movements[at].day == movements[at - 1].day


def ends_day(movements: Sequence[Movement], at: int) -> bool:
    return at + 1 == len(movements) or movements[at + 1].day != movements[at].day


def _amount(rng: random.Random) -> Decimal:
    cents = rng.choice((rng.randint(45, 9_999), rng.randint(1_000, 45_000), rng.randint(90_000, 420_000)))
    return Decimal(cents) / 100
