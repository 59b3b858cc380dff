"""The layouts of the invented banks. Headings and positions vary on purpose; nobody looked at `HELD_OUT` while writing
the reader."""

from dataclasses import dataclass, field
from typing import Literal

Align = Literal["left", "right", "center"]


@dataclass(frozen=True)
class Column:
    kind: str  # date, value_date, description, reference, debit, credit, amount, balance
    heading: str
    x: float  # mm from the left edge to the left, right or middle of its cells
    align: Align = "left"


@dataclass(frozen=True)
class Layout:
    name: str
    locale: str  # en-GB, en-US, de, fr, es
    columns: tuple[Column, ...]
    dates: str  # strftime; %N is the month's short name in the locale
    font: str = "Helvetica"
    size: float = 9
    pitch: float = 5.2  # mm between lines
    amounts: str = "plain"  # signs in a column for both debit and credit: plain, minus, trailing, brackets, crdr, cr
    balances: str = "minus"  # signs of overdrawn balances: minus, trailing, brackets, dr
    opening: str = "Opening balance"
    closing: str = "Closing balance"
    carried: str = ""  # at the end of a page; `brought` is at the start of the next page
    brought: str = ""
    period: str = "Statement period {start} to {end}"
    period_dates: str = "%d %B %Y"
    account: str = "Account number: {account}"
    holder: str = "Mr John Marsh"
    summary: bool = False  # balances are in a box above the table, not in it
    totals: str = ""  # heading of a line of totals
    balance_every: int = 1  # print the balance on every n-th row
    repeat_date: bool = True  # False: only the first row of a day has the date
    newest_first: bool = False
    accounts: int = 1
    shuffled: bool = False  # pages out of order
    is_card: bool = False
    rules: bool = False  # lines between the rows
    footers: tuple[str, ...] = field(default=("Page {page} of {pages}",))


_UK = (
    Column("date", "Date", 18),
    Column("description", "Description", 40),
    Column("debit", "Paid out", 140, "right"),
    Column("credit", "Paid in", 165, "right"),
    Column("balance", "Balance", 192, "right"),
)
_AD = "Ask about our new savings account: earn up to £250.00 a year when you switch."

