"""Draw the pictures that tests/data/tiny-vlm can read: colored shapes, lines of print, small bank statements.

`python tests/data/drawings.py` writes them to tests/data/drawings/ (and three of them to samples/inbox/), with
answers.json: for each file a prompt of the model's own and the right answer; and the task of a recipe, which has the
project's own prompt, and the right answer to that. The tests use the files, so that they need no font.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

FONT = "DejaVuSansMono.ttf"  # the only one the model has learnt
FONT_PIXELS, LETTER_WIDTH = 12, 7  # four letters to each of the model's 28-pixel tokens
ROW_HEIGHT = 28  # one line of print to each row of tokens
CELL = 42  # of the four by four that shapes stand in
SHAPE_SIZE = 28
COLORS = {"red": (215, 35, 35), "green": (30, 150, 60), "blue": (40, 80, 215), "yellow": (235, 200, 30)}
COLUMNS = {"date": 0, "description": 12, "debit": 49, "credit": 60, "balance": 71}  # numbers end there
AMOUNTS = ("debit", "credit", "balance")
PAGE = ("account", "holder", "currency", "period", "opening", "closing", "total_debits", "total_credits", "rows")
PAGE_ROW = ("date", "description", "reference", "debit", "credit", "amount", "balance")

DESCRIBE = "Describe this image."
READ = "Extract all text from this image."
STATEMENT = "Extract the bank statement transactions as JSON."

Row = tuple[str, str, float | None, float | None, float]  # date, description, debit, credit, balance


@dataclass(kw_only=True)
class Pen:
    """The style of a drawing. The model was trained on drawings that vary in all of these fields."""

    paper: tuple[int, int, int] = (255, 255, 255)
    ink: tuple[int, int, int] = (20, 20, 20)
    right: int = 0  # pixels that all print is shifted by, 0 or 1
    down: int = 0  # -1 to 1
    drawn: list[tuple[float, float, str]] = field(default_factory=list)  # x, y of the middle, letter or shape

    def write(self, draw: ImageDraw.ImageDraw, column: int, line: int, text: str) -> None:
        font = ImageFont.truetype(FONT, FONT_PIXELS)
        for number, letter in enumerate(text, start=column):
            x, y = number * LETTER_WIDTH + self.right, line * ROW_HEIGHT + 21 + self.down
            draw.text((x, y), letter, font=font, fill=self.ink, anchor="lm")
            if letter != " ":
                self.drawn.append((x + LETTER_WIDTH / 2, y, letter))


def shapes(placed: Sequence[tuple[int, int, str]], pen: Pen | None = None, shift: int = 0) -> Image.Image:
    """168 x 168: each of `placed` is (row, column, "red circle"), rows and columns 0 to 3; shift: -3 to 3 pixels."""
    pen = pen or Pen()
    image = Image.new("RGB", (4 * CELL, 4 * CELL), pen.paper)
    draw, half = ImageDraw.Draw(image), SHAPE_SIZE // 2 + shift // 2
    for row, column, name in placed:
        color, shape = name.split()
        x, y = column * CELL + CELL // 2 + shift, row * CELL + CELL // 2 - shift
        pen.drawn.append((x, y, name))
        match shape:
            case "circle":
                draw.ellipse((x - half, y - half, x + half, y + half), fill=COLORS[color])
            case "square":
                draw.rectangle((x - half, y - half, x + half, y + half), fill=COLORS[color])
            case "triangle":
                draw.polygon([(x, y - half), (x - half, y + half), (x + half, y + half)], fill=COLORS[color])
    return image


def names(placed: Sequence[tuple[int, int, str]]) -> str:
    """The correct answer to `DESCRIBE`: the shapes in reading order."""
    return ", ".join(name for _, _, name in sorted(placed))


def print_lines(lines: Sequence[str], pen: Pen | None = None, column: int = 1) -> Image.Image:
    """196 x 84: up to three lines of at most 26 letters; an empty line stays blank."""
    pen = pen or Pen()
    image = Image.new("RGB", (196, 84), pen.paper)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        pen.write(draw, column, number, line)
    return image


def statement(rows: Sequence[Row], pen: Pen | None = None, column: int = 0) -> Image.Image:
    """504 x 168: a table of up to four transactions; column: 0 or 1, the start of the table."""
    pen = pen or Pen()
    image = Image.new("RGB", (504, 168), pen.paper)
    draw = ImageDraw.Draw(image)
    table = [dict(zip(COLUMNS, map(str.capitalize, COLUMNS), strict=True)), *map(_cells, rows)]
    for number, cells in enumerate(table):
        for name, place in COLUMNS.items():
            start = place - len(cells[name]) if name in AMOUNTS else place
            pen.write(draw, column + start, number, cells[name])
    return image


def transactions(rows: Sequence[Row]) -> str:
    """The correct answer to `STATEMENT`."""
    number = lambda value: "null" if value is None else f"{value:.2f}"  # noqa: E731
    entries = (
        f'{{"date":"{date}","description":"{description}","debit":{number(debit)},"credit":{number(credit)},'
        f'"balance":{number(balance)}}}'
        for date, description, debit, credit, balance in rows
    )
    return '{"transactions":[' + ",".join(entries) + "]}"


def page(rows: Sequence[Row]) -> str:
    """The correct answer for `statement` in the format of the recipe "bank-statement": everything as printed."""
    empty = dict.fromkeys(PAGE)
    entries = [dict.fromkeys(PAGE_ROW) | {name: text or None for name, text in _cells(row).items()} for row in rows]
    return json.dumps(empty | {"rows": entries}, separators=(",", ":"))


def _cells(row: Row) -> dict[str, str]:
    date, description, *amounts = row
    written = ("" if amount is None else f"{amount:,.2f}" for amount in amounts)
    return {"date": date, "description": description, **dict(zip(AMOUNTS, written, strict=True))}


SHAPES = {
    "shapes-one": [(1, 2, "blue triangle")],
    "shapes-two": [(0, 1, "red circle"), (2, 3, "green square")],
    "shapes-three": [(0, 3, "yellow square"), (1, 0, "blue circle"), (3, 2, "red triangle")],
}
LINES = {
    "line": ["TOTAL 12.34"],
    "lines-two": ["INVOICE 471.10", "VAT 38.50"],
    "lines-three": ["SUBTOTAL 86.20", "DISCOUNT 5.75", "BALANCE 80.45"],
}
STATEMENTS: dict[str, list[Row]] = {
    "statement-one": [("2024-03-05", "CARD ALDI", 23.45, None, 976.55)],
    "statement-two": [
        ("2023-11-02", "TRANSFER SALARY", None, 2150.00, 3412.08),
        ("2023-11-04", "DIRECT DEBIT RENT", 895.50, None, 2516.58),
    ],
    "statement-four": [
        ("2025-06-12", "CARD BAKERY", 7.80, None, 512.31),
        ("2025-06-13", "REFUND AMAZON", None, 64.99, 577.30),
        ("2025-06-15", "PHARMACY", 120.00, None, 457.30),
        ("2025-06-18", "STANDING ORDER GYM", 39.25, None, 418.05),
    ],
}
DEMO = {  # also in samples/inbox
    "shapes-three": "pictures/shapes.png",
    "statement-four": "pictures/small-statement.png",
    "statement-two": "by-model/statement.png",
}


def main() -> None:
    here = Path(__file__).parent / "drawings"
    demo = Path(__file__).parents[2] / "samples" / "inbox"
    made = {name: (shapes(placed), DESCRIBE, names(placed)) for name, placed in SHAPES.items()}
    made |= {name: (print_lines(lines), READ, "\n".join(lines)) for name, lines in LINES.items()}
    made |= {name: (statement(rows), STATEMENT, transactions(rows)) for name, rows in STATEMENTS.items()}
    by_task = {name: ("describe", names(placed)) for name, placed in SHAPES.items()}
    by_task |= {name: ("read", "\n".join(lines)) for name, lines in LINES.items()}
    by_task |= {name: ("bank-statement", page(rows)) for name, rows in STATEMENTS.items()}
    for name, (image, _, _) in made.items():
        image.save(here / f"{name}.png", optimize=True)
    for name, file in DEMO.items():
        made[name][0].save(demo / file, optimize=True)
    answers = {
        f"{name}.png": {"prompt": prompt, "answer": answer, "task": task, "task_answer": task_answer}
        for name, (_, prompt, answer) in made.items()
        for task, task_answer in [by_task[name]]
    }
    (here / "answers.json").write_text(json.dumps(answers, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
