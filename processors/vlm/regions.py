"""Regions of a page, as a layout model finds them, in reading order. Pure.

Models such as PaddleOCR-VL and GLM-OCR were trained on regions, each with the prompt of its kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from processors.vlm.families import RegionKind

if TYPE_CHECKING:
    from PIL import Image

_NESTED_SHARE = 0.8  # of a region's area within another one, which then shows it as well
_MARGIN = 0.005  # of a page's sides, around a region: boxes cut letters at their edges
_SMALLEST_SIDE = 28  # pixels of one of Qwen's tokens; a smaller region is useless
_INK = 128  # of 255; a darker pixel is ink
_LEFT_OUT_SHARE = 0.05  # of a page's ink


_KINDS = {  # by the labels of PP-DocLayout; all others are text
    "table": RegionKind.TABLE,
    "chart": RegionKind.CHART,
    "formula": RegionKind.FORMULA,
    "display_formula": RegionKind.FORMULA,
    "inline_formula": RegionKind.FORMULA,
    "image": RegionKind.PICTURE,
    "header_image": RegionKind.PICTURE,
    "footer_image": RegionKind.PICTURE,
}


@dataclass(frozen=True, kw_only=True)
class Region:
    """A rectangle of a page."""

    left: float  # shares of the page's width and height, 0 to 1
    top: float
    right: float
    bottom: float
    kind: RegionKind = RegionKind.TEXT

    @property
    def area(self) -> float:
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)

    def share_within(self, other: "Region") -> float:
        """The share of its area that `other` covers."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height) / self.area if self.area else 1.0


@dataclass(frozen=True, kw_only=True)
class RegionImage:
    """A region, cut out, and its prompt."""

    image: "Image.Image"
    prompt: str


def kind_of(label: str) -> RegionKind:
    """The kind of a region by the label of the layout model."""
    return _KINDS.get(label.lower().replace(" ", "_"), RegionKind.TEXT)


def without_nested(regions: Sequence[Region]) -> list[Region]:
    """The regions that are not within another one; of two equal ones, the first."""
    return [
        region
        for number, region in enumerate(regions)
        if not any(
            region.share_within(other) > _NESTED_SHARE and (other.area, -place) > (region.area, -number)
            for place, other in enumerate(regions)
            if place != number
        )
    ]


def cut_out(page: "Image.Image", regions: Sequence[Region], prompts: Mapping[RegionKind, str]) -> list[RegionImage]:
    """The regions that the model has prompts for, in their order."""
    found = []
    for region in without_nested(regions):
        box = _pixels(page, region)
        if region.kind in prompts and min(box[2] - box[0], box[3] - box[1]) >= _SMALLEST_SIDE:
            found.append(RegionImage(image=page.crop(box), prompt=prompts[region.kind]))
    return found


def leaves_out_ink(page: "Image.Image", regions: Sequence[Region]) -> bool:
    """True if much of what is printed on the page is in no region."""
    ink = np.asarray(page.convert("L")) < _INK
    total = int(ink.sum())
    for region in regions:
        left, top, right, bottom = _pixels(page, region)
        ink[top:bottom, left:right] = False
    return int(ink.sum()) > _LEFT_OUT_SHARE * total


def _pixels(page: "Image.Image", region: Region) -> tuple[int, int, int, int]:
    """Left, top, right, bottom, with a margin, within the page."""
    return (
        max(0, int((region.left - _MARGIN) * page.width)),
        max(0, int((region.top - _MARGIN) * page.height)),
        min(page.width, round((region.right + _MARGIN) * page.width)),
        min(page.height, round((region.bottom + _MARGIN) * page.height)),
    )