LAYOUTS = (
    Layout("uk-classic", "en-GB", _UK, "%d %N %Y", carried="Balance carried forward",
        brought="Balance brought forward"),
    Layout(
        "uk-tight", "en-GB",
        (Column("date", "Date", 15), Column("reference", "Type", 33), Column("description", "Details", 48),
         Column("debit", "Money out (£)", 145, "right"), Column("credit", "Money in (£)", 170, "right"),
         Column("balance", "Balance (£)", 197, "right")),
        "%d %N", font="Roboto", size=7.5, pitch=3.9, repeat_date=False, balance_every=3, rules=True,
        footers=("Page {page} of {pages}", _AD),
    ),
    Layout(
        "us-checking", "en-US",
        (Column("date", "Date", 20), Column("description", "Transaction Description", 42),
         Column("amount", "Amount", 155, "right"), Column("balance", "Balance", 190, "right")),
        "%m/%d/%Y", font="Times-Roman", size=10, amounts="minus", opening="Beginning balance",
        closing="Ending balance", period="{start} through {end}", period_dates="%B %d, %Y", summary=True,
        holder="Account holder: Dana Whitfield", account="Account No. {account}",
    ),
    Layout(
        "us-card", "en-US",
        (Column("value_date", "Trans. Date", 20), Column("date", "Post Date", 44), Column("description", "Details", 70),
         Column("amount", "Amount", 190, "right")),
        "%m/%d", font="Caladea", amounts="cr", opening="Previous balance", closing="New balance", is_card=True,
        period="Billing period {start} - {end}", period_dates="%m/%d/%Y", summary=True,
        account="Account number {account}", footers=("Minimum payment due $35.00 by the date above", "{page}/{pages}"),
    ),
    Layout(
        "de-sparkasse", "de",
        (Column("date", "Buchungstag", 18), Column("value_date", "Wert", 42),
         Column("description", "Verwendungszweck", 62),
         Column("amount", "Betrag EUR", 190, "right")),
        "%d.%m.", font="Vera", size=8.5, amounts="trailing", opening="Alter Kontostand", closing="Neuer Kontostand",
        period="Kontoauszug vom {start} bis {end}", period_dates="%d.%m.%Y", account="IBAN {account}",
        holder="Frau Erika Sommer", footers=("Seite {page} von {pages}",),
    ),
    Layout(
        "de-sollhaben", "de",
        (Column("date", "Datum", 18), Column("description", "Buchungstext", 40), Column("debit", "Soll", 135, "right"),
         Column("credit", "Haben", 162, "right"), Column("balance", "Saldo", 190, "right")),
        "%d.%m.%Y", font="SourceSerif", carried="Übertrag", brought="Saldovortrag", opening="Anfangssaldo",
        closing="Endsaldo", totals="Summe", period="Zeitraum: {start} - {end}", period_dates="%d.%m.%Y",
        account="Kontonummer {account}", holder="Kontoinhaber: Jonas Weber", footers=("Seite {page} von {pages}",),
    ),
    Layout(
        "fr-releve", "fr",
        (Column("date", "Date", 18), Column("value_date", "Valeur", 36),
         Column("description", "Libellé des opérations", 55),
         Column("debit", "Débit", 160, "right"), Column("credit", "Crédit", 190, "right")),
        "%d/%m", font="Helvetica", opening="Ancien solde", closing="Nouveau solde", totals="Total des mouvements",
        period="Relevé du {start} au {end}", period_dates="%d/%m/%Y", account="N° de compte : {account}",
        holder="Mme Claire Fontaine", footers=("Page {page}/{pages}",),
    ),
    Layout(
        "es-extracto", "es",
        (Column("date", "Fecha", 18), Column("value_date", "F. valor", 40), Column("description", "Concepto", 62),
         Column("amount", "Importe", 160, "right"), Column("balance", "Saldo", 190, "right")),
        "%d/%m/%Y", font="Roboto", amounts="minus", opening="Saldo anterior", closing="Saldo final", accounts=2,
        period="Periodo: {start} a {end}", period_dates="%d/%m/%Y", account="Número de cuenta: {account}",
        holder="Titular: Lucía Romero", footers=("Página {page} de {pages}",),
    ),
    Layout(
        "crdr-ledger", "en-GB",
        (Column("date", "Posting date", 15), Column("reference", "Ref", 42), Column("description", "Particulars", 60),
         Column("amount", "Amount", 160, "right"), Column("balance", "Balance", 195, "right")),
        "%d-%N-%y", font="Courier", size=8, amounts="crdr", balances="dr", opening="Balance b/f", closing="Balance c/f",
        period="From {start} to {end}", period_dates="%d/%m/%Y", account="A/C No: {account}",
    ),
    Layout(
        "unsigned-newest", "en-GB",
        (Column("date", "When", 18), Column("description", "What", 45), Column("amount", "Amount", 150, "center"),
         Column("balance", "Running balance", 185, "center")),
        "%d %N %y", font="Caladea", size=10, amounts="plain", newest_first=True, summary=True,
        period="{start} - {end}", period_dates="%d %b %Y", footers=(_AD, "Page {page} of {pages}"),
    ),
    Layout(
        "brackets-wide", "en-US",
        (Column("balance", "Balance", 50, "right"), Column("date", "Date", 58), Column("description", "Memo", 82),
         Column("debit", "Withdrawals", 165, "right"), Column("credit", "Deposits", 195, "right")),
        "%N %d", font="Times-Roman", size=9.5, balances="brackets", opening="Balance forward", closing="Ending balance",
        totals="Total", period="Statement period: {start} to {end}", period_dates="%b %d, %Y", pitch=6.5,
    ),
    Layout(
        "uk-shuffled", "en-GB", _UK, "%d/%m/%y", font="SourceSerif", size=8.5, shuffled=True, totals="Totals",
        carried="Carried forward", brought="Brought forward", balance_every=2,
    ),
)  # fmt: skip
HELD_OUT = (
    Layout(
        "held-ch", "ch",
        (Column("date", "Datum", 18), Column("description", "Text", 38), Column("debit", "Belastung", 130, "right"),
         Column("credit", "Gutschrift", 155, "right"), Column("value_date", "Valuta", 160),
         Column("balance", "Saldo", 197, "right")),
        "%d.%m.%y", font="Helvetica", opening="Saldovortrag", closing="Schlusssaldo", totals="Umsatztotal",
        period="Kontoauszug {start} - {end}", period_dates="%d.%m.%Y", account="Konto-Nr. {account}",
        holder="Herr Urs Keller", footers=("Blatt {page}",),
    ),
    Layout(
        "held-ie", "en-GB",
        (Column("date", "Date", 20), Column("description", "Transaction details", 40),
         Column("debit", "Payments - out", 132, "right"), Column("credit", "Payments - in", 160, "right"),
         Column("balance", "Balance", 190, "right")),
        "%d %N %Y", font="Vera", size=8, balances="trailing", repeat_date=False, balance_every=2,
        opening="BALANCE FORWARD", closing="BALANCE AT CLOSE", footers=("Sheet {page}", _AD),
    ),
    Layout(
        "held-fr", "fr",
        (Column("date", "Date opération", 15), Column("description", "Nature", 45),
         Column("amount", "Montant (€)", 160, "right"), Column("balance", "Solde (€)", 192, "right")),
        "%d.%m.%Y", font="SourceSerif", amounts="minus", opening="Solde précédent", closing="Solde en fin de période",
        period="Période du {start} au {end}", period_dates="%d/%m/%Y", account="Compte n° {account}",
        holder="M. Paul Lacroix",
    ),
)  # fmt: skip
