"""Turn clean PDF pages into scans: a little skew, an occasional right angle, blur, noise, gray paper, JPEG."""

import random
from pathlib import Path

import numpy as np
import pypdfium2
from PIL import Image, ImageFilter

_DPI = 150


def scan(path: Path, seed: int) -> Path:
    """A PDF of pictures beside `path`."""
    random_ = random.Random(f"{path.name} {seed}")
    turn = random_.choice((0, 0, 0, 0, 90, 180, 270))
    pages = []
    with pypdfium2.PdfDocument(path) as pdf:
        for page in pdf:
            picture = page.render(scale=_DPI / 72).to_pil().convert("L")
            pages.append(_worsen(picture, random_).rotate(turn, expand=True))
    scanned = path.with_name(f"{path.stem}-scanned.pdf")
    first, *rest = pages
    first.save(scanned, save_all=True, append_images=rest, resolution=_DPI, quality=random_.choice((55, 70, 85)))
    return scanned


def _worsen(picture: Image.Image, random_: random.Random) -> Image.Image:
    paper = random_.randrange(225, 256)
    picture = picture.rotate(random_.uniform(-1.2, 1.2), resample=Image.Resampling.BICUBIC, fillcolor=255)
    picture = picture.filter(ImageFilter.GaussianBlur(random_.uniform(0.2, 0.8)))
    noise = np.random.default_rng(random_.randrange(2**32)).normal(0, random_.uniform(2, 10), picture.size[::-1])
    values = np.asarray(picture, float) * paper / 255 + noise
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
