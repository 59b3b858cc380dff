"""The layout stage of models that were trained on regions: a page becomes images of its regions, in reading order."""

import threading
from typing import TYPE_CHECKING, Protocol

from processors.vlm.families import Family
from processors.vlm.regions import Region, RegionImage, cut_out, leaves_out_ink
from processors.vlm.retry_ladder import PageResult

if TYPE_CHECKING:
    from PIL import Image

_NO_REGIONS = "The layout model found no region on this page: the model read the complete page"
_LEFT_OUT = "The layout model left out a part of what is printed on this page: the model read the complete page"


class Detector(Protocol):
    """A layout model. See `engine.layout`."""

    name: str

    def regions(self, page: "Image.Image") -> list[Region]:
        """The regions of a page, in reading order."""


class LayoutStage:
    """A layout model, and the prompts of the model that reads the regions."""

    def __init__(self, detector: Detector, family: Family, max_pixels: int):
        """max_pixels: of a complete page, if the model reads that."""
        self.name, self.max_pixels = detector.name, max_pixels
        self._detector, self._family, self._alone = detector, family, threading.Lock()

    def apply(self, page: "Image.Image", result: PageResult) -> list[RegionImage]:
        """The regions to read. There are none, with a note in `result`, if the model should read the complete page so
        that no text is missing."""
        with self._alone:
            regions = self._detector.regions(page)
        found = cut_out(page, regions, self._family.region_prompts)
        if not found or leaves_out_ink(page, regions):
            result.notes = (*result.notes, _LEFT_OUT if found else _NO_REGIONS)
            return []
        return found
