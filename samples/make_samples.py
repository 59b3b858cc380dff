"""Draw receipt.jpg, statement.pdf and broken.pdf, and record their contents in truth.json.

    python samples/make_samples.py

Deterministic with the same versions of Pillow, numpy and the DejaVu fonts; shop, bank and people are invented.
"""

import io
import json
import random
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

HERE = Path(__file__).parent
INBOX = HERE / "inbox"
SEED = 20_240_611
FONTS = Path("/usr/share/fonts/truetype/dejavu")
DPI = 150
A4 = (1240, 1754)  # pixels at 150 dpi
EXIF_ORIENTATION, TURN_CLOCKWISE = 0x0112, 6


def main() -> None:
    truth = {"receipt.jpg": RECEIPT, "bank/statement.pdf": statement_truth(random.Random(SEED))}
    (INBOX / "bank").mkdir(parents=True, exist_ok=True)
    save_as_phones_do(photograph(draw_receipt(RECEIPT), np.random.default_rng(SEED)), INBOX / "receipt.jpg")
    pdf = scan_to_pdf(draw_statement(truth["bank/statement.pdf"]), np.random.default_rng(SEED))
    (INBOX / "bank" / "statement.pdf").write_bytes(pdf)
    (INBOX / "broken.pdf").write_bytes(pdf[: len(pdf) // 4])  # within the first page: no page is readable
    (HERE / "truth.json").write_text(json.dumps(truth, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONTS / f"{name}.ttf"), size)


# ---------------------------------------------------------------------------------------------- the receipt

RECEIPT = {
    "shop": "Corner Larder",
    "address": "14 Quayside Row, Brindlemouth",
    "date": "2024-06-08",
    "items": [
        {"description": "Sourdough loaf", "price": "3.40"},
        {"description": "Oat milk 1L x2", "price": "4.10"},
        {"description": "Cheddar mature", "price": "5.75"},
        {"description": "Tomatoes 0.482kg", "price": "1.83"},
        {"description": "Free range eggs", "price": "2.95"},
        {"description": "Dark chocolate", "price": "2.20"},
        {"description": "Bananas 0.760kg", "price": "0.87"},
    ],
    "total": "21.10",
}


def draw_receipt(receipt: dict) -> Image.Image:
    """The paper, flat: about 620 pixels wide."""
    assert sum(Decimal(item["price"]) for item in receipt["items"]) == Decimal(receipt["total"])
    paper = Image.new("RGB", (620, 1080), (247, 246, 240))
    draw = ImageDraw.Draw(paper)
    ink, y = (52, 50, 58), 50

    def centered(text: str, face: ImageFont.FreeTypeFont, step: int) -> None:
        nonlocal y
        draw.text((310, y), text, font=face, fill=ink, anchor="ma")
        y += step

    def row(left: str, right: str, face: ImageFont.FreeTypeFont, step: int = 46) -> None:
        nonlocal y
        draw.text((48, y), left, font=face, fill=ink)
        draw.text((572, y), right, font=face, fill=ink, anchor="ra")
        y += step

    plain, bold = font("DejaVuSansMono", 27), font("DejaVuSansMono-Bold", 31)
    centered(receipt["shop"].upper(), font("DejaVuSansMono-Bold", 44), 66)
    centered(receipt["address"], font("DejaVuSansMono", 24), 40)
    centered("VAT no. 000 0000 00", font("DejaVuSansMono", 24), 60)
    row("08/06/2024  17:42", "Till 3", plain, 58)
    for item in receipt["items"]:
        row(item["description"], item["price"], plain)
    y += 8
    draw.line((48, y, 572, y), fill=ink, width=3)
    y += 18
    row("TOTAL GBP", receipt["total"], bold, 56)
    row("Card payment", receipt["total"], plain)
    row("Items", str(len(receipt["items"])), plain, 70)
    centered("Thank you, see you soon", plain, 60)
    bars = random.Random(SEED)
    x = 110
    while x < 510:
        wide = bars.choice((2, 3, 5, 7))
        draw.rectangle((x, y, x + wide, y + 90), fill=ink)
        x += wide + bars.choice((3, 4, 6))
    return paper


def photograph(paper: Image.Image, random_numbers: np.random.Generator) -> Image.Image:
    """The paper on a table, photographed with a hand-held phone: perspective, uneven light, blur and noise."""
    size = (1200, 1600)
    corners = [(236, 168), (932, 214), (1000, 1460), (190, 1424)]  # the corners of the paper in the photograph
    coefficients = perspective(corners, paper.size)
    warped = paper.transform(size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC)
    mask = Image.new("L", paper.size, 255).transform(size, Image.Transform.PERSPECTIVE, coefficients)
    shadow = Image.new("L", size, 0)
    shadow.paste(mask, (14, 18))
    scene = table(size, random_numbers)
    scene = Image.composite(Image.new("RGB", size, (38, 26, 18)), scene, shadow.filter(ImageFilter.GaussianBlur(16)))
    scene.paste(warped, mask=mask.filter(ImageFilter.GaussianBlur(1)))
    pixels = np.asarray(scene.filter(ImageFilter.GaussianBlur(0.9)), np.float32)
    down, across = np.mgrid[0 : size[1], 0 : size[0]] / max(size)
    light = 1.06 - 0.42 * np.hypot(across - 0.28, down - 0.3)
    pixels = pixels * light[:, :, None] * (1.0, 0.975, 0.92)
    pixels += random_numbers.normal(0, 5, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def table(size: tuple[int, int], random_numbers: np.random.Generator) -> Image.Image:
    """Wood: noise that is stretched along the grain."""
    noise = Image.fromarray(random_numbers.integers(0, 256, (size[1] // 2, 12), np.uint8))
    grain = np.asarray(noise.resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(3)), np.float32)
    brown = np.array((134, 92, 58), np.float32) + (grain[:, :, None] - 128) * 0.28
    return Image.fromarray(np.clip(brown, 0, 255).astype(np.uint8))


def perspective(corners: list[tuple[int, int]], size: tuple[int, int]) -> list[float]:
    """The eight coefficients of Pillow's PERSPECTIVE, which maps the corners of the picture to those of the paper."""
    width, height = size
    flat = [(0, 0), (width, 0), (width, height), (0, height)]
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, flat, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return list(np.linalg.solve(np.array(rows, float), np.array(values, float)))


def save_as_phones_do(picture: Image.Image, path: Path) -> None:
    """Save landscape pixels, and EXIF data with the rotation."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = TURN_CLOCKWISE
    picture.transpose(Image.Transpose.ROTATE_90).save(path, quality=82, exif=exif)


# ---------------------------------------------------------------------------------------------- the statement


@dataclass(frozen=True, kw_only=True)
class Booking:
    day: int  # of May 2024
    description: str
    amount: Decimal  # negative: paid out


RENT_AND_PAY = (
    Booking(day=1, description="Standing order Larkfield Lettings", amount=Decimal("-845.00")),
    Booking(day=2, description="Direct debit Brindle Water", amount=Decimal("-31.46")),
    Booking(day=7, description="Direct debit Northlight Energy", amount=Decimal("-118.27")),
    Booking(day=14, description="Transfer from T Okafor", amount=Decimal("60.00")),
    Booking(day=21, description="Direct debit Town Council Tax", amount=Decimal("-164.00")),
    Booking(day=22, description="Refund Fern & Thread Ltd", amount=Decimal("42.50")),
    Booking(day=30, description="Salary Tidewater Instruments", amount=Decimal("2318.64")),
)
SHOPS = (
    *("Corner Larder 0312", "Gullwing Rail tickets", "Pike Lane Pharmacy", "Bookwell & Sons", "Cafe Meridian"),
    *("Harrow Garden Centre", "Stellar Streaming", "Quay Cycles", "Mill Street Bakery", "Parkway fuel 118"),
)


def statement_truth(chance: random.Random) -> dict:
    """Two pages of rows with consistent balances."""
    bookings = list(RENT_AND_PAY)
    for _ in range(41):
        amount = -Decimal(chance.randrange(180, chance.choice((900, 4_500, 12_000)))) / 100
        bookings.append(Booking(day=chance.randint(1, 31), description=f"Card {chance.choice(SHOPS)}", amount=amount))
    bookings.sort(key=lambda booking: booking.day)
    opening = balance = Decimal("1904.18")
    rows = []
    for booking in bookings:
        balance += booking.amount
        rows.append(
            {
                "date": f"2024-05-{booking.day:02d}",
                "description": booking.description,
                "paid_out": f"{-booking.amount:.2f}" if booking.amount < 0 else None,
                "paid_in": f"{booking.amount:.2f}" if booking.amount > 0 else None,
                "balance": f"{balance:.2f}",
            }
        )
    half = len(rows) // 2
    return {
        "bank": "Harbour & Vale Bank",
        "account_holder": "Ms Eleanor Marsh",
        "account_number": "00012345",
        "sort_code": "00-00-00",
        "period": {"from": "2024-05-01", "to": "2024-05-31"},
        "currency": "GBP",
        "opening_balance": f"{opening:.2f}",
        "closing_balance": f"{balance:.2f}",
        "pages": [{"rows": rows[:half]}, {"rows": rows[half:]}],
    }


RIGHT_EDGES = {"paid_out": 860, "paid_in": 1000, "balance": 1160}


def draw_statement(truth: dict) -> list[Image.Image]:
    brought = truth["opening_balance"]
    pages = []
    for number, page in enumerate(truth["pages"], start=1):
        paper = Image.new("L", A4, 252)
        draw = ImageDraw.Draw(paper)
        y = draw_head(draw, truth, number)
        label = "Opening balance" if number == 1 else "Balance brought forward"
        y = draw_row(draw, y, "", label, {"balance": brought})
        for row in page["rows"]:
            day = time.strftime("%d %b %Y", time.strptime(row["date"], "%Y-%m-%d"))
            y = draw_row(draw, y, day, row["description"], {name: row[name] for name in RIGHT_EDGES})
        brought = page["rows"][-1]["balance"]
        y = draw_row(
            draw, y, "", "Closing balance" if number == len(truth["pages"]) else "Carried forward", {"balance": brought}
        )
        draw.text((80, 1672), f"Page {number} of {len(truth['pages'])}", font=font("DejaVuSans", 17), fill=110)
        pages.append(paper)
    return pages


def draw_head(draw: ImageDraw.ImageDraw, truth: dict, number: int) -> int:
    """Draw the letterhead and the table heading; return the position of the first row."""
    plain, bold = font("DejaVuSans", 20), font("DejaVuSans-Bold", 20)
    draw.text((80, 70), truth["bank"], font=font("DejaVuSerif-Bold", 38), fill=30)
    draw.text((1160, 84), "Statement of account", font=font("DejaVuSans", 24), fill=60, anchor="ra")
    draw.text((80, 150), truth["account_holder"], font=bold, fill=40)
    draw.text((80, 182), "Flat 2, 9 Ropewalk Hill, Brindlemouth", font=plain, fill=40)
    draw.text((1160, 150), f"Sort code {truth['sort_code']}", font=plain, fill=40, anchor="ra")
    draw.text((1160, 182), f"Account number {truth['account_number']}", font=plain, fill=40, anchor="ra")
    draw.text((80, 226), "1 May 2024 to 31 May 2024, all amounts in GBP", font=plain, fill=70)
    draw.rectangle((70, 280, 1170, 322), fill=222)
    draw.text((80, 288), "Date", font=bold, fill=30)
    draw.text((250, 288), "Description", font=bold, fill=30)
    for name, title in (("paid_out", "Paid out"), ("paid_in", "Paid in"), ("balance", "Balance")):
        draw.text((RIGHT_EDGES[name], 288), title, font=bold, fill=30, anchor="ra")
    return 344


def draw_row(draw: ImageDraw.ImageDraw, y: int, day: str, description: str, amounts: dict[str, str | None]) -> int:
    plain = font("DejaVuSans", 20)
    draw.text((80, y), day, font=plain, fill=40)
    draw.text((250, y), description, font=plain if day else font("DejaVuSans-Bold", 20), fill=40)
    for name, amount in amounts.items():
        if amount:
            draw.text((RIGHT_EDGES[name], y), f"{Decimal(amount):,.2f}", font=plain, fill=40, anchor="ra")
    return y + 46


def scan_to_pdf(pages: list[Image.Image], random_numbers: np.random.Generator) -> bytes:
    """Turn pages into slightly skewed and grainy pictures, like those of an office scanner."""
    scans = []
    for page, degrees in zip(pages, (0.5, -0.4), strict=True):
        askew = page.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=252).filter(ImageFilter.GaussianBlur(0.5))
        pixels = np.asarray(askew, np.float32) + random_numbers.normal(0, 4, A4[::-1])
        scans.append(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)))
    pdf, day = io.BytesIO(), time.gmtime(0)
    scans[0].save(
        pdf, "PDF", save_all=True, append_images=scans[1:], resolution=DPI, quality=60, creationDate=day, modDate=day
    )
    return pdf.getvalue()


if __name__ == "__main__":
    main()
