"""Invented pages with known text in reading order: letters, newspapers, invoices, forms, tables. Drawn as PDF."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reportlab.pdfbase.pdfmetrics import stringWidth

from benchmarks.heldout.sheet import FAMILIES, Sheet

MARGIN = 54.0  # points
_PROSE = {
    "en": (
        "The committee reviewed the annual report of the treasurer and thanked her for the clear presentation of all "
        "figures. It was approved unanimously. Under item seven the new fence was discussed at length; three offers "
        "are on the table, the cheapest of them at 4,310 EUR. A decision follows in May. The tenant shall keep the "
        "garden in good order, clear the path of snow before seven in the morning and report any damage to the roof "
        "without delay. Members who cannot attend may vote by letter until the last day of the month."
    ),
    "de": (
        "Der Vorstand berichtete über das vergangene Jahr und dankte allen Helfern für ihren Einsatz. Die Kosten für "
        "die Straßenbeleuchtung stiegen um 12,5 % auf 8.940 Euro. Künftig müssen größere Ausgaben von zwei "
        "Mitgliedern geprüft werden. Über den Antrag zur Änderung der Satzung wird nach der Sommerpause abgestimmt, "
        "weil noch Fragen zur Haftung offen sind. Wer Äpfel übrig hat, bringt sie am Samstag zum Gemeindehaus."
    ),
    "fr": (
        "Le conseil a examiné les comptes de l'exercice écoulé et remercié la trésorière pour la clarté de son exposé. "
        "Les travaux de la façade débuteront en août si la météo le permet, et leur coût est estimé à 23 400 euros. "
        "Les élèves de l'école ont planté une haie près du château d'eau. Où que l'on aille, le marché du dimanche "
        "reste le rendez-vous préféré des habitants, malgré la pluie et le vent."
    ),
    "es": (
        "La junta revisó el informe anual y agradeció a la tesorera la claridad de las cifras. El año próximo se "
        "construirá un muro nuevo junto a la estación, con un coste de 15.200 euros. Los niños del barrio cantaron "
        "una canción antigua en la plaza. Según el señor Ibáñez, la decisión se tomará en otoño, cuando lleguen las "
        "últimas ofertas de los proveedores de la región."
    ),
}  # fmt: skip
_TITLES = (
    "Minutes of the annual meeting",
    "Garden and street news",
    "Notes from the harbor",
    "House rules explained",
)
_ITEMS = (
    *("Paint, white, matt", "Oak board 200 x 40", "Screws, box of 100", "Delivery to the door"),
    *("Brush, flat, 60 mm", "Sandpaper, fine", "Wood glue", "Hinge, brass"),
)
_NAMES = ("Eleanor Marsh", "Tomas Okafor", "Ingrid Vale", "Pablo Serrano", "Claire Dubois", "Jonas Weber")


@dataclass(frozen=True)
class Drawn:
    """One page: its name, and its text in reading order, line by line."""

    name: str
    lines: tuple[str, ...]


class _Writer:
    """Draws text and remembers it."""

    def __init__(self, path: Path, seed: int):
        self.random = random.Random(seed)
        self.family = FAMILIES[seed % len(FAMILIES)]
        self.language = list(_PROSE)[seed % len(_PROSE)] if self.family != "Vera" or seed % 4 else "en"
        self.size = self.random.choice((8.5, 9.5, 10.5))
        self.sheet = Sheet(path, self.family, size=self.size)
        self.lines: list[str] = []

    def write(self, x: float, y: float, text: str, *, align: str = "left", size: float = 0, bold: bool = False) -> None:
        self.sheet.text(x, text, align, y=y, size=size or self.size, bold=bold)

    def line(self, x: float, y: float, text: str, **style: object) -> None:
        self.write(x, y, text, **style)
        self.lines.append(text)

    def prose(self, x: float, y: float, width: float, bottom: float, *, size: float = 0, lead: float = 1.35) -> float:
        """A column of text from `y` down to `bottom`; returns where it ended."""
        size = size or self.size
        words = self.text()
        while y + size < bottom:
            line = next(words)
            while stringWidth(line, self.font, size) < width:
                line, before = f"{line} {next(words)}", line
            first, _, last = line.rpartition(" ")
            words = _before(last, words)
            self.line(x, y, first or before, size=size)
            y += size * lead
        return y

    @property
    def font(self) -> str:
        return self.sheet._fonts[0]

    def text(self):
        sentences = _PROSE[self.language].split(". ")
        while True:
            for sentence in self.random.sample(sentences, len(sentences)):
                yield from f"{sentence.rstrip('.')}.".split()

    def row(self, cells: tuple[tuple[float, str, str], ...], y: float, *, bold: bool = False) -> None:
        for x, text, align in cells:
            self.write(x, y, text, align=align, bold=bold)
        self.lines.append(" ".join(text for _, text, _ in cells))


def _before(word: str, words):
    yield word
    yield from words


def columns(w: _Writer, count: int, gutter: float, *, title: bool = True, middle: bool = False) -> None:
    """A title over `count` columns, with a second heading across all of them."""
    y, width = MARGIN, w.sheet.width - 2 * MARGIN
    if title:
        w.line(MARGIN, y, w.random.choice(_TITLES), size=20, bold=True)
        y += 40
    each = (width - gutter * (count - 1)) / count
    bottoms = (w.sheet.height / 2, w.sheet.height - 90) if middle else (w.sheet.height - 90,)
    for number, bottom in enumerate(bottoms):
        if number:
            w.line(MARGIN, y, "In other news: what the council decided on Tuesday evening", size=14, bold=True)
            y += 30
        w_end = y
        for column in range(count):
            end = w.prose(MARGIN + column * (each + gutter), y, each, bottom - w.random.choice((0, 0, 30)))
            w_end = max(w_end, end)
        y = w_end + 20
    w.line(w.sheet.width / 2, w.sheet.height - 50, str(w.random.randint(2, 80)), align="middle")


def letter(w: _Writer) -> None:
    y = MARGIN
    for text in (w.random.choice(_NAMES), "9 Ropewalk Hill", "Brindlemouth BM4 2QX"):
        w.line(MARGIN, y, text)
        y += 14
    w.line(w.sheet.width - MARGIN, y + 20, "12 March 2025", align="right")
    w.line(MARGIN, y + 60, "Your letter of 3 March", bold=True)
    y = w.prose(MARGIN, y + 90, w.sheet.width - 2 * MARGIN, 420) + 12
    y = w.prose(MARGIN, y, w.sheet.width - 2 * MARGIN, 600) + 30
    w.line(MARGIN, y, "Yours sincerely,")
    w.line(MARGIN, y + 40, w.random.choice(_NAMES))


def sidebar(w: _Writer, *, on_left: bool) -> None:
    narrow, gutter, top = 120.0, 24.0, 110.0
    w.line(MARGIN, MARGIN, w.random.choice(_TITLES), size=18, bold=True)
    wide = w.sheet.width - 2 * MARGIN - narrow - gutter
    parts = [(MARGIN, narrow, 0.8), (MARGIN + narrow + gutter, wide, 1.0)]
    if not on_left:
        parts = [(MARGIN, wide, 1.0), (MARGIN + wide + gutter, narrow, 0.8)]
    for x, width, share in parts:
        w.prose(x, top, width, 700 if share == 1.0 else 500, size=w.size * share, lead=1.35 if share == 1 else 1.5)


def invoice(w: _Writer) -> None:
    w.line(MARGIN, MARGIN, "Harrow & Vale Joinery", size=16, bold=True)
    y = 110.0
    for label, value in (("Invoice number", "RE-2041"), ("Date", "12.03.2025"), ("Customer", w.random.choice(_NAMES))):
        w.row(((MARGIN, label, "left"), (MARGIN + 130, value, "left")), y)
        y += 15
    y += 30
    stops = (MARGIN, 340, 420, w.sheet.width - MARGIN)
    w.row(_cells(stops, ("Description", "Quantity", "Price", "Amount")), y, bold=True)
    total = 0
    for item in w.random.sample(_ITEMS, 6):
        y += 16
        count, price = w.random.randint(1, 12), w.random.randint(150, 9000)
        total += count * price
        w.row(_cells(stops, (item, str(count), _money(price), _money(count * price))), y)
    y += 26
    w.row(((340, "Total", "left"), (w.sheet.width - MARGIN, _money(total), "right")), y, bold=True)
    w.prose(MARGIN, y + 40, w.sheet.width - 2 * MARGIN, y + 90)


def _cells(stops: tuple[float, ...], texts: tuple[str, ...]) -> tuple[tuple[float, str, str], ...]:
    return tuple((x, text, "right" if n else "left") for n, (x, text) in enumerate(zip(stops, texts, strict=True)))


def _money(cents: int) -> str:
    return f"{cents / 100:,.2f}"


def form(w: _Writer) -> None:
    w.line(MARGIN, MARGIN, "Application for membership", size=16, bold=True)
    y = 110.0
    rows = (("Family name", "Marsh", "First name", "Eleanor"), ("Street", "9 Ropewalk Hill", "Town", "Brindlemouth"),
            ("Born on", "3 May 1980", "Nationality", "British"), ("Telephone", "555 0100", "E-mail", "em@example.org"),
            ("Account", "00012345", "Sort code", "00-00-00"))  # fmt: skip
    for row in rows:
        w.row(tuple((MARGIN + 120 * n, text, "left") for n, text in enumerate(row)), y)
        y += 22
    w.prose(MARGIN, y + 20, w.sheet.width - 2 * MARGIN, y + 120)


def text_table(w: _Writer) -> None:
    """A table whose cells are words; the last column is ragged."""
    w.line(MARGIN, MARGIN, "Who does what in spring", size=16, bold=True)
    w.row(((MARGIN, "Name", "left"), (190, "Task of the person", "left"), (380, "Remarks and dates", "left")), 100,
          bold=True)  # fmt: skip
    tasks = ("Waters the front garden", "Clears the path of snow", "Reads all the meters", "Orders wood and oil",
             "Keeps the list of keys", "Sweeps the stairs daily")  # fmt: skip
    remarks = ("From May to the end of June", "Not on Sundays", "Until someone else is found", "Two days a week only",
               "Ask the caretaker first", "-")  # fmt: skip
    y = 120.0
    for name, task, remark in zip(_NAMES, w.random.sample(tasks, 6), w.random.sample(remarks, 6), strict=True):
        w.row(((MARGIN, name, "left"), (190, task, "left"), (380, remark, "left")), y)
        y += 18
    w.prose(MARGIN, y + 30, w.sheet.width - 2 * MARGIN, y + 150)


def paper(w: _Writer) -> None:
    """Title, authors and abstract across two columns with a narrow gutter, and a footnote."""
    w.line(w.sheet.width / 2, MARGIN, "On the keeping of gardens in small towns", size=16, bold=True, align="middle")
    w.line(w.sheet.width / 2, 85, f"{_NAMES[0]} and {_NAMES[1]}", align="middle")
    y = w.prose(MARGIN + 40, 115, w.sheet.width - 2 * MARGIN - 80, 190) + 20
    each = (w.sheet.width - 2 * MARGIN - 16) / 2
    for column in range(2):
        w.prose(MARGIN + column * (each + 16), y, each, 700)
    w.line(MARGIN, 740, "Received in March, accepted in May after a second reading by the board.", size=7.5)


def bullets(w: _Writer) -> None:
    w.line(MARGIN, MARGIN, w.random.choice(_TITLES), size=18, bold=True)
    y = w.prose(MARGIN, 100, w.sheet.width - 2 * MARGIN, 170) + 10
    for item in w.random.sample(_ITEMS, 6):
        w.line(MARGIN + 12, y, f"• {item}")
        y += 15
    w.line(MARGIN, y + 15, "What happens next", size=14, bold=True)
    w.prose(MARGIN, y + 45, w.sheet.width - 2 * MARGIN, y + 200)


def receipt(w: _Writer) -> None:
    w.line(120, MARGIN, "CORNER LARDER", size=14, bold=True)
    y, total = 90.0, 0
    for item in w.random.sample(_ITEMS, 5):
        price = w.random.randint(99, 4999)
        total += price
        w.row(((MARGIN, item, "left"), (280, _money(price), "right")), y)
        y += 14
    w.row(((MARGIN, "TOTAL", "left"), (280, _money(total), "right")), y + 8, bold=True)
    w.line(MARGIN, y + 40, "Thank you and good-bye")


_LAYOUTS: dict[str, Callable[[_Writer], None]] = {
    "letter": letter,
    "two columns": lambda w: columns(w, 2, 20),
    "two columns, no title": lambda w: columns(w, 2, 30, title=False),
    "newspaper, three columns": lambda w: columns(w, 3, 16, middle=True),
    "newspaper, two columns": lambda w: columns(w, 2, 18, middle=True),
    "sidebar on the left": lambda w: sidebar(w, on_left=True),
    "sidebar on the right": lambda w: sidebar(w, on_left=False),
    "paper": paper,
    "invoice": invoice,
    "form": form,
    "table of text": text_table,
    "list": bullets,
    "receipt": receipt,
}


def draw_pages(folder: Path, count: int) -> list[tuple[Path, Drawn]]:
    """At least one page of each layout; fonts, sizes and languages differ."""
    drawn = []
    for seed in range(count):
        name = list(_LAYOUTS)[seed % len(_LAYOUTS)]
        path = folder / f"{seed:02}-{name.replace(',', '').replace(' ', '-')}.pdf"
        writer = _Writer(path, seed)
        _LAYOUTS[name](writer)
        writer.sheet.save()
        drawn.append((path, Drawn(name, tuple(writer.lines))))
    return drawn
