"""Turn a drawn PDF into the pictures of a scanner or phone: skewed, noisy, blurred, compressed, rotated."""

import random
from pathlib import Path

import numpy as np
import pypdfium2
from PIL import Image, ImageFilter

_DPI = 200


def scan(drawn: Path, scanned: Path, rng: random.Random) -> None:
    """Write the pages of `drawn` as the pictures of a PDF without a text layer. Turn one document in five."""
    skew, blur, noise = rng.uniform(-1.2, 1.2), rng.uniform(0, 0.8), rng.uniform(2, 12)
    quality, turn = rng.choice((45, 60, 75, 90)), rng.choice((0, 0, 0, 0, 0, 0, 0, 0, 90, 180))
    noises = np.random.default_rng(rng.randrange(2**32))
    pages = []
    document = pypdfium2.PdfDocument(drawn)
    for page in document:
        picture = page.render(scale=_DPI / 72).to_pil().convert("RGB")
        picture = picture.rotate(skew, Image.Resampling.BICUBIC, fillcolor="white")
        picture = picture.filter(ImageFilter.GaussianBlur(blur))
        grain = noises.normal(-6, noise, (picture.height, picture.width, 1))
        values = np.asarray(picture, np.float32) + grain
        pages.append(Image.fromarray(values.clip(0, 255).astype(np.uint8)).rotate(turn, expand=True))
    document.close()
    pages[0].save(scanned, "PDF", save_all=True, append_images=pages[1:], resolution=_DPI, quality=quality)
