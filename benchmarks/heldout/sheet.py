"""The pages on which a layout draws, with page numbers, so that the page of each row is known."""

from collections.abc import Callable
from pathlib import Path

import font_caladea
import font_roboto
import font_source_serif_pro
from reportlab.lib.colors import Color
from reportlab.lib.pagesizes import A4, LETTER
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

_FILES = {  # family: regular, bold
    "Caladea": (font_caladea, "Caladea-Regular.ttf", "Caladea-Bold.ttf"),
    "Roboto": (font_roboto, "Roboto-Regular.ttf", "Roboto-Bold.ttf"),
    "SourceSerif": (font_source_serif_pro, "SourceSerifPro-Regular.ttf", "SourceSerifPro-Bold.ttf"),
}
_BUILT_IN = {  # families that reportlab ships or every PDF reader knows
    "Helvetica": ("Helvetica", "Helvetica-Bold"),
    "Courier": ("Courier", "Courier-Bold"),
    "Times": ("Times-Roman", "Times-Bold"),
}
FAMILIES = (*_FILES, *_BUILT_IN, "Vera")
_FLOOR = 60  # points at the bottom of a page, below all rows


class Sheet:
    """A PDF that is written from top to bottom. Lengths in points from the upper left corner."""

    def __init__(self, path: Path, family: str, *, size: float = 9, letter: bool = False, floor: float = _FLOOR):
        self.width, self.height = LETTER if letter else A4
        self._canvas = Canvas(str(path), pagesize=(self.width, self.height), invariant=1)
        self._fonts = _fonts(family)
        self._floor = floor
        self.size = size
        self.page = 1
        self.y = 50.0
        self.on_page: Callable[[], None] = lambda: None  # writes the head of each page
        self.off_page: Callable[[], None] = lambda: None  # writes the foot of each full page

    def text(self, x: float, text: str, align: str = "left", *, y: float | None = None, **style: object) -> None:
        """Write one line at the current height; `style`: bold, size, gray (0 is black)."""
        size = style.get("size") or self.size
        self._canvas.setFont(self._fonts[1 if style.get("bold") else 0], size)
        gray = style.get("gray") or 0
        self._canvas.setFillColor(Color(gray, gray, gray))
        at = self.height - (self.y if y is None else y) - size
        {
            "left": self._canvas.drawString,
            "right": self._canvas.drawRightString,
            "middle": self._canvas.drawCentredString,
        }[align](x, at, text)

    def rule(self, left: float, right: float, *, y: float | None = None, weight: float = 0.5) -> None:
        self._canvas.setLineWidth(weight)
        at = self.height - (self.y if y is None else y)
        self._canvas.line(left, at, right, at)

    def shade(self, left: float, right: float, height: float, gray: float = 0.9) -> None:
        self._canvas.setFillColor(Color(gray, gray, gray))
        self._canvas.rect(left, self.height - self.y - height, right - left, height, stroke=0, fill=1)

    def down(self, points: float) -> None:
        self.y += points

    def need(self, points: float) -> bool:
        """Start a new page unless this much space is left; return True for a new page."""
        if self.y + points <= self.height - self._floor:
            return False
        self.off_page()
        self.turn()
        return True

    def turn(self) -> None:
        self._canvas.showPage()
        self.page += 1
        self.y = 50.0
        self.on_page()

    def save(self) -> None:
        self._canvas.save()


def _fonts(family: str) -> tuple[str, str]:
    if family in _BUILT_IN:
        return _BUILT_IN[family]
    names = family, f"{family}-Bold"
    for number, name in enumerate(names):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, _file(family, number)))
    return names


def _file(family: str, number: int) -> str:
    if family == "Vera":
        return ("Vera.ttf", "VeraBd.ttf")[number]  # reportlab's own
    package, *files = _FILES[family]
    return str(Path(package.__file__).parent / "files" / files[number])
